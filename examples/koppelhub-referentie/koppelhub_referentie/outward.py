"""What the Referentiebron should have of the core: leerlingen who are there, with their verzorgers.

`AFNEMER` at the end is what the entry point names. It says what is done with everything that is
secret; the hub takes away what it may not have, before it asks here for a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from koppelhub_referentie.connector import DELIVERED, SYSTEM
from mappings.canonical.fields import Entity
from mappings.outward import (
    CoreObject,
    CoreRecord,
    Declared,
    Declares,
    Sensitive,
    Treatment,
    Value,
)

VERSION: Final = "1"
"""Raise it when the same leerling is to give another body: every one is then looked at again."""

_FIELDS: Final = ("achternaam", "voorvoegsel", "roepnaam", "geboortedatum", "adres", "telefoon")
_OF_VERZORGERS: Final = ("achternaam", "roepnaam", "telefoon", "adres")


@dataclass(frozen=True, slots=True)
class Afnemer:
    """The Referentiebron as a target."""

    system: str = SYSTEM
    version: str = VERSION
    resource: str = DELIVERED
    entity: Entity = Entity.LEERLING
    reads: frozenset[Entity] = frozenset(
        {Entity.INSCHRIJVING, Entity.VESTIGING, Entity.VERZORGER, Entity.VERZORGER_RELATIE}
    )

    @property
    def declares(self) -> Declares:
        """Nothing secret is sent, and of whom is 18 no verzorgers."""
        return {
            Sensitive.ADRES: Declared(Treatment.WITHHELD, "geheim adres wordt niet verstuurd"),
            Sensitive.TELEFOON: Declared(Treatment.WITHHELD, "geheim nummer wordt niet verstuurd"),
            Sensitive.MEERDERJARIG: Declared(Treatment.WITHHELD, "vanaf 18 zonder verzorgers"),
            Sensitive.GEZAG: Declared(Treatment.WITHHELD, "zonder gezag niet verstuurd"),
        }

    def body(self, thing: CoreObject) -> bytes | None:
        """The leerling, as long as he is there and has an inschrijving that is not over."""
        pupil = thing.record
        day = thing.on.isoformat()
        current = [
            one for one in thing.of(Entity.INSCHRIJVING) if one.until is None or day < one.until
        ]
        if not pupil.is_there(thing.on) or (thing.of(Entity.INSCHRIJVING) and not current):
            return None
        told: dict[str, object] = _told(pupil, _FIELDS)
        places = {one.key: one.text("naam") for one in thing.of(Entity.VESTIGING)}
        for one in current:
            named = places.get(str(one.values.get("vestiging")))
            if named:
                told["vestiging"] = named
        told["verzorgers"] = [_told(v, _OF_VERZORGERS) for v in thing.of(Entity.VERZORGER)]
        return msgspec.json.encode(told, order="deterministic")

    def shown(self, body: bytes) -> Mapping[str, str]:
        """Field → value, as people read it."""
        found: dict[str, str] = {}
        for name, value in msgspec.json.decode(body, type=dict[str, object]).items():
            _show(found, name, value)
        return found


def _told(record: CoreRecord, names: tuple[str, ...]) -> dict[str, object]:
    """Some fields of a record, those that the core has."""
    values: dict[str, Value] = {name: record.values.get(name) for name in names}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Value) -> object:
    """An address without the parts that are empty."""
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if part is not None}
    return value


def _show(found: dict[str, str], name: str, value: object) -> None:
    if isinstance(value, dict):
        for part, one in value.items():
            _show(found, f"{name}.{part}", one)
    elif isinstance(value, list):
        for place, one in enumerate(value, 1):
            _show(found, f"{name}.{place}", one)
    else:
        found[name] = str(value)


AFNEMER: Final = Afnemer()
