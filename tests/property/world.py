"""What the sources of the state machine may say, and the core as it stands, laid beside the oracle.

The pools are small, so that keys meet, contradict and bridge; names are either equal or unlike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity, Field, Kind
from mappings.canonical.schema import fields_of
from mappings.mapping import Strength
from tests.property.history import Member, Node, Row
from tests.property.identity import NUMBERS
from tests.support.hubs import Bench
from tests.support.memory import MemoryMapping, MemorySource

ENTITIES = (
    Entity.VESTIGING,
    Entity.OPLEIDING,
    Entity.VAK,
    Entity.MEDEWERKER,
    Entity.LEERLING,
    Entity.VERZORGER,
    Entity.GROEP,
    Entity.INSCHRIJVING,
    Entity.VERZORGER_RELATIE,
)
WEAK = {Entity.LEERLING: {"roepnaam": Strength.WEAK, "adres_geheim": Strength.STRONG}}
ECK = [f"https://ketenid.nl/pilot/{digit * 128}" for digit in "ab"]
BSN = synthetic_bsn(1)
KEYS = {entity: [f"{entity[:2]}{number}" for number in range(3)] for entity in ENTITIES}


def sources() -> dict[str, MemorySource]:
    """Three: the second has two scopes, the mapping of the third insists less and more."""
    return {
        "s0": MemorySource(ENTITIES, page_size=1),
        "s1": MemorySource(ENTITIES, scope_keys=("hoofd", "volgend"), page_size=2),
        "s2": MemorySource(ENTITIES, system="zwak"),
    }


def mappings() -> list[MemoryMapping]:
    """Of the systems that are not plain."""
    return [MemoryMapping("zwak", {e: dict(fields) for e, fields in WEAK.items()})]


def _one(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def _to(entity: Entity) -> st.SearchStrategy[Any]:
    return st.sampled_from([*KEYS[entity], "never"])


def _members(entity: Entity) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.lists(_to(entity), unique=True, max_size=3))


_ADRES = _one(
    None, {"straat": "Kade", "postcode": "1234AB"}, {"straat": "Dam", "postcode": "9876ZZ"}
)
_FROM, _TO = _one(None, "2026-08-01"), _one(None, "2026-09-01", "2027-08-01")

RECORDS: dict[Entity, st.SearchStrategy[dict[str, Any]]] = {
    Entity.VESTIGING: st.fixed_dictionaries(
        {"naam": _one("Haven", "Dijk")}, optional={"vestigingsnummer": _one("99XX01", "99XX02")}
    ),
    Entity.OPLEIDING: st.fixed_dictionaries(
        {"naam": _one("Havo", "Vwo"), "vestiging": _to(Entity.VESTIGING)},
        optional={"code": _one("0150", "0171"), "afkorting": _one("h", "v")},
    ),
    Entity.VAK: st.fixed_dictionaries(
        {"naam": _one("Nederlands", "Wiskunde"), "vestiging": _to(Entity.VESTIGING)},
        optional={"code": _one("0011", "0022"), "afkorting": _one("ne", "wi")},
    ),
    Entity.MEDEWERKER: st.fixed_dictionaries(
        {"achternaam": _one("Smit", "Visser")},
        optional={
            "eck_id": _one(*ECK),
            "personeelsnummer": _one("p1", "p2"),
            "roepnaam": _one("Jan", "Els"),
            "geboortedatum": _one("1980-01-01"),
            "hoofdvestiging": _to(Entity.VESTIGING),
            "email": _one("smit@school.example"),
            "geldig_tot": _TO,
        },
    ),
    Entity.LEERLING: st.fixed_dictionaries(
        {"achternaam": _one("Jansen", "Bakker")},
        optional={
            "roepnaam": _one("Anna", "Piet"),
            "geboortedatum": _one("2012-03-04", "2013-05-06"),
            "leerlingnummer": _one("101", "102"),
            "eck_id": _one(*ECK),
            "bsn": _one(BSN),
            "email": _one("a@thuis.example", "b@thuis.example"),
            "mobiel": _one("+31612345678"),
            "telefoon_geheim": st.booleans(),
            "adres": _ADRES,
            "adres_geheim": st.booleans(),
        },
    ),
    Entity.VERZORGER: st.fixed_dictionaries(
        {"achternaam": _one("Jansen", "Mol")},
        optional={
            "email": _one("ouder@thuis.example"),
            "mobiel": _one("+31687654321"),
            "roepnaam": _one("Kim", "Bo"),
            "adres": _ADRES,
            "adres_geheim": st.booleans(),
        },
    ),
    Entity.GROEP: st.fixed_dictionaries(
        {
            "naam": _one("1A", "1B"),
            "soort": _one("stamgroep"),
            "schooljaar": _one("2026/2027"),
            "vestiging": _to(Entity.VESTIGING),
        },
        optional={
            "vak": _to(Entity.VAK),
            "leerlingen": _members(Entity.LEERLING),
            "docenten": _members(Entity.MEDEWERKER),
            "geldig_van": _FROM,
            "geldig_tot": _TO,
        },
    ),
    Entity.INSCHRIJVING: st.fixed_dictionaries(
        {"leerling": _to(Entity.LEERLING), "vestiging": _to(Entity.VESTIGING)},
        optional={
            "opleiding": _to(Entity.OPLEIDING),
            "stamgroep": _to(Entity.GROEP),
            "mentor": _to(Entity.MEDEWERKER),
            "leerjaar": _one(1, 2),
            "geldig_van": _FROM,
            "geldig_tot": _TO,
        },
    ),
    Entity.VERZORGER_RELATIE: st.fixed_dictionaries(
        {"verzorger": _to(Entity.VERZORGER), "leerling": _to(Entity.LEERLING)},
        optional={"ouderlijk_gezag": st.booleans()},
    ),
}

FAMILY = st.tuples(
    st.fixed_dictionaries(
        {"achternaam": _one("Jansen"), "geboortedatum": _one("2012-03-04")},
        optional={"eck_id": _one(*ECK)},
    ),
    st.fixed_dictionaries(
        {"achternaam": _one("Jansen", "Mol")},
        optional={"email": _one("ouder@thuis.example"), "mobiel": _one("+31687654321")},
    ),
)

RECORD = st.sampled_from(ENTITIES).flatmap(
    lambda entity: st.tuples(st.just(entity), st.integers(0, 2), RECORDS[entity])
)
SOME = st.lists(RECORD, min_size=1, max_size=5)
SCHOOL = st.lists(RECORD, min_size=4, max_size=16)

PINNABLE = {
    "roepnaam": _one("Pin", None),
    "email": _one("pin@thuis.example"),
    "adres_geheim": st.booleans(),
}

POLICIES: list[dict[str, list[str]]] = [
    {},
    {"*": ["s2", "s1", "s0"]},
    {"leerling": ["s1"], "groep": ["s2"]},
    {"leerling.roepnaam": ["s1", "s2"], "*": ["s2"]},
]


def groups(bench: Bench) -> dict[int, frozenset[Node]]:
    """Core id → the source records that are linked to it."""
    found: dict[int, set[Node]] = {}
    for source, entity, key, core_id in bench.query(
        "SELECT k.name, l.entity, l.source_key, l.core_id FROM link l "
        "JOIN koppeling k ON k.id = l.koppeling_id"
    ):
        found.setdefault(core_id, set()).add((source, entity, key))
    return {core_id: frozenset(nodes) for core_id, nodes in found.items()}


def core_tables(bench: Bench, names: Mapping[int, Node]) -> dict[Node, Row]:
    """Every row of every core table by field; what stands in it twice must agree.

    Args:
        bench: the hub.
        names: core id → what the oracle calls it.
    """
    rows: dict[Node, Row] = {}
    parts = _parts(bench, names)
    for entity in Entity:
        fields = fields_of(entity)
        columns = {f"{n}_id" if d.kind is Kind.REFERENCE else n: n for n, d in _plain(entity)}
        for core_id, *values in bench.query(
            f"SELECT {', '.join(('id', *PERIOD, *columns))} FROM {entity}"
        ):
            row: Row = dict(zip((*PERIOD, *columns.values()), values, strict=True))
            row["tot_afgeleid"] = bool(row["tot_afgeleid"])
            own = parts.pop(core_id, {})
            for name, description in fields.items():
                value: Any = row.get(name)
                match description.kind:
                    case Kind.REFERENCE:
                        row[name] = value and names.get(value, value)
                    case Kind.BOOLEAN:
                        row[name] = None if value is None else bool(value)
                    case Kind.CONTACT | Kind.ADDRESS:
                        row[name], secret = own.pop(name, (None, None))
                        hidden = bool(row.get(description.hidden_by))
                        assert row[name] is None or secret == hidden, (entity, name)
                    case Kind.IDENTIFIER:
                        row[name] = own.pop(name, {} if name in NUMBERS else None)
                    case Kind.PSEUDONYM:  # of a koppeling that adds (test_adding.py)
                        row[name] = None
                    case Kind.MEMBERS:
                        row[name] = own.pop(name, {})
                        ends = {tuple(end) for end in row[name].values()}
                        assert ends <= {(row["geldig_tot"], row["tot_afgeleid"])}, name
                        row[name] = set(row[name])
                    case _:
                        pass
            assert not own, f"parts of another entity: {own}"
            rows[names.get(core_id, ("?", str(entity), str(core_id)))] = row
    assert not parts, f"parts of nobody: {parts}"
    return rows


def members(bench: Bench, names: Mapping[int, Node]) -> dict[Member, list[Any]]:
    """From when until when somebody is a member of a group, the oldest period first."""
    found: dict[Member, list[Any]] = {}
    for group, role, person, start, end, ended in bench.query(
        "SELECT groep_id, rol, persoon_id, geldig_van, geldig_tot, beeindigd FROM groepsdeelname "
        "ORDER BY id"
    ):
        member = (names[group], FIELDS["groep", Kind.MEMBERS, role], names[person])
        found.setdefault(member, []).append((start, end if ended else None))
    return found


PERIOD = ("geldig_van", "geldig_tot", "tot_afgeleid")
PARTS = ("straat", "huisnummer", "toevoeging", "postcode", "woonplaats", "land", "regels")
APART = {  # have tables of their own
    Kind.CONTACT,
    Kind.ADDRESS,
    Kind.IDENTIFIER,
    Kind.PSEUDONYM,
    Kind.MEMBERS,
}
FIELDS = {
    (str(entity), description.kind, description.role): name
    for entity in Entity
    for name, description in fields_of(entity).items()
    if description.kind in APART
}


def _plain(entity: Entity) -> list[tuple[str, Field]]:
    return [
        (name, description)
        for name, description in fields_of(entity).items()
        if description.kind not in APART and name not in PERIOD
    ]


def _parts(bench: Bench, names: Mapping[int, Node]) -> dict[int, Row]:
    """Core id → field → what the tables of contacts, addresses, numbers and members hold of it."""
    found: dict[int, Row] = {}

    def add(owner: int, kind: Kind, role: str) -> tuple[Row, str]:
        entity = names[owner][1] if owner in names else "?"
        return found.setdefault(owner, {}), FIELDS.get((entity, kind, role), f"? {role}")

    for owner, role, text, secret in bench.query(
        "SELECT eigenaar_id, soort, waarde, geheim FROM contactgegeven"
    ):
        row, name = add(owner, Kind.CONTACT, role)
        assert name not in row, f"a contact twice: {role}"
        row[name] = (text, bool(secret))
    for owner, role, secret, *values in bench.query(
        f"SELECT eigenaar_id, soort, geheim, {', '.join(PARTS)} FROM adres"
    ):
        row, name = add(owner, Kind.ADDRESS, role)
        assert name not in row, f"an address twice: {role}"
        told = {part: value for part, value in zip(PARTS, values, strict=True) if value is not None}
        row[name] = (told, bool(secret))
    issuers: dict[int, str] = dict(bench.query("SELECT id, name FROM koppeling"))
    for (owner, role, issuer), text in bench.identifiers().items():
        row, name = add(owner, Kind.IDENTIFIER, role)
        assert issuer or name not in row, f"a number twice: {role}"
        row[name] = row.get(name, {}) | {issuers[issuer]: text} if issuer else text
    for group, role, person, end, inferred in bench.query(
        "SELECT groep_id, rol, persoon_id, geldig_tot, tot_afgeleid FROM groepsdeelname "
        "WHERE NOT beeindigd"
    ):
        row, name = add(group, Kind.MEMBERS, role)
        who = names.get(person, ("?", "", str(person)))
        assert who not in row.setdefault(name, {}), f"a member twice: {role}"
        row[name][who] = (end, bool(inferred))
    return found
