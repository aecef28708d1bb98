"""The core as it would be without one koppeling: what the rules of correlation would find there.

Whom that koppeling alone tells of is not there, and of nobody is there what it says: neither its
links and keys, nor its part of who others know too. That is folded from what the others say. Laid
over the tables of one connection, for as long as somebody tries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from sqlmodel import SQLModel

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.claims import gather
from sync_engine.context import Context, chunks
from sync_engine.fold import Folded, fold
from sync_engine.herinrichtingen import PERSONS

_NAMES: Final = (
    *("id", "tenant_id", "geboortedatum", "achternaam", "voorvoegsel", "roepnaam", "voornamen"),
    "voorletters",
)
_ADRES: Final = ("eigenaar_id", "soort", "postcode")
_CONTACT: Final = ("eigenaar_id", "soort", "waarde")


def prepare(context: Context) -> None:
    """Make the temporary tables that are read while others are covered, and see who goes."""
    work = context.work
    work.temp_table("t_own", "core_id BIGINT PRIMARY KEY")
    for entity in PERSONS:
        work.temp_like(f"t_{entity}", str(entity), _columns(entity))
    work.temp_like("t_adres", "adres", _ADRES)
    work.temp_like("t_contactgegeven", "contactgegeven", _CONTACT)
    others = [n for n in context.koppelingen if n not in {context.koppeling.id, *context.adding}]
    work.execute(  # who only adds brings nobody
        "INSERT INTO t_own SELECT DISTINCT l.core_id FROM link l WHERE l.koppeling_id = ? "
        "AND NOT EXISTS (SELECT 1 FROM link o WHERE o.core_id = l.core_id "
        f"AND {work.many('o.koppeling_id')})",
        (context.koppeling.id, work.values(others)),
    )


@contextmanager
def without(context: Context) -> Iterator[None]:
    """Read the core as it would be without the koppeling of this context; `prepare` went before.

    Raises: StoreError.
    """
    work = context.work
    with work.covered(_links(context)):
        shared = {
            entity: [
                row[0]
                for row in work.execute(
                    f"SELECT DISTINCT core_id FROM {work.base('link')} WHERE koppeling_id = ? "
                    "AND entity = ? AND core_id NOT IN (SELECT core_id FROM t_own) ORDER BY 1",
                    (context.koppeling.id, str(entity)),
                )
            ]
            for entity in PERSONS
        }
        for entity, cores in shared.items():
            for part in chunks(cores):
                _say_again(context, entity, part)
        with work.covered(_persons(context) | _entities(context)):
            yield


def _columns(entity: Entity) -> list[str]:
    table = SQLModel.metadata.tables[str(entity)]
    return [name for name in _NAMES if name in table.columns]


def _links(context: Context) -> dict[str, str]:
    work, own = context.work, context.koppeling.id
    return {
        name: f"SELECT * FROM {work.base(name)} WHERE koppeling_id <> {own:d} "
        "AND core_id NOT IN (SELECT core_id FROM t_own)"
        for name in ("link", "match_key")
    }


def _entities(context: Context) -> dict[str, str]:
    """Of what is no person: the records that others tell of."""
    return {
        str(entity): f"SELECT * FROM {context.work.base(entity)} "
        "WHERE id NOT IN (SELECT core_id FROM t_own)"
        for entity in Entity
        if entity not in PERSONS
    }


def _persons(context: Context) -> dict[str, str]:
    """Persons as others say them; of their parts what rules look at."""
    base = context.work.base
    found = {}
    told = " UNION ALL ".join(f"SELECT id FROM t_{entity}" for entity in PERSONS)
    for entity in PERSONS:
        names = _columns(entity)
        found[str(entity)] = (
            f"SELECT {', '.join(names)} FROM {base(entity)} "
            f"WHERE id NOT IN (SELECT core_id FROM t_own) AND id NOT IN (SELECT id FROM t_{entity})"
            f" UNION ALL SELECT {', '.join(names)} FROM t_{entity}"
        )
    for name, columns in (("adres", _ADRES), ("contactgegeven", _CONTACT)):
        listed = ", ".join(columns)
        found[name] = (
            f"SELECT {listed} FROM {base(name)} WHERE eigenaar_id NOT IN ({told}) "
            f"UNION ALL SELECT {listed} FROM t_{name}"
        )
    own = context.koppeling.id
    issuers = {context.issuer(n) for n, k in context.scope_koppeling.items() if k != own}
    if own not in issuers:  # nobody else tells of a number that it gave out
        found["identificatie"] = f"SELECT * FROM {base('identificatie')} WHERE uitgever <> {own:d}"
    return found


def _say_again(context: Context, entity: Entity, cores: Sequence[int]) -> None:
    """Write down how others say these persons; of whom they say nothing stays as it is."""
    work = context.work
    said = gather(context, entity, cores, accepted_only=True)
    folded = {
        core_id: fold(entity, claims, pins=said.pins.get(core_id, {}), rules=context.rules())
        for core_id, claims in said.claims.items()
    }
    names = _columns(entity)
    own = {"tenant_id": context.koppeling.tenant_id}
    work.load(
        f"t_{entity}",
        names,
        [
            [{"id": core_id, **own}.get(name, _plain(one, name)) for name in names]
            for core_id, one in folded.items()
        ],
    )
    for table, columns, kind in (
        ("t_adres", _ADRES, Kind.ADDRESS),
        ("t_contactgegeven", _CONTACT, Kind.CONTACT),
    ):
        rows = [
            row for core_id, one in folded.items() for row in _parts(entity, core_id, one, kind)
        ]
        work.load(table, columns, rows)


def _plain(folded: Folded, name: str) -> object:
    value = folded.values.get(name)
    return value if isinstance(value, str) else None


def _parts(
    entity: Entity, core_id: int, folded: Folded, kind: Kind
) -> Iterator[tuple[object, ...]]:
    """(core id, role, postcode or value) of the addresses or contacts of one person."""
    for name, described in fields_of(entity).items():
        value = folded.values.get(name)
        if described.kind is not kind or value is None:
            continue
        if isinstance(value, Mapping):
            value = value.get("postcode")
        yield core_id, described.role, value
