"""How the systems that are read are spared: limits over all workers, and when a koppeling stops."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.duration import Duration
from config.frozen import Frozen
from config.sources import Name

Count = Annotated[int, Field(ge=1, le=1000)]


class SystemPoliteness(Frozen):
    """What holds for one system; None is as for all."""

    simultaneous_runs: Count | None = None


class Politeness(Frozen):
    """What holds for all systems.

    Attributes:
        simultaneous_runs: runs of one system at once, over all workers and machines.
        opens_after: requests in a row that a host did not answer, before nobody asks it any more.
        pause: how long it is not asked then; after that one request decides.
        off_after: failed runs in a row, by the clock, after which a koppeling is switched off.
        refused_after: the same, where its credentials or its settings are what is wrong.
        off_over: what may pass by itself (no answer, too busy) switches off only when it lasts so
            long.
        systems: limits of single systems, by name.
    """

    simultaneous_runs: Count
    opens_after: Count
    pause: Duration
    off_after: Count
    refused_after: Count
    off_over: Duration
    systems: dict[Name, SystemPoliteness] = Field(default_factory=dict)

    def runs_of(self, system: str) -> int:
        """How many runs of a system may be under way at once."""
        own = self.systems.get(system)
        limit = None if own is None else own.simultaneous_runs
        return self.simultaneous_runs if limit is None else limit
