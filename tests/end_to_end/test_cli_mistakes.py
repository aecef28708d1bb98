"""What goes wrong: wrong commands and configurations, bad input, and what each of them says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connectors.errors import SourceUnavailableError
from fixtures.sandbox import faults
from sync_engine.errors import RunActiveError, StoreError
from tests.support.coredump import core_dump, differences
from tests.support.lines import KOPPELING
from tests.support.shell import Shell, newest, paragraph, run_cli


def test_an_unknown_source_and_a_wrong_configuration_are_named(quick: Shell) -> None:
    assert f"Kies een van: {KOPPELING}" in paragraph(quick("sync", "--source", "magister"))
    path = quick.line.folder / "koppelhub.toml"
    text = path.read_text(encoding="utf-8")
    for wrong, shown in (
        (text + "\nkapot = [", "koppelhub.toml"),
        (text.replace("production = false", 'production = "misschien"'), "production"),
        (text.replace("[logging]", "[logging]\nkleur = 1"), "logging.kleur: unknown key"),
        (text.replace('system = "somtoday"', 'system = "toverbal"'), "source[somtoday-demo]"),
    ):
        path.write_text(wrong, encoding="utf-8")
        said = quick.sync()
        assert said.code == 2
        assert shown in said.err + said.out
        assert "Traceback" not in said.err
    path.unlink()
    assert "koppelhub init" in paragraph(quick("runs"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("toverstaf",),
        ("sync",),
        ("sync", "--source", "x", "--onbekend"),
        ("sync", "--source", "x", "--dry-run", "--plan"),
        ("plan", "show", "geen-nummer"),
        ("run",),
    ],
)
def test_a_wrong_command_line_is_64(arguments: tuple[str, ...]) -> None:
    said = run_cli(*arguments)
    assert said.code == 64
    assert "Traceback" not in said.err
    assert said.err or said.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "show", "99"), 2),
        (("plan", "show", "99"), 2),
        (("plan", "apply", "99", "--yes"), 2),
        (("explain", "leerling", "bestaat niet"), 2),
    ],
)
def test_what_is_not_there_is_said_in_one_paragraph(
    arguments: tuple[str, ...], code: int, quick: Shell
) -> None:
    said = quick(*arguments)
    assert said.code == code
    paragraph(said)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "show", "99"), 2),
        (("plan", "apply", "99", "--yes"), 2),
        (("sync", "--source", "onbekend"), 2),
        (("sync", "--source", "x", "--onbekend"), 64),
        (("sync", "--source", "x", "--dry-run", "--plan"), 64),
    ],
)
def test_a_script_gets_one_json_object_of_a_failure(
    arguments: tuple[str, ...], code: int, quick: Shell
) -> None:
    said = quick(*arguments, "--json")
    assert said.code == code
    assert set(said.data) == {"error", "advice", "code"}
    assert said.data["code"] == code
    assert said.data["error"]
    assert said.data["advice"]
    assert "Fout" not in said.err
    assert "Usage" not in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunActiveError("another run is under way"), 75),
        (StoreError("the database is busy", retryable=True), 75),
        (StoreError("the database is broken"), 2),
        (SourceUnavailableError("it does not answer", system="x", operation="y"), 75),
        (KeyboardInterrupt(), 2),
    ],
)
def test_what_may_pass_by_itself_is_worth_trying_again(
    error: BaseException, code: int, quick: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("sync_engine.runs.run", fails)
    assert quick.sync().code == code
    said = quick.sync("--json")
    assert (said.code, said.data["code"]) == (code, code)


def test_a_sample_that_is_refused_or_not_there_has_a_code_of_its_own(tmp_path: Path) -> None:
    sample = tmp_path / "leerling.json"
    missing = run_cli("mapping", "try", "somtoday", "leerling", str(sample))
    assert (missing.code, "leerling.json cannot be read" in missing.err) == (64, True)
    assert "Traceback" not in missing.err
    uuid = "a22655b3-eed0-4321-80d9-9f69bead36f9"
    sample.write_text(json.dumps({"uuid": uuid, "leerlingnummer": 1, "achternaam": "Jansen"}))
    good = run_cli("mapping", "try", "somtoday", "leerling", str(sample))
    assert good.code == 0
    sample.write_text(json.dumps({"uuid": uuid, "leerlingnummer": 1}))
    refused = run_cli("mapping", "try", "somtoday", "leerling", str(sample))
    assert (refused.code, "quarantaine: " in refused.out) == (1, True)
    told = run_cli("mapping", "try", "somtoday", "leerling", "-", "--json", stdin="[]")
    assert told.code == 1
    assert told.data["error"]


def test_an_unexpected_error_shows_no_traceback_unless_asked(
    quick: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        message = "wat hier staat is voor niemand"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("sync_engine.plan.Planner.plan", fails)
    said = quick.sync()
    assert said.code == 2
    assert "Onverwachte fout (ZeroDivisionError)" in said.err
    assert " at " not in said.err.partition("Onverwachte")[2]
    debug = quick.sync("--debug")
    assert "ZeroDivisionError" in debug.err
    assert re.search(r"at .*plan\.py:\d+ in|at .*test_cli_mistakes\.py:\d+ in fails", debug.err)
    assert "voor niemand" not in said.err + debug.err
    monkeypatch.undo()


def test_bad_records_are_shown_with_field_and_rule_and_the_others_go_on(quick: Shell) -> None:
    line = quick.line
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    line.sandbox.misbehave(
        faults.WrongValue(path=path, at=1, field="achternaam", value=[1]),
        faults.WrongValue(path=path, at=2, field="roepnaam", value=42),
        faults.ImpossibleDate(path=path, at=3),
        faults.UnknownField(path=path, count=None),
    )
    said = quick.sync("--json")
    assert (said.code, said.data["outcome"], said.data["quarantine"]) == (1, "partial", 1)
    assert said.data["steps"]["leerling.create"] == 39
    detail = quick("run", "show", newest(line, "run"), "--json").data
    (bad,) = detail["quarantine"]
    assert (bad["resource"], bad["field"], bad["rule"]) == (
        "leerling",
        "achternaam",
        "must be text",
    )
    events = [(event["kind"], json.loads(event["detail"])) for event in detail["events"]]
    drift = [told for kind, told in events if kind == "schema drift"]
    assert [told["fields"] for told in drift] == [["nieuwVeld"]]  # once, not once a record
    dropped = {told["path"] for kind, told in events if kind == "dropped field"}
    assert dropped == {"roepnaam", "geboortedatum"}
    text = quick("run", "show", newest(line, "run")).out
    assert re.search(r"leerling +\S+ +achternaam +must be text", text)

    line.sandbox.behave()
    assert quick.report()["outcome"] == "done"
    assert len(line.query("SELECT 1 FROM leerling")) == 40


def test_what_cannot_be_read_at_all_fails_the_run_and_keeps_the_last_good_state(
    quick: Shell,
) -> None:
    quick.sync()
    line = quick.line
    core = core_dump(line.hub)
    line.later(days=1)
    for fault in (
        faults.NotJson(path="connect/vestiging", count=None),
        faults.TruncatedJson(path="connect/vestiging", count=None),
        faults.HugeBody(path="connect/vestiging", size_bytes=70_000_000),
    ):
        line.sandbox.misbehave(fault)
        said = quick.sync()
        assert said.code == 2
        assert "Meld dit bij ops" in said.out
        assert differences(core_dump(line.hub), core) == {}
        line.sandbox.behave()
    assert quick.report()["outcome"] == "done"
