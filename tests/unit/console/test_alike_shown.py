"""What `case link-all` tells of who agrees, and of whom policy is sure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from console.commands.alike import _tell, _write
from console.output import Output
from sync_engine.alike import Alike, AlikeCases

FOUND = AlikeCases(
    0.9,
    [
        Alike(1, "b1", "K-1", "Anna Jansen", 1.0),
        Alike(2, "b2", "K-2", "Bo Smit", 0.9, differs=("adres", "email")),
    ],
    Counter({"iets is anders": 3}),
)


def test_how_many_differ_in_something_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(Output(), FOUND)
    told = capsys.readouterr().out
    assert "1 records zeggen hetzelfde" in told
    assert "1 records verschillen in iets, en scoren 0.9 of meer" in told
    assert "3 andere zaken blijven voor u: iets is anders." in told
    _tell(Output(), AlikeCases(None, FOUND.found[:1]))
    assert "sure_at" not in capsys.readouterr().out


def test_in_what_they_differ_is_written_down(tmp_path: Path) -> None:
    path = tmp_path / "zaken.csv"
    _write(FOUND, str(path))
    assert path.read_text(encoding="utf-8-sig").splitlines() == [
        "zaak;bronsleutel;hubsleutel;naam;score;verschilt in",
        "1;b1;K-1;Anna Jansen;1.0;",
        "2;b2;K-2;Bo Smit;0.9;adres, email",
    ]
