"""Incidents: told once, told again when they become worse, told when they are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from config.alerts import TROUBLES, Alerts, Rule
from sync_engine.alerts.incidents import (
    CAUSE_OF,
    Ending,
    Incident,
    Judgement,
    Watch,
    judge,
)
from sync_engine.condition import Problem, State, Trouble
from tests.support.health import health_of

DAY = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)  # a Thursday, ten o'clock at school
NIGHT = datetime(2026, 11, 26, 23, 0, tzinfo=UTC)  # midnight there
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ONE = {"a": ("warning",)}


def alerts(**over: Any) -> Alerts:
    """The packaged settings, with others laid over them."""
    values: dict[str, Any] = {
        "settle": "10m",
        "group_from": 3,
        "give_up": "3d",
        "quiet": {"from": "22:00", "to": "07:00", "weekend": False, "critical": "pass"},
        "remind": {"warning": "24h", "critical": "4h"},
        "mail": {"port": 25, "security": "starttls", "timeout": "20s"},
        "report": {"send": True, "day": "mon", "at": "07:30"},
    }
    return Alerts.model_validate(values | over)


class Story:
    """Looks at the health, one after another, and what was told."""

    def __init__(self, rule: Rule | None = None, **over: Any) -> None:
        self.watch = Watch.of(alerts(**over), rule or Rule(name="alles"), "Europe/Amsterdam")
        self.open: list[Incident] = []
        self.over: list[Incident] = []
        self.now = DAY

    def look(
        self,
        troubles: Mapping[str, Sequence[str]],
        *,
        at: datetime | None = None,
        hub: Sequence[Problem] = (),
        **more: Any,
    ) -> Judgement:
        """One look; incidents get numbers as the store gives them."""
        self.now = at or self.now
        health = health_of(self.now, troubles, hub=hub, **more)
        made = judge(self.open, health, self.watch, self.now)
        known = len(self.open) + len(self.over)
        numbered = [
            one if one.id else replace(one, id=known + place + 1)
            for place, one in enumerate(made.incidents)
        ]
        self.over += [one for one in numbered if one.closed_at is not None]
        self.open = [one for one in numbered if one.closed_at is None]
        return made

    def kinds(self, *arguments: Any, **more: Any) -> list[tuple[str, str]]:
        """What one look tells: (kind, subject)."""
        made = self.look(*arguments, **more)
        return [(event.kind.value, event.incident.subject) for event in made.events]


def test_every_trouble_has_a_cause_and_may_be_named_in_a_rule() -> None:
    assert set(CAUSE_OF) == set(Trouble)
    assert set(TROUBLES) == {str(trouble) for trouble in Trouble}


def test_a_trouble_is_told_once_and_its_recovery_once() -> None:
    story = Story()
    assert story.kinds(ONE) == []
    assert story.kinds(ONE, at=DAY + 10 * MINUTE) == [("opened", "koppeling a")]
    assert story.kinds(ONE, at=DAY + 15 * MINUTE) == []
    assert story.kinds({"a": ()}, at=DAY + 20 * MINUTE) == []
    assert story.kinds({"a": ()}, at=DAY + 30 * MINUTE) == [("recovered", "koppeling a")]
    assert story.kinds({"a": ()}, at=DAY + 2 * HOUR) == []
    assert story.open == []


def test_what_comes_and_goes_within_the_time_to_settle_is_not_told() -> None:
    story = Story()
    story.look(ONE)
    story.look({"a": ()}, at=DAY + 5 * MINUTE)
    assert story.kinds({"a": ()}, at=DAY + HOUR) == []
    assert [one.ending for one in story.over] == [Ending.BRIEF]


def test_what_flutters_goes_on_as_one_incident() -> None:
    story = Story()
    story.look(ONE)
    told = story.kinds(ONE, at=DAY + 10 * MINUTE)
    for minute in range(15, 115, 10):
        told += story.kinds({"a": ()}, at=DAY + minute * MINUTE)
        told += story.kinds(ONE, at=DAY + (minute + 5) * MINUTE)
    assert told == [("opened", "koppeling a")]


def test_what_becomes_worse_is_told_again_and_a_reminder_comes_by_the_rule() -> None:
    story = Story(settle="0s")
    assert story.kinds(ONE) == [("opened", "koppeling a")]
    worse = {"a": ("warning", "critical")}
    assert story.kinds(worse, at=DAY + HOUR) == [("worsened", "koppeling a")]
    assert story.kinds(worse, at=DAY + 2 * HOUR) == []
    assert story.kinds(worse, at=DAY + 5 * HOUR) == [("reminder", "koppeling a")]
    assert story.kinds(ONE, at=DAY + 9 * HOUR) == []  # not so bad any more: after a day
    assert story.kinds(ONE, at=DAY + 29 * HOUR) == [("reminder", "koppeling a")]


def test_work_that_takes_days_is_reminded_of_by_the_week() -> None:
    story = Story(settle="0s")
    soon = {"a": ("expiring",)}
    assert story.kinds(soon) == [("opened", "koppeling a")]
    days = [story.kinds(soon, at=DAY + timedelta(days=day)) for day in range(1, 8)]
    assert [bool(told) for told in days] == [False] * 6 + [True]


def test_a_supplier_that_is_down_is_one_incident_however_many_schools_it_has() -> None:
    story, names = Story(), [f"k{number:03d}" for number in range(300)]
    told: list[tuple[str, str]] = []
    for minute in range(0, 61, 5):  # they fail one after another, as their runs begin
        bad = dict.fromkeys(names[: minute * 10], ("warning",))
        told += story.kinds(dict.fromkeys(names, ()) | bad, at=DAY + minute * MINUTE)
    assert told[0] == ("opened", "system somtoday")
    assert {subject for _, subject in told} == {"system somtoday"}
    assert len(told) <= 3
    assert story.open[0].koppelingen == tuple(names)
    some = dict.fromkeys(names[:1], ("warning",))
    assert story.kinds(dict.fromkeys(names, ()) | some, at=DAY + 2 * HOUR) == []
    story.look(dict.fromkeys(names, ()), at=DAY + 3 * HOUR)
    over = story.kinds(dict.fromkeys(names, ()), at=DAY + 4 * HOUR)
    assert over == [("recovered", "system somtoday")]


def test_who_was_told_alone_goes_on_within_the_incident_of_the_system() -> None:
    story, three = Story(settle="0s"), dict.fromkeys("abc", ("warning",))
    assert story.kinds(ONE) == [("opened", "koppeling a")]
    assert story.kinds(three, at=DAY + HOUR) == [("opened", "system somtoday")]
    assert [one.ending for one in story.over] == [Ending.JOINED]
    gone = story.kinds(dict.fromkeys("abc", ()), at=DAY + 2 * HOUR)
    assert gone == [("recovered", "system somtoday")]


def test_systems_and_causes_are_incidents_of_their_own() -> None:
    story = Story(settle="0s", group_from=2)
    found = {"a": ("warning", "held"), "b": ("warning",), "c": ("warning",)}
    systems = {"a": "somtoday", "b": "somtoday", "c": "magister"}
    told = story.look(found, systems=systems).opened
    assert {(one.cause.value, one.subject) for one in told} == {
        ("held", "koppeling a"),
        ("reading", "koppeling c"),
        ("reading", "system somtoday"),
    }


def test_in_quiet_hours_only_what_is_critical_is_told() -> None:
    story = Story(settle="0s")
    assert story.kinds(ONE, at=NIGHT) == []
    assert story.kinds({"a": ("critical",)}, at=NIGHT + HOUR) == [("opened", "koppeling a")]
    assert story.kinds({"a": ()}, at=NIGHT + 2 * HOUR) == [("recovered", "koppeling a")]


def test_what_waits_is_told_in_the_morning() -> None:
    story = Story()
    for hour in range(7):
        assert story.kinds(ONE, at=NIGHT + hour * HOUR) == []
    assert story.kinds(ONE, at=NIGHT + 7 * HOUR) == [("opened", "koppeling a")]


def test_what_came_and_went_while_it_was_quiet_is_told_once_in_the_morning() -> None:
    story = Story()
    assert story.kinds(ONE, at=NIGHT) == []
    assert story.kinds(ONE, at=NIGHT + HOUR) == []
    assert story.kinds({"a": ()}, at=NIGHT + 2 * HOUR) == []
    assert story.kinds({"a": ()}, at=NIGHT + 6 * HOUR) == []
    assert story.kinds({"a": ()}, at=NIGHT + 8 * HOUR) == [("passed", "koppeling a")]
    assert story.kinds({"a": ()}, at=NIGHT + 9 * HOUR) == []


def test_a_rule_may_let_the_critical_wait_too() -> None:
    story = Story(Rule(name="overdag", critical="wait"), settle="0s")
    assert story.kinds({"a": ("critical",)}, at=NIGHT) == []
    assert story.kinds({"a": ("critical",)}, at=NIGHT + 8 * HOUR) == [("opened", "koppeling a")]


def test_a_rule_sees_its_troubles_states_and_tenants_only() -> None:
    down = Problem(Trouble.WORKERS, State.CRITICAL, "geen workers", "koppelhub health", None)
    found = {"a": ("warning", "held"), "b": ("critical",)}
    tenants = {"a": "bestuur", "b": "ander"}

    def told(rule: Rule) -> set[str]:
        made = Story(rule, settle="0s").look(found, hub=[down], tenants=tenants).opened
        return {f"{one.cause} {one.subject}" for one in made}

    assert told(Rule(name="r")) == {
        *("reading koppeling a", "held koppeling a", "reading koppeling b", "installation hub"),
    }
    assert told(Rule(name="r", troubles=("held",))) == {"held koppeling a"}
    critical = Rule.model_validate({"name": "r", "from": "critical"})
    assert told(critical) == {"reading koppeling b", "installation hub"}
    assert told(Rule(name="r", tenants=("bestuur",))) == {
        *("reading koppeling a", "held koppeling a"),
    }


def test_a_group_of_one_tenant_names_no_koppeling_of_another() -> None:
    found = dict.fromkeys("abcdef", ("warning",))
    tenants = dict.fromkeys("abc", "bestuur") | dict.fromkeys("def", "ander")
    story = Story(Rule(name="r", tenants=("bestuur",)), settle="0s")
    (told,) = story.look(found, tenants=tenants).opened
    assert told.koppelingen == ("a", "b", "c")


def test_a_koppeling_that_is_taken_out_of_the_configuration_ends_its_incident() -> None:
    story = Story(settle="0s")
    story.look(ONE)
    assert story.kinds({}, at=DAY + HOUR) == [("recovered", "koppeling a")]
    assert story.over[0].ending is Ending.REMOVED
