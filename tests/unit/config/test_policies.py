"""Policies: the packaged defaults, and what each rule decides."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.correlation import Correlation, OtherScale
from config.errors import ConfigurationError
from config.guards import GuardKind, Rest, Threshold
from config.policies import (
    Absence,
    Authority,
    DriftReaction,
    Gone,
    Policy,
    Reactions,
    Unlinked,
    Unmatched,
    default_values,
)

ALL_YEAR = {"from": "01-01", "to": "12-31"}
FEW = {"number": 2}
NAMED = {
    name for names in Policy.defaults().guards.entities().values() for name in names
}  # the packaged policies name them


def changed(section: str, **values: Any) -> Policy:
    """The defaults with one section changed."""
    tables = default_values()
    tables[section] = {**tables[section], **values}
    return Policy.model_validate(tables)


def test_the_packaged_defaults_are_the_documented_ones() -> None:
    policy = Policy.defaults()
    assert policy.absence.confirm_after == timedelta(hours=6)
    assert (policy.absence.warn_shrink, policy.absence.block_shrink) == (0.2, 0.5)
    assert policy.retention.plan_expiry == timedelta(hours=72)
    assert policy.guards.close.share == 0.05
    assert policy.guards.close.floor == 5
    assert policy.guards.create.floor == policy.guards.change.floor == 50
    assert policy.guards.empty.share == 0.2
    assert policy.correlation.sure_at is None
    weights = policy.correlation.weights
    twins = (sum(weights.values()) - weights["roepnaam"]) / sum(weights.values())
    assert twins < policy.correlation.case_at
    assert policy.drift.of("leerling") is DriftReaction.EVOLVE
    assert policy is Policy.defaults()


def test_what_was_closed_is_kept_for_the_period_of_its_table() -> None:
    retention = changed("retention", entities={"inschrijving": "1825d"}).retention
    assert retention.of("inschrijving") == retention.longest() == timedelta(days=1825)
    assert retention.of("leerling") == retention.tombstone == timedelta(days=730)
    assert Policy.defaults().retention.longest() == timedelta(days=730)


def test_policies_are_frozen_and_refuse_unknown_keys() -> None:
    with pytest.raises(ValidationError):
        Policy.defaults().absence.block_shrink = 0.9  # type: ignore[misc]  # the point of the test
    with pytest.raises(ValidationError, match="block_shrinkage"):
        changed("absence", block_shrinkage=0.9)
    with pytest.raises(ValidationError, match="guardz"):
        Policy.model_validate({**default_values(), "guardz": {}})


def test_the_most_specific_list_of_authority_counts() -> None:
    authority = Authority(
        order={"*": ("a", "b"), "leerling": ("b", "a"), "leerling.email": ("kern",)}
    )
    assert authority.rank("groep", "naam", "a") == 0
    assert authority.rank("leerling", "achternaam", "a") == 1
    assert authority.rank("leerling", "email", "kern") == 0
    assert authority.rank("leerling", "email", "a") == 1
    assert authority.rank("leerling", "email", "b") == 1
    assert authority.rank("leerling", "email", "kern") == 0
    assert Authority().rank("leerling", "email", "a") == 0


def test_a_koppeling_stands_in_a_list_of_authority_once() -> None:
    with pytest.raises(ValidationError, match="twice"):
        Authority(order={"*": ("a", "a")})


@pytest.mark.parametrize(
    ("count", "known", "expected"),
    [(5, 5, False), (6, 120, True), (6, 121, False), (50, 1000, True), (49, 1000, False)],
)
def test_a_share_is_hit_above_the_floor_only(count: int, known: int, expected: bool) -> None:
    assert Threshold(share=0.05, floor=5).exceeded(count, known) is expected


def test_a_number_is_hit_whatever_the_share() -> None:
    threshold = Threshold(share=0.5, number=10, floor=3)
    assert threshold.exceeded(10, 10_000)
    assert not threshold.exceeded(9, 10_000)
    assert not Threshold(number=2, floor=3).exceeded(3, 10)


def test_a_first_load_hits_nothing() -> None:
    guards = Policy.defaults().guards
    assert not guards.threshold(GuardKind.CREATE, "leerling").exceeded(100_000, 0)
    assert not Threshold(number=1).exceeded(10, 0)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_share_that_is_reached_exactly_is_hit(part: int, known: int) -> None:
    count = min(part, known)
    threshold = Threshold(share=count / known)
    assert threshold.exceeded(count, known)
    assert not threshold.exceeded(count - 1, known)


def test_an_entity_may_have_a_threshold_of_its_own() -> None:
    guards = changed("guards", close={"share": 0.05, "entities": {"groep": {"number": 3}}}).guards
    assert guards.threshold(GuardKind.CLOSE, "groep").number == 3
    assert guards.threshold(GuardKind.CLOSE, "leerling").share == 0.05


@pytest.mark.parametrize("share", [0, -0.1, float("nan"), float("inf"), 5, "veel"])
def test_a_share_that_says_nothing_is_refused(share: object) -> None:
    with pytest.raises(ValidationError):
        changed("guards", close={"share": share})
    with pytest.raises(ValidationError):
        changed("guards", close={"share": 0.1, "entities": {"groep": {"share": share}}})


def test_a_threshold_without_a_bound_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a share"):
        Threshold(floor=3)


def test_an_entity_may_react_in_its_own_way() -> None:
    reactions = Reactions.model_validate(
        {"unmatched": "case", "entities": {"toets": {"gone": "keep"}, "vak": {"unlinked": "case"}}}
    )
    assert reactions.of("leerling").unmatched is Unmatched.CASE
    assert reactions.of("leerling").gone is Gone.CLOSE
    assert reactions.of("toets").gone is Gone.KEEP
    assert reactions.of("toets").unmatched is Unmatched.CASE
    assert reactions.of("vak").unlinked is Unlinked.CASE


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 7, 24), False),
        (date(2026, 7, 25), True),
        (date(2026, 8, 20), True),
        (date(2026, 8, 21), False),
        (date(2026, 12, 31), False),
    ],
)
def test_absence_closes_nothing_around_the_turn_of_the_schooljaar(
    day: date, expected: bool
) -> None:
    assert Policy.defaults().absence.frozen(day) is expected
    assert not changed("absence", freeze=False).absence.frozen(day)


def test_a_freeze_may_run_over_new_year() -> None:
    absence = changed("absence", freeze_from="12-20", freeze_to="01-05").absence
    assert absence.frozen(date(2026, 12, 31))
    assert absence.frozen(date(2027, 1, 5))
    assert not absence.frozen(date(2027, 1, 6))


@pytest.mark.parametrize("day", ["7-25", "02-30", "0725", "25-07", "07-25T00"])
def test_a_day_that_does_not_exist_is_refused(day: str) -> None:
    with pytest.raises(ValidationError, match="such as 07-25"):
        changed("absence", freeze_from=day)


def test_a_scope_warns_before_it_blocks() -> None:
    with pytest.raises(ValidationError, match="at most block_shrink"):
        Absence.model_validate({**default_values()["absence"], "warn_shrink": 0.6})
    with pytest.raises(ValidationError, match="at most critical"):
        changed("freshness", promised="51h")


def test_a_scope_warns_at_a_fifth_and_blocks_at_half() -> None:
    absence = Policy.defaults().absence
    assert not absence.warns(199, 1000)
    assert absence.warns(200, 1000)
    assert not absence.blocks(499, 1000)
    assert absence.blocks(500, 1000)
    assert not absence.warns(0, 0)
    assert not absence.blocks(0, 0)


def test_policy_is_sure_of_cases_only_and_never_links_by_a_score() -> None:
    with pytest.raises(ValidationError, match="at least case_at"):
        Correlation(weights={"achternaam": 1}, case_at=0.8, sure_at=0.7)
    with pytest.raises(ValidationError, match="at least case_at"):  # together, for one entity
        Correlation(
            weights={"achternaam": 1},
            case_at=0.8,
            sure_at=0.85,
            entities={"leerling": OtherScale(case_at=0.9)},
        )
    with pytest.raises(ValidationError, match=r"sources.som.entities.groep: only leerling and"):
        changed("correlation", sources={"som": {"entities": {"groep": {"case_at": 0.9}}}})
    with pytest.raises(ValidationError, match="link_at"):
        changed("correlation", link_at=0.9)
    with pytest.raises(ValidationError, match="above 0"):
        Correlation(weights={"achternaam": 0}, case_at=0.8)


def test_the_most_specific_scale_counts() -> None:
    correlation = changed(
        "correlation",
        case_at=0.8,
        entities={"leerling": {"case_at": 0.81, "sure_at": 0.99}},
        sources={"som": {"case_at": 0.82, "entities": {"medewerker": {"case_at": 0.83}}}},
    ).correlation
    found = {
        (entity, source): correlation.of(entity, source).case_at
        for entity in ("leerling", "medewerker")
        for source in ("som", "magister")
    }
    assert found == {
        ("leerling", "magister"): 0.81,
        ("medewerker", "magister"): 0.8,
        ("leerling", "som"): 0.82,
        ("medewerker", "som"): 0.83,
    }
    assert correlation.of("leerling", "som").sure_at == 0.99
    assert correlation.of("medewerker", "som").sure_at is None
    assert correlation.of("leerling").is_sure(0.99)
    assert not correlation.of("leerling").is_sure(0.989)
    assert not correlation.of("medewerker").is_sure(1.0)


def test_a_name_that_the_schema_does_not_have_is_refused() -> None:
    schema: dict[str, set[str]] = {name: set() for name in NAMED}
    schema |= {"leerling": {"email"}, "groep": {"naam"}}
    changed("authority", order={"*": ["a"], "leerling": ["a"], "groep.naam": ["a"]}).check_names(
        schema
    )
    drift = changed("drift", entities={"ouderVerzorger": "freeze"})
    drift.check_names(schema, resources=["ouderVerzorger"])
    wrong = [
        drift,
        changed("authority", order={"leering": ["a"]}),
        changed("authority", order={"leerling.emial": ["a"]}),
        changed("drift", entities={"groepen": "freeze"}),
        changed("reactions", entities={"klas": {}}),
        changed("retention", entities={"klas": "30d"}),
        changed("guards", empty={"share": 0.2, "entities": {"klas": {"number": 2}}}),
        changed("guards", sources={"las": {"close": {"entities": {"klas": {"number": 2}}}}}),
        changed("guards", schools={"99XX": {"close": {"entities": {"klas": {"number": 2}}}}}),
        changed("guards", seasons={"a": {**ALL_YEAR, "close": {"entities": {"klas": FEW}}}}),
    ]
    for policy in wrong:
        with pytest.raises(ConfigurationError, match=r"policy\.\w+.*the schema has no"):
            policy.check_names(schema)


def test_the_most_specific_threshold_counts() -> None:
    guards = changed(
        "guards",
        close={"number": 1, "entities": {"groep": {"number": 2}}},
        sources={"las": {"close": {"number": 3, "entities": {"vak": {"number": 4}}}}},
        schools={
            "99XX": {"close": {"number": 5}},
            "99XX01": {"close": {"entities": {"leerling": {"number": 6}}}},
        },
    ).guards

    def number(entity: str, source: str = "", school: str = "") -> int | None:
        return guards.threshold(GuardKind.CLOSE, entity, source=source, school=school).number

    assert (number("leerling"), number("groep")) == (1, 2)
    assert (number("leerling", "las"), number("groep", "las"), number("vak", "las")) == (3, 3, 4)
    assert number("vak", "ander") == 1
    assert (number("leerling", "las", "99XX"), number("leerling", "las", "99XX00")) == (5, 5)
    assert (number("leerling", "las", "99XX01"), number("groep", "las", "99XX01")) == (6, 5)
    assert number("leerling", "las", "98XX00") == 3


@pytest.mark.parametrize(
    ("on", "number"),
    [
        (date(2027, 7, 14), 1),
        (date(2027, 7, 15), 2),
        (date(2027, 9, 15), 2),
        (date(2027, 9, 16), 1),
        (None, 1),
    ],
)
def test_a_season_has_thresholds_of_its_own(on: date | None, number: int) -> None:
    zomer = {"from": "07-15", "to": "09-15", "close": {"number": 2}}
    guards = changed("guards", close={"number": 1}, seasons={"zomer": zomer}).guards
    assert guards.threshold(GuardKind.CLOSE, "leerling", on=on).number == number


def test_a_school_goes_before_a_season_and_has_seasons_of_its_own() -> None:
    summer = date(2027, 8, 1)
    zomer = {**ALL_YEAR, "close": {"number": 2}}
    school = {"close": {"number": 3}, "seasons": {"eigen": {**ALL_YEAR, "close": {"number": 4}}}}
    guards = changed(
        "guards",
        close={"number": 1},
        seasons={"zomer": zomer},
        schools={"99XX": {"close": {"number": 3}}, "98XX": school},
    ).guards
    for place, number in (("", 2), ("99XX00", 3), ("98XX00", 4)):
        assert guards.threshold(GuardKind.CLOSE, "groep", school=place, on=summer).number == number


def test_what_becomes_of_the_rest_is_said_per_school() -> None:
    guards = changed(
        "guards",
        sources={"las": {"incomplete": "hold"}},
        schools={"99XX": {"held_rest": "hold"}, "99XX01": {"held_rest": "go"}},
    ).guards
    assert (guards.rest_of("las", ""), guards.incomplete_of("las", "")) == (Rest.GO, Rest.HOLD)
    assert guards.rest_of("las", "99XX00") is Rest.HOLD
    assert guards.rest_of("las", "99XX01") is Rest.GO
    assert guards.incomplete_of("ander", "99XX01") is Rest.GO


@pytest.mark.parametrize(
    "guards",
    [
        {"schools": {"99XX": {"close": {"share": 5}}}},
        {"seasons": {"a": {**ALL_YEAR, "change": {"entities": {"groep": {"share": 5}}}}}},
    ],
)
def test_a_share_is_at_most_the_whole_wherever_it_stands(guards: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at most 1"):
        changed("guards", **guards)


def test_a_guard_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a share"):
        changed("guards", schools={"99XX": {"close": {}}})
    with pytest.raises(ValidationError, match="needs a share"):
        changed("guards", schools={"99XX": {"close": {"floor": 3}}})
