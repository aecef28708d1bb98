"""Local accounts through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.door import WORDS
from tests.support.shell import Shell, paragraph, shell_of


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    yield from shell_of(tmp_path, monkeypatch, pupils=2)


def test_an_account_is_made_listed_changed_and_disabled(quick: Shell) -> None:
    path = quick.line.folder / "koppelhub.toml"
    said = quick("account", "add", "jan", stdin=f"{WORDS}\n")
    assert said.code == 1  # the configuration names nobody
    assert '[[operator]] op met name = "jan"' in said.out
    found = [each for each in quick("doctor", "--json").data if each["subject"] == "inloggen"]
    assert [(each["level"], each["message"]) for each in found] == [
        ("let op", "accounts zonder rol: jan")
    ]
    me = quick.line.query("SELECT operator FROM audit ORDER BY id DESC LIMIT 1")[0][0]
    named = "".join(
        f'[[operator]]\nname = "{name}"\nrole = "admin"\n' for name in ("jan", "piet", me)
    )
    path.write_text(path.read_text(encoding="utf-8") + named, encoding="utf-8")
    assert quick("account", "add", "piet", stdin=f"{WORDS}\n").code == 0
    (jan, piet) = quick("account", "list", "--json").data
    assert (jan["name"], jan["role"], jan["disabled_at"]) == ("jan", "admin", None)
    changed = quick("account", "password", "piet", "--json", stdin="een heel ander woord\n")
    assert changed.data == {"sessions": 0}
    assert quick("account", "disable", "piet").code == 0
    assert "uitgezet" in quick("account", "list").out
    assert quick("account", "end-sessions", "--all", "--json").data == {"sessions": 0}
    actions = [row[0] for row in quick.line.query("SELECT action FROM audit ORDER BY id")]
    assert [action for action in actions if action.startswith("account")] == [
        "account add",
        "account add",
        "account password",
        "account disable",
        "account end-sessions",
    ]
    assert piet["name"] == "piet"


def test_a_password_that_is_refused_changes_nothing_and_is_not_told(quick: Shell) -> None:
    before = quick.everything()
    for typed in ("kort", "wachtwoord-van-jan-zelf"):
        said = quick("account", "add", "jan", stdin=f"{typed}\n")
        assert said.code == 4
        assert "minstens 12 tekens" in paragraph(said)
        assert typed not in said.err
    assert quick("account", "disable", "jan").code == 4
    assert quick("account", "end-sessions").code == 64
    assert quick("account", "end-sessions", "jan", "--all").code == 64
    assert quick.everything() == before


def test_doctor_says_how_people_come_in(quick: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def said() -> list[tuple[str, str]]:
        told = quick("doctor", "--json").data
        return [(each["level"], each["message"]) for each in told if each["subject"] == "inloggen"]

    assert said() == [("goed", "niemand kan bij de pagina's: er zijn geen accounts")]
    assert "koppelhub account add NAAM" in quick("doctor").out
    path = quick.line.folder / "koppelhub.toml"
    oidc = (
        '[web.oidc]\nissuer = "https://login.school.example"\nclient_id = "hub"\n'
        'client_secret = { env = "KOPPELHUB_TEST_OIDC" }\n'
    )
    path.write_text(path.read_text(encoding="utf-8") + oidc, encoding="utf-8")
    ((level, message),) = said()
    assert level == "fout"
    assert "KOPPELHUB_TEST_OIDC is missing" in message
    monkeypatch.setenv("KOPPELHUB_TEST_OIDC", "geheim")
    assert said() == [("goed", "met schoolaccount, bij https://login.school.example")]
