"""The parent's side of child.py: starts processes, kills their groups, hears how they ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.faults.child import Job, Result

KILLED = -signal.SIGKILL
_ROOT = Path(__file__).parents[2]


class Gate:
    """Where a process stops until it is let through; two named pipes.

    Args:
        path: of both pipes, without their suffix.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        for suffix in ("said", "through"):
            os.mkfifo(f"{path}.{suffix}")
        self._said = os.open(f"{path}.said", os.O_RDWR | os.O_NONBLOCK)
        self._through = os.open(f"{path}.through", os.O_RDWR | os.O_NONBLOCK)

    def where(self, seconds: float = 60) -> str:
        """The phase at which it stands; '' when it does not come within so much time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._said, selectors.EVENT_READ)
            return os.read(self._said, 100).decode().strip() if selector.select(seconds) else ""

    def open(self) -> None:
        """Let it through, once."""
        os.write(self._through, b"x")

    def close(self) -> None:
        """Let the pipes go."""
        os.close(self._said)
        os.close(self._through)


class Server:
    """One warm server of processes; at most one of its processes runs at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._group = 0

    def start(self, job: Job) -> None:
        """Start one process."""
        Path(job.report).unlink(missing_ok=True)
        self._in.write(msgspec.json.encode(job) + b"\n")
        self._in.flush()
        self._group = self._answer("pid")

    def wait(self) -> int:
        """Its exit code; minus the signal that ended it."""
        status = self._answer("status")
        self._group = 0
        return status

    def wait_or_kill(self, seconds: float) -> int:
        """Its exit code, when it ends within so much time; else its group is killed."""
        if not self.is_over(seconds):
            self.kill()
        return self.wait()

    def is_over(self, seconds: float = 0) -> bool:
        """Whether it ends within so much time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def kill(self) -> None:
        """SIGKILL to the whole process group; nothing where it has just ended by itself."""
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def run(self, job: Job) -> Result:
        """A process that is left alone; what came of it."""
        self.start(job)
        status = self.wait()
        assert status >= 0, "it was killed"
        assert status != 70, "it broke down"
        return result_of(job)

    def _answer(self, name: str) -> int:
        line = self._out.readline()
        assert line, "the server of processes is gone"
        return int(json.loads(line)[name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._in.close()
        if self._group:
            self.kill()
        self._process.wait()
        self._out.close()


def result_of(job: Job) -> Result:
    """What a process that ended wrote down."""
    return msgspec.json.decode(Path(job.report).read_bytes(), type=Result)
