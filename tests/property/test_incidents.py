"""Whatever the order of troubles, hours and looks: each incident is told once, and ends once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from config.alerts import Alerts, AtNight, Rule
from sync_engine.alerts.incidents import Event, Incident, Kind, Watch, judge
from sync_engine.condition import State
from tests.support.health import BAD, health_of
from tests.unit.sync_engine.test_incidents import alerts

ZONE = "Europe/Amsterdam"
NAMES = ("a", "b", "c", "d", "e")
SYSTEMS = {"a": "somtoday", "b": "somtoday", "c": "somtoday", "d": "somtoday", "e": "magister"}
START = datetime(2026, 10, 24, 18, 0, tzinfo=UTC)  # the clock goes back in this night

step = st.tuples(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(sorted(BAD)), max_size=2, unique=True),
        max_size=3,
    ),
    st.integers(min_value=0, max_value=400),
)


@dataclass
class World:
    """One rule that looks, again and again."""

    watch: Watch
    now: datetime = START
    troubles: dict[str, list[str]] = field(default_factory=lambda: {n: [] for n in NAMES})
    open: list[Incident] = field(default_factory=list)
    over: list[Incident] = field(default_factory=list)
    told: list[tuple[datetime, Event]] = field(default_factory=list)
    numbers: int = 0

    def look(self) -> None:
        """One look; what was told gets its number, as the store gives it."""
        health = health_of(self.now, self.troubles, systems=SYSTEMS)
        made = judge(self.open, health, self.watch, self.now)
        numbered = {}
        for incident in made.incidents:
            self.numbers += not incident.id
            numbered[incident.cause, incident.subject] = replace(
                incident, id=incident.id or self.numbers
            )
        assert len(numbered) == len(made.incidents)
        self.open = [one for one in numbered.values() if one.closed_at is None]
        self.over += [one for one in numbered.values() if one.closed_at is not None]
        for event in made.events:
            incident = numbered[event.incident.cause, event.incident.subject]
            self.told.append((self.now, Event(event.kind, incident)))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world with settings of its own, after a history of its own."""
    configured: Alerts = alerts(
        settle=draw(st.sampled_from(["0s", "10m", "2h"])),
        group_from=draw(st.integers(min_value=2, max_value=4)),
        quiet={
            "from": "22:00",
            "to": draw(st.sampled_from(["22:00", "07:00"])),
            "weekend": draw(st.booleans()),
            "critical": draw(st.sampled_from(["pass", "wait"])),
        },
    )
    world = World(Watch.of(configured, Rule(name="alles"), ZONE))
    for changes, minutes in draw(st.lists(step, max_size=12)):
        world.troubles |= changes
        world.now += timedelta(minutes=minutes)
        world.look()
    return world


@given(world=worlds())
def test_each_incident_is_told_once_and_ends_once(world: World) -> None:
    stories: dict[int, list[Kind]] = defaultdict(list)
    for _, event in world.told:
        stories[event.incident.id].append(event.kind)
    for story in stories.values():
        if story == [Kind.PASSED]:
            continue
        assert story[0] is Kind.OPENED
        assert story.count(Kind.OPENED) == 1
        assert Kind.PASSED not in story
        assert Kind.RECOVERED not in story[:-1]
    ids = [event.id for _, event in world.told]
    assert len(set(ids)) == len(ids)


@given(world=worlds())
def test_in_quiet_hours_nothing_is_told_but_what_may(world: World) -> None:
    for at, event in world.told:
        if world.watch.quiet.at(at, ZONE):
            assert world.watch.quiet.critical is AtNight.PASS
            assert State.CRITICAL in {event.incident.state, event.incident.told}


@given(world=worlds())
def test_when_all_is_well_everything_ends_and_who_was_told_is_told_so(world: World) -> None:
    told = {e.incident.id for _, e in world.told if e.kind is Kind.OPENED}
    alone = {one.id for one in world.over if one.ending == "joined"}
    world.troubles = {name: [] for name in NAMES}
    for _ in range(8):  # by day and by night, over a weekend too
        world.now += timedelta(hours=13)
        world.look()
    assert world.open == []
    ended = {e.incident.id for _, e in world.told if e.kind is Kind.RECOVERED}
    assert told - alone <= ended


@given(world=worlds())
def test_what_lasts_is_told_as_soon_as_it_may_be(world: World) -> None:
    for _ in range(6):
        world.now += timedelta(hours=13)
        world.look()
    told = {name for one in world.open if one.told for name in one.koppelingen}
    assert told == {name for name, troubles in world.troubles.items() if troubles}


@given(world=worlds())
def test_two_looks_at_the_same_moment_tell_nothing_new(world: World) -> None:
    world.look()
    before, count = world.open, len(world.told)
    world.look()
    assert (world.open, len(world.told)) == (before, count)
