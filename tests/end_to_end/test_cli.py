"""Every command is there and documented; the installed command on a real process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from typer import Typer

import cli
from tests.support.lines import KOPPELING, SECRET, configuration, new_line
from tests.support.shell import run_cli

ROOT = Path(cli.__file__).parent


def groups() -> dict[str, Typer]:
    """Every group of commands by its name; what has none stands at the top."""
    found: dict[str, Typer] = {}
    waiting = [("", cli.app)]
    while waiting:
        name, app = waiting.pop()
        found.setdefault(name, Typer()).registered_commands += app.registered_commands
        found[name].registered_callback = app.registered_callback
        waiting += [
            (group.name if isinstance(group.name, str) else name, group.typer_instance)
            for group in app.registered_groups
            if group.typer_instance is not None
        ]
    return found


def commands() -> dict[str, str]:
    """Every command and what it says of itself."""
    found = {}
    for group, app in groups().items():
        for command in app.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__
            found[f"{group} {name}".strip()] = command.callback.__doc__ or ""
    return found


def test_every_command_has_help_and_stands_in_the_documentation() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, text in commands().items():
        said = run_cli(*name.split(), "--help")
        assert said.code == 0, name
        assert text.split("\n")[0].rstrip(".") in " ".join(said.out.split()), name
        assert f"`koppelhub {name}" in page, name
    written = re.findall(r"^\| `(koppelhub [^`]+)`", page, re.MULTILINE)
    assert sorted(written) == sorted(set(written))  # a merge may leave a row twice
    documented = set(re.findall(r"^\| `koppelhub ([a-z-]+(?: [a-z-]+)?)", page, re.MULTILINE))
    known = {" ".join(name.split()[:2]) for name in commands()}
    bare = {name for name, group in groups().items() if group.registered_callback is not None}
    assert {d for d in documented if d not in known and d.split()[0] not in known} <= bare


def test_the_installed_command_on_a_real_process(tmp_path: Path) -> None:
    folder = tmp_path / "installatie"
    with new_line(folder) as line:
        line.hub.close()
        (folder / "koppelhub.toml").write_text(configuration(line.sandbox), encoding="utf-8")
        secret = {SECRET: line.sandbox.credentials.client_secret}
        synced = installed(folder, "sync", "--source", KOPPELING, **secret)
        assert synced.returncode == 0, synced.stderr
        assert "Traceback" not in synced.stderr
        assert "leerling.create 40" in synced.stdout
        plain = synced.stdout + synced.stderr
        assert not re.search(r"\x1b|[\u2500-\u257f]", plain)  # no colours, lines or boxes
        assert re.search(r"^ouderVerzorger +2 +2 +\d+", synced.stdout, re.MULTILINE)
        again = installed(folder, "sync", "--source", KOPPELING, "--json", **secret)
        assert json.loads(again.stdout)["steps"] == {}
        refused = installed(folder, "sync", "--source", KOPPELING)
        assert refused.returncode == 2
        assert SECRET in refused.stdout + refused.stderr
        assert installed(folder, "toverstaf").returncode == 64


def installed(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The console script that stands beside this Python, in the installation's folder."""
    command = Path(sys.executable).with_name("koppelhub")
    kept = {name: value for name, value in os.environ.items() if name != SECRET}
    return subprocess.run(  # noqa: S603 - our own command
        [str(command), *arguments],
        cwd=folder,
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
