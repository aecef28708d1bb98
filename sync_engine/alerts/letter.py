"""The weekly report in words, for a school's administrator; pure, and without personal data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sync_engine.alerts.messages import local
from sync_engine.alerts.weekly import Fault, Weekly
from sync_engine.condition import KoppelingHealth

_FAULTS: Final = 15
"""Rules that a letter names; the others are counted."""


def letter(report: Weekly, *, zone: str) -> dict[str, Any]:
    """Title and text; the document of a notice."""
    parts = [
        f"Weekbericht van {report.name} ({report.school}), week {report.week[-2:]}",
        _summary(report),
        *(part for part in (_eck_ids(report), _doubts(report), _faults(report)) if part),
        _freshness(report, zone),
        _where(report),
    ]
    title = f"Weekbericht {report.name}: {_in_short(report)}"
    return {"title": title, "text": "\n\n".join(parts) + "\n", "school": report.school}


def _in_short(report: Weekly) -> str:
    if report.is_clean:
        return "niets te doen"
    counts = {
        "zonder ECK iD": report.without_eck_id,
        "in twijfel": report.in_doubt,
        "niet leesbaar": report.quarantined,
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    return ", ".join(told) or "een paar punten"


def _summary(report: Weekly) -> str:
    pupils = _many(report.leerlingen, "leerling", "leerlingen")
    if report.is_clean:
        return f"De koppelingen leveren {pupils}. Alles klopt: u hoeft niets te doen."
    return (
        f"De koppelingen leveren {pupils}. Hieronder staat wat u in uw eigen systeem kunt "
        "verbeteren. Wat u daar verbetert, neemt Koppelhub bij de volgende keer vanzelf over."
    )


def _eck_ids(report: Weekly) -> str:
    count = report.without_eck_id
    if not count:
        return ""
    if report.obtains:
        who = "1 leerling heeft" if count == 1 else f"{count} leerlingen hebben"
        return (
            f"ECK iD: {who} er geen. Koppelhub vraagt ze zelf aan bij de Nummervoorziening, maar "
            "dat kan alleen met een persoonsgebonden nummer.\n"
            "Doe dit: vul bij leerlingen zonder BSN of onderwijsnummer dat nummer in uw systeem "
            "in. De anderen volgen vanzelf."
        )
    if count == report.leerlingen:
        return (
            "ECK iD: geen enkele leerling heeft er een. Waarschijnlijk levert uw systeem ze niet, "
            "of mag Koppelhub ze niet lezen.\n"
            "Doe dit: vraag uw contact bij de helpdesk of de koppeling ECK iD's mag lezen."
        )
    who = "1 leerling heeft" if count == 1 else f"{count} leerlingen hebben"
    return (
        f"ECK iD: {who} er geen. Zonder ECK iD werkt inloggen bij leermiddelen niet.\n"
        "Doe dit: vraag in uw administratiesysteem voor deze leerlingen een ECK iD aan."
    )


def _doubts(report: Weekly) -> str:
    if not report.cases:
        return ""
    pupils = ""
    if report.in_doubt:
        pupils = f", waarvan {_many(report.in_doubt, 'over een leerling', 'over leerlingen')}"
    total = sum(report.cases.values())
    lines = [f"Twijfel: {_many(total, 'zaak', 'zaken')} open{pupils}."]
    lines += [f"- {kind}: {count}" for kind, count in report.cases.items()]
    lines.append(
        "Doe dit: kijk in uw systeem of dezelfde persoon er twee keer in staat, en of nummers, "
        "naam en geboortedatum kloppen. De helpdesk beslist daarna."
    )
    return "\n".join(lines)


def _faults(report: Weekly) -> str:
    if not report.faults:
        return ""
    lines = [f"Niet leesbaar: {_many(report.quarantined, 'record', 'records')}."]
    lines += [f"- {_fault(fault)}" for fault in report.faults[:_FAULTS]]
    if rest := len(report.faults) - _FAULTS:
        lines += [f"- en {rest} andere regels"] if rest > 0 else []
    lines.append("Doe dit: verbeter deze velden in uw systeem.")
    return "\n".join(lines)


def _fault(fault: Fault) -> str:
    what = "het record" if fault.field == "$" else fault.field
    left = "" if fault.unread else " (alleen dit veld is weggelaten)"
    return f"{fault.koppeling}, {fault.resource}: {what} {fault.rule}: {fault.records}x{left}"


def _freshness(report: Weekly, zone: str) -> str:
    lines = ["Hoe vers zijn de gegevens?"]
    lines += [f"- {_fresh(one, zone)}" for one in report.koppelingen]
    if any(one.late_by is not None or one.good_at is None for one in report.koppelingen):
        lines.append("De helpdesk weet hiervan; u hoeft niets te doen.")
    return "\n".join(lines)


def _fresh(one: KoppelingHealth, zone: str) -> str:
    if one.good_at is None:
        return f"{one.name}: nog niet helemaal gelezen"
    late = one.late_by
    how = "op tijd" if late is None else f"loopt {_long(late)} achter"
    return f"{one.name}: laatst goed gelezen op {local(one.good_at, zone)}; {how}"


def _long(duration: timedelta) -> str:
    hours = max(1, round(duration / timedelta(hours=1)))
    return _many(hours, "uur", "uur") if hours < 48 else f"{hours // 24} dagen"


def _where(report: Weekly) -> str:
    if report.is_clean:
        return "Dit bericht komt elke week vanzelf. Het bevat geen persoonsgegevens."
    return (
        "Om welke leerlingen en records het gaat staat niet in dit bericht: dat zijn "
        "persoonsgegevens. Vraag uw helpdesk om de lijst met de nummers van uw eigen systeem."
    )


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def as_data(report: Weekly) -> Mapping[str, Any]:
    """The report for programs."""
    return {
        "school": report.school,
        "name": report.name,
        "week": report.week,
        "at": report.at,
        "leerlingen": report.leerlingen,
        "without_eck_id": report.without_eck_id,
        "in_doubt": report.in_doubt,
        "cases": report.cases,
        "quarantined": report.quarantined,
        "faults": report.faults,
        "koppelingen": [
            {"name": one.name, "state": one.state, "good_at": one.good_at, "late_by": one.late_by}
            for one in report.koppelingen
        ],
    }
