"""Acts of a person on any history: refused, undone, merged, parted, taken back.

The undo of the last run restores the exact former core, and no later reading of the unchanged
sources redoes it. After any acts the store is sound, everything that is folded again is as it
stands, and further runs change nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from mappings.canonical.fields import Entity
from sync_engine.options import Decision, Verdict
from sync_engine.outcome import Outcome, RunReport
from sync_engine.refusals import lift_refusals, list_refusals
from sync_engine.store.engine import Store
from tests.faults.ledger import check_invariants
from tests.property import world
from tests.property.stores import on_postgres, on_sqlite
from tests.support.hubs import Bench, Kind, bench
from tests.support.postgres import PostgresServer
from tests.support.snapshot import changed, core

SOURCES = st.sampled_from(["s0", "s1", "s2"])
PASS = {
    kind: {"number": 1_000_000, "share": None} for kind in ("close", "create", "change", "empty")
}
HOLD = {kind: {"number": 1, "share": None, "floor": 0} for kind in ("close", "create", "change")}
LEERLING = Entity.LEERLING
ALIKE = {"achternaam": "Jansen", "roepnaam": "Anna", "geboortedatum": "2012-03-04"}
PUPIL = st.one_of(
    world.RECORDS[LEERLING],
    st.just(ALIKE),
)
SHARED = f"https://ketenid.nl/pilot/{'c' * 128}"
DISPUTED = (Verdict.LINK, Verdict.CREATE, Verdict.IGNORE, Verdict.SPLIT)
DECISIONS = {str(verdict) for verdict in Verdict}
SETTLED = (Verdict.LINK, Verdict.SPLIT)


class Machine(RuleBasedStateMachine):
    """Three sources, one hub, and a person."""

    stores: Callable[[], Any]
    seen: Counter[str]  # kind of act → histories in which it had its effect
    examples: int

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="koppelhub-acts-"))
        self.opened = type(self).stores()
        self.bench: Bench = bench(
            self.opened.__enter__(), self.folder, sources=world.sources(), mappings=world.mappings()
        )
        self.bench.policy(guards=PASS)
        self.order = 0
        self.steps: set[str] = set()

    def teardown(self) -> None:
        try:
            self._ends_well()
        finally:
            self.bench.close()
            self.opened.__exit__(None, None, None)
            shutil.rmtree(self.folder)
        type(self).examples += 1
        type(self).seen.update(self.steps)

    def _ends_well(self) -> None:
        """Nothing more changes, and what is folded again is as it stands."""
        self.bench.settle()
        before = core(self.bench)
        self.order += 1
        self.bench.policy(guards=PASS, authority={"order": {"*": [f"niemand{self.order}"]}})
        self.bench.settle(rounds=1)
        assert changed(before, core(self.bench)) == {}
        check_invariants(self.bench.hub)

    # -- sources ---------------------------------------------------------------------------------

    @initialize(
        school=world.SCHOOL,
        pupils=st.lists(st.tuples(SOURCES, st.integers(0, 2), PUPIL), min_size=3, max_size=6),
    )
    def first(
        self,
        school: list[tuple[Entity, int, dict[str, Any]]],
        pupils: list[tuple[str, int, dict[str, Any]]],
    ) -> None:
        """A school, and some pupils of it in any source, each placed and in a groep."""
        for entity, number, record in school:
            self.bench.sources["s0"].put(entity, world.KEYS[entity][number], **record)
        for name, number in (("s0", 0), ("s1", 2)):  # two who look alike
            self.bench.sources[name].put(LEERLING, world.KEYS[LEERLING][number], **ALIKE)
        for name, number, record in pupils:
            source, key = self.bench.sources[name], world.KEYS[LEERLING][number]
            source.put(LEERLING, key, **record)
            source.put(Entity.INSCHRIJVING, world.KEYS[Entity.INSCHRIJVING][number], leerling=key)
            source.put(
                Entity.GROEP,
                world.KEYS[Entity.GROEP][number],
                naam=f"{number}C",
                soort="lesgroep",
                leerlingen=[key],
            )
        self.bench.settle(rounds=2)

    @rule(name=SOURCES, school=world.SOME)
    def put(self, name: str, school: list[tuple[Entity, int, dict[str, Any]]]) -> None:
        for entity, number, record in school:
            self.bench.sources[name].put(entity, world.KEYS[entity][number], **record)

    @rule(name=SOURCES, entity=st.sampled_from(world.ENTITIES), number=st.integers(0, 2))
    def remove(self, name: str, entity: Entity, number: int) -> None:
        self.bench.sources[name].remove(entity, world.KEYS[entity][number])

    @rule(name=SOURCES)
    def run(self, name: str) -> None:
        self.bench.later()
        self.bench.sync(name)
        self._sound()

    # -- a person ----------------------------------------------------------------------------------

    @rule(name=SOURCES, refuse=st.booleans(), school=world.SOME)
    def hold(
        self, name: str, refuse: bool, school: list[tuple[Entity, int, dict[str, Any]]]
    ) -> None:
        """A guard holds everything; a person refuses it, or approves."""
        self.put(name, school)
        surname = f"Nieuw{'abcdefghij'[len(self.bench.reports) % 10]}"
        self.bench.sources[name].put(LEERLING, "nieuw", achternaam=surname)
        self.bench.later()
        self.bench.policy(guards=HOLD)
        held = self.bench.sync(name)
        self.bench.policy(guards=PASS)
        if not held.held:
            return
        before = core(self.bench)
        if refuse:
            report = self._act(name, Kind.REFUSE, refused=held.plan_id)
            assert changed(before, core(self.bench)) == {}
            self._did("refuse", report.refusals > 0)
        else:
            report = self._act(name, Kind.APPLY, approved=held.plan_id)
            self._did("approve", bool(report.applied))

    @rule(name=SOURCES, school=world.SOME)
    def undo_last(self, name: str, school: list[tuple[Entity, int, dict[str, Any]]]) -> None:
        """The exact former core is back, and readings of the unchanged source leave it so."""
        self.put(name, school)
        self.bench.later()
        before = core(self.bench)
        last = self.bench.sync(name)
        if not last.applied:
            return
        report = self._act(name, Kind.UNDO, undone=last.run_id)
        if not report.doubts:
            assert changed(before, core(self.bench)) == {}
            self._did("undo", True)
        if self.bench.cases():  # who was in doubt with what is undone may be in doubt no more
            return
        after = core(self.bench)
        for _ in range(3):
            self.bench.later(1)
            self.bench.sync(name)
            assert changed(after, core(self.bench)) == {}

    @precondition(lambda self: len(self.bench.reports) > 8)
    @rule(data=st.data())
    def undo_any(self, data: st.DataObject) -> None:
        """Any run; what later ones changed stays."""
        runs = [r for r in self.bench.reports if r.applied]
        if runs:
            chosen = data.draw(st.sampled_from(runs))
            report = self._act(chosen.koppeling, Kind.UNDO, undone=chosen.run_id)
            self._did("undo any", bool(report.applied))
            self._did("doubt", bool(report.doubts))

    @rule(name=SOURCES)
    def undo_older(self, name: str) -> None:
        """Of two runs that changed one pupil the first: he is in doubt."""
        reports = []
        for surname in ("Smit", "Mol"):
            self.bench.sources[name].put(LEERLING, "eerder", achternaam=surname)
            self.bench.later()
            reports.append(self.bench.sync(name))
        if all(report.applied for report in reports):
            report = self._act(name, Kind.UNDO, undone=reports[0].run_id)
            self._did("undo any", bool(report.applied))
            self._did("doubt", bool(report.doubts))

    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        found = [row[0] for row in self.bench.query("SELECT id FROM leerling ORDER BY id")]
        if len(found) > 1:
            one, other = data.draw(st.permutations(found))[:2]
            self._decide("s0", Decision(Verdict.MERGE, LEERLING, core_id=one, other=other))

    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        """Of one record: a disputed one where there is any."""
        cores = [row[0] for row in self.bench.query("SELECT id FROM leerling ORDER BY id")]
        records = self.bench.query(
            "SELECT DISTINCT k.name, s.source_key, s.situation = 'disputed' FROM shadow s "
            "JOIN koppeling k ON k.id = s.koppeling_id WHERE s.entity = 'leerling' ORDER BY 1, 2"
        )
        records = [row for row in records if row[2]] or records
        if cores and records:
            name, key, disputed = data.draw(st.sampled_from(records))
            possible = DISPUTED if disputed else SETTLED
            verdict = data.draw(st.sampled_from(possible))
            core_id = data.draw(st.sampled_from(cores))
            self._decide(name, Decision(verdict, LEERLING, key, core_id=core_id))

    @rule(verdict=st.sampled_from([Verdict.CREATE, Verdict.IGNORE, Verdict.LINK]))
    def settle(self, verdict: Verdict) -> None:
        """A look-alike of a pupil of another source comes, and what he is, is decided."""
        self.bench.sources["s0"].put(LEERLING, "alike", **ALIKE)
        self.bench.sync("s0")
        self.bench.sources["s2"].put(LEERLING, "alike", **ALIKE)
        self.bench.sync("s2")
        cores = self.bench.query("SELECT MIN(id) FROM leerling")
        if ("s2", "leerling", "alike", "score") in self.bench.cases():
            self._decide("s2", Decision(verdict, LEERLING, "alike", core_id=cores[0][0]))

    @rule()
    def part(self) -> None:
        """Two sources have a pupil with one ECK iD, and he is not the same."""
        for name in ("s0", "s1"):
            self.bench.sources[name].put(LEERLING, "beide", achternaam="Bakker", eck_id=SHARED)
            self.bench.sync(name)
        records = self.bench.query("SELECT 1 FROM link WHERE source_key = 'beide'")
        if len(records) > 1:
            self._decide("s1", Decision(Verdict.SPLIT, LEERLING, "beide"))

    def _decide(self, name: str, decision: Decision) -> None:
        report = self.bench.sync(name, kind=Kind.DECIDE, decision=decision, operator="test")
        self._did(str(decision.verdict), not report.error)
        self._sound()

    @precondition(lambda self: bool(self.steps & DECISIONS))
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        acts = self.bench.query(
            "SELECT DISTINCT d.act, k.name FROM decision d JOIN run r ON r.id = d.run_id "
            "JOIN koppeling k ON k.id = r.koppeling_id WHERE d.lifted_at IS NULL ORDER BY 1"
        )
        if acts:
            act, name = data.draw(st.sampled_from(acts))
            report = self.bench.sync(name, kind=Kind.DECIDE, lifted=act, operator="test")
            self._did("take back", not report.error)
            self._sound()

    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        refused = {refusal.koppeling for refusal in list_refusals(self.bench.hub)}
        if refused:
            name = data.draw(st.sampled_from(sorted(refused)))
            lift_refusals(self.bench.hub, name, run_id=None, operator="test")
            self._did("lift", True)

    def _act(self, name: str, kind: Kind, **options: Any) -> RunReport:
        report = self.bench.sync(name, kind=kind, operator="test", **options)
        assert report.outcome in {Outcome.DONE, Outcome.HELD, Outcome.PARTIAL}, report.error
        self._sound()
        return report

    def _did(self, act: str, effect: bool) -> None:
        """Note an act that had its effect."""
        self.steps.update([act] if effect else [])

    def _sound(self) -> None:
        check_invariants(self.bench.hub)


ACTS = {*("refuse", "approve", "lift", "undo", "undo any", "doubt", "take back"), *DECISIONS}


def _deal(stores: Callable[[], Any], *, examples: int, steps: int) -> type[Machine]:
    """Histories of so many kinds of steps, each in an order of its own: no act is rare."""
    kind: type[Machine] = type(
        "Machine",
        (Machine,),
        {"stores": staticmethod(stores), "seen": Counter(), "examples": 0},
    )

    @settings(max_examples=examples)
    @given(data=st.data())
    def history(data: st.DataObject) -> None:
        machine = kind()
        try:
            steps_of_it = data.draw(st.permutations(machine.rules))[:steps]
            for one in (*machine._initialize_rules_to_run, *steps_of_it):
                if all(holds(machine) for holds in one.preconditions):
                    drawn = {name: data.draw(values) for name, values in one.arguments.items()}
                    one.function(machine, **drawn)
        finally:
            machine.teardown()

    history()
    return kind


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of the current schema, to copy for each history."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.upgrade()
    return path


def test_any_acts_on_any_history_leave_a_core_that_stands(template: Path) -> None:
    machine = _deal(lambda: on_sqlite(template), examples=20, steps=12)
    rare = {act: machine.seen[act] for act in ACTS if machine.seen[act] * 20 < machine.examples}
    assert not rare, f"of {machine.examples} histories"


@pytest.mark.postgres
def test_any_acts_on_any_history_on_postgresql(postgres_server: PostgresServer) -> None:
    assert _deal(lambda: on_postgres(postgres_server), examples=2, steps=8).seen
