"""How herinrichtingen are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.output import Output

if TYPE_CHECKING:
    from sync_engine.renumbering import Herinrichting
    from sync_engine.reorganise import HerinrichtingView

_STATES = {
    "announced": "aangekondigd, nog niet toegepast",
    "in force": "van kracht",
    "differs": "van kracht, maar de configuratie zegt nu iets anders",
    "finished": "afgerond",
    "taken back": "teruggenomen",
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
