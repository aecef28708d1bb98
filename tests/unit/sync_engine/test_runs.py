"""One run: its bounds, its outcome, and what is left when it is cut off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from config.errors import ConfigurationError
from connectors.base import Capability, Parsed, Reading, Scope
from connectors.errors import ConnectorError, SourceUnavailableError
from mappings.canonical.fields import Entity
from sync_engine import reading
from sync_engine.errors import RunActiveError
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.runs import Kind
from sync_engine.store.locks import lease
from tests.support.hubs import Bench
from tests.support.memory import MemoryConnector, MemoryReading, MemorySource
from tests.unit.sync_engine.conftest import Make


def school(make: Make) -> Bench:
    bench = make()
    for number in range(7):
        bench.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam="Jansen")
    bench.sources["s0"].put(Entity.VAK, "v", naam="Nederlands")
    return bench


def pupils(bench: Bench) -> int:
    return int(bench.query("SELECT COUNT(*) FROM leerling")[0][0])


def test_a_second_run_over_an_unchanged_source_changes_nothing(make: Make) -> None:
    bench = school(make)
    assert bench.sync().steps == {"leerling.create": 7, "vak.create": 1}
    of_runs = {"run", "reading", "plan", "source_cursor", "id_block", "koppeling_total"}
    before = bench.dump(without=frozenset(of_runs))
    report = bench.sync()
    assert (report.steps, report.outcome, report.exit_code) == ({}, Outcome.DONE, ExitCode.DONE)
    after = bench.dump(without=frozenset(of_runs))
    assert after == before


def test_a_new_record_that_comes_twice_in_one_page_is_one_record(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = school(make)
    source = bench.sources["s0"]
    source.page_size = 10
    monkeypatch.setattr("sync_engine.stage.BATCH", 2)  # the first and the last look-up are two
    here = source.here(Entity.LEERLING)
    read = MemoryConnector.snapshot

    def twice(self: MemoryConnector, scope: Scope) -> Reading:
        if scope.resource != Entity.LEERLING:
            return read(self, scope)
        items = sorted(here.items())
        return MemoryReading(source, scope, [*items, items[0]])

    with monkeypatch.context() as patch:
        patch.setattr(MemoryConnector, "snapshot", twice)
        report = bench.sync()
    assert report.outcome is Outcome.PARTIAL
    assert pupils(bench) == 7
    assert bench.query(
        "SELECT COUNT(*) FROM shadow s JOIN source_record r ON r.id = s.record_id "
        "JOIN shadow_form f ON f.shadow_id = s.id WHERE s.entity = 'leerling'"
    ) == [(7,)]
    healthy = bench.sync()
    assert (healthy.outcome, healthy.steps) == (Outcome.DONE, {})


def test_a_record_is_folded_again_from_what_was_accepted_last(make: Make) -> None:
    bench = school(make)
    bench.sync()
    bench.sources["s0"].put(Entity.LEERLING, "l1", achternaam="De Vries")
    assert bench.sync().applied == {"leerling.change": 1}
    bench.policy(authority={"order": {"*": ["s0"]}})  # everything is folded again
    assert bench.sync().steps == {}
    core = bench.core(Entity.LEERLING, "l1")
    assert bench.query("SELECT achternaam FROM leerling WHERE id = ?", core) == [("De Vries",)]


def test_nothing_read_where_something_was_expected_is_no_success(make: Make) -> None:
    report = make().sync()
    assert report.outcome is not Outcome.DONE


def test_a_run_ends_by_itself_when_its_time_is_up(make: Make) -> None:
    bench = school(make)
    taken = MemoryReading._page

    def slow(self: MemoryReading, *args: Any, **kwargs: Any) -> Any:
        bench.clock.advance(timedelta(minutes=1))
        return taken(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryReading, "_page", slow)
        report = bench.sync(time_limit=timedelta(minutes=15))
    assert report.outcome is Outcome.PARTIAL
    assert any(reading.state == "incomplete" for reading in report.readings)
    assert len(report.readings) < len(Entity)
    assert bench.sync().outcome is Outcome.DONE
    assert pupils(bench) == 7


def test_time_that_is_up_between_two_parts_is_no_done_and_after_the_last_one_it_is(
    make: Make,
) -> None:
    bench = school(make)
    taken = reading.keep_reading
    left = [0]

    def kept(*args: Any) -> None:
        taken(*args)
        left[0] -= 1
        if left[0] == 0:
            bench.clock.advance(timedelta(hours=1))  # a part is whole, and its time is up

    def run(parts: int) -> RunReport:
        left[0] = parts
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "keep_reading", kept)
            return bench.sync(time_limit=timedelta(minutes=15))

    every = len(bench.sync().readings)
    first = run(2)
    assert [one.state for one in first.readings] == ["complete"] * 2
    assert (first.outcome, first.unread, first.good) == (Outcome.PARTIAL, 1, False)
    last = run(every)
    assert (len(last.readings), last.outcome, last.good) == (every, Outcome.DONE, True)


def test_a_run_of_one_resource_reads_and_misses_nothing_else(make: Make) -> None:
    bench = school(make)
    report = bench.sync(resources=("vak",))
    assert [reading.resource for reading in report.readings] == ["vak"]
    assert (pupils(bench), bench.hub.count("vak")) == (0, 1)
    bench.sync()
    for _ in range(3):
        bench.later()
        bench.sync(resources=("vak",))
    assert bench.query("SELECT COUNT(*) FROM leerling WHERE geldig_tot IS NULL") == [(7,)]


def test_what_was_not_declared_is_refused(make: Make) -> None:
    bench = school(make)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.memory.ALL", frozenset())
        report = bench.sync()
    assert report.outcome is Outcome.FAILED
    assert report.advice
    assert not report.readings


def test_an_unknown_resource_is_refused(make: Make) -> None:
    report = school(make).sync(resources=("kachel",))
    assert report.outcome is Outcome.FAILED
    assert "kachel" in report.error


def test_an_unknown_koppeling_is_refused_before_anything_is_done(make: Make) -> None:
    bench = make()
    with pytest.raises(ConfigurationError):
        bench.sync("weg")
    assert not bench.query("SELECT * FROM run")


def test_one_run_of_a_koppeling_at_once(make: Make) -> None:
    bench = school(make)
    row = bench.hub.koppeling("s0")
    with lease(bench.hub.store, f"koppeling-{row.id}"), pytest.raises(RunActiveError):
        bench.sync()
    assert bench.sync().outcome is Outcome.DONE


def test_a_run_that_was_killed_is_marked_by_the_next(make: Make) -> None:
    bench = school(make)
    bench.query(
        "INSERT INTO run (koppeling_id, kind, state, operator, options, started_at, counts) "
        "VALUES (1, 'full', 'running', 'system', '{}', '2026-10-05 00:00:00', '{}') RETURNING id"
    )
    bench.sync()
    states = bench.query("SELECT state, error, advice FROM run ORDER BY id")
    assert states[0][0] == "failed"
    assert states[0][2]
    assert states[1][0] == "done"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceUnavailableError("refused", system="memory", operation="scopes"), ExitCode.LATER),
        (ConnectorError("odd", system="memory", operation="scopes"), ExitCode.FAILED),
    ],
)
def test_a_source_that_does_not_answer_fails_its_run_only(
    make: Make, error: ConnectorError, code: ExitCode
) -> None:
    bench = school(make)
    bench.sync()

    class Silent(MemoryConnector):
        def scopes(self, **_: Any) -> Any:
            raise error

    whole = bench.hub
    bench.hub = replace(whole, connect=lambda source, clock: Silent(bench.sources[source.name]))
    report = bench.sync()
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, code)
    assert report.advice
    assert pupils(bench) == 7
    bench.hub = whole
    assert bench.sync().outcome is Outcome.DONE


def test_one_scope_that_fails_does_not_stop_the_others(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].faults["vak", "hoofd"] = "error"
    report = bench.sync()
    assert report.outcome is Outcome.PARTIAL
    assert (pupils(bench), bench.hub.count("vak")) == (7, 0)
    (failed,) = [reading for reading in report.readings if reading.state == "failed"]
    assert (failed.resource, bool(failed.advice)) == ("vak", True)


def test_a_delta_of_a_source_without_delta_is_refused(make: Make) -> None:
    bench = make({"s0": MemorySource((Entity.VAK,))})
    bench.sources["s0"].put(Entity.VAK, "v", naam="Nederlands")
    assert bench.sync(kind=Kind.DELTA).outcome is Outcome.DONE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.memory.ALL", frozenset({Capability.SNAPSHOT}))
        report = bench.sync(kind=Kind.DELTA)
    assert report.outcome is Outcome.FAILED


def test_a_reference_that_arrives_late_is_resolved_when_it_does(make: Make) -> None:
    bench = make()
    source = bench.sources["s0"]
    source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["l1"], vak="v")
    report = bench.sync()
    assert report.unresolved == 2
    assert bench.query("SELECT vak_id FROM groep") == [(None,)]
    source.put(Entity.LEERLING, "l1", achternaam="Jansen")
    source.put(Entity.VAK, "v", naam="Nederlands")
    report = bench.sync()
    assert report.unresolved == 0
    assert bench.query("SELECT vak_id FROM groep") == [(bench.core(Entity.VAK, "v"),)]
    assert bench.query("SELECT persoon_id FROM groepsdeelname") == [
        (bench.core(Entity.LEERLING, "l1"),)
    ]


def test_what_a_source_added_is_told_once_a_run_not_once_a_scope(make: Make) -> None:
    bench = make({"s0": MemorySource((Entity.LEERLING, Entity.VAK), scope_keys=("a", "b"))})
    source = bench.sources["s0"]
    for scope in ("a", "b"):
        source.put(Entity.LEERLING, f"l{scope}", scope, achternaam="Jansen")
    source.put(Entity.VAK, "v", "a", naam="Nederlands")
    parse = MemoryConnector.parse

    def parse_more(self: MemoryConnector, resource: str, body: bytes) -> Parsed:
        key = msgspec.json.decode(body)["key"]
        return replace(parse(self, resource, body), unknown=("nieuw[1].veld", f"van{key}"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryConnector, "parse", parse_more)
        report = bench.sync()
    told = [event for event in report.events if event.startswith("schema drift")]
    assert told == [
        'schema drift: {"resource":"vak","fields":["nieuw[].veld","vanv"]}',
        'schema drift: {"resource":"leerling","fields":["nieuw[].veld","vanla","vanlb"]}',
    ]
    rows = bench.query("SELECT scope_id FROM event WHERE kind = 'schema drift'")
    assert rows == [(None,), (None,)]


def test_what_came_before_a_reading_broke_off_is_kept(make: Make) -> None:
    bench = school(make)
    bench.sources["s0"].faults["leerling", "hoofd"] = "error"
    assert bench.sync().outcome is Outcome.PARTIAL
    assert pupils(bench) == 6
