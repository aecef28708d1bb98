"""The command line as a person and a script use it, from `init` to a plan that is approved.

Most commands run in this process, through the same function as the console script, with a clock
that the test sets; that the installed command does the same is shown on a real process.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel
from typer import Typer

import cli
import config.clock
from config import logs
from connectors.errors import SourceUnavailableError
from fixtures.sandbox import faults
from fixtures.school.changes import Changes
from fixtures.school.day import Day
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.find import hub_key
from tests.support.coredump import core_dump, differences
from tests.support.lines import KOPPELING, SECRET, Line, configuration, new_line

# What a dry run may write. A tenant's data key is made when it is first used, by whatever command.
OF_DRY_RUNS = frozenset({"run", "plan", "step", "audit", "id_block", "tenant_key"})
ROOT = Path(cli.__file__).parent


@dataclass(frozen=True)
class Said:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


def run_cli(*arguments: str, stdin: str = "") -> Said:
    """One command in this process, as the console script runs it."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        return _run(arguments, out, err)


def _run(arguments: tuple[str, ...], out: io.StringIO, err: io.StringIO) -> Said:
    with redirect_stdout(out), redirect_stderr(err):
        code = int(cli._main(list(arguments)))
    logs.reset()
    return Said(code, out.getvalue(), err.getvalue())


@dataclass
class Shell:
    """Commands of one installation."""

    line: Line

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        config = str(self.line.folder / "koppelhub.toml")
        return run_cli(*arguments, "--config", config, stdin=stdin)

    def sync(self, *options: str, stdin: str = "") -> Said:
        return self("sync", "--source", KOPPELING, *options, stdin=stdin)

    def report(self, *options: str) -> Any:
        """The report of one run."""
        return self.sync(*options, "--json").data


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh installation on each database."""
    yield from _shell(tmp_path, monkeypatch, url=database_url)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh installation on SQLite."""
    yield from _shell(tmp_path, monkeypatch)


def _shell(folder: Path, patch: pytest.MonkeyPatch, *, url: str | None = None) -> Iterator[Shell]:
    with new_line(folder / "installatie", url=url) as line:
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        patch.setattr(config.clock, "SystemClock", lambda: line.clock)
        yield Shell(line)


def everything(line: Line) -> dict[str, list[str]]:
    """Every row of every table that a dry run may not touch."""
    return {
        name: sorted(map(repr, line.query(f'SELECT * FROM "{name}"')))
        for name in SQLModel.metadata.tables
        if name not in OF_DRY_RUNS
    }


def newest(line: Line, table: str) -> str:
    return str(line.query(f"SELECT MAX(id) FROM {table}")[0][0])


# -- a school's days ---------------------------------------------------------------------------


def test_from_a_fresh_installation_to_a_school_in_agreement(shell: Shell) -> None:
    line = shell.line
    assert shell("doctor").code == 0
    assert shell("connectors", "check").code == 0

    before = everything(line)
    dry = shell.report("--dry-run")
    assert everything(line) == before
    assert line.query("SELECT action FROM audit") == [("dry run",)]

    first = shell.report()
    assert (first["outcome"], first["steps"]) == ("done", dry["steps"])
    assert first["steps"]["leerling.create"] == 40
    again = shell.sync()
    assert (again.code, "niets te wijzigen" in again.out) == (0, True)

    Day(line.school).one_day()
    line.later(days=1)
    before = everything(line)
    dry = shell.report("--dry-run")
    assert everything(line) == before
    changed = shell.report()
    assert changed["steps"] == dry["steps"]
    assert changed["steps"]["leerling.create"] == 2
    assert shell.report()["steps"] == {}


