"""How a drift report is shown to people, and written for a school to mend its source by."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from console.output import Output, pairs
from console.sheet import Row, cell, sheet
from console.views import show_readings
from sync_engine.outcome import READ_WELL, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mappings.mapping import DescribedRow
    from sync_engine.declined import Word
    from sync_engine.drift import Drift, RecordDrift
    from sync_engine.fold import Json

COLUMNS: Final = (
    "entiteit",
    "verschil",
    "hubsleutel",
    "bronsleutel",
    "bronsoort",
    "bronrecord",
    "veld",
    "bronveld",
    "kern",
    "bron",
    "besluit",
)
_OPS: Final = {
    "create": "alleen in de bron",
    "change": "anders",
    "close": "alleen in de kern",
    "reopen": "terug in de bron",
    "elsewhere": "niet in deze bron",
    "pinned": "vastgezet",
    "declined": "afgewezen",
}
_NAMED: Final = 10
"""So many parts that were not compared are named."""


def show_drift(out: Output, found: Drift) -> None:
    """What differs: by field with the rows of the mapping, then the first records."""
    if out.data(found):
        return
    report = found.report
    plan = "" if report.plan_id is None else f", plan {report.plan_id}"
    out.title(f"Kern en {report.koppeling} vergeleken{plan}")
    if report.outcome is not Outcome.DONE:
        show_readings(out, report.readings)
    if report.error:
        out.line(f"Fout: {report.error}")
        out.line(report.advice)
        return
    out.table(
        ("entiteit", "alleen in de bron", "anders", "alleen in de kern", "terug in de bron"),
        [(e.entity, e.create, e.change, e.close, e.reopen) for e in found.entities],
    )
    out.table(
        ("entiteit", "veld", "records", "bronveld", "functie", "sterkte"),
        [(f.entity, f.field, f.records, *_origin(f.rows)) for f in found.fields],
    )
    for record in found.records:
        _show_record(out, record)
    if found.more:
        out.line(f"... en nog {found.more}; zie --limit en --csv")
    for pin in found.pinned:
        said = cell(pin.sources[report.koppeling]) or "-"
        out.line(
            f"vastgezet (pin {pin.id}): {pin.entity} {pin.key} {pin.field}: "
            f"{cell(pin.value) or '-'}; {report.koppeling} zegt {said}"
        )
    if found.declined_records:
        out.line(
            f"Afgewezen of teruggedraaid, en daarom anders gebleven: {found.declined_records}; "
            f"zie `koppelhub refused list --source {report.koppeling}`"
        )
    for record in found.declined:
        _show_record(out, record)
    if found.declined_records > len(found.declined):
        out.line(f"... en nog {found.declined_records - len(found.declined)}; zie --csv")
    for missing in found.elsewhere:
        more = " ..." if missing.records > len(missing.keys) else ""
        out.line(
            f"niet in deze bron, wel in een andere: {missing.records} keer {missing.entity} "
            f"({', '.join(missing.keys)}{more})"
        )
    apart = {
        "in quarantaine": report.quarantine,
        "wacht op een verwijzing": report.waiting,
        "open zaken": report.cases,
    }
    if any(apart.values()):
        out.line(f"Niet vergeleken: {pairs(apart)}")
    if not found.entities and not found.declined_records:
        out.line(_no_difference(found, apart=any(apart.values())))


def _no_difference(found: Drift, *, apart: bool) -> str:
    """That nothing differs, and of what that cannot be said."""
    readings = found.report.readings
    unread = [f"{r.resource} {r.scope}" for r in readings if r.state not in READ_WELL]
    if unread:
        more = f" en nog {len(unread) - _NAMED}" if len(unread) > _NAMED else ""
        return (
            f"Niet (helemaal) vergeleken: {', '.join(unread[:_NAMED])}{more}. "
            "In de rest is geen verschil."
        )
    if apart or found.report.outcome is not Outcome.DONE:
        return "Niet alles kon vergeleken worden; in de rest is geen verschil."
    return "Verder is er geen verschil." if found.pinned else "Er is geen verschil."


def show_failure(found: Drift) -> None:
    """Where standard output is a file for a school: what ended the comparison, beside it."""
    if found.report.error:
        sys.stderr.write(f"Fout: {found.report.error}\n{found.report.advice}\n")


def _origin(rows: Sequence[DescribedRow]) -> tuple[str, str, str]:
    """Source, functions and strengths of the rows that fill one field."""
    places = dict.fromkeys(f"{row.resource}: {', '.join(row.source)}" for row in rows)
    functions = dict.fromkeys(row.function for row in rows)
    strengths = dict.fromkeys(str(row.strength) for row in rows)
    return "; ".join(places), ", ".join(functions), ", ".join(strengths)


def _op(record: RecordDrift) -> str:
    """How it differs; of what a person refused or undid that too."""
    told = _OPS.get(record.op, record.op)
    if record.word is None:
        return told
    done = "teruggedraaid" if record.word.kind == "undo" else told
    return f"{_OPS[record.would]}, {done}"


def told_word(word: Word, moment: Callable[[str], str]) -> str:
    """Whose word it is that a form does not count, and when he gave it."""
    verb = "teruggedraaid" if word.kind == "undo" else "afgewezen"
    return f"{verb} in run {word.run_id} door {word.operator}, {moment(word.at)}"


def told_sides(core: Json, source: Json) -> str:
    """What either has of a field that no run changes."""
    return f"kern heeft {cell(core) or '-'}, bron zegt {cell(source) or '-'}"


def _show_record(out: Output, record: RecordDrift) -> None:
    place = " ".join(filter(None, (record.resource, record.raw_key)))
    names = " ".join(filter(None, (record.key, record.source_key)))
    op = _op(record)
    word = "" if record.word is None else f", {told_word(record.word, out.moment)}"
    out.line(f"{op}: {record.entity} {names}" + (f" (in {place})" if place else "") + word)
    for name, (core, source) in record.fields.items():
        if record.word is None:
            out.line(f"    {name}: {cell(core) or '-'} -> {cell(source) or '-'}")
        else:  # no run changes the one into the other
            out.line(f"    {name}: {told_sides(core, source)}")


# -- the file --------------------------------------------------------------------------------------


@contextmanager
def csv_file(target: str | None) -> Iterator[Callable[[RecordDrift], None] | None]:
    """Takes records and writes a line for each field that differs; None where none is asked.

    Args:
        target: as `sheet.sheet`.

    Raises: ConfigurationError if the file cannot be made.
    """
    with sheet(target, COLUMNS) as write:
        yield None if write is None else _writer(write)


def _writer(write: Row) -> Callable[[RecordDrift], None]:
    def written(record: RecordDrift) -> None:
        head = [record.entity, _op(record), record.key, record.source_key]
        head += [record.resource, record.raw_key]
        word = "" if record.word is None else told_word(record.word, str)
        for name, (core, source) in record.fields.items() or [("", [None, None])]:
            write([*head, name, record.paths.get(name, ""), core, source, word])

    return written
