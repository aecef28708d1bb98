"""Judges health: what is known of each koppeling → what is wrong, how badly, and what to do.

Pure: no store, no clock. facts.py brings what is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from config.clock import AMSTERDAM
from config.clock import zone as zone_of
from sync_engine.condition import (
    Expiry,
    Health,
    KoppelingHealth,
    LastRun,
    Problem,
    State,
    Trouble,
    worst,
)
from sync_engine.lately import BROKEN_OFF, Lately

GRACE: Final = timedelta(hours=2)
"""How long a run that was due may take, where the schedule pauses longer than was promised."""
ALIVE: Final = timedelta(minutes=5)
"""A process is not called dead sooner, whatever a restart takes."""
SMALL_BYTES: Final = 500_000_000
"""Less free space than this, and the next night may not fit."""

GOOD, WARNING, CRITICAL = State.GOOD, State.WARNING, State.CRITICAL


@dataclass(frozen=True, slots=True)
class Gate:
    """Why runs of a koppeling do not start now.

    Attributes:
        reason: maintenance, switched_off, circuit, hours, blackout or slots.
        since, until: where they are known; until None is until a person acts.
        by_hand: a person closed it.
    """

    reason: str
    since: datetime | None = None
    until: datetime | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class KoppelingFacts:
    """What is known of one koppeling.

    Attributes:
        scheduled: the clock starts it.
        own_promise: the configuration promises a freshness for it by itself.
        due_after_good: the first time that it was due after the last good run.
        events: kind of event of the last whole run → how often.
        not_begun: (error, advice, when) of what was due last, where it failed before it was a run.
        gates: what keeps its runs from starting.
        unacknowledged: assumed contracts that production refuses to rest on.
        reads: something is read from it; else it is only delivered to.
        inbox_refused: messages that stand refused in the table view.
        alarms: exchanges in which another system contradicts what the hub keeps.
        totals: counters of all its runs, by name; nothing is judged by them.
    """

    name: str
    system: str
    tenant: str
    schools: tuple[str, ...]
    promised: timedelta
    critical: timedelta
    lately: Lately = field(default_factory=Lately)
    scheduled: bool = False
    own_promise: bool = False
    due_after_good: datetime | None = None
    next_due: datetime | None = None
    not_begun: tuple[str, str, datetime] | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    held_plans: int = 0
    held_plan: int | None = None
    open_cases: int = 0
    cases_since: datetime | None = None
    quarantine: int = 0
    outbox: int = 0
    outbox_oldest: datetime | None = None
    reads: bool = True
    inbox_refused: int = 0
    alarms: int = 0
    expiries: tuple[Expiry, ...] = ()
    unacknowledged: tuple[str, ...] = ()
    totals: Mapping[str, float] = field(default_factory=dict)

    def closed_by(self, *reasons: str) -> Gate | None:
        """The gate of one of these reasons."""
        return next((gate for gate in self.gates if gate.reason in reasons), None)


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this installation: serve or worker, and when it was last heard of."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an installation.

    Attributes:
        processes: serve and workers, those that died without a word included.
        needs_workers: the database is one for which only workers run jobs.
        free_bytes, size_bytes: of the disk of the database and of the database; None where that is
            on another machine.
    """

    koppelingen: tuple[KoppelingFacts, ...]
    processes: tuple[Process, ...] = ()
    needs_workers: bool = False
    free_bytes: int | None = None
    size_bytes: int = 0
    expiries: tuple[Expiry, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """By which rules is judged; see config/watch.py.

    Attributes:
        alive: a process that was not heard of for so long is not there any more.
    """

    warn_days: tuple[int, ...]
    cases_wait: timedelta
    zone: str = AMSTERDAM
    alive: timedelta = ALIVE

    def local(self, at: datetime) -> datetime:
        """As the clock on the wall of the school shows it."""
        return at.astimezone(zone_of(self.zone))


@dataclass(frozen=True, slots=True)
class Promise:
    """Until when the last good run is fresh, and until when it may be later than that."""

    until: datetime
    critical: datetime


def judge(facts: Facts, rules: Rules, *, at: datetime) -> Health:
    """The health of an installation at an instant."""
    idle = _idle(facts, rules, at)
    own = (*idle, *_database(facts), *_expiring(facts.expiries, rules, at, source=""))
    koppelingen = tuple(_judged(one, rules, at, idle=bool(idle)) for one in facts.koppelingen)
    problems = _worst_first(own)
    states = [problem.state for problem in problems] + [one.state for one in koppelingen]
    return Health(at, worst(states), problems, koppelingen)


def _judged(known: KoppelingFacts, rules: Rules, at: datetime, *, idle: bool) -> KoppelingHealth:
    lately = known.lately
    promise = _promise(known)
    late_by = at - promise.until if promise is not None and at > promise.until else None
    problems = _worst_first(_problems(known, rules, at, idle=idle))
    good = lately.good_at
    return KoppelingHealth(
        name=known.name,
        system=known.system,
        tenant=known.tenant,
        schools=known.schools,
        state=worst(problem.state for problem in problems),
        problems=problems,
        last=lately.last,
        good_at=good,
        age=None if good is None else at - good,
        promised=known.promised if promise is None or good is None else promise.until - good,
        critical=known.critical if promise is None or good is None else promise.critical - good,
        late_by=late_by,
        next_due=known.next_due,
        running_since=lately.running_since,
        held_plans=known.held_plans,
        open_cases=known.open_cases,
        quarantine=known.quarantine,
        outbox=known.outbox,
        outbox_oldest=known.outbox_oldest,
        expiries=known.expiries,
        situations=lately.situations,
        done_at=lately.done_at,
    )


def _worst_first(problems: Sequence[Problem] | Iterator[Problem]) -> tuple[Problem, ...]:
    order = {kind: place for place, kind in enumerate(Trouble)}
    return tuple(sorted(problems, key=lambda p: (-p.state.rank, order[p.kind], p.text)))


# -- one koppeling ---------------------------------------------------------------------------------


def _problems(
    known: KoppelingFacts, rules: Rules, at: datetime, *, idle: bool
) -> Iterator[Problem]:
    yield from _gates(known, rules)
    yield from _freshness(known, at, idle=idle)
    yield from _last_run(known)
    yield from _held(known, at)
    yield from _waiting(known, rules, at)
    yield from _expiring(known.expiries, rules, at, source=known.name)
    if known.unacknowledged:
        yield Problem(
            Trouble.ASSUMPTION,
            CRITICAL,
            f"in productie is niet bevestigd: {', '.join(known.unacknowledged)}",
            "koppelhub assumptions",
            count=len(known.unacknowledged),
        )


def _promise(known: KoppelingFacts) -> Promise | None:
    """Until when the last good run is fresh: as promised, or until the schedule's next turn.

    Who is read on school days only is not late on Sunday.
    """
    good = known.lately.good_at
    if good is None:
        return None
    until = good + known.promised
    if known.due_after_good is not None and not known.own_promise:
        until = max(until, known.due_after_good + GRACE)
    return Promise(until, until + (known.critical - known.promised))


def _freshness(known: KoppelingFacts, at: datetime, *, idle: bool) -> Iterator[Problem]:
    promise = _promise(known)
    if promise is None:
        if known.reads:
            yield _never(known)
        return
    if at <= promise.until:
        return
    eased = known.closed_by("maintenance") is not None or not (known.scheduled or known.own_promise)
    state = CRITICAL if at > promise.critical and not eased else WARNING
    good = known.lately.good_at
    assert good is not None  # noqa: S101 - there is a promise
    yield Problem(
        Trouble.LATE,
        state,
        f"{span(at - promise.until)} te laat: de laatste goede run is van {span(at - good)} "
        f"geleden, beloofd is {span(promise.until - good)}; {_why_late(known, at, idle=idle)}",
        _to_read(known),
        since=promise.until,
    )


def _never(known: KoppelingFacts) -> Problem:
    last = known.lately.last
    if last is not None:
        text, state = f"nog nooit een goede run; {_ended(last)}", CRITICAL
        if known.closed_by("maintenance") is not None or _only_waits(last):
            state = WARNING
        return Problem(Trouble.NEVER, state, text, f"koppelhub run show {last.id}", last.started_at)
    now = " (er is er nu een bezig)" if known.lately.running_since is not None else ""
    return Problem(Trouble.NEVER, WARNING, f"nog nooit gelezen{now}", _to_read(known))


def _why_late(known: KoppelingFacts, at: datetime, *, idle: bool) -> str:
    lately = known.lately
    if (gate := known.closed_by("maintenance", "switched_off")) is not None:
        return _GATES[gate.reason]
    if lately.running_since is not None:
        return f"er is nu een run bezig, {span(at - lately.running_since)} lang"
    last, good = lately.last, lately.good_at
    if known.not_begun is not None:
        return f"wat aan de beurt was kon niet beginnen: {known.not_begun[0]}"
    if last is not None and good is not None and last.started_at > good:
        return _ended(last)
    if idle and known.scheduled:
        return "niemand start runs (zie de installatie)"
    if known.gates:
        return _GATES.get(known.gates[0].reason, "zij wacht op haar beurt")
    if not known.scheduled:
        return "zij heeft geen schedule en wordt met de hand gelezen"
    return "sindsdien is er geen run begonnen"


_GATES: Final = {
    "maintenance": "zij is in onderhoud",
    "switched_off": "zij is uitgezet",
    "circuit": "de bron is onbereikbaar en wordt even met rust gelaten",
    "hours": "zij wacht op de uren waarin de bron gelezen mag worden",
    "blackout": "zij wacht tot na de uren waarin niets gestart wordt",
    "slots": "zij wacht op haar beurt: er lopen genoeg runs van dit systeem",
    "busy": "zij wacht op een andere run van dezelfde koppeling",
    "patience": "de bron vroeg om later terug te komen",
    "stopped": "haar run werd onderbroken en gaat zo verder",
}


def _only_waits(last: LastRun) -> bool:
    """Whether nothing is wrong with it but that answers are not there yet."""
    return last.outcome == "partial" and not last.unread and last.waits > 0


def _ended(last: LastRun) -> str:
    """How the last run ended, that was not good."""
    if last.outcome == BROKEN_OFF:
        return f"run {last.id} is zonder bericht afgebroken"
    if last.outcome in {"failed", "cancelled"}:
        how = "mislukt" if last.outcome == "failed" else "afgebroken"
        return f"run {last.id} is {how}: {last.error or 'zonder reden'}"
    if last.unread:
        return f"run {last.id} las {last.unread} onderdelen niet tot het einde"
    if last.waits:
        return f"run {last.id} wacht nog op antwoorden; die komen vanzelf"
    return f"run {last.id} las {'niets' if not last.read else 'niet alles'}"


def _to_read(known: KoppelingFacts) -> str:
    last = known.lately.last
    if known.lately.ended_badly and last is not None:
        return f"koppelhub run show {last.id}"
    return f"koppelhub sync --source {known.name}"


def _gates(known: KoppelingFacts, rules: Rules) -> Iterator[Problem]:
    for gate in known.gates:
        until = f", tot {rules.local(gate.until):%d-%m %H:%M}" if gate.until is not None else ""
        text = f"{_GATES.get(gate.reason, gate.reason)}{until}"
        if gate.reason == "switched_off":
            state = WARNING if gate.by_hand else CRITICAL
            yield Problem(
                Trouble.SWITCHED_OFF, state, text, f"koppelhub source on {known.name}", gate.since
            )
        elif gate.reason == "maintenance":
            command = f"koppelhub source maintenance {known.name} end"
            yield Problem(Trouble.MAINTENANCE, WARNING, text, command, gate.since)
        elif gate.reason == "circuit":
            command = f"koppelhub connectors check --source {known.name}"
            yield Problem(Trouble.CIRCUIT, WARNING, text, command, gate.since)


def _last_run(known: KoppelingFacts) -> Iterator[Problem]:
    if known.not_begun is not None:
        error, advice, at = known.not_begun
        text = f"wat aan de beurt was kon niet beginnen: {error}. {advice}".rstrip()
        yield Problem(Trouble.FAILED, WARNING, text, "koppelhub jobs", at)
    last = known.lately.last
    if last is None:
        return
    command = f"koppelhub run show {last.id}"
    since = last.finished_at or last.started_at
    if known.lately.ended_badly:
        advice = f" {last.advice}" if last.advice else ""
        yield Problem(Trouble.FAILED, WARNING, f"{_ended(last)}.{advice}", command, since)
    empty, shrunk = known.events.get("empty", 0), known.events.get("shrunk", 0)
    if empty:
        yield Problem(Trouble.EMPTY, WARNING, "de bron leverde niets", command, since)
    if shrunk:
        text = (
            "een onderdeel levert veel minder dan eerst"
            if shrunk == 1
            else f"{shrunk} onderdelen leveren veel minder dan eerst"
        )
        yield Problem(Trouble.SHRUNK, WARNING, text, command, since, shrunk)
    explained = known.quarantine or empty
    if last.outcome == "partial" and (last.unread or last.waits or not explained):
        yield Problem(Trouble.PARTIAL, WARNING, _ended(last), command, since, last.unread)


def _held(known: KoppelingFacts, at: datetime) -> Iterator[Problem]:
    """Held plans; what waits longer than the data may be late is as bad as data that is."""
    if not known.held_plans:
        return
    since = known.lately.held_since
    state = WARNING if since is None or at - since <= known.critical else CRITICAL
    waits = "" if since is None else f", al {span(at - since)}"
    yield Problem(
        Trouble.HELD,
        state,
        f"{known.held_plans} plannen wachten op goedkeuring{waits}"
        if known.held_plans > 1
        else f"een plan wacht op goedkeuring{waits}",
        f"koppelhub plan list --source {known.name}"
        if known.held_plans > 1 or known.held_plan is None
        else f"koppelhub plan show {known.held_plan}",
        since,
        known.held_plans,
    )


def _waiting(known: KoppelingFacts, rules: Rules, at: datetime) -> Iterator[Problem]:
    if known.open_cases and known.cases_since and at - known.cases_since > rules.cases_wait:
        yield Problem(
            Trouble.CASES,
            WARNING,
            f"{known.open_cases} open zaken, de oudste al {span(at - known.cases_since)}",
            f"koppelhub case list --source {known.name}",
            known.cases_since,
            known.open_cases,
        )
    if known.quarantine:
        yield Problem(
            Trouble.QUARANTINE,
            WARNING,
            f"{known.quarantine} records kunnen niet gelezen worden",
            f"koppelhub quarantine list --source {known.name}",
            count=known.quarantine,
        )
    if known.inbox_refused:
        yield Problem(
            Trouble.INBOX,
            WARNING,
            f"{known.inbox_refused} berichten in de inbox zijn geweigerd",
            f"koppelhub inbox --source {known.name}",
            count=known.inbox_refused,
        )
    if known.alarms:
        yield Problem(
            Trouble.ALARM,
            CRITICAL,
            "van een leerling noemt het andere systeem een ander pseudoniem dan de hub bewaart"
            if known.alarms == 1
            else f"van {known.alarms} leerlingen noemt het andere systeem een ander pseudoniem dan "
            "de hub bewaart",
            f"koppelhub eckid replacements --source {known.name}",
            count=known.alarms,
        )
    oldest = known.outbox_oldest
    if known.outbox and oldest is not None and at - oldest > known.promised:
        yield Problem(
            Trouble.OUTBOX,
            CRITICAL if at - oldest > known.critical else WARNING,
            f"{known.outbox} berichten wachten op aflevering, het oudste al {span(at - oldest)}",
            f"koppelhub outbox list --source {known.name}",
            oldest,
            known.outbox,
        )


# -- what ends -------------------------------------------------------------------------------------


_ENDS: Final = {
    "certificate": "certificaat",
    "credential": "toegangsgegeven",
    "mandate": "toestemming",
}


def _expiring(
    expiries: Sequence[Expiry], rules: Rules, at: datetime, *, source: str
) -> Iterator[Problem]:
    first, last = timedelta(days=rules.warn_days[0]), timedelta(days=rules.warn_days[-1])
    for expiry in expiries:
        left = expiry.at - at
        if left > first:
            continue
        name = _ENDS.get(expiry.what, expiry.what) + (f" {expiry.label}" if expiry.label else "")
        on = f"laatste dag {rules.local(expiry.at - timedelta(seconds=1)):%Y-%m-%d}"
        passed = left <= timedelta()
        yield Problem(
            Trouble.EXPIRING,
            CRITICAL if left <= last else WARNING,
            f"{name} is verlopen ({on})" if passed else f"{name} verloopt over {span(left)} ({on})",
            f"koppelhub connectors check --source {source}" if source else "koppelhub doctor",
            since=_told(expiry.at, rules.warn_days, left),
        )


def _told(ends: datetime, days: Sequence[int], left: timedelta) -> datetime:
    """When the warning of now began: 60, 30 or 7 days ahead, or at the end itself."""
    if left <= timedelta():
        return ends
    reached = [day for day in days if left <= timedelta(days=day)]
    return ends - timedelta(days=reached[-1])


# -- the installation ------------------------------------------------------------------------------


def _idle(facts: Facts, rules: Rules, at: datetime) -> tuple[Problem, ...]:
    """What keeps due runs from starting: nobody plans, or nobody works."""
    if not any(one.scheduled for one in facts.koppelingen):
        return ()
    alive = {process.kind for process in facts.processes if at - process.at <= rules.alive}
    if "serve" not in alive:
        heard = [process.at for process in facts.processes if process.kind == "serve"]
        since = max(heard, default=None)
        ago = "" if since is None else f"; laatst gezien {span(at - since)} geleden"
        return (
            Problem(
                Trouble.WORKERS,
                WARNING if since is None else CRITICAL,
                f"er zijn schedules, en er draait geen `koppelhub serve` die ze uitvoert{ago}",
                "koppelhub serve",
                since,
            ),
        )
    if facts.needs_workers and "worker" not in alive:
        text = "er draait geen `koppelhub worker`: wat aan de beurt is wordt niet uitgevoerd"
        return (Problem(Trouble.WORKERS, CRITICAL, text, "koppelhub worker"),)
    return ()


def _database(facts: Facts) -> tuple[Problem, ...]:
    free = facts.free_bytes
    if free is None or free >= max(SMALL_BYTES, facts.size_bytes):
        return ()
    state = CRITICAL if free < SMALL_BYTES else WARNING
    text = f"nog {free // 1_000_000} MB vrij op de schijf van de database"
    return (Problem(Trouble.DATABASE, state, text, "koppelhub doctor"),)


# -- words -----------------------------------------------------------------------------------------


def span(duration: timedelta) -> str:
    """A duration as people say it: `3 dagen`, `5 uur`, `12 minuten`."""
    minutes = int(duration.total_seconds() // 60)
    if minutes < 1:
        return "minder dan een minuut"
    if minutes < 60:
        return "1 minuut" if minutes == 1 else f"{minutes} minuten"
    hours = minutes // 60
    if hours < 72:
        return f"{hours} uur"
    return f"{hours // 24} dagen"


def named(health: Health, names: Sequence[str]) -> Health:
    """The same health, of some koppelingen alone; the installation's own problems stay."""
    chosen = tuple(one for one in health.koppelingen if one.name in names)
    states = [p.state for p in health.problems] + [one.state for one in chosen]
    return replace(health, koppelingen=chosen, state=worst(states))
