"""A groep by what a person has in hand, and the source records of a groep and of its members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec

from config.clock import local_date
from connectors.base import Completeness, DeliveryContract, Page, Reading, Scope
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from mappings.normalise import match_form
from sector.identifiers import Schooljaar
from sync_engine.context import Context, chunks, salts_of
from sync_engine.errors import SyncError
from sync_engine.find import read_hub_key
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.places import own_keys, places
from sync_engine.store.work import Work

Wanted = tuple[Scope, tuple[str, ...]]
"""A scope, and the source keys of the records in it to look up."""

_GROEP: Final = str(Entity.GROEP)
_MEMBERS: Final = {
    name: description.target
    for name, description in fields_of(Entity.GROEP).items()
    if description.kind is Kind.MEMBERS and description.target is not None
}
_NEW: Final = (
    "Is de groep nieuw in de bron, haal dan eerst alle groepen op: `koppelhub sync --entity`."
)


# -- by what a person has in hand ------------------------------------------------------------------


def find_groups(hub: Hub, koppeling: str, wanted: Sequence[str]) -> tuple[int, ...]:
    """Core ids of the groepen that a person means.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        wanted: for each a hub key, the source's own key, or the name of a stamgroep or lesgroep of
            the current schooljaar; a name that several groepen have means them all.

    Raises: SyncError if this koppeling knows none of it; its advice names what comes nearest.
    """
    row = hub.koppeling(koppeling)
    today = local_date(hub.clock.now(), hub.settings.timezone)
    with hub.store.work() as work:
        names = _names(work, row.id, schooljaar=Schooljaar.of(today).reveal())
        found: list[int] = []
        for text in wanted:
            # a name goes before a key: a groep may be called as keys are shaped
            known = _named(names, text) or _by_key(work, row.id, text.strip())
            known = known or _spelled(names, text)
            if not known:
                raise SyncError(
                    f"{koppeling} knows no groep of that name or key in this schooljaar",
                    advice=_nearest(text, names),
                )
            found += known
    return tuple(dict.fromkeys(found))


def _names(work: Work, koppeling_id: int, *, schooljaar: str) -> dict[str, list[int]]:
    """Name → core ids of the groepen of one koppeling in one schooljaar."""
    found: dict[str, list[int]] = defaultdict(list)
    for core_id, name in work.rows(
        "SELECT DISTINCT g.id, g.naam FROM link l JOIN groep g ON g.id = l.core_id "
        "WHERE l.koppeling_id = ? AND l.entity = ? AND g.naam IS NOT NULL "
        "AND (g.schooljaar = ? OR g.schooljaar IS NULL) ORDER BY g.id",
        (koppeling_id, _GROEP, schooljaar),
    ):
        found[name].append(core_id)
    return found


def _named(names: Mapping[str, Sequence[int]], text: str) -> list[int]:
    """The groepen of that name, in capitals or not."""
    name = text.strip().casefold()
    return [core_id for known in names if known.casefold() == name for core_id in names[known]]


def _spelled(names: Mapping[str, Sequence[int]], text: str) -> list[int]:
    """The groepen whose name differs in signs only."""
    form = match_form(text)
    near = [name for name in names if form and match_form(name) == form]
    return [core_id for name in near for core_id in names[name]]


def _by_key(work: Work, koppeling_id: int, text: str) -> list[int]:
    """Core ids of the groep with this hub key, canonical key or key of its raw record."""
    core_id = read_hub_key(text)
    if core_id is not None:
        alias = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
        core_id = alias[0][0] if alias else core_id
        rows = work.execute(
            "SELECT DISTINCT core_id FROM link WHERE core_id = ? AND koppeling_id = ? "
            "AND entity = ?",
            (core_id, koppeling_id, _GROEP),
        )
        return [row[0] for row in rows]
    rows = work.execute(
        "SELECT core_id FROM link WHERE koppeling_id = ? AND entity = ? AND source_key = ? "
        "UNION SELECT l.core_id FROM scope p JOIN source_record r ON r.scope_id = p.id "
        "JOIN shadow s ON s.record_id = r.id JOIN link l ON l.koppeling_id = s.koppeling_id "
        "AND l.entity = s.entity AND l.source_key = s.source_key "
        "WHERE p.koppeling_id = ? AND r.source_key = ? AND s.entity = ?",
        (koppeling_id, _GROEP, text, koppeling_id, text, _GROEP),
    )
    return [row[0] for row in rows]


def _nearest(text: str, names: Mapping[str, object]) -> str:
    """Advice that names the groepen whose names look like what was typed."""
    forms = {match_form(name): name for name in sorted(names, reverse=True)}
    near = get_close_matches(match_form(text), forms, n=5, cutoff=0.5)
    if not near:
        return f"Controleer de naam; de hub kent {len(names)} namen van groepen. {_NEW}"
    return f"Bedoelt u: {', '.join(sorted(forms[form] for form in near))}? {_NEW}"


# -- what to look up -------------------------------------------------------------------------------


class GroupLookup:
    """Which records to look up for some groepen: first their own, then those of their members.

    Args:
        context: of the run.
        groups: core ids.
        scopes: what may be read, in the order in which it is read.
    """

    def __init__(self, context: Context, groups: Sequence[int], scopes: Sequence[Scope]) -> None:
        self._context = context
        self._groups = groups
        self._scopes = scopes

    def rounds(self) -> Iterator[list[Wanted]]:
        """Two rounds: the second counts on the first having been received."""
        context, scopes = self._context, self._scopes
        keys = keys_of(context, Entity.GROEP, self._groups)
        own = places(context, Entity.GROEP, keys)
        yield placed(scopes, [(context.scopes[p.scope_id], p.raw_key) for p in own])
        near = {context.scopes[place.scope_id].key for place in own}
        wanted: list[tuple[Scope, str]] = []
        for entity, members in self._members(keys).items():
            known = places(context, entity, sorted(members))
            wanted += [(context.scopes[p.scope_id], p.raw_key) for p in known]
            raw = {place.key: place.raw_key for place in known}
            there = beside(context, entity, scopes, near=near)
            wanted += [(scope, raw.get(key, key)) for key in sorted(members) for scope in there]
        yield placed(scopes, wanted)

    def _members(self, keys: Sequence[str]) -> dict[Entity, set[str]]:
        """Keys of those whom the core has in these groepen, and whom the source has there now."""
        context, work = self._context, self._context.work
        found: dict[Entity, set[str]] = defaultdict(set)
        people: set[int] = set()
        for part in chunks(self._groups):
            people.update(
                row[0]
                for row in work.execute(
                    "SELECT DISTINCT persoon_id FROM groepsdeelname "
                    f"WHERE NOT beeindigd AND {work.many('groep_id')}",
                    (work.values(part),),
                )
            )
        for entity in sorted(set(_MEMBERS.values())):
            found[entity].update(keys_of(context, entity, sorted(people)))
        for form in _received(context, keys):
            for name, entity in _MEMBERS.items():
                listed = form.get(name)
                if isinstance(listed, list):
                    found[entity].update(str(key) for key in listed)
        return found


def keys_of(context: Context, entity: Entity, cores: Sequence[int]) -> list[str]:
    """The keys under which the running koppeling knows core records."""
    keys = own_keys(context, entity, cores)
    return sorted(key for own in keys.values() for key in own)


def beside(
    context: Context, entity: Entity, scopes: Sequence[Scope], *, near: set[str]
) -> list[Scope]:
    """Scopes where records of an entity stand that came just now: in the parts that are named.

    A source whose parts have other names per resource is asked in all of them.
    """
    rows = context.mapping.describe()
    names = {r.resource for r in rows if r.entity is entity and not r.list} or {str(entity)}
    every = [scope for scope in scopes if scope.resource in names]
    return [scope for scope in every if scope.key in near] or every


def placed(scopes: Sequence[Scope], wanted: Sequence[tuple[Scope, str]]) -> list[Wanted]:
    """Keys by scope, in the order in which scopes are read; what is not listed is left out."""
    keys: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for scope, key in wanted:
        keys[scope.resource, scope.key][key] = None
    return [
        (scope, tuple(found))
        for scope in scopes
        if (found := keys.get((scope.resource, scope.key)))
    ]


def _received(context: Context, keys: Sequence[str]) -> Iterator[Mapping[str, Json]]:
    """What the source says of these groepen now."""
    work = context.work
    for part in chunks(keys):
        rows = work.execute(
            "SELECT id, record_id, received FROM v_shadow WHERE koppeling_id = ? AND entity = ? "
            f"AND {work.many('source_key')}",
            (context.koppeling.id, _GROEP, work.values(part)),
        )
        salts = salts_of(context, [row[1] for row in rows])
        for number, record, blob in rows:
            salt = salts.get(record)
            if salt is not None:
                plain = context.cipher.person(salt).decrypt(blob, b"shadow|%d" % number)
                yield msgspec.json.decode(plain)


class Picked:
    """Some records of a whole reading, for a source that cannot be asked for them alone.

    Never complete; it ends as soon as all of them were met.

    Args:
        reading: of the smallest scope that holds them.
        keys: of the records.
    """

    def __init__(self, reading: Reading, keys: Sequence[str]) -> None:
        self._reading = reading
        self._keys = frozenset(keys)

    @property
    def contract(self) -> DeliveryContract:
        """The terms of the whole reading."""
        return self._reading.contract

    @property
    def completeness(self) -> Completeness:
        """Not met is not gone."""
        return Completeness(False, "only some records were asked")

    def __iter__(self) -> Iterator[Page]:
        """Each page, with nothing in it that was not asked."""
        left = set(self._keys)
        for page in self._reading:
            found = {
                key: body
                for key, body in zip(page.keys, page.bodies, strict=True)
                if key in self._keys
            }
            yield Page(list(found), list(found.values()))
            left -= found.keys()
            if not left:
                return
