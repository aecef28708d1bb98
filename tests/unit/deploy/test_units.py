"""The units and the container file say what is true of the program that they start."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import cli

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def settings(unit: Path) -> list[tuple[str, str]]:
    """Every `Key=value` of a unit; a key may come more than once."""
    lines = unit.read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#[")
    return [(key, value) for key, _, value in pairs]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    ((_, command),) = [pair for pair in settings(unit) if pair[0] == "ExecStart"]
    program, name = command.split()
    assert Path(program).name == "koppelhub"
    assert name in dict(cli.commands_of(cli._command()))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_command_of_root_is_who_the_unit_is_with_what_the_unit_has(unit: Path) -> None:
    command = DEPLOY / "koppelhub"
    subprocess.run(["/bin/sh", "-n", str(command)], check=True)  # noqa: S603 - our own
    text, said = command.read_text(), settings(unit)
    told = dict(said)
    (config,) = [value for key, value in said if value.startswith("KOPPELHUB_CONFIG=")]
    program = told["ExecStart"].split()[0]
    assert f'exec runuser -u {told["User"]} -- {program} "$@"' in text
    assert f"export {config}" in text
    assert f"secrets={told['EnvironmentFile'].lstrip('-')}" in text


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_gives_a_run_its_time_and_no_privilege(unit: Path) -> None:
    from sync_engine.schedule.service import LAST_SECONDS

    told = dict(settings(unit))
    assert int(told["TimeoutStopSec"]) > LAST_SECONDS.total_seconds()
    assert told["User"] not in {"", "root"}
    assert told["NoNewPrivileges"] == "yes"
    assert told["CapabilityBoundingSet"] == ""
    assert told["ProtectSystem"] == "strict"


def test_the_container_runs_as_nobody_and_installs_by_hash() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["koppelhub"]
    assert "--require-hashes -r requirements/runtime.lock" in text
    for copied in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        assert (ROOT / copied).exists()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def check(port: int) -> int:
    command = [sys.executable, str(DEPLOY / "healthcheck.py"), str(port)]
    return subprocess.run(command, check=False, timeout=30).returncode  # noqa: S603 - our own file


def test_the_health_check_tells_who_answers_from_who_does_not(port: int) -> None:
    assert check(port) == 0


def test_the_health_check_fails_where_nobody_listens() -> None:
    assert check(9) == 1
