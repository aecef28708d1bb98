"""Work that waits for its turn without a thread, so that it takes none from the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class Turns:
    """So many at once, each in a thread; the others wait as what they are: a request.

    Args:
        at_once: how many.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._limiter: CapacityLimiter | None = None

    async def carry_out(self, work: Callable[[], T]) -> T:
        """Do it when it is its turn."""
        if self._limiter is None:  # it belongs to the loop that serves
            self._limiter = CapacityLimiter(self._at_once)
        return await to_thread.run_sync(work, limiter=self._limiter)
