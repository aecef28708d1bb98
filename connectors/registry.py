"""Finds connectors through entry points; our own are declared the same way as another package's."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from config.errors import ConfigurationError
from connectors.base import ConnectorFactory, Manifest

GROUP: Final = "koppelhub.connectors"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What the entry points of one environment give.

    Attributes:
        factories: by system name, sorted.
        broken: entry point name → why it cannot be used; it does not hinder the others.
    """

    factories: Mapping[str, ConnectorFactory]
    broken: Mapping[str, str] = field(default_factory=dict)


def find(points: Iterable[EntryPoint] | None = None) -> Found:
    """Load every connector that is installed; one that cannot be loaded breaks no other."""
    factories: dict[str, ConnectorFactory] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        loaded = _load(point)
        if isinstance(loaded, str):
            broken[point.name] = loaded
        elif point.name in factories and factories[point.name] is not loaded:
            broken[point.name] = "two packages declare a connector of this name"
        else:
            factories[point.name] = loaded
    for name, reason in sorted(broken.items()):
        _log.warning("connector %s cannot be used: %s", name, reason)
    return Found(dict(sorted(factories.items())), dict(sorted(broken.items())))


def _load(point: EntryPoint) -> ConnectorFactory | str:
    try:
        loaded = point.load()
    except Exception as exc:  # noqa: BLE001 - another package's import may raise anything
        return f"loading it raised {type(exc).__name__}"
    manifest = getattr(loaded, "manifest", None)
    if not isinstance(manifest, Manifest) or not callable(getattr(loaded, "connect", None)):
        return "it names no connector factory"
    if manifest.system != point.name:
        return "its manifest names another system"
    return cast(ConnectorFactory, loaded)


def factory(system: str, *, found: Found | None = None) -> ConnectorFactory:
    """The factory of one system.

    Raises: ConfigurationError if no installed package offers it, or its package is broken.
    """
    known = found if found is not None else find()
    if system in known.factories:
        return known.factories[system]
    names = ", ".join(known.factories) or "-"
    if system in known.broken:
        reason = known.broken[system]
        message = f"the connector {system!r} is installed but cannot be used: {reason}"
        raise ConfigurationError(
            message,
            advice="Het pakket van deze koppeling is niet goed geïnstalleerd. Laat ops het opnieuw "
            "installeren.",
        )
    message = f"there is no connector {system!r}; installed: {names}"
    raise ConfigurationError(message, advice=f"Kies een van de geïnstalleerde systemen: {names}.")
