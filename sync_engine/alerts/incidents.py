"""Incidents: what is wrong, since when, and what of it was told. Pure: no clock, no store.

An incident is of one rule of the configuration, one cause and one subject: a koppeling, a system,
or the installation. Where enough koppelingen of one system have the same trouble it is one incident
of that system: a supplier that is down is told once, not three hundred times. A rule sees its own
tenants only, so that no message of one bevoegd gezag speaks of another.

    seen ──settle──► told ──worse──► told ──gone, settle──► over, told
      └─gone within settle─► over, not told
      └─came and went in quiet hours─► told once, when they end
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from config.alerts import Alerts, AtNight, Level, Quiet, Rule
from sync_engine.condition import Health, KoppelingHealth, Problem, State, Trouble, worst

_GROWN: Final = 4
"""An incident of a system that is so many times as large as when it was told is told again."""

HUB: Final = "hub"
"""Subject of what is wrong with the installation itself."""


class Cause(StrEnum):
    """What troubles have in common that one act mends; they are one incident."""

    READING = "reading"
    SHORT = "short"
    HELD = "held"
    CASES = "cases"
    QUARANTINE = "quarantine"
    OFF = "off"
    EXPIRING = "expiring"
    MESSAGES = "messages"
    ALARM = "alarm"
    INSTALLATION = "installation"


_SLOW: Final = frozenset({Cause.CASES, Cause.QUARANTINE, Cause.EXPIRING})
_SLOWLY: Final = {State.WARNING: timedelta(days=7), State.CRITICAL: timedelta(days=1)}
"""Work that takes people days is not reminded of sooner, whatever the configuration says."""

CAUSE_OF: Final = {
    Trouble.LATE: Cause.READING,
    Trouble.NEVER: Cause.READING,
    Trouble.FAILED: Cause.READING,
    Trouble.PARTIAL: Cause.READING,
    Trouble.CIRCUIT: Cause.READING,
    Trouble.EMPTY: Cause.SHORT,
    Trouble.SHRUNK: Cause.SHORT,
    Trouble.HELD: Cause.HELD,
    Trouble.CASES: Cause.CASES,
    Trouble.QUARANTINE: Cause.QUARANTINE,
    Trouble.SWITCHED_OFF: Cause.OFF,
    Trouble.MAINTENANCE: Cause.OFF,
    Trouble.EXPIRING: Cause.EXPIRING,
    Trouble.OUTBOX: Cause.MESSAGES,
    Trouble.INBOX: Cause.MESSAGES,
    Trouble.ALARM: Cause.ALARM,
    Trouble.WORKERS: Cause.INSTALLATION,
    Trouble.DATABASE: Cause.INSTALLATION,
    Trouble.ASSUMPTION: Cause.INSTALLATION,
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One problem, as an incident holds it; no personal data.

    Attributes:
        koppeling: its name; empty for the installation.
        schools: BRINs.
        since: when it began, where the health model knows.
    """

    koppeling: str
    kind: Trouble
    state: State
    text: str
    command: str
    schools: tuple[str, ...] = ()
    since: datetime | None = None


class Ending(StrEnum):
    """Why an incident is over."""

    RECOVERED = "recovered"
    BRIEF = "brief"
    """It lasted shorter than what is told."""
    JOINED = "joined"
    """It became part of the incident of its system."""
    REMOVED = "removed"
    """Its koppeling is not in the configuration any more."""
    DROPPED = "dropped"
    """Its rule is not in the configuration any more."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident.

    Attributes:
        id: number in the store; 0 before it is there.
        subject: `koppeling NAME`, `system NAME`, or `hub`.
        state: of now; `worst` is the worst that it ever was.
        signs: what is wrong now, or was when it was last wrong.
        first_at: when it was first seen; `gone_since`: since when nothing is wrong any more.
        told: the state that was last told; None while nothing was.
        told_size: how many koppelingen were in it then.
        tells: how often it was told.
    """

    rule: str
    cause: Cause
    subject: str
    state: State
    worst: State
    signs: tuple[Sign, ...]
    first_at: datetime
    id: int = 0
    gone_since: datetime | None = None
    closed_at: datetime | None = None
    ending: Ending | None = None
    told: State | None = None
    told_at: datetime | None = None
    told_size: int = 0
    tells: int = 0

    @property
    def koppelingen(self) -> tuple[str, ...]:
        """Names of the koppelingen that are in it."""
        return tuple(dict.fromkeys(sign.koppeling for sign in self.signs if sign.koppeling))


