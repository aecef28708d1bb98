"""Any sequence of changes, faults, crashes, pins and policies converges to the fold of the sources.

After every run the whole core, its links and its open cases are compared with the oracle's; at the
end a further run must change nothing, and every field must be explained. A step counts in a history
where it had its effect (the process died, the closing was held); on either database every kind of
step must count in at least 5% of the histories.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine import pins
from sync_engine.explain import explain
from sync_engine.outcome import Outcome, RunReport
from sync_engine.store.engine import Store
from tests.property import world
from tests.property.history import History, Member, Node
from tests.property.identity import PERSONAL
from tests.property.oracle import Oracle
from tests.property.stores import DoomedStore, Killed, on_postgres, on_sqlite
from tests.support.hubs import OF_RUNS, Bench, bench
from tests.support.hubs import Kind as RunKind
from tests.support.memory import Said
from tests.support.postgres import PostgresServer

NEVER_HELD: dict[str, Any] = {
    kind: {"number": 1_000_000, "share": None} for kind in ("close", "create", "change", "empty")
}
# what the packaged seasons let pass by themselves would go before these, for days of summer
NEVER_HELD |= {
    "seasons": {name: {"from": "02-29", "to": "02-29"} for name in ("voorjaar", "zomer")}
}
CLOSES_HELD = NEVER_HELD | {"close": {"number": 1, "share": None, "floor": 0}}
SOURCES = st.sampled_from(["s0", "s1", "s2"])
ENTITIES = st.sampled_from(world.ENTITIES)
NUMBERS = st.integers(0, 2)
OPTIONAL = {
    entity: [n for n, d in fields_of(entity).items() if not d.required] for entity in Entity
}
# What a run writes of its own reading, although nothing of the school changed.
OF_READING = OF_RUNS | {"source_cursor", "scope"}


class Machine(RuleBasedStateMachine):
    """Three sources, one hub and the oracle."""

    stores: Callable[[], Any]
    seen: Counter[str]  # kind of step → examples in which it occurred
    examples: int

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="koppelhub-property-"))
        self.opened = type(self).stores()
        self.bench: Bench = bench(
            self.opened.__enter__(), self.folder, sources=world.sources(), mappings=world.mappings()
        )
        self.bench.policy(guards=NEVER_HELD)
        self.bench.hub.cipher(1)  # the first look makes the keys of the tenant
        weak, strong = (
            frozenset(
                ("s2", str(entity), name)
                for entity, fields in world.WEAK.items()
                for name, strength in fields.items()
                if strength == level
            )
            for level in ("weak", "strong")
        )
        self.history = History(weak=weak, strong=strong)
        self.oracle = Oracle(self.history)
        self.steps: set[str] = set()
        self.pinned: dict[tuple[tuple[str, str, str], str], int] = {}

    # -- what sources do ---------------------------------------------------------------------------

    @initialize(school=world.SCHOOL, twins=st.booleans(), name=SOURCES, narrow=ENTITIES)
    def first(
        self,
        school: list[tuple[Entity, int, dict[str, Any]]],
        twins: bool,
        name: str,
        narrow: Entity,
    ) -> None:
        """A school to begin with; a second source may have all of it too, a third few rights."""
        fields = frozenset(fields_of(narrow)) - set(OPTIONAL[narrow][:2])
        self.bench.sources[name].fields[str(narrow)] = fields
        for entity, number, record in school:
            for name in ("s0", "s1") if twins else ("s0",):
                self.bench.sources[name].put(entity, world.KEYS[entity][number], **record)

    @rule(name=SOURCES, later=st.booleans(), school=world.SOME)
    def put(self, name: str, later: bool, school: list[tuple[Entity, int, dict[str, Any]]]) -> None:
        """Records are new, or other than they were."""
        source = self.bench.sources[name]
        scope = source.scope_keys[-1] if later else "hoofd"
        for entity, number, record in school:
            key = world.KEYS[entity][number]
            known = key in source.records.get((str(entity), scope), {})
            source.put(entity, key, scope, **record)
            self.steps.add("change" if known else "add")

    @rule(name=SOURCES, number=NUMBERS, other=SOURCES, data=st.data(), bare=st.booleans())
    def copy(self, name: str, number: int, other: str, data: st.DataObject, bare: bool) -> None:
        """Another source has the same record, under another key or without numbers."""
        shared = (Entity.LEERLING, Entity.GROEP, Entity.VESTIGING, Entity.INSCHRIJVING)
        givers = [self.bench.sources[giver] for giver in (name, *self.bench.sources)]
        held = [
            (entity, record)
            for entity in shared
            for record in next(filter(None, (g.here(entity) for g in givers)), {}).values()
        ]
        if held:
            entity, record = data.draw(st.sampled_from(held))
            if bare:
                record = {k: v for k, v in record.items() if k not in PERSONAL}
            self.bench.sources[other].put(entity, world.KEYS[entity][number], **record)
            self.steps.add("share")

    @rule(name=SOURCES, data=st.data())
    def change(self, name: str, data: st.DataObject) -> None:
        """A record is other than it was."""
        source = self.bench.sources[name]
        present = [(e, s, k) for (e, s), records in source.records.items() for k in records]
        if present:
            entity, scope, key = data.draw(st.sampled_from(sorted(present)))
            record = data.draw(world.RECORDS[Entity(entity)])
            source.put(Entity(entity), key, scope, **record)
            self.steps.add("change")

    @rule(name=SOURCES, data=st.data())
    def remove(self, name: str, data: st.DataObject) -> None:
        """A record disappears."""
        self._remove(name, data)

    def _alone(self, node: Node) -> bool:
        core = self.oracle.core
        return [other for other in core if core[other] == core.get(node)] == [node]

    def _remove(self, name: str, data: st.DataObject) -> None:
        source = self.bench.sources[name]
        present = [(e, s, k) for (e, s), records in source.records.items() for k in records]
        if present:
            entity, scope, key = data.draw(st.sampled_from(sorted(present)))
            source.remove(Entity(entity), key, scope)
            self.steps.add("remove")

    def _leave(self, wish: str, data: st.DataObject) -> str:
        """A source is read, and loses a record that is nobody else's, and not its only one.

        Returns: which source: another than the wish where that has no such record.
        """
        for name in (wish, *self.bench.sources):
            self._run(name)
            leaving = [
                (entity, scope, key)
                for (entity, scope), records in self.bench.sources[name].records.items()
                for key in records
                if len(records) > 1 and self._alone((name, entity, key))
            ]
            if leaving:
                entity, scope, key = data.draw(st.sampled_from(sorted(leaving)))
                self.bench.sources[name].remove(Entity(entity), key, scope)
                return name
        return wish

    @rule(name=SOURCES, data=st.data())
    def spoil(self, name: str, data: st.DataObject) -> None:
        """A record comes in garbled, and goes to quarantine."""
        entity = data.draw(ENTITIES)
        self.bench.sources[name].put(entity, world.KEYS[entity][0], kapot=True)
        self.steps.add("quarantine")

    @rule(name=SOURCES, entity=ENTITIES, data=st.data(), narrower=st.booleans())
    def rights(self, name: str, entity: Entity, data: st.DataObject, narrower: bool) -> None:
        """A right is withdrawn, so that some fields are delivered no longer; or all are given."""
        source = self.bench.sources[name]
        narrowed = [other for other in self.bench.sources.values() if other.fields]
        if narrowed and not narrower:
            (source if source.fields else narrowed[0]).fields.clear()
            self.steps.add("widen")
            return
        dropped = data.draw(st.sets(st.sampled_from(OPTIONAL[entity]), min_size=1, max_size=4))
        source.fields[str(entity)] = frozenset(fields_of(entity)) - dropped
        self.steps.add("narrow")

    # -- what runs do ------------------------------------------------------------------------------

    @rule(name=SOURCES)
    def sync(self, name: str) -> None:
        """A full run."""
        self._run(name)
        self.steps.add("full")

    @rule(name=SOURCES)
    def delta(self, name: str) -> None:
        """A run of what changed."""
        self._run(name, kind=RunKind.DELTA)
        self.steps.add("delta")

    @rule(name=SOURCES, data=st.data(), kind=st.sampled_from(["error", "short"]))
    def fault(self, name: str, data: st.DataObject, kind: str) -> None:
        """A reading breaks off, or a page of it is missing."""
        source = self.bench.sources[name]
        held = sorted(place for place, records in source.records.items() if records)
        place = data.draw(st.sampled_from(held or [("leerling", "hoofd")]))
        source.faults[place] = kind
        report = self._run(name)
        if kind == "error":
            assert report.outcome in {Outcome.PARTIAL, Outcome.FAILED}
        self.steps.add(kind)

    @rule(name=SOURCES, statements=st.integers(0, 300), delta=st.booleans())
    def crash(self, name: str, statements: int, delta: bool) -> None:
        """The process dies at some statement; the next run goes on."""
        kind = RunKind.DELTA if delta else RunKind.FULL
        source, hub = self.bench.sources[name], self.bench.hub
        before = self._cursors(name)
        doomed: Any = DoomedStore(hub.store, statements)
        self.bench.hub = replace(hub, store=doomed)
        try:
            self.bench.sync(name, kind=kind)
            died = False
        except Killed:
            died = True
        finally:
            self.bench.hub = hub
        self.steps.update(["crash"] if died else [])
        after = self._cursors(name)
        for said in source.said:
            place = (said.resource, said.scope)
            if delta and (not died or before.get(place) != after.get(place)):
                self._hear(name, said)  # it was received: the next delta will not repeat it
        source.said.clear()
        self._run(name, kind=kind)

    @rule(name=SOURCES, hours=st.sampled_from([0, 1, 7]))
    def preview(self, name: str, hours: int) -> None:
        """A dry run changes nothing, and shows what the run will do."""
        self.bench.later(hours)
        self._preview(name)

    def _preview(self, name: str) -> None:
        before = self.bench.dump()
        dry = self.bench.sync(name, dry=True)
        assert self.bench.dump() == before
        self.bench.sources[name].said.clear()
        real = self._run(name)
        assert self._plan(dry) == self._plan(real)
        self.steps.add("dry")

    @rule(hours=st.sampled_from([1, 7, 30]))
    def wait(self, hours: int) -> None:
        """Time goes by."""
        self.bench.later(hours)
        self.steps.add("wait")

    @rule(order=st.permutations(["s0", "s1", "s2"]), dry=st.booleans())
    def night(self, order: list[str], dry: bool) -> None:
        """All sources, in some order; perhaps after a look at what would come of it."""
        for name in order:
            if dry:
                self._preview(name)
            else:
                self._run(name)
        self.steps.add("night")

    @rule()
    def scopes(self) -> None:
        """A source lists one of its scopes no longer, or again; it is read at once."""
        source = self.bench.sources["s1"]
        source.scope_keys = ("hoofd",) if len(source.scope_keys) == 2 else ("hoofd", "volgend")
        self._run("s1")
        self.steps.add("ends" if len(source.scope_keys) == 1 else "returns")

    @rule(name=SOURCES, data=st.data(), over=st.booleans())
    def summer(self, name: str, data: st.DataObject, over: bool) -> None:
        """Around the turn of the schooljaar what is missing closes nothing, until it is over."""
        name = self._leave(name, data)
        self._jump(month=7, day=26)
        for _ in range(2):
            self._run(name)
            self.bench.later()
        if over:
            self._jump(month=8, day=21)
            self._run(name)
            self.steps.add("autumn")
        self.steps.add("summer")

    def _jump(self, *, month: int, day: int) -> None:
        now = self.bench.clock.now()
        then = now.replace(month=month, day=day, hour=1)
        then = then if then > now else then.replace(year=now.year + 1)
        self.bench.clock.advance(then - now)

    @rule(name=SOURCES, data=st.data())
    def hold(self, name: str, data: st.DataObject) -> None:
        """Every closing is held, and waits for the next run."""
        self._held(name, data)

    @rule(name=SOURCES, data=st.data())
    def approve(self, name: str, data: st.DataObject) -> None:
        """Every closing is held, and a person lets them pass."""
        name, report = self._held(name, data)
        if report.held:
            self.bench.sync(name, kind=RunKind.APPLY, approved=report.plan_id)
            self.oracle.run(name)
            self._compare()
            self.steps.add("approve")

    def _held(self, name: str, data: st.DataObject) -> tuple[str, RunReport]:
        name = self._leave(name, data)
        self._run(name)
        self.bench.later()
        self._policy(CLOSES_HELD)
        report = self._run(name, closes=False)
        self._policy(NEVER_HELD)
        assert report.outcome is not Outcome.HELD or report.held
        self.steps.update(["hold"] if report.held else [])
        return name, report

    # -- what people do ----------------------------------------------------------------------------

    @rule(data=st.data(), field=st.sampled_from(sorted(world.PINNABLE)), lift=st.booleans())
    def pin(self, data: st.DataObject, field: str, lift: bool) -> None:
        """A person fixes a value by hand, and perhaps takes a pin away again after a run."""
        self._run("s0")
        core = self.oracle.core
        nodes = sorted(n for n in core if n[1] == "leerling")
        if not nodes:
            return
        node = data.draw(st.sampled_from(nodes))
        one, group = core[node], [other for other in core if core[other] == core[node]]
        value = data.draw(world.PINNABLE[field])
        number = pins.pin(
            self.bench.hub,
            self.bench.core(Entity.LEERLING, node[2], node[0]),
            entity=Entity.LEERLING,
            field=field,
            value=value,
            reason="test",
            operator="test",
        )
        for other in group:
            self.history.pins.pop((other, field), None)
            self.pinned.pop((other, field), None)
        self.history.pins[one, field] = value  # whoever is parted from that has it no longer
        self.pinned[one, field] = number
        self.steps.add("pin")
        if lift:
            self._run("s1")
            place = data.draw(st.sampled_from(sorted(self.pinned)))
            pins.lift(self.bench.hub, self.pinned.pop(place))
            del self.history.pins[place]
            self.steps.add("lift")

    @rule(order=st.sampled_from(world.POLICIES))
    def policy(self, order: dict[str, list[str]]) -> None:
        """Other sources are believed; seen in the next run."""
        self.steps.update(["policy"] if order != self.history.order else [])
        self.history.order = order
        self._policy(NEVER_HELD)

    def _policy(self, guards: dict[str, Any]) -> None:
        self.bench.policy(guards=guards, authority={"order": self.history.order})

    # -- what must hold ----------------------------------------------------------------------------

    def teardown(self) -> None:
        """Once the sources answer, the core is the fold, and stays so."""
        try:
            for source in self.bench.sources.values():
                source.faults.clear()
            for _ in range(3):
                self.bench.later()
                for name in self.bench.sources:
                    self._run(name)
            self._rests()
            self._explained()
        finally:
            self.bench.close()
            self.opened.__exit__(None, None, None)
            shutil.rmtree(self.folder)
        type(self).examples += 1
        type(self).seen.update(self.steps)

    def _run(self, name: str, *, closes: bool = True, **options: Any) -> RunReport:
        source = self.bench.sources[name]
        source.said.clear()
        report = self.bench.sync(name, **options)
        for said in source.said:
            self._hear(name, said)
        source.said.clear()
        ended = {"hoofd", "volgend"} - set(source.scope_keys) if name == "s1" else set()
        self.history.ended -= {(name, scope) for scope in source.scope_keys}
        self.history.ended |= {(name, scope) for scope in ended}
        self.oracle.run(name, closes=closes)
        self._compare()
        return report

    def _hear(self, name: str, said: Said) -> None:
        self.oracle.hear(self.history.reading(name, self.bench.clock.now(), said))

    def _compare(self, *, acted: bool = False) -> None:
        links, core = world.groups(self.bench), self.oracle.core
        same = {frozenset(n for n in core if core[n] == one) for one in core.values()}
        assert set(links.values()) == same
        names = {core_id: core[min(nodes)] for core_id, nodes in links.items()}
        tables = world.core_tables(self.bench, names)
        for entity in map(str, Entity):
            rows, ours = (
                {n: r for n, r in t.items() if n[1] == entity} for t in (tables, self.oracle.shown)
            )
            assert rows == ours, entity
        self._compare_members(names)
        cases = {(s, e, k): kind for s, e, k, kind in self.bench.cases() if kind != "quarantine"}
        broken = {(s, e, k) for s, e, k, kind in self.bench.cases() if kind == "quarantine"}
        assert broken == self._broken()
        assert cases == {node: kind for node, (kind, _) in self.oracle.cases.items()}
        self.steps.update(f"doubt: {n[1]}" for n, kind in cases.items() if kind == "score")
        left = self.bench.query("SELECT * FROM refold WHERE reason <> 'held'")
        assert acted or not left  # of an act something may be left to the next run

    def _compare_members(self, names: dict[int, Node]) -> None:
        """Where nothing was merged: since when who is a member, and from when until when he was."""
        merged = {self.oracle.core[node] for node in self.oracle.merged} | self.oracle.merged

        def simple(told: dict[Member, list[Any]]) -> dict[Member, list[Any]]:
            return {m: days for m, days in told.items() if not merged & {m[0], m[2]}}

        assert simple(world.members(self.bench, names)) == simple(self.oracle.members)

    def _rests(self) -> None:
        before = self.bench.dump(without=OF_READING)
        for name in self.bench.sources:
            report = self._run(name)
            assert not report.steps
        assert self.bench.dump(without=OF_READING) == before

    def _explained(self) -> None:
        """For every field of every core record: who gave it, and that this is what he says."""
        core = self.oracle.core
        names = {core_id: core[min(nodes)] for core_id, nodes in world.groups(self.bench).items()}
        tables = world.core_tables(self.bench, names)
        with self.bench.context() as context:
            for core_id, one in names.items():
                entity = Entity(one[1])
                row = tables.get(one)
                if row is None:
                    continue
                reasons = {r.name: r for r in explain(context, entity, core_id).fields}
                for name, description in fields_of(entity).items():
                    value = None if description.kind in world.APART else row[name]
                    inferred = description.kind is Kind.PERIOD_END and row["tot_afgeleid"]
                    if value is None or inferred:  # no source says when it ended
                        continue
                    reason = reasons[name]
                    if reason.pin_id is not None:
                        assert reason.value == value
                        continue
                    said = [c.value for c in reason.claims if c.koppeling == reason.koppeling]
                    assert reason.value in said
                    if description.kind is not Kind.REFERENCE:
                        assert reason.value == value

    def _broken(self) -> set[tuple[str, str, str]]:
        """Records that are in quarantine: each is a case as long as it is there."""
        return set(
            self.bench.query(
                "SELECT k.name, p.resource, q.source_key FROM quarantine q "
                "JOIN scope p ON p.id = q.scope_id JOIN koppeling k ON k.id = p.koppeling_id"
            )
        )

    def _plan(self, report: RunReport) -> list[Any]:
        rows = self.bench.query(
            "SELECT entity, op, digest FROM step WHERE plan_id = ?", report.plan_id
        )
        return sorted(rows)

    def _cursors(self, name: str) -> dict[tuple[str, str], str]:
        rows = self.bench.query(
            "SELECT s.resource, s.key, c.value FROM source_cursor c JOIN scope s "
            "ON s.id = c.scope_id JOIN koppeling k ON k.id = s.koppeling_id WHERE k.name = ?",
            name,
        )
        return {(resource, scope): value for resource, scope, value in rows}


KINDS = (
    "add",
    "change",
    "share",
    "remove",
    "quarantine",
    "narrow",
    "widen",
    "full",
    "delta",
    "error",
    "short",
    "crash",
    "dry",
    "wait",
    "night",
    "pin",
    "lift",
    "policy",
    "ends",
    "returns",
    "summer",
    "autumn",
    "hold",
    "approve",
)


class Families(Machine):
    """Whole families in two sources, so that persons look like one another."""

    @rule(name=SOURCES, other=SOURCES, guardian=NUMBERS, child=NUMBERS, family=world.FAMILY)
    def family(self, name: str, other: str, guardian: int, child: int, family: Any) -> None:
        """A pupil and one of his guardians; another source has them too."""
        pupil, person = family
        keys = world.KEYS[Entity.VERZORGER][guardian], world.KEYS[Entity.LEERLING][child]
        relation = {"verzorger": keys[0], "leerling": keys[1]}
        for source in (self.bench.sources[n] for n in sorted({name, other})):
            source.put(Entity.LEERLING, keys[1], **pupil)
            source.put(Entity.VERZORGER, keys[0], **person)
            source.put(
                Entity.VERZORGER_RELATIE, world.KEYS[Entity.VERZORGER_RELATIE][0], **relation
            )


DOUBTS = tuple(f"doubt: {entity}" for entity in ("leerling", "medewerker", "verzorger"))


def _machine(stores: Callable[[], Any], kind: type[Machine] = Machine) -> type[Machine]:
    return type(
        "Machine", (kind,), {"stores": staticmethod(stores), "seen": Counter(), "examples": 0}
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of the current schema, to copy for each history."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.upgrade()
    return path


def _hold(
    stores: Callable[[], Any], *, examples: int, steps: int, kind: type[Machine] = Machine
) -> type[Machine]:
    machine = _machine(stores, kind)
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps)
    )
    return machine


def _deal(stores: Callable[[], Any], *, examples: int) -> type[Machine]:
    """Histories that take every step, each in an order of its own; a scope ends and returns."""
    kind = _machine(stores)

    @settings(max_examples=examples)
    @given(data=st.data())
    def history(data: st.DataObject) -> None:
        machine = kind()
        try:
            again = [step for step in machine.rules if step.function.__name__ == "scopes"]
            steps = data.draw(st.permutations([*machine.rules, *again]))
            machine.bench.sources["s0"].put(Entity.LEERLING, "to pin", achternaam="Smit")
            for one in (*machine._initialize_rules_to_run, *steps):
                drawn = {name: data.draw(values) for name, values in one.arguments.items()}
                one.function(machine, **drawn)
        finally:
            machine.teardown()

    history()
    return kind


def _rare(machine: type[Machine]) -> dict[str, int]:
    """Kinds of steps that had their effect, on this database, in fewer than 5% of its histories."""
    return {
        kind: machine.seen[kind] for kind in KINDS if machine.seen[kind] * 20 < machine.examples
    }


def test_any_history_converges_to_the_fold_of_the_sources(template: Path) -> None:
    machine = _hold(lambda: on_sqlite(template), examples=100, steps=20)
    assert not _rare(machine), f"of {machine.examples} histories"


def test_look_alikes_of_several_sources_converge_too(template: Path) -> None:
    machine = _hold(lambda: on_sqlite(template), examples=50, steps=15, kind=Families)
    assert all(machine.seen[doubt] for doubt in DOUBTS)


@pytest.mark.postgres
def test_any_history_converges_on_postgresql(postgres_server: PostgresServer) -> None:
    """Few histories, for they are slow: so each of them takes every step."""
    machine = _deal(lambda: on_postgres(postgres_server), examples=4)
    assert not _rare(machine), f"of {machine.examples} histories"


@pytest.mark.long
@pytest.mark.timeout(0)
def test_ten_thousand_histories_converge(template: Path) -> None:
    machine = _hold(lambda: on_sqlite(template), examples=10_000, steps=30)
    assert not _rare(machine), f"of {machine.examples} histories"


@pytest.mark.long
@pytest.mark.postgres
@pytest.mark.timeout(0)
def test_five_hundred_histories_converge_on_postgresql(postgres_server: PostgresServer) -> None:
    machine = _hold(lambda: on_postgres(postgres_server), examples=500, steps=30)
    assert not _rare(machine), f"of {machine.examples} histories"
