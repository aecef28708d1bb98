"""A school with its Somtoday, its hub and a helpdesk: what stories of the helpdesk are told with.

What the school does goes through `changes` and `mistakes`; what the helpdesk does is typed. An
installation is loaded once and copied for every story.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import config.clock
from config.clock import local_date
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.changes import Changes
from fixtures.school.mistakes import Mistakes
from fixtures.school.plan import NARROW, Rights, SchoolPlan, plan_school
from fixtures.school.population import Leerling, Verzorger
from fixtures.school.school import School
from sync_engine.hubkeys import hub_key, read_hub_key
from tests.support.coredump import CoreDump, core_dump, differences
from tests.support.lines import SECRET, Line, configuration, new_line, open_line
from tests.support.shell import Said, Shell

PUPILS = 40
PGN = """
[[source.pgn]]
purpose = "rod"
legal_basis = "WVO 2020, artikel 8.1"
agreed_on = 2026-08-01
"""
SHARES_BSN = Rights({"leerlingen": frozenset({"bankgegevens"})})
WITH_BSN = plan_school(PUPILS, rights=(SHARES_BSN, NARROW))

Row = dict[str, Any]


@dataclass
class Story:
    """One school and its helpdesk.

    Attributes:
        school: what the school does.
    """

    shell: Shell
    changes: Changes = field(init=False)
    mistakes: Mistakes = field(init=False)

    def __post_init__(self) -> None:
        self.changes = Changes(self.school)
        self.mistakes = Mistakes(self.school)

    @property
    def line(self) -> Line:
        """The installation, its sandbox and its clock."""
        return self.shell.line

    @property
    def school(self) -> School:
        """The school behind Somtoday."""
        return self.line.school

    # -- who -------------------------------------------------------------------------------------

    def child(self, place: int, vestiging: int = 0) -> Leerling:
        """The child at that place of the untouched school."""
        return self.school.population.leerling(vestiging, place, year=0)

    def uuid(self, person: Leerling | Verzorger) -> str:
        """Somtoday's key of the record of a child or a guardian."""
        return self.mistakes.uuid(person)

    def number(self, child: Leerling) -> str:
        """The leerlingnummer that Somtoday shows."""
        return str(self.mistakes.shown(child)["leerlingnummer"])

    def later(self, **duration: float) -> None:
        """Time goes by, at the school too."""
        self.line.later(**duration)
        self.school.today = max(self.school.today, local_date(self.line.clock.now()))

    # -- what the helpdesk does ------------------------------------------------------------------

    def night(self, hours: float = 24) -> Row:
        """Time goes by, and the nightly run runs. Returns its report."""
        self.later(hours=hours)
        report: Row = self.shell.report()
        return report

    def nights(self, count: int) -> Row:
        """As many nights. Returns the last report."""
        return [self.night() for _ in range(count)][-1]

    def types(self, *words: str, stdin: str = "") -> Said:
        """A command that does what it is asked for."""
        said = self.shell(*words, stdin=stdin)
        assert said.code == 0, said.out + said.err
        return said

    def offered(self, case: int) -> list[list[str]]:
        """The decisions that `case show` offers: the words of each command."""
        choices = self.asks("case", "show", str(case))["choices"]
        commands = [shlex.split(choice["command"])[1:] for choice in choices]
        return [words for words in commands if words[1] not in {"assign", "note"}]

    def asks(self, *words: str, stdin: str = "") -> Any:
        """The JSON that a command answers with."""
        said = self.shell(*words, "--json", stdin=stdin)
        assert said.code in {0, 1, 3}, said.out + said.err
        return said.data

    def hub_key(self, number: str) -> str:
        """The hub's key of the one pupil with this leerlingnummer, as `explain` tells it."""
        (answer,) = self.asks("explain", "leerling", "-", stdin=f"{number}\n")
        return str(answer["key"])

    def told(self, key: str, name: str) -> Row:
        """What `explain` says of one field of a pupil."""
        (answer,) = self.asks("explain", "leerling", "-", "--field", name, stdin=f"{key}\n")
        (reason,) = answer["explanation"]["fields"]
        return dict(reason)

    def before(self, key: str, name: str) -> list[Any]:
        """The earlier values of a field of a pupil, oldest first, as `explain` tells them."""
        found = []
        for change in self.told(key, name)["history"][1:]:
            was = change["before"]
            found.append(was.get("waarde", was) if isinstance(was, dict) else was)
        return found

    def cases(self, *options: str) -> list[Row]:
        """The open cases, oldest first, as `case list` tells them."""
        found: list[Row] = self.asks("case", "list", *options)["cases"]
        return found

    # -- what is true ----------------------------------------------------------------------------

    def core(self) -> CoreDump:
        """The core, told by source keys."""
        return core_dump(self.line.hub)

    def calm(self) -> None:
        """A further run, also when absences would be confirmed, changes nothing."""
        before = self.core()
        for _ in range(2):
            done = self.night(8)["applied"]
            assert done == {}, done
        differ = differences(before, self.core())
        assert differ == {}, differ

    def core_id(self, key: str) -> int:
        """The number that the core has for a key of the hub."""
        number = read_hub_key(key)
        assert number is not None
        return number

    def links(self, key: str, entity: str = "leerling") -> list[str]:
        """Somtoday's keys of the records that one record of the core is, in order."""
        rows = self.line.query(
            "SELECT source_key FROM link WHERE entity = ? AND core_id = ? ORDER BY source_key",
            entity,
            self.core_id(key),
        )
        return [row[0] for row in rows]

    def key_of(self, uuid: str, entity: str = "leerling") -> str | None:
        """The hub's key of what a record of Somtoday is linked to."""
        rows = self.line.query(
            "SELECT core_id FROM link WHERE entity = ? AND source_key = ?", entity, uuid
        )
        return hub_key(rows[0][0]) if rows else None

    def row(self, table: str, key: str) -> Row:
        """One record of the core."""
        (row,) = self.rows(table, "id = ?", self.core_id(key))
        return row

    def rows(self, table: str, where: str = "1 = 1", *params: object) -> list[Row]:
        """Records of a table or view of the core."""
        names = self._columns(table)
        rows = self.line.query(
            f"SELECT {', '.join(names)} FROM {table} WHERE {where} ORDER BY 1", *params
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _columns(self, table: str) -> list[str]:
        if self.line.hub.store.path is None:
            sql = (
                "SELECT column_name FROM information_schema.columns WHERE table_name = ? "
                "AND table_schema = 'public' ORDER BY ordinal_position"
            )
        else:
            sql = "SELECT name FROM pragma_table_info(?)"
        return [row[0] for row in self.line.query(sql, table)]

    def enrolments(self, key: str, *, open_: bool = True) -> list[Row]:
        """The inschrijvingen of a pupil in this schooljaar, first day first.

        Args:
            key: the hub's key.
            open_: only those that have not ended.
        """
        today = self.line.clock.now().date()
        rows = self.rows("inschrijving", "leerling_id = ?", self.core_id(key))
        year = self.school.population.schooljaar(self.school.year)
        return [
            row
            for row in sorted(rows, key=lambda row: (row["geldig_van"], row["id"]))
            if row["schooljaar"] == year
            and not (open_ and row["geldig_tot"] is not None and _day(row["geldig_tot"]) <= today)
        ]

    def groups(self, key: str) -> list[str]:
        """The groepen on whose klassenlijst a pupil stands, by name."""
        rows = self.rows("klassenlijst", "leerling_id = ?", self.core_id(key))
        return sorted({row["groep"] for row in rows})


def _day(value: Any) -> Any:
    from datetime import date

    return value if isinstance(value, date) else date.fromisoformat(str(value))


@contextmanager
def fresh_story(
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    plan: SchoolPlan | None = None,
    more: str = "",
    url: str | None = None,
) -> Iterator[Story]:
    """A school whose first night is over."""
    plan = plan or plan_school(PUPILS)
    with new_line(folder / "installatie", plan=plan, url=url, more=more) as line:
        story = _told(line, patch)
        assert story.shell.report()["outcome"] == "done"
        yield story


@contextmanager
def copied_story(
    loaded: Path,
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    plan: SchoolPlan | None = None,
    more: str = "",
) -> Iterator[Story]:
    """The same on a copy of an installation whose first night is over, with a school of its own."""
    target = folder / "installatie"
    shutil.copytree(loaded, target)
    sandbox = SomtodaySandbox(School(plan or plan_school(PUPILS))).start()
    (target / "koppelhub.toml").write_text(configuration(sandbox, more=more), encoding="utf-8")
    with open_line(target, sandbox) as line:
        yield _told(line, patch)


def _told(line: Line, patch: pytest.MonkeyPatch) -> Story:
    patch.setenv(SECRET, line.sandbox.credentials.client_secret)
    patch.setattr(config.clock, "SystemClock", lambda: line.clock)
    return Story(Shell(line))
