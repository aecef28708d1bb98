"""`koppelhub diff`: what differs between the core and Somtoday, for helpdesk and school."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import pytest

from fixtures.sandbox import faults
from fixtures.school.changes import Changes
from fixtures.school.day import Day
from tests.support.shell import Shell


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def test_a_day_of_changes_is_told_and_nothing_is_changed(shell: Shell, tmp_path: Path) -> None:
    shell.of_source("sync")
    same = shell.of_source("diff")
    assert (same.code, "Er is geen verschil." in same.out) == (0, True)
    Day(shell.line.school).one_day()
    shell.line.later(days=1)
    before = shell.everything()
    path = tmp_path / "verschil.csv"
    told = shell.of_source("diff", "--csv", str(path), "--json")
    assert shell.everything() == before
    assert told.code == 1
    steps = told.data["report"]["steps"]
    assert {
        f"{entity['entity']}.{op}": entity[op]
        for entity in told.data["entities"]
        for op in ("create", "change", "close", "reopen")
        if entity[op]
    } == steps
    assert shell.of_source("sync", "--json").data["steps"] == steps
    assert shell.of_source("diff", "--json").code == 0

    written = lines(path.read_text(encoding="utf-8-sig"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(line["bronsleutel"] and line["bronrecord"] for line in written)
    new = {line["bronrecord"] for line in written if line["verschil"] == "alleen in de bron"}
    known = {row[0] for row in shell.line.query("SELECT source_key FROM source_record")}
    assert new
    assert new <= known
    counted = {(f["entity"], f["field"]): f["records"] for f in told.data["fields"]}
    fields = [(line["entiteit"], line["veld"]) for line in written if line["veld"]]
    assert {field: fields.count(field) for field in fields} == counted
    audit = shell.line.query("SELECT action FROM audit WHERE action = 'diff'")
    assert len(audit) == 3


def test_each_field_says_where_in_the_source_it_comes_from(quick: Shell) -> None:
    quick.of_source("sync")
    line = quick.line
    ((uuid,), *_) = line.query(
        "SELECT source_key FROM link WHERE entity = 'leerling' ORDER BY source_key"
    )
    Changes(line.school).patch(uuid, roepnaam="=1+1", achternaam="Anders", geslacht="ONBEKEND")
    told = quick.of_source("diff", "--json").data
    rows = {f["field"]: f["rows"] for f in told["fields"]}
    assert set(rows) == {"roepnaam", "achternaam", "geslacht"}
    assert [(r["resource"], r["source"]) for r in rows["geslacht"]] == [("leerling", ["geslacht"])]
    (row,) = rows["roepnaam"]
    assert (row["resource"], row["source"], row["strength"]) == ("leerling", ["roepnaam"], "normal")
    (record,) = told["records"]
    assert (record["resource"], record["raw_key"], record["source_key"]) == ("leerling", uuid, uuid)
    assert record["fields"]["achternaam"][1] == "Anders"

    text = quick.of_source("diff")
    assert text.code == 1
    assert "leerling: roepnaam" in text.out
    assert f"(in leerling {uuid})" in text.out
    assert "Anders" in text.out
    spread = quick.of_source("diff", "--csv", "-")
    assert spread.code == 1
    cells = {cell["veld"]: cell for cell in lines(spread.out)}
    assert cells["roepnaam"]["bron"] == "'=1+1"
    assert cells["roepnaam"]["bronveld"] == "roepnaam"
    assert cells["achternaam"]["bron"] == "Anders"
    assert "Kern en" not in spread.out


def test_school_and_entity_select_what_is_compared(quick: Shell) -> None:
    quick.of_source("sync")
    line = quick.line
    pupils = [
        line.query(
            "SELECT r.source_key FROM source_record r JOIN scope s ON s.id = r.scope_id "
            "WHERE s.resource = 'leerling' AND s.rank = 0 AND s.brins LIKE ? "
            "AND NOT EXISTS (SELECT 1 FROM source_record o WHERE o.source_key = r.source_key "
            "AND o.scope_id <> r.scope_id AND o.scope_id IN (SELECT id FROM scope "
            "WHERE resource = 'leerling' AND rank = 0)) ORDER BY r.source_key LIMIT 1",
            f"%{number}%",
        )[0][0]
        for number in ("99XX01", "99XX02")
    ]
    for uuid in pupils:
        Changes(line.school).patch(uuid, roepnaam="Anders")
    told = quick.of_source("diff", "--school", "99XX02", "--entity", "leerling", "--json").data
    assert [record["source_key"] for record in told["records"]] == [pupils[1]]
    assert {r["resource"] for r in told["report"]["readings"]} == {"leerling"}
    both = quick.of_source("diff", "--limit", "1", "--json").data
    assert (len(both["records"]), both["more"]) == (1, 1)


def test_what_cannot_be_compared_has_a_code_of_its_own(quick: Shell, tmp_path: Path) -> None:
    quick.of_source("sync")
    assert quick.of_source("diff", "--csv", "-", "--json").code == 64
    assert quick("diff").code == 64
    assert quick.of_source("diff", "--target", "iets").code == 64
    assert quick("diff", "--target", "iets").code == 2
    assert "--source" in quick("diff", "--target", "somtoday-demo").err  # nothing goes there
    assert quick.of_source("diff", "--csv", str(tmp_path)).code == 2
    assert quick.of_source("diff", "--school", "98ZZ").code == 2
    quick.line.sandbox.misbehave(faults.NotJson(path="connect/vestiging", count=None))
    failed = quick.of_source("diff")
    assert (failed.code, "Meld dit bij ops" in failed.out) == (2, True)
    assert "None" not in failed.out
    silent = quick.of_source("diff", "--csv", "-")
    assert (silent.code, "Meld dit bij ops" in silent.err) == (2, True)
    assert lines(silent.out) == []
    quick.line.sandbox.behave()
    path = f"/{quick.line.school.vestiging_uuid(0)}/leerling"
    quick.line.sandbox.misbehave(faults.ServerError(path=path, count=None))
    partly = quick.of_source("diff")
    assert (partly.code, "leerling" in partly.out) == (1, True)
    assert "Niet (helemaal) vergeleken: " in partly.out
    assert "Er is geen verschil" not in partly.out


def test_no_value_of_a_difference_is_in_the_log(
    quick: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    quick.of_source("sync")
    ((uuid,), *_) = quick.line.query("SELECT source_key FROM link WHERE entity = 'leerling'")
    Changes(quick.line.school).patch(uuid, roepnaam="Kanariepiet", emailadres="k@piet.example")
    with caplog.at_level("DEBUG"):
        told = quick.of_source("diff", "--debug")
    assert "Kanariepiet" in told.out
    for logged in (told.err, caplog.text):
        assert "Kanariepiet" not in logged
        assert "piet.example" not in logged
