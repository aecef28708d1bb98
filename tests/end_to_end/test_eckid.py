"""A school on Magister gets its ECK iDs: through the command line, the lists and the facility.

Hashes cost N=16 here: the facility cannot see what a hash was made of, and hashing itself is proven
in tests/unit/connectors/test_eckid_hashing.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any, Final

import pytest

import config.clock
import console.arguments
import console.commands.eckid
from config.clock import FixedClock
from config.settings import Settings
from connectors.eckid.connector import EckIdFactory
from connectors.eckid.hashing import PUBLISHED_SALT, Hasher
from console.setup import initialise
from fixtures.sandbox.eckid import EckIdSandbox
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.school.changes import Changes
from fixtures.school.keys import synthetic_bsn
from fixtures.school.plan import plan_school
from fixtures.school.population import Leerling
from fixtures.school.school import School
from sector.identifiers import Bsn, Onderwijsnummer
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.store.work import Row
from tests.support.shell import Said, run_cli

START: Final = datetime(2026, 11, 30, 1, 15, tzinfo=UTC)
PUPILS: Final = 30
SCHOOL: Final = "99XX"
_SETTINGS: Final = """
[database]
url = "URL"
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
per_second = "0"
"""
_PURPOSE: Final = """
[[source.pgn]]
purpose = "eckid"
legal_basis = "Regeling pseudonimisering onderwijsdeelnemers"
agreed_on = 2026-08-01
"""
_ECK: Final = """
[[source]]
name = "eck"
system = "eckid"
tenant = "bestuur"
"""


@dataclass
class Town:
    """One school, its Magister, the facility and the command line of its hub."""

    folder: Path
    url: str
    clock: FixedClock
    magister: MagisterSandbox
    facility: EckIdSandbox
    patch: pytest.MonkeyPatch

    def configure(self, *, teller: bool = True, eck: bool = True, **options: str) -> None:
        """Write the configuration; from the next command on it counts."""
        text = self.text(teller=teller, eck=eck, **options)
        (self.folder / "koppelhub.toml").write_text(text, encoding="utf-8")

    def text(self, *, teller: bool = True, eck: bool = True, **options: str) -> str:
        """The configuration."""
        text = _SETTINGS.replace("URL", self.url).replace("BASE", self.magister.base_url)
        text = text.replace("USER", self.magister.account.user)
        text = text.replace("PGN", _PURPOSE if teller else "")
        if eck:
            given = {**self.facility.options, "per_second": "0", "hash_threads": "1", **options}
            self.patch.setenv("ECK_SALT", given.pop("salt"))
            listed = "".join(f'{name} = "{value}"\n' for name, value in given.items())
            text += _ECK + _PURPOSE + f'[source.options]\nsalt = {{ env = "ECK_SALT" }}\n{listed}'
        return text

    def __call__(self, *arguments: str, who: str = "els", stdin: str = "") -> Said:
        """One command, by a person."""
        for module in (console.arguments, console.commands.eckid):
            self.patch.setattr(module, "operator_name", lambda: who)
        config_file = str(self.folder / "koppelhub.toml")
        return run_cli(*arguments, "--config", config_file, stdin=stdin)

    def read(self) -> None:
        """The administration is read."""
        self.clock.advance(timedelta(hours=1))
        said = self("sync", "--source", "las")
        assert said.code == 0, said.out

    def status(self) -> Any:
        """How the school stands."""
        return self("eckid", "status", "--school", SCHOOL, "--json").data

    def counts(self, name: str) -> int:
        """One count over all vestigingen."""
        return sum(place["standing"][name] for place in self.status()["places"])

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        hub = Hub.open(Settings.load(self.folder / "koppelhub.toml"), self.clock)
        try:
            with hub.store.work() as work:
                return work.execute(sql, params)
        finally:
            hub.close()

    def numbers(self) -> dict[str, str]:
        """leer_id → PGN, of those who have one."""
        rows = self.magister.magister.layouts.rows("presentis-pgn")
        return {row["leer_id"]: row["bsn"] or row["onderwijsnummer"] for row in rows}

    def truth(self, number: str) -> str:
        """What the facility has for a PGN."""
        pgn = Bsn(number) if number[0] == "9" else Onderwijsnummer(number)
        hpgn = Hasher(PUBLISHED_SALT, 16).hash_one(pgn).reveal()
        facility, options = self.facility.facility, self.facility.options
        stam = facility.stampseudoniem(hpgn)
        return facility.eck_id(stam, options["keten"], options["sector"])

    def obtained(self) -> dict[str, str]:
        """leer_id → ECK iD, as the core has it."""
        hub = Hub.open(Settings.load(self.folder / "koppelhub.toml"), self.clock)
        try:
            with hub.store.work() as work:
                rows = work.execute(
                    "SELECT l.source_key, i.eigenaar_id, i.waarde, s.salt FROM identificatie i "
                    "JOIN core_salt s ON s.core_id = i.eigenaar_id "
                    "JOIN link l ON l.core_id = i.eigenaar_id "
                    "JOIN koppeling k ON k.id = l.koppeling_id AND k.name = 'las' "
                    "WHERE i.soort = 'eck_id' AND i.herkomst = 'verkregen'"
                )
            cipher = hub.cipher(1)
            return {
                key: cipher.person(bytes(salt))
                .decrypt(bytes(blob), b"identificatie|%d|eck_id" % owner)
                .decode()
                for key, owner, blob, salt in rows
            }
        finally:
            hub.close()

    def key(self, leer_id: str) -> str:
        """Hub key of a pupil of Magister."""
        ((core,),) = self.query(
            "SELECT core_id FROM link WHERE entity = 'leerling' AND source_key = ?", leer_id
        )
        return hub_key(core)

    def give(self, leer_id: str, number: str) -> None:
        """Magister has another BSN for a pupil from now on."""
        school, layouts = self.magister.school, self.magister.magister.layouts
        for vestiging in range(len(school.population.sizes)):
            for key in school.keys("leerling", vestiging, peil=school.peil(), offset=0, amount=999):
                assert isinstance(key, Leerling)
                if str(layouts.numbers.leerling(key)) == leer_id:
                    record = layouts.records.leerling(key, vestiging, peil=school.peil())
                    Changes(school).patch(str(record["uuid"]), BSN=number)
                    return
        raise AssertionError(leer_id)


ON_SQLITE: Final = pytest.mark.parametrize("ready_url", ["sqlite"], indirect=True)
"""Where databases differ in nothing that is looked at."""


@pytest.fixture
def town(ready_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    clock = FixedClock(START)
    connect = EckIdFactory.connect
    monkeypatch.setattr(EckIdFactory, "connect", partialmethod(connect, cost=16))
    monkeypatch.setattr(config.clock, "SystemClock", lambda: clock)
    school = School(plan_school(PUPILS))
    with MagisterSandbox(school) as magister, EckIdSandbox(tmp_path, now=clock.now) as facility:
        school.today = START.date()
        monkeypatch.setenv("LAS_PASSWORD", magister.account.password)
        made = Town(tmp_path, ready_url, clock, magister, facility, monkeypatch)
        initialise(tmp_path, configuration=made.text(eck=False, teller=False))
        yield made


def test_a_school_on_magister_gets_its_eck_ids(town: Town) -> None:
    town.read()
    said = town("eckid", "status", "--school", SCHOOL)
    assert said.code == 1
    assert 'system = "eckid"' in said.out
    assert "presentis-pgn" in said.out

    town.configure()
    town.read()
    way = town("onboarding").out
    assert "adopt --source eck" not in way
    assert 'source live eck --schedule "30 4 * * *"' in way  # after the administration
    before = town.status()
    assert before["missing"] == []
    without = before["leerlingen"] - len(town.numbers())
    assert (before["without"], town.counts("without_pgn")) == (before["leerlingen"], without)
    assert (town.counts("obtained"), without > 0) == (0, True)
    lacking = town.counts("lacking")  # who is at two vestigingen counts at each

    said = town("eckid", "obtain", "--school", SCHOOL)
    assert said.code == 0, said.out
    expected = {leer_id: town.truth(number) for leer_id, number in town.numbers().items()}
    assert town.obtained() == expected
    after = town("eckid", "status", "--school", SCHOOL)
    assert after.code == 1
    assert "niet verkrijgbaar: geen PGN" in after.out
    assert (town.counts("obtained"), town.counts("lacking")) == (lacking, 0)
    report = town("report", "weekly", "--school", SCHOOL, "--json").data
    assert (report["leerlingen"], report["without_eck_id"]) == (before["leerlingen"], without)
    verified = town("eckid", "verify", "--school", SCHOOL, "--json")
    assert verified.code == 0
    assert sum(place["found"]["equal"] for place in verified.data) == lacking

    # nothing more is asked of anybody
    asked = town.facility.facility.counts.hpgns.copy()
    town.clock.advance(timedelta(hours=1))
    again = town("sync", "--source", "eck", "--json").data
    assert (again["outcome"], again["applied"], again["steps"]) == ("done", {}, {})
    assert town.facility.facility.counts.hpgns == asked
    trail = town.query("SELECT operator, action, subject FROM audit WHERE action LIKE 'eckid%'")
    assert ("els", "eckid obtain", SCHOOL) in trail
    assert ("els", "eckid verify", SCHOOL) in trail
    looks = town.query("SELECT operator, why FROM audit WHERE action = 'pgn'")
    assert {row[0] for row in looks} == {"els"}
    assert not any(number in str(looks) for number in town.numbers().values())


@ON_SQLITE
def test_a_pupil_whose_number_changed_keeps_his_eck_id(town: Town) -> None:
    town.configure()
    town.read()
    assert town("eckid", "obtain", "--school", SCHOOL).code == 0
    leer_id, number = next((k, n) for k, n in town.numbers().items() if n[0] == "9")
    eck_id = town.obtained()[leer_id]
    town.give(leer_id, synthetic_bsn(4_000_001))
    assert town.numbers()[leer_id] != number
    town.read()
    assert town("sync", "--source", "eck").code == 1
    assert town.obtained()[leer_id] == eck_id
    (case,) = town("case", "list", "--source", "eck", "--json").data["cases"]
    key = town.key(leer_id)
    assert (case["kind"], case["source_key"]) == ("quarantine", key)

    replace = ("eckid", "replace", "-", "--why", "BSN verbeterd door de school")
    assert town(*replace, stdin=f"{key}\n").code == 0
    assert town("eckid", "approve", key, "--yes").code == 4  # he proposed it himself
    assert key in town("eckid", "replacements", who="piet").out
    waiting = town("todo", "--school", SCHOOL, "--json").data["items"]
    assert "replacement" in {item["kind"] for item in waiting}
    said = town("eckid", "approve", key, who="piet", stdin="j\n")
    assert said.code == 0, said.out + said.err
    assert "uitgevoerd" in said.out
    done = town("sync", "--source", "eck", "--json").data
    assert (done["outcome"], done["quarantine"]) == ("done", 0)
    assert town.obtained()[leer_id] == eck_id == town.truth(synthetic_bsn(4_000_001))
    assert town("case", "list", "--source", "eck", "--json").data["cases"] == []
    assert town("audit", "verify").code == 0


@ON_SQLITE
def test_one_pupil_is_obtained_alone(town: Town) -> None:
    town.configure()
    town.read()
    leer_id, number = next(iter(town.numbers().items()))
    key = town.key(leer_id)
    said = town("eckid", "obtain", "--school", SCHOOL, "--pupil", key)
    assert said.code == 0, said.out
    assert town.obtained() == {leer_id: town.truth(number)}
    verified = town("eckid", "verify", "--school", SCHOOL, "--pupil", key, "--json").data
    assert sum(place["found"]["asked"] for place in verified) == 1
    assert sum(place["found"]["equal"] for place in verified) == 1
    rest = town("sync", "--source", "eck", "--json").data
    assert rest["applied"] == {"leerling.change": len(town.numbers()) - 1}
