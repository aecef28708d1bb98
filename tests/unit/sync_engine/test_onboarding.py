"""How the steps of a koppeling stand, of what is known of it."""

from __future__ import annotations

from sync_engine.onboarding import Facts, Standing, Step, missing_before, steps_of
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

SOME = {"planned": {"s0"}, "applied": {"s0"}}


def standing(
    bench: Bench, facts: Facts, *, production: bool = False, **over: object
) -> dict[str, str]:
    source = bench.hub.source("s0").model_copy(update=over)
    steps = steps_of(source, facts, school="99XX", production=production)
    return {str(one.step): str(one.standing) for one in steps}


def test_the_first_step_that_is_not_done_is_next(make: Make) -> None:
    found = standing(make(), Facts())
    assert found["link"] == "done"
    assert found["agreement"] == "next"
    assert (found["check"], found["adopt"], found["live"]) == ("later", "optional", "later")


def test_what_is_live_already_keeps_nobody_waiting(make: Make) -> None:
    """A koppeling from before there were steps was told to record its agreement for ever."""
    found = standing(make(), Facts(**SOME), schedule="15 2 * * *")
    assert (found["agreement"], found["check"]) == ("optional", "optional")
    assert "next" not in found.values()


def test_production_reads_nothing_without_an_agreement_live_or_not(make: Make) -> None:
    found = standing(make(), Facts(**SOME), schedule="15 2 * * *", production=True)
    assert (found["agreement"], found["check"]) == ("next", "optional")


def test_a_schedule_alone_is_not_live(make: Make) -> None:
    source = make().hub.source("s0").model_copy(update={"schedule": "15 2 * * *"})
    steps = steps_of(source, Facts(), school="99XX", production=False)
    before = missing_before(steps, Step.LIVE)
    assert before is not None
    assert (before.step, before.standing) == (Step.AGREEMENT, Standing.NEXT)
