"""The turn of the schooljaar through the command line, from spring until after the freeze.

Next year's groepen and inschrijvingen come in spring and change nothing of now; on 1 August what
was next becomes current; who left is closed once absence counts again. Nobody is doubled, lost or
closed wrongly, and what waits for a person says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.school.changes import Changes
from fixtures.school.school import Peil, Selection
from tests.support.lines import PatientClock
from tests.support.shell import Shell, shell_of

OLD, NEW = "2026/2027", "2027/2028"
_STRICT = """
[policy.guards.seasons.zomer.close.entities.leerling]
share = 0.05
"""


class Year:
    """A school that lives through the year, read every night that is named."""

    def __init__(self, shell: Shell, clock: PatientClock) -> None:
        self.shell, self.clock, self.school = shell, clock, shell.line.school

    def night(self, month: int, day: int, *options: str) -> Any:
        """The report of the run of that night."""
        self.clock.advance(datetime(2027, month, day, 1, 15, tzinfo=UTC) - self.clock.now())
        self.school.today = date(2027, month, day)
        return self.shell.report(*options)

    def turn(self) -> None:
        """1 August at the source."""
        Changes(self.school).next_schooljaar()

    def query(self, sql: str, *params: object) -> list[Any]:
        return self.shell.line.query(sql, *params)

    def of_year(self, name: str) -> list[Any]:
        """The groepen, inschrijvingen and open memberships of one schooljaar, whole."""
        rows = self.query(
            "SELECT id, naam, soort, leerjaar, geldig_van, geldig_tot, tot_afgeleid FROM groep "
            "WHERE schooljaar = ? ORDER BY id",
            name,
        )
        rows += self.query(
            "SELECT id, leerling_id, vestiging_id, stamgroep_id, leerjaar, geldig_van, geldig_tot, "
            "tot_afgeleid FROM inschrijving WHERE schooljaar = ? ORDER BY id",
            name,
        )
        return rows + self.query(
            "SELECT d.groep_id, d.rol, d.persoon_id, d.geldig_van, d.geldig_tot, d.beeindigd "
            "FROM groepsdeelname d JOIN groep g ON g.id = d.groep_id WHERE g.schooljaar = ? "
            "ORDER BY d.groep_id, d.rol, d.persoon_id",
            name,
        )

    def at_school(self) -> set[str]:
        """The source's keys of the pupils that the core has as still there."""
        return {
            row[0]
            for row in self.query(
                "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
                "WHERE p.geldig_tot IS NULL"
            )
        }

    def shown(self, *selections: Selection) -> set[str]:
        """The keys of the pupils that the source shows."""
        found: set[str] = set()
        for selection in selections:
            year = self.school.year + (selection is Selection.VOLGEND)
            peil = Peil(year, selection)
            for vestiging in range(len(self.school.population.sizes)):
                keys = self.school.keys("leerling", vestiging, peil=peil, offset=0, amount=9_999)
                found |= {self.school.uuid_of("leerling", key) for key in keys}
        return found


@contextmanager
def a_year(folder: Path, patch: pytest.MonkeyPatch, **more: Any) -> Iterator[Year]:
    clock = PatientClock(datetime(2027, 3, 15, 1, 15, tzinfo=UTC))
    made = shell_of(folder, patch, clock=clock, pupils=240, **more)
    shell = next(made)
    try:
        yield Year(shell, clock)
    finally:
        made.close()  # type: ignore[attr-defined] # a generator


@pytest.fixture
def year(ready_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Year]:
    with a_year(tmp_path, monkeypatch, url=ready_url) as made:
        yield made


