"""Magister into the core, night after night: what the school is, and nothing that it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.school.changes import Changes
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from sync_engine.hub import Hub
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import Options, run
from sync_engine.store.work import Row
from tests.support.lines import PatientClock
from tests.support.template import sqlite_template

START = datetime(2027, 3, 1, 1, 15, tzinfo=UTC)
PUPILS = 40

_SETTINGS = """
[database]
url = "sqlite:///koppelhub.db"
[keys]
file = "koppelhub.keys"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
[[source]]
name = "las"
system = "magister"
tenant = "bestuur"
PGN
[source.options]
base_url = "BASE"
username = "USER"
password = { env = "LAS_PASSWORD" }
mode = "MODE"
per_second = "0"
"""
_PURPOSE = """
[[source.pgn]]
purpose = "rod"
legal_basis = "WVO 2020"
agreed_on = 2026-08-01
"""


@dataclass
class Nights:
    """One school's Magister and one hub."""

    folder: Path
    sandbox: MagisterSandbox
    clock: PatientClock
    hub: Hub

    def night(self, month: int, day: int) -> RunReport:
        """The run of that night."""
        self.clock.advance(datetime(2027, month, day, 1, 15, tzinfo=UTC) - self.clock.now())
        self.sandbox.school.today = self.clock.now().date()
        return run(self.hub, "las", Options())

    def configure(self, *, mode: str = "layouts", pgn: str = "") -> None:
        """Set the koppeling otherwise, from the next run on."""
        self.hub.close()
        path = self.folder / "koppelhub.toml"
        path.write_text(_text(self.sandbox, mode=mode, pgn=pgn), encoding="utf-8")
        self.hub = Hub.open(Settings.load(path), self.clock)

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def rows(self, layout: str, period: str = "") -> list[dict[str, str]]:
        """The rows that Magister has now."""
        found = self.sandbox.magister.layouts.rows(layout)
        return [row for row in found if not period or row["lesperiode"] == period]

    def open_pupils(self) -> set[str]:
        """Magister's ids of the pupils that the core has as still there."""
        rows = self.query(
            "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
            "WHERE p.geldig_tot IS NULL"
        )
        return {row[0] for row in rows}

    def members(self, period: str) -> set[tuple[str, str]]:
        """Group and pupil of every open membership of one lesperiode."""
        rows = self.query(
            "SELECT g.source_key, p.source_key FROM groepsdeelname d "
            "JOIN link g ON g.core_id = d.groep_id JOIN link p ON p.core_id = d.persoon_id "
            "WHERE d.rol = 'leerling' AND NOT d.beeindigd AND g.source_key LIKE ?",
            f"%/{period}",
        )
        return {(row[0].partition("/")[0], row[1]) for row in rows}


def _text(sandbox: MagisterSandbox, *, mode: str, pgn: str) -> str:
    text = _SETTINGS.replace("BASE", sandbox.base_url).replace("USER", sandbox.account.user)
    return text.replace("MODE", mode).replace("PGN", pgn)


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    clock = PatientClock(START)
    with MagisterSandbox(School(plan_school(PUPILS))) as sandbox:
        monkeypatch.setenv("LAS_PASSWORD", sandbox.account.password)
        sqlite_template(tmp_path / "koppelhub.db")
        initialise(tmp_path, configuration=_text(sandbox, mode="layouts", pgn=""))
        hub = Hub.open(Settings.load(tmp_path / "koppelhub.toml"), clock)
        made = Nights(tmp_path, sandbox, clock, hub)
        yield made
        made.hub.close()


def test_the_core_is_the_school_and_a_second_night_changes_nothing(nights: Nights) -> None:
    first = nights.night(3, 15)
    assert (first.outcome, first.held) == (Outcome.DONE, 0)
    for table, layout, key in (
        ("leerling", "presentis-leerlingen", "leer_id"),
        ("inschrijving", "presentis-leerlingen", "aanmelding_id"),
        ("verzorger", "presentis-verzorgers", "verzorger_id"),
        ("medewerker", "presentis-medewerkers", "pers_id"),
        ("groep", "presentis-groepen", "groep_id"),
        ("vak", "presentis-vakken", "vak_code"),
        ("vestiging", "presentis-vestigingen", "locatie_id"),
    ):
        linked = nights.query("SELECT source_key FROM link WHERE entity = ?", table)
        expected = {row[key] for row in nights.rows(layout)}
        assert {row[0].partition("/")[0] for row in linked} == expected, table
        assert len(nights.query(f"SELECT id FROM {table}")) == len(expected)
    names = nights.query(
        "SELECT l.source_key, p.achternaam, p.roepnaam, p.geboortedatum FROM leerling p "
        "JOIN link l ON l.core_id = p.id"
    )
    assert {(row[0], row[1], row[2], str(row[3])) for row in names} == {
        (row["leer_id"], row["achternaam"], row["roepnaam"], row["geboortedatum"])
        for row in nights.rows("presentis-leerlingen")
    }
    assert not any(call.layout == "presentis-pgn" for call in nights.sandbox.calls)
    assert nights.query("SELECT soort FROM identificatie WHERE soort = 'bsn'") == []
    second = nights.night(3, 16)
    assert (second.outcome, dict(second.steps)) == (Outcome.DONE, {})