def test_what_is_applied_is_what_was_shown_and_what_is_new_stays_held(shell: Shell) -> None:
    line = shell.line
    shell.sync()
    Day(line.school).one_day()
    line.later(days=1)
    planned = shell.sync("--plan", "--json")
    assert (planned.code, planned.data["outcome"]) == (3, "held")
    plan = str(planned.data["plan_id"])
    core = core_dump(line.hub)
    known = {row[0] for row in line.query("SELECT core_id FROM link WHERE run_id = 1")}
    shown = shell("plan", "show", plan, "--limit", "500", "--json").data
    assert (shown["state"], shown["more"]) == ("open", 0)
    assert len(shown["steps"]) == sum(planned.data["steps"].values())

    uuid = line.query(
        "SELECT source_key FROM link WHERE entity = 'leerling' ORDER BY source_key DESC"
    )[0][0]
    Changes(line.school).patch(uuid, voornamen="Later Bekend Geworden")
    line.later(hours=1)
    second = shell.report("--plan")
    assert differences(core_dump(line.hub), core) == {}

    applied = shell("plan", "apply", plan, "--json")
    assert applied.code == 3
    done = shell("plan", "show", str(applied.data["plan_id"]), "--limit", "500", "--json").data
    assert _steps(done, "applied", known) == _steps(shown, "planned", known)
    assert [(s["entity"], s["op"]) for s in done["steps"] if s["state"] == "held"] == [
        ("leerling", "change")
    ]
    assert shell("plan", "apply", plan).code == 4  # it has been used
    assert not line.query("SELECT 1 FROM leerling WHERE voornamen = 'Later Bekend Geworden'")

    rest = shell("plan", "apply", str(second["plan_id"]))
    assert rest.code == 0
    assert line.query("SELECT 1 FROM leerling WHERE voornamen = 'Later Bekend Geworden'")
    assert shell.report()["steps"] == {}


def _steps(plan: dict[str, Any], state: str, known: set[int]) -> list[tuple[str, str, str, str]]:
    """Entity, source, operation and changes of each step; records yet to be made have no number."""

    def told(match: re.Match[str]) -> str:
        return match[0] if int(match[0]) in known else "new"

    return sorted(
        (
            step["entity"],
            step["source"],
            step["op"],
            re.sub(r"(?<=/)\d+(?=\")|(?<=_id\": \[)\d+", told, _text(step["changes"])),
        )
        for step in plan["steps"]
        if step["state"] == state
    )


def _text(changes: dict[str, list[Any]]) -> str:
    """References last, so that one expression finds them."""
    turned = {key: pair[::-1] if key.endswith("_id") else pair for key, pair in changes.items()}
    return json.dumps(turned, sort_keys=True)


# -- what it tells ---------------------------------------------------------------------------------


def test_every_answer_is_one_json_object_with_stable_keys(quick: Shell) -> None:
    """A key may come; one that goes breaks somebody's script."""
    report = quick.report()
    assert set(report) >= {
        *("run_id", "koppeling", "kind", "outcome", "started_at", "finished_at", "plan_id"),
        *("readings", "steps", "situations", "held", "holds", "unresolved", "waiting"),
        *("quarantine", "cases", "events", "error", "advice", "retryable"),
        *("refused", "longest_hold_seconds"),
    }
    assert set(report["readings"][0]) >= {
        *("resource", "scope", "state", "read", "added", "changed", "missing", "gone"),
        *("quarantined", "warnings", "reason", "advice"),
    }
    (listed,) = quick("runs", "--json").data
    assert set(listed) >= {
        *("id", "koppeling", "kind", "state", "started_at", "finished_at", "read", "added"),
        *("changed", "gone", "quarantined", "error", "advice"),
    }
    detail = quick("run", "show", "1", "--json").data
    assert set(detail) >= {
        *("run", "operator", "counts", "readings", "events", "quarantine", "plans"),
    }
    assert detail["run"] == listed
    plan = quick("plan", "show", "1", "--limit", "1", "--json").data
    assert set(plan) >= {
        *("id", "run_id", "koppeling", "state", "created_at", "expires_at", "counts", "holds"),
        *("steps", "more"),
    }
    assert set(plan["steps"][0]) >= {
        *("entity", "key", "source", "op", "state", "held_for", "changes", "labels"),
    }
    (finding, *_) = quick("doctor", "--json").data
    assert set(finding) >= {"level", "subject", "message", "advice"}
    (check,) = quick("connectors", "check", "--json").data
    assert set(check) >= {"koppeling", "results"}
    assert run_cli("exit-codes", "--json").data["75"]
    assert set(run_cli("connectors", "--json").data) >= {"connectors", "broken"}


