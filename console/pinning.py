"""How pins are shown: what one would do, what it did, and the list."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console.output import Output
from console.views import cell
from sync_engine.outcome import ExitCode, Outcome

if TYPE_CHECKING:
    from sync_engine.outcome import RunReport
    from sync_engine.pinned import PinRow, Preview
    from sync_engine.search import Match


def show_preview(out: Output, seen: Preview, match: Match) -> None:
    """What a pin would do, before it is asked; beside the answer where that is for a script."""
    if out.json:
        return
    out.title(f"{seen.entity} {seen.key} {match.name}")
    out.line(f"{seen.field}: {cell(seen.now)} -> {cell(seen.new)}")
    for koppeling, value in seen.sources.items():
        out.line(f"  {koppeling} zegt {cell(value)}; dat blijft zichtbaar")
    if seen.insisted_by:
        out.line(f"  let op: {seen.insisted_by} staat op dit veld en gaat voor de pin")


def show_carried_out(out: Output, pin_id: int, report: RunReport | None) -> ExitCode:
    """What became of a pin that was set or lifted."""
    code = ExitCode.DONE
    if report is not None and report.outcome in {Outcome.FAILED, Outcome.HELD}:
        code = report.exit_code
    if out.data({"pin": pin_id, "report": report}):
        return code
    if report is None:
        out.line(f"Pin {pin_id} is vastgelegd; de volgende run voert het uit.")
    elif report.outcome is Outcome.FAILED:
        out.line(f"Pin {pin_id} is vastgelegd, maar nog niet uitgevoerd: {report.error}")
        out.line(report.advice)
    elif report.held:
        out.line(f"Pin {pin_id}: de wijziging is vastgehouden in plan {report.plan_id}.")
    else:
        done = "de kern is bijgewerkt" if report.applied else "de kern had die waarde al"
        out.line(f"Pin {pin_id}: {done} (run {report.run_id}, plan {report.plan_id}).")
    return code


def show_pins(out: Output, rows: list[PinRow]) -> None:
    """The pins, a line each."""
    if out.data(rows):
        return
    if not rows:
        out.line("Er is niets vastgezet dat hieraan voldoet.")
        return
    out.table(
        ("pin", "record", "wie", "veld", "vastgezet op", "bron zegt", "t/m", "door", "waarom", ""),
        [
            (
                row.id,
                f"{row.entity} {row.key}",
                row.name,
                row.field,
                cell(row.value),
                "; ".join(f"{name}: {cell(value)}" for name, value in row.sources.items()),
                row.until or "-",
                row.operator,
                row.reason,
                "gelijk aan de bron: kan los" if row.idle else "" if row.counts else "telt niet",
            )
            for row in rows
        ],
    )
    sys.stdout.flush()
