"""How quarantine is shown to people, and written for a school to mend its source by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from console.output import Output
from console.sheet import sheet

if TYPE_CHECKING:
    from sync_engine.quarantine import Broken

COLUMNS: Final = (
    *("koppeling", "bronsoort", "deel", "bronrecord", "veld", "ernst", "aantal"),
    *("sinds", "wat te doen"),
)


def show_quarantine(out: Output, found: Iterable[Broken], *, csv: str | None, limit: int) -> None:
    """Counts, then a line for each record and each field that was left out; a file has all."""
    kept: list[Broken] = []
    counts: Counter[str] = Counter()
    with sheet(csv, COLUMNS) as write:
        for broken in found:
            counts[broken.severity] += broken.records
            if write is not None:
                write(_row(broken))
            if len(kept) < limit:
                kept.append(broken)
    if csv == "-" or out.data({"counts": counts, "records": kept}):
        return
    if not counts:
        out.line("Er staat niets in quarantaine en er is geen veld weggelaten.")
        return
    errors, warnings = counts["fout"], counts["waarschuwing"]
    records = "1 record" if errors == 1 else f"{errors} records"
    out.line(f"in quarantaine: {records}; weggelaten velden: {warnings}")
    out.table(COLUMNS, [_row(broken) for broken in kept])
    if csv is None:
        out.line("Voor de school: dezelfde opdracht met --csv FILE.")


def _row(broken: Broken) -> tuple[object, ...]:
    return (
        *(broken.koppeling, broken.resource, broken.scope, broken.source_key, broken.field),
        *(broken.severity, broken.records, broken.since[:10], broken.advice),
    )
