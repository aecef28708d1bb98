"""Quarantine as a school is told of it, and trying again what is kept."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path

import pytest

from connectors.somtoday.connector import SomtodayConnector
from fixtures.sandbox import faults
from tests.support.lines import KOPPELING
from tests.support.shell import Shell, paragraph


def broken(shell: Shell) -> None:
    """One pupil without a surname that is text; two optional fields of others that break a rule."""
    line = shell.line
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    line.sandbox.misbehave(
        faults.WrongValue(path=path, at=1, field="achternaam", value=[1]),
        faults.WrongValue(path=path, at=2, field="roepnaam", value=42),
        faults.ImpossibleDate(path=path, at=3),
    )
    assert shell.sync().code == 1


def test_a_school_is_told_record_field_rule_and_what_to_do(shell: Shell, tmp_path: Path) -> None:
    broken(shell)
    text = shell("quarantine", "list").out
    assert "in quarantaine: 1 record; weggelaten velden: 2" in text
    assert "Verbeter in Somtoday" in text
    data = shell("quarantine", "list", "--source", KOPPELING, "--json").data
    assert data["counts"] == {"fout": 1, "waarschuwing": 2}
    first = data["records"][0]
    assert (first["resource"], first["field"], first["rule"]) == (
        "leerling",
        "achternaam",
        "must be text",
    )
    assert "het veld achternaam: moet tekst zijn" in first["advice"]
    warned = {r["field"]: r["source_key"] for r in data["records"][1:]}
    assert warned.keys() == {"roepnaam", "geboortedatum"}
    for key in warned.values():  # the record is named as explain takes it
        (told,) = shell("explain", "leerling", f"{KOPPELING}:{key}", "--json").data
        assert f"{KOPPELING}/{key}" in told["explanation"]["situation"]

    path = tmp_path / "school.csv"
    assert shell("quarantine", "list", "--csv", str(path)).code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), delimiter=";"))
    assert [row["ernst"] for row in rows] == ["fout", "waarschuwing", "waarschuwing"]
    noted = shell.line.query("SELECT DISTINCT subject FROM audit WHERE action = 'quarantine list'")
    assert noted == [(f"koppeling {KOPPELING}",)]


def test_what_the_school_mended_is_gone_from_the_list(quick: Shell) -> None:
    broken(quick)
    quick.line.sandbox.behave()
    assert quick.sync().code == 0
    assert "niets in quarantaine" in quick("quarantine", "list").out


def test_only_the_school_that_is_asked_for_is_listed(quick: Shell) -> None:
    broken(quick)
    assert quick("quarantine", "list", "--school", "99XX", "--json").data["counts"]["fout"] == 1
    assert quick("quarantine", "list", "--school", "99XX02", "--json").data["counts"] == {}


def test_a_retry_maps_again_without_asking_the_source(
    quick: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(quick)
    before = quick.everything()
    quick.line.sandbox.forget_requests()
    no = quick("quarantine", "retry", "--source", KOPPELING, stdin="n\n")
    assert "niets gewijzigd" in no.out
    assert quick.everything() == before
    again = quick("quarantine", "retry", "--source", KOPPELING, "--yes", "--json").data
    assert (again["quarantine"], again["applied"]) == (1, {})  # the mapping still refuses it
    _mend(monkeypatch)
    done = quick("quarantine", "retry", "--source", KOPPELING, "--yes", "--json").data
    assert (done["quarantine"], done["applied"].get("leerling.create")) == (0, 1)
    assert quick.asked() == []
    assert (
        "niets in quarantaine" in quick("quarantine", "retry", "--source", KOPPELING, "--yes").out
    )


def _mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose parser takes what the old one refused."""
    parse = SomtodayConnector.parse

    def mended(self: SomtodayConnector, resource: str, body: bytes) -> object:
        record = json.loads(body)
        if record.get("achternaam") == [1]:
            record["achternaam"] = "Mens"
        return parse(self, resource, json.dumps(record).encode())

    monkeypatch.setattr(SomtodayConnector, "parse", mended)


def test_one_record_is_chosen_by_its_key_and_a_mistyped_one_is_named(quick: Shell) -> None:
    broken(quick)
    key = quick("quarantine", "list", "--json").data["records"][0]["source_key"]
    before = quick.everything()
    wrong = quick("quarantine", "retry", "--source", KOPPELING, "--only", key[:-1], "--yes")
    assert wrong.code == 2
    assert f"Bedoelt u {key}" in paragraph(wrong)
    assert quick.everything() == before
    right = quick(
        "quarantine", "retry", "--source", KOPPELING, "--only", "-", "--dry-run", stdin=f"{key}\n"
    )
    assert right.code == 1
    assert quick.everything() == before
