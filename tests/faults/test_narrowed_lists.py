"""A list that is no longer shared says nothing about what it held."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.sandbox.somtoday import Credentials
from fixtures.school.changes import Changes
from tests.support.lines import SECRET, new_line


def test_plaatsingen_that_are_no_longer_shared_close_no_inschrijving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, Credentials().client_secret)
    with new_line(tmp_path / "hub", pupils=20) as line:
        line.sync()
        before = line.query("SELECT id, geldig_tot FROM inschrijving ORDER BY id")
        assert before
        school = line.school
        with school.lock:
            for vestiging in range(len(school.population.sizes)):
                rights = school.rights(vestiging).without("leerlingen", frozenset({"plaatsingen"}))
                Changes(school).set_rights(vestiging, rights)
        for _ in range(3):
            line.later(days=1)
            report = line.sync()
        assert report.error == ""
        assert line.query("SELECT id, geldig_tot FROM inschrijving ORDER BY id") == before
        assert line.query("SELECT COUNT(*) FROM event WHERE kind = 'contract changed'")[0][0] > 0
