"""A school comes in, step by step: each has its state, and none can be passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config import fragments
from connectors.somtoday.manifest import MANIFEST
from console.arguments import operator_name
from tests.support.lines import SECRET
from tests.support.shell import Shell, paragraph

AGREE = ("source", "agree", "som", "--basis", "verwerkersovereenkomst 12", "--on", "2026-08-01")
PURPOSE = ("--purpose", "leerlingvolgsysteem")


@pytest.fixture
def fresh(quick: Shell) -> Shell:
    """An installation in production that knows no school."""
    acknowledged = [one.name for one in MANIFEST.assumptions]
    main = quick.line.folder / "koppelhub.toml"
    main.write_text(
        f"production = true\nacknowledged = {acknowledged}\n"
        '[database]\nurl = "sqlite:///koppelhub.db"\n[keys]\nfile = "koppelhub.keys"\n'
        f'[[operator]]\nname = "{operator_name()}"\nrole = "admin"\n',
        encoding="utf-8",
    )
    return quick


def settings(shell: Shell, **over: str) -> list[str]:
    """The settings of the koppeling, but for its organisation."""
    sandbox = shell.line.sandbox
    given = {
        "api_base": sandbox.api_base,
        "token_url": sandbox.token_url,
        "client_id": sandbox.credentials.client_id,
        "per_second": "0",
    }
    return [word for key, value in (given | over).items() for word in ("--set", f"{key}={value}")]


def link(shell: Shell, *more: str, answer: str = "j\n", **over: str) -> Any:
    return shell(
        *("source", "link", "som", "--system", "somtoday", "--school", "99XX"),
        *settings(shell, **over),
        *("--secret", f"client_secret=env:{SECRET}", *more),
        stdin=answer,
    )


def add(shell: Shell) -> Any:
    school = ("--brin", "99XX", "--name", "Praktijkschool Het Voorbeeld")
    return shell("school", "add", "--tenant", "demo", "--title", "Stichting", *school)


def standing(shell: Shell) -> dict[str, str]:
    said = shell("onboarding", "--school", "99XX", "--json")
    (way,) = said.data
    assert said.code == (0 if way["next"] is None else 1)
    return {one["step"]: one["standing"] for one in way["steps"]}


def test_from_nothing_to_live_each_step_names_the_next(fresh: Shell) -> None:
    assert "koppelhub school add" in fresh("onboarding").out
    assert add(fresh).code == 0
    assert standing(fresh)["link"] == "next"
    said = link(fresh)
    assert (said.code, said.err.count("Is dat de school?")) == (0, 1)
    assert standing(fresh)["agreement"] == "next"
    assert fresh(*AGREE, *PURPOSE).code == 0
    assert standing(fresh)["check"] == "next"
    assert fresh("connectors", "check", "--source", "som").code == 0
    assert standing(fresh)["plan"] == "next"
    assert fresh("source", "live", "som").code == 4
    assert fresh("sync", "--source", "som", "--plan").code in {0, 3}
    assert standing(fresh)["apply"] == "next"
    (plan,) = fresh("plan", "list", "--json").data
    assert fresh("plan", "apply", str(plan["id"]), "--yes").code == 0
    assert standing(fresh)["live"] == "next"
    assert fresh("source", "live", "som", "--schedule", "20 3 * * *").code == 0
    assert set(standing(fresh).values()) == {"done"}
    noted = [row[0] for row in fresh.line.query("SELECT action FROM audit ORDER BY id")]
    steps = ["school add", "source link", "source agree", "connectors check", "source live"]
    assert [action for action in noted if action in steps] == steps


def test_the_organisation_is_found_by_brin_shown_and_asked(fresh: Shell) -> None:
    add(fresh)
    said = link(fresh, answer="n\n")
    assert said.code == 1
    assert fresh.line.school.uuid in said.err
    assert "99XX" in said.err
    folder = fragments.folder_of(fresh.line.folder / "koppelhub.toml")
    assert not (folder / "source-som.toml").exists()
    link(fresh)
    text = (folder / "source-som.toml").read_text("utf-8")
    assert f'organisation = "{fresh.line.school.uuid}"' in text
    assert fresh.line.sandbox.credentials.client_secret not in text


def test_nobody_types_the_organisation_and_no_secret_stands_in_a_file(fresh: Shell) -> None:
    add(fresh)
    own = "00000000-0000-4000-8000-00000000dead"
    assert "not typed" in paragraph(link(fresh, organisation=own))
    said = link(fresh, "--set", "client_secret=abc")
    assert "secret" in paragraph(said)
    assert "abc" not in said.err
    folder = fragments.folder_of(fresh.line.folder / "koppelhub.toml")
    assert [file.name for file in folder.iterdir()] == ["school-99XX.toml"]


def test_a_school_that_the_system_does_not_list_is_not_linked(fresh: Shell) -> None:
    school = ("--brin", "99YY", "--name", "Elders")
    fresh("school", "add", "--tenant", "demo", "--title", "Stichting", *school)
    said = fresh(
        *("source", "link", "som", "--system", "somtoday", "--school", "99YY"),
        *settings(fresh),
        *("--secret", f"client_secret=env:{SECRET}"),
        stdin="j\n",
    )
    assert "no organisation lists school 99YY" in paragraph(said)


def test_in_production_no_key_is_used_before_the_school_agreed(fresh: Shell) -> None:
    add(fresh)
    link(fresh)
    before = len(fresh.line.sandbox.requests)
    said = fresh("sync", "--source", "som")
    assert said.code == 2
    assert "source agree som" in said.out + said.err
    assert fresh("connectors", "check", "--source", "som").code == 2
    assert len(fresh.line.sandbox.requests) == before
    fresh(*AGREE, *PURPOSE)
    assert fresh("connectors", "check", "--source", "som").code == 0


def test_a_check_that_fails_is_no_step(fresh: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    add(fresh)
    link(fresh)
    fresh(*AGREE, *PURPOSE)
    monkeypatch.setenv(SECRET, "onjuist")
    assert fresh("connectors", "check", "--source", "som").code != 0
    assert standing(fresh)["check"] == "next"
    assert "connectors check" in fresh("source", "live", "som").err


def test_what_is_there_already_is_not_added_again(fresh: Shell, tmp_path: Path) -> None:
    add(fresh)
    assert "already" in paragraph(add(fresh))
    link(fresh)
    assert "already" in paragraph(link(fresh))
    assert "99ZZ" in paragraph(
        fresh("source", "link", "x", "--system", "somtoday", "--school", "99ZZ", *settings(fresh))
    )


def test_a_board_leaves_with_its_keys_once_the_configuration_is_without_it(fresh: Shell) -> None:
    add(fresh)
    link(fresh)
    fresh(*AGREE, *PURPOSE)
    assert fresh("sync", "--source", "som").code == 0
    leave = ("school", "leave", "--tenant", "demo", "--why", "opgezegd")
    assert "configuratie" in paragraph(fresh(*leave, "--yes"))
    for file in fragments.folder_of(fresh.line.folder / "koppelhub.toml").iterdir():
        file.unlink()
    assert fresh(*leave, stdin="n\n").code == 0
    assert fresh.line.query("SELECT COUNT(*) FROM tenant_key")[0][0] == 1
    said = fresh(*leave, "--yes", "--json").data
    assert said["rows"]["leerling"] == 40
    for table in ("leerling", "identificatie", "tenant_key", "raw_payload", "shadow_form"):
        assert fresh.line.query(f"SELECT COUNT(*) FROM {table}") == [(0,)]
    assert fresh("keys").code == 0
    assert fresh("audit", "verify").code == 0
    assert add(fresh).code == 0  # and it may come again
    link(fresh)
    fresh(*AGREE, *PURPOSE)
    assert fresh("sync", "--source", "som").code == 0
