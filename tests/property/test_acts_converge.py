"""Acts of a person among what sources do: the core is the fold of what is accepted then.

After every act and every run the whole core, its links and its open cases are compared with the
oracle's (`acts.py`). Each kind of act must have had its effect in at least 5% of the histories.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.canonical.fields import Entity
from sync_engine.options import Decision, Verdict
from sync_engine.outcome import RunReport
from sync_engine.refusals import lift_refusals, list_refusals
from sync_engine.store.engine import Store
from tests.property import world
from tests.property.acts import Acts
from tests.property.history import Node
from tests.property.stores import on_postgres, on_sqlite
from tests.property.test_convergence import SOURCES, Machine
from tests.support.hubs import Kind
from tests.support.postgres import PostgresServer

LEERLING = Entity.LEERLING
ALIKE = {"achternaam": "Zomer", "roepnaam": "Anna", "geboortedatum": "2012-03-04"}
SHARED = f"https://ketenid.nl/pilot/{'c' * 128}"
VERDICTS = st.sampled_from([Verdict.CREATE, Verdict.IGNORE, Verdict.LINK])


class People(Machine):
    """Three sources, one hub, and a person who acts."""

    oracle: Acts

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Acts(self.history)

    def begin(self, data: st.DataObject) -> None:
        """A school, and some pupils in any source."""
        self.first(data.draw(world.SCHOOL), data.draw(st.booleans()), "s2", Entity.VAK)
        for name in self.bench.sources:
            self._run(name)

    def news(self, data: st.DataObject) -> None:
        """A source has other records than before, and is read."""
        name = data.draw(SOURCES)
        self.put(name, False, data.draw(world.SOME))
        self._run(name)

    def leaves(self, data: st.DataObject) -> None:
        """A record disappears, and that is confirmed."""
        name = data.draw(SOURCES)
        self.remove(name, data)
        for _ in range(2):
            self._run(name)
            self.bench.later()

    def pins(self, data: st.DataObject) -> None:
        """A value is fixed by hand."""
        field = data.draw(st.sampled_from(sorted(world.PINNABLE)))
        self.pin(data, field, data.draw(st.booleans()))
        self._run("s0")  # an act folds only what it is about

    def refuses(self, data: st.DataObject) -> None:
        """A source says other things; nothing of that comes into the core, by a person's word."""
        name = data.draw(SOURCES)
        self._run(name)
        self.put(name, False, data.draw(world.SOME))
        self.bench.later()
        shown = self._shown(name)
        if shown.steps:
            self._act(name, Kind.REFUSE, refused=shown.plan_id)
            self._did("refuse", bool(self.oracle.refuse(name)))
            self._compare()

    def approves(self, data: st.DataObject) -> None:
        """A source says other things; a person sees them first."""
        name = data.draw(SOURCES)
        self.put(name, False, data.draw(world.SOME))
        self.bench.later()
        shown = self._shown(name)
        if shown.steps:
            report = self._act(name, Kind.APPLY, approved=shown.plan_id)
            self.oracle.run(name)
            self._did("approve", bool(report.applied))
            self._compare()

    def closings(self, data: st.DataObject) -> None:
        """Only closings are held; a person refuses them, or lets them pass."""
        name, held = self._held(data.draw(SOURCES), data)
        if held.held and data.draw(st.booleans()):
            self._act(name, Kind.REFUSE, refused=held.plan_id)
            self._did("refuse part", bool(self.oracle.refuse(name)))
        elif held.held:
            self._act(name, Kind.APPLY, approved=held.plan_id)
            self.oracle.run(name)
            self._did("approve part", True)
        self._compare()

    def lifts(self, data: st.DataObject) -> None:
        """What was refused counts again."""
        refused = {refusal.koppeling for refusal in list_refusals(self.bench.hub)}
        if refused:
            name = data.draw(st.sampled_from(sorted(refused)))
            lift_refusals(self.bench.hub, name, run_id=None, operator="test")
            self.oracle.lift(name)
            self._did("lift refused", True)
            self._run(name)

    def undoes(self, data: st.DataObject) -> None:
        """The last run is undone; further readings of the unchanged source leave it so."""
        name = data.draw(SOURCES)
        self._run(name)
        self.put(name, False, data.draw(world.SOME))
        self.bench.later()
        past = self.oracle.copy()
        last = self._run(name)
        if (
            last.applied
            and not self._act(name, Kind.UNDO, undone=last.run_id, plan_only=True).doubts
        ):  # where it changed nothing but by what it read
            self._act(name, Kind.UNDO, undone=last.run_id)
            self.oracle.undo(past)
            self._did("undo", True)
            self._compare(acted=True)
            for _ in range(2):
                self.bench.later()
                self._run(name)

    def doubts(self, data: st.DataObject) -> None:
        """A look-alike of somebody comes; a person says who he is."""
        one, other = data.draw(st.permutations(["s0", "s1", "s2"]))[:2]
        for name in (one, other):
            self.bench.sources[name].put(LEERLING, "eender", **ALIKE)
            self._run(name)
        self.settles(data)

    def settles(self, data: st.DataObject) -> None:
        """A person says who a record is that is in doubt, and perhaps takes that back."""
        core = self.oracle.core
        cases = [n for n in self.oracle.cases if n[1] == LEERLING and n not in core]
        known = [n for n in core if n[1] == LEERLING]
        if cases and known:
            node, target = data.draw(st.sampled_from(cases)), data.draw(st.sampled_from(known))
            self._decide(data.draw(VERDICTS), node, target, back=data.draw(st.booleans()))

    def parts(self, data: st.DataObject) -> None:
        """A record is not who it was taken for: somebody else, or a pupil of his own."""
        for name in data.draw(st.permutations(["s0", "s1", "s2"]))[:2]:
            self.bench.sources[name].put(LEERLING, "beide", achternaam="Bakker", eck_id=SHARED)
            self._run(name)
        core, pinned = self.oracle.core, {node for node, _ in self.history.pins}
        joined = {n for n in core if n[1] == LEERLING and core[n] != n} - pinned
        if joined:
            node = data.draw(st.sampled_from(sorted(joined)))
            others = [n for n in core if n[1] == LEERLING and core[n] != core[node]]
            split = data.draw(st.booleans())
            if others and not split:
                target, back = data.draw(st.sampled_from(others)), data.draw(st.booleans())
                self._decide(Verdict.LINK, node, target, back=back)
            else:
                self._decide(Verdict.SPLIT, node, node, back=data.draw(st.booleans()))

    def merges(self, data: st.DataObject) -> None:
        """Two pupils are one."""
        core = self.oracle.core
        known = sorted({core[n] for n in core if n[1] == LEERLING})
        if len(known) > 1:
            one, other = data.draw(st.permutations(known))[:2]
            self._decide(Verdict.MERGE, one, other, back=data.draw(st.booleans()))

    def parted_and_joined(self) -> None:
        """Histories in which hub and oracle once were of two minds."""
        school = {"naam": "Haven", "vestigingsnummer": "99XX01"}
        group = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}
        for name, source in self.bench.sources.items():
            source.put(Entity.VESTIGING, "v", **school)
            source.put(Entity.OPLEIDING, "o", naam="Havo", code="0150", vestiging="v")
            source.put(LEERLING, "a", achternaam="Bakker", eck_id=SHARED)
            source.put(Entity.INSCHRIJVING, "i", leerling="a", vestiging="v", opleiding="o")
            source.put(Entity.GROEP, "g", **group, leerlingen=["a", "later"])
            self._run(name)
        mine, other = (("s0", str(LEERLING), "a"), ("s1", str(LEERLING), "a"))
        self._decide(Verdict.SPLIT, other, other, back=True)
        self._decide(Verdict.SPLIT, other, other, back=False)
        self._decide(Verdict.MERGE, mine, other, back=True)
        self.bench.sources["s2"].put(LEERLING, "b", achternaam="Bakker", eck_id=SHARED)
        self._run("s2")  # he is not by himself one of the two
        self.bench.sources["s1"].put(Entity.GROEP, "namesake", **group)
        self._run("s1")
        self.bench.sources["s0"].put(LEERLING, "later", achternaam="Jansen")
        self._run("s0")  # a member who arrives makes no doubt of his groep
        self._decide(Verdict.MERGE, mine, other, back=False)
        for name in self.bench.sources:  # the inschrijvingen follow
            self._run(name)

    def leave(self) -> None:
        """Let the hub go, after a failure."""
        self.bench.close()
        self.opened.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    # -- what must hold ----------------------------------------------------------------------------

    def _compare(self, *, acted: bool = False) -> None:
        super()._compare(acted=acted)
        refused = list_refusals(self.bench.hub)
        listed = {(each.koppeling, each.entity, each.source_key) for each in refused}
        assert listed == {node for node, _ in self.oracle.refused}

    # -- how ---------------------------------------------------------------------------------------

    def _decide(self, verdict: Verdict, node: Node, target: Node, *, back: bool) -> None:
        past, name = self.oracle.copy(), node[0]
        if verdict is Verdict.MERGE:
            one, other = self._core(node), self._core(target)
            decision = Decision(verdict, LEERLING, core_id=one, other=other)
            self._act(name, Kind.DECIDE, decision=decision)
            self.oracle.merge(name, node, target)
        else:
            decision = Decision(verdict, LEERLING, node[2], core_id=self._core(target))
            self._act(name, Kind.DECIDE, decision=decision)
            self.oracle.decide(str(verdict), node, target)
        self._did(str(verdict), True)
        self._compare(acted=True)
        if back:
            ((act,),) = self.bench.query("SELECT MAX(act) FROM decision")
            self._act(name, Kind.DECIDE, lifted=act)
            self.oracle.take_back(past, name)
            self._did("take back", True)
            self._compare(acted=True)

    def _core(self, node: Node) -> int:
        source, entity, key = node
        return self.bench.core(Entity(entity), key, source)

    def _act(self, name: str, kind: Kind, **options: Any) -> RunReport:
        self.bench.later(0.01)  # no two acts are of one instant
        report = self.bench.sync(name, kind=kind, operator="test", **options)
        assert not report.error, report.error
        return report

    def _shown(self, name: str) -> RunReport:
        """What a source says is read, and waits for a person."""
        source = self.bench.sources[name]
        source.said.clear()
        report = self.bench.sync(name, plan_only=True)
        for said in source.said:
            self._hear(name, said)
        source.said.clear()
        return report

    def _did(self, act: str, effect: bool) -> None:
        self.steps.update([act] if effect else [])


