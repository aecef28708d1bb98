"""A school whose Magister is read over SCIM: pupils by account, and nothing that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.clock import FixedClock
from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox import faults
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.changes import Changes
from fixtures.school.edexml import Telling
from fixtures.school.plan import plan_school
from fixtures.school.population import Leerling
from fixtures.school.school import School, Selection
from mappings.canonical.fields import Entity
from sync_engine.hub import Hub
from sync_engine.options import Kind, Options
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import run
from sync_engine.store.work import Row
from tests.support.template import sqlite_template

START = datetime(2026, 11, 3, 1, 15, tzinfo=UTC)

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
name = "accounts"
system = "magister"
tenant = "bestuur"
[source.options]
mode = "scim"
scim_url = "SCIM_URL"
token_url = "TOKEN_URL"
client_id = "CLIENT_ID"
client_secret = { env = "SCIM_SECRET" }
per_second = 0
numbers_of = "lijsten"
[[source]]
name = "lijsten"
system = "magister"
tenant = "bestuur"
resources = ["leerling"]
[source.options]
base_url = "BASE_URL"
username = "koppelhub"
password = { env = "LIJSTEN_SECRET" }
per_second = 0
[[source]]
name = "uwlr"
system = "uwlr"
tenant = "bestuur"
resources = ["leerling"]
keys_of = "accounts"
unmatched = "ignore"
drop = ["leerling.jaargroep", "leerling.instroomdatum", "leerling.uitstroomdatum"]
[source.options]
endpoint = "ENDPOINT"
autorisatiesleutel = { env = "UWLR_SLEUTEL" }
klantcode = { env = "UWLR_KLANTCODE" }
klantnaam = "KLANTNAAM"
vestigingen = "VESTIGINGEN"
per_second = 0
"""


@dataclass
class Accounts:
    """One hub over one Magister."""

    hub: Hub
    clock: FixedClock
    sandbox: MagisterSandbox
    uwlr: UwlrSandbox

    def night(self, name: str = "accounts") -> RunReport:
        """Let a day go by, and read."""
        self.clock.advance(timedelta(days=1))
        return run(self.hub, name, Options())

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def pupils(self) -> list[Leerling]:
        """Who is at school today."""
        school = self.sandbox.school
        today = school.peil()._replace(selection=Selection.TODAY)
        return [
            key
            for vestiging in range(len(school.population.sizes))
            for key in school.keys("leerling", vestiging, peil=today, offset=0, amount=10**6)
            if isinstance(key, Leerling)
        ]

    def ids(self) -> set[str]:
        """The account ids of the pupils."""
        return {self.sandbox.magister.scim.user_id(key) for key in self.pupils()}


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    school, clock = School(plan_school(60)), FixedClock(START)
    telling = Telling(magister_keys=True)
    with (
        MagisterSandbox(school) as sandbox,
        UwlrSandbox(school, telling=telling, now=clock.now) as uwlr,
    ):
        monkeypatch.setenv("UWLR_SLEUTEL", uwlr.grant.sleutel)
        monkeypatch.setenv("UWLR_KLANTCODE", uwlr.grant.klantcode)
        monkeypatch.setenv("SCIM_SECRET", sandbox.client.client_secret)
        monkeypatch.setenv("LIJSTEN_SECRET", sandbox.account.password)
        text, vestigingen = _SETTINGS, range(len(school.population.sizes))
        for name, value in (
            ("SCIM_URL", sandbox.scim_base),
            ("BASE_URL", sandbox.base_url),
            ("TOKEN_URL", sandbox.token_url),
            ("CLIENT_ID", sandbox.client.client_id),
            ("ENDPOINT", uwlr.endpoint),
            ("KLANTNAAM", uwlr.grant.klantnaam),
            ("VESTIGINGEN", ", ".join(f"{school.plan.brin}{v + 1:02d}" for v in vestigingen)),
        ):
            text = text.replace(name, value)
        sqlite_template(tmp_path / "koppelhub.db")
        initialise(tmp_path, configuration=text)
        hub = Hub.open(Settings.load(tmp_path / "koppelhub.toml"), clock)
        yield Accounts(hub, clock, sandbox, uwlr)
        hub.close()


