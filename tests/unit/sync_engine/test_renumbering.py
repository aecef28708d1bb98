"""What schools are called on a day: families of numbers, and what follows from them. Pure."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.guards import GuardKind
from config.policies import Policy, default_values
from mappings.canonical.fields import Entity
from sync_engine.fold import Folded, Winner
from sync_engine.renumbering import Change, Herinrichting, Renumbering, at_odds

DAY = date(2027, 8, 1)
BEFORE = DAY - timedelta(days=1)
MOVED = Herinrichting("verhuisd", DAY, (Change("99XX01", "99YY03"),))
JOINED = Herinrichting("fusie", DAY, (Change("99ZZ", "99YY", joins=True),))


@pytest.mark.parametrize("number", ["99XX01", "99YY03"])
def test_a_school_is_called_by_its_number_of_the_day_whoever_says_which(number: str) -> None:
    assert Renumbering([MOVED], on=BEFORE).now(number) == "99XX01"
    assert Renumbering([MOVED], on=DAY).now(number) == "99YY03"
    assert Renumbering([MOVED], on=BEFORE).names(number) == ("99XX01", "99YY03")


def test_a_school_that_is_joined_is_another_until_the_day() -> None:
    before, after = Renumbering([JOINED], on=BEFORE), Renumbering([JOINED], on=DAY)
    assert (before.now("99ZZ"), before.now("99YY")) == ("99ZZ", "99YY")
    assert before.names("99YY") == ("99YY",)
    assert (after.now("99ZZ"), after.now("99YY")) == ("99YY", "99YY")
    assert after.names("99YY") == ("99YY", "99ZZ")


def test_a_number_may_change_again_later() -> None:
    again = Herinrichting("later", DAY + timedelta(days=365), (Change("99YY03", "99AB00"),))
    for on, called in ((BEFORE, "99XX01"), (DAY, "99YY03"), (again.on, "99AB00")):
        numbers = Renumbering([again, MOVED], on=on)
        assert {numbers.now(n) for n in ("99XX01", "99YY03", "99AB00")} == {called}


@given(
    days=st.lists(st.integers(0, 900), min_size=1, max_size=5, unique=True),
    asked=st.integers(-10, 1000),
)
def test_all_numbers_of_a_family_read_the_same_on_any_day(days: list[int], asked: int) -> None:
    every = [
        Herinrichting(
            f"h{place}", DAY + timedelta(days=day), (Change(f"99X{place}", f"99X{place + 1}"),)
        )
        for place, day in enumerate(sorted(days))
    ]
    numbers = Renumbering(every, on=DAY + timedelta(days=asked))
    passed = sum(day <= asked for day in days)
    names = [f"99X{place}" for place in range(len(days) + 1)]
    assert {numbers.now(name) for name in names} == {f"99X{passed}"}
    assert numbers.names(names[0]) == tuple(names)


def test_a_scope_is_of_the_schools_of_the_day() -> None:
    scope = ("99XX00", "99XX01", "99XX")
    assert Renumbering([MOVED], on=BEFORE).schools(scope) == ("99XX00", "99XX01", "99XX")
    assert Renumbering([MOVED], on=DAY).schools(scope) == ("99XX00", "99YY03", "99XX", "99YY")
    assert Renumbering(on=DAY).schools(("99XX01",)) == ("99XX01",)
    assert set(Renumbering([MOVED], on=DAY).every_name(("99XX01",))) == {
        *("99XX01", "99XX", "99YY03", "99YY")
    }


def test_a_scope_is_old_only_when_all_of_it_is() -> None:
    numbers = Renumbering([MOVED], on=DAY)
    assert numbers.is_old(("99XX01", "99XX"))
    assert not numbers.is_old(("99XX00", "99XX01", "99XX"))
    assert not numbers.is_old(("99YY03", "99YY"))
    assert not numbers.is_old(())
    assert numbers.covers(("99YY03", "99YY"))
    assert not numbers.covers(("99XX00", "99XX01"))


def test_a_koppeling_stops_on_the_day_for_that_school_alone() -> None:
    made = Herinrichting("over", DAY, (Change("99XX01", "99XX01", source="oud"),))
    scope = ("99XX01", "99XX")
    assert Renumbering([made], on=BEFORE).stopped_on("oud", scope) is None
    assert Renumbering([made], on=DAY).stopped_on("oud", scope) == DAY
    assert Renumbering([made], on=DAY).stopped_on("nieuw", scope) is None
    assert Renumbering([made], on=DAY).stopped_on("oud", ("99XX00", "99XX01")) is None


def test_a_folded_vestiging_has_the_number_of_the_day_and_a_pin_stays() -> None:
    def folded(winner: Winner) -> Folded:
        made = Folded(Entity.VESTIGING)
        made.values = {"naam": "Noord", "vestigingsnummer": "99XX01", "brins": ["99XX01"]}
        made.winners = dict.fromkeys(made.values, winner)
        Renumbering([MOVED], on=DAY).number(made)
        return made

    told = folded(Winner("only source"))
    assert (told.values["vestigingsnummer"], told.values["brins"]) == ("99YY03", ["99YY03"])
    assert told.winners["vestigingsnummer"].rule == "herinrichting"
    assert told.winners["naam"].rule == "only source"
    assert folded(Winner("pin", pin_id=1)).values["vestigingsnummer"] == "99XX01"


@pytest.mark.parametrize("named", ["99XX01", "99YY03"])
def test_thresholds_of_a_school_hold_under_each_of_its_numbers(named: str) -> None:
    values = default_values()
    values["guards"]["schools"] = {named: {"close": {"number": 3}}}
    guards = Renumbering([MOVED], on=DAY).guards(Policy.model_validate(values).guards)
    for number in ("99XX01", "99YY03"):
        found = guards.own_threshold(GuardKind.CLOSE, "leerling", school=number, on=None)
        assert found is not None
        assert found.number == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change("99XX01", "99AB01"), "changes in herinrichting verhuisd too"),
        (Change("99YY03", "99XX01"), "is what was"),
        (Change("99XX02", "99YY03"), "is the new number of another school"),
        (Change("99YY03", "99AB01"), "which is not earlier"),
    ],
)
def test_what_cannot_stand_beside_what_is_in_force_is_refused(change: Change, said: str) -> None:
    assert said in at_odds([MOVED], Herinrichting("nog een", DAY, (change,)))


def test_what_is_in_force_is_not_put_in_force_again() -> None:
    assert "in force already" in at_odds([MOVED], MOVED)
    later = Herinrichting("later", DAY + timedelta(days=1), (Change("99YY03", "99AB01"),))
    assert at_odds([MOVED], later) == ""
