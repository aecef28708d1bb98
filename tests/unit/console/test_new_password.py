"""How a new password is asked: twice and out of sight, or one line of standard input."""

from __future__ import annotations

import io

import pytest
import typer

from console import accounts


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("given", "password"),
    [
        ("geheim woord\n", "geheim woord"),
        ("  met spaties  \r\n", "  met spaties  "),
        ("zonder einde", "zonder einde"),
        ("een\ntwee\n", "een"),
        ("", ""),
    ],
)
def test_a_script_gives_one_line(
    monkeypatch: pytest.MonkeyPatch, given: str, password: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert accounts.new_password("jan") == password


def test_a_person_types_it_twice_and_sees_it_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["een geheim", "een geheim", "een geheim", "een ander"])
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(accounts, "getpass", lambda *_, **__: next(typed))
    assert accounts.new_password("jan") == "een geheim"
    with pytest.raises(typer.BadParameter, match="not the same"):
        accounts.new_password("jan")
    said = capsys.readouterr()
    assert "geheim" not in said.out + said.err