def test_the_turn_of_the_schooljaar_doubles_loses_and_closes_nobody_wrongly(year: Year) -> None:
    assert year.night(3, 15)["outcome"] == "done"
    now, there = year.of_year(OLD), year.at_school()
    assert there == year.shown(Selection.HUIDIG)
    assert not year.of_year(NEW)

    spring = year.night(5, 10)  # Somtoday shows next year from May
    assert (spring["outcome"], spring["held"]) == ("done", 0)
    assert spring["applied"]["groep.create"] == len(
        year.query("SELECT 1 FROM groep WHERE schooljaar = ?", NEW)
    )
    assert year.of_year(OLD) == now
    assert year.night(5, 11)["steps"] == {}
    year.night(7, 26)
    assert year.night(7, 31)["steps"] == {}

    before, coming = year.of_year(OLD), year.of_year(NEW)
    leaving = there - year.shown(Selection.VOLGEND)
    assert leaving
    year.turn()
    for day in (1, 2, 3, 19):
        report = year.night(8, day)
        assert (report["outcome"], report["steps"]) == ("done", {}), day
    assert (year.of_year(OLD), year.of_year(NEW)) == (before, coming)
    assert there <= year.at_school()  # nobody is closed while absence says nothing

    after = year.night(8, 21)
    assert (after["outcome"], after["held"]) == ("done", 0)
    assert after["applied"]["leerling.close"] == len(leaving)
    assert year.at_school() == year.shown(Selection.HUIDIG)
    ends = year.query(
        "SELECT DISTINCT geldig_tot, tot_afgeleid FROM leerling WHERE geldig_tot IS NOT NULL"
    )
    assert [(str(end), bool(inferred)) for end, inferred in ends] == [("2027-08-01", True)]
    assert (year.of_year(OLD), year.of_year(NEW)) == (before, coming)
    assert year.night(8, 22)["steps"] == {}
    assert year.night(10, 1)["steps"] == {}
    doubled = year.query(
        "SELECT leerling_id FROM inschrijving WHERE schooljaar = ? AND geldig_tot > ? "
        "GROUP BY leerling_id, vestiging_id HAVING COUNT(*) > 1",
        NEW,
        date(2028, 7, 31),
    )
    assert doubled == []


def test_a_pupil_goes_up_a_leerjaar_on_the_first_of_august(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_year(tmp_path, monkeypatch) as year:
        for month, day in ((3, 15), (5, 10), (7, 31)):
            year.night(month, day)
        stays = min(year.shown(Selection.HUIDIG) & year.shown(Selection.VOLGEND))

        def leerjaar(day: str) -> object:
            (told,) = year.shell(
                "state", "leerling", f"somtoday-demo:{stays}", "--on", day, "--json"
            ).data
            (placed,) = [o for o in told["others"] if o["entity"] == "inschrijving"]
            return placed["values"]["leerjaar"]

        before, after = leerjaar("2027-07-31"), leerjaar("2027-08-01")
        assert (before, after) == (leerjaar("2027-03-01"), leerjaar("2027-10-01"))
        assert isinstance(before, int)
        assert after == before + 1
        year.turn()
        year.night(8, 1)
        assert (leerjaar("2027-07-31"), leerjaar("2027-08-01")) == (before, after)


def test_leavers_that_are_too_many_for_the_policy_wait_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_year(tmp_path, monkeypatch, more=_STRICT) as year:
        for month, day in ((3, 15), (5, 10), (7, 31)):
            year.night(month, day)
        there = year.at_school()
        year.turn()
        year.night(8, 1)
        held = year.night(8, 21)
        leavers = there - year.shown(Selection.HUIDIG)
        assert (held["outcome"], held["held"]) == ("held", len(leavers))
        (hold,) = held["holds"]
        assert (hold["entity"], hold["op"]) == ("leerling", "close")
        assert f"{len(leavers)} van " in hold["reason"]
        assert there <= year.at_school()
        assert held["applied"]["verzorger.close"]  # what is not in doubt goes on

        shown = year.shell("plan", "show", str(held["plan_id"]), "--json").data
        assert {s["op"] for s in shown["steps"] if s["state"] == "held"} == {"close"}
        assert year.shell("plan", "approve", str(held["plan_id"]), "--yes").code == 0
        assert year.at_school() == year.shown(Selection.HUIDIG)


def test_the_leavers_of_one_night_may_be_allowed_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_year(tmp_path, monkeypatch, more=_STRICT) as year:
        for month, day in ((3, 15), (5, 10), (7, 31)):
            year.night(month, day)
        year.turn()
        year.night(8, 1)
        held = year.night(8, 21)["held"]
        assert year.night(8, 22, "--allow", "close=leerling:1")["outcome"] == "held"
        assert year.night(8, 23, "--allow", f"close=leerling:{held}")["outcome"] == "done"
        assert year.at_school() == year.shown(Selection.HUIDIG)
        ((why,),) = year.query(
            "SELECT why FROM audit WHERE action = 'allow' ORDER BY id DESC LIMIT 1"
        )
        assert why == f"close=leerling:{held}"


def test_what_may_pass_is_typed_right_or_nothing_runs(quick: Shell) -> None:
    said = quick.sync("--allow", "close=klas:3")
    assert said.code == 2
    assert "close=leerling:200" in said.err
    assert not quick.asked()
