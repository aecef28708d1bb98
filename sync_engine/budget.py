"""A rate budget and a circuit as values: what stands there, an instant → what stands there then.

Pure, so that any number of workers may share them, each with what it read last: see politeness.py.
Instants are seconds since 1970, of the wall clock: it is the one that machines have in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.base import CircuitState

LONGEST_PAUSE: Final = 86_400.0
MOMENT: Final = 0.001
"""Seconds that do not count: who waited as long as was asked has waited long enough."""
_LARGEST_BATCH: Final = 100
_FURTHEST: Final = 60
"""So many batches ahead of now a budget may be; beyond that a clock was wrong."""


class Budgeted(msgspec.Struct, frozen=True):
    """What is known of one budget.

    Attributes:
        next: from when on a request is free.
        paused: until when the system asked for patience; zero where it did not.
    """

    name: str = ""
    next: float = 0.0
    paused: float = 0.0

    def rest(self, now: float) -> float:
        """Seconds of patience that are left."""
        left = self.paused - now
        return left if MOMENT < left <= LONGEST_PAUSE else 0.0

    def pause(self, now: float, seconds: float) -> Budgeted:
        """The system asks for patience."""
        until = now + min(seconds, LONGEST_PAUSE)
        return Budgeted(self.name, self.next, max(until, now + self.rest(now)))


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many requests a second, with a burst of one second's worth.

    A request is free at an instant, and may go out until `late` seconds after. So in any time of T
    seconds at most `per_second * T + max(1, per_second)` go out, whoever takes them.
    """

    per_second: float

    @property
    def late(self) -> float:
        """How long after its instant a request may still go out."""
        return max(0.0, 1.0 - 1.0 / self.per_second)

    @property
    def batch(self) -> int:
        """How many are taken at once: a second's worth, so that a statement a second is enough."""
        return min(_LARGEST_BATCH, max(1, math.floor(self.per_second)))

    def take(self, budget: Budgeted, now: float) -> tuple[Budgeted, list[float]]:
        """Take a batch: what is left, and the instants from which each request may go out."""
        begin = budget.next
        if begin - now > _FURTHEST * max(1.0, 1.0 / self.per_second):
            begin = now  # some clock was set back
        begin = max(begin, now - self.late)
        free = [begin + n / self.per_second for n in range(self.batch)]
        paused = budget.paused if budget.rest(now) else 0.0
        return Budgeted(budget.name, begin + self.batch / self.per_second, paused), free


class Circuited(msgspec.Struct, frozen=True):
    """What is known of one host of one system.

    Attributes:
        failures: requests in a row that it did not answer.
        opened: since when it is not asked; zero while it is.
        probe: until when one request alone decides; zero where none is under way.
    """

    system: str = ""
    host: str = ""
    failures: int = 0
    opened: float = 0.0
    probe: float = 0.0

    def state(self, now: float, *, pause: float) -> CircuitState:
        """What is done with the next request."""
        if not self.opened:
            return CircuitState.CLOSED
        if MOMENT < self.opened + pause - now <= pause + MOMENT:
            return CircuitState.OPEN
        return CircuitState.HALF_OPEN  # also where some clock was set back

    def is_probed(self, now: float, *, longest: float) -> bool:
        """Whether somebody's request is deciding; one that died with its worker is forgotten."""
        return 0.0 < self.probe - now <= longest

    def probed(self, until: float) -> Circuited:
        """One request goes out to decide."""
        return Circuited(self.system, self.host, self.failures, self.opened, until)

    def failed(self, now: float, *, opens_after: int, decides: bool) -> Circuited:
        """A request was not answered; one that was under way when it opened changes nothing."""
        failures = self.failures + 1
        opens = decides or (not self.opened and failures >= opens_after)
        probe = 0.0 if decides else self.probe
        opened = now if opens else self.opened
        return Circuited(self.system, self.host, failures, opened, probe)

    def answered(self) -> Circuited:
        """It answers: all is as if nothing had been."""
        return Circuited(self.system, self.host)
