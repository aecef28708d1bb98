"""The inbox through the command line: served by the real command, filled, looked into, read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import config.clock
from connectors.called import Request
from console.inbox import endpoints
from sync_engine.adoption_file import Lines
from tests.support.kern import KERN, TOKEN, TOKEN_NAME, source_toml
from tests.support.lines import SECRET, new_line
from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """An installation with the tracking application as a koppeling."""
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    more = source_toml(tenant="demo")
    with new_line(tmp_path / "installatie", more=more) as line:
        monkeypatch.setenv(SECRET, line.sandbox.credentials.client_secret)
        monkeypatch.setattr(config.clock, "SystemClock", lambda: line.clock)
        yield Shell(line)


def insert(shell: Shell, message: str, body: str, *, koppeling: str = KERN) -> None:
    """What the application writes into the table."""
    shell.line.query(
        "INSERT INTO kern_inbox (message_id, koppeling, resource, key, action, body) "
        "VALUES (?, ?, 'leerling', 'l1', 'put', ?)",
        message,
        koppeling,
        body,
    )


def test_the_command_takes_messages_until_it_is_interrupted(shell: Shell) -> None:
    config_file = str(shell.line.folder / "koppelhub.toml")
    command = [sys.executable, "-m", "cli", "inbox", "serve", "--port", "0"]
    served = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--config", config_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert served.stdout is not None
        url = served.stdout.readline().strip()
        message = {
            "id": "m1",
            "resource": "leerling",
            "key": "l1",
            "action": "put",
            "record": {"achternaam": "Kanarie"},
        }
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.post(url, json={"messages": [message]}, headers=headers, timeout=30)
        assert answer.json() == {"results": [{"id": "m1", "state": "accepted"}]}
    finally:
        served.send_signal(signal.SIGINT)
        out, err = served.communicate(timeout=60)
    assert "Kanarie" not in out + err
    assert TOKEN not in out + err
    assert "Traceback" not in err
    assert served.returncode == 0
    said = shell("sync", "--source", KERN, "--delta", "--json")
    assert said.data["applied"] == {"leerling.create": 1}


def test_inbox_says_what_waits_and_what_was_refused_and_why(shell: Shell) -> None:
    insert(shell, "t1", '{"achternaam": "Goed"}')
    insert(shell, "t2", '{"achternaam": "Fout", "geboortedatum": "gisteren"}')
    (waiting,) = shell("inbox", "--json").data
    assert (waiting["koppeling"], waiting["waiting"], waiting["messages"]) == (KERN, 2, 0)
    assert shell("sync", "--source", KERN).code == 0
    said = shell("inbox", "--source", KERN)
    assert said.code == 1
    assert "geboortedatum: must be a date" in said.out
    assert "gisteren" not in said.out
    (left,) = shell("inbox", "--json").data
    assert (left["waiting"], left["messages"], len(left["refused"])) == (0, 1, 1)


def test_a_message_for_a_koppeling_that_there_is_not_is_told(shell: Shell) -> None:
    insert(shell, "t1", '{"achternaam": "Zoek"}', koppeling="knr")
    insert(shell, "t2", '{"achternaam": "Goed"}')
    assert "wachten in kern_inbox: 1" in shell("inbox").out
    assert shell("sync", "--source", KERN).code == 0
    said = shell("inbox")
    assert said.code == 1
    assert "Rijen zonder koppeling" in said.out
    assert "the nearest is kern" in said.out


def test_an_inbox_with_nothing_refused_is_well(shell: Shell) -> None:
    assert shell("inbox").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("inbox", "serve", "--host", "0.0.0.0"), "TLS"),  # noqa: S104 - it is refused
        (("inbox", "serve", "--source", "somtoday-demo"), "no koppeling is called"),
        (("inbox", "serve", "--certificate", "weg.pem", "--key", "weg.key"), "is not there"),
        (("adopt", "--source", "somtoday-demo", "--school", "99XX", "--yes"), "no application"),
        (("adopt", "--source", KERN, "--school", "00AA", "--yes"), "no school"),
        (
            ("adopt", "--source", KERN, "--school", "99XX", "--numbers-of", "weg", "--yes"),
            "no source 'weg'",
        ),
    ],
)
def test_what_is_typed_wrong_is_told_and_changes_nothing(
    shell: Shell, options: tuple[str, ...], said: str
) -> None:
    before = shell.everything()
    answer = shell(*options)
    assert answer.code == 2
    assert said in answer.err
    assert shell.everything() == before


@pytest.mark.parametrize("more", [("--json",), ("--file", "-")])
def test_adopt_never_goes_on_where_nobody_can_be_asked(shell: Shell, more: tuple[str, ...]) -> None:
    assert shell("adopt", "--source", KERN, "--school", "99XX", *more).code == 64


def test_a_preview_of_nothing_says_so(shell: Shell) -> None:
    said = shell("adopt", "--source", KERN, "--school", "99XX", "--dry-run")
    assert said.code == 0
    assert "Er is niets dat nog van geen bron is." in said.out


def example(kind: str, beginning: str) -> str:
    """A fragment of docs/kern.md."""
    text = (Path(__file__).parents[2] / "docs/kern.md").read_text(encoding="utf-8")
    found = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
    return next(str(block) for block in found if block.startswith(beginning))


def test_the_examples_of_the_documentation_do_what_it_says(shell: Shell) -> None:
    tomllib.loads(example("toml", "# koppelhub.toml"))
    shell.line.query(example("sql", "INSERT"))
    assert shell("sync", "--source", KERN, "--json").data["applied"] == {"leerling.create": 1}
    _, _, body = example("http", "POST").partition("\n\n")
    (endpoint,) = endpoints(shell.line.hub, KERN).values()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    answer = endpoint.answer(Request("POST", headers, body.encode()))
    # the first message has the id of the one that came through the table, and says less
    assert answer.status == 422
    assert [r["state"] for r in json.loads(answer.body)["results"]] == ["conflict", "accepted"]
    line = example("json", '{"entity"').strip()
    assert not Lines.read([line.encode()]).broken
