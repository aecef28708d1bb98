"""What people are told of plans and records, also when the configuration has changed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from config.errors import ConfigurationError
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.explain import Explanation
from sync_engine.find import hub_key
from sync_engine.history import explain_leerling
from sync_engine.plans import note_approval, read_plan
from tests.support.hubs import Bench

Make = Callable[..., Bench]
ECK = "https://ketenid.nl/pilot/" + "a" * 128


def school(make: Make, sources: int = 1) -> tuple[Bench, int]:
    """A hub where one pupil was read by every source."""
    bench = make(sources)
    for name in bench.sources:
        bench.sources[name].put(Entity.LEERLING, "l", achternaam=name, eck_id=ECK)
        bench.sync(name)
    return bench, bench.core(Entity.LEERLING, "l")


def without(bench: Bench, name: str) -> None:
    """Take a koppeling out of the configuration."""
    kept = tuple(source for source in bench.hub.settings.source if source.name != name)
    bench.hub = replace(bench.hub, settings=bench.hub.settings.model_copy(update={"source": kept}))


def explained(bench: Bench, core_id: int) -> Explanation:
    ((_, answer),) = explain_leerling(bench.hub, hub_key(core_id), field=None, operator="balie")
    return answer


@pytest.mark.parametrize("gone", ["s0", "s1"])
def test_a_koppeling_that_is_configured_no_more_is_still_explained(make: Make, gone: str) -> None:
    bench, core_id = school(make, 2)
    before = explained(bench, core_id)
    without(bench, gone)
    after = explained(bench, core_id)
    assert after == before
    assert {claim.koppeling for claim in after.fields[0].claims} == {"s0", "s1"}


def test_the_plan_of_a_koppeling_that_is_configured_no_more_is_still_shown(make: Make) -> None:
    bench, _ = school(make)
    plan = bench.reports[0].plan_id
    assert plan is not None
    before = read_plan(bench.hub, plan, limit=10)
    without(bench, "s0")
    assert read_plan(bench.hub, plan, limit=10) == before
    assert [step.op for step in before.steps] == ["create"]
    with pytest.raises(ConfigurationError):
        bench.sync()


def test_a_pupil_that_a_later_run_found_unchanged_is_linked(make: Make) -> None:
    bench, core_id = school(make)
    assert explained(bench, core_id).situation == {"s0/l": "unmatched"}
    bench.sync(dry=True)
    assert explained(bench, core_id).situation == {"s0/l": "unmatched"}
    bench.later()
    bench.sync()
    assert explained(bench, core_id).situation == {"s0/l": "linked"}


def test_what_was_only_planned_is_no_history(make: Make) -> None:
    bench, core_id = school(make)
    bench.sources["s0"].put(Entity.LEERLING, "l", achternaam="anders", eck_id=ECK)
    bench.sync(dry=True)
    planned = bench.sync(plan_only=True)
    assert planned.steps == {"leerling.change": 1}
    (name,) = [f for f in explained(bench, core_id).fields if f.name == "achternaam"]
    assert [(change.op, change.after) for change in name.history] == [("create", "s0")]
    assert bench.query("SELECT op FROM journal") == [("create",)]
    bench.sync()
    (name,) = [f for f in explained(bench, core_id).fields if f.name == "achternaam"]
    assert [change.op for change in name.history] == ["create", "change"]
    shown = read_plan(bench.hub, planned.plan_id or 0, limit=10)
    assert [step.state for step in shown.steps] == ["planned"]
    shown = read_plan(bench.hub, bench.reports[-1].plan_id or 0, limit=10)
    assert [step.state for step in shown.steps] == ["applied"]


def test_the_run_of_another_koppeling_says_nothing_of_this_one(make: Make) -> None:
    bench, core_id = school(make, 2)
    assert explained(bench, core_id).situation == {"s0/l": "unmatched", "s1/l": "linked"}


def test_an_approval_is_in_the_audit_trail_whatever_comes_of_it(make: Make) -> None:
    bench, _ = school(make)
    plan = bench.reports[0].plan_id
    assert plan is not None
    note_approval(bench.hub, plan, operator="chef")
    assert bench.query("SELECT operator, action, subject FROM audit") == [
        ("chef", "plan approve", f"plan {plan}")
    ]
    with pytest.raises(SyncError):
        note_approval(bench.hub, plan + 1, operator="chef")


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [((" 99xx ",), ("99XX",)), (("99XX01", "99XX", "99xx01"), ("99XX01", "99XX")), ((), ())],
)
def test_a_school_is_named_by_its_whole_number(
    make: Make, wanted: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    assert make(1).hub.schools("s0", wanted) == kept


@pytest.mark.parametrize("wanted", ["98ZZ", "98ZZ01", "99", "", "99X", "99XX1", "99XX001", "XX99"])
def test_a_school_that_is_not_in_the_configuration_is_refused(make: Make, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(1).hub.schools("s0", ["99XX", wanted])
    assert "BRIN (99XX) of vestigingsnummer (99XX00) uit de configuratie" in caught.value.advice
