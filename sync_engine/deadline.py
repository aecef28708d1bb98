"""Until when a run may go on reading: its time is up, or its process is asked to stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from config.clock import Clock

Stop = Callable[[], bool]
"""Whether the process is asked to stop; cheap, and safe to ask from any thread."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


class Deadline:
    """Until when.

    Args:
        clock: measures.
        limit: from now.
        stop: asked each time.
    """

    def __init__(self, clock: Clock, limit: timedelta, *, stop: Stop = never) -> None:
        self._clock, self._stop = clock, stop
        self._at = clock.monotonic() + limit.total_seconds()
        self.stopped = False

    def is_over(self) -> bool:
        """Whether to end here; `stopped` says that it was because the process is asked to."""
        self.stopped = self.stopped or self._stop()
        return self.stopped or self._clock.monotonic() >= self._at
