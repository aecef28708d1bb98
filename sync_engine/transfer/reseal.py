"""Reseal: every value of what goes, opened with the old tenant's keys, sealed with the new one's.

Prepared in temporary tables before the write lock is taken, streamed. What depends on a tenant's
keys without being sealed is made again on the way: fingerprints of forms and raw records, blind
indexes, the names of steps. What does not open stops the transfer: nothing is left behind unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from connectors.base import Action, Message
from mappings.canonical.fields import Entity
from sync_engine.errors import StoreError
from sync_engine.fold import Json
from sync_engine.inbox import content
from sync_engine.matching import NUMBERS
from sync_engine.rows import identifier_context, new_salt
from sync_engine.scopes import kept_terms
from sync_engine.sealed import Sealed, sealed_columns
from sync_engine.stage import KEYLESS, raw_salt, written_terms
from sync_engine.steps import body_of, stable
from sync_engine.store.cipher import Fingerprint, TenantCipher
from sync_engine.store.work import Row, Work
from sync_engine.transfer.kept import Marks, prepare_twins
from sync_engine.transfer.sides import GOING, OWNED, Parting

GOES: Final[Mapping[str, str]] = {
    "shadow_form": f"s.koppeling_id IN {GOING}",
    "former_form": f"s.koppeling_id IN {GOING}",
    "zaak_notitie": f"z.koppeling_id IN {GOING}",
    "raw_payload": f"k.id IN {GOING}",
    "quarantine": f"k.id IN {GOING}",
    "inbox": f"k.id IN {GOING}",
    "step": "t.id IN (SELECT id FROM t_step)",
    "pin": f"t.core_id IN {OWNED}",
    "vault": f"t.core_id IN {OWNED}",
    "batch": "false",  # it is closed
    "exchange": f"k.id IN {GOING}",
    "outbox": "false",  # its messages are made again
    "suppression_key": "false",  # it is told, and stays (erased.py)
    "identificatie": "t.eigenaar_id IN (SELECT b_id FROM t_core WHERE b_id = core_id)",
}
"""Table → condition of its sealed rows that go; another column fails a test until it is here."""

_READS: Final[Mapping[str, str]] = {
    "raw_payload": ", t.contract_fp, k.id",
    "quarantine": ", t.raw_fp, k.id",
    "inbox": ", t.resource, t.source_key",
    "step": ", t.plan_id, t.entity, t.core_id, t.op, t.source, p.applied AND t.state = 'planned'",
    "identificatie": ", t.uitgever",
}
"""What is read beside a value, to make again what depends on it."""
_MORE: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "quarantine": (("source_key", "TEXT"), ("raw_fp", "BLOB")),
    "inbox": (("digest", "BLOB"),),
    "step": (("digest", "BLOB"),),
    "identificatie": (("blindindex", "BLOB"), ("uitgever", "INTEGER")),
}
"""What is made beside it."""

_ORIGIN: Final = (
    *(("herkomst", "TEXT"), ("keten", "TEXT"), ("sector", "TEXT")),
    *(("geldig_van", "DATE"), ("geldig_tot", "DATE")),
)
"""Of an identifier: where it comes from."""
_COMPRESSED: Final = 2
"""First byte of a blob that was packed (cipher.py)."""
_UNREADABLE: Final = (
    "Er staan waarden die niet te openen zijn. Draai `koppelhub doctor` en `koppelhub keys`, zet "
    "zo nodig een back-up terug, en verhuis daarna."
)


def new_column(sealed: Sealed) -> str:
    """Temporary table with the values of a column as they become."""
    return f"m_{sealed.table}_{sealed.column}"


@dataclass(slots=True)
class _Value:
    """One value on its way; a renewer may change what it says and what it is bound to.

    Attributes:
        parts: what its context is made of.
        beside: what `_READS` names.
    """

    key: Row
    plain: bytes
    context: bytes
    parts: Sequence[object]
    beside: Sequence[object]


@dataclass(slots=True)
class _Met:
    """What was met on the way, until it is loaded: (whose, before, after)."""

    prints: list[tuple[object, ...]] = field(default_factory=list)
    raws: list[tuple[object, ...]] = field(default_factory=list)
    indexes: list[tuple[object, ...]] = field(default_factory=list)


class Resealer:
    """Prepares the values of one parting.

    Args:
        work: reads the store and fills temporary tables.
        parting: who goes; `sides` has sorted it out.
        ciphers: of the old tenant and of the new one.
        versions: koppeling → version of its mapping, where it is configured.
        issuers: koppeling that stays → the one that goes and issues its numbers from now on.
    """

    def __init__(
        self,
        work: Work,
        parting: Parting,
        *,
        ciphers: tuple[TenantCipher, TenantCipher],
        versions: Mapping[int, str],
        issuers: Mapping[int, int],
    ) -> None:
        self._issuers = {str(old): str(new) for old, new in issuers.items()}
        self.work, self.parting, self._versions = work, parting, versions
        self.old, self.new = ciphers
        self._marks = Marks(work, *ciphers)
        self._form, self._step, self._inbox = (
            (self.old.fingerprint(name), self.new.fingerprint(name))
            for name in (b"form", b"step", b"inbox")
        )
        self._met = _Met()
        self._contracts: dict[bytes, bytes] = {}
        self._of_scope: dict[int, list[bytes]] = {}
        self._raw: dict[tuple[str, bytes], tuple[Fingerprint, Fingerprint]] = {}
        self._core: dict[int, int] = dict(
            work.execute("SELECT core_id, b_id FROM t_core WHERE b_id <> core_id")
        )
        self._labels: tuple[int, dict[int, str]] = (0, {})

    def prepare(self) -> dict[str, int]:
        """Fill the temporary tables; `table.column` → values.

        Raises: StoreError if a value does not open; it names the column and nothing else.
        """
        work = self.work
        for table, key in (("t_print", "shadow_id"), ("t_raw", "record_id")):
            work.temp_table(table, f"{key} BIGINT, before BLOB, after BLOB")
            work.execute(f"CREATE INDEX IF NOT EXISTS {table}_key ON {table} ({key})")
        work.temp_table("t_index", "before BLOB, after BLOB")
        work.execute("CREATE INDEX IF NOT EXISTS t_index_before ON t_index (before)")
        self._read_contracts()
        counts = {sealed.name: self._column(sealed) for sealed in sealed_columns()}
        self._deletions()
        self._twins()
        return counts

    def _read_contracts(self) -> None:
        """The delivery contracts of what goes, as the new tenant names them."""
        before, after = (c.fingerprint(b"contract") for c in (self.old, self.new))
        for (scope_id,) in self.work.execute(
            f"SELECT id FROM scope WHERE koppeling_id IN {GOING} ORDER BY id"
        ):
            terms = kept_terms(self.work, scope_id)
            self._of_scope[scope_id] = list(terms)
            for fingerprint, contract in terms.items():
                body = written_terms(contract)
                if before(body) == fingerprint:
                    self._contracts[fingerprint] = after(body)
        self.work.temp_table("t_contract", "before BLOB, after BLOB")
        self.work.load("t_contract", ("before", "after"), list(self._contracts.items()))

    # -- one column --------------------------------------------------------------------------------

    def _column(self, sealed: Sealed) -> int:
        more = _MORE.get(sealed.table, ())
        keys = [f"k_{name}" for name in sealed.key]
        typed = [f"{name} {kind}" for name, kind in zip(keys, sealed.types, strict=True)]
        typed += ["before BLOB", "after BLOB", *(f"{name} {kind}" for name, kind in more)]
        table = new_column(sealed)
        self.work.temp_table(table, f"{', '.join(typed)}, PRIMARY KEY ({', '.join(keys)})")
        names = (*keys, "before", "after", *(name for name, _ in more))
        total = self.work.load(table, names, self._renewed(sealed))
        self._flush(least=0)
        return total

    def _renewed(self, sealed: Sealed) -> Iterator[tuple[object, ...]]:
        key = ", ".join(f"t.{name}" for name in sealed.key)
        parts = ", ".join(f"t.{name}" for name in sealed.parts)
        beside = _READS.get(sealed.table, "")
        query = sealed.rows(
            f"{key}, t.{sealed.column}, {{salt}}, {parts}{beside}", f"AND {GOES[sealed.table]}"
        )
        renew = _RENEWERS.get(sealed.table, Resealer._as_it_is)
        width, size = len(sealed.key), len(sealed.parts)
        for row in self.work.rows(query, (self.parting.old,)):
            key_, before, salt, rest = (
                row[:width],
                bytes(row[width]),
                bytes(row[width + 1]),
                row[width + 2 :],
            )
            told = [bytes(p) if isinstance(p, memoryview) else p for p in rest[:size]]
            context = sealed.context(*told)
            value = _Value(
                key_, self._opened(sealed, before, salt, context), context, told, rest[size:]
            )
            more = renew(self, value)
            after = self.new.person(salt).encrypt(
                value.plain, value.context, compress=before[0] == _COMPRESSED
            )
            self._flush(least=_WAITING)
            yield (*key_, before, after, *more)

    def _opened(self, sealed: Sealed, blob: bytes, salt: bytes, context: bytes) -> bytes:
        try:
            return self.old.person(salt).decrypt(blob, context)
        except StoreError as exc:
            message = f"{sealed.name}: a value does not open"
            raise StoreError(message, advice=_UNREADABLE) from exc

    def _flush(self, *, least: int) -> None:
        """What was met on the way goes to its temporary tables."""
        met = self._met
        for table, name, rows in (
            ("t_print", "shadow_id", met.prints),
            ("t_raw", "record_id", met.raws),
            ("t_index", "", met.indexes),
        ):
            if len(rows) > least:
                names = (*([name] if name else []), "before", "after")
                self.work.load(table, names, list(rows))
                rows.clear()

    # -- what depends on keys ----------------------------------------------------------------------

    def _as_it_is(self, value: _Value) -> tuple[object, ...]:
        return ()

    def _form_of(self, value: _Value) -> tuple[object, ...]:
        before, after = self._form
        self._met.prints.append((value.key[0], before(value.plain), after(value.plain)))
        return ()

    def _fingerprints(self, version: str, contract_fp: bytes) -> tuple[Fingerprint, Fingerprint]:
        """Of raw records under one contract that is known to both tenants."""
        pair = self._raw.get((version, contract_fp))
        if pair is None:
            there = self._contracts[contract_fp]
            pair = self._raw[version, contract_fp] = (
                self.old.fingerprint(raw_salt(version, contract_fp)),
                self.new.fingerprint(raw_salt(version, there)),
            )
        return pair

    def _raw_of(self, value: _Value) -> tuple[object, ...]:
        contract_fp, koppeling_id = value.beside
        version = self._versions.get(int(str(koppeling_id)))
        terms = bytes(contract_fp) if isinstance(contract_fp, bytes | memoryview) else b""
        if version is not None and terms in self._contracts:
            before, after = self._fingerprints(version, terms)
            self._met.raws.append((value.parts[0], before(value.plain), after(value.plain)))
        return ()

    def _quarantined(self, value: _Value) -> tuple[object, ...]:
        scope_id, key = int(str(value.parts[0])), str(value.parts[1])
        told, koppeling_id = value.beside
        version = self._versions.get(int(str(koppeling_id)))
        was, fresh = _bytes(told), b""
        for terms in self._of_scope.get(scope_id, ()) if version is not None else ():
            if terms in self._contracts:
                before, after = self._fingerprints(version or "", terms)
                if before(value.plain) == was:
                    fresh = after(value.plain)
        if fresh and key == f"{KEYLESS}{was.hex()}":
            key = f"{KEYLESS}{fresh.hex()}"
            value.context = b"quarantine|%d|%s" % (scope_id, key.encode())
        return key, fresh

    def _message(self, value: _Value) -> tuple[object, ...]:
        resource, key = map(str, value.beside)
        message = Message(str(value.parts[1]), resource, key, Action.PUT, value.plain)
        return (self._inbox[1](content(message)),)

    def _kept_of(self, value: _Value) -> tuple[object, ...]:
        value.plain = self._marks.renew(int(str(value.parts[0])), value.plain)
        return ()

    def _number_of(self, value: _Value) -> tuple[object, ...]:
        role, issuer = str(value.parts[1]), str(value.beside[0])
        index = self._indexed(role, issuer, value.plain.decode())
        return index, int(self._issuers.get(issuer, issuer))

    def _indexed(self, role: str, issuer: str, number: str) -> bytes:
        """The blind index that the new tenant finds a number by."""
        there = self._issuers.get(issuer, issuer)
        after = self.new.index(f"identificatie/{role}", there, number)
        if role in NUMBERS:  # former numbers stand by their index alone
            before = self.old.index(f"identificatie/{role}", issuer, number)
            self._met.indexes.append((before, after))
        return after

    # -- the journal -------------------------------------------------------------------------------

    def _step_of(self, value: _Value) -> tuple[object, ...]:
        plan_id, entity, core_id, op, source, is_journal = value.beside
        digest = _bytes(value.parts[0])
        changed: dict[str, list[Json]] = msgspec.json.decode(value.plain)
        told = {self._named(key): self._told(key, pair) for key, pair in changed.items()}
        fresh = self._step[1](digest)
        if not is_journal:  # a person may still decide on it: it is named as it would be now
            labels = self._labels_of(int(str(plan_id)))
            subject = str(source) if op == "create" else str(core_id)
            before, after = (
                stable(
                    Entity(str(entity)), str(op), subject, changed=c, body=body_of(c), labels=labels
                )
                for c in (changed, told)
            )
            if self._step[0](before) == digest:
                fresh = self._step[1](after)
        value.plain, value.context = body_of(told), b"step|%s" % fresh
        return (fresh,)

    def _labels_of(self, plan_id: int) -> dict[int, str]:
        """Numbers that a plan gave to new records → their sources."""
        if self._labels[0] != plan_id:
            found = self.work.execute(
                "SELECT core_id, source FROM step WHERE plan_id = ? AND op = 'create'", (plan_id,)
            )
            self._labels = (plan_id, dict(found))
        return self._labels[1]

    def _named(self, key: str) -> str:
        if key.startswith("identificatie/"):
            head, _, issuer = key.rpartition("/")
            return f"{head}/{self._issuers.get(issuer, issuer)}"
        if not key.startswith("groepsdeelname/"):
            return key
        head, _, last = key.rpartition("/")
        return f"{head}/{self._core.get(int(last), last)}"

    def _told(self, key: str, pair: list[Json]) -> list[Json]:
        if key.endswith("_id"):
            return [self._core.get(v, v) if isinstance(v, int) else v for v in pair]
        if not key.startswith("identificatie/"):
            return pair
        _, role, issuer = key.split("/")
        return [self._identifier(role, issuer, side) for side in pair]

    def _identifier(self, role: str, issuer: str, side: Json) -> Json:
        if not isinstance(side, dict):
            return side
        number = side.get("waarde")
        said = {name: value for name, value in side.items() if name != "index"}
        if isinstance(number, str):
            said["index"] = self._indexed(role, issuer, number).hex()
        return said

    # -- what has no value, and what becomes two ---------------------------------------------------

    def _deletions(self) -> None:
        """Messages that say that a record is gone have a digest and no body."""
        before, after = self._inbox
        self.work.temp_table("t_deletion", "id BIGINT PRIMARY KEY, digest BLOB")
        rows = []
        for number, message_id, resource, key, digest in self.work.execute(
            "SELECT id, message_id, resource, source_key, digest FROM inbox "
            f"WHERE gone AND koppeling_id IN {GOING}"
        ):
            said = content(Message(message_id, resource, key, Action.DELETE))
            if before(said) == bytes(digest):
                rows.append((number, after(said)))
        self.work.load("t_deletion", ("id", "digest"), rows)

    def _twins(self) -> None:
        """Identifiers and pins of records that become two, for the one with the new number."""
        work = self.work
        work.temp_table("t_salt", "core_id BIGINT PRIMARY KEY, salt BLOB")
        work.temp_table(
            "t_number",
            "eigenaar_id BIGINT, soort TEXT, uitgever INTEGER, waarde BLOB, blindindex BLOB, "
            f"{', '.join(f'{column} {kind}' for column, kind in _ORIGIN)}, run_id INTEGER",
        )
        work.temp_table("t_pin", "id BIGINT, core_id BIGINT, value BLOB")
        salts = {
            number: (new_salt(), bool(leaves))
            for number, leaves in work.execute(
                "SELECT f.number, t.leaves FROM t_fresh f JOIN t_core t ON t.core_id = f.core_id "
                "JOIN core_salt s ON s.core_id = f.core_id"
            )
        }
        work.load("t_salt", ("core_id", "salt"), [(n, salt) for n, (salt, _) in salts.items()])
        numbers = []
        origin = [column for column, _ in _ORIGIN]
        for owner, number, role, issuer, blob, salt, run_id, *where in work.rows(
            "SELECT i.eigenaar_id, f.number, i.soort, i.uitgever, i.waarde, s.salt, i.run_id, "
            f"{', '.join(f'i.{column}' for column in origin)} FROM t_fresh f "
            "JOIN t_core t ON t.core_id = f.core_id "
            "JOIN identificatie i ON i.eigenaar_id = f.core_id "
            "JOIN core_salt s ON s.core_id = f.core_id "
            f"WHERE i.uitgever = 0 OR (i.uitgever IN {GOING}) <> t.leaves "
            f"OR {self.work.many('i.uitgever')}",
            (self.work.values([int(number) for number in self._issuers]),),
        ):
            plain = self.old.person(salt).decrypt(bytes(blob), identifier_context(owner, role))
            fresh, leaves = salts[number]
            cipher = self.old if leaves else self.new
            sealed = cipher.person(fresh).encrypt(plain, identifier_context(number, role))
            if not leaves:
                issuer = int(self._issuers.get(str(issuer), str(issuer)))
            index = cipher.index(f"identificatie/{role}", str(issuer), plain.decode())
            numbers.append((number, role, issuer, sealed, index, *where, run_id))
        work.load(
            "t_number",
            ("eigenaar_id", "soort", "uitgever", "waarde", "blindindex", *origin, "run_id"),
            numbers,
        )
        self._twin_pins(salts)
        self._twin_journal()
        ciphers = self.old, self.new
        prepare_twins(work, self.parting, ciphers=ciphers, marks=self._marks)

    def _twin_journal(self) -> None:
        """Of a record that stays and becomes two the journal stays too: the numbers that it tells.

        They lead to the one of the new tenant by the index alone, as all former numbers do.
        """
        both = "t.split AND t.b_id <> t.core_id"
        for digest, blob, salt in self.work.rows(
            "SELECT s.digest, s.change, s.salt FROM step s JOIN plan p ON p.id = s.plan_id "
            "WHERE p.applied AND s.state = 'planned' AND s.salt IS NOT NULL AND s.core_id IN "
            f"(SELECT t.core_id FROM t_core t WHERE {both} UNION ALL SELECT a.core_id FROM alias a "
            f"JOIN t_core t ON t.core_id = a.survivor_id WHERE {both})"
        ):
            plain = self.old.person(bytes(salt)).decrypt(bytes(blob), b"step|%s" % bytes(digest))
            changed: dict[str, list[Json]] = msgspec.json.decode(plain)
            for key, pair in changed.items():
                self._told(key, pair)
            self._flush(least=_WAITING)
        self._flush(least=0)

    def _twin_pins(self, salts: Mapping[int, tuple[bytes, bool]]) -> None:
        """What a person fixed holds on both sides."""
        pins = []
        for pin_id, owner, number, blob, salt in self.work.rows(
            "SELECT p.id, p.core_id, f.number, p.value, s.salt FROM t_fresh f JOIN pin p "
            "ON p.core_id = f.core_id OR p.core_id IN "
            "(SELECT a.core_id FROM alias a WHERE a.survivor_id = f.core_id) "
            "JOIN core_salt s ON s.core_id = p.core_id WHERE p.lifted_at IS NULL"
        ):
            plain = self.old.person(salt).decrypt(bytes(blob), b"pin|%d" % owner)
            fresh, leaves = salts[number]
            cipher = self.old if leaves else self.new
            pins.append((pin_id, number, cipher.person(fresh).encrypt(plain, b"pin|%d" % number)))
        self.work.load("t_pin", ("id", "core_id", "value"), pins)


_WAITING: Final = 2_000
"""Rows that wait in memory before they are loaded."""

_Renewer = Callable[[Resealer, _Value], tuple[object, ...]]
_RENEWERS: Final[Mapping[str, _Renewer]] = {
    "shadow_form": Resealer._form_of,
    "former_form": Resealer._form_of,
    "raw_payload": Resealer._raw_of,
    "quarantine": Resealer._quarantined,
    "inbox": Resealer._message,
    "vault": Resealer._kept_of,
    "identificatie": Resealer._number_of,
    "step": Resealer._step_of,
}


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else b""
