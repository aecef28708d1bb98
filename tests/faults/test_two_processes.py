"""Two processes on one database at once: during a first load, and after one was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from sync_engine.errors import RunActiveError
from sync_engine.history import explain_leerling, list_runs
from sync_engine.outcome import ExitCode
from sync_engine.store.locks import lease
from sync_engine.store.postgres import PostgresWork
from sync_engine.store.sqlite import SqliteWork
from sync_engine.store.work import Params, Row, Work
from tests.faults.arena import Arena, PostgresDatabase, differences
from tests.faults.ledger import check_invariants
from tests.faults.processes import KILLED, Gate, Server, result_of
from tests.faults.school import School, open_hub

Execute: TypeAlias = Callable[[Any, str, Params], list[Row]]

BIG = School(2000, 0)
SMALL = School(40, 0)
NEXT = School(40, 1)


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[list[Gate]]:
    """Two gates."""
    with ExitStack() as stack:
        made = [Gate(tmp_path / name) for name in ("first", "second")]
        for gate in made:
            stack.callback(gate.close)
        yield made


def test_a_first_load_leaves_the_database_to_others_and_loses_nothing(
    arena: Arena, second_server: Server, gates: list[Gate]
) -> None:
    """The load is stopped while it reads and while it holds the tenant, and then runs on freely."""
    arena.live_until(School(BIG.pupils, 0))
    arena.run("las", BIG)
    arena.run("lvs", BIG)
    wanted = arena.full()
    arena.database.restore()

    load = arena.job("las", BIG, stops=("read", "plan"), gate=gates[0].path)
    other = arena.job("lvs", BIG, stops=("plan",), gate=gates[1].path)
    arena.server.start(load)
    assert gates[0].where() == "read"
    with arena.hub() as hub:
        assert [run.state for run in list_runs(hub, koppeling=None, limit=5)] == ["running"]
    late = second_server.run(arena.job("las", BIG))
    assert (late.exit_code, late.read) == (ExitCode.LATER, 0)
    gates[0].open()
    assert gates[0].where() == "plan"
    second_server.start(other)
    while _readings(arena, "lvs") < 3:
        assert gates[1].where(0.05) == ""
    assert gates[1].where(0.3) == "", "two runs plan for one tenant at once"
    gates[0].open()
    asked = 0
    while not arena.server.is_over():
        with arena.hub() as hub:
            assert list_runs(hub, koppeling="las", limit=1)
            asked += 1
    assert arena.server.wait() == ExitCode.DONE
    assert gates[1].where() == "plan"
    with arena.hub() as hub:
        assert explain_leerling(hub, "10007", field=None, operator="proef")
    gates[1].open()
    assert second_server.wait() == ExitCode.DONE
    assert asked
    assert (result_of(load).error, result_of(other).error) == ("", "")
    assert not differences(arena.full(), wanted)


def _readings(arena: Arena, koppeling: str) -> int:
    with arena.hub() as hub, hub.store.work() as work:
        rows = work.execute(
            "SELECT COUNT(*) FROM reading d JOIN run r ON r.id = d.run_id "
            "JOIN koppeling k ON k.id = r.koppeling_id WHERE k.name = ?",
            (koppeling,),
        )
    return int(rows[0][0])


def test_a_koppeling_runs_once_at_a_time_and_is_free_after_a_kill(
    arena: Arena, second_server: Server, gates: list[Gate]
) -> None:
    arena.server.start(arena.job("las", SMALL, stops=("read",), gate=gates[0].path))
    assert gates[0].where() == "read"
    refused = second_server.run(arena.job("las", SMALL))
    assert refused.exit_code == ExitCode.LATER
    assert "held by another process" in refused.error
    with arena.hub() as hub:
        name = f"koppeling-{hub.koppeling('las').id}"
        with pytest.raises(RunActiveError), lease(hub.store, name):
            pass
        arena.server.kill()
        assert arena.server.wait() == KILLED
        with lease(hub.store, name, wait=timedelta(seconds=5)):
            pass
    assert arena.run("las", SMALL).exit_code == ExitCode.DONE
    with arena.hub() as hub:
        states = [(run.state, run.error) for run in list_runs(hub, koppeling="las", limit=5)]
        assert [state for state, _ in states] == ["done", "failed"]
        assert states[1][1] == "stopped from outside"


def test_two_processes_open_a_new_database_at_once(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find no tenant and no koppeling; the other is first to write both."""
    opened: list[str] = []

    for kind in (SqliteWork, PostgresWork):
        original = kind.execute

        def execute(
            work: Work, sql: str, params: Params = (), original: Execute = original
        ) -> list[Row]:
            if sql.startswith("INSERT INTO tenant") and not opened:
                opened.append(sql)
                open_hub(arena.folder, arena.database.url).close()
            return original(work, sql, params)

        monkeypatch.setattr(kind, "execute", execute)
    with arena.hub() as hub:
        assert (hub.count("tenant"), hub.count("koppeling")) == (1, 2)
    assert opened


_SLOW_COMMIT = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'planning' AND NEW.state <> OLD.state
        AND NEW.id = (SELECT MIN(id) FROM plan) THEN PERFORM pg_sleep(1.5);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON plan DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


@pytest.mark.postgres
@pytest.mark.parametrize("next_one", ["las", "lvs"])
def test_what_a_killed_client_sent_last_is_ended_before_another_run_looks(
    tmp_path: Path, postgres_database: PostgresDatabase, server: Server, next_one: str
) -> None:
    """The server goes on with a COMMIT whose client is dead; its locks must last as long."""
    arena = Arena(tmp_path, postgres_database, server)
    arena.live_until(SMALL)
    for koppeling in ("las", next_one):
        arena.run(koppeling, SMALL)
    wanted = arena.full()
    arena.database.restore()
    with psycopg.connect(arena.database.url, autocommit=True) as watcher:
        watcher.execute(_SLOW_COMMIT)
        server.start(arena.job("las", SMALL))
        committing = (
            "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'"
        )
        while not watcher.execute(committing).fetchall():
            watcher.execute("SELECT pg_sleep(0.01)")
        server.kill()
        assert server.wait() == KILLED
        assert watcher.execute(committing).fetchall(), "the commit was not under way"
    assert arena.run(next_one, SMALL).error == ""
    with arena.hub() as hub:
        check_invariants(hub)
    arena.run("las", SMALL)
    assert not differences(arena.full(), wanted)
