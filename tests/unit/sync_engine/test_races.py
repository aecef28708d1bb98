"""Two koppelingen of one tenant at once: reading goes together, planning one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from mappings.canonical.fields import Entity
from sync_engine import planning, runs
from sync_engine.context import Context
from sync_engine.deadline import Deadline
from sync_engine.errors import StoreError
from sync_engine.inputs import note_changed_inputs
from sync_engine.outcome import ExitCode, Outcome
from sync_engine.reading import Reader
from sync_engine.store.engine import Store
from sync_engine.store.locks import tenant_lock
from tests.support.hubs import Bench
from tests.support.memory import MemorySource
from tests.unit.sync_engine.conftest import Make

ECK = f"https://ketenid.nl/pilot/{'a' * 128}"


def pupil(source: MemorySource, key: str, name: str, scope: str = "hoofd") -> None:
    source.put(Entity.LEERLING, key, scope, achternaam=name, geboortedatum="2010-01-01", eck_id=ECK)


def names(bench: Bench) -> list[str]:
    return [row[0] for row in bench.query("SELECT achternaam FROM leerling ORDER BY achternaam")]


@contextmanager
def while_reading(name: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something once, when that koppeling has read everything and has planned nothing."""
    read = Reader.read
    done: list[object] = []

    def reading(self: Reader, *, deadline: Deadline) -> None:
        read(self, deadline=deadline)
        if self.row.name == name and not done:
            done.append(name)
            done.append(act())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "read", reading)
        yield
    assert done


def two_scopes(make: Make) -> Bench:
    """s1 is believed, and says other names in its scopes `a` and `b`."""
    bench = make(
        {
            "s0": MemorySource(tuple(Entity)),
            "s1": MemorySource(tuple(Entity), scope_keys=("a", "b")),
        }
    )
    bench.policy(authority={"order": {"*": ["s1", "s0"]}})
    pupil(bench.sources["s0"], "x", "Nul")
    pupil(bench.sources["s1"], "y", "ScopeA", "a")
    pupil(bench.sources["s1"], "y", "ScopeB", "b")
    bench.sync("s0")
    bench.sync("s1")
    assert names(bench) == ["ScopeA"]
    bench.sources["s1"].scope_keys = ("b",)
    return bench


def test_a_scope_that_another_koppeling_ends_is_ended_for_a_run_under_way(make: Make) -> None:
    bench = two_scopes(make)
    pupil(bench.sources["s0"], "x", "Anders")
    with while_reading("s0", lambda: bench.sync("s1")):
        assert bench.sync("s0").outcome is Outcome.DONE
    assert names(bench) == ["ScopeB"]
    assert not bench.query("SELECT * FROM refold")


def test_a_refold_left_by_a_run_that_broke_off_is_done_by_one_under_way(make: Make) -> None:
    bench = two_scopes(make)

    def break_off() -> None:
        def broken(*_: object, **__: object) -> None:
            raise StoreError("broken")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planning, "apply", broken)
            assert bench.sync("s1").outcome is Outcome.FAILED
        assert len(bench.query("SELECT * FROM refold")) == 1

    with while_reading("s0", break_off):
        assert bench.sync("s0").outcome is Outcome.DONE
    assert names(bench) == ["ScopeB"]
    assert not bench.query("SELECT * FROM refold")


def test_a_scope_is_ended_only_under_the_lock_of_the_tenant(make: Make) -> None:
    bench = two_scopes(make)
    seen: list[object] = []
    ended = "SELECT COUNT(*) FROM scope WHERE ended_run IS NOT NULL"
    with while_reading("s1", lambda: seen.extend(bench.query(ended))):
        bench.sync("s1")
    assert seen == [(0,)]
    assert bench.query(ended) == [(len(Entity),)]


def test_the_first_scopes_of_another_koppeling_are_known_to_a_run_under_way(make: Make) -> None:
    bench = make(2)
    pupil(bench.sources["s0"], "x", "Een")
    bench.sync("s0")
    pupil(bench.sources["s0"], "x", "Twee")
    pupil(bench.sources["s1"], "y", "Een")
    with while_reading("s0", lambda: bench.sync("s1")):
        assert bench.sync("s0").outcome is Outcome.DONE
    assert names(bench) == ["Twee"]
    assert bench.query("SELECT COUNT(DISTINCT core_id), COUNT(*) FROM link") == [(1, 2)]


def test_a_tenant_that_another_run_holds_is_for_later(make: Make) -> None:
    bench = make()
    pupil(bench.sources["s0"], "x", "Een")
    with pytest.MonkeyPatch.context() as patch, tenant_lock(bench.hub.store, 1):
        patch.setattr(runs, "tenant_lock", partial(tenant_lock, wait=timedelta()))
        report = bench.sync()
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, ExitCode.LATER)
    assert report.advice
    assert bench.query("SELECT state FROM run") == [("failed",)]
    assert bench.sync().outcome is Outcome.DONE
    assert names(bench) == ["Een"]


@contextmanager
def busy(bench: Bench) -> Iterator[sqlite3.Connection]:
    """Another program that can take the write lock; the hub waits for it as good as not."""
    path = bench.hub.store.path
    assert path is not None
    patient = bench.hub
    other = sqlite3.connect(path, isolation_level=None)
    with Store.open(f"sqlite:///{path}", busy=timedelta(milliseconds=1)) as store:
        bench.hub = replace(patient, store=store)
        try:
            yield other
        finally:
            other.close()
            bench.hub = patient


def test_a_database_that_is_busy_is_for_later(make: Make) -> None:
    bench = make()
    pupil(bench.sources["s0"], "x", "Een")

    def note(context: Context) -> None:
        other.execute("BEGIN IMMEDIATE")
        try:
            note_changed_inputs(context)
        finally:
            other.execute("ROLLBACK")

    with busy(bench) as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sync_engine.runs.note_changed_inputs", note)
        report = bench.sync()
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, ExitCode.LATER)
    assert "bezet" in report.advice
    assert bench.query("SELECT state FROM run") == [("failed",)]
    assert bench.sync().outcome is Outcome.DONE


def test_a_database_that_stays_busy_is_for_later_and_the_next_run_closes_it(make: Make) -> None:
    bench = make()
    pupil(bench.sources["s0"], "x", "Een")
    with busy(bench) as other, while_reading("s0", lambda: other.execute("BEGIN IMMEDIATE")):
        report = bench.sync()
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, ExitCode.LATER)
    assert "bezet" in report.advice
    assert bench.sync().outcome is Outcome.DONE
    assert bench.query("SELECT state FROM run ORDER BY id") == [("failed",), ("done",)]
    assert names(bench) == ["Een"]


def test_an_interrupt_is_not_hidden_by_a_busy_database(make: Make) -> None:
    bench = make()
    pupil(bench.sources["s0"], "x", "Een")

    def interrupt() -> None:
        other.execute("BEGIN IMMEDIATE")
        raise KeyboardInterrupt

    with busy(bench) as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "read", lambda *_, **__: interrupt())
        with pytest.raises(KeyboardInterrupt):
            bench.sync()
