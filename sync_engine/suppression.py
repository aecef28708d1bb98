"""Suppression: who was erased is recognised when a source delivers him again, and is not stored.

An input of correlation, asked before anything is written. A person is recognised by the key of his
koppeling, or by an exact key of design.md's table (a leerlingnummer counts with an equal birth date
only); what is his, by its required reference to him. What the hub keeps of him for that are keyed
digests. Of a record that a source links to somebody already no identifier is asked: an existing
link answers first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import groupby
from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.fold import Json
from sync_engine.nodes import OBTAINED, Node, exact_keys
from sync_engine.project import required_references
from sync_engine.removal import Removal
from sync_engine.sealed import suppression_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work

PERSONS: Final = (Entity.LEERLING, Entity.MEDEWERKER, Entity.VERZORGER)
"""Who can be erased."""
KEY: Final = "sleutel"
"""Kind of a digest: of the key of a person's canonical record."""
RAW: Final = "bron"
"""Kind of a digest: of the key of a record as its source sends it."""
_ALONE: Final = {
    Entity.LEERLING: ("bsn", "onderwijsnummer", "eck_id"),
    Entity.MEDEWERKER: ("eck_id",),
}
"""Identifiers that tell who somebody is wherever they stand."""
KOPPELING_AT: Final = {
    KEY: 2,
    RAW: 2,
    f"{Entity.LEERLING}/leerlingnummer": 1,
    f"{Entity.MEDEWERKER}/personeelsnummer": 1,
}
"""First of some parts → at which place a koppeling stands among them."""
_TOKEN: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9:/._-]{5,}")
COLUMNS: Final = (
    "tenant_id",
    "digest",
    "reason",
    "created_at",
    "erasure",
    "kind",
    "entity",
    "core_id",
    "along",
    "origin",
    "operator",
)

Said = tuple[Entity, str, dict[str, Json]]
"""Entity, source key and form of one canonical record."""
Identity = tuple[Entity, str]


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody is recognised by.

    Attributes:
        along: he went because nobody else needed him.
    """

    kind: str
    entity: str
    digest: bytes
    along: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What a digest says: of which erasure and of whom it is, and whether he went along."""

    erasure: str
    along: bool
    core_id: int


def digest(key: bytes, *parts: str) -> bytes:
    """16 bytes, equal for equal parts under one key."""
    hashed = blake2b(key=key, digest_size=16, person=b"koppelhub-erased")
    for part in parts:
        body = part.encode("utf-8", "surrogatepass")
        hashed.update(len(body).to_bytes(4, "big") + body)
    return hashed.digest()


def key_parts(entity: Entity, koppeling_id: int, key: str) -> tuple[str, ...]:
    """What the digest of a canonical record's key is taken of."""
    return (KEY, str(entity), str(koppeling_id), key)


def raw_parts(resource: str, koppeling_id: int, key: str) -> tuple[str, ...]:
    """What the digest of a source record's key is taken of."""
    return (RAW, resource, str(koppeling_id), key)


def identifier_parts(
    entity: Entity, form: dict[str, Json], issuer: int
) -> Iterator[tuple[str, ...]]:
    """What the digests of a person's identifiers are taken of, by the keys of correlation."""
    if entity not in _ALONE:
        return
    node = Node("", form, gone=False, core_id=None, place=0, issuer=issuer)
    for kind, parts in exact_keys(entity, node, issuer, {}):
        yield (f"{entity}/{'eck_id' if kind == OBTAINED else kind}", *parts)


@dataclass(slots=True)
class Judged:
    """What intake may do with one source record.

    Attributes:
        erased: its canonical records that are of an erased person.
        whole: nothing of it may be stored.
    """

    erased: set[Identity] = field(default_factory=set)
    whole: bool = False


