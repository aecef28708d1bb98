"""`koppelhub keys`, `keys rotate` and `keys master`, as ops use them, on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from sync_engine.store.locks import lease
from tests.end_to_end.test_cli import ROOT
from tests.end_to_end.test_purge import KILLED_AT
from tests.support.lines import KOPPELING
from tests.support.shell import Shell, shell_of


@pytest.fixture
def shell(ready_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh installation on each database."""
    yield from shell_of(tmp_path, monkeypatch, url=ready_url)


def test_a_key_is_rotated_and_nothing_else_changes(shell: Shell) -> None:
    assert "nog geen sleutel" in shell("keys").out
    assert "nog geen sleutel" in shell("keys", "rotate").out
    shell.sync()
    (tenant,) = shell("keys", "--json").data
    values = tenant["versions"][0]["values"]
    assert values["identificatie.waarde"] > 0
    shown = shell("keys", "rotate")
    assert shown.code == 0
    assert "blijft, alleen voor indexen en vingerafdrukken" in shown.out
    (tenant,) = shell("keys", "--json").data
    assert [v["values"] for v in tenant["versions"]] == [{}, values]
    assert "leeg; indexen en vingerafdrukken" in shell("keys").out
    report = shell.report()
    assert (report["outcome"], report["steps"]) == ("done", {})
    assert shell("keys", "rotate", "--tenant", "niemand").code == 2
    assert shell("doctor").code == 0


def test_killed_with_kill_9_a_rotation_goes_on(shell: Shell) -> None:
    shell.sync()
    (before,) = shell("keys", "--json").data
    folder = shell.line.folder
    for commits in (3, 5):
        done = subprocess.run(  # noqa: S603 - our own interpreter, our own code
            [
                *(sys.executable, "-c", KILLED_AT, shell.line.clock.now().isoformat()),
                *(str(commits), "keys", "rotate", "--config", str(folder / "koppelhub.toml")),
            ],
            cwd=ROOT,
            env=os.environ.copy(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    found = [f for f in shell("doctor", "--json").data if f["subject"].startswith("sleutel van")]
    assert [f["level"] for f in found] == ["let op"]
    assert "gaat verder" in shell("keys").out
    assert shell.report()["steps"] == {}  # a run in the middle of it
    assert shell("keys", "rotate", "--json").data[0]["began"] is False
    (after,) = shell("keys", "--json").data
    assert [v["version"] for v in after["versions"]] == [1, 2]
    old, new = (version["values"] for version in after["versions"])
    assert (old, new) == ({}, before["versions"][0]["values"])
    assert shell("doctor").code == 0


def test_a_new_master_key_is_made_and_everything_opens(shell: Shell) -> None:
    shell.sync()
    file = shell.line.hub.settings.keys.file
    old = file.read_bytes()
    done = shell("keys", "master", "--json").data
    assert (done["made"], done["rewrapped"]) == (True, 1)
    assert file.stat().st_mode & 0o777 == 0o600
    assert shell("doctor").code == 0
    assert shell.report()["steps"] == {}
    file.write_bytes(old)
    stale = shell.sync()  # the old file alone does not open it any more
    assert (stale.code, "Zet het juiste sleutelbestand terug" in stale.out) == (2, True)


def test_while_another_process_is_seen_no_master_key_is_made(shell: Shell) -> None:
    shell.sync()
    hub = shell.line.hub
    file = hub.settings.keys.file
    old = file.read_bytes()
    clock, label = shell.line.clock, "worker, 2 tegelijk"
    Heartbeat(hub.store, clock, kind=ProcessKind.WORKER, label=label).beat()  # and never stops well
    refused = shell("keys", "master")
    assert (refused.code, label in refused.err) == (75, True)
    assert "--force" in refused.err
    clock.advance(timedelta(minutes=1))
    with hub.store.work() as work:
        work.execute("UPDATE run SET state = 'running'")
    number = hub.koppeling(KOPPELING).id
    with lease(hub.store, f"koppeling-{number}"):
        assert shell("keys", "master").code == 75
    assert file.read_bytes() == old
    assert shell("keys", "master").code == 0  # and the run that was killed holds nothing
    assert file.read_bytes() != old


def test_who_knows_better_makes_one_and_the_trail_says_so(quick: Shell) -> None:
    quick.sync()
    store = quick.line.hub.store
    with lease(store, "serve"):
        assert quick("keys", "master").code == 75
        assert quick("keys", "master", "--force").code == 0
    ((why,),) = quick.line.query("SELECT why FROM audit WHERE action = 'keys master'")
    assert "forced" in why
