"""A koppeling that the configuration no longer has: what it said stays, and proves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from config.sources import Source
from fixtures.school.keys import synthetic_eckid
from mappings.canonical.fields import Entity
from sync_engine.decisions import koppeling_of_core
from sync_engine.explain import explain
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.outcome import Outcome
from sync_engine.selection import select
from sync_engine.todo import todo
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

PERSON = {"achternaam": "Een", "geboortedatum": "2012-01-01", "eck_id": synthetic_eckid(1, 1)}


def configured(bench: Bench, sources: tuple[Source, ...]) -> None:
    """The configuration has these koppelingen."""
    settings = bench.hub.settings.model_copy(update={"source": sources})
    bench.hub = replace(bench.hub, settings=settings)


def without(bench: Bench, name: str) -> tuple[Source, ...]:
    """The configuration loses one koppeling; returns what it had."""
    every = bench.hub.settings.source
    configured(bench, tuple(source for source in every if source.name != name))
    return every


def two(make: Make) -> Bench:
    """One pupil whom both know, and one whom only the first knows; the second is believed."""
    bench = make(2)
    bench.sources["s0"].put(Entity.LEERLING, "a", **PERSON, mobiel="0600000001", roepnaam="Oud")
    bench.sources["s0"].put(Entity.LEERLING, "b", achternaam="Twee")
    bench.sources["s1"].put(Entity.LEERLING, "x", **PERSON, roepnaam="Nieuw")
    bench.sources["s1"].fields["leerling"] = frozenset({*PERSON, "roepnaam"})
    bench.policy(authority={"order": {"*": ["s1", "s0"]}})
    bench.settle()
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    return bench


def told(bench: Bench, name: str) -> tuple[Any, str]:
    """The value of a field of the pupil whom both know, and who gives it."""
    with bench.context("s1") as context:
        (reason,) = explain(
            context, Entity.LEERLING, bench.core(Entity.LEERLING, "x", "s1"), only=name
        ).fields
    return reason.value, reason.koppeling


def there(bench: Bench) -> set[str]:
    """Surnames of the pupils who are not closed."""
    rows = bench.query("SELECT achternaam FROM leerling WHERE geldig_tot IS NULL")
    return {row[0] for row in rows}


def test_what_it_alone_said_stays_and_nobody_is_closed(make: Make) -> None:
    bench = two(make)
    without(bench, "s0")
    bench.settle("s1")
    assert there(bench) == {"Een", "Twee"}
    assert told(bench, "mobiel")[0] == "0600000001"
    assert told(bench, "roepnaam") == ("Nieuw", "s1")
    assert all(report.held == 0 for report in bench.reports)


def test_it_is_believed_last_whatever_the_policy_says(make: Make) -> None:
    bench = two(make)
    bench.policy(authority={"order": {"*": ["s0", "s1"]}})
    bench.settle("s0", "s1")
    assert told(bench, "roepnaam") == ("Oud", "s0")
    without(bench, "s0")
    assert bench.sync("s1").steps == {"leerling.change": 1}
    assert told(bench, "roepnaam") == ("Nieuw", "s1")
    assert bench.sync("s1").steps == {}


def test_it_keeps_nobody_who_left_the_other(make: Make) -> None:
    bench = two(make)
    bench.policy(guards={"close": {"share": None, "number": 100}}, absence={"block_shrink": 1.0})
    bench.sources["s1"].put(Entity.LEERLING, "y", achternaam="Drie")
    bench.settle("s1")
    bench.sources["s1"].remove(Entity.LEERLING, "x")
    bench.settle("s1")
    assert there(bench) == {"Een", "Twee", "Drie"}  # the first still has him
    without(bench, "s0")
    bench.settle("s1")
    assert there(bench) == {"Twee", "Drie"}


def test_who_had_left_before_stays_closed(make: Make) -> None:
    bench = two(make)
    order = {"order": {"*": ["s1", "s0"]}}
    guards = {"close": {"share": None, "number": 100}}
    bench.policy(authority=order, guards=guards, absence={"block_shrink": 1.0})
    bench.sources["s0"].remove(Entity.LEERLING, "b")
    bench.settle("s0")
    assert there(bench) == {"Een"}
    without(bench, "s0")
    assert bench.sync("s1").steps == {}
    assert there(bench) == {"Een"}


def test_a_dry_run_shows_it_and_ends_nothing(make: Make) -> None:
    bench = two(make)
    bench.policy(authority={"order": {"*": ["s0", "s1"]}})
    bench.settle("s0", "s1")
    without(bench, "s0")
    before = bench.dump()
    assert bench.sync("s1", dry=True).steps == {"leerling.change": 1}
    assert bench.dump() == before


def test_its_cases_wait_for_nobody_and_the_run_says_that_it_ended(make: Make) -> None:
    bench = two(make)
    alike = {"achternaam": "Drie", "geboortedatum": "2012-02-02", "roepnaam": "Sem"}
    bench.sources["s1"].put(Entity.LEERLING, "y", **alike)
    bench.sources["s0"].put(Entity.LEERLING, "c", **alike)
    bench.settle("s1", "s0", rounds=1)
    assert [row[2] for row in bench.cases()] == ["c"]
    without(bench, "s0")
    report = bench.sync("s1")
    assert bench.cases() == []
    assert report.events == [f'koppeling ended: {{"koppeling":"s0","scopes":{len(Entity)}}}']
    assert bench.sync("s1").events == []


def test_nothing_of_it_waits_for_the_helpdesk_and_its_records_can_be_merged(make: Make) -> None:
    bench = two(make)
    bench.sources["s0"].put(Entity.LEERLING, "q", achternaam="Vier", kapot=True)  # quarantine
    bench.sync("s0")
    with bench.hub.store.work() as work:
        told = todo(bench.hub, select(bench.hub, work, source=None, school=None))
        assert told.items
        without(bench, "s0")
        bench.sync("s1")
        assert todo(bench.hub, select(bench.hub, work, source=None, school=None)).items == []
    one, other = bench.core(Entity.LEERLING, "x", "s1"), bench.core(Entity.LEERLING, "b", "s0")
    koppeling = koppeling_of_core(bench.hub, Entity.LEERLING, one)
    assert koppeling == "s1"  # the one that ended knows him too, and was first
    decision = Decision(Verdict.MERGE, Entity.LEERLING, core_id=one, other=other)
    report = bench.sync(koppeling, kind=Kind.DECIDE, decision=decision, operator="test")
    assert (report.outcome, report.error) == (Outcome.DONE, "")
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]


def test_it_comes_back_as_if_it_had_never_been_away(make: Make) -> None:
    bench = two(make)
    core, before = bench.core(Entity.LEERLING, "a", "s0"), bench.dump(without=NOT_COMPARED)
    every = without(bench, "s0")
    bench.settle("s1")
    configured(bench, every)
    bench.settle("s0", "s1")
    assert bench.core(Entity.LEERLING, "a", "s0") == core
    assert bench.dump(without=NOT_COMPARED) == before
    bench.sources["s0"].remove(Entity.LEERLING, "b")
    bench.policy(absence={"block_shrink": 1.0}, guards={"close": {"share": None, "number": 100}})
    bench.settle("s0")
    assert there(bench) == {"Een"}


NOT_COMPARED = frozenset(
    {
        *("run", "reading", "plan", "step", "event", "audit", "audit_anchor", "id_block"),
        *("alembic_version", "scope", "source_record", "shadow", "fold_input"),
        *("source_cursor", "koppeling_total"),
    }
)
