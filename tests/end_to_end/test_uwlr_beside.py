"""ECK iDs through a second koppeling: an administration that gives none, and UWLR beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.clock import FixedClock
from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.changes import Changes
from fixtures.school.edexml import LVS, Telling
from fixtures.school.plan import NARROW, WIDE, Rights, plan_school
from fixtures.school.population import Leerling
from fixtures.school.school import School
from sync_engine.alike import alike_cases
from sync_engine.hub import Hub
from sync_engine.outcome import Outcome, RunReport
from sync_engine.runs import Kind, Options, run
from sync_engine.store.work import Row
from tests.support.coredump import core_dump, differences
from tests.support.template import sqlite_template
from tests.support.uwlr import tell

START = datetime(2026, 11, 2, 1, 15, tzinfo=UTC)
LAS, UWLR = "las", "uwlr"

_DROP = 'drop = ["leerling.jaargroep", "leerling.instroomdatum", "leerling.uitstroomdatum"]'
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
system = "somtoday"
tenant = "bestuur"
resources = ["instelling", "vestiging", "medewerker", "leerling", "stamgroep", "lesgroep"]
[source.options]
api_base = "API_BASE"
token_url = "TOKEN_URL"
organisation = "ORGANISATION"
client_id = "CLIENT_ID"
client_secret = { env = "LAS_SECRET" }
volgend = "false"
per_second = 0
[[source]]
name = "uwlr"
system = "uwlr"
tenant = "bestuur"
DROP
BESIDE
[source.options]
endpoint = "ENDPOINT"
autorisatiesleutel = { env = "UWLR_SLEUTEL" }
klantcode = { env = "UWLR_KLANTCODE" }
klantnaam = "KLANTNAAM"
vestigingen = "99XX01, 99XX02"
profiel = "PROFIEL"
xsdversie = "VERSION"
per_second = 0
[policy.authority.order]
"*" = ["las", "uwlr"]
"""


@dataclass
class Beside:
    """One hub over Somtoday and UWLR, which tell of one school."""

    hub: Hub
    clock: FixedClock
    uwlr: UwlrSandbox

    @property
    def school(self) -> School:
        """The school behind both."""
        return self.uwlr.school

    def sync(self, name: str, kind: Kind = Kind.FULL) -> RunReport:
        """Run one koppeling, some seconds later."""
        self.clock.advance(timedelta(minutes=1))
        return run(self.hub, name, Options(kind=kind))

    def night(self) -> None:
        """Let a day go by."""
        self.clock.advance(timedelta(days=1))

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def counts(self) -> dict[str, int]:
        """How many records of each entity there are, and how many are not closed."""
        found = {}
        for entity in ("leerling", "medewerker", "vestiging", "groep", "inschrijving"):
            ((found[entity],),) = self.query(f"SELECT COUNT(*) FROM {entity}")
        return found

    def eck_ids(self) -> int:
        """Pupils with an ECK iD in the core."""
        ((count,),) = self.query(
            "SELECT COUNT(*) FROM identificatie i JOIN leerling l ON l.id = i.eigenaar_id "
            "WHERE i.soort = 'eck_id'"
        )
        return int(count)

    def pairs(self) -> list[tuple[str, str]]:
        """Somtoday's key and UWLR's key of every pupil that both know."""
        return [
            (one, other)
            for one, other in self.query(
                "SELECT a.source_key, b.source_key FROM link a JOIN link b "
                "ON b.core_id = a.core_id AND b.entity = a.entity "
                "JOIN koppeling ka ON ka.id = a.koppeling_id "
                "JOIN koppeling kb ON kb.id = b.koppeling_id "
                "WHERE a.entity = 'leerling' AND ka.name = ? AND kb.name = ?",
                LAS,
                UWLR,
            )
        ]

    def told(self) -> dict[str, str]:
        """Somtoday's key of every pupil → the key that UWLR has for that same pupil."""
        school, edexml = self.school, self.uwlr.uwlr.edexml
        found = {}
        with school.lock:
            for vestiging in (0, 1):
                peil = school.peil("HUIDIG")
                for key in school.keys("leerling", vestiging, peil=peil, offset=0, amount=999):
                    assert isinstance(key, Leerling)
                    las = edexml.person_key("leerling", key, self.uwlr.uwlr.telling)
                    found[school.uuid_of("leerling", key)] = las
        return found


