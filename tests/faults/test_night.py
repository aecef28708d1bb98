"""A night of many schools, with sources that are down, workers that are killed and a database that
restarts: all schools are fresh by morning, nothing is lost, nothing is double, and no source is
asked for more than it allows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from fixtures.school.pages import Pages
from fixtures.school.school import School
from sync_engine.health import Trouble, health
from sync_engine.options import Options
from sync_engine.outcome import Outcome
from sync_engine.runs import run
from tests.faults.night import Night, Plan, night, spend
from tests.support.postgres import PostgresServer

_LATE = {Trouble.LATE, Trouble.NEVER, Trouble.FAILED, Trouble.PARTIAL, Trouble.SWITCHED_OFF}

QUICK = Plan(
    schools=6,
    workers=2,
    pupils=8,
    factor=120.0,
    jitter=12,
    simultaneous=3,
    per_second=0.2,
    down=3,
    down_from=timedelta(minutes=2),
    down_for=timedelta(minutes=10),
    kill_every=timedelta(minutes=20),
    restart_at=timedelta(minutes=14),
)
WHOLE = Plan(schools=300)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that may be restarted: that of the other tests may not."""
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-night-"))
    server = PostgresServer(folder)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", [pytest.param(QUICK, id="quick"), pytest.param(WHOLE, id="whole")])
def test_all_schools_are_fresh_by_morning(
    plan: Plan, own_server: PostgresServer, tmp_path: Path
) -> None:
    with night(tmp_path / "hub", own_server, plan) as made:
        spend(made)
        _nothing_is_late_lost_or_double(made)
        assert made.killed >= 1
        assert made.restarted
        assert made.too_often() == []
        assert 1 <= made.most_at_once() <= plan.simultaneous
        print(  # noqa: T201 - `make test-long` shows it
            f"{plan.schools} schools, {plan.workers} workers: {made.seconds:.0f} s on the wall, "
            f"{made.seconds * plan.factor / 3600:.1f} h of the night; {made.killed} kills, "
            f"at most {made.most_at_once()} read at once, "
            f"{sum(map(len, made.asked.values()))} requests"
        )


def _nothing_is_late_lost_or_double(made: Night) -> None:
    hub = made.hub()
    try:
        told = health(hub)
        late = {
            each.name: [problem.kind for problem in each.problems]
            for each in told.koppelingen
            if _LATE & {problem.kind for problem in each.problems}
        }
        assert late == {}
        done = made.query(
            hub,
            "SELECT koppeling_id, COUNT(*) FROM run WHERE due_at IS NOT NULL "
            "AND state IN ('done', 'partial', 'held') GROUP BY koppeling_id",
        )
        assert sorted(count for _, count in done) == [1] * made.plan.schools
        for number, sandbox in enumerate(made.schools):
            linked = made.query(
                hub,
                "SELECT l.source_key, l.core_id FROM link l JOIN koppeling k "
                f"ON k.id = l.koppeling_id WHERE k.name = 'school-{number}' "
                "AND l.entity = 'leerling'",
            )
            assert {key for key, _ in linked} == _shown(sandbox.school)
            ((known,),) = made.query(
                hub,
                "SELECT COUNT(*) FROM leerling l JOIN tenant t ON t.id = l.tenant_id "
                f"WHERE t.name = 'bestuur-{number}'",
            )
            assert known == len({core for _, core in linked})
            if number % max(1, made.plan.schools // 20) == 0:
                again = run(hub, f"school-{number}", Options())
                assert again.outcome is Outcome.DONE, again.error
                assert again.steps == {}
    finally:
        hub.close()


def _shown(school: School) -> set[str]:
    """The keys of all pupils that a school's Somtoday shows."""
    found: set[str] = set()
    for vestiging in range(len(school.population.sizes)):
        body = Pages(school).page(
            "leerling",
            vestiging,
            peil=school.peil("HUIDIG"),
            offset=0,
            amount=10**6,
            permissions=False,
        )
        (records,) = msgspec.json.decode(body).values()
        found |= {record["uuid"] for record in records}
    return found
