"""Commands of one installation, run in this process as the console script runs them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

import cli
import config.clock
from config import logs
from tests.support.lines import KOPPELING, SECRET, Line, new_line

# What a preview may write. A tenant's data key is made when it is first used, by any command.
OF_PREVIEWS = frozenset({"run", "plan", "step", "audit", "id_block", "tenant_key"})


@dataclass(frozen=True)
class Answer:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


@dataclass
class Prompt:
    """An installation, its sandbox and its command line; the clock is the line's."""

    line: Line

    def __call__(self, *arguments: str, stdin: str = "") -> Answer:
        config = ("--config", str(self.line.folder / "koppelhub.toml"))
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            with redirect_stdout(out), redirect_stderr(err):
                code = int(cli._main([*arguments, *config]))
        logs.reset()
        return Answer(code, out.getvalue(), err.getvalue())

    def of_source(self, command: str, *options: str, stdin: str = "") -> Answer:
        """A command on the one koppeling."""
        return self(command, "--source", KOPPELING, *options, stdin=stdin)

    def everything(self) -> dict[str, list[str]]:
        """Every row of every table that a preview may not touch."""
        return {
            name: sorted(map(repr, self.line.query(f'SELECT * FROM "{name}"')))
            for name in SQLModel.metadata.tables
            if name not in OF_PREVIEWS
        }

    def asked(self) -> list[str]:
        """Paths of the reads since `forget`: what the source was asked."""
        return [request.path for request in self.line.sandbox.requests]


@contextmanager
def prompt(
    folder: Path, patch: pytest.MonkeyPatch, *, url: str | None = None, pupils: int = 40
) -> Iterator[Prompt]:
    """A fresh installation against a sandbox of its own."""
    with new_line(folder / "installatie", url=url, pupils=pupils) as line:
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        patch.setattr(config.clock, "SystemClock", lambda: line.clock)
        yield Prompt(line)