Maker = Callable[..., Beside]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """Makes a hub over both, of a school that shares what `rights` leave."""
    opened: list[Hub] = []
    servers: list[SomtodaySandbox | UwlrSandbox] = []

    def build(
        *,
        rights: Rights = NARROW,
        telling: Telling | None = None,
        beside: str = "",
        version: str = "2.2",
        drop: str = _DROP,
    ) -> Beside:
        school, clock = School(plan_school(40, rights=(rights,))), FixedClock(START)
        somtoday = SomtodaySandbox(school).start()
        told = telling or Telling()
        uwlr = UwlrSandbox(school, telling=told, now=clock.now).start()
        servers.extend((somtoday, uwlr))
        monkeypatch.setenv("LAS_SECRET", somtoday.credentials.client_secret)
        monkeypatch.setenv("UWLR_SLEUTEL", uwlr.grant.sleutel)
        monkeypatch.setenv("UWLR_KLANTCODE", uwlr.grant.klantcode)
        text = _SETTINGS
        for name, value in {
            "API_BASE": somtoday.api_base,
            "TOKEN_URL": somtoday.token_url,
            "ORGANISATION": school.uuid,
            "CLIENT_ID": somtoday.credentials.client_id,
            "ENDPOINT": uwlr.endpoint,
            "KLANTNAAM": uwlr.grant.klantnaam,
            "PROFIEL": told.profile,
            "VERSION": version,
            "BESIDE": beside,
            "DROP": drop,
        }.items():
            text = text.replace(name, value)
        sqlite_template(tmp_path / "hub" / "koppelhub.db")
        initialise(tmp_path / "hub", configuration=text)
        hub = Hub.open(Settings.load(tmp_path / "hub" / "koppelhub.toml"), clock)
        opened.append(hub)
        return Beside(hub, clock, uwlr)

    yield build
    for hub in opened:
        hub.close()
    for server in servers:
        server.stop()
    assert [error for server in servers for error in server.failures] == []


SAME_KEYS = 'keys_of = "las"'
ONLY_ADDS = 'unmatched = "ignore"'


def test_an_eck_id_lands_on_the_pupil_whose_key_is_the_same(make: Maker) -> None:
    beside = make(telling=Telling(shared_keys=True), beside=SAME_KEYS)
    assert beside.sync(LAS).outcome is Outcome.DONE
    before = beside.counts()
    assert beside.eck_ids() == 0
    report = beside.sync(UWLR)
    assert report.outcome is Outcome.DONE, report.error
    assert beside.counts() == before  # nobody doubled: no pupil, member of staff, school or group
    pairs = beside.pairs()
    assert len(pairs) == len(beside.told())
    assert all(one == other for one, other in pairs)
    edexml, peil = beside.uwlr.uwlr.edexml, beside.school.peil("HUIDIG")
    with_one = {
        key
        for v in (0, 1)
        for key in beside.school.keys("leerling", v, peil=peil, offset=0, amount=999)
        if isinstance(key, Leerling) and edexml.eckid(key)
    }
    assert beside.eck_ids() == len(with_one)
    assert report.cases == 0


def test_the_nights_after_change_nothing(make: Maker) -> None:
    beside = make(telling=Telling(shared_keys=True), beside=SAME_KEYS)
    beside.sync(LAS)
    beside.sync(UWLR)
    before = core_dump(beside.hub)
    for _ in range(2):
        beside.night()
        assert beside.sync(LAS).steps == {}
        report = beside.sync(UWLR)
        assert (report.outcome, report.steps) == (Outcome.DONE, {})
    assert differences(before, core_dump(beside.hub)) == {}


def test_the_order_of_the_two_does_not_matter(make: Maker) -> None:
    beside = make(telling=Telling(shared_keys=True), beside=SAME_KEYS)
    beside.sync(UWLR)
    assert beside.eck_ids() > 0
    beside.sync(LAS)
    ((pupils,),) = beside.query("SELECT COUNT(*) FROM leerling")
    assert pupils == len(beside.told()) == len(beside.pairs())


def test_without_a_common_key_nobody_is_guessed_and_nobody_doubled(make: Maker) -> None:
    beside = make(telling=Telling(), beside=ONLY_ADDS, version="2.3")  # no birth date either
    beside.sync(LAS)
    before = beside.counts()
    report = beside.sync(UWLR)
    assert beside.counts() == before
    assert (beside.eck_ids(), report.cases, beside.pairs()) == (0, 0, [])


def test_who_agrees_in_name_and_birth_date_alone_is_a_case(make: Maker) -> None:
    beside = make(telling=Telling(profile=LVS), beside=ONLY_ADDS)
    beside.sync(LAS)
    before = beside.counts()["leerling"]
    report = beside.sync(UWLR)
    assert beside.counts()["leerling"] == before
    assert report.cases >= len(beside.told()) * 0.9  # one for each: a person says who it is
    assert beside.eck_ids() == 0


