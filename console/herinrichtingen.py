"""How herinrichtingen are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.output import Output, pairs

if TYPE_CHECKING:
    from sync_engine.hub import Hub
    from sync_engine.renumbering import Herinrichting
    from sync_engine.reorganise import HerinrichtingView
    from sync_engine.transfer.move import TransferReport

_STATES = {
    "announced": "aangekondigd, nog niet toegepast",
    "in force": "van kracht",
    "differs": "van kracht, maar de configuratie zegt nu iets anders",
    "finished": "afgerond",
    "taken back": "teruggenomen",
    "transferred": "verhuisd",
    "unconfigured": "verhuisd; de configuratie noemt nog het oude bestuur",
}


def show_herinrichtingen(out: Output, found: list[HerinrichtingView]) -> None:
    """What is announced and what is in force, with what to type next."""
    if out.data(found):
        return
    out.table(
        ("naam", "bestuur", "vanaf", "stand", "nummers", "run", "door", "achtergebleven"),
        [
            (
                *(h.name, h.tenant, h.on, _STATES[h.state], ", ".join(h.numbers)),
                *(h.run_id or "", h.operator, "" if h.behind is None else h.behind),
            )
            for h in found
        ],
    )
    if not found:
        out.line("Er is geen herinrichting aangekondigd of van kracht.")
    for view in found:
        if view.state == "announced":
            out.line(f"Bekijk wat het doet: `koppelhub herinrichting preview {view.name}`.")
        elif view.state == "in force" and view.behind:
            out.line(
                f"{view.name}: {view.behind} leerlingen staan alleen nog onder het oude nummer. "
                f"Zijn zij van school: `koppelhub herinrichting finish {view.name}`."
            )
        elif view.state == "unconfigured":
            out.line(
                f"{view.name}: zet in de configuratie `tenant` om; tot dan wordt er niet gelezen: "
                f"{', '.join(view.numbers)}."
            )
        elif view.state == "differs":
            out.line(
                f"{view.name}: draai `koppelhub run undo {view.run_id}` en pas haar opnieuw toe, "
                "of herstel de configuratie."
            )


def show_numbers(out: Output, made: Herinrichting) -> None:
    """What becomes of which number, and when."""
    if out.json:
        return
    for change in made.changes:
        if change.becomes == change.number:
            text = f"{change.number} houdt zijn nummer en gaat verder onder nieuwe records"
        elif change.joins:
            text = f"{change.number} gaat op {made.on} op in {change.becomes}"
        else:
            text = f"{change.number} heet vanaf {made.on} {change.becomes}"
        if change.source:
            text += f"; {change.source} levert deze school tot die dag"
        out.line(text)


_CARRIED = {
    "shadow": "records van bronnen",
    "source_record": "ruwe records",
    "quarantine": "records in quarantaine",
    "zaak": "open zaken",
    "decision": "besluiten",
    "pin": "vastgezette waarden",
    "plan": "vastgehouden plannen",
    "inbox": "berichten",
}
_SHOWN = 20


def show_transfer(out: Output, report: TransferReport) -> None:
    """Who goes to the other board, who is in both from now on, and what does not go."""
    if out.data(report):
        return
    gone = "gaan" if report.dry else "gingen"
    names = ", ".join(report.koppelingen)
    out.line(f"{names} {gone} van {report.old} naar {report.new}, vanaf {report.on}.")
    if report.whole:
        out.line(f"Alles van {report.old} gaat mee: daar blijft niets achter.")
    out.table(("gaat mee onder zijn eigen sleutel", "aantal"), [*report.goes.items()])
    if report.carried:
        told = (f"{count} {_CARRIED[name]}" for name, count in report.carried.items())
        out.line(f"Ook mee: {', '.join(told)}.")
    if report.rejoined:
        out.line(f"Wordt weer één met wat {report.new} heeft: {pairs(report.rejoined)}")
    _show_twins(out, report)
    if report.cut:
        out.line(f"Verwijst over de grens en vervalt: {pairs(report.cut)}")


def _show_twins(out: Output, report: TransferReport) -> None:
    if not report.twins:
        return
    counts: dict[str, int] = {}
    for twin in report.twins:
        counts[twin.entity] = counts.get(twin.entity, 0) + 1
    told = pairs(dict(sorted(counts.items())))
    out.line(f"Hoort bij beide besturen en wordt in elk een record: {told}")
    new = "(nieuw)"
    out.table(
        ("entiteit", f"bij {report.old}", f"bij {report.new}"),
        [(t.entity, t.old_key or new, t.new_key or new) for t in report.twins[:_SHOWN]],
    )
    if len(report.twins) > _SHOWN:
        out.line(f"... en nog {len(report.twins) - _SHOWN}; alle met --json")


def show_next(out: Output, hub: Hub, report: TransferReport) -> None:
    """What is still to be done after a transfer."""
    left = [
        source.name
        for source in hub.settings.source
        if source.name in report.koppelingen and source.tenant != report.new
    ]
    if left:
        out.line(f'Zet nu in de configuratie tenant = "{report.new}" bij: {", ".join(left)}.')
    out.line(f"Daarna: `koppelhub sync --source {report.koppelingen[0]}`.")
