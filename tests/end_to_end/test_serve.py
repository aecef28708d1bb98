"""`koppelhub serve` as a process of its own: what is due happens, and it stops when asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from sync_engine.schedule import state
from sync_engine.schedule.state import Place
from tests.support.lines import KOPPELING, SECRET, Line, new_line

QUICK = """
[scheduling]
jitter = "0s"
tick = "1s"
heartbeat = "1s"
stalled_after = "3s"
catch_up = "48h"
"""


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """An installation on SQLite, with a clock that its processes do not have."""
    with new_line(tmp_path / "installatie", pupils=20, more=QUICK) as made:
        monkeypatch.setenv(SECRET, made.sandbox.credentials.client_secret)
        yield made


@contextmanager
def started(line: Line, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the hub in a process of its own; killed at the end, if need be."""
    config = str(line.folder / "koppelhub.toml")
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli", *arguments, "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(found: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for another process."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.05)


def make_due(line: Line) -> None:
    """Yesterday's run was missed: somebody started `serve` long ago."""
    from config.clock import SystemClock

    ago = SystemClock().now() - timedelta(hours=26)
    with line.hub.store.work() as work, work.transaction():
        state.begin(work, [Place(line.hub.koppeling(KOPPELING).id, "full")], now=ago)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_due_run_happens_and_a_signal_ends_it_well(line: Line) -> None:
    make_due(line)
    with started(line, "serve", "--port", "0") as served:
        url = url_of(served)
        assert httpx.get(f"{url}healthz", timeout=30).status_code == 200
        assert httpx.get(url, timeout=30).headers["location"] == "/inloggen"
        until(lambda: line.query("SELECT state FROM run") == [("done",)])
        assert line.query("SELECT kind FROM process_heartbeat") == [("serve",)]
        with started(line, "serve", "--port", "0") as second:  # one at a time on SQLite
            _, err = second.communicate(timeout=60)
        assert second.returncode == 75
        assert "Stop die eerst" in err
        served.send_signal(signal.SIGTERM)
        out, err = served.communicate(timeout=60)
    assert served.returncode == 0, err
    assert "Gestopt." in out
    assert "Traceback" not in err
    assert line.query("SELECT COUNT(*) FROM process_heartbeat") == [(0,)]
    assert line.query("SELECT outcome FROM schedule_state WHERE kind = 'full'") == [("done",)]
    ((pupils,),) = line.query("SELECT COUNT(*) FROM leerling")
    assert pupils >= 20
