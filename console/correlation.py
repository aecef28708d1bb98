"""How a simulation of correlation is shown to people, and written down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from console.output import Output
from console.sheet import sheet
from console.views import show_readings
from sync_engine.outcome import Outcome
from sync_engine.trial.answers import Answer, Change

if TYPE_CHECKING:
    from sync_engine.trial.simulate import Answered, Simulation

COLUMNS: Final = (
    *("entiteit", "bronsleutel", "antwoord", "regel", "hubsleutel", "score"),
    *("nu gekoppeld", "door", "verschil"),
)
_ANSWERS: Final = {
    Answer.LINKED: "koppelt",
    Answer.NEW: "nieuw",
    Answer.DISPUTED: "zaak",
    Answer.WAITING: "wacht",
    Answer.LEFT: "niets",
}
_CHANGES: Final = {
    Change.SAME: "zoals nu",
    Change.FRESH: "nog niet gekoppeld",
    Change.JOINS: "wordt één met een ander",
    Change.PARTS: "komt los",
    Change.MOVES: "wordt een ander",
    Change.DISPUTED: "wordt een zaak",
    Change.LOST: "verliest zijn record",
}


def show_simulation(out: Output, found: Simulation) -> None:
    """How often each rule answers and how that differs from now; then the first records."""
    if out.data(found):
        return
    left_out = f", zonder {', '.join(found.without)}" if found.without else ""
    out.title(f"Regels geprobeerd op {found.koppeling}{left_out}")
    if found.report is not None and found.report.outcome is not Outcome.DONE:
        show_readings(out, found.report.readings)
        if found.report.error:
            out.line(f"Fout: {found.report.error}")
            out.line(found.report.advice)
    out.table(
        ("entiteit", "antwoord", "regel", "records", "anders dan nu"),
        [
            (one.entity, _ANSWERS[one.answer], one.rule, one.records, one.differs or "")
            for one in found.rules
        ],
    )
    out.table(
        ("verschil", "records"),
        [(_CHANGES[change], found.changes[change]) for change in Change if found.changes[change]],
    )
    if found.merges:
        out.line(f"Records van andere koppelingen die één zouden worden: {found.merges}.")
    out.table(COLUMNS, [_row(record) for record in found.records])
    if found.more:
        out.line(f"... en nog {found.more}; zie --limit en --csv")
    if not found.rules and found.report is None:
        out.line("Van deze koppeling is nog niets bekend; lees haar met --read.")
    out.line("Er is niets gewijzigd.")


def show_failure(found: Simulation) -> None:
    """Where standard output is a file: what ended the reading, beside it."""
    if found.report is not None and found.report.error:
        sys.stderr.write(f"Fout: {found.report.error}\n{found.report.advice}\n")


def _row(record: Answered) -> tuple[object, ...]:
    return (
        *(record.entity, record.source_key, _ANSWERS[record.answer], record.rule),
        record.key or ", ".join(record.candidates),
        "" if record.score is None else record.score,
        *(record.stands, record.by, _CHANGES[record.change]),
    )


@contextmanager
def csv_file(place: str | None) -> Iterator[Callable[[Answered], None] | None]:
    """Takes records and writes a line for each; None where none is asked.

    Args:
        place: as `sheet.sheet`.

    Raises: ConfigurationError if the file cannot be made.
    """
    with sheet(place, COLUMNS) as write:
        yield None if write is None else lambda record: write(_row(record))
