"""Finds mappings through entry points; our own are declared the same way as another package's."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Final, TypeAlias, cast

from config import plugins
from mappings.mapping import TabledMapping

GROUP: Final = "koppelhub.mappings"

Found: TypeAlias = plugins.Found[TabledMapping]

_METHODS: Final = ("map", "describe", "trial")


def find(points: Iterable[EntryPoint] | None = None) -> Found:
    """Load every mapping that is installed; one that cannot be loaded breaks no other."""
    return plugins.find(GROUP, "mapping", check=_check, points=points)


def _check(loaded: object, name: str) -> TabledMapping | str:
    system, version = getattr(loaded, "system", None), getattr(loaded, "version", None)
    if not all(callable(getattr(loaded, method, None)) for method in _METHODS):
        return "it names no mapping"
    if not isinstance(version, str) or not version:
        return "its mapping has no version"
    if system != name:
        return "its mapping is of another system"
    return cast(TabledMapping, loaded)


def mapping_of(system: str, *, found: Found | None = None) -> TabledMapping:
    """The mapping of one system.

    Raises: ConfigurationError if no installed package offers it, or its package is broken.
    """
    return (found if found is not None else find()).of(system)
