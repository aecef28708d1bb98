"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

Progress = Callable[[str, str, int], None]
"""Called with (phase, what, records so far); for progress bars."""


class Kind(StrEnum):
    """What kind of run."""

    FULL = "full"
    DELTA = "delta"
    ONLY = "only"
    APPLY = "apply"
    REPLAY = "replay"
    ADOPT = "adopt"


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        kind: everything, what changed, some records, an approved plan, what the archive
            holds, or what stood in the core before any source.
        resources: names as the source names them; empty for all that are configured.
        only: source keys to look up (kind ONLY), of the resources named.
        groups: core ids of groepen to look up with their members (kind ONLY).
        since: only payloads that were stored on this day or later (kind REPLAY).
        brins: BRINs or vestigingsnummers to select scopes by; empty for all.
        dry: stop before anything is written but the plan.
        plan_only: stop before anything is applied; `plan apply` goes on.
        approved: plan to apply (kind APPLY).
        time_limit: after this the run ends by itself, cleanly.
        operator: who asked for it.
    """

    kind: Kind = Kind.FULL
    resources: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    since: date | None = None
    brins: tuple[str, ...] = ()
    dry: bool = False
    plan_only: bool = False
    approved: int | None = None
    time_limit: timedelta | None = None
    operator: str = "system"
