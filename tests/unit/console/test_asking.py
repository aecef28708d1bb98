"""A person is asked before anything changes, in his own language."""

from __future__ import annotations

import io
import sys

import pytest

from console.arguments import asked
from console.output import Output


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("j\n", True),
        ("Ja\n", True),
        ("y\n", True),
        ("n\n", False),
        ("nee\n", False),
        ("\n", False),
        ("jo\nj\n", True),
        ("jo\nn\n", False),
    ],
)
def test_an_answer_is_ja_or_nee_and_another_is_asked_again(
    typed: str, means: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert asked(Output(), "Doen?") is means
    told = capsys.readouterr()
    assert told.err.count("Doen? [j/N]") == typed.count("\n")
    assert ("Er is niets gewijzigd." in told.out) is not means
