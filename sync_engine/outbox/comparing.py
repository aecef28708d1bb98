"""Drift of a target: what it should have beside what it confirmed last; nothing is changed.

What it should have is the pure mapping of the core of today. What it has is what it said itself it
has done; it is not asked again, for the one question that a target answers (`confirm`) is about
messages, and its answer would have to be kept. With each difference stands what is under way,
refused, or waits for a person. One moment of the store, streamed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Final

from config.clock import local_date
from config.errors import ConfigurationError, RecordError
from config.nearest import choice
from mappings.outward import Outward
from sync_engine.audit import note
from sync_engine.context import Target
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.forms import FORGOTTEN, Form, Forms
from sync_engine.outbox.making import BATCH
from sync_engine.outbox.states import OPEN, State, listed
from sync_engine.outbox.targets import targets_of
from sync_engine.outcome import ExitCode
from sync_engine.rights import check_tenant_of
from sync_engine.selection import select
from sync_engine.store.work import Work

_OPEN: Final = (*OPEN, State.DECLINED)


class Op(StrEnum):
    """How what a target has differs from what it should have."""

    MISSING = "missing"  # it should have the object, and has not
    OTHER = "other"
    SURPLUS = "surplus"  # it has the object, and should not
    UNMADE = "unmade"  # our own mapping cannot say what it should have
    UNDER_WAY = "under way"  # it has what it should, and a message on it is open all the same


@dataclass(frozen=True, slots=True)
class Way:
    """A message on an object that is not over.

    Attributes:
        code, rule: why the target refused it, or why none could be made.
    """

    message: int
    state: State
    code: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ObjectDrift:
    """One object that differs. Its values are personal data: for the person who asked.

    Attributes:
        key: the hub's own.
        fields: field → [should have, confirmed], as the mapping shows them to people; empty where
            the object is on one side only.
        is_kept: the form that was confirmed is there, and can be read.
        rule: which field breaks which rule, where no message can be made.
        ways: what is under way, refused or waits, oldest first; none where no run or delivery has
            seen it yet.
    """

    op: Op
    key: str
    fields: dict[str, list[str | None]] = field(default_factory=dict)
    is_kept: bool = True
    rule: str = ""
    ways: tuple[Way, ...] = ()


@dataclass(slots=True)
class TargetDrift:
    """What differs.

    Attributes:
        compared: objects that were looked at.
        ops: how → objects.
        fields: field → objects in which it differs.
        states: how far a message on an object that differs is → messages; `unseen` counts the
            objects that differ and on which there is none.
        records: the first that differ; `more` is how many there are besides.
    """

    target: str
    resource: str
    compared: int = 0
    ops: Counter[Op] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    states: Counter[State] = field(default_factory=Counter)
    unseen: int = 0
    records: list[ObjectDrift] = field(default_factory=list)
    more: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """0 when nothing differs, 1 when something does."""
        return ExitCode.PARTIAL if self.ops else ExitCode.DONE


def compare(
    hub: Hub,
    name: str,
    *,
    operator: str,
    schools: Sequence[str] = (),
    limit: int = 50,
    each: Callable[[ObjectDrift], None] | None = None,
) -> TargetDrift:
    """Compare what a target should have with what it confirmed, and put in the audit who looked.

    Args:
        hub: of the target.
        name: of its koppeling.
        operator: who asks.
        schools: BRINs or vestigingsnummers; only what a source brings of these. What is not in the
            core any more is of no school. Empty for all.
        limit: how many records to keep; all are counted.
        each: is handed every object that differs as it is found.

    Raises: NoRightError for who may act for a part of its tenant; ConfigurationError if nothing is
        delivered to it, or it serves no such school.
    """
    check_tenant_of(hub, name)
    numbers, hub = hub.schools(name, schools), hub.whole
    target = _find(hub, name)
    found = TargetDrift(name, target.resource)
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="diff", subject=f"target {name}")
        scopes = _scopes(hub, work, numbers)
        with work.snapshot():
            for record in _Comparison(hub, work, target, found).records(scopes):
                _count(found, record)
                if len(found.records) < limit:
                    found.records.append(record)
                if each is not None:
                    each(record)
    found.more = found.ops.total() - len(found.records)
    return found


def _count(found: TargetDrift, record: ObjectDrift) -> None:
    found.ops[record.op] += 1
    found.fields.update(list(record.fields))
    found.states.update(way.state for way in record.ways)
    found.unseen += not record.ways


def _find(hub: Hub, name: str) -> Target:
    """The target of that name. Raises: ConfigurationError."""
    every = targets_of(hub, hub.koppeling(name).tenant_id)
    for target in every:
        if target.koppeling.name == name:
            return target
    names = [target.koppeling.name for target in every]
    raise ConfigurationError(
        f"nothing is delivered to source[{name}]",
        advice=f"Vergelijk een bron met --source. {choice(name, names)}".strip(),
    )


def _scopes(hub: Hub, work: Work, schools: Sequence[str]) -> list[int] | None:
    """The scopes of these schools; None for all."""
    if not schools:
        return None
    found: set[int] = set()
    for school in schools:
        found.update(select(hub, work, source=None, school=school).scopes or ())
    return sorted(found)


class _Comparison:
    """Compares the objects of one target."""

    def __init__(self, hub: Hub, work: Work, target: Target, found: TargetDrift) -> None:
        self._work, self._target, self._found = work, target, found
        self._forms = Forms(work, hub.cipher(target.koppeling.tenant_id), target)
        self._today = local_date(hub.clock.now(), hub.settings.timezone)

    def records(self, scopes: Sequence[int] | None) -> Iterator[ObjectDrift]:
        """What differs, in the order of the hub's keys."""
        every = self._every(scopes)
        while cores := list(islice(every, BATCH)):
            self._found.compared += len(cores)
            wanted = self._forms.wanted(cores, on=self._today)
            confirmed = self._forms.confirmed(cores)
            ways = self._ways(cores)
            for core_id in cores:
                record = self._judge(
                    core_id,
                    wanted.get(core_id),
                    confirmed.get(core_id),
                    tuple(ways.get(core_id, ())),
                )
                if record is not None:
                    yield record

    def _every(self, scopes: Sequence[int] | None) -> Iterator[int]:
        """Whatever the core has of what is delivered, and whatever the target was told of."""
        work, target = self._work, self._target
        entity, own = target.outward.entity, target.koppeling
        query = (
            f"SELECT id AS core_id FROM {entity} WHERE tenant_id = ? UNION SELECT core_id "
            "FROM exchange WHERE koppeling_id = ? AND kind = ? UNION SELECT core_id FROM outbox "
            f"WHERE koppeling_id = ? AND resource = ? AND state IN ({listed(_OPEN)})"
        )
        params: list[object] = [own.tenant_id, own.id, target.kind, own.id, target.resource]
        where = "true"
        if scopes is not None:
            where = (
                "EXISTS (SELECT 1 FROM link l JOIN shadow s ON s.koppeling_id = l.koppeling_id "
                "AND s.entity = l.entity AND s.source_key = l.source_key "
                f"WHERE l.core_id = u.core_id AND {work.many('s.scope_id')})"
            )
            params.append(work.values(scopes))
        rows = work.rows(
            f"SELECT u.core_id FROM ({query}) u WHERE {where} ORDER BY u.core_id", params
        )
        return (row[0] for row in rows)

    def _ways(self, cores: Sequence[int]) -> dict[int, list[Way]]:
        work, target = self._work, self._target
        found: dict[int, list[Way]] = {}
        for core_id, number, state, code, rule in work.execute(
            "SELECT core_id, id, state, code, error FROM outbox WHERE koppeling_id = ? "
            f"AND resource = ? AND state IN ({listed(_OPEN)}) AND {work.many('core_id')} "
            "ORDER BY id",
            (target.koppeling.id, target.resource, work.values(cores)),
        ):
            found.setdefault(core_id, []).append(Way(number, State(state), code, rule))
        return found

    def _judge(
        self,
        core_id: int,
        wanted: bytes | RecordError | None,
        confirmed: Form | None,
        ways: tuple[Way, ...],
    ) -> ObjectDrift | None:
        key = hub_key(core_id)
        has = None if confirmed is None else confirmed.body
        if isinstance(wanted, RecordError):
            rule = f"{wanted.path}: {wanted.rule}"
            return ObjectDrift(Op.UNMADE, key, rule=rule, ways=ways)
        if wanted == has:
            return ObjectDrift(Op.UNDER_WAY, key, ways=ways) if ways else None
        if wanted is None or has is None:
            op = Op.MISSING if has is None else Op.SURPLUS
            return ObjectDrift(op, key, is_kept=has != FORGOTTEN, ways=ways)
        shown = None if has == FORGOTTEN else _shown(self._target.outward, has)
        if shown is None:
            return ObjectDrift(Op.OTHER, key, is_kept=False, ways=ways)
        return ObjectDrift(Op.OTHER, key, self._fields(wanted, shown), ways=ways)

    def _fields(self, wanted: bytes, has: Mapping[str, str]) -> dict[str, list[str | None]]:
        """Field → both sides, of what differs."""
        should = self._target.outward.shown(wanted)
        return {
            name: [should.get(name), has.get(name)]
            for name in sorted(should.keys() | has.keys())
            if should.get(name) != has.get(name)
        }


def _shown(outward: Outward, body: bytes) -> Mapping[str, str] | None:
    """What was confirmed, for people; None where today's mapping cannot read what it made then."""
    try:
        return outward.shown(body)
    except Exception:  # noqa: BLE001 - another package's mapping may raise anything
        return None
