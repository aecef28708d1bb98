"""Finds mappings through entry points; our own are declared the same way as another package's."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Final, TypeAlias, cast

from config import plugins
from mappings.canonical.fields import Entity
from mappings.mapping import TabledMapping
from mappings.outward import Outward, Sensitive, Treatment

GROUP: Final = "koppelhub.mappings"
OUTWARD: Final = "koppelhub.targets"

Found: TypeAlias = plugins.Found[TabledMapping]
FoundOutward: TypeAlias = plugins.Found[Outward]

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
    """The mapping of one system; those of other systems are not loaded.

    Raises: ConfigurationError if no installed package offers it, or its package is broken.
    """
    if found is None:
        found = plugins.find(GROUP, "mapping", check=_check, only=system)
        if not (found.installed or found.broken):
            found = find()  # says what there is
    return found.of(system)


# -- outward ---------------------------------------------------------------------------------------


def find_outward(points: Iterable[EntryPoint] | None = None) -> FoundOutward:
    """Load every outward mapping that is installed; one that cannot be loaded breaks no other."""
    return plugins.find(OUTWARD, "target", check=check_outward, points=points)


def check_outward(loaded: object, name: str) -> Outward | str:
    """The outward mapping, or why it is none: it must say what it does with all that is secret."""
    if not all(callable(getattr(loaded, method, None)) for method in ("body", "shown")):
        return "it names no outward mapping"
    if not isinstance(getattr(loaded, "entity", None), Entity):
        return "its mapping has no entity"
    if getattr(loaded, "system", None) != name:
        return "its mapping is of another system"
    mapping = cast(Outward, loaded)
    missing = [str(one) for one in Sensitive if one not in mapping.declares]
    if missing:
        return f"it does not say what it does with {', '.join(missing)}"
    for one, declared in mapping.declares.items():
        if declared.treatment is Treatment.SENT and not declared.why.strip():
            return f"it names no law by which {one} is sent"
    return mapping


def outward_of(system: str) -> Outward | None:
    """The outward mapping of one system; None where it has none.

    Raises: ConfigurationError if it has one that cannot be used: nothing is left unsent in silence.
    """
    found = find_outward()
    if system not in found.installed and system not in found.broken:
        return None
    return found.of(system)