class Kind(StrEnum):
    """What is told of an incident."""

    OPENED = "opened"
    WORSENED = "worsened"
    REMINDER = "reminder"
    RECOVERED = "recovered"
    PASSED = "passed"
    """It came and went while it was quiet."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell of an incident, once."""

    kind: Kind
    incident: Incident

    @property
    def id(self) -> str:
        """Stable, and never that of another event: SQLite gives a number that is free again."""
        return f"{self.incident.first_at:%Y%m%d}-{self.incident.id}-{self.incident.tells}"


@dataclass(frozen=True, slots=True)
class Watch:
    """A rule of the configuration with all that it needs to judge by.

    Attributes:
        zone: of the quiet hours.
        remind: state → after how long what is still so is told again; zero is never.
    """

    rule: Rule
    settle: timedelta
    group_from: int
    quiet: Quiet
    zone: str
    remind: Mapping[State, timedelta]

    @classmethod
    def of(cls, alerts: Alerts, rule: Rule, zone: str) -> Watch:
        """The watch of one rule."""
        remind = {State(level): alerts.remind_after(rule, level) for level in Level}
        return cls(rule, alerts.settle, alerts.group_from, alerts.quiet, zone, remind)

    def may_tell(self, state: State, now: datetime) -> bool:
        """Whether something of this state is told at that instant; else it waits."""
        if not self.quiet.at(now, self.zone):
            return True
        at_night = self.rule.critical or self.quiet.critical
        return state is State.CRITICAL and at_night is AtNight.PASS

    def sees(self, problem: Problem) -> bool:
        """Whether the rule is about such a problem."""
        rule = self.rule
        named = rule.troubles is None or problem.kind in rule.troubles
        return named and problem.state.rank >= State(rule.least).rank


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of one look at the health.

    Attributes:
        incidents: every one that goes on, and those that ended now.
        events: what is to be told.
    """

    incidents: tuple[Incident, ...] = ()
    events: tuple[Event, ...] = ()

    def told(self, *kinds: Kind) -> tuple[Incident, ...]:
        """The incidents of events of these kinds."""
        return tuple(event.incident for event in self.events if event.kind in kinds)

    @property
    def opened(self) -> tuple[Incident, ...]:
        """Told for the first time."""
        return self.told(Kind.OPENED)

    @property
    def worsened(self) -> tuple[Incident, ...]:
        """Told again because they became worse."""
        return self.told(Kind.WORSENED)

    @property
    def recovered(self) -> tuple[Incident, ...]:
        """Told to be over."""
        return self.told(Kind.RECOVERED, Kind.PASSED)


_Place = tuple[Cause, str]


def judge(previous: Iterable[Incident], health: Health, watch: Watch, now: datetime) -> Judgement:
    """What becomes of the incidents of one rule, and what is to be told of them.

    Args:
        previous: the incidents of this rule that go on.
        health: as it is now.
        watch: the rule.
        now: the instant; never before that of an earlier judgement.
    """
    ongoing = {(incident.cause, incident.subject): incident for incident in previous}
    found = _Found.of(health, watch)
    placed = _placed(ongoing, found, watch)
    incidents: list[Incident] = []
    events: list[Event] = []
    for place in sorted(ongoing.keys() | placed.keys()):
        signs = placed.get(place, ())
        incident = ongoing.get(place)
        if incident is None:
            incident = _begun(watch, place, signs, _since(ongoing, place, signs, now))
        elif not signs and _joined(incident, placed, found):
            incidents.append(_ended(incident, now, Ending.JOINED))
            continue
        incident, kind = _goes_on(incident, signs, watch, now, found)
        incidents.append(incident)
        if kind is not None:
            events.append(Event(kind, incident))
    return Judgement(tuple(incidents), tuple(events))


# -- where a problem belongs -----------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """What the rule sees of the health.

    Attributes:
        systems: koppeling → system, of every koppeling that there is.
        signs: (cause, koppeling) → what is wrong there.
    """

    systems: dict[str, str] = field(default_factory=dict)
    signs: dict[tuple[Cause, str], list[Sign]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, health: Health, watch: Watch) -> _Found:
        found = cls()
        tenants = watch.rule.tenants
        if tenants is None:
            for problem in health.problems:
                found._add(problem, watch, None)
        for koppeling in health.koppelingen:
            if tenants is None or koppeling.tenant in tenants:
                found.systems[koppeling.name] = koppeling.system
                for problem in koppeling.problems:
                    found._add(problem, watch, koppeling)
        return found

    def _add(self, problem: Problem, watch: Watch, koppeling: KoppelingHealth | None) -> None:
        if not watch.sees(problem):
            return
        name = "" if koppeling is None else koppeling.name
        sign = Sign(
            *(name, problem.kind, problem.state, problem.text, problem.command),
            schools=() if koppeling is None else koppeling.schools,
            since=problem.since,
        )
        self.signs[CAUSE_OF[problem.kind], name].append(sign)


def _placed(
    ongoing: Mapping[_Place, Incident], found: _Found, watch: Watch
) -> dict[_Place, tuple[Sign, ...]]:
    """Which incident each problem is of: that of a koppeling, of its system, or of the hub."""
    of_system: dict[_Place, list[str]] = defaultdict(list)
    for cause, koppeling in found.signs:
        if koppeling:
            of_system[cause, f"system {found.systems[koppeling]}"].append(koppeling)
    placed: dict[_Place, list[Sign]] = defaultdict(list)
    for (cause, koppeling), signs in sorted(found.signs.items()):
        subject = HUB
        if koppeling:
            system = f"system {found.systems[koppeling]}"
            together = len(of_system[cause, system]) >= watch.group_from
            grouped = together or (cause, system) in ongoing
            subject = system if grouped else f"koppeling {koppeling}"
        placed[cause, subject] += sorted(signs, key=lambda sign: (-sign.state.rank, sign.kind))
    return {place: tuple(signs) for place, signs in placed.items()}


def _joined(incident: Incident, placed: Mapping[_Place, tuple[Sign, ...]], found: _Found) -> bool:
    """Whether what is still wrong with this koppeling is part of its system's incident now."""
    koppeling = incident.subject.removeprefix("koppeling ")
    system = found.systems.get(koppeling)
    signs = placed.get((incident.cause, f"system {system}"), ())
    return any(sign.koppeling == koppeling for sign in signs)