def test_hundreds_of_such_cases_are_answered_at_once(make: Maker) -> None:
    beside = make(telling=Telling(profile=LVS), beside=ONLY_ADDS)
    beside.sync(LAS)
    before = beside.counts()
    cases = beside.sync(UWLR).cases
    found = alike_cases(beside.hub, UWLR, "leerling")
    assert len(found.cases) >= cases * 0.8
    decided = Options(kind=Kind.DECIDE, alike=found.cases, operator="proef", why="UWLR ernaast")
    assert run(beside.hub, UWLR, decided).outcome is Outcome.DONE
    told, pairs = beside.told(), dict(beside.pairs())
    assert len(pairs) == len(found.cases)
    assert all(told[one] == other for one, other in pairs.items())
    beside.night()
    beside.sync(UWLR)
    assert beside.counts() == before
    assert beside.eck_ids() >= len(pairs) * 0.9


def test_equal_eck_ids_make_one_pupil_without_anything_said(make: Maker) -> None:
    beside = make(rights=WIDE)
    beside.sync(LAS)
    before = beside.eck_ids()
    beside.sync(UWLR)
    told = beside.told()
    pairs = dict(beside.pairs())
    assert len(pairs) >= before  # everybody who has an ECK iD
    assert all(told[one] == other for one, other in pairs.items())


# -- UWLR alone ------------------------------------------------------------------------------------


def test_a_school_that_goes_over_to_eck_ids_doubles_nobody(make: Maker) -> None:
    beside = make(version="2.3", drop="")
    beside.sync(UWLR)
    before = beside.counts()
    assert before["inschrijving"] >= before["leerling"]
    tell(beside.uwlr, keyless=True)  # from now on 2.3 without keys
    for _ in range(3):
        beside.night()
        report = beside.sync(UWLR)
        now = beside.counts()
        assert {**now, "inschrijving": 0} == {**before, "inschrijving": 0}, report.outcome
        ((closed,),) = beside.query("SELECT COUNT(*) FROM leerling WHERE geldig_tot IS NOT NULL")
        assert closed == 0
    # nothing tells that two placements of one koppeling are one: a person ends the old ones at once
    assert report.steps == {"inschrijving.close": report.held}
    approved = Options(kind=Kind.APPLY, approved=report.plan_id, operator="proef")
    assert run(beside.hub, UWLR, approved).outcome is Outcome.DONE
    still_open = "SELECT COUNT(*) FROM inschrijving WHERE geldig_tot IS NULL"
    assert beside.query(still_open) == [(before["inschrijving"],)]
    plain = "SELECT COUNT(*) FROM {} WHERE source_key LIKE '%ketenid%'"
    for table in ("source_record", "shadow", "link"):
        assert beside.query(plain.format(table)) == [(0,)]
    assert {reading.state for reading in report.readings} == {"complete"}
    report = beside.sync(UWLR)
    assert (report.outcome, report.steps) == (Outcome.DONE, {})


def test_a_day_without_changes_asks_one_question_and_says_so(make: Maker) -> None:
    beside = make()
    beside.sync(UWLR)
    beside.uwlr.forget_requests()
    beside.clock.advance(timedelta(hours=8))
    report = beside.sync(UWLR, Kind.DELTA)
    assert report.outcome is Outcome.DONE, [r.reason for r in report.readings]
    assert {reading.state for reading in report.readings} == {"delta"}
    assert len(beside.uwlr.requests) == 2  # one for each vestiging
    assert report.steps == {}


def test_a_change_by_day_is_read_whole_and_closes_nobody(make: Maker) -> None:
    beside = make()
    beside.sync(UWLR)
    school = beside.school
    one, other = school.keys("leerling", 0, peil=school.peil("HUIDIG"), offset=1, amount=2)
    changes = Changes(school)
    changes.patch(school.uuid_of("leerling", one), roepnaam="Anders")
    assert isinstance(other, Leerling)
    changes.leave(other, vestiging=0)
    beside.clock.advance(timedelta(hours=8))
    report = beside.sync(UWLR, Kind.DELTA)
    assert report.steps["leerling.change"] == 1
    assert "leerling.close" not in report.steps  # missing once is not gone
    beside.night()
    assert beside.sync(UWLR).steps["leerling.close"] == 1


def test_no_data_closes_nobody(make: Maker) -> None:
    beside = make()
    beside.sync(UWLR)
    before = core_dump(beside.hub)
    beside.uwlr.uwlr.school.year = 4  # the administration is in another year
    for _ in range(3):
        beside.night()
        report = beside.sync(UWLR)
        assert report.outcome is Outcome.FAILED  # nothing was read
        assert any("niets te leveren" in reading.advice for reading in report.readings)
    assert differences(before, core_dump(beside.hub)) == {}
