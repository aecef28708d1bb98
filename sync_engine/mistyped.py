"""Hub keys and leerlingnummers that differ in one character from what a person typed.

What is suggested are hub keys only: they say nothing of a pupil to who may not look at him.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappings.canonical.fields import Entity
from sync_engine.hub import Hub
from sync_engine.hubkeys import ALPHABET, KEY, hub_key, key_number
from sync_engine.store.work import Work

_LONGEST: Final = 16
_MOST: Final = 3


def meant(hub: Hub, work: Work, text: str, entity: Entity = Entity.LEERLING) -> str:
    """Advice (Dutch): the hub keys that come near to what was typed; empty where none does."""
    if KEY.fullmatch(text.strip()) is not None:
        near = near_hub_keys(hub, work, text, entity)
    else:
        near = near_leerlingnummers(hub, work, text) if entity is Entity.LEERLING else []
    keys = " of ".join(map(hub_key, near))
    return f" Bedoelt u {keys}? Dat scheelt één teken." if keys else ""


def near_hub_keys(hub: Hub, work: Work, text: str, entity: Entity = Entity.LEERLING) -> list[int]:
    """Core ids of records whose hub key differs in one character, or two that changed places.

    Args:
        hub: whose tenants the actor may act for.
        work: of the hub.
        text: a hub key with a wrong check symbol, or of nobody.
        entity: whose key it should be.
    """
    typed = text.strip().upper()
    if len(typed) > _LONGEST:
        return []
    body, head = typed[2:], typed[:2]
    wanted = {
        number
        for near in (body, *_variants(body, ALPHABET))
        if (number := key_number(f"{head}{near}")) is not None
    }
    # a check symbol that is wrong says nothing of the rest
    wanted |= {
        number
        for symbol in ALPHABET
        if (number := key_number(f"{head}{body[:-1]}{symbol}")) is not None
    }
    return _existing(hub, work, wanted, entity)


def near_leerlingnummers(hub: Hub, work: Work, text: str) -> list[int]:
    """Core ids of pupils whose leerlingnummer differs in one digit, or two that changed places."""
    number = text.strip()
    if not number.isdecimal() or len(number) > _LONGEST:
        return []
    mine = list(hub.tenants(work))
    indexes = [
        hub_index
        for koppeling_id, tenant_id in work.execute(
            f"SELECT id, tenant_id FROM koppeling WHERE {work.many('tenant_id')}",
            (work.values(mine),),
        )
        for hub_index in _indexes(hub, tenant_id, koppeling_id, number)
    ]
    if not indexes:
        return []
    work.temp_table("n_index", f"blindindex {work.blob_type}")
    work.load("n_index", ("blindindex",), [(index,) for index in indexes])
    rows = work.execute(
        "SELECT DISTINCT i.eigenaar_id FROM n_index n CROSS JOIN identificatie i "
        "WHERE i.blindindex = n.blindindex AND i.soort = 'leerlingnummer'"
    )
    return _existing(hub, work, {row[0] for row in rows}, Entity.LEERLING)


def _indexes(hub: Hub, tenant_id: int, koppeling_id: int, number: str) -> Iterator[bytes]:
    cipher = hub.cipher(tenant_id)
    for near in _variants(number, "0123456789"):
        yield cipher.index("identificatie/leerlingnummer", str(koppeling_id), near)


def _variants(text: str, alphabet: str) -> Iterator[str]:
    """The text with one character replaced, left out or put in, or two neighbours exchanged."""
    for place in range(len(text) + 1):
        head, this, rest = text[:place], text[place : place + 1], text[place + 1 :]
        for character in alphabet:
            yield f"{head}{character}{this}{rest}"
            yield f"{head}{character}{rest}"
        yield f"{head}{rest}"
        yield f"{head}{rest[:1]}{this}{rest[1:]}"


def _existing(hub: Hub, work: Work, cores: set[int], entity: Entity) -> list[int]:
    rows = work.execute(
        f"SELECT id FROM {entity} WHERE {work.many('id')} AND {work.many('tenant_id')} "
        f"ORDER BY id LIMIT {_MOST}",
        (work.values(sorted(cores)), work.values(list(hub.tenants(work)))),
    )
    return [row[0] for row in rows]
