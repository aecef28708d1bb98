"""What is told of incidents, in words and as a document; pure, and without personal data.

One message tells all that a rule has to tell at one moment. People read `text` (Dutch), programs
the document, whose form is described in docs/alerts.md: a key may come, none goes or changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from config.clock import zone
from config.redaction import redact
from sync_engine.alerts.incidents import HUB, Cause, Ending, Event, Incident, Kind, Sign
from sync_engine.condition import State

SCHEMA: Final = "koppelhub.alerts/1"
_NAMED: Final = 10
"""Koppelingen that a text names; the others are counted."""
_LISTED: Final = 50
"""Signs that a document lists of one incident."""
_LONGEST: Final = 400

_STATES: Final = {State.CRITICAL: "Kritiek", State.WARNING: "Let op", State.GOOD: "Goed"}
_KINDS: Final = {
    Kind.OPENED: "",
    Kind.WORSENED: " (erger dan eerst)",
    Kind.REMINDER: " (nog steeds)",
    Kind.RECOVERED: "Hersteld",
    Kind.PASSED: "Kwam en ging",
}
CAUSES: Final = {
    Cause.READING: "de bron wordt niet of te laat gelezen",
    Cause.SHORT: "de bron levert niets of veel minder dan eerst",
    Cause.HELD: "een plan wacht op goedkeuring",
    Cause.CASES: "zaken wachten op een beslissing",
    Cause.QUARANTINE: "records kunnen niet gelezen worden",
    Cause.OFF: "staat uit of is in onderhoud",
    Cause.EXPIRING: "iets verloopt binnenkort",
    Cause.MESSAGES: "berichten worden niet afgeleverd of verwerkt",
    Cause.ALARM: "een ander systeem spreekt tegen wat de hub bewaart",
    Cause.INSTALLATION: "de installatie zelf",
}
"""Cause → what it is, for people."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        title: one line.
        document: for programs; it holds `title` and `text` too.
    """

    title: str
    text: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a message needs to know of the installation.

    Attributes:
        schools: BRIN → name.
        page: address of the ops page, or empty.
        zone: in which times are told.
    """

    schools: Mapping[str, str]
    page: str
    zone: str


def compose(events: Sequence[Event], rule: str, around: Surroundings, now: datetime) -> Message:
    """One message of all that is to be told, the worst first."""
    ordered = sorted(events, key=_rank)
    title = headline(ordered[0])
    if len(ordered) > 1:
        title = f"{title}, en {len(ordered) - 1} meer"
    parts = [_paragraph(event, around) for event in ordered]
    if around.page:
        parts.append(f"Zie {around.page}")
    parts.append(f"Regel: {rule}. Wat openstaat: koppelhub alerts list")
    text = "\n\n".join(parts) + "\n"
    document = {
        "schema": SCHEMA,
        "at": now.isoformat(timespec="seconds"),
        "rule": rule,
        "title": title,
        "text": text,
        "page": around.page,
        "events": [_as_document(event, around) for event in ordered],
    }
    return Message(title, text, document)


def _rank(event: Event) -> tuple[bool, bool, str]:
    over = event.kind in {Kind.RECOVERED, Kind.PASSED}
    return over, event.incident.state is not State.CRITICAL, event.incident.subject


def headline(event: Event) -> str:
    """One line on one incident."""
    incident, kind = event.incident, event.kind
    what = f"{subject(incident)}: {CAUSES[incident.cause]}"
    if kind in {Kind.RECOVERED, Kind.PASSED}:
        if incident.ending is Ending.REMOVED:
            return f"Niet meer in de configuratie: {what}"
        return f"{_KINDS[kind]}: {what}"
    return f"{_STATES[incident.state]}{_KINDS[kind]}: {what}"


def subject(incident: Incident) -> str:
    """What an incident is about, for people."""
    if incident.subject == HUB:
        return "Koppelhub"
    kind, _, name = incident.subject.partition(" ")
    count = len(incident.koppelingen)
    if kind == "system":
        return f"{name} ({count} {'koppeling' if count == 1 else 'koppelingen'})"
    return name


def _paragraph(event: Event, around: Surroundings) -> str:
    incident = event.incident
    lines = [headline(event)]
    first = f"Sinds {local(began(incident), around.zone)}"
    if event.kind in {Kind.RECOVERED, Kind.PASSED} and incident.gone_since is not None:
        lines.append(f"{first}, tot {local(incident.gone_since, around.zone)}.")
        return "\n".join(lines)
    lines.append(f"{first}.")
    named = incident.koppelingen[:_NAMED]
    for sign in incident.signs:
        if not sign.koppeling or sign.koppeling in named:
            lines.append(f"- {_place(sign, around)}{redact(sign.text)[:_LONGEST]}")
            lines.append(f"  {sign.command}")
    if rest := len(incident.koppelingen) - len(named):
        lines.append(f"- en {rest} andere koppelingen")
    return "\n".join(lines)


def began(incident: Incident) -> datetime:
    """When it began, as far as anybody knows."""
    known = [sign.since for sign in incident.signs if sign.since is not None]
    return min((incident.first_at, *known))


def _place(sign: Sign, around: Surroundings) -> str:
    if not sign.koppeling:
        return ""
    names = [around.schools.get(brin[:4], brin) for brin in sign.schools]
    shown = list(dict.fromkeys(names))
    rest = f" en {len(shown) - 2} andere" if len(shown) > 2 else ""
    return f"{sign.koppeling} ({', '.join(shown[:2])}{rest}): " if shown else f"{sign.koppeling}: "


def local(at: datetime, name: str) -> str:
    """An instant as people in that time zone write it: `27-11-2026 07:00`."""
    return at.astimezone(zone(name)).strftime("%d-%m-%Y %H:%M")


def _as_document(event: Event, around: Surroundings) -> dict[str, Any]:
    incident = event.incident
    return {
        "id": event.id,
        "kind": str(event.kind),
        "incident": incident.id,
        "cause": str(incident.cause),
        "state": str(incident.state),
        "worst": str(incident.worst),
        "subject": incident.subject,
        "since": began(incident).isoformat(timespec="seconds"),
        "until": None
        if incident.gone_since is None
        else incident.gone_since.isoformat(timespec="seconds"),
        "headline": headline(event),
        "koppelingen": len(incident.koppelingen),
        "signs": [
            {
                "koppeling": sign.koppeling,
                "schools": list(sign.schools),
                "trouble": str(sign.kind),
                "state": str(sign.state),
                "text": redact(sign.text)[:_LONGEST],
                "command": sign.command,
            }
            for sign in incident.signs[:_LISTED]
        ],
    }
