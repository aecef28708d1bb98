"""The command line as a person and a script use it, in this process, with a clock that tests set.

Commands run through the same function as the console script.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

import cli
import config.clock
from config import logs
from tests.support.lines import KOPPELING, SECRET, Line, new_line

# What a dry run may write, or a run that fails before it begins, which is counted. A tenant's data
# key is made when it is first used, by whatever command.
OF_DRY_RUNS = frozenset(
    {
        *("run", "plan", "step", "audit", "audit_anchor", "id_block", "tenant_key"),
        *("shared_state", "koppeling_total"),
    }
)


@dataclass(frozen=True)
class Said:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


def run_cli(*arguments: str, stdin: str = "") -> Said:
    """One command in this process, as the console script runs it."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        return _run(arguments, out, err)


def _run(arguments: tuple[str, ...], out: io.StringIO, err: io.StringIO) -> Said:
    with redirect_stdout(out), redirect_stderr(err):
        code = int(cli._main(list(arguments)))
    logs.reset()
    return Said(code, out.getvalue(), err.getvalue())


@dataclass
class Shell:
    """Commands of one installation."""

    line: Line

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        config = str(self.line.folder / "koppelhub.toml")
        return run_cli(*arguments, "--config", config, stdin=stdin)

    def sync(self, *options: str, stdin: str = "") -> Said:
        """Run the koppeling."""
        return self.of_source("sync", *options, stdin=stdin)

    def report(self, *options: str) -> Any:
        """The report of one run."""
        return self.sync(*options, "--json").data

    def of_source(self, command: str, *options: str, stdin: str = "") -> Said:
        """A command on the one koppeling."""
        return self(command, "--source", KOPPELING, *options, stdin=stdin)

    def everything(self) -> dict[str, list[str]]:
        """Every row of every table that a dry run may not touch."""
        return everything(self.line)

    def asked(self) -> list[str]:
        """Paths of the reads since `forget`: what the source was asked."""
        return [request.path for request in self.line.sandbox.requests]


def shell_of(
    folder: Path, patch: pytest.MonkeyPatch, *, url: str | None = None, **more: Any
) -> Iterator[Shell]:
    """A fresh installation against a sandbox of its own, and the commands of it.

    Args:
        folder: where it stands.
        patch: gives the secret and the clock; both go with it.
        url: of its database.
        more: for `new_line`.
    """
    with new_line(folder / "installatie", url=url, **more) as line:
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        patch.setattr(config.clock, "SystemClock", lambda: line.clock)
        yield Shell(line)


def everything(line: Line) -> dict[str, list[str]]:
    """Every row of every table that a dry run may not touch."""
    return {
        name: sorted(map(repr, line.query(f'SELECT * FROM "{name}"')))
        for name in SQLModel.metadata.tables
        if name not in OF_DRY_RUNS
    }


def newest(line: Line, table: str) -> str:
    """The highest number in a table."""
    return str(line.query(f"SELECT MAX(id) FROM {table}")[0][0])


def paragraph(said: Said) -> str:
    """What a failing command says: one paragraph, no traceback."""
    assert said.out == ""
    assert "Traceback" not in said.err
    assert 'File "' not in said.err
    lines = [text for text in said.err.splitlines() if text]
    assert 1 < len(lines) <= 4
    assert lines[0].startswith("Fout: ")
    return said.err
