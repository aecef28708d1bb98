"""What a run leaves for who watches: counters of its koppeling, and its records by situation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sync_engine import totals
from sync_engine.cases import CORRELATION
from sync_engine.outcome import RunReport
from sync_engine.store.work import Work

_DISPUTES: Final = ", ".join(f"'{kind}'" for kind in CORRELATION)


def counters(
    report: RunReport, state: str, *, seconds: float, asked: Mapping[str, float]
) -> dict[str, float]:
    """What a run adds to the counters of its koppeling.

    Args:
        report: of the run.
        state: how it ended.
        seconds: how long it took.
        asked: what its requests add.
    """
    found = {
        **asked,
        f"{totals.RUNS}.{state}": 1.0,
        totals.READ: float(report.read),
        totals.RUN_SECONDS: seconds,
    }
    for applied, count in report.applied.items():
        name = f"{totals.CORE}.{applied.rpartition('.')[2]}"
        found[name] = found.get(name, 0.0) + count
    return found


def situations(
    work: Work, koppeling_id: int, found: Mapping[tuple[str, str], int]
) -> dict[str, int]:
    """`leerling.linked` → records of a koppeling: linked and disputed in all, as they are now.

    Args:
        work: of the run.
        koppeling_id: of the koppeling.
        found: (entity, situation) → records that this run linked or made.
    """
    told = {f"{entity}.{name}": count for (entity, name), count in found.items() if count}
    for entity, count in work.execute(
        "SELECT entity, COUNT(*) FROM link WHERE koppeling_id = ? GROUP BY entity", (koppeling_id,)
    ):
        told[f"{entity}.linked"] = count
    for entity, count in work.execute(
        "SELECT entity, COUNT(DISTINCT source_key) FROM zaak WHERE koppeling_id = ? "
        f"AND state = 'open' AND kind IN ({_DISPUTES}) GROUP BY entity",
        (koppeling_id,),
    ):
        told[f"{entity}.disputed"] = count
    return dict(sorted(told.items()))
