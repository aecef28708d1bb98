"""How a drift report is shown to people, and written for a school to mend its source by.

The file is CSV as a Dutch spreadsheet opens it: semicolons, UTF-8 with a mark. Its cells are texts:
one that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from config.errors import ConfigurationError
from console.output import Output, pairs
from console.views import show_readings
from sync_engine.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mappings.mapping import DescribedRow
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
)
_OPS: Final = {
    "create": "alleen in de bron",
    "change": "anders",
    "close": "alleen in de kern",
    "reopen": "terug in de bron",
}
# the signs that begin a formula, and their wide forms
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")


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
        said = _text(pin.sources[report.koppeling]) or "-"
        out.line(
            f"vastgezet (pin {pin.id}): {pin.entity} {pin.key} {pin.field}: "
            f"{_text(pin.value) or '-'}; {report.koppeling} zegt {said}"
        )
    apart = {
        "in quarantaine": report.quarantine,
        "wacht op een verwijzing": report.waiting,
        "open zaken": report.cases,
    }
    if any(apart.values()):
        out.line(f"Niet vergeleken: {pairs(apart)}")
    if not found.entities:
        out.line("Er is geen verschil.")


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


def _show_record(out: Output, record: RecordDrift) -> None:
    place = " ".join(filter(None, (record.resource, record.raw_key)))
    names = " ".join(filter(None, (record.key, record.source_key)))
    op = _OPS.get(record.op, record.op)
    out.line(f"{op}: {record.entity} {names}" + (f" (in {place})" if place else ""))
    for name, (core, source) in record.fields.items():
        out.line(f"    {name}: {_text(core) or '-'} -> {_text(source) or '-'}")


# -- the file --------------------------------------------------------------------------------------


@contextmanager
def csv_file(target: str | None) -> Iterator[Callable[[RecordDrift], None] | None]:
    """Takes records and writes a line for each field that differs; None where none is asked.

    Args:
        target: a path, made with mode 0600, or `-` for standard output, once all is there.

    Raises: ConfigurationError if the file cannot be made.
    """
    if target is None:
        yield None
        return
    if target == "-":
        with TemporaryFile("w+", encoding="utf-8", newline="") as spool:
            yield _writer(spool)
            spool.seek(0)
            while text := spool.read(1 << 16):
                sys.stdout.write(text)
        return
    with _private(Path(target)) as file:
        yield _writer(file)


def _private(path: Path) -> TextIO:
    """A new or emptied file that its owner alone can read."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(number, 0o600)
    except OSError as exc:
        raise ConfigurationError(
            f"the file cannot be written: {exc.strerror}",
            advice="Noem met --csv een bestand in een map waarin u mag schrijven.",
        ) from None
    return os.fdopen(number, "w", encoding="utf-8-sig", newline="")


def _writer(file: TextIO) -> Callable[[RecordDrift], None]:
    rows = csv.writer(file, delimiter=";")
    rows.writerow(COLUMNS)

    def write(record: RecordDrift) -> None:
        head = [record.entity, _OPS.get(record.op, record.op), record.key, record.source_key]
        head += [record.resource, record.raw_key]
        for name, (core, source) in record.fields.items() or [("", [None, None])]:
            cells = [*head, name, record.paths.get(name, ""), _text(core), _text(source)]
            rows.writerow([as_text(cell) for cell in cells])

    return write


def as_text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    begins = cell.lstrip(" \u00a0\ufeff\u200b")
    return f"'{cell}" if begins.startswith(_FORMULA) else cell


def _text(value: Json) -> str:
    """A value in one cell; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "ja" if value else "nee"
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values() if part is not None)
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, str) and value.startswith("["):  # a list field, as the core holds it
        try:
            return _text(msgspec.json.decode(value, type=list[str | int]))  # type: ignore[arg-type] # list is invariant
        except msgspec.MsgspecError:
            return value
    return str(value)
