"""A record as it was: what the core knew at an earlier moment, and what held on a day.

Recorded time (`--as-known`) is rebuilt from the journal: of a record whose making the journal holds
every applied step is played until that moment; of another the later steps are taken back from what
the core has now. Valid time (`--on`) is asked of the periods. Both may be asked together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, TypeAlias

import msgspec

from config.clock import zone
from mappings.canonical.fields import Entity
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.flat import discreet, field_of
from sync_engine.fold import Json
from sync_engine.herinrichtingen import known_at
from sync_engine.hub import Hub
from sync_engine.plans import labels_of
from sync_engine.project import State, is_obtained
from sync_engine.renumbering import Herinrichting, Renumbering
from sync_engine.rows import States
from sync_engine.view import store_context

Changes: TypeAlias = dict[str, list[Any]]
_MEMBER = "groepsdeelname/"


@dataclass(frozen=True, slots=True)
class Membership:
    """One person in one groep: days are inclusive, '' where they are open.

    Attributes:
        groep: its name, as it is now; `key` is its hub key.
        ended: he left it; else the period is that of the groep.
    """

    groep: str
    key: str
    role: str
    first: str
    last: str
    ended: bool


@dataclass(slots=True)
class Moment:
    """One record at one moment.

    Attributes:
        on: the day that is asked, or ''.
        as_known: the last day of what was known, or '' for now.
        known: whether the core had it then.
        holds: whether it holds on the day that is asked.
        values: canonical field → value, personal numbers by their end; references by what people
            call them now.
        groepen: of a person, those of that day, or all of them.
        others: what refers to it alone (inschrijving, verzorger_relatie...), in the same way.
    """

    entity: str
    key: str
    on: str
    as_known: str
    known: bool
    holds: bool
    values: dict[str, Json] = field(default_factory=dict)
    groepen: list[Membership] = field(default_factory=list)
    others: list[Moment] = field(default_factory=list)


def state_of(
    hub: Hub,
    entity: Entity,
    core_id: int,
    *,
    operator: str,
    on: date | None = None,
    as_known: date | None = None,
) -> Moment:
    """A record as it was, with its groepen and what is his; the look is audited.

    Args:
        hub: to look in.
        entity: of the record.
        core_id: of the record, or of one that was merged into another since.
        operator: who looks.
        on: the day that is asked (valid time); None asks no period.
        as_known: the day at whose end the core is asked (recorded time); None is now.

    Raises: SyncError if the hub has nothing of it.
    """
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT p.tenant_id FROM step s JOIN plan p ON p.id = s.plan_id WHERE s.core_id = ? "
            "AND s.entity = ? LIMIT 1",
            (core_id, str(entity)),
        ) or work.execute(f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,))
        if not rows:
            raise SyncError(
                f"nothing is known of that {entity}",
                advice="Controleer de sleutel, of zoek met --find -.",
            )
        note(hub, work, operator=operator, action="state", subject=hub_key(core_id))
    with store_context(hub, rows[0][0]) as context:
        until = None if as_known is None else end_of(as_known, hub.settings.timezone)
        past = Past(context, until)
        return past.moment(entity, core_id, on=on, as_known=as_known)


def end_of(day: date, timezone: str) -> datetime:
    """The first instant after a local day."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone(timezone))


