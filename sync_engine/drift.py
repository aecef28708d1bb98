"""Drift: what differs now between the core and a source, field by field; nothing is changed.

It is a dry run, told by the rows of the mapping table: for each canonical field in how many records
it differs, and from which field of the source, by which function, it comes. Of each record it names
the raw record that holds it, so that the school can mend it where it is wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import msgspec

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.mapping import DescribedRow
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.declined import Declined, Word, declined
from sync_engine.find import hub_key
from sync_engine.flat import SECRET, discreet, field_of, is_flag_alone, numbers_in, target_of
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.hubkeys import NEW
from sync_engine.options import Options, Progress
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.pinned import PinRow, in_force
from sync_engine.places import Place, own_keys, places
from sync_engine.reach import ELSEWHERE, seen_among
from sync_engine.runs import run

_SLICE: Final = 500
PINNED: Final = "pinned"
"""What is done to a field that a person fixed: nothing, though it differs."""
DECLINED: Final = "declined"
"""What is done to what a person refused or undid: nothing, though it differs."""
_ONE_SIDED: Final = frozenset({"create", "close"})
_PERSONS: Final = (Entity.MEDEWERKER, Entity.LEERLING, Entity.VERZORGER)


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """One canonical field that differs.

    Attributes:
        records: in how many records.
        rows: the rows of the mapping that fill it; none for what no source states itself.
    """

    entity: str
    field: str
    records: int
    rows: Sequence[DescribedRow]


@dataclass(frozen=True, slots=True)
class EntityDrift:
    """The records of one entity: made, changed, closed and reopened by a run of now."""

    entity: str
    create: int
    change: int
    close: int
    reopen: int


@dataclass(frozen=True, slots=True)
class RecordDrift:
    """One record that differs. Its values are personal data: for the person who asked.

    Attributes:
        key: the hub's own, empty for what the core does not have.
        source_key: the source's key of it; empty where this source does not hold it.
        resource, raw_key: the raw record of the source that it stands in.
        fields: field → [core, source], personal numbers masked, what is secret left out; references
            and members by the source's own keys. Empty where the record is on one side only.
        paths: field → the source's fields that it comes from.
        would: of what a person refused or undid: what would become of it; `word` is whose and when.
    """

    entity: str
    op: str
    key: str
    source_key: str
    resource: str
    raw_key: str
    fields: dict[str, list[Json]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    would: str = ""
    word: Word | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Persons of the core who are there now by another source, and whom this one does not hold.

    No difference of this source; where a school moves to it, those who would stay behind.

    Attributes:
        keys: the first of them, by the hub's keys.
    """

    entity: str
    records: int
    keys: tuple[str, ...]


@dataclass(slots=True)
class Drift:
    """What differs.

    Attributes:
        report: of the dry run.
        records: the first that differ; `more` is how many there are besides.
        pinned: fields that a person fixed and of which the source says something else: they differ,
            and no run changes them.
        elsewhere: of whom this source says nothing; only where it was compared as a whole.
        declined: the first that differ and that no run changes, for a person refused or undid what
            the source says; `declined_records` is how many there are.
    """

    report: RunReport
    entities: list[EntityDrift] = field(default_factory=list)
    fields: list[FieldDrift] = field(default_factory=list)
    records: list[RecordDrift] = field(default_factory=list)
    more: int = 0
    pinned: list[PinRow] = field(default_factory=list)
    elsewhere: list[Elsewhere] = field(default_factory=list)
    declined: list[RecordDrift] = field(default_factory=list)
    declined_records: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """0 when nothing differs, 1 when something does or could not be compared."""
        if self.report.outcome is Outcome.FAILED:
            return self.report.exit_code
        differs = self.entities or self.declined_records
        same = not differs and self.report.outcome is Outcome.DONE
        return ExitCode.DONE if same else ExitCode.PARTIAL