def _since(
    ongoing: Mapping[_Place, Incident], place: _Place, signs: tuple[Sign, ...], now: datetime
) -> datetime:
    """When an incident began: that of a system when the first of its koppelingen did."""
    cause, _ = place
    parts = (ongoing.get((cause, f"koppeling {sign.koppeling}")) for sign in signs)
    return min((part.first_at for part in parts if part is not None), default=now)


# -- what becomes of an incident -------------------------------------------------------------------


def _begun(watch: Watch, place: _Place, signs: tuple[Sign, ...], at: datetime) -> Incident:
    cause, subject = place
    state = worst(sign.state for sign in signs)
    return Incident(watch.rule.name, cause, subject, state, state, signs, at)


def _ended(incident: Incident, now: datetime, ending: Ending) -> Incident:
    return replace(incident, closed_at=now, ending=ending)


def _goes_on(
    incident: Incident, signs: tuple[Sign, ...], watch: Watch, now: datetime, found: _Found
) -> tuple[Incident, Kind | None]:
    if not signs:
        return _gone(incident, watch, now, found)
    state = worst(sign.state for sign in signs)
    ever = worst((incident.worst, state))
    incident = replace(incident, state=state, worst=ever, signs=signs, gone_since=None)
    kind = _owed(incident, watch, now)
    if kind is None or not watch.may_tell(state, now):
        return incident, None
    told = replace(incident, told=state, told_at=now, told_size=len(incident.koppelingen))
    return replace(told, tells=incident.tells + 1), kind


def _owed(incident: Incident, watch: Watch, now: datetime) -> Kind | None:
    """What is to be told of an incident that goes on."""
    if incident.told is None or incident.told_at is None:
        return Kind.OPENED if now - incident.first_at >= watch.settle else None
    size = len(incident.koppelingen)
    if incident.state.rank > incident.told.rank or size >= _GROWN * max(1, incident.told_size):
        return Kind.WORSENED
    after = watch.remind[incident.state]
    if after and incident.cause in _SLOW:
        after = max(after, _SLOWLY[incident.state])
    return Kind.REMINDER if after and now - incident.told_at >= after else None


def _gone(
    incident: Incident, watch: Watch, now: datetime, found: _Found
) -> tuple[Incident, Kind | None]:
    """Of an incident of which nothing is wrong any more."""
    since = incident.gone_since or now
    incident = replace(incident, gone_since=since)
    if now - since < watch.settle:
        return incident, None
    if incident.told is None and since - incident.first_at < watch.settle:
        return _ended(incident, now, Ending.BRIEF), None
    if not watch.may_tell(incident.told or incident.worst, now):
        return incident, None
    kind = Kind.PASSED if incident.told is None else Kind.RECOVERED
    koppeling = incident.subject.removeprefix("koppeling ")
    removed = koppeling != incident.subject and koppeling not in found.systems
    ended = _ended(incident, now, Ending.REMOVED if removed else Ending.RECOVERED)
    return replace(ended, tells=incident.tells + 1), kind
