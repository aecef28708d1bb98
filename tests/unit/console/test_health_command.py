"""`koppelhub health` and `status`: what they say, with which code, and how the live view ends."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cli
from console.setup import initialise
from mappings.canonical.fields import Entity
from sync_engine.condition import Expiry, LastRun, Trouble
from sync_engine.lately import Lately
from sync_engine.store.engine import Store
from sync_engine.troubles import Facts, Gate, KoppelingFacts, Process, Rules, judge
from tests.support.desk import Desk, desk_of
from tests.support.hubs import bench
from tests.support.shell import run_cli

NOW = datetime(2026, 11, 2, 8, 5, tzinfo=UTC)


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Iterator[Desk]:
    """Two sources that ran well; nothing runs by the clock."""
    made = bench(sqlite_store, tmp_path, sources=2)
    for name, source in made.sources.items():
        source.put(Entity.VAK, "v", naam="Canarie")
        made.sync(name)
    with desk_of(made) as found:
        yield found
    made.close()


def test_what_is_well_is_code_zero_and_one_line(desk: Desk) -> None:
    said = desk("health")
    assert (said.code, said.out) == (0, "goed (koppelingen: 2 goed)\n")
    assert "s0" in desk("health", "--all").out
    data = desk("health", "--json").data
    assert set(data) == {"at", "state", "problems", "koppelingen"}
    assert set(data["koppelingen"][0]) >= {
        *("name", "system", "tenant", "schools", "state", "problems", "last", "good_at", "age"),
        *("promised", "critical", "late_by", "next_due", "running_since", "held_plans"),
        *("open_cases", "quarantine", "outbox", "outbox_oldest", "expiries", "situations"),
    }


def test_a_warning_is_code_one_and_what_is_critical_two_each_with_what_to_type(desk: Desk) -> None:
    desk.bench.later(27)
    desk.bench.sync("s1")
    said = desk("health")
    assert said.code == 1
    assert "s0" in said.out
    assert "1 uur te laat" in said.out
    assert "koppelhub sync --source s0" in said.out
    assert "let op (koppelingen: 1 let op, 1 goed)" in said.out
    assert desk("health", "--source", "s1").code == 0
    assert desk("health", "--school", "99XX").code == 1
    desk.bench.sources["s0"].put(Entity.VAK, "v", naam="Anders", kapot=True)
    desk.bench.later(200)
    assert desk("health", "--json").code == 1  # nobody promised to read it by the clock


def test_a_name_that_is_not_there_is_told_with_the_nearest(desk: Desk) -> None:
    said = desk("health", "--source", "s00")
    assert said.code == 2
    assert "s0" in said.err


def test_status_without_a_terminal_is_shown_once(desk: Desk) -> None:
    said = desk("status")
    assert said.code == 0
    assert "goed: gelezen 1, nieuw 1" in said.out
    assert "Canarie" not in said.out
    assert desk("status", "--json").data["state"] == "good"


def test_a_database_that_cannot_be_used_is_critical(tmp_path: Path) -> None:
    initialise(tmp_path)
    (tmp_path / "koppelhub.db").unlink()
    said = run_cli("health", "--config", str(tmp_path / "koppelhub.toml"), "--json")
    assert said.code == 2
    assert said.data["problems"][0]["kind"] == "database"


@pytest.mark.parametrize("leave", [b"q", b"\x03"], ids=["q", "interrupt"])
def test_the_live_view_is_drawn_and_ends_and_the_terminal_is_as_it_was(
    tmp_path: Path, leave: bytes
) -> None:
    initialise(tmp_path)
    ours, theirs = pty.openpty()
    command = Path(sys.executable).with_name("koppelhub")
    with subprocess.Popen(  # noqa: S603 - our own command
        [str(command), "status", "--interval", "60"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"},
        start_new_session=True,
        preexec_fn=_own_terminal,
    ) as process:
        os.close(theirs)
        drawn = _until(ours, b"stoppen")
        assert b"somtoday-demo" in drawn
        assert b"nog nooit gelezen" in drawn
        os.write(ours, leave)
        rest = _until(ours, b"\x1b[?1049l")
        assert process.wait(20) == 0, process.stderr and process.stderr.read()
    assert b"\x1b[?25h" in drawn + rest  # the cursor is back
    os.close(ours)


def _own_terminal() -> None:
    """The terminal becomes the one that the process is controlled by: Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _until(terminal: int, mark: bytes) -> bytes:
    """What is drawn until this comes; at most twenty seconds."""
    seen, ends = b"", time.monotonic() + 20
    while mark not in seen and time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65_536)
            except OSError:  # the other side is closed
                break
    assert mark in seen, seen[-2000:]
    return seen


def everything_wrong() -> Facts:
    """An installation and koppelingen with every trouble that there is."""
    now = NOW
    long_ago = now - timedelta(days=100)
    reasons = ("maintenance", "switched_off", "circuit", "hours")
    last = LastRun(7, "full", "partial", long_ago, long_ago, unread=2)
    base = KoppelingFacts(
        "s0", "memory", "bestuur", ("99XX",), timedelta(hours=26), timedelta(hours=50)
    )
    worst = replace(
        base,
        lately=Lately(last, long_ago, None, None, long_ago),
        scheduled=True,
        not_begun=("mis", "Doe dit.", now),
        events={"empty": 1, "shrunk": 2},
        gates=tuple(Gate(reason, long_ago, now) for reason in reasons),
        held_plans=2,
        open_cases=3,
        cases_since=long_ago,
        quarantine=4,
        outbox=5,
        outbox_oldest=long_ago,
        inbox_refused=6,
        alarms=2,
        expiries=(Expiry("mandate", "AVG", now, "s0"),),
        unacknowledged=("memory.iets",),
    )
    failed = LastRun(8, "full", "failed", now, now, error="geen antwoord")
    others = (
        base,
        replace(base, lately=Lately(failed)),
        replace(base, lately=Lately(failed, long_ago), held_plans=1, held_plan=9),
    )
    return Facts((worst, *others), free_bytes=1, expiries=(Expiry("certificate", "server", now),))


def test_every_command_that_is_advised_is_one_that_there_is() -> None:
    found = judge(everything_wrong(), Rules((60, 30, 7), timedelta(days=7)), at=NOW)
    worker = judge(
        replace(everything_wrong(), processes=(Process("serve", NOW),), needs_workers=True),
        Rules((60, 30, 7), timedelta(days=7)),
        at=NOW,
    )
    problems = [*found.problems, *worker.problems]
    problems += [problem for one in found.koppelingen for problem in one.problems]
    assert {problem.kind for problem in problems} == set(Trouble)
    for command in {problem.command for problem in problems}:
        name, *arguments = command.split()
        assert name == "koppelhub"
        group: Any = cli._command()
        context = group.make_context(name, list(arguments))
        while left := [*context._protected_args, *context.args]:
            called, group, rest = group.resolve_command(context, left)
            context = group.make_context(called, rest, parent=context)
            if not hasattr(group, "commands"):
                break
