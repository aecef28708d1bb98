from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from config.policies import Policy, default_values
from mappings.canonical.fields import Entity
from sync_engine.guard import MEMBERS, Hold, Tally, judge
from sync_engine.steps import Limits, count
from tests.support.hubs import overlaid


def policy(**guards: Any) -> Policy:
    return Policy.model_validate(overlaid(default_values(), {"guards": guards}))


def tally(**counts: Any) -> Tally:
    return Tally(
        steps=Counter(counts.get("steps", {})),
        fields=Counter(counts.get("fields", {})),
        emptied=Counter(counts.get("emptied", {})),
        known=counts.get("known", {"leerling": 100}),
    )


@pytest.mark.parametrize(("closed", "held"), [(5, False), (6, True), (100, True)])
def test_closings_over_floor_and_share_wait(closed: int, *, held: bool) -> None:
    holds = judge(tally(steps={("leerling", "close"): closed}), policy())
    assert [(h.entity, h.op) for h in holds] == ([("leerling", "close")] if held else [])


def test_a_first_load_creates_without_a_guard() -> None:
    steps = {("leerling", "create"): 5000}
    assert not judge(tally(steps=steps, known={}), policy())
    assert judge(tally(steps=steps, known={"leerling": 100}), policy())


def test_a_threshold_may_be_a_number() -> None:
    guards = {"close": {"share": None, "number": 3, "floor": 0}}
    assert not judge(tally(steps={("leerling", "close"): 2}), policy(**guards))
    assert judge(tally(steps={("leerling", "close"): 3}), policy(**guards))


def test_an_entity_may_have_its_own_threshold() -> None:
    guards = {"close": {"entities": {"groep": {"share": 0.9}}}}
    steps = {("groep", "close"): 50, ("leerling", "close"): 50}
    known = {"groep": 100, "leerling": 100}
    holds = judge(tally(steps=steps, known=known), policy(**guards))
    assert [h.entity for h in holds] == ["leerling"]


def test_one_field_that_changes_or_empties_everywhere_waits_alone() -> None:
    holds = judge(
        tally(
            fields={("leerling", "roepnaam"): 60, ("leerling", "geslacht"): 10},
            emptied={("leerling", "contactgegeven/email"): 25},
        ),
        policy(),
    )
    assert [(h.op, h.field) for h in holds] == [
        ("change", "roepnaam"),
        ("change", "contactgegeven/email"),
    ]


def test_reopening_is_never_held() -> None:
    assert not judge(tally(steps={("leerling", "reopen"): 100}), policy())


def test_reasons_say_how_many_of_how_many() -> None:
    (hold,) = judge(tally(steps={("leerling", "close"): 40}), policy())
    assert "40 van 100" in hold.reason


def test_lost_members_are_held_by_what_they_are_of_all_members() -> None:
    lost = tally(emptied={("groep", MEMBERS): 25}, known={"groep": 100})
    lost.members = {"groep": 2000}
    assert not judge(lost, policy())
    lost.members = {"groep": 100}
    (hold,) = judge(lost, policy())
    assert (hold.entity, hold.op, hold.field) == ("groep", "change", MEMBERS)
    assert "25 van 100" in hold.reason


CHANGES: dict[str, list[Any]] = {
    "achternaam": ["A", "B"],
    "roepnaam": ["A", None],
    "adres/woonadres": [{"straat": "Dam"}, None],
    "contactgegeven/email": [{"waarde": "a@school.example"}, None],
    "identificatie/leerlingnummer/1": [{"index": "00"}, None],
    "groepsdeelname/leerling/7": [["2026-08-01", None, False], ["2026-08-01", "x", True, "ended"]],
    "groepsdeelname/docent/8": [["2026-08-01", None, False], None],
}


@pytest.mark.parametrize("key", CHANGES)
def test_what_is_tallied_under_a_field_is_held_by_that_field(key: str) -> None:
    made = Tally()
    count(made, Entity.GROEP, "change", changed={key: CHANGES[key]})
    assert made.fields
    for entity, field in {*made.fields, *made.emptied}:
        limits = Limits((Hold(entity, "change", field, "vol"),))
        assert limits.held(Entity.GROEP, "change", {key: CHANGES[key]}) == "vol"


def test_members_who_only_come_are_no_change() -> None:
    made = Tally()
    change: dict[str, list[Any]] = {
        "groepsdeelname/leerling/7": [None, ["2026-08-01", None, False]]
    }
    count(made, Entity.GROEP, "change", changed=change)
    assert not made.fields
    assert not made.emptied
