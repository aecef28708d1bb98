"""A question to a person: only yes is yes."""

from __future__ import annotations

import io

import pytest
import typer

from console.arguments import asked
from console.output import Output
from sync_engine.outcome import ExitCode


@pytest.mark.parametrize(("typed", "said"), [("j\n", True), ("n\n", False), ("\n", False)])
def test_yes_is_typed(typed: str, said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert asked(Output(), "Doen?") is said


def test_no_answer_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(typer.Exit) as ended:
        asked(Output(), "Doen?")
    assert ended.value.exit_code == ExitCode.USAGE
    assert "er is niets gewijzigd" in capsys.readouterr().err
