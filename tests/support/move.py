"""A school in Magister and in Somtoday at once, a hub, and a page that says what is typed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import config.clock
from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.changes import Changes
from fixtures.school.plan import SchoolPlan
from fixtures.school.school import School
from sync_engine.store.engine import Store
from sync_engine.store.work import Row
from tests.support.lines import START, PatientClock
from tests.support.shell import Said, run_cli
from tests.support.template import sqlite_template

PAGE = Path(__file__).parents[2] / "docs" / "school-move.md"
PASSWORD, SECRET = "MAGISTER_PASSWORD", "SOMTODAY_SECRET"
_HEAD = """
[database]
url = "sqlite:///koppelhub.db"
[keys]
file = "koppelhub.keys"
[[tenant]]
name = "demo"
title = "Demo"
[[tenant.school]]
brin = "99XX"
name = "School"
"""
_MAGISTER = """
[[source]]
name = "magister"
system = "magister"
tenant = "demo"
[source.options]
base_url = "BASE"
username = "USER"
password = { env = "MAGISTER_PASSWORD" }
per_second = "0"
"""
Ids = dict[str, set[int]]
DEELNAME = 1_000_000
"""A membership is the number of its groep times this, plus that of its member."""


@dataclass(frozen=True)
class Page:
    """The procedure, as it is written.

    Attributes:
        commands: heading → what is typed below it, in order.
        tables: heading → the TOML below it.
    """

    commands: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Page:
        """Parse docs/school-move.md."""
        found = cls()
        parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True):
            fences = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
            typed = [line for kind, body in fences if not kind for line in body.splitlines()]
            found.commands[heading] = typed
            found.tables[heading] = "".join(body for kind, body in fences if kind == "toml")
        return found


@dataclass
class Move:
    """One school in two systems, and its hub.

    Attributes:
        store: of the installation, to read in.
        typed: every command of the page that was typed.
    """

    folder: Path
    magister: MagisterSandbox
    somtoday: SomtodaySandbox
    clock: PatientClock
    store: Store
    page: Page = field(default_factory=Page.read)
    typed: list[str] = field(default_factory=list)

    @property
    def school(self) -> School:
        """The school behind both."""
        return self.magister.school

    @property
    def changes(self) -> Changes:
        """What the school does."""
        return Changes(self.school)

    # -- what ops does -----------------------------------------------------------------------------

    @property
    def magister_source(self) -> str:
        """The table of Magister's koppeling."""
        return _MAGISTER.replace("BASE", self.magister.base_url).replace(
            "USER", self.magister.account.user
        )

    @property
    def somtoday_source(self) -> str:
        """The table of Somtoday's koppeling, as the page has it, pointed at the sandbox."""
        text = self.page.tables["2. De nieuwe koppeling ernaast"].partition("[policy")[0]
        for told, here in (
            ("https://api.somtoday.nl/rest/v1", self.somtoday.api_base),
            ("https://inloggen.somtoday.nl/oauth2/token", self.somtoday.token_url),
            ("00000000-0000-4000-8000-000000009900", self.school.uuid),
        ):
            assert told in text
            text = text.replace(told, here)
        return text.replace("[source.options]", '[source.options]\nper_second = "0"')

    def order_of(self, heading: str) -> str:
        """The order of belief that the page gives there."""
        return "[policy" + self.page.tables[heading].partition("[policy")[2]

    def configure(self, *tables: str) -> None:
        """The configuration has these tables besides the first ones."""
        text = _HEAD + "".join(tables)
        (self.folder / "koppelhub.toml").write_text(text, encoding="utf-8")

    # -- what the helpdesk does --------------------------------------------------------------------

    def later(self, hours: float = 24) -> None:
        """Time goes by, at the school too."""
        self.clock.advance(timedelta(hours=hours))
        self.school.today = max(self.school.today, self.clock.now().date())

    def types(self, command: str, *, stdin: str = "", codes: tuple[int, ...] = (0,)) -> Said:
        """One command as it stands on the page; files land in the folder."""
        self.typed.append(command)
        words = shlex.split(command)[1:]
        words = [str(self.folder / w) if w.endswith(".csv") else w for w in words]
        said = self.shell(*words, stdin=stdin)
        assert said.code in codes, (command, said.code, said.out[-2000:], said.err[-2000:])
        return said

    def shell(self, *words: str, stdin: str = "") -> Said:
        """Any command."""
        return run_cli(*words, "--config", str(self.folder / "koppelhub.toml"), stdin=stdin)

    def sync(self, *names: str) -> list[Any]:
        """Run koppelingen one after another; their reports."""
        reports = []
        for name in names:
            said = self.shell("sync", "--source", name, "--json")
            assert said.code in {0, 1, 3}, said.out + said.err
            reports.append(json.loads(said.out))
        return reports

    # -- what is true ------------------------------------------------------------------------------

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.store.work() as work:
            return work.execute(sql, params)

    def there(self) -> Ids:
        """Who and what is there now: table → ids of the core that are not closed."""
        today = self.clock.now().date().isoformat()
        open_ = f"(geldig_tot IS NULL OR geldig_tot > '{today}')"
        tables = ("leerling", "verzorger", "verzorger_relatie", "medewerker", "groep")
        found = {
            table: {row[0] for row in self.query(f"SELECT id FROM {table} WHERE {open_}")}
            for table in (*tables, "inschrijving")
        }
        rows = self.query(
            "SELECT groep_id, persoon_id FROM groepsdeelname WHERE NOT beeindigd "
            "AND rol = 'leerling'"
        )
        found["deelname"] = {group * DEELNAME + person for group, person in rows}
        return found

    def doubles(self) -> list[Row]:
        """What stands twice: pupils, their guardians, inschrijvingen, groepen, staff."""
        return [
            *self.query(
                "SELECT 'leerling', achternaam, COUNT(*) FROM leerling WHERE geldig_tot IS NULL "
                "GROUP BY achternaam, roepnaam, voornamen, geboortedatum HAVING COUNT(*) > 1"
            ),
            *self.query(
                "SELECT 'inschrijving', leerling_id, COUNT(*) FROM inschrijving "
                "GROUP BY leerling_id, vestiging_id, schooljaar, geldig_van HAVING COUNT(*) > 1"
            ),
            *self.query(
                "SELECT 'verzorger', r.leerling_id, COUNT(*) FROM verzorger_relatie r "
                "JOIN verzorger v ON v.id = r.verzorger_id JOIN contactgegeven c "
                "ON c.eigenaar_id = v.id WHERE c.soort = 'mobiel' "
                "GROUP BY r.leerling_id, v.achternaam, c.waarde HAVING COUNT(*) > 1"
            ),
            *self.query(
                "SELECT 'groep', naam, COUNT(*) FROM groep "
                "GROUP BY vestiging_id, schooljaar, soort, naam HAVING COUNT(*) > 1"
            ),
            *self.query(
                "SELECT 'medewerker', achternaam, COUNT(*) FROM medewerker "
                "GROUP BY achternaam, roepnaam, afkorting HAVING COUNT(*) > 1"
            ),
        ]

    def pupil(self, number: str) -> tuple[str, str | None]:
        """(hub key, last day) of the one pupil with this leerlingnummer."""
        said = self.shell("explain", "leerling", "-", "--json", stdin=f"{number}\n")
        (answer,) = said.data
        return str(answer["key"]), answer["explanation"]["closed"]


@contextmanager
def moving(folder: Path, patch: pytest.MonkeyPatch, plan: SchoolPlan) -> Iterator[Move]:
    """A school that both systems hold, and an installation that knows neither."""
    school = School(plan)
    school.today = date(2026, 11, 2)
    with MagisterSandbox(school) as magister, SomtodaySandbox(school) as somtoday:
        patch.setenv(PASSWORD, magister.account.password)
        patch.setenv(SECRET, somtoday.credentials.client_secret)
        clock = PatientClock(START)
        patch.setattr(config.clock, "SystemClock", lambda: clock)
        magister.now = somtoday.now = clock.now
        sqlite_template(folder / "koppelhub.db")
        initialise(folder, configuration=_HEAD)
        store = Store.open(Settings.load(folder / "koppelhub.toml").database.resolve())
        with closing(store):
            yield Move(folder, magister, somtoday, clock, store)