def drift(
    hub: Hub,
    koppeling: str,
    options: Options,
    *,
    limit: int,
    each: Callable[[RecordDrift], None] | None = None,
    progress: Progress | None = None,
) -> Drift:
    """Compare the core with one source, and put in the audit trail who looked.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        options: of a dry run.
        limit: how many records to keep; all are counted.
        each: is handed every record as it is found, under the lock of the tenant: it must be quick.
        progress: told what goes on.

    Raises: as `runs.run`; what goes wrong later is in the report.
    """
    whole = not (options.brins or options.resources or options.only)
    teller = _Teller(limit, each, whole=whole, seen=_seen_by(hub))
    report = run(hub, koppeling, options, progress=progress, inspect=teller.inspect)
    with hub.store.work() as work:
        subject = f"plan {report.plan_id}"
        note(hub, work, operator=options.operator, action="diff", subject=subject)
    found = teller.drift(report)
    if report.outcome is not Outcome.FAILED:
        found.pinned = _pinned(hub, koppeling, options.brins)
        if each is not None:
            for pin in found.pinned:
                each(_of_pin(pin, koppeling))
        for record in teller.declined(hub, report):
            found.declined_records += 1
            if len(found.declined) < limit:
                found.declined.append(record)
            if each is not None:
                each(record)
    return found


Seen: TypeAlias = Callable[[Sequence[int]], Collection[int]]
"""Of these core ids those that the actor may see."""


def _seen_by(hub: Hub) -> Seen:
    """What tells who may be told of: the run itself compares everything."""
    if not hub.actor.is_limited:
        return lambda cores: cores

    def seen(cores: Sequence[int]) -> set[int]:
        with hub.store.work() as work:
            return seen_among(work, cores)

    return seen


def _pinned(hub: Hub, koppeling: str, brins: Sequence[str]) -> list[PinRow]:
    """Pins that count and of which this koppeling says something else; nothing that is secret.

    Of the schools that are asked for alone, for what is found is given to them.
    """
    return [
        replace(row, value=SECRET, sources={koppeling: SECRET}) if row.secret else row
        for row in in_force(hub, koppeling=koppeling)
        if row.counts
        and row.sources.get(koppeling, row.value) != row.value
        and (not brins or any(s.startswith(b.upper()) for s in row.schools for b in brins))
    ]


def _of_pin(pin: PinRow, koppeling: str) -> RecordDrift:
    """A pin as a record of which one field differs."""
    sides = [pin.value, pin.sources[koppeling]]
    return RecordDrift(pin.entity, PINNED, pin.key, "", "", "", fields={pin.field: sides})


