"""Health made by hand: koppelingen with the troubles that a test gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sync_engine.condition import Health, KoppelingHealth, Problem, State, Trouble, worst

BAD = {
    "warning": (Trouble.FAILED, State.WARNING),
    "critical": (Trouble.LATE, State.CRITICAL),
    "held": (Trouble.HELD, State.WARNING),
    "empty": (Trouble.EMPTY, State.WARNING),
    "expiring": (Trouble.EXPIRING, State.WARNING),
}
"""What a test calls a trouble → what it is."""


def problem(what: str, koppeling: str = "") -> Problem:
    """A problem of that kind."""
    kind, state = BAD[what]
    return Problem(kind, state, f"{what} van {koppeling}", "koppelhub health", None, 0)


def koppeling(
    name: str, troubles: Sequence[str] = (), *, system: str = "somtoday", tenant: str = "bestuur"
) -> KoppelingHealth:
    """A koppeling with these troubles."""
    problems = tuple(problem(what, name) for what in troubles)
    return KoppelingHealth(
        name=name,
        system=system,
        tenant=tenant,
        schools=("99XX",),
        state=worst(one.state for one in problems),
        problems=problems,
        last=None,
        good_at=None,
        age=None,
        promised=timedelta(hours=26),
        critical=timedelta(hours=50),
        late_by=None,
        next_due=None,
        running_since=None,
        held_plans=0,
        open_cases=0,
        quarantine=0,
        outbox=0,
        outbox_oldest=None,
        expiries=(),
        situations={},
    )


def health_of(
    at: datetime,
    troubles: Mapping[str, Sequence[str]],
    *,
    hub: Sequence[Problem] = (),
    systems: Mapping[str, str] | None = None,
    tenants: Mapping[str, str] | None = None,
) -> Health:
    """The health of an installation: koppeling → its troubles."""
    koppelingen = tuple(
        koppeling(
            name,
            found,
            system=(systems or {}).get(name, "somtoday"),
            tenant=(tenants or {}).get(name, "bestuur"),
        )
        for name, found in troubles.items()
    )
    states = [one.state for one in koppelingen] + [one.state for one in hub]
    return Health(at, worst(states), tuple(hub), koppelingen)