class Suppressions:
    """The erased persons of one tenant, as intake asks for them.

    Attributes:
        counts: entity → canonical records that were not stored.
    """

    def __init__(self, work: Work, tenant_id: int, *, dry: bool, operator: str = "") -> None:
        self._work, self._tenant_id, self._dry = work, tenant_id, dry
        self._operator = operator
        self._keys: dict[int, Told] = {}  # origin → key, and what koppelingen were
        self._known: dict[bytes, Known] = {}
        self._kinds: set[tuple[str, int, str]] = set()  # (erasure, of whom, kind of a digest)
        self._now: datetime | None = None
        self.counts: Counter[str] = Counter()

    @classmethod
    def load(
        cls, work: Work, cipher: TenantCipher, *, now: datetime, dry: bool, operator: str
    ) -> Suppressions:
        """Those that stand in the store and were not lifted."""
        made = cls(work, cipher.tenant_id, dry=dry, operator=operator)
        made._now = now
        made.read(cipher)
        return made

    def read(self, cipher: TenantCipher) -> None:
        """Read them again: a person may have been erased meanwhile."""
        work, tenant = self._work, self._tenant_id
        self._known, self._kinds = {}, set()
        for told, erasure, along, core_id, kind in work.execute(
            "SELECT digest, erasure, along, COALESCE(core_id, 0), kind FROM suppression "
            "WHERE tenant_id = ? AND lifted_at IS NULL ORDER BY along DESC, id",
            (tenant,),
        ):
            self._known[bytes(told)] = Known(erasure, bool(along), core_id)
            self._kinds.add((erasure, core_id, kind))
        self._keys = {tenant: Told(cipher.suppression_key)}
        self._keys |= told_keys(work, cipher) if self._known else {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def _found(self, parts: Sequence[str]) -> Known | None:
        """The erasure that these parts tell of, and whether he went along."""
        for told in self._keys.values():
            known = self._known.get(told.digest(parts))
            if known is not None:
                return known
        return None

    # -- asking ----------------------------------------------------------------------------------

    def holds(self, entity: Entity, koppeling_id: int, key: str) -> bool:
        """Whether this key is that of an erased person."""
        if not self._known or entity not in PERSONS:
            return False
        return self._found(key_parts(entity, koppeling_id, key)) is not None

    def holds_unread(self, resource: str, koppeling_id: int, key: str, body: bytes) -> bool:
        """Whether a record that cannot be read is of an erased person, as far as can be told.

        By its key, by a word in it that is a number of his and of nobody else, or by a reference
        without which such a record cannot be.
        """
        if not self._known:
            return False
        if key and self._found(raw_parts(resource, koppeling_id, key)) is not None:
            return True
        if key and resource in set(PERSONS) and self.holds(Entity(resource), koppeling_id, key):
            return True
        words = {word.decode("ascii") for word in _TOKEN.findall(body)}
        return self._refers(resource, koppeling_id, body) or any(
            self._found((f"{entity}/{kind}", word)) is not None
            for word in words
            for entity, kinds in _ALONE.items()
            for kind in kinds
        )

    def _refers(self, resource: str, koppeling_id: int, body: bytes) -> bool:
        """Whether it names him where it needs somebody, in the fields of our own schema."""
        names = required_references(Entity(resource)) if resource in set(Entity) else ()
        try:
            told = msgspec.json.decode(body) if names else None
        except (msgspec.DecodeError, RecursionError):
            return False
        if not isinstance(told, dict):
            return False
        for name in names:
            target, value = fields_of(Entity(resource))[name].target, told.get(name)
            if target in PERSONS and isinstance(value, str | int):
                found = self._found(key_parts(target, koppeling_id, str(value)))
                if found is not None and not found.along:
                    return True  # who went along comes back with another child
        return False

    def judge(
        self, said: Sequence[Said], koppeling_id: int, *, issuer: int, linked: bool
    ) -> Judged:
        """What of one source record is of erased persons.

        Args:
            said: its canonical records.
            koppeling_id: whose.
            issuer: the koppeling that issued its numbers.
            linked: the hub knows it, and whose it is.
        """
        judged = Judged()
        if not self._known:
            return judged
        self._return(said, koppeling_id, issuer=issuer)
        for entity, key, form in said:
            if entity not in PERSONS or linked:
                continue  # an existing link answers first
            known = self.holds(entity, koppeling_id, key)
            if known or self._recognised(entity, koppeling_id, key, form, issuer):
                judged.erased.add((entity, key))
        for entity, key, form in said:
            for name in required_references(entity):
                target, value = fields_of(entity)[name].target, form.get(name)
                if target is None or value is None:
                    continue
                theirs = (target, str(value))
                if theirs in judged.erased or self.holds(target, koppeling_id, str(value)):
                    judged.erased.add((entity, key))
        every = [(entity, key) for entity, key, _ in said]
        judged.whole = bool(every) and (  # whom a record is about, its source says first
            (every[0][0] in PERSONS and every[0] in judged.erased)
            or judged.erased.issuperset(every)
        )
        return judged

    def _recognised(
        self, entity: Entity, koppeling_id: int, key: str, form: dict[str, Json], issuer: int
    ) -> bool:
        """Whether his identifiers are known; then what refers to his new key is his too."""
        for parts in identifier_parts(entity, form, issuer):
            found = self._found(parts)
            if found is None or self._contradicted(entity, form, parts[0], found):
                continue
            self._learn(found, entity, key_parts(entity, koppeling_id, key))
            return True
        return False

    def _contradicted(self, entity: Entity, form: dict[str, Json], said: str, found: Known) -> bool:
        """Whether a pseudonym is his, and a number that it was made of is somebody else's.

        Correlation asks a person then; of who was erased there is nobody to ask of.
        """
        if said != f"{entity}/eck_id":
            return False
        return any(
            (found.erasure, found.core_id, kind) in self._kinds
            and form.get(kind) is not None
            and self._found((f"{entity}/{kind}", str(form[kind]))) is None
            for kind in ("bsn", "onderwijsnummer")
        )

    def _learn(self, known: Known, entity: Entity, parts: Sequence[str]) -> None:
        fresh, erasure = self._keys[self._tenant_id].digest(parts), known.erasure
        self._known[fresh] = Known(erasure, along=False, core_id=known.core_id)
        if self._dry:
            return
        self._work.execute(
            "INSERT INTO suppression (tenant_id, digest, reason, created_at, erasure, kind, "
            "entity, core_id, along, origin, operator) SELECT tenant_id, ?, reason, ?, erasure, "
            "?, ?, core_id, FALSE, ?, ? FROM suppression WHERE tenant_id = ? AND erasure = ? "
            "AND lifted_at IS NULL ORDER BY id LIMIT 1",
            (
                *(fresh, self._now, parts[0], str(entity), self._tenant_id, self._operator),
                *(self._tenant_id, erasure),
            ),
        )

    def _return(self, said: Sequence[Said], koppeling_id: int, *, issuer: int) -> None:
        """Who went along with the last child comes back with another one."""
        for entity, _, form in said:
            if entity is not Entity.VERZORGER_RELATIE:
                continue
            child, guardian = form.get("leerling"), form.get("verzorger")
            if child is None or guardian is None:
                continue
            parts = key_parts(Entity.VERZORGER, koppeling_id, str(guardian))
            found = self._found(parts)
            if found is None or not found.along:
                continue
            others = [(e, k, f) for e, k, f in said if (e, k) == (Entity.LEERLING, str(child))]
            if self.holds(Entity.LEERLING, koppeling_id, str(child)) or any(
                self._found(parts) for e, _, f in others for parts in identifier_parts(e, f, issuer)
            ):
                continue
            self._release(parts)

    def _release(self, parts: Sequence[str]) -> None:
        """He is needed again: what he was recognised by by himself is forgotten."""
        for origin, told in self._keys.items():
            fresh = told.digest(parts)
            if self._known.pop(fresh, None) is None or self._dry:
                continue
            self._work.execute(
                "UPDATE suppression SET lifted_at = ?, lifted_by = ?, lifted_why = ? "
                "WHERE tenant_id = ? AND origin = ? AND along AND lifted_at IS NULL "
                "AND (digest = ? OR (kind = ? AND core_id IN (SELECT core_id FROM suppression "
                "WHERE tenant_id = ? AND digest = ?)))",
                (
                    *(self._now, self._operator, NEEDED, self._tenant_id, origin, fresh),
                    *(RAW, self._tenant_id, fresh),
                ),
            )

    def count(self, erased: Collection[Identity]) -> None:
        """These were not stored."""
        self.counts.update(str(entity) for entity, _ in erased)


NEEDED: Final = "een ander kind verwijst naar deze verzorger"
"""Why the suppression of a guardian who went along ended by itself."""


class Told(msgspec.Struct, frozen=True):
    """What one tenant told another of its erasures.

    Attributes:
        key: of the digests.
        was: koppeling → the one that it was part of when they were made.
    """

    key: bytes
    was: dict[int, int] = {}

    def digest(self, parts: Sequence[str]) -> bytes:
        """The digest of some parts, as that tenant would have made it."""
        place = KOPPELING_AT.get(parts[0]) if self.was else None
        if place is not None:
            former = self.was.get(int(parts[place]))
            if former is not None:
                parts = [*parts[:place], str(former), *parts[place + 1 :]]
        return digest(self.key, *parts)

    def encoded(self) -> bytes:
        """As it is kept, encrypted."""
        return msgspec.json.encode(self)

    def __repr__(self) -> str:
        return "<Told>"


def told_keys(work: Work, cipher: TenantCipher) -> dict[int, Told]:
    """Origin → what that tenant told this one."""
    return {
        origin: msgspec.json.decode(
            cipher.person(bytes(salt)).decrypt(
                bytes(body), suppression_context(cipher.tenant_id, origin)
            ),
            type=Told,
        )
        for origin, salt, body in work.execute(
            "SELECT origin, salt, body FROM suppression_key WHERE tenant_id = ? ORDER BY origin",
            (cipher.tenant_id,),
        )
        if salt is not None
    }


# -- what waits in the store -----------------------------------------------------------------------


def sweep(
    work: Work,
    cipher: TenantCipher,
    erased: Suppressions,
    koppeling_id: int,
    *,
    issuers: dict[int, int],
    removal: Removal,
    settled: bool = False,
) -> int:
    """Take out what was received of erased persons and is nobody's yet; how many shadows.

    It was received before he was erased and never used, or refers to him and came before him. The
    lock of the tenant is held, and no transaction of this Work is open unless the caller's is to
    hold all of it.

    Args:
        work: of the hub.
        cipher: of the tenant.
        erased: whom it may not hold.
        koppeling_id: whose shadows.
        issuers: scope → the koppeling that issued its numbers.
        removal: its tables are made.
        settled: also what a person refused, or ignored: that waits for nothing any more.
    """
    waits = "" if settled else "AND s.pending "
    rows = work.rows(
        "SELECT s.record_id, s.id, s.scope_id, s.entity, s.source_key, f.received, r.salt "
        "FROM shadow s JOIN shadow_form f ON f.shadow_id = s.id "
        "JOIN source_record r ON r.id = s.record_id "
        f"WHERE s.koppeling_id = ? {waits}AND NOT EXISTS (SELECT 1 FROM link l "
        "WHERE l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
        "AND l.source_key = s.source_key) ORDER BY s.record_id, s.id",
        (koppeling_id,),
    )
    doomed: list[int] = []
    for _, some in groupby(rows, key=lambda row: row[0]):
        said: list[Said] = []
        numbers: dict[Identity, int] = {}
        issuer = koppeling_id
        for _, number, scope, name, key, blob, salt in some:
            if salt is None:
                continue
            issuer = issuers.get(scope, koppeling_id)
            plain = cipher.person(bytes(salt)).decrypt(bytes(blob), b"shadow|%d" % number)
            said.append((Entity(name), key, msgspec.json.decode(plain)))
            numbers[Entity(name), key] = number
        judged = erased.judge(said, koppeling_id, issuer=issuer, linked=False)
        gone = set(numbers) if judged.whole else judged.erased
        doomed += [numbers[identity] for identity in gone if identity in numbers]
        erased.count(gone)
    if doomed:
        removal.begin()
        work.load("k_shadow", ("id",), [(number,) for number in sorted(set(doomed))])
        removal.nodes_of_shadows()
        removal.steps_of_nodes()
        removal.shadows(delivered=True)
    return len(doomed)


def issuers_of(work: Work, tenant_id: int) -> dict[int, int]:
    """Scope → the koppeling that issued the numbers in it: its own, or one that it names."""
    return dict(
        work.execute(
            "SELECT s.id, COALESCE(o.id, s.koppeling_id) FROM scope s "
            "JOIN koppeling k ON k.id = s.koppeling_id "
            "LEFT JOIN koppeling o ON o.name = s.numbers_of AND o.tenant_id = k.tenant_id "
            "WHERE k.tenant_id = ?",
            (tenant_id,),
        )
    )
