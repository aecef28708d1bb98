"""Health: how the installation and every koppeling are, computed in one place; it only reads.

condition.py is the model, facts.py reads the store, troubles.py judges.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from config.errors import KoppelhubError
from sync_engine.condition import (
    Expiry,
    Health,
    KoppelingHealth,
    LastRun,
    Problem,
    State,
    Trouble,
)
from sync_engine.facts import gather
from sync_engine.hub import Hub
from sync_engine.troubles import ALIVE, Facts, Rules, judge

__all__ = [
    "Expiry",
    "Health",
    "KoppelingHealth",
    "LastRun",
    "Problem",
    "State",
    "Trouble",
    "health",
    "observe",
    "without_database",
]


def health(hub: Hub, *, only: Collection[str] = ()) -> Health:
    """How everything is now that the actor may see.

    Args:
        hub: the installation.
        only: names of koppelingen; empty for all.

    Raises: ConfigurationError for a name that is not there; StoreError where the database does not
        answer.
    """
    return observe(hub, only=only)[1]


def observe(hub: Hub, *, only: Collection[str] = ()) -> tuple[Facts, Health]:
    """What is known, and how that is, for who shows numbers; the rest is as of `health`."""
    sources = [hub.source(name) for name in only] if only else list(hub.sources())
    watch, clock = hub.settings.health, hub.settings.scheduling
    now = hub.clock.now()
    facts = gather(hub, sources, at=now)
    rules = Rules(
        watch.warn_days,
        watch.cases_wait,
        hub.settings.timezone,
        alive=max(ALIVE, clock.stalled_after),
    )
    return facts, judge(facts, rules, at=now)


def without_database(error: KoppelhubError, *, at: datetime) -> Health:
    """What is left to say where the database cannot be used."""
    told = f"de database is niet te gebruiken: {error}. {error.advice}".rstrip()
    problem = Problem(Trouble.DATABASE, State.CRITICAL, told, "koppelhub doctor")
    return Health(at, State.CRITICAL, (problem,), ())