def test_explain_says_for_each_field_who_gave_it_and_what_it_was(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    uuid, number = line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.gebruikersnaam IS NOT NULL ORDER BY p.id"
    )[0]
    Changes(line.school).patch(uuid, roepnaam="Nieuwenaam")
    line.later(days=1)
    quick.sync()

    (by_number,) = quick("explain", "leerling", number, "--json").data
    key = by_number["key"]
    assert re.fullmatch(r"K-[0-9A-Z]+[0-9A-Z*~$=]", key)
    (by_key,) = quick("explain", "leerling", key, "--json").data
    assert by_key == by_number
    fields = {reason["name"]: reason for reason in by_key["explanation"]["fields"]}
    assert set(fields["roepnaam"]) >= {
        *("name", "value", "rule", "koppeling", "run_id", "pin_id", "claims", "history"),
    }
    assert fields["roepnaam"]["value"] == "Nieuwenaam"
    assert fields["roepnaam"]["koppeling"] == KOPPELING
    assert [change["run_id"] for change in fields["roepnaam"]["history"]] == [1, 2]

    (one,) = quick("explain", "leerling", key, "--field", "roepnaam", "--json").data
    assert [reason["name"] for reason in one["explanation"]["fields"]] == ["roepnaam"]
    text = quick("explain", "leerling", key, "--field", "roepnaam")
    assert "Nieuwenaam" in text.out
    assert " in run 2 " in text.out
    looked = line.query("SELECT action, subject FROM audit WHERE action = 'explain'")
    assert looked == [("explain", key)] * 4
    wrong = quick("explain", "leerling", key, "--field", "schoenmaat")
    assert (wrong.code, "Kies een van: achternaam" in wrong.err) == (2, True)
    typed = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert "Neem de sleutel over" in quick("explain", "leerling", typed).err


# -- parts of a source -----------------------------------------------------------------------------


def test_only_reads_one_pupil_by_any_of_its_names(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    uuid, number = line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.gebruikersnaam IS NOT NULL ORDER BY p.id"
    )[0]
    key = quick("explain", "leerling", number, "--json").data[0]["key"]
    for place, name in enumerate((uuid, number, key)):
        Changes(line.school).patch(uuid, roepnaam=f"Naam{place}")
        line.sandbox.forget_requests()
        said = quick.sync("--only", name, "--json")
        assert (said.code, said.data["outcome"]) == (0, "done")
        assert said.data["steps"] == {"leerling.change": 1}
        asked = [r for r in line.sandbox.requests if r.path.endswith("/leerling")]
        assert asked
        assert all("uuid" in recorded.query_names for recorded in asked)


def test_only_for_a_pupil_that_there_is_not_changes_nothing_and_says_so(quick: Shell) -> None:
    quick.sync()
    core = core_dump(quick.line.hub)
    said = quick.sync("--only", "00000000-0000-4000-8000-000000000000")
    assert said.code != 0
    assert differences(core_dump(quick.line.hub), core) == {}


def test_entity_and_school_select_what_is_read(quick: Shell) -> None:
    report = quick.report("--entity", "medewerker", "--entity", "vestiging")
    assert {r["resource"] for r in report["readings"]} == {"vestiging", "medewerker"}
    report = quick.report("--school", "99xx02")
    scopes = {r["scope"] for r in report["readings"] if r["resource"] == "leerling"}
    assert scopes == {"School Het Baken, huidig"}
    for wrong in ("98ZZ", "99X", "99XX0", "school"):
        refused = quick.sync("--school", wrong)
        assert refused.code == 2
        assert "vestigingsnummer (99XX00) uit de configuratie" in paragraph(refused)
    nothing = quick.sync("--school", "99XX77")
    assert nothing.code == 2
    assert "koppelhub connectors check" in nothing.err + nothing.out
    unknown = quick.sync("--entity", "toverstaf")
    assert unknown.code in {2, 4}
    assert "toverstaf" in unknown.err + unknown.out