def test_every_pupil_comes_once_with_what_scim_says_and_no_more(accounts: Accounts) -> None:
    first = accounts.night()
    assert first.outcome is Outcome.DONE, first.error
    assert first.applied == {"leerling.create": len(accounts.pupils())}
    linked = {str(key) for (key,) in accounts.query("SELECT source_key FROM link")}
    assert linked == accounts.ids()
    told = accounts.query(
        "SELECT COUNT(achternaam), COUNT(roepnaam), COUNT(gebruikersnaam), COUNT(geboortedatum), "
        "COUNT(geslacht) FROM leerling"
    )
    assert told == [(len(linked),) * 3 + (0, 0)]
    others = [entity for entity in Entity if entity is not Entity.LEERLING]
    assert {str(e): accounts.query(f"SELECT COUNT(*) FROM {e}")[0][0] for e in others} == {
        str(e): 0 for e in others
    }


def test_an_unchanged_school_changes_nothing(accounts: Accounts) -> None:
    accounts.night()
    again = accounts.night()
    assert (again.outcome, again.applied) == (Outcome.DONE, {})


def test_a_name_that_changed_is_the_same_pupil(accounts: Accounts) -> None:
    accounts.night()
    school, (key, *_) = accounts.sandbox.school, accounts.pupils()
    Changes(school).patch(school.uuid_of("leerling", key), achternaam="Nieuwius")
    one = accounts.sandbox.magister.scim.user_id(key)
    looked = Options(kind=Kind.ONLY, resources=("gebruiker",), only=(one,))
    assert run(accounts.hub, "accounts", looked).applied == {"leerling.change": 1}
    assert accounts.night().applied == {}
    names = accounts.query("SELECT COUNT(*) FROM leerling WHERE achternaam = 'Nieuwius'")
    assert names == [(1,)]


def test_a_reading_that_is_not_whole_closes_nobody(accounts: Accounts) -> None:
    accounts.night()
    accounts.sandbox.misbehave(faults.ShortPage(path="/scim/Users", drop=5, count=None))
    for _ in range(3):
        report = accounts.night()
        assert (report.outcome, report.applied) == (Outcome.PARTIAL, {})


def test_who_has_no_account_any_more_is_closed_after_two_whole_readings(
    accounts: Accounts,
) -> None:
    accounts.night()
    Changes(accounts.sandbox.school).leave(accounts.pupils()[0])
    assert accounts.night().applied == {}
    assert accounts.night().applied == {"leerling.close": 1}


def test_beside_the_lists_of_the_same_school_nobody_is_doubled(accounts: Accounts) -> None:
    """A number without a birth date proves nothing: each pupil is a case, not a second pupil."""
    assert accounts.night("lijsten").outcome is Outcome.DONE
    known = accounts.query("SELECT COUNT(*) FROM leerling")
    report = accounts.night()
    assert report.cases == len(accounts.ids())
    assert report.applied == {}
    assert accounts.query("SELECT COUNT(*) FROM leerling") == known


def test_uwlr_brings_the_eck_id_to_the_pupil_of_the_same_user_id(accounts: Accounts) -> None:
    accounts.night()
    known = accounts.query("SELECT id FROM leerling ORDER BY id")
    report = accounts.night("uwlr")
    assert report.outcome is Outcome.DONE, report.error
    assert report.cases == 0
    assert accounts.query("SELECT id FROM leerling ORDER BY id") == known
    edexml = accounts.uwlr.uwlr.edexml
    with_one = {
        accounts.sandbox.magister.scim.user_id(key)
        for key in accounts.pupils()
        if edexml.eckid(key)
    }
    linked = accounts.query(
        "SELECT k.name, l.source_key FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
        "JOIN identificatie i ON i.eigenaar_id = l.core_id AND i.soort = 'eck_id' "
        "WHERE l.entity = 'leerling'"
    )
    assert with_one
    for koppeling in ("accounts", "uwlr"):
        assert {str(key) for name, key in linked if name == koppeling} == with_one
    assert accounts.night("uwlr").applied == {}
    assert accounts.night().applied == {}
