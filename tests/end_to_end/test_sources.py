"""Koppelingen that stand still, and cursors, as the helpdesk sees and changes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import config.clock
from tests.support.kern import KERN, TOKEN, TOKEN_NAME, source_toml
from tests.support.lines import KOPPELING, SECRET, new_line
from tests.support.shell import Shell, paragraph


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Somtoday, and the tracking application, whose inbox can tell what changed."""
    yield from _shell(tmp_path, monkeypatch, url=database_url)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """The same, on SQLite."""
    yield from _shell(tmp_path, monkeypatch)


def _shell(folder: Path, patch: pytest.MonkeyPatch, **options: Any) -> Iterator[Shell]:
    patch.setenv(TOKEN_NAME, TOKEN)
    more = source_toml(tenant="demo")
    with new_line(folder / "installatie", more=more, pupils=8, **options) as line:
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        patch.setattr(config.clock, "SystemClock", lambda: line.clock)
        yield Shell(line)


def states(shell: Shell) -> dict[str, str]:
    return {view["name"]: view["state"] for view in shell("source", "list", "--json").data}


def test_maintenance_keeps_a_person_out_too_and_says_how_to_end_it(shell: Shell) -> None:
    begun = shell(
        "source", "maintenance", KOPPELING, "--why", "migratie", "--until", "2030-01-01", "--yes"
    )
    assert begun.code == 0
    assert "onderhoud: migratie" in begun.out
    assert "2030-01-01 00:00" in begun.out
    assert states(shell) == {KOPPELING: "maintenance", KERN: "on"}
    refused = shell.sync()
    assert refused.code == 75
    assert f"koppelhub source maintenance {KOPPELING} end" in paragraph(refused)
    again = shell("resync", "school", "99XX", "--json")
    parts = {part["koppeling"]: part["error"] for part in again.data["parts"]}
    assert parts[KOPPELING] == f"{KOPPELING} is in maintenance"
    assert parts[KERN] == ""
    assert shell.line.sandbox.requests == []
    assert shell("source", "maintenance", KOPPELING, "end", stdin="j\n").code == 0
    assert states(shell) == {KOPPELING: "on", KERN: "on"}
    assert shell.sync().code == 0


def test_switched_off_a_person_may_still_try_and_is_told(shell: Shell) -> None:
    off = shell(
        "source", "off", "--system", "somtoday", "--why", "leverancier stopt", "--yes", "--json"
    )
    assert [(view["name"], view["state"]) for view in off.data] == [(KOPPELING, "off")]
    said = shell.sync()
    assert said.code == 0
    assert "Let op: deze koppeling is uitgeschakeld" in said.out
    assert states(shell)[KOPPELING] == "off"
    todo = shell("todo", "--json").data
    (item,) = (item for item in todo["items"] if item["kind"] == "off")
    assert shell(*item["command"].split()[1:], stdin="n\n").code == 0
    assert states(shell)[KOPPELING] == "off"  # he said no
    assert shell(*item["command"].split()[1:], stdin="j\n").code == 0
    assert states(shell)[KOPPELING] == "on"
    trail = [line["action"] for line in shell("audit", "show", "--json").data]
    assert {"source off", "source on"} <= set(trail)


def test_what_is_wrong_on_the_command_line_changes_nothing(quick: Shell) -> None:
    for arguments in (
        ("source", "off", KOPPELING),
        ("source", "off", KOPPELING, "--why", "  "),
        ("source", "maintenance", KOPPELING, "--why", "x", "--until", "2001-01-01"),
        ("source", "off", "--why", "geen naam"),
        ("source", "on", "--system", "bestaatniet"),
        ("source", "off", "bestaatniet", "--why", "x"),
    ):
        said = quick(*arguments, "--yes")
        assert said.code == 2, arguments
        paragraph(said)
    assert quick("source", "maintenance", KOPPELING, "end", "--why", "x").code == 64
    assert states(quick) == {KOPPELING: "on", KERN: "on"}


def test_a_run_at_the_keyboard_outside_permitted_hours_goes_on_and_says_so(quick: Shell) -> None:
    path = quick.line.folder / "koppelhub.toml"
    text = path.read_text(encoding="utf-8")
    name = f'name = "{KOPPELING}"\n'
    path.write_text(text.replace(name, f"{name}hours = [13, 14]\n"), encoding="utf-8")
    said = quick.sync()
    assert said.code == 0
    assert "Let op: buiten de toegestane uren" in said.out
    (view,) = (v for v in quick("source", "list", "--json").data if v["name"] == KOPPELING)
    assert view["hours"] == [13, 14]


# -- cursors ---------------------------------------------------------------------------------------


def test_cursors_are_shown_cleared_and_put_back(shell: Shell, tmp_path: Path) -> None:
    here = ("--source", KERN)
    assert shell("sync", *here).code in {0, 1}
    shown = shell("cursor", "show", *here, "--json").data
    kept = {one["resource"]: one["value"] for one in shown["cursors"]}
    assert shown["source"] == KERN
    assert "leerling" in kept
    file = tmp_path / "cursors.json"
    file.write_text(json.dumps(shown), encoding="utf-8")

    answered = shell("cursor", "clear", *here, "--entity", "leerling", stdin="n\n")
    assert "Er is niets vergeten." in answered.out
    cleared = shell("cursor", "clear", *here, "--entity", "leerling", "--yes", "--json").data
    assert [one["resource"] for one in cleared["cleared"]] == ["leerling"]
    merged = shell("cursor", "merge", *here, str(file), "--why", "terug", "--yes", "--json").data
    assert {one["resource"]: one["value"] for one in merged["cursors"]} == kept

    one = ("--entity", "leerling", "--value", "0", "--yes", "--json")
    after = shell("cursor", "set", *here, *one).data
    assert {one["resource"]: one["value"] for one in after["cursors"]} == kept | {"leerling": "0"}
    whole = shell("cursor", "set", *here, "-", "--yes", "--json", stdin=json.dumps(shown)).data
    assert {one["resource"]: one["value"] for one in whole["cursors"]} == kept
    assert shell("sync", *here, "--delta").code == 0


def test_a_cursor_of_a_system_without_deltas_is_refused(quick: Shell) -> None:
    quick.sync()
    given = json.dumps({"source": KOPPELING, "cursors": [_cursor(quick)]})
    said = quick("cursor", "set", "--source", KOPPELING, "-", "--yes", "--json", stdin=given)
    assert said.code == 4
    assert "declares no delta" in said.data["error"]
    assert quick("cursor", "show", "--source", KOPPELING, "--json").data["cursors"] == []
    assert "Er is geen cursor" in quick("cursor", "show", "--source", KOPPELING).out


def _cursor(shell: Shell) -> dict[str, str]:
    ((key,),) = shell.line.query("SELECT key FROM scope WHERE resource = 'leerling' LIMIT 1")
    return {"resource": "leerling", "scope": key, "value": "1"}


def test_a_script_is_not_asked(quick: Shell) -> None:
    assert quick("cursor", "clear", "--source", KERN, "--json").code == 64
    assert quick("cursor", "set", "--source", KERN, "--yes").code == 64
