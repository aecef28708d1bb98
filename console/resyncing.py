"""How a resync is shown: what is asked of whom, what each koppeling did, how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.output import Output
from console.views import show_report

if TYPE_CHECKING:
    from sync_engine.resync import Part, Resync


def show_asked(out: Output, parts: Sequence[Part]) -> None:
    """Before anything is read: a line for each koppeling."""
    if out.json:
        return
    for part in parts:
        out.line(f"{part.koppeling}: {part.says}")


def show_done(out: Output, found: Resync) -> None:
    """What each koppeling did."""
    if out.data(found):
        return
    for part in found.parts:
        for remark in part.remarks:
            out.line(f"Let op: {part.koppeling}: {remark}.")
        if part.report is None:
            out.title(f"{part.koppeling}: niet gelezen")
            out.line(f"Fout: {part.error}")
            out.line(part.advice)
            continue
        show_report(out, part.report)
        out.line(f"  duurde {part.seconds:.1f} s".replace(".", ","))