class Past:
    """The core as it was known just before one instant; None is as it is now.

    Args:
        context: to read in.
        until: the first instant that does not count; runs count by when they began.
    """

    def __init__(self, context: Context, until: datetime | None) -> None:
        self._context, self._work, self._until = context, context.work, until
        self._work.temp_table(
            "w_alias", "core_id BIGINT PRIMARY KEY, survivor_id BIGINT, entity TEXT"
        )
        self._states = States(context)

    # -- one record ------------------------------------------------------------------------------

    def state(self, entity: Entity, core_id: int) -> State | None:
        """Its flat state (project.py) then, memberships that ended left out; None: not known.

        Of an identifier it holds the value, of a membership [first day, end, inferred].
        """
        journal = list(self._journal(entity, core_id))
        if self._until is None:
            return self._now(entity, core_id)
        if journal and journal[0][1] == "create":
            return self._played(journal)
        return self._taken_back(entity, core_id, journal)

    def _now(self, entity: Entity, core_id: int) -> State | None:
        state = self._states.read(entity, [core_id]).get(core_id)
        if state is None:
            return None
        for key, value in state.items():
            if key.startswith("identificatie/") and isinstance(value, dict):
                state[key] = {"waarde": self._states.reveal(core_id, key), **value}
        return state

    def _played(self, journal: Sequence[tuple[bool, str, Changes | None]]) -> State | None:
        state: State | None = None
        for counts, _, changed in journal:
            if not counts:
                break
            if changed is None:
                raise _erased()
            state = state or {}
            for key, (_, after) in changed.items():
                _put(state, key, after)
        return None if state is None else self._survivors(state)

    def _taken_back(
        self, entity: Entity, core_id: int, journal: Sequence[tuple[bool, str, Changes | None]]
    ) -> State | None:
        state = self._now(entity, core_id)
        if state is None:
            return None
        for counts, _, changed in reversed(journal):
            if counts:
                break
            if changed is None:
                raise _erased()
            for key, (before, _) in changed.items():
                _put(state, key, before)
        return state

    def _journal(self, entity: Entity, core_id: int) -> Iterator[tuple[bool, str, Changes | None]]:
        """(was known then, what was done, changes) of every applied step, oldest first."""
        until = self._until or self._context.now + timedelta(days=1)
        for op, digest, salt, change, counts in self._work.execute(
            "SELECT s.op, s.digest, s.salt, s.change, r.started_at < ? FROM step s "
            "JOIN plan p ON p.id = s.plan_id JOIN run r ON r.id = s.run_id "
            "WHERE s.core_id = ? AND s.entity = ? AND s.state = 'planned' AND p.applied "
            "ORDER BY s.id",
            (until, core_id, str(entity)),
        ):
            changed: Changes | None = None
            if salt is not None:
                plain = self._context.cipher.person(salt).decrypt(change, b"step|%s" % digest)
                changed = msgspec.json.decode(plain, type=Changes)
            yield bool(counts), op, changed

    def _survivors(self, state: State) -> State:
        """Members who were merged by then stand under who they became; the older entry stays."""
        found: State = {}
        for key, value in state.items():
            if key.startswith(_MEMBER):
                head, _, number = key.rpartition("/")
                found.setdefault(f"{head}/{self.became(int(number))}", value)
            else:
                found[key] = value
        return found

    def became(self, core_id: int) -> int:
        """Who a record was by then: what it had been merged into."""
        for _ in range(_LONGEST_CHAIN):
            rows = self._work.execute(
                "SELECT a.survivor_id FROM alias a JOIN run r ON r.id = a.run_id "
                "WHERE a.core_id = ? AND r.started_at < ?",
                (core_id, self._until or self._context.now + timedelta(days=1)),
            )
            if not rows:
                break
            core_id = int(rows[0][0])
        return core_id

    # -- for people ------------------------------------------------------------------------------

    def moment(
        self, entity: Entity, core_id: int, *, on: date | None, as_known: date | None
    ) -> Moment:
        """The record, its groepen and what is his."""
        told = self._told(entity, core_id, on=on, as_known=as_known)
        if entity in {Entity.LEERLING, Entity.MEDEWERKER}:
            told.groepen = [m for m in self._groepen(entity, core_id) if _covers(m, on)]
        for other in _OWN.get(entity, ()):
            for number in self._referring(other, entity, core_id):
                each = self._told(other, number, on=on, as_known=as_known)
                if each.known and each.holds:
                    told.others.append(each)
        return told

    def _told(
        self, entity: Entity, core_id: int, *, on: date | None, as_known: date | None
    ) -> Moment:
        state = self.state(entity, core_id)
        told = Moment(
            str(entity),
            hub_key(core_id),
            "" if on is None else on.isoformat(),
            "" if as_known is None else as_known.isoformat(),
            state is not None,
            state is not None and _holds(state, on),
        )
        if state is not None:
            self._numbers(entity, state, on=on, as_known=as_known)
            told.values = self._values(entity, state)
        return told

    def _numbers(
        self, entity: Entity, state: State, *, on: date | None, as_known: date | None
    ) -> None:
        """A school is called on a day what it was called then, where that is known by now."""
        if on is None:
            return
        every: Sequence[Herinrichting] = self._context.renumbering.every
        if as_known is not None:
            every = known_at(self._work, every, self._until)
        Renumbering(every, on=on).number_state(entity, state)

    def _values(self, entity: Entity, state: State) -> dict[str, Json]:
        pairs = {k: [None, v] for k, v in state.items() if not k.startswith(_MEMBER)}
        labels = labels_of(self._work, entity, pairs)
        found: dict[str, Json] = {}
        for key, pair in pairs.items():
            value = discreet(key, pair)[1]
            if value is None or (key, value) == ("tot_afgeleid", False):
                continue
            if key.endswith("_id") and isinstance(value, int):
                value = labels.get(str(value), hub_key(value))
            if isinstance(value, dict):
                value = {k: v for k, v in value.items() if k not in {"index", "geheim"} and v}
                value = value.get("waarde", value)
            name = key if key == "tot_afgeleid" else field_of(entity, key) or key
            if is_obtained(state[key]) and name in found:  # of another sector
                value = f"{found[name]}, {value}"
            found[name] = value
        members = sum(key.startswith(f"{_MEMBER}leerling/") for key in state)
        return found | ({"leerlingen": members} if entity is Entity.GROEP else {})

    def _referring(self, other: Entity, entity: Entity, core_id: int) -> list[int]:
        """Records of another entity that are this one's now, or were."""
        rows = self._work.execute(
            f"SELECT id FROM {other} WHERE {entity}_id = ? ORDER BY id", (core_id,)
        )
        return [row[0] for row in rows]

    # -- groepen ---------------------------------------------------------------------------------

    def _groepen(self, entity: Entity, core_id: int) -> Iterator[Membership]:
        work = self._work
        rows = work.execute("SELECT core_id FROM alias WHERE survivor_id = ?", (core_id,))
        own = {core_id, *(row[0] for row in rows if self.became(row[0]) == core_id)}
        pupil = entity is Entity.LEERLING
        for group, name in work.execute(
            "SELECT g.id, g.naam FROM groep g WHERE g.id IN (SELECT groep_id FROM groepsdeelname "
            f"WHERE {work.many('persoon_id')}) ORDER BY g.naam, g.id",
            (work.values(sorted(own)),),
        ):
            for role, (start, end, ended) in self._spans(group, own):
                if (role == "leerling") == pupil:
                    yield Membership(
                        name, hub_key(group), role, str(start or ""), _last(end), ended
                    )

    def _spans(self, group: int, own: set[int]) -> Iterator[tuple[str, tuple[Json, Json, bool]]]:
        """(role, (first day, end, left)) of a person in a groep, in order of time."""
        if self._until is None or not self._is_whole(group):
            yield from self._spans_now(group, own)
            return
        over: list[tuple[str, tuple[Json, Json, bool]]] = []
        open_: dict[str, list[Any]] = {}
        for counts, _, changed in self._journal(Entity.GROEP, group):
            if not counts:
                break
            for key, (_, after) in (changed or {}).items():
                if not key.startswith(_MEMBER) or int(key.rpartition("/")[2]) not in own:
                    continue
                role = key.split("/")[1]
                if isinstance(after, list) and len(after) > 3:
                    over.append((role, (after[0], after[1], True)))
                    open_.pop(role, None)
                elif isinstance(after, list):
                    open_[role] = after
        yield from over
        yield from ((role, (span[0], span[1], False)) for role, span in open_.items())

    def _is_whole(self, group: int) -> bool:
        """Whether the journal holds the making of this groep."""
        first = next(self._journal(Entity.GROEP, group), None)
        return first is not None and first[1] == "create"

    def _spans_now(
        self, group: int, own: set[int]
    ) -> Iterator[tuple[str, tuple[Json, Json, bool]]]:
        work = self._work
        for role, start, end, ended in work.execute(
            "SELECT rol, geldig_van, geldig_tot, beeindigd FROM groepsdeelname "
            f"WHERE groep_id = ? AND {work.many('persoon_id')} ORDER BY id",
            (group, work.values(sorted(own))),
        ):
            yield role, (start, end, bool(ended))


