"""Stage: what a scope delivers becomes received forms; unchanged records stop here.

Per batch of records: a keyed fingerprint of each raw body, one look-up, and only what is new or
changed is parsed, mapped and written. A real run writes what it received in short transactions; a
dry run writes the same rows to temporary tables, which later steps see through the same views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from secrets import token_bytes
from typing import Final, TypeAlias

import msgspec

from config.clock import local_date
from config.errors import RecordError
from config.policies import DriftReaction
from connectors.base import DeliveryContract, FieldProblem, Page
from connectors.errors import ParseError, ProtocolViolationError
from mappings.canonical.fields import Entity
from mappings.canonical.schema import ENTITY_OF, encode
from sync_engine.bounds import check_bounds
from sync_engine.context import BATCH, SCHEMA_VERSION, Context, ScopeRow, chunks, salts_of
from sync_engine.expected import Expected
from sync_engine.herinrichtingen import of_changed_schools
from sync_engine.intake import Intake
from sync_engine.met import NAMED, Problem, Received, Seen, general
from sync_engine.received import RECORD_COLUMNS, WHOLE_COLUMNS, Batch, ShadowRow, retain, write
from sync_engine.scopes import of_former_years, under_another_key
from sync_engine.store.cipher import PersonCipher
from sync_engine.store.values import instant
from sync_engine.store.work import Row
from sync_engine.suppression import PERSONS

Fingerprint: TypeAlias = Callable[[bytes], bytes]

KEYLESS: Final = "?"
"""How the name of a quarantined record without a usable key begins; no source key does."""


_Changed: TypeAlias = tuple[int, bool, str, bytes, bytes]
"""A known record that differs: its number, whether it was gone, key, body and fingerprint."""


class Stager:
    """Takes the pages of one reading of one scope.

    Args:
        context: the run.
        scope: the scope that is read.
        changes: it is a delta: a record that comes again is a newer form of it, and the cursor
            goes along with what is written. The cursor of a whole reading is kept by `finish`.
        whole: it is a reading of the whole scope, as the source lists it.
    """

    def __init__(
        self, context: Context, scope: ScopeRow, *, changes: bool = False, whole: bool = False
    ) -> None:
        self.context = context
        self.scope = scope
        self.received = Received()
        self.seen = Seen()
        self.unknown: set[str] = set()
        self.problems: dict[tuple[str, str], Problem] = {}
        self._keys: list[str] = []
        self._bodies: list[bytes] = []
        self._changes = changes
        self._cursor: str | None = None
        self._contract = DeliveryContract()
        self.contract_fp = b""
        self._raw_fp: Fingerprint | None = None
        self._expected = Expected(context.work, scope.id, ordered=whole)
        self._changed: list[_Changed] = []
        self._form_fp = context.cipher.fingerprint(b"form")
        drift = context.policy.drift.of(scope.scope.resource)
        self._drift = drift
        self._intake = Intake(context, scope)
        self._again = False  # map what is unchanged too

    def begin(self, contract: DeliveryContract) -> None:
        """Fix the terms under which this reading is delivered; part of every raw fingerprint."""
        self._contract = contract
        self.contract_fp = self.context.cipher.fingerprint(b"contract")(written_terms(contract))
        salt = raw_salt(self.context.mapping.version, self.contract_fp)
        self._raw_fp = self.context.cipher.fingerprint(salt)

    def take(self, page: Page) -> None:
        """Take one page; writes whenever a batch is full.

        The cursor of a page counts only once everything of that page, its tombstones too, is
        written, or is written with it.
        """
        keys, bodies = page.keys, page.bodies
        if self._changes:
            latest = dict(zip(keys, bodies, strict=True))
            keys, bodies = list(latest), list(latest.values())
            if not latest.keys().isdisjoint(self._keys):
                self.flush()
        self._keys += keys
        self._bodies += bodies
        for error, body in page.rejected:
            self._reject(error, body)
        if page.gone:
            self.flush()
            self._tombstones(page.gone)
        elif len(self._keys) >= BATCH:
            self._flush_waiting()
        if page.cursor is not None:
            self._cursor = page.cursor

    def flush(self) -> None:
        """Write everything that is waiting."""
        batch = self._flush_waiting()
        if self._changed:
            changed, self._changed = self._changed, []
            self._take_changed(changed, batch)
            self._write(batch)

    def _flush_waiting(self) -> Batch:
        """Sort out what is waiting, and write it; the batch that comes back is empty again.

        The few changed records of a whole reading wait for others: a batch costs the same for ten
        as for a thousand. Those of a delta are written with the cursor that comes with them.
        """
        keys, bodies = self._keys, self._bodies
        self._keys, self._bodies = [], []
        batch = Batch(cursor=self._cursor if self._changes else None)
        for start in range(0, len(keys), BATCH):
            self._sort_out(keys[start : start + BATCH], bodies[start : start + BATCH], batch)
        if self._changes or len(self._changed) >= BATCH:
            changed, self._changed = self._changed, []
            self._take_changed(changed, batch)
        self._write(batch)
        return Batch()

    def finish(self) -> None:
        """The whole scope was read: a delta may go on from the cursor that came with it."""
        self._write(Batch(cursor=self._cursor))

    # -- one batch -------------------------------------------------------------------------------

    def _sort_out(self, keys: Sequence[str], bodies: Sequence[bytes], batch: Batch) -> None:
        """Tell new, changed and unchanged apart; this is the hot path of an unchanged source."""
        if self._raw_fp is None:
            message = "a stager takes pages only after begin()"
            raise RuntimeError(message)
        fingerprint, seen = self._raw_fp, self.seen
        known = self._expected.find(keys)
        new: dict[str, tuple[bytes, bytes]] = {}
        waiting = batch.keys
        changed: list[_Changed] = []
        back: list[int] = []
        same, again = 0, self._again
        for key, body in zip(keys, bodies, strict=True):
            digest = fingerprint(body)
            row = known.get(key)
            if row is None:
                if key in new or key in waiting:
                    self.received.duplicates += 1
                else:
                    new[key] = (body, digest)
                continue
            if not seen.add(row[1]) and not self._changes:
                self.received.duplicates += 1
            elif row[2] != digest or row[4] or again:
                changed.append((row[1], bool(row[4]), key, body, digest))
            else:
                same += 1
                if row[3] is not None:
                    back.append(row[1])
        self.received.read += len(keys)
        self.received.same += same
        self._take_new(new, batch)
        self._changed += changed
        self._take_back(back)

    def _take_new(self, new: dict[str, tuple[bytes, bytes]], batch: Batch) -> None:
        if not new:
            return
        context = self.context
        numbers = iter(context.ids.take("source_record", len(new)))
        salts = token_bytes(16 * len(new))
        for position, (key, (body, digest)) in enumerate(new.items()):
            salt = salts[16 * position : 16 * position + 16]
            record_id = next(numbers)
            if not self._map(record_id, key, body, salt=salt, digest=digest, old={}, batch=batch):
                continue  # of an erased person: nothing of it is written
            self.seen.add(record_id)
            batch.new_records.append((record_id, self.scope.id, key, digest, salt, None, False))
            batch.keys.add(key)
            self.received.added += 1

    def _take_changed(self, changed: Sequence[_Changed], batch: Batch) -> None:
        if not changed:
            return
        numbers = [number for number, *_ in changed]
        # salts first: of a record that is purged in between the shadows are gone, not the salt
        salts = salts_of(self.context, numbers)
        old = self._shadows(numbers)
        for number, was_gone, key, body, digest in changed:
            salt = salts.get(number) or token_bytes(16)
            shadows = old.get(number, {})
            if not self._map(number, key, body, salt=salt, digest=digest, old=shadows, batch=batch):
                self._intake.remove(number, key)
                continue
            batch.records.append((number, self.scope.id, key, digest, salt, None, False))
            self.received.changed += 1
            self.received.returned += was_gone

    def _take_back(self, back: Sequence[int]) -> None:
        """A record that was missed once and is there again, unchanged."""
        work = self.context.work
        for part in chunks(back):
            if self.context.dry:
                continue  # nothing was said of it to any later step
            with work.transaction():
                work.execute(
                    f"UPDATE source_record SET missing_since = NULL WHERE {work.many('id')}",
                    (work.values(part),),
                )
        self.received.returned += len(back)

    def _shadows(self, records: Sequence[int]) -> dict[int, dict[tuple[str, str], ShadowRow]]:
        work = self.context.work
        found: dict[int, dict[tuple[str, str], ShadowRow]] = {}
        for part in chunks(records):
            rows = work.execute(
                f"SELECT {', '.join(WHOLE_COLUMNS)} FROM v_shadow WHERE {work.many('record_id')}",
                (work.values(part),),
            )
            for row in rows:
                shadow = ShadowRow(*row)
                found.setdefault(shadow.record_id, {})[shadow.entity, shadow.source_key] = shadow
        return found

    # -- one record ------------------------------------------------------------------------------

    def _map(
        self,
        record_id: int,
        key: str,
        body: bytes,
        *,
        salt: bytes,
        digest: bytes,
        old: dict[tuple[str, str], ShadowRow],
        batch: Batch,
    ) -> bool:
        """Parse and map one new or changed record into the rows to write.

        Returns: False of a new record that is of an erased person: nothing is to be written.
        """
        context = self.context
        person = context.cipher.person(salt)
        problems: Sequence[FieldProblem] = ()
        try:
            parsed = context.connector.parse(self.scope.scope.resource, body)
            problems = parsed.problems
            self._drifted(parsed.unknown)
            mapped = context.mapping.map(
                self.scope.scope.resource,
                parsed.record,
                contract=self._contract,
                scope=self.scope.scope,
            )
            forms = [encode(record) for record in mapped.records]
            for record, form in zip(mapped.records, forms, strict=True):
                check_bounds(record, form)
        except RecordError as error:
            if not old and self._intake.refuses(key, body):
                self._forget(key)
                return False
            cause = _cause(error, problems)
            self._quarantine(key, body, cause, digest=digest, salt=salt, batch=batch)
            return True
        erased = self._intake.erased(mapped.records, forms, linked=bool(old))
        if erased is None:
            self._forget(key)
            return False
        self._warn(key, problems)
        self._warn(key, mapped.problems)
        if not erased or (len(erased) < len(forms) and not any(e in PERSONS for e, _ in erased)):
            sealed = person.encrypt(body, b"raw|%d" % record_id, compress=True)
            batch.raw.append((record_id, context.run_id, self.contract_fp, context.today, sealed))
        batch.resolved.append(key)
        said: set[tuple[str, str]] = set()
        for record, form in zip(mapped.records, forms, strict=True):
            identity = (str(ENTITY_OF[type(record)]), record.key)
            if identity in said or identity in erased:
                continue
            if identity not in old and identity in batch.held:
                self.received.duplicates += 1
                continue
            batch.held.add(identity)
            said.add(identity)
            self._shadow(record_id, identity, form, salt=salt, person=person, old=old, batch=batch)
        for identity, shadow in old.items():
            if identity in said or shadow.received_gone:
                continue
            if mapped.is_silent_on(Entity(identity[0]), identity[1]):
                continue  # the list that held it is not shared any more: that says nothing
            self._gone(shadow)
            batch.shadows.append(shadow)
        return True

    def _forget(self, key: str) -> None:
        """A record of an erased person is counted, and that is all."""
        self.received.suppressed += 1
        self._intake.forget(key)

    def _shadow(
        self,
        record_id: int,
        identity: tuple[str, str],
        form: bytes,
        *,
        salt: bytes,
        person: PersonCipher,
        old: dict[tuple[str, str], ShadowRow],
        batch: Batch,
    ) -> None:
        context = self.context
        shadow = old.get(identity)
        if shadow is None:
            number = context.ids.take("shadow", 1)[0]
            sealed = person.encrypt(form, b"shadow|%d" % number)
            batch.new_shadows.append(
                ShadowRow.first(
                    context,
                    number,
                    scope_id=self.scope.id,
                    record=(record_id, salt),
                    identity=identity,
                    form=(sealed, self._form_fp(form)),
                    situation="unmatched",
                )
            )
            return
        form = retain(form, person.decrypt(shadow.received, b"shadow|%d" % shadow.id))
        fingerprint = self._form_fp(form)
        if fingerprint == shadow.received_fp and not shadow.received_gone:
            return
        sealed = person.encrypt(form, b"shadow|%d" % shadow.id)
        shadow.receive(sealed, fingerprint, gone=False)
        shadow.observed_on = context.today
        shadow.held_until = self._last_held()
        shadow.run_id = context.run_id
        batch.shadows.append(shadow)

    def _gone(self, shadow: ShadowRow) -> None:
        shadow.receive(shadow.received, shadow.received_fp, gone=True)
        shadow.held_until = self._last_held() or shadow.held_until or shadow.observed_on
        shadow.run_id = self.context.run_id
        self.received.gone += 1

    def _seen_until(self, shadow: ShadowRow) -> date:
        """The last day on which the source is known to have held it: this form, or unchanged."""
        observed, held = date.fromisoformat(str(shadow.observed_on)), self._last_held()
        return observed if held is None else max(observed, held)

    def _last_held(self) -> date | None:
        """The day of the last complete reading before this one."""
        complete_at = self.scope.complete_at
        return None if complete_at is None else local_date(complete_at)

    def _reject(self, error: ParseError, body: bytes) -> None:
        """A record without a usable key: named by its fingerprint, so that nothing is lost."""
        if self._raw_fp is None:
            return
        if self._intake.refuses("", body):
            self._forget("")
            self.received.read += 1
            return
        digest = self._raw_fp(body)
        batch = Batch()
        key = f"{KEYLESS}{digest.hex()}"
        self._quarantine(key, body, error, digest=digest, salt=token_bytes(16), batch=batch)
        self.received.read += 1
        self._write(batch)

    def _quarantine(
        self,
        key: str,
        body: bytes,
        error: RecordError,
        *,
        digest: bytes,
        salt: bytes,
        batch: Batch,
    ) -> None:
        sealed = self.context.cipher.person(salt).encrypt(
            body, b"quarantine|%d|%s" % (self.scope.id, key.encode()), compress=True
        )
        run_id = self.context.run_id
        batch.quarantine.append(
            (self.scope.id, key, error.path, error.rule, salt, sealed, digest, run_id, run_id)
        )
        self.received.quarantined += 1

    def dropped(self) -> Iterator[dict[str, object]]:
        """Details of the events of fields that were left out."""
        for (path, rule), found in sorted(self.problems.items(), key=lambda item: item[0]):
            yield {"path": path, "rule": rule, "n": found.count, "keys": found.keys}

    def _warn(self, key: str, problems: Sequence[FieldProblem]) -> None:
        for problem in problems:
            self.received.warnings += 1
            found = self.problems.setdefault((general(problem.path), problem.rule), Problem())
            found.count += 1
            if len(found.keys) < NAMED and key not in found.keys:
                found.keys.append(key)

    def _drifted(self, unknown: Sequence[str]) -> None:
        if not unknown:
            return
        self.unknown.update(general(path) for path in unknown)
        if self._drift is DriftReaction.DISCARD_ROW:
            raise ParseError(unknown[0], "onbekend veld; dit beleid weigert de rij")
        if self._drift is DriftReaction.FREEZE:
            raise ProtocolViolationError(
                "an unknown field appeared and the drift policy is freeze",
                where=general(unknown[0]),
                system=self.context.koppeling.system,
                operation=self.scope.scope.resource,
            )

    # -- what is not there -----------------------------------------------------------------------

    def _tombstones(self, keys: Sequence[str]) -> None:
        """The source says positively that these are gone; of what it brought by adoption too."""
        known = self._expected.ask(keys)
        self._end([row[1] for row in known.values() if not row[4]] + self._adopted(keys))

    def _adopted(self, keys: Sequence[str]) -> list[int]:
        """Records of this source that were adopted under these keys: no other reading ends them."""
        context, here = self.context, self.scope.scope.resource
        scopes = [
            number
            for number in sorted(context.adopted_scopes)
            if context.scope_koppeling[number] == context.koppeling.id
            and context.scopes[number].resource == here
        ]
        rows: list[Row] = []
        for number in scopes:
            rows += context.work.execute(
                "SELECT id FROM v_record WHERE scope_id = ? AND NOT gone "
                f"AND {context.work.many('source_key')}",
                (number, context.work.values(keys)),
            )
        return [row[0] for row in rows]

    def absent(self) -> None:
        """After a complete reading: who was not seen; see design.md, idea 4."""
        context, scope = self.context, self.scope
        self._drop_keyless()
        if self._all_are_here():
            return
        missing = [
            (row[0], None if row[1] is None else instant(row[1]))
            for row in context.work.rows(
                "SELECT id, missing_since FROM v_record WHERE scope_id = ? AND NOT gone",
                (scope.id,),
            )
            if row[0] not in self.seen
        ]
        self.received.missing = len(missing)
        if not missing:
            return
        absence = context.policy.absence
        lost, still = len(missing), self.received.same + self.received.changed
        if absence.warns(lost, lost + still) and self.received.read:
            records = [record_id for record_id, _ in missing]
            lost -= of_former_years(context, scope, records)
            same = under_another_key(context, scope, records)
            lost -= len({record for record, other in same if other in self.seen})
        if lost > 0 and context.renumbering:
            lost -= of_changed_schools(context, [record_id for record_id, _ in missing])
        self.received.shrunk = absence.warns(lost, lost + still)
        self.received.blocked = absence.blocks(lost, lost + still)
        if self.received.blocked:
            return
        due, fresh = [], []
        for record_id, since in missing:
            if since is None:
                fresh.append(record_id)
            elif context.now - since >= absence.confirm_after:
                due.append(record_id)
        self._miss(fresh)
        if not absence.frozen(context.today):
            self._end(due)
        if absence.confirm_after.total_seconds() == 0 and not absence.frozen(context.today):
            self._end(fresh)

    def _all_are_here(self) -> bool:
        """Whether as many records stand there as were seen: each that was seen stands there."""
        rows = self.context.work.execute(
            "SELECT COUNT(*) FROM v_record WHERE scope_id = ? AND NOT gone", (self.scope.id,)
        )
        return bool(rows[0][0] == len(self.seen))

    def _drop_keyless(self) -> None:
        """A complete reading has no record without a key: what was put by before has one now."""
        work = self.context.work
        keyless = "FROM quarantine WHERE scope_id = ? AND source_key LIKE ?"
        names = (self.scope.id, f"{KEYLESS}%")
        if self.context.dry or not work.execute(f"SELECT 1 {keyless} LIMIT 1", names):
            return
        with work.transaction():
            work.execute(f"DELETE {keyless}", names)

    def _miss(self, records: Sequence[int]) -> None:
        """First complete reading without them: since when, and until when one held or they came."""
        work, held = self.context.work, self._last_held() or date.min
        for part in chunks(records):
            ids = work.values(part)
            if self.context.dry:
                continue
            with work.transaction():
                work.execute(
                    f"UPDATE source_record SET missing_since = ? WHERE {work.many('id')}",
                    (self.context.now, ids),
                )
                work.execute(
                    "UPDATE shadow SET held_until = CASE WHEN observed_on > ? THEN observed_on "
                    f"ELSE ? END WHERE NOT received_gone AND {work.many('record_id')}",
                    (held, held, ids),
                )

    def _end(self, records: Sequence[int]) -> None:
        """These records are gone from this scope."""
        work = self.context.work
        for part in chunks(records):
            batch = Batch()
            rows = work.execute(
                f"SELECT {', '.join(RECORD_COLUMNS)} FROM v_record WHERE {work.many('id')}",
                (work.values(part),),
            )
            batch.records += [(*row[:6], True) for row in rows]
            batch.resolved += [row[2] for row in rows]
            missed = {row[0] for row in rows if row[5] is not None}
            for record_id, shadows in self._shadows(part).items():
                for shadow in shadows.values():
                    if not shadow.received_gone:
                        held = shadow.held_until if record_id in missed else None
                        self._gone(shadow)
                        shadow.held_until = held or self._seen_until(shadow)
                        batch.shadows.append(shadow)
            self._write(batch)

    def _write(self, batch: Batch) -> None:
        self.received.duplicates += write(self.context, self.scope.id, batch)


def written_terms(contract: DeliveryContract) -> bytes:
    """What the fingerprint of a delivery contract is taken of."""
    return msgspec.json.encode(
        {"fields": dict(contract.fields), "version": contract.version}, order="sorted"
    )


def raw_salt(version: str, contract_fp: bytes) -> bytes:
    """The salt of the fingerprints of raw records: version of the mapping, terms of delivery."""
    return b"|".join((SCHEMA_VERSION.encode(), version.encode(), contract_fp))


def _cause(error: RecordError, problems: Sequence[FieldProblem]) -> RecordError:
    """What a person must mend: a required field that was dropped for a rule names that rule."""
    for problem in problems:
        if problem.path == error.path:
            return RecordError(problem.path, problem.rule, source_key=error.source_key)
    return error
