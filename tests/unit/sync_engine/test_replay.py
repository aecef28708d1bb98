"""A replay maps what the archive holds again; the source is not asked, and nothing is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest

from connectors.base import DeliveryContract, Scope, SourceRecord
from connectors.errors import SourceUnavailableError
from mappings.canonical.fields import Entity
from mappings.canonical.onderwijs import Advies
from mappings.canonical.personen import Leerling
from mappings.canonical.schema import fields_of
from mappings.errors import MappingError
from mappings.mapping import Mapped
from sync_engine.archive import Payload
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.replay import ReplayStager
from sync_engine.runs import Kind
from sync_engine.store.engine import Store
from tests.support.hubs import OF_RUNS, Bench, bench
from tests.support.memory import MemoryConnector, MemoryMapping, MemoryReading, MemorySource

Make = Callable[..., Bench]
ANNA = {"achternaam": "Jansen", "roepnaam": "Anna", "email": "anna@thuis.example"}
NARROW = frozenset(fields_of(Entity.LEERLING)) - {"roepnaam", "email"}


class Fixed(MemoryMapping):
    """The identity, with a mistake in each version that the next one mends.

    1: names as they are, and a leerling named `Breekt` breaks a rule; 2: names in capitals, and no
    rule is broken; 3: `Jansen` breaks a rule; 4: as 2, and each leerling has an advies.
    """

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        mapped = super().map(resource, record, contract=contract, scope=scope)
        (made,) = mapped.records
        if not isinstance(made, Leerling):
            return mapped
        name = str(made.achternaam)
        if name == {"1": "Breekt", "3": "Jansen"}.get(self.version):
            raise MappingError("achternaam", "breekt een regel", source_key=made.key)
        if self.version == "1":
            return mapped
        louder = msgspec.structs.replace(made, achternaam=name.upper())
        if self.version != "4":
            return Mapped((louder,))
        return Mapped((louder, Advies(key=f"{made.key}/advies", leerling=made.key, advies="havo")))


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(source: MemorySource | None = None) -> Bench:
        sources = {"s0": source or MemorySource((Entity.LEERLING, Entity.GROEP))}
        made.append(bench(store, tmp_path, sources=sources, mappings=[Fixed()]))
        return made[-1]

    yield make
    for one in made:
        one.close()


def put(bench: Bench, key: str, achternaam: str, **values: Any) -> None:
    bench.sources["s0"].put(Entity.LEERLING, key, achternaam=achternaam, **values)


def fix(bench: Bench, version: str = "2") -> None:
    bench.mappings["memory"].version = version


def replay(bench: Bench, **options: Any) -> RunReport:
    return bench.sync(kind=Kind.REPLAY, **options)


def names(bench: Bench) -> dict[str, tuple[str, str | None]]:
    """Source key → name, and the end of the record."""
    rows = bench.query(
        "SELECT l.source_key, c.achternaam, c.geldig_tot FROM leerling c "
        "JOIN link l ON l.core_id = c.id AND l.entity = 'leerling'"
    )
    return {key: (name, end) for key, name, end in rows}


def school(make: Make, **options: Any) -> Bench:
    bench = make(**options)
    for key, name in (("a", "Jansen"), ("b", "Bakker"), ("c", "Visser"), ("d", "Smit")):
        put(bench, key, name, roepnaam="Anna")
    bench.sync()
    return bench


def test_a_mapping_fix_reaches_every_record_and_the_source_is_not_asked(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = school(make)
    put(bench, "a", "De Jong")
    bench.sync()  # the newest payload counts
    fix(bench)
    asked: list[str] = []

    def refuse(name: str) -> Callable[..., NoReturn]:
        def asked_for(self: MemoryConnector, *_: object, **__: object) -> NoReturn:
            asked.append(name)
            raise AssertionError(name)

        return asked_for

    parsed: list[str] = []
    parse = MemoryConnector.parse

    def counted(self: MemoryConnector, resource: str, body: bytes) -> Any:
        parsed.append(resource)
        return parse(self, resource, body)

    for name in ("scopes", "snapshot", "delta", "lookup", "check"):
        monkeypatch.setattr(MemoryConnector, name, refuse(name))
    monkeypatch.setattr(MemoryConnector, "parse", counted)
    report = replay(bench)
    assert (asked, parsed) == ([], ["leerling"] * 4)
    assert (report.outcome, report.applied) == (Outcome.DONE, {"leerling.change": 4})
    assert [(r.state, r.read, r.changed) for r in report.readings] == [
        ("replayed", 4, 4),
        ("replayed", 0, 0),
    ]
    assert {name for name, _ in names(bench).values()} == {"DE JONG", "BAKKER", "VISSER", "SMIT"}


def test_neither_a_second_replay_nor_the_next_reading_changes_anything(make: Make) -> None:
    bench = school(make)
    fix(bench)
    replay(bench)
    before = bench.dump()
    again = replay(bench)
    assert (again.outcome, again.steps) == (Outcome.DONE, {})
    assert bench.dump() == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryConnector, "parse", lambda *_: pytest.fail("it was parsed again"))
        read = bench.sync()
    assert (read.outcome, read.steps) == (Outcome.DONE, {})
    untouched = OF_RUNS | {"scope", "source_cursor", "fold_input"}
    assert bench.dump(without=untouched) == {
        name: rows for name, rows in before.items() if name not in untouched
    }


def test_without_a_fix_a_replay_changes_nothing(make: Make) -> None:
    bench = school(make)
    bench.later()
    bench.sources["s0"].remove(Entity.LEERLING, "a")
    bench.sync()
    before = bench.dump()
    assert replay(bench).steps == {}
    assert bench.dump() == before


def test_the_cursor_and_the_completeness_of_a_scope_stay_what_they_were(make: Make) -> None:
    bench = school(make)
    asked = "SELECT id, complete_at, complete_count, contract_fp, ended_run FROM scope ORDER BY id"
    before = bench.query(asked), bench.query("SELECT scope_id, value, run_id FROM source_cursor")
    fix(bench)
    bench.later()
    replay(bench)
    after = bench.query(asked), bench.query("SELECT scope_id, value, run_id FROM source_cursor")
    assert after == before


def test_what_is_gone_stays_gone_and_is_mended(make: Make) -> None:
    bench = school(make)
    bench.later(24)
    bench.sync()
    bench.sources["s0"].remove(Entity.LEERLING, "a")
    for _ in range(3):
        bench.later(24)
        bench.sync()
    ended = names(bench)["a"]
    assert ended == ("Jansen", "2026-10-07")
    fix(bench)
    bench.later(24)
    report = replay(bench)
    assert report.applied == {"leerling.change": 4}
    assert names(bench)["a"] == ("JANSEN", "2026-10-07")
    state = bench.query("SELECT gone FROM source_record WHERE source_key = 'a'")
    shadow = bench.query(
        "SELECT received_gone, accepted_gone, pending, held_until FROM shadow "
        "WHERE source_key = 'a'"
    )
    assert (state, shadow) == ([(1,)], [(1, 1, 0, "2026-10-06")])
    before = bench.dump()
    assert replay(bench).steps == {}
    assert bench.dump() == before
    put(bench, "a", "Jansen", roepnaam="Anna")
    assert bench.sync().steps == {"leerling.reopen": 1}


def test_what_is_missing_goes_on_missing_and_ends_on_the_same_day(make: Make) -> None:
    bench = school(make)
    bench.later(24)
    bench.sync()  # 6 October: the last that held it
    bench.sources["s0"].remove(Entity.LEERLING, "a")
    bench.later(24)
    bench.sync()
    missed = "SELECT missing_since FROM source_record WHERE source_key = 'a'"
    since = bench.query(missed)
    assert since != [(None,)]
    fix(bench)
    bench.later(24)
    replay(bench)
    assert bench.query(missed) == since
    assert names(bench)["a"] == ("JANSEN", None)
    bench.later(24)
    bench.sync()
    assert names(bench)["a"] == ("JANSEN", "2026-10-07")


def test_a_tombstone_after_a_replay_ends_on_the_day_that_the_source_last_held_it(
    make: Make,
) -> None:
    bench = school(make)
    fix(bench)
    bench.later(72)
    replay(bench)
    bench.sources["s0"].remove(Entity.LEERLING, "a")
    bench.later(24)
    bench.sync(kind=Kind.DELTA)
    assert names(bench)["a"] == ("JANSEN", "2026-10-06")


def test_a_record_that_was_never_made_and_is_gone_is_not_made(make: Make) -> None:
    bench = school(make)
    put(bench, "x", "Breekt")
    assert bench.sync().quarantine == 1
    bench.sources["s0"].remove(Entity.LEERLING, "x")
    bench.settle()
    assert bench.reports[-1].quarantine == 0
    fix(bench)
    replay(bench)
    assert "x" not in names(bench)


def test_a_record_that_the_fix_finds_anew_is_as_old_as_what_it_was_found_in(make: Make) -> None:
    bench = school(make)
    bench.later(24)
    bench.sync()  # 6 October: the last that held a and b
    for key in "ab":
        bench.sources["s0"].remove(Entity.LEERLING, key)
        bench.later(24)
        bench.sync()  # a is gone on the third, b is missing
    bench.later(24)
    put(bench, "b", "Bakker", roepnaam="Anna")
    bench.sync()
    bench.sources["s0"].remove(Entity.LEERLING, "b")
    bench.later(24)
    bench.sync()  # 10 October: b is missing since, held until the ninth
    fix(bench, "4")
    bench.later(24)
    replay(bench)
    shadows = bench.query(
        "SELECT source_key, first_on, observed_on, held_until, received_gone FROM shadow "
        "WHERE entity = 'advies' ORDER BY source_key"
    )
    assert shadows == [
        ("b/advies", "2026-10-05", "2026-10-05", "2026-10-09", 0),
        ("c/advies", "2026-10-05", "2026-10-05", None, 0),
        ("d/advies", "2026-10-05", "2026-10-05", None, 0),
    ]
    bench.later(24)
    bench.sync()
    ended = bench.query("SELECT geldig_tot FROM advies WHERE geldig_tot IS NOT NULL")
    assert ended == [("2026-10-10",)]


# -- quarantine ------------------------------------------------------------------------------------


def test_the_newest_body_counts_also_where_it_is_in_quarantine(make: Make) -> None:
    bench = school(make)
    bench.later(24)
    put(bench, "a", "Breekt")
    assert bench.sync().quarantine == 1
    assert names(bench)["a"] == ("Jansen", None)
    fix(bench)
    bench.later(24)
    report = replay(bench)
    assert (report.outcome, report.quarantine) == (Outcome.DONE, 0)
    assert names(bench)["a"] == ("BREEKT", None)
    bodies = bench.query(
        "SELECT COUNT(*) FROM raw_payload p JOIN source_record r ON r.id = p.record_id "
        "WHERE r.source_key = 'a'"
    )
    assert bodies == [(2,)]  # what left the quarantine is in the archive now
    stored = bench.query("SELECT MAX(stored_on) FROM raw_payload")
    assert stored == [("2026-10-06",)]  # of the day on which it came in
    before = bench.dump()
    assert replay(bench).steps == {}
    assert bench.dump() == before
    assert bench.sync().steps == {}


def test_a_fix_that_breaks_a_record_sets_it_apart_and_keeps_what_it_was(make: Make) -> None:
    bench = school(make)
    fix(bench, "3")
    report = replay(bench)
    assert (report.outcome, report.quarantine) == (Outcome.PARTIAL, 1)
    assert names(bench)["a"] == ("Jansen", None)
    assert bench.query("SELECT source_key, path, rule FROM quarantine") == [
        ("a", "achternaam", "breekt een regel")
    ]
    assert sum(reading.read for reading in report.readings) == 4
    before = bench.query("SELECT * FROM quarantine")
    assert replay(bench).steps == {}
    assert bench.query("SELECT * FROM quarantine") == before
    fix(bench)
    assert replay(bench).quarantine == 0
    assert names(bench)["a"] == ("JANSEN", None)
    payloads = bench.query("SELECT record_id, COUNT(*) FROM raw_payload GROUP BY record_id")
    assert {count for _, count in payloads} == {1}  # no body is kept twice


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.DELTA])
def test_quarantine_is_tried_again_by_itself_without_the_source(make: Make, kind: Kind) -> None:
    bench = school(make)
    put(bench, "x", "Breekt")
    assert bench.sync().quarantine == 1
    fix(bench)

    def fails(self: MemoryReading) -> NoReturn:
        raise SourceUnavailableError("it is down", system="memory", operation="read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryReading, "__iter__", fails)
        report = bench.sync(kind=kind)
    assert report.quarantine == 0
    assert report.applied == {"leerling.create": 1}
    assert names(bench)["x"] == ("BREEKT", None)
    assert names(bench)["a"] == ("Jansen", None)  # a replay of everything is asked for by a person
    told = [row for row in bench.query("SELECT kind, detail FROM event") if "quar" in row[0]]
    assert told == [("quarantine retried", '{"records":1}')]


def test_what_left_the_quarantine_is_applied_though_nothing_can_be_listed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = school(make)
    put(bench, "x", "Breekt")
    bench.sync()
    fix(bench)

    def fails(*_: object, **__: object) -> NoReturn:
        raise SourceUnavailableError("it is down", system="memory", operation="scopes")

    monkeypatch.setattr(MemoryConnector, "scopes", fails)
    report = bench.sync()
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, ExitCode.LATER)
    assert report.applied == {"leerling.create": 1}
    assert names(bench)["x"] == ("BREEKT", None)
    assert bench.sync().plan_id is None  # nothing left to try: it fails before it plans


def test_quarantine_is_tried_again_once_for_each_mapping(make: Make) -> None:
    bench = school(make)
    put(bench, "x", "Breekt", kapot=True)
    bench.sync()
    fix(bench)
    for _ in range(2):
        assert bench.sync(dry=True).quarantine == 1
    for _ in range(3):
        assert bench.sync().quarantine == 1
    events = bench.query("SELECT COUNT(*) FROM event WHERE kind = 'quarantine retried'")
    assert events == [(1,)]


def test_what_the_source_says_now_counts_after_what_was_in_quarantine(make: Make) -> None:
    bench = school(make)
    put(bench, "a", "Breekt")
    bench.sync()
    fix(bench)
    put(bench, "a", "Hersteld")
    assert bench.sync().quarantine == 0
    assert names(bench)["a"] == ("HERSTELD", None)


# -- terms -----------------------------------------------------------------------------------------


def mail(bench: Bench) -> list[str]:
    return [row[0] for row in bench.query("SELECT waarde FROM contactgegeven")]


def test_a_body_is_mapped_under_the_terms_that_it_came_under(make: Make) -> None:
    bench = make()
    put(bench, "a", **ANNA)
    bench.sync()
    bench.sources["s0"].fields["leerling"] = NARROW
    put(bench, "a", "De Vries")  # now without the fields that are not shared
    bench.sync()
    fix(bench)
    replay(bench)
    assert names(bench)["a"] == ("DE VRIES", None)
    assert mail(bench) == ["anna@thuis.example"]
    assert bench.sync().steps == {}


def test_terms_are_kept_of_what_was_looked_up_or_broke_off(make: Make) -> None:
    bench = make()
    for key in "abcde":  # two pages
        put(bench, key, "Jansen", roepnaam="Anna", email=f"{key}@thuis.example")
    bench.sync()
    bench.sources["s0"].fields["leerling"] = NARROW
    put(bench, "a", "Vries")
    put(bench, "e", "Boer")
    bench.sources["s0"].faults["leerling", "hoofd"] = "error"
    bench.sync()  # a came in under narrow terms before it broke off
    bench.sync(kind=Kind.ONLY, resources=("leerling",), only=("e",))
    fix(bench)
    report = replay(bench)
    assert (report.outcome, report.skipped) == (Outcome.DONE, {})
    assert names(bench)["a"] == ("VRIES", None)
    assert names(bench)["e"] == ("BOER", None)
    assert len(mail(bench)) == 5


def test_quarantine_under_terms_that_nobody_knows_erases_nothing(make: Make) -> None:
    bench = make()
    put(bench, "a", **ANNA)
    bench.sync()
    source = bench.sources["s0"]
    source.fields["leerling"] = NARROW
    put(bench, "a", "Breekt")
    bench.sync()
    source.fields.clear()
    source.faults["leerling", "hoofd"] = "short"
    source.records.clear()
    put(bench, "b", "Bakker", roepnaam="Bo")
    for key in "cdef":
        put(bench, key, "Smit", roepnaam="Bo")
    bench.sync()  # the scope has wide terms now; a was not read under them
    fix(bench)
    replay(bench)
    assert names(bench)["a"] == ("BREEKT", None)
    assert mail(bench) == ["anna@thuis.example"]


def test_a_record_whose_terms_are_lost_is_left_alone_and_counted(make: Make) -> None:
    bench = school(make)
    fix(bench)
    bench.query("DELETE FROM contract")
    report = replay(bench)
    assert (report.outcome, report.skipped) == (Outcome.PARTIAL, {"no_terms": 4})
    assert {name for name, _ in names(bench).values()} == {"Jansen", "Bakker", "Visser", "Smit"}


def test_what_the_configuration_keeps_out_now_is_not_read_from_the_archive(make: Make) -> None:
    bench = make()
    put(bench, "a", **ANNA)
    put(bench, "b", "Bakker", email="b@thuis.example")
    bench.sync()
    put(bench, "b", "Bakker", email="anders@thuis.example")
    bench.sync(plan_only=True)  # received, and not applied
    settings = bench.hub.settings
    source = settings.find_source("s0").model_copy(update={"drop": frozenset({"leerling.email"})})
    bench.hub = replace(bench.hub, settings=settings.model_copy(update={"source": (source,)}))
    fix(bench)
    bodies: list[DeliveryContract] = []
    mapped = Fixed.map

    def spied(self: Fixed, *args: Any, contract: DeliveryContract, **more: Any) -> Mapped:
        bodies.append(contract)
        return mapped(self, *args, contract=contract, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fixed, "map", spied)
        replay(bench)
    assert bodies
    assert not any(contract.delivers("email") for contract in bodies)
    assert all(contract.delivers("achternaam") for contract in bodies)


def test_what_was_replayed_under_narrower_terms_can_be_replayed_again(make: Make) -> None:
    bench = make()
    put(bench, "a", "Breekt", roepnaam="Anna")
    bench.sync()
    settings = bench.hub.settings
    source = settings.find_source("s0").model_copy(update={"drop": frozenset({"leerling.email"})})
    bench.hub = replace(bench.hub, settings=settings.model_copy(update={"source": (source,)}))
    fix(bench)
    assert replay(bench).applied == {"leerling.create": 1}
    fix(bench, "1")
    again = replay(bench)
    assert (again.skipped, again.quarantine) == ({}, 1)


# -- what is left out ------------------------------------------------------------------------------


def test_an_erased_record_is_skipped_and_counted(make: Make) -> None:
    bench = school(make)
    put(bench, "x", "Breekt")
    bench.sync()
    for table in ("source_record", "quarantine"):
        bench.query(f"UPDATE {table} SET salt = NULL WHERE source_key IN ('a', 'x')")
    fix(bench)
    report = replay(bench)
    assert report.skipped == {"erased": 2}
    assert report.applied == {"leerling.change": 3}
    assert names(bench)["a"] == ("Jansen", None)
    stored = bench.query("SELECT counts FROM run WHERE id = ?", report.run_id)[0][0]
    assert msgspec.json.decode(stored)["skipped"] == {"erased": 2}


def test_a_record_of_which_nothing_is_kept_is_counted(make: Make) -> None:
    bench = school(make)
    bench.query(
        "DELETE FROM raw_payload WHERE record_id IN "
        "(SELECT id FROM source_record WHERE source_key = 'a')"
    )
    fix(bench)
    report = replay(bench)
    assert (report.skipped, report.applied) == ({"no_payload": 1}, {"leerling.change": 3})


def test_since_takes_what_was_stored_on_that_day_or_later(make: Make) -> None:
    bench = school(make)
    bench.later(48)
    put(bench, "a", "De Jong")
    put(bench, "x", "Breekt")
    bench.sync()
    fix(bench)
    assert replay(bench, since=date(2026, 10, 8)).steps == {}
    assert replay(bench, since=date(2026, 10, 8)).outcome is Outcome.PARTIAL  # x is apart still
    report = replay(bench, since=date(2026, 10, 7))
    assert report.applied == {"leerling.change": 1, "leerling.create": 1}
    assert names(bench)["a"] == ("DE JONG", None)
    assert names(bench)["b"] == ("Bakker", None)


def test_entity_selects_and_an_unknown_one_is_refused(make: Make) -> None:
    bench = school(make)
    fix(bench)
    assert replay(bench, resources=("groep",)).steps == {}
    wrong = replay(bench, resources=("toverstaf",))
    assert (wrong.outcome, "toverstaf" in wrong.error) == (Outcome.FAILED, True)
    assert replay(bench, resources=("leerling",)).applied == {"leerling.change": 4}


def test_where_nothing_was_ever_received_a_replay_says_so(make: Make) -> None:
    report = replay(make())
    assert (report.outcome, "koppelhub sync" in report.advice) == (Outcome.FAILED, True)


# -- how it is bounded and held --------------------------------------------------------------------


def test_a_preview_shows_the_replay_and_changes_nothing(make: Make) -> None:
    bench = school(make)
    put(bench, "a", "Breekt")
    bench.sync()
    fix(bench)
    before = bench.dump()
    shown = replay(bench, dry=True)
    assert bench.dump() == before
    assert shown.steps == {"leerling.change": 4}
    assert replay(bench).applied == shown.steps


def test_guards_hold_a_replay_as_they_hold_a_run(make: Make) -> None:
    bench = make()
    bench.policy(guards={"change": {"share": None, "number": 3, "floor": 0}})
    for key in "abcd":
        put(bench, key, "Jansen")
    bench.sync()
    fix(bench)
    held = replay(bench)
    assert (held.outcome, held.held) == (Outcome.HELD, 4)
    assert {name for name, _ in names(bench).values()} == {"Jansen"}
    bench.sync(kind=Kind.APPLY, approved=held.plan_id)
    assert {name for name, _ in names(bench).values()} == {"JANSEN"}


def test_a_replay_ends_at_its_time_limit_and_goes_on_the_next_time(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_engine.archive.SLICE", 2)
    bench = school(make)
    fix(bench)
    parse = MemoryConnector.parse

    def slow(self: MemoryConnector, resource: str, body: bytes) -> Any:
        bench.clock.advance(timedelta(seconds=40))
        return parse(self, resource, body)

    monkeypatch.setattr(MemoryConnector, "parse", slow)
    first = replay(bench, time_limit=timedelta(minutes=1))
    assert (first.outcome, first.applied) == (Outcome.PARTIAL, {"leerling.change": 2})
    second = replay(bench, time_limit=timedelta(minutes=10))
    assert (second.outcome, second.applied) == (Outcome.DONE, {"leerling.change": 2})


def test_a_replay_that_is_cut_off_is_finished_by_the_next(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_engine.archive.SLICE", 1)
    bench = school(make)
    bench.sources["s0"].remove(Entity.LEERLING, "b")
    bench.settle()
    taken = ReplayStager.replay
    calls: list[int] = []

    def cut_off(self: ReplayStager, payloads: Sequence[Payload]) -> None:
        taken(self, payloads)
        calls.append(len(payloads))
        if len(calls) == 3:
            raise KeyboardInterrupt

    fix(bench)
    monkeypatch.setattr(ReplayStager, "replay", cut_off)
    with pytest.raises(KeyboardInterrupt):
        replay(bench)
    assert {name for name, _ in names(bench).values()} == {"Jansen", "Bakker", "Visser", "Smit"}
    assert bench.query("SELECT gone FROM source_record ORDER BY source_key") == [
        (0,),
        (1,),
        (0,),
        (0,),
    ]
    monkeypatch.setattr(ReplayStager, "replay", taken)
    replay(bench)
    ended = names(bench)
    assert {key for key, (_, end) in ended.items() if end is not None} == {"b"}
    assert {name for name, _ in ended.values()} == {"JANSEN", "BAKKER", "VISSER", "SMIT"}


def test_bodies_are_read_in_slices(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make()
    for number in range(23):
        put(bench, f"l{number:02}", "Breekt" if number % 3 == 0 else "Jansen")
    bench.sync()
    fix(bench)
    monkeypatch.setattr("sync_engine.archive.SLICE", 5)
    longest = 0
    original = ReplayStager.replay

    def counted(self: ReplayStager, payloads: Sequence[Payload]) -> None:
        nonlocal longest
        longest = max(longest, len(payloads))
        original(self, payloads)

    monkeypatch.setattr(ReplayStager, "replay", counted)
    report = replay(bench)
    assert longest == 5
    assert sum(reading.read for reading in report.readings) == 23
    assert len(names(bench)) == 23


def test_a_damaged_body_ends_the_replay_and_is_named_by_its_number(make: Make) -> None:
    bench = school(make)
    bench.query("UPDATE raw_payload SET body = ? WHERE id = 1", bytes(60))
    fix(bench)
    report = replay(bench)
    assert (report.outcome, "raw|" in report.error) == (Outcome.FAILED, True)
    assert "back-up" in report.advice


def test_a_record_of_two_scopes_is_replayed_in_each(make: Make) -> None:
    source = MemorySource((Entity.LEERLING, Entity.GROEP), scope_keys=("nu", "straks"))
    bench = make(source=source)
    source.put(Entity.LEERLING, "a", "nu", achternaam="Jansen")
    source.put(Entity.LEERLING, "a", "straks", achternaam="Later")
    bench.sync()
    fix(bench)
    replay(bench)
    assert names(bench)["a"] == ("JANSEN", None)
    source.scope_keys = ("straks",)
    bench.sync()
    assert names(bench)["a"] == ("LATER", None)
