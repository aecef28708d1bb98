"""What runs did in all since this release: counters of each koppeling, that only grow.

Runs go after their period; these stay. They are written with the run that they count, so that they
are the same in every process and after any crash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sync_engine.store.work import Work

RUNS: Final = "runs"
"""`runs.done`: runs that ended so."""
RUN_SECONDS: Final = "run_seconds"
READ: Final = "read"
"""Records that the source delivered."""
CORE: Final = "core"
"""`core.create`: records of the core."""
REQUESTS: Final = "requests"
"""`requests.answered`, `.refused`, `.unanswered`, `.limited`: what came of them."""
RETRIES: Final = "retries"
"""Requests that were sent once more after one that failed."""
REQUEST_SECONDS: Final = "request_seconds"
"""`request_seconds.wait`: for the rate budget and a place; `.answer`: for the source."""


def add(work: Work, koppeling_id: int, counts: Mapping[str, float]) -> None:
    """Count, in the transaction that is open."""
    rows = sorted((koppeling_id, name, float(count)) for name, count in counts.items() if count)
    if not rows:
        return
    places = ", ".join("(?, ?, ?)" for _ in rows)
    work.execute(
        f"INSERT INTO koppeling_total (koppeling_id, name, value) VALUES {places} "
        "ON CONFLICT (koppeling_id, name) DO UPDATE SET value = koppeling_total.value "
        "+ excluded.value",
        [value for row in rows for value in row],
    )


def totals(work: Work, koppelingen: Sequence[int]) -> dict[int, dict[str, float]]:
    """Koppeling id → name → count."""
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for number, name, value in work.execute(
        "SELECT koppeling_id, name, value FROM koppeling_total "
        f"WHERE {work.many('koppeling_id')} ORDER BY koppeling_id, name",
        (work.values(koppelingen),),
    ):
        found[number][name] = float(value)
    return found