def test_a_run_that_is_out_of_time_ends_by_itself_and_the_next_goes_on(quick: Shell) -> None:
    said = quick.sync("--time-limit", "0", "--json")
    assert said.code == 1
    assert said.data["outcome"] == "partial"
    assert quick.report()["outcome"] == "done"
    assert len(quick.line.query("SELECT 1 FROM leerling")) == 40


def test_delta_is_refused_where_the_source_has_none(quick: Shell) -> None:
    said = quick.sync("--delta")
    assert said.code == 4
    assert "Zie `koppelhub connectors`" in said.out + said.err


def test_a_key_on_standard_input_stands_in_no_list_of_processes(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    uuid, number = line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.gebruikersnaam IS NOT NULL ORDER BY p.id"
    )[0]
    shown = quick("explain", "leerling", number, "--json").data
    assert quick("explain", "leerling", "-", "--json", stdin=f"{number}\n").data == shown
    Changes(line.school).patch(uuid, roepnaam="Gelezen")
    said = quick.sync("--only", "-", "--json", stdin=f" {number} \n\n")
    assert said.data["steps"] == {"leerling.change": 1}
    assert quick("explain", "leerling", "-").code == 64
    assert quick("explain", "leerling", "-", stdin=f"{number}\n{uuid}\n").code == 64
    assert quick.sync("--only", "-").code == 64


