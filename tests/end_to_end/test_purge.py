"""`koppelhub purge` as a person and a script use it, on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.school.day import Day
from tests.end_to_end.test_cli import ROOT
from tests.support.lines import Line
from tests.support.shell import Shell, run_cli, shell_of

TWO_YEARS = 731

KILLED_AT = """
import os, signal, sys
from datetime import datetime
import cli, config.clock
from sync_engine.store.postgres import PostgresWork
from sync_engine.store.sqlite import SqliteWork

at, commits, *arguments = sys.argv[1:]
clock = config.clock.FixedClock(datetime.fromisoformat(at))
config.clock.SystemClock = lambda: clock
left = [int(commits)]

def dying(execute):
    def wrapped(self, sql, params=()):
        rows = execute(self, sql, params)
        left[0] -= sql == "COMMIT"
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows
    return wrapped

for kind in (SqliteWork, PostgresWork):
    kind.execute = dying(kind.execute)
sys.exit(cli._main(arguments))
"""


@pytest.fixture
def shell(ready_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh installation on each database."""
    yield from shell_of(tmp_path, monkeypatch, url=ready_url)


def somebody_left(shell: Shell) -> int:
    """A pupil is gone for two years; his hub id."""
    line = shell.line
    shell.sync()
    Day(line.school).one_day()
    for _ in range(2):
        line.later(hours=13)
        shell.sync()
    ((core_id,),) = line.query("SELECT id FROM leerling WHERE tot_afgeleid")
    line.later(days=TWO_YEARS)
    return int(core_id)


def pupils(line: Line) -> int:
    return int(line.query("SELECT COUNT(*) FROM leerling")[0][0])


def test_a_purge_shows_what_goes_asks_and_removes_it(shell: Shell) -> None:
    line = shell.line
    core_id = somebody_left(shell)
    before = pupils(line)
    preview = shell("purge", "--dry-run", "--json")
    assert (preview.code, preview.data[0]["records"]["leerling"]) == (0, 1)
    shown = shell("purge", stdin="n\n")
    assert (shown.code, "zou verwijderd worden" in shown.out) == (0, True)
    assert "Er is niets verwijderd" in shown.out
    assert pupils(line) == before

    done = shell("purge", "--tenant", preview.data[0]["tenant"], stdin="j\ny\n")
    assert done.code == 0
    assert pupils(line) == before - 1
    assert not line.query("SELECT 1 FROM link WHERE core_id = ?", core_id)
    told = line.query("SELECT action, subject FROM audit WHERE action = 'purge' ORDER BY id")
    assert told[0] == told[-1] == ("purge", "tenant 1")
    assert ("purge", "leerling: 1") in told
    again = shell("purge", "--yes", "--json")
    assert (again.data[0]["records"], again.data[0]["rows"]) == ({}, {})
    assert shell.report()["outcome"] == "done"


def test_nobody_can_be_asked_in_json_and_a_wrong_tenant_is_refused(shell: Shell) -> None:
    assert shell("purge", "--json").code == 64
    wrong = shell("purge", "--tenant", "niemand", "--yes")
    assert (wrong.code, "Kies een van" in wrong.err) == (2, True)
    assert "niets is over zijn bewaartermijn" in shell("purge", "--dry-run").out
    assert run_cli("purge", "--help").code == 0


def test_killed_after_any_commit_the_next_purge_ends_it(shell: Shell) -> None:
    line = shell.line
    somebody_left(shell)
    before, killed = pupils(line), 0
    for commits in range(1, 40, 2):
        done = subprocess.run(  # noqa: S603 - our own interpreter, our own code
            [
                *(sys.executable, "-c", KILLED_AT, line.clock.now().isoformat(), str(commits)),
                *("purge", "--yes", "--config", str(line.folder / "koppelhub.toml")),
            ],
            cwd=ROOT,
            env=os.environ.copy(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
        if killed == 6:
            break
    assert killed
    assert shell("purge", "--yes").code == 0
    assert pupils(line) == before - 1
    dangling = "SELECT 1 FROM {} WHERE {} NOT IN (SELECT id FROM leerling)"
    assert not line.query(dangling.format("inschrijving", "leerling_id"))
    assert shell.report()["outcome"] == "done"
    assert shell.report()["steps"] == {}
