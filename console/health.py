"""How health is shown: what is wrong first, and for each thing what to type."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from console.output import Output, pairs
from sync_engine.condition import Health, KoppelingHealth, State
from sync_engine.lately import BROKEN_OFF
from sync_engine.troubles import span

WORDS: Final = {State.GOOD: "goed", State.WARNING: "let op", State.CRITICAL: "fout"}
"""What people read of a state."""
COLUMNS: Final = (
    "koppeling",
    "scholen",
    "toestand",
    "goede run",
    "volgende",
    "laatste run",
    "wacht",
)


_OUTCOMES: Final = {
    "done": "goed",
    "partial": "gedeeltelijk",
    "held": "vastgehouden",
    "failed": "mislukt",
    "cancelled": "afgebroken",
    BROKEN_OFF: "afgebroken",
}


def show(out: Output, health: Health, *, everything: bool) -> None:
    """The state, what is wrong with what to type, and what is well: by name, or counted."""
    if out.data(health):
        return
    out.line(headline(health))
    wrong = [
        ("installatie", WORDS[problem.state], problem.text, problem.command)
        for problem in health.problems
    ]
    wrong += [
        (one.name, WORDS[problem.state], problem.text, problem.command)
        for one in by_need(health)
        for problem in one.problems
    ]
    out.table(("wat", "toestand", "waarom", "opdracht"), wrong)
    if everything:
        out.line()
        out.table(COLUMNS, [row(one, health.at) for one in by_need(health)])


def headline(health: Health) -> str:
    """`let op: 2 koppelingen fout, 1 let op, 297 goed`."""
    states = [one.state for one in health.koppelingen]
    counts = [
        f"{states.count(state)} {WORDS[state]}" for state in reversed(State) if state in states
    ]
    told = f" (koppelingen: {', '.join(counts)})" if counts else ""
    return f"{WORDS[health.state]}{told}"


def by_need(health: Health) -> list[KoppelingHealth]:
    """The koppelingen, the worst first."""
    return sorted(health.koppelingen, key=lambda one: (-one.state.rank, one.name))


def row(one: KoppelingHealth, at: datetime) -> tuple[str, ...]:
    """One koppeling, in the columns of `COLUMNS`."""
    return (
        one.name,
        " ".join(one.schools),
        WORDS[one.state],
        "nooit" if one.age is None else f"{span(one.age)} geleden",
        _next(one, at),
        _last(one),
        _waits(one),
    )


def _next(one: KoppelingHealth, at: datetime) -> str:
    if one.running_since is not None:
        return f"bezig, {span(at - one.running_since)}"
    if one.next_due is None:
        return "-"
    return "nu" if one.next_due <= at else f"over {span(one.next_due - at)}"


def _last(one: KoppelingHealth) -> str:
    last = one.last
    if last is None:
        return "-"
    told = {"gelezen": last.read, "nieuw": last.created, "gewijzigd": last.changed}
    told |= {"gesloten": last.closed, "vastgehouden": last.held}
    counts = pairs(told)
    return f"{_OUTCOMES[last.outcome]}{': ' if counts else ''}{counts}"


def _waits(one: KoppelingHealth) -> str:
    told = {
        "plannen": one.held_plans,
        "zaken": one.open_cases,
        "quarantaine": one.quarantine,
        "uitgaand": one.outbox,
    }
    return pairs(told) or "-"