def test_only_for_a_pupil_whom_this_koppeling_does_not_know_reads_nothing(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    pupil = line.query(
        "SELECT l.core_id FROM link l JOIN identificatie i ON i.eigenaar_id = l.core_id "
        "WHERE l.entity = 'leerling' ORDER BY l.core_id"
    )[0][0]
    line.query("DELETE FROM link WHERE core_id = ?", pupil)
    line.sandbox.forget_requests()
    unknown = quick.sync("--only", hub_key(pupil))
    assert not line.sandbox.requests
    assert (unknown.code, "welke koppelingen hem kennen" in unknown.err) == (2, True)


def test_what_a_person_looks_at_and_approves_is_in_the_audit_trail(quick: Shell) -> None:
    quick.sync()
    Day(quick.line.school).one_day()
    quick.line.later(days=1)
    plan = quick.report("--plan")["plan_id"]
    assert quick("plan", "apply", str(plan)).code == 0
    assert quick("plan", "apply", str(plan)).code == 4
    assert (
        quick.line.query("SELECT action, subject FROM audit ORDER BY id")
        == [("plan apply", f"plan {plan}")] * 2
    )


# -- what a person must mend -----------------------------------------------------------------------


def paragraph(said: Said) -> str:
    """What a failing command says: one paragraph, no traceback."""
    assert said.out == ""
    assert "Traceback" not in said.err
    assert 'File "' not in said.err
    lines = [text for text in said.err.splitlines() if text]
    assert 1 < len(lines) <= 4
    assert lines[0].startswith("Fout: ")
    return said.err


def test_a_fresh_installation_lacks_only_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    folder = tmp_path / "school"
    made = run_cli("init", str(folder), "--json")
    assert (made.code, set(made.data)) == (0, {"configuratie", "sleutels", "database"})
    assert (folder / "koppelhub.keys").stat().st_mode & 0o777 == 0o600
    assert (folder / "koppelhub.db").stat().st_mode & 0o777 == 0o600
    found = run_cli("doctor", "--config", str(folder / "koppelhub.toml"), "--json")
    assert found.code == 2
    (wrong,) = [finding for finding in found.data if finding["level"] != "goed"]
    assert SECRET in wrong["message"]
    monkeypatch.setenv(SECRET, "geheim")
    assert run_cli("doctor", "--config", str(folder / "koppelhub.toml")).code == 0
    assert "Kies een lege map" in paragraph(run_cli("init", str(folder)))


def test_a_database_of_its_own_is_set_up_from_the_command_line(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an installation on SQLite was, it is on another database after `db upgrade`."""
    monkeypatch.setenv(SECRET, "geheim")
    monkeypatch.setenv("SCHOOL_DATABASE", database_url)
    folder = tmp_path / "school"
    made = run_cli("init", str(folder), "--database", "env:SCHOOL_DATABASE", "--json")
    assert made.code == 0
    text = (folder / "koppelhub.toml").read_text(encoding="utf-8")
    assert 'url = { env = "SCHOOL_DATABASE" }' in text
    assert database_url not in text
    assert not (folder / "koppelhub.db").exists()
    assert run_cli("runs", "--config", str(folder / "koppelhub.toml")).code == 0
    second = run_cli("init", str(tmp_path / "ander"), "--database", "env:SCHOOL_DATABASE")
    assert "Geef een lege database op" in paragraph(second)
    assert list((tmp_path / "ander").iterdir()) == []


def test_an_installation_moves_to_an_empty_database_with_db_upgrade(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "geheim")
    folder = tmp_path / "school"
    config = ("--config", str(folder / "koppelhub.toml"))
    assert run_cli("init", str(folder)).code == 0
    monkeypatch.setenv("KOPPELHUB_DATABASE__URL", database_url)
    assert run_cli("doctor", *config).code == 2
    first = run_cli("db", "upgrade", *config)
    assert (first.code, "hoort nu bij sleutel" in first.out) == (0, True)
    again = run_cli("db", "upgrade", *config, "--json")
    assert (again.code, again.data["keys"]) == (0, [])
    assert run_cli("doctor", *config).code == 0
    assert run_cli("runs", *config).code == 0

    assert run_cli("init", str(tmp_path / "ander"), "--database", "sqlite:///ander.db").code == 2
    monkeypatch.delenv("KOPPELHUB_DATABASE__URL")
    assert run_cli("init", str(tmp_path / "ander"), "--database", "sqlite:///ander.db").code == 0
    assert (tmp_path / "ander" / "ander.db").is_file()
    shutil.copy(tmp_path / "ander" / "koppelhub.keys", folder / "koppelhub.keys")
    monkeypatch.setenv("KOPPELHUB_DATABASE__URL", database_url)
    assert run_cli("db", "upgrade", *config, "--json").data["keys"] == []
    assert "hoort niet bij deze database" in paragraph(run_cli("runs", *config))


def test_init_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    taken = tmp_path / "bestand"
    taken.write_text("van een ander", encoding="utf-8")
    assert "Kies een lege map" in paragraph(run_cli("init", str(taken)))
    assert "waarin u mag schrijven" in paragraph(run_cli("init", str(taken / "daarin")))
    assert taken.read_text(encoding="utf-8") == "van een ander"


def test_a_missing_or_foreign_key_file_is_refused(quick: Shell, tmp_path: Path) -> None:
    keys = quick.line.folder / "koppelhub.keys"
    own = keys.read_bytes()
    keys.unlink()
    assert "zet dan het sleutelbestand uit de back-up terug" in paragraph(quick("runs"))
    assert quick("doctor").code == 2
    assert run_cli("init", str(tmp_path / "ander")).code == 0
    shutil.copy(tmp_path / "ander" / "koppelhub.keys", keys)
    assert "Dit sleutelbestand hoort niet bij deze database" in paragraph(quick("runs"))
    keys.write_bytes(own)
    assert quick("runs").code == 0


def test_an_older_and_a_newer_database_are_told_apart(quick: Shell) -> None:
    line = quick.line
    head = line.query("SELECT version_num FROM alembic_version")[0][0]
    for later in (
        "DROP VIEW klassenlijst",
        "DROP VIEW journal",
        "DROP VIEW situatie",
        "ALTER TABLE tenant_key DROP COLUMN emptied_at",
        "DROP INDEX ix_medewerker_geboortedatum",
        "DROP INDEX ix_contactgegeven_waarde",
    ):
        line.query(later)
    line.query("UPDATE alembic_version SET version_num = '0002'")
    assert "koppelhub db upgrade" in paragraph(quick("runs"))
    upgraded = quick("db", "upgrade", "--json")
    assert upgraded.data["before"]["current"] == "0002"
    assert upgraded.data["after"]["current"] == head
    assert quick("runs").code == 0
    line.query("UPDATE alembic_version SET version_num = '9999'")
    assert "nieuwere versie van Koppelhub" in paragraph(quick("runs"))
    assert "nieuwere versie van Koppelhub" in paragraph(quick("db", "upgrade"))


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
        (("plan", "show", "99"), 4),
        (("plan", "apply", "99"), 4),
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
        (("plan", "apply", "99"), 4),
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
    assert re.search(r"at .*plan\.py:\d+ in|at .*test_cli\.py:\d+ in fails", debug.err)
    assert "voor niemand" not in said.err + debug.err
    monkeypatch.undo()


# -- bad input -------------------------------------------------------------------------------------


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


# -- the demo --------------------------------------------------------------------------------------


def test_the_demo_tells_its_story_and_logs_beside_it(tmp_path: Path) -> None:
    said = run_cli("demo", str(tmp_path / "demo"), "--pupils", "60")
    assert (said.code, said.err) == (0, "")
    assert len(re.findall(r"^Run \d of|^Run \d van", said.out, re.MULTILINE)) == 6
    assert len(re.findall(r"^\w+dagnacht: ", said.out, re.MULTILINE)) == 5
    assert "reading failed" not in said.out
    assert "reading failed" in (tmp_path / "demo" / "koppelhub.log").read_text(encoding="utf-8")


# -- the installed command -------------------------------------------------------------------------


def commands() -> dict[str, str]:
    """Every command and what it says of itself."""
    groups = [(str(g.name), g.typer_instance) for g in cli.app.registered_groups]
    found = {}
    for group, app in [("", cli.app), *groups]:
        for command in app.registered_commands if app is not None else ():
            assert command.callback is not None
            name = command.name or command.callback.__name__
            found[f"{group} {name}".strip()] = command.callback.__doc__ or ""
    return found


def test_every_command_has_help_and_stands_in_the_documentation() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, text in commands().items():
        said = run_cli(*name.split(), "--help")
        assert said.code == 0, name
        assert text.split("\n")[0].rstrip(".") in " ".join(said.out.split()), name
        assert f"`koppelhub {name}" in page, name
    documented = set(re.findall(r"^\| `koppelhub ([a-z-]+(?: [a-z-]+)?)", page, re.MULTILINE))
    known = {" ".join(name.split()[:2]) for name in commands()}
    bare = {g.name for g in cli.app.registered_groups if _is_a_command(g.typer_instance)}
    assert {d for d in documented if d not in known and d.split()[0] not in known} <= bare


def _is_a_command(group: Typer | None) -> bool:
    """Whether a group does something by itself."""
    return group is not None and group.registered_callback is not None


def test_the_installed_command_on_a_real_process(tmp_path: Path) -> None:
    folder = tmp_path / "installatie"
    with new_line(folder) as line:
        line.hub.close()
        (folder / "koppelhub.toml").write_text(configuration(line.sandbox), encoding="utf-8")
        secret = {SECRET: line.sandbox.credentials.client_secret}
        synced = installed(folder, "sync", "--source", KOPPELING, **secret)
        assert synced.returncode == 0, synced.stderr
        assert "Traceback" not in synced.stderr
        assert "leerling.create 40" in synced.stdout
        plain = synced.stdout + synced.stderr
        assert not re.search(r"\x1b|[\u2500-\u257f]", plain)  # no colours, lines or boxes
        assert re.search(r"^ouderVerzorger +2 +2 +\d+", synced.stdout, re.MULTILINE)
        again = installed(folder, "sync", "--source", KOPPELING, "--json", **secret)
        assert json.loads(again.stdout)["steps"] == {}
        refused = installed(folder, "sync", "--source", KOPPELING)
        assert refused.returncode == 2
        assert SECRET in refused.stdout + refused.stderr
        assert installed(folder, "toverstaf").returncode == 64


def installed(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The console script that stands beside this Python, in the installation's folder."""
    command = Path(sys.executable).with_name("koppelhub")
    kept = {name: value for name, value in os.environ.items() if name != SECRET}
    return subprocess.run(  # noqa: S603 - our own command
        [str(command), *arguments],
        cwd=folder,
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