ACTS = ("news", "leaves", "pins", "refuses", "approves", "closings", "lifts", "undoes", "doubts",
        "settles", "parts", "merges")  # fmt: skip
KINDS = {*("refuse", "refuse part", "approve", "approve part", "lift refused", "undo", "pin"),
         *("take back", *map(str, Verdict))}  # fmt: skip


def _histories(stores: Callable[[], Any], *, examples: int, steps: int) -> type[People]:
    """So many histories of so many kinds of acts, and what sources do among them."""
    kind: type[People] = type(
        "People", (People,), {"stores": staticmethod(stores), "seen": Counter(), "examples": 0}
    )

    @settings(max_examples=examples)
    @given(data=st.data())
    def history(data: st.DataObject) -> None:
        machine = kind()
        try:
            machine.begin(data)
            for act in data.draw(st.permutations(ACTS))[:steps]:
                getattr(machine, act)(data)
        except BaseException:
            machine.leave()
            raise
        machine.teardown()

    history()
    return kind


def _rare(kind: type[People]) -> dict[str, int]:
    return {act: kind.seen[act] for act in KINDS if kind.seen[act] * 20 < kind.examples}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of the current schema, to copy for each history."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.upgrade()
    return path


def test_what_was_parted_and_joined_leaves_the_fold_of_what_is_accepted(template: Path) -> None:
    kind: type[People] = type("People", (People,), {"stores": lambda: on_sqlite(template)})
    machine = kind()
    try:
        machine.parted_and_joined()
    finally:
        machine.leave()


def test_any_acts_leave_the_fold_of_what_is_accepted(template: Path) -> None:
    kind = _histories(lambda: on_sqlite(template), examples=18, steps=9)
    assert not _rare(kind), f"of {kind.examples} histories"


@pytest.mark.postgres
def test_any_acts_leave_the_fold_on_postgresql(postgres_server: PostgresServer) -> None:
    assert _histories(lambda: on_postgres(postgres_server), examples=1, steps=12).seen


@pytest.mark.long
@pytest.mark.timeout(0)
def test_two_thousand_histories_of_acts(template: Path) -> None:
    kind = _histories(lambda: on_sqlite(template), examples=2_000, steps=12)
    assert not _rare(kind), f"of {kind.examples} histories"