_LONGEST_CHAIN = 100
"""Merges of merges; a chain is kept as one by apply, so this is never reached."""

_OWN: Mapping[Entity, Sequence[Entity]] = {
    Entity.LEERLING: (
        Entity.INSCHRIJVING,
        Entity.VERZORGER_RELATIE,
        Entity.ADVIES,
        Entity.UITSTROOM,
    ),
    Entity.VERZORGER: (Entity.VERZORGER_RELATIE,),
}
"""What is shown with a record: that refers to it and is nobody's without it."""


def _put(state: State, key: str, value: Json) -> None:
    """One value of the flat state; a membership that ended is none."""
    if value is None or (key.startswith(_MEMBER) and isinstance(value, list) and len(value) > 3):
        state.pop(key, None)
    else:
        state[key] = value


def _holds(state: State, on: date | None) -> bool:
    if on is None:
        return True
    start, end = state.get("geldig_van"), state.get("geldig_tot")
    day = on.isoformat()
    return (start is None or str(start) <= day) and (end is None or day < str(end))


def _covers(membership: Membership, on: date | None) -> bool:
    if on is None:
        return True
    day = on.isoformat()
    return membership.first <= day and (not membership.last or day <= membership.last)


def _last(end: Json) -> str:
    """People say the last day; the core holds the first day after."""
    return "" if end is None else (date.fromisoformat(str(end)) - timedelta(days=1)).isoformat()


def _erased() -> SyncError:
    return SyncError(
        "what was known then has been erased or is over its time",
        advice="Wat er toen stond is gewist; alleen wat er nu is kan worden getoond.",
    )
