"""Whether a run may begin now: blackout windows, and so many runs of one system at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config.sources import Source
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.schedule.due import free_from
from sync_engine.store.locks import lease

SLOTS: Final = 4
"""Runs of one system at once."""
_SLOT_WAIT: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Postponed:
    """A run that may not begin now.

    Attributes:
        until: when to ask again; None: until a person acts.
        reason: maintenance, switched off, hours, blackout, slots or circuit.
    """

    until: datetime | None
    reason: str


@contextmanager
def admitted(hub: Hub, source: Source, *, by_hand: bool) -> Iterator[Postponed | None]:
    """Hold what a run needs while it runs; None where it may begin.

    Args:
        hub: of the koppeling.
        source: the koppeling.
        by_hand: a person asked for it: no blackout counts.
    """
    now, windows = hub.clock.now(), hub.settings.blackout_of(source)
    free = now if by_hand else free_from(now, zone=hub.settings.timezone, blackout=windows)
    if free > now:
        yield Postponed(free, "blackout")
        return
    with ExitStack() as held:
        for number in range(SLOTS):
            try:
                held.enter_context(lease(hub.store, f"slot-{source.system}-{number}"))
            except RunActiveError:
                continue
            yield None
            return
        yield Postponed(now + _SLOT_WAIT, "slots")
