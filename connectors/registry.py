"""Finds connectors through entry points; our own are declared the same way as another package's."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Final, TypeAlias, cast

from config import plugins
from connectors.base import ConnectorFactory, Manifest

GROUP: Final = "koppelhub.connectors"

Found: TypeAlias = plugins.Found[ConnectorFactory]


def find(points: Iterable[EntryPoint] | None = None) -> Found:
    """Load every connector that is installed; one that cannot be loaded breaks no other."""
    return plugins.find(GROUP, "connector", check=_check, points=points)


def _check(loaded: object, name: str) -> ConnectorFactory | str:
    manifest = getattr(loaded, "manifest", None)
    if not isinstance(manifest, Manifest) or not callable(getattr(loaded, "connect", None)):
        return "it names no connector factory"
    if manifest.system != name:
        return "its manifest names another system"
    return cast(ConnectorFactory, loaded)


def factory(system: str, *, found: Found | None = None) -> ConnectorFactory:
    """The factory of one system.

    Raises: ConfigurationError if no installed package offers it, or its package is broken.
    """
    return (found if found is not None else find()).of(system)
