"""Commands of the hub that go on until they are stopped, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from config.clock import SystemClock
from sync_engine.schedule import state
from sync_engine.schedule.state import Place
from tests.support.lines import KOPPELING, Line

QUICK = """
[scheduling]
jitter = "0s"
tick = "1s"
heartbeat = "1s"
stalled_after = "3s"
catch_up = "48h"
"""
"""A clock that does not keep a test waiting."""


@contextmanager
def started(line: Line, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the hub; killed at the end, if need be."""
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


def says(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def until(found: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for another process."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.05)


def make_due(line: Line) -> None:
    """The run of last night was missed, of a clock that began before it."""
    began = SystemClock().now() - timedelta(hours=26)
    with line.hub.store.work() as work, work.transaction():
        state.begin(work, [Place(line.hub.koppeling(KOPPELING).id, "full")], now=began)
