"""How the work of the helpdesk is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output, pairs

if TYPE_CHECKING:
    from sync_engine.todo import Todo

_KINDS: Final = {
    "plan": "plannen die wachten",
    "run": "runs die mislukten",
    "replacement": "vervangingen van een PGN",
    "case": "open zaken",
    "quarantine": "records in quarantaine",
    "refused": "afgewezen of teruggedraaide records",
    "event": "meldingen van de laatste run",
    "pin": "vastgezette velden om na te kijken",
    "message": "correcties aan andere systemen",
}


def show_todo(out: Output, found: Todo) -> None:
    """Counts, then a line for each with what to type."""
    if out.data(found):
        return
    if not found.items:
        out.line("Er wacht niets.")
        return
    out.line(pairs({_KINDS.get(kind, kind): count for kind, count in found.counts.items()}))
    out.table(
        ("koppeling", "wat", "sinds", "opdracht"),
        [(i.koppeling, i.what, out.day(i.since), i.command) for i in found.items],
    )
