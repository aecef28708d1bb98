"""The judgement of health, over whatever may be known of a koppeling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync_engine.condition import Expiry, LastRun, State, Trouble, worst
from sync_engine.lately import Lately
from sync_engine.outcome import Outcome
from sync_engine.troubles import Facts, Gate, KoppelingFacts, Process, Rules, judge, span

NOW = datetime(2026, 11, 2, 8, 5, tzinfo=UTC)
RULES = Rules((60, 30, 7), timedelta(days=7))

past = st.integers(0, 60 * 24 * 100).map(lambda minutes: NOW - timedelta(minutes=minutes))
around = st.integers(-60 * 24 * 90, 60 * 24 * 90).map(lambda m: NOW + timedelta(minutes=m))
counts = st.integers(0, 5)
gates = st.builds(
    Gate,
    reason=st.sampled_from(
        ["maintenance", "switched_off", "circuit", "hours", "blackout", "slots", "busy", "nieuw"]
    ),
    since=past,
    until=st.none() | around,
    by_hand=st.booleans(),
)
last_runs = st.builds(
    LastRun,
    id=st.integers(1, 999),
    kind=st.sampled_from(["full", "delta"]),
    outcome=st.sampled_from([*map(str, Outcome), "running"]),
    started_at=past,
    finished_at=st.none() | past,
    read=counts,
    held=counts,
    error=st.sampled_from(["", "geen antwoord"]),
    unread=counts,
)


@st.composite
def latelies(draw: st.DrawFn) -> Lately:
    """What runs leave: a last run that was done is good, and the last of its kind."""
    last = draw(st.none() | last_runs)
    if last is None:
        return Lately(running_since=draw(st.none() | past))
    good, done = draw(st.none() | past), None
    if last.outcome == "done":
        good = done = last.started_at
    return Lately(last, good, done, draw(st.none() | past), draw(st.none() | past))


@st.composite
def koppelingen(draw: st.DrawFn) -> KoppelingFacts:
    promised = timedelta(hours=draw(st.integers(1, 100)))
    return KoppelingFacts(
        name=draw(st.sampled_from(["a", "b", "c"])),
        system="somtoday",
        tenant="bestuur",
        schools=("99XX",),
        promised=promised,
        critical=promised + timedelta(hours=draw(st.integers(0, 100))),
        lately=draw(latelies()),
        scheduled=draw(st.booleans()),
        own_promise=draw(st.booleans()),
        due_after_good=draw(st.none() | around),
        next_due=draw(st.none() | around),
        not_begun=draw(st.none() | st.tuples(st.just("mis"), st.just("Doe dit."), past)),
        events=draw(st.dictionaries(st.sampled_from(["empty", "shrunk"]), counts)),
        gates=tuple(draw(st.lists(gates, max_size=3, unique_by=lambda gate: gate.reason))),
        held_plans=draw(counts),
        open_cases=draw(counts),
        cases_since=draw(st.none() | past),
        quarantine=draw(counts),
        outbox=draw(counts),
        outbox_oldest=draw(st.none() | past),
        inbox_refused=draw(counts),
        expiries=tuple(
            draw(st.lists(st.builds(Expiry, st.just("mandate"), st.just(""), around), max_size=2))
        ),
    )


facts = st.builds(
    Facts,
    st.lists(koppelingen(), max_size=3).map(tuple),
    processes=st.lists(
        st.builds(Process, st.sampled_from(["serve", "worker"]), past), max_size=3
    ).map(tuple),
    needs_workers=st.booleans(),
    free_bytes=st.none() | st.integers(0, 2_000_000_000),
    size_bytes=st.integers(0, 2_000_000_000),
)


@given(facts)
def test_the_state_is_that_of_the_worst_problem_and_every_problem_says_what_to_do(
    known: Facts,
) -> None:
    found = judge(known, RULES, at=NOW)
    everything = [*found.problems, *(p for one in found.koppelingen for p in one.problems)]
    assert found.state is worst(problem.state for problem in everything)
    for one in found.koppelingen:
        assert one.state is worst(problem.state for problem in one.problems)
        assert [p.state.rank for p in one.problems] == sorted(
            (p.state.rank for p in one.problems), reverse=True
        )
        assert (one.late_by is None) == all(p.kind is not Trouble.LATE for p in one.problems)
        assert one.promised <= one.critical
    for problem in everything:
        assert problem.state is not State.GOOD
        assert problem.text
        assert "\n" not in problem.text
        assert problem.command.startswith("koppelhub ")


@given(koppelingen())
def test_what_is_not_a_success_is_never_called_good(known: KoppelingFacts) -> None:
    """N4: failed, cancelled, broken off, partial, empty, or never run at all."""
    (found,) = judge(Facts((known,)), RULES, at=NOW).koppelingen
    last = known.lately.last
    if known.lately.good_at is None:
        assert found.state is not State.GOOD
    if last is not None and last.outcome in {"failed", "cancelled", "partial", "running"}:
        assert found.state is not State.GOOD
    if found.state is State.GOOD:
        assert found.age is not None
        assert found.age <= found.promised


@given(koppelingen(), st.integers(0, 60 * 24 * 30))
def test_waiting_mends_nothing(known: KoppelingFacts, minutes: int) -> None:
    """With the same facts, later is never better, and never less late."""
    now = judge(Facts((known,)), RULES, at=NOW)
    later = judge(Facts((known,)), RULES, at=NOW + timedelta(minutes=minutes))
    assert later.state.rank >= now.state.rank
    (before,), (after,) = now.koppelingen, later.koppelingen
    if before.late_by is not None:
        assert after.late_by == before.late_by + timedelta(minutes=minutes)


@given(koppelingen())
def test_who_is_being_mended_or_was_never_promised_to_anybody_is_not_critically_late(
    known: KoppelingFacts,
) -> None:
    (found,) = judge(Facts((known,)), RULES, at=NOW).koppelingen
    eased = known.closed_by("maintenance") or not (known.scheduled or known.own_promise)
    for problem in found.problems:
        if problem.kind is Trouble.LATE and eased:
            assert problem.state is State.WARNING


@given(st.integers(0, 60 * 24 * 400))
def test_a_duration_is_said_in_words_and_never_as_more_than_it_is(minutes: int) -> None:
    told = span(timedelta(minutes=minutes))
    number = int(told.split()[0]) if told[0].isdigit() else 0
    size = {"minuten": 1, "minuut": 1, "uur": 60, "dagen": 60 * 24}.get(told.split()[-1], 1)
    assert number * size <= minutes < (number + 1) * size
