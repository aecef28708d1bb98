"""What installed packages offer under an entry point group: parts of the hub, by system.

One that cannot be loaded hinders no other: it is kept with the reason.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from config.errors import ConfigurationError
from config.nearest import choice

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What the entry points of one environment give.

    Attributes:
        kind: what is offered, for messages: `connector`, `mapping`.
        installed: by system name, sorted.
        broken: entry point name → why it cannot be used.
    """

    kind: str
    installed: Mapping[str, T]
    broken: Mapping[str, str] = field(default_factory=dict)

    def of(self, system: str) -> T:
        """What is offered for one system.

        Raises: ConfigurationError if no installed package offers it, or its package is broken.
        """
        if system in self.installed:
            return self.installed[system]
        if system in self.broken:
            reason = self.broken[system]
            raise ConfigurationError(
                f"the {self.kind} {system!r} is installed but cannot be used: {reason}",
                advice="Het pakket van deze koppeling is niet goed geïnstalleerd. Laat ops het "
                "opnieuw installeren.",
            )
        names = ", ".join(self.installed) or "-"
        raise ConfigurationError(
            f"there is no {self.kind} {system!r}; installed: {names}",
            advice=choice(system, self.installed),
        )


@lru_cache(maxsize=8)
def _declared(
    look: Callable[..., Iterable[EntryPoint]], group: str, path: tuple[str, ...]
) -> tuple[EntryPoint, ...]:
    """What the packages on this path declare; to ask them all takes longer than most commands."""
    return tuple(look(group=group))


def find(
    group: str,
    kind: str,
    *,
    check: Callable[[object, str], T | str],
    points: Iterable[EntryPoint] | None = None,
    only: str = "",
) -> Found[T]:
    """Load what is installed under a group.

    Args:
        group: of the entry points.
        kind: what they offer.
        check: (what was loaded, name of its entry point) → the part, or why it is none.
        points: in place of those of this environment.
        only: load nothing but what has this name; empty for everything.
    """
    installed: dict[str, T] = {}
    broken: dict[str, str] = {}
    path = tuple(sys.path)
    for point in _declared(entry_points, group, path) if points is None else points:
        if only and point.name != only:
            continue
        try:
            loaded = check(point.load(), point.name)
        except Exception as exc:  # noqa: BLE001 - another package's import may raise anything
            loaded = f"loading it raised {type(exc).__name__}"
        if isinstance(loaded, str):
            broken[point.name] = loaded
        elif point.name in installed and installed[point.name] is not loaded:
            broken[point.name] = f"two packages declare a {kind} of this name"
        else:
            installed[point.name] = loaded
    for name, reason in sorted(broken.items()):
        _log.warning("%s %s cannot be used: %s", kind, name, reason)
    return Found(kind, dict(sorted(installed.items())), dict(sorted(broken.items())))
