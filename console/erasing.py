"""How an erasure is shown to people: what goes, what stays, and who was erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output, pairs

if TYPE_CHECKING:
    from sync_engine.erasure.acts import Suppressed
    from sync_engine.erasure.telling import ErasureReport

_ROWS: Final = {
    "raw_payload": "ruwe bronrecords",
    "source_record": "sleutels van bronrecords",
    "shadow": "vormen van bronrecords",
    "quarantine": "records in quarantaine",
    "step": "regels van het journaal (dat er iets was blijft, wat er stond niet)",
    "groepsdeelname": "groepsdeelnames",
    "identificatie": "nummers en pseudoniemen (ECK iD, BSN, leerlingnummer)",
    "vault": "waarden in de kluis (stampseudoniem, ECK iD)",
    "pin": "vastgezette waarden",
    "zaak": "zaken",
    "decision": "besluiten",
    "inbox": "berichten van de eigen applicatie",
    "kern_inbox": "berichten die nog niet opgehaald waren",
    "outbox": "berichten naar andere systemen",
    "exchange": "standen van uitwisselingen",
    "batch_person": "plaatsen in lopende aanvragen",
    "adres": "adressen",
    "contactgegeven": "contactgegevens",
    "core_salt": "sleutels van personen (wat ermee versleuteld was is onleesbaar)",
}


def show_erasure(out: Output, report: ErasureReport) -> None:
    """What goes with one person, or went."""
    if out.data(report):
        return
    done = "zou gewist worden" if report.dry else "gewist"
    out.title(f"{report.entity} {report.key} van {report.tenant}: {done}")
    rows: list[tuple[object, ...]] = list(report.records.items())
    rows += [(_ROWS[name], n) for name, n in report.rows.items() if name in _ROWS]
    others = sum(
        n for name, n in report.rows.items() if name not in _ROWS and name not in report.records
    )
    out.table(("wat", "aantal"), [*rows, ("en wat daar verder bij hoort", others)])
    for text in _besides(report):
        out.line(text)
    if not report.dry:
        out.line(f"Nummer van deze wissing: {report.number} (`koppelhub erase list`).")


def _besides(report: ErasureReport) -> list[str]:
    """What else is to be known."""
    told = (
        (report.along, f"Verzorgers zonder ander kind gaan mee: {', '.join(report.along)}."),
        (report.stay, f"Verzorgers met een ander kind blijven: {', '.join(report.stay)}."),
        (report.cleared, f"Verwijzingen die leeg worden: {pairs(report.cleared)}."),
        (
            report.sources,
            f"Wat deze koppelingen nog van hem leveren wordt voortaan geteld en niet bewaard: "
            f"{', '.join(report.sources)}.",
        ),
        (
            report.targets,
            f"Deze systemen hebben hem nog, en horen dat hij weg moet: "
            f"{', '.join(report.targets)}.",
        ),
        (
            report.plans,
            f"Uit plannen die wachten verdwijnt wat over hem gaat: "
            f"{', '.join(map(str, report.plans))}.",
        ),
        (report.messages, f"Berichten die wachtten en vervallen: {report.messages}."),
        (
            report.under_way,
            f"Berichten waarop geen antwoord kwam: {report.under_way}; het andere systeem hoort "
            "dat hij weg moet.",
        ),
        (report.cases, f"Open zaken over hem die verdwijnen: {report.cases}."),
        (
            report.doubts,
            f"Let op, in deze open zaken is hij een kandidaat: "
            f"{', '.join(map(str, report.doubts))}. Is zo'n record ook van hem, koppel het "
            "dan eerst (`koppelhub case link`): anders komt het als nieuw record binnen.",
        ),
        (report.batches, f"Lopende aanvragen waar hij uit gaat: {report.batches}."),
        (report.duty, " ".join(report.duty)),
        (
            not report.freed,
            "Iemand las mee: in het logbestand van de database kan nog iets staan tot dat is "
            "bijgewerkt. Herhaal `koppelhub purge` als alles stil ligt.",
        ),
    )
    return [text for there, text in told if there]


def show_erasures(out: Output, erasures: list[Suppressed]) -> None:
    """Who was erased."""
    if out.data(erasures):
        return
    out.table(
        ("nummer", "bestuur", "wie", "gewist", "door", "waarom", "opgeheven"),
        [
            (
                one.number,
                one.tenant,
                f"{one.entity} {one.key}",
                out.moment(one.at),
                one.operator,
                one.reason,
                ", ".join(filter(None, (out.moment(one.lifted_at), one.lifted_by, one.lifted_why))),
            )
            for one in erasures
        ],
    )
    if not erasures:
        out.line("Er is niemand gewist.")
