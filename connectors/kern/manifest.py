"""What the tracking application can be asked, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.base import (
    Budget,
    Capability,
    DataClass,
    DeletionSign,
    Keeps,
    Manifest,
    Resource,
    Setting,
)
from connectors.kern.records import MODELS, SPECIAL
from connectors.protocols.parsing import field_paths
from connectors.protocols.settings import Given

SYSTEM: Final = "kern"
_CAN: Final = frozenset(
    {Capability.CHECK, Capability.SNAPSHOT, Capability.DELTA, Capability.LOOKUP}
)
_IDENTIFIERS: Final = frozenset({"key", "eck_id", "leerlingnummer", "personeelsnummer"})
_ORGANISATION: Final = frozenset(
    {"bevoegd_gezag", "instelling", "vestiging", "schooljaar", "opleiding", "vak", "toets"}
)


def _data_class(resource: str, path: str) -> DataClass:
    if path in SPECIAL:
        return DataClass.SPECIAL
    if resource in _ORGANISATION:
        return DataClass.ORGANISATION
    return DataClass.IDENTIFIER if path in _IDENTIFIERS else DataClass.PERSON


MANIFEST: Final = Manifest(
    system=SYSTEM,
    title="De eigen applicatie (kern)",
    specification="Koppelhub inbox v1",
    resources=tuple(
        Resource(
            name,
            "key",
            _CAN,
            DeletionSign.TOMBSTONE,
            {path: _data_class(name, path) for path in field_paths(model)},
        )
        for name, model in MODELS.items()
    ),
    budget=Budget(per_second=1000.0, simultaneous=4),
    settings=(
        Setting(
            "token",
            "What the application shows on HTTP; without it HTTP is refused",
            required=False,
            secret=True,
        ),
        Setting(
            "numbers_of",
            "Koppeling that issued the leerlingnummers that the application sends",
            required=False,
        ),
    ),
    rights=("Geen: de applicatie schrijft zelf in de inbox (docs/kern.md).",),
    keeps=frozenset({Keeps.INBOX}),
)

_SHORTEST_TOKEN: Final = 32


def read_options(options: Mapping[str, str]) -> Given:
    """The settings, checked. Raises: ConfigurationError, which names the setting and the rule."""
    given = Given(options, manifest=MANIFEST)
    token = given.text("token")
    if token and (len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise given.wrong("token", f"must be at least {_SHORTEST_TOKEN} plain signs")
    return given
