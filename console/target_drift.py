"""How a drift report of a target is shown to people, and written down for a school."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from console.output import Output
from console.sheet import sheet
from sync_engine.outbox.comparing import Op
from sync_engine.outbox.message_cases import said
from sync_engine.outbox.states import MEANS

if TYPE_CHECKING:
    from sync_engine.outbox.comparing import ObjectDrift, TargetDrift, Way

COLUMNS: Final = ("verschil", "hubsleutel", "veld", "hoort te hebben", "bevestigd", "bericht")
_OPS: Final = {
    Op.MISSING: "ontbreekt daar",
    Op.OTHER: "anders",
    Op.SURPLUS: "hoort daar niet meer",
    Op.UNMADE: "niet te maken",
    Op.UNDER_WAY: "gelijk, met een open bericht",
}
_UNSEEN: Final = "nog geen bericht: de volgende levering bekijkt het"
_FORGOTTEN: Final = "wat bevestigd is, wordt hier niet (leesbaar) bewaard"


def show_target_drift(out: Output, found: TargetDrift) -> None:
    """What differs: how often, by field, how far the messages are, then the first objects."""
    if out.data(found):
        return
    out.title(f"Kern en {found.target} ({found.resource}) vergeleken: {found.compared} objecten")
    out.table(("verschil", "objecten"), [(_OPS[op], found.ops[op]) for op in Op if found.ops[op]])
    out.table(("veld", "objecten"), sorted(found.fields.items()))
    out.table(
        ("bericht", "aantal"),
        [
            *((MEANS[state], found.states[state]) for state in MEANS if found.states[state]),
            *([(_UNSEEN, found.unseen)] if found.unseen else []),
        ],
    )
    for record in found.records:
        out.line(f"{_OPS[record.op]}: {record.key}{_remark(record)}")
        for name, (should, has) in record.fields.items():
            out.line(f"    {name}: heeft nu {has or '-'}, hoort {should or '-'} te hebben")
        for way in record.ways:
            out.line(f"    {_way(way)}")
    if found.more:
        out.line(f"... en nog {found.more}; zie --limit en --csv")
    if not found.ops:
        out.line("Er is geen verschil.")
    elif found.states:
        out.line("Zie `koppelhub outbox list` voor wat u over een bericht kunt beslissen.")


def _remark(record: ObjectDrift) -> str:
    """What is to be known of it beside its fields."""
    if record.rule:
        return f" ({said('mapping', record.rule)})"
    return "" if record.is_kept else f" ({_FORGOTTEN})"


def _way(way: Way) -> str:
    reason = f" ({said(way.code, way.rule)})" if way.code else ""
    return f"bericht {way.message}: {MEANS[way.state]}{reason}"


@contextmanager
def csv_file(place: str | None) -> Iterator[Callable[[ObjectDrift], None] | None]:
    """Takes objects and writes a line for each field that differs; None where none is asked.

    Args:
        place: as `sheet.sheet`.

    Raises: ConfigurationError if the file cannot be made.
    """
    with sheet(place, COLUMNS) as write:
        if write is None:
            yield None
            return

        def written(record: ObjectDrift) -> None:
            ways = "; ".join(map(_way, record.ways)) or _UNSEEN
            for name, (should, has) in record.fields.items() or [(record.rule, [None, None])]:
                write([_OPS[record.op], record.key, name, should, has, ways])

        yield written