def test_numbers_that_came_with_a_purpose_stay_when_it_goes(nights: Nights) -> None:
    def numbers() -> list[Row]:
        return nights.query(
            "SELECT eigenaar_id FROM identificatie WHERE soort IN ('bsn', 'onderwijsnummer')"
        )

    nights.configure(pgn=_PURPOSE)
    nights.night(3, 15)
    assert len(numbers()) == len(nights.rows("presentis-pgn")) > 0
    asked = len([call for call in nights.sandbox.calls if call.layout == "presentis-pgn"])
    nights.configure()
    nights.night(3, 16)
    assert len(numbers()) == len(nights.rows("presentis-pgn"))  # these go by the retention
    again = len([call for call in nights.sandbox.calls if call.layout == "presentis-pgn"])
    assert again == asked


_BAD: dict[str, tuple[AnyFault, str]] = {
    "no row": (faults.ZeroRows(count=None), "presentis-leerlingen"),
    "code 10": (faults.NoRight(count=None), "presentis-leerlingen"),
    "no vertrekdatum": (
        faults.MissingColumn(column="vertrekdatum", count=None),
        "presentis-leerlingen",
    ),
    "a page of HTML": (faults.HtmlPage(count=None), "presentis-groepsleden"),
    "no member": (faults.ZeroRows(count=None), "presentis-groepsleden"),
    "no teachers": (faults.GeneralFailure(count=None), "presentis-docentgroepen"),
    "no guardian": (faults.ZeroRows(count=None), "presentis-verzorgers"),
}


def test_bad_nights_close_and_empty_nothing(nights: Nights) -> None:
    nights.night(3, 1)
    tables = ("leerling", "inschrijving", "groep", "groepsdeelname", "verzorger_relatie")
    before = {table: nights.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables}
    for number, (name, (fault, layout)) in enumerate(_BAD.items()):
        nights.sandbox.misbehave(msgspec.structs.replace(fault, query=f"Layout={layout}"))
        for day in (2, 3):  # what is missed twice would be gone
            nights.night(3, day + 2 * number)
        for table in tables:
            found = nights.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
            assert found == before[table], (name, table)
        nights.sandbox.behave()
    after = nights.night(3, 28)
    assert (after.outcome, dict(after.steps)) == (Outcome.DONE, {})


def test_forty_per_cent_of_the_pupils_close_nobody(nights: Nights) -> None:
    nights.sandbox.administration.next_year = False
    nights.night(3, 15)
    there = nights.open_pupils()
    fewer = faults.FewerRows(keep=0.4, count=None, query="Layout=presentis-leerlingen")
    nights.sandbox.misbehave(fewer)
    for day in (16, 17, 18):
        nights.night(3, day)
    assert nights.open_pupils() == there


def test_the_turn_of_the_schooljaar_doubles_and_loses_nobody(nights: Nights) -> None:
    nights.sandbox.administration.next_year = False
    assert nights.night(3, 15).outcome is Outcome.DONE
    now = nights.members("2627")
    nights.sandbox.administration.next_year = True
    spring = nights.night(5, 10)
    assert (spring.outcome, spring.held) == (Outcome.DONE, 0)
    assert nights.members("2627") == now  # next year's groups change nothing of this one's
    assert nights.night(7, 31).steps == {}
    coming, there = nights.members("2728"), nights.open_pupils()
    leaving = there - {row["leer_id"] for row in nights.rows("presentis-leerlingen", "2728")}
    assert coming
    Changes(nights.sandbox.school).next_schooljaar()
    for day in (1, 2, 19):
        nights.night(8, day)
        assert nights.open_pupils() >= there  # nobody is closed while absence says nothing
        assert nights.members("2728") == coming
    after = nights.night(8, 21)
    assert (after.outcome, after.held) == (Outcome.DONE, 0)
    listed = {row["leer_id"] for row in nights.rows("presentis-leerlingen", "2728")}
    assert nights.open_pupils() & listed == listed
    assert not nights.open_pupils() & leaving
    assert nights.night(8, 22).steps == {}
    doubles = nights.query(
        "SELECT leerling_id FROM inschrijving WHERE schooljaar = '2027/2028' "
        "GROUP BY leerling_id, vestiging_id, geldig_van HAVING COUNT(*) > 1"
    )
    assert doubles == []


def test_a_school_that_installs_the_lists_later_keeps_its_pupils(nights: Nights) -> None:
    nights.configure(mode="functions")
    assert nights.night(3, 15).outcome is Outcome.DONE
    ids = nights.query("SELECT id, achternaam FROM leerling ORDER BY id")
    assert len(ids) > PUPILS / 2
    nights.configure(mode="layouts")
    nights.night(3, 16)
    nights.night(3, 17)
    kept = nights.query(
        "SELECT p.id, p.achternaam FROM leerling p WHERE p.id <= ? ORDER BY id", ids[-1][0]
    )
    assert kept == ids
    numbers = nights.query(
        "SELECT COUNT(*), COUNT(DISTINCT core_id) FROM link WHERE entity = 'leerling' "
        "AND source_key NOT LIKE 'stamnr:%'"
    )
    assert (
        numbers[0][0]
        == numbers[0][1]
        == len({row["leer_id"] for row in nights.rows("presentis-leerlingen")})
    )