class _Teller:
    """Reads the plan of a dry run and counts."""

    def __init__(
        self,
        limit: int,
        each: Callable[[RecordDrift], None] | None,
        *,
        whole: bool,
        seen: Seen,
    ) -> None:
        self._limit, self._seen = limit, seen
        self._each = each
        self._whole = whole
        self._elsewhere: list[Elsewhere] = []
        self._ops: Counter[tuple[str, str]] = Counter()
        self._fields: Counter[tuple[str, str]] = Counter()
        self._rows: dict[tuple[str, str], list[DescribedRow]] = defaultdict(list)
        self._records: list[RecordDrift] = []
        self._said_anew: set[tuple[str, str]] = set()

    def inspect(self, context: Context, plan_id: int) -> None:
        """Take every step of the plan, in slices."""
        for row in context.mapping.describe():
            self._rows[str(row.entity), row.target].append(row)
        for steps in _steps(context, plan_id):
            by_entity: dict[Entity, list[_Step]] = defaultdict(list)
            mine = self._seen([step.core_id for step in steps if step.op != "create"])
            for step in steps:
                if step.op == "create" or step.core_id in mine:
                    by_entity[step.entity].append(step)
            for entity, some in by_entity.items():
                self._take(_Slice(context, entity, some, self._rows, seen=self._seen))
        self._said_anew = _said_anew(context)
        if self._whole:
            self._elsewhere = [found for e in _PERSONS if (found := self._missing(context, e))]

    def _missing(self, context: Context, entity: Entity) -> Elsewhere | None:
        """Who is there now and neither is a record of this source nor would become one."""
        own = "SELECT 1 FROM {} l WHERE l.core_id = c.id AND l.entity = ? AND l.koppeling_id {} ?"
        named = (str(entity), context.koppeling.id)
        rows = context.work.execute(
            f"SELECT c.id FROM {entity} c WHERE c.tenant_id = ? "
            "AND (c.geldig_tot IS NULL OR c.geldig_tot > ?) "
            f"AND NOT EXISTS ({own.format('link', '=')}) "
            f"AND NOT EXISTS ({own.format('w_link', '=')}) "
            f"AND EXISTS ({own.format('link', '<>')}) ORDER BY c.id",
            (context.koppeling.tenant_id, context.today, *named * 3),
        )
        mine = self._seen([core_id for (core_id,) in rows])
        keys = [hub_key(core_id) for (core_id,) in rows if core_id in mine]
        if self._each is not None:
            for key in keys:
                self._each(RecordDrift(str(entity), "elsewhere", key, "", "", ""))
        return Elsewhere(str(entity), len(keys), tuple(keys[: self._limit])) if keys else None

    def declined(self, hub: Hub, report: RunReport) -> Iterator[RecordDrift]:
        """What a person refused or undid and the source says still, of what was compared."""
        read = {(reading.resource, reading.scope) for reading in report.readings}
        for one in declined(hub, report.koppeling):
            compared = self._whole or (one.resource, one.scope) in read
            anew = (one.entity, one.source_key) in self._said_anew
            if compared and one.differs and not anew:
                yield self._of_declined(one)

    def _of_declined(self, one: Declined) -> RecordDrift:
        paths = {
            name: _paths(self._rows.get((one.entity, name), ()), one.resource)
            for name in one.fields
        }
        place = (one.key, one.source_key, one.resource, one.raw_key)
        return RecordDrift(
            one.entity, DECLINED, *place, one.fields, paths, would=one.op, word=one.word
        )

    def _take(self, part: _Slice) -> None:
        for record in part.records():
            self._ops[record.entity, record.op] += 1
            self._fields.update((record.entity, name) for name in record.fields)
            if len(self._records) < self._limit:
                self._records.append(record)
            if self._each is not None:
                self._each(record)

    def drift(self, report: RunReport) -> Drift:
        """All of it together, in the order of the schema."""
        order = {str(entity): place for place, entity in enumerate(Entity)}
        entities = [
            EntityDrift(
                name, *(self._ops[name, op] for op in ("create", "change", "close", "reopen"))
            )
            for name in sorted({name for name, _ in self._ops}, key=order.__getitem__)
        ]
        places = {
            (str(entity), name): place
            for entity in Entity
            for place, name in enumerate(fields_of(entity))
        }
        fields = [
            FieldDrift(entity, name, count, self._rows.get((entity, name), ()))
            for (entity, name), count in sorted(
                self._fields.items(),
                key=lambda item: (order[item[0][0]], places.get(item[0], 99), item[0]),
            )
        ]
        more = self._ops.total() - len(self._records)
        return Drift(report, entities, fields, self._records, more, elsewhere=self._elsewhere)


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of a plan, opened."""

    entity: Entity
    core_id: int
    source: str
    op: str
    changed: dict[str, list[Json]]


def _steps(context: Context, plan_id: int) -> Iterator[list[_Step]]:
    last = 0
    while True:
        rows = context.work.execute(
            "SELECT id, entity, core_id, source, op, digest, salt, change FROM step "
            f"WHERE plan_id = ? AND id > ? ORDER BY id LIMIT {_SLICE}",
            (plan_id, last),
        )
        if not rows:
            return
        last = rows[-1][0]
        opened = []
        for _, entity, core_id, source, op, digest, salt, change in rows:
            changed: dict[str, list[Any]] = {}
            if op not in _ONE_SIDED:
                plain = context.cipher.person(salt).decrypt(change, b"step|%s" % digest)
                changed = msgspec.json.decode(plain, type=dict[str, list[Any]])
            opened.append(_Step(Entity(entity), core_id, source, op, changed))
        yield opened


class _Slice:
    """Some steps of one entity, with what all of them name."""

    def __init__(
        self,
        context: Context,
        entity: Entity,
        steps: Sequence[_Step],
        rows: dict[tuple[str, str], list[DescribedRow]],
        *,
        seen: Seen,
    ) -> None:
        self._seen = seen
        self._context, self._entity, self._steps, self._rows = context, entity, steps, rows
        self._own = _keys(context, entity, [step.core_id for step in steps])
        self._places: dict[str, Place] = {}
        for place in places(context, entity, sorted(set(self._own.values()))):
            self._places.setdefault(place.key, place)
        self._others = self._referred()

    def _referred(self) -> dict[tuple[Entity, int], str]:
        """(entity, core id) → how the source calls it, of everything that these steps refer to."""
        wanted: dict[Entity, set[int]] = defaultdict(set)
        for step in self._steps:
            for key, pair in step.changed.items():
                target = target_of(self._entity, key)
                if target is not None:
                    wanted[target].update(numbers_in(key, pair))
        mine = self._seen(sorted({n for some in wanted.values() for n in some if n > 0}))
        found = {
            (target, number): key
            for target, numbers in wanted.items()
            for number, key in _keys(self._context, target, sorted(numbers)).items()
        }
        others = ((target, n) for target, some in wanted.items() for n in some if n > 0)
        return found | {one: ELSEWHERE for one in others if one[1] not in mine}

    def records(self) -> Iterator[RecordDrift]:
        """Each step, told."""
        context = self._context
        for step in self._steps:
            key = self._own.get(step.core_id, "")
            place = self._places.get(key)
            resource = "" if place is None else context.scopes[place.scope_id].resource
            fields = self._fields_of(step)
            yield RecordDrift(
                str(self._entity),
                step.op,
                hub_key(step.core_id) if step.core_id > 0 and step.op != "create" else "",
                key,
                resource,
                "" if place is None else place.raw_key,
                fields,
                {
                    name: _paths(self._rows.get((str(self._entity), name), ()), resource)
                    for name in fields
                },
            )

    def _fields_of(self, step: _Step) -> dict[str, list[Json]]:
        """Canonical field → [core, source], in the order of the schema."""
        found: dict[str, list[Json]] = {}
        for key, pair in step.changed.items():
            name = field_of(self._entity, key)
            if name is None or is_flag_alone(pair):
                continue
            if key == "tot_afgeleid":
                told: list[Json] = ["afgeleid" if side else "" for side in pair]
                found.setdefault(name, told)
            elif key.startswith("groepsdeelname/"):
                self._member(found.setdefault(name, [[], []]), key, pair)
            else:
                found[name] = [self._value(key, side) for side in discreet(key, pair)]
        order = {name: place for place, name in enumerate(fields_of(self._entity))}
        return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))

    def _member(self, sides: list[Json], key: str, pair: list[Json]) -> None:
        """A member who would go stands on the side of the core, one who would come on the other."""
        target = target_of(self._entity, key)
        number = int(key.rpartition("/")[2])
        if target is None:
            return
        named = self._others.get((target, number), _hub_key(number))
        before, after = pair
        ended = after is None or (isinstance(after, list) and len(after) > 3)
        for side, here in zip(sides, (before is not None, not ended), strict=True):
            if here and isinstance(side, list):
                side.append(named)

    def _value(self, key: str, side: Json) -> Json:
        target = target_of(self._entity, key)
        if target is not None and isinstance(side, int):
            return self._others.get((target, side), _hub_key(side))
        if isinstance(side, dict) and "waarde" in side:
            return side["waarde"]
        if isinstance(side, dict):
            return {name: part for name, part in side.items() if name not in {"geheim", "index"}}
        return side


def _paths(rows: Sequence[DescribedRow], resource: str) -> str:
    """The source's fields that a canonical field comes from, those of its resource first."""
    own = [row for row in rows if row.resource == resource] or rows
    return ", ".join(dict.fromkeys(path for row in own for path in row.source))


def _said_anew(context: Context) -> set[tuple[str, str]]:
    """Refused records of which the source says something else by now: those are compared anew."""
    rows = context.work.execute(
        "SELECT s.entity, s.source_key FROM shadow s JOIN v_shadow v ON v.id = s.id "
        "WHERE s.koppeling_id = ? AND s.refused_run IS NOT NULL AND v.refused_run IS NULL",
        (context.koppeling.id,),
    )
    return {(entity, key) for entity, key in rows}


def _keys(context: Context, entity: Entity, cores: Sequence[int]) -> dict[int, str]:
    """Core id → the first key under which the running koppeling knows it, or will."""
    keys = own_keys(context, entity, cores, planned=True)
    return {core_id: own[0] for core_id, own in keys.items()}


def _hub_key(number: int) -> str:
    return hub_key(number) if number > 0 else NEW
