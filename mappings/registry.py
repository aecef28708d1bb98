"""Finds mappings through entry points; our own are declared the same way as another package's."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from config.errors import ConfigurationError
from mappings.mapping import TabledMapping

GROUP: Final = "koppelhub.mappings"

_METHODS: Final = ("map", "describe", "trial")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What the entry points of one environment give.

    Attributes:
        mappings: by system name, sorted.
        broken: entry point name → why it cannot be used; it does not hinder the others.
    """

    mappings: Dict[str, TabledMapping]
    broken: Dict[str, str] = field(default_factory=dict)


def find(points: Iterable[EntryPoint] | None = None) -> Found:
    """Load every mapping that is installed; one that cannot be loaded breaks no other."""
    mappings: dict[str, TabledMapping] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        loaded = _load(point)
        if isinstance(loaded, str):
            broken[point.name] = loaded
        elif point.name in mappings and mappings[point.name] is not loaded:
            broken[point.name] = "two packages declare a mapping of this name"
        else:
            mappings[point.name] = loaded
    for name, reason in sorted(broken.items()):
        _log.warning("mapping %s cannot be used: %s", name, reason)
    return Found(dict(sorted(mappings.items())), dict(sorted(broken.items())))


def _load(point: EntryPoint) -> TabledMapping | str:
    try:
        loaded = point.load()
        system, version = getattr(loaded, "system", None), getattr(loaded, "version", None)
    except Exception as exc:  # noqa: BLE001 - another package's import may raise anything
        return f"loading it raised {type(exc).__name__}"
    if not all(callable(getattr(loaded, method, None)) for method in _METHODS):
        return "it names no mapping"
    if not isinstance(version, str) or not version:
        return "its mapping has no version"
    if system != point.name:
        return "its mapping is of another system"
    return cast(TabledMapping, loaded)


def mapping_of(system: str, *, found: Found | None = None) -> TabledMapping:
    """The mapping of one system.

    Raises: ConfigurationError if no installed package offers it, or its package is broken.
    """
    known = found if found is not None else find()
    if system in known.mappings:
        return known.mappings[system]
    names = ", ".join(known.mappings) or "-"
    if system in known.broken:
        message = f"the mapping {system!r} is installed but cannot be used: {known.broken[system]}"
        raise ConfigurationError(
            message,
            advice="Het pakket van deze koppeling is niet goed geïnstalleerd. Laat ops het opnieuw "
            "installeren.",
        )
    message = f"there is no mapping {system!r}; installed: {names}"
    raise ConfigurationError(message, advice=f"Kies een van de geïnstalleerde systemen: {names}.")
