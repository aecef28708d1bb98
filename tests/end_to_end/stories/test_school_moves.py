"""A school moves from Magister to Somtoday and back, typed as docs/school-move.md has it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.school.plan import Shape, plan_school
from tests.support.move import DEELNAME, Ids, Move, moving

PUPILS = 24
PLAN = plan_school(PUPILS, shapes=(Shape.PRO, Shape.VSO))  # with and without national codes
BOTH, BELIEVED = "2. De nieuwe koppeling ernaast", "6. Het nieuwe systeem wordt geloofd"
ENDED = "7. De oude koppeling ophouden"
PERSONS = ("leerling", "verzorger", "medewerker")


@pytest.fixture
def move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Move]:
    with moving(tmp_path / "installatie", monkeypatch, PLAN) as told:
        yield told


def follow(move: Move, heading: str, **numbers: int) -> dict[str, str]:
    """Type what the page has below a heading; what each command said.

    Args:
        move: the school.
        heading: of the page.
        numbers: for the numbers of the page's example (`plan`, `case`).
    """
    said = {}
    for command in move.page.commands[heading]:
        example = {"plan": "12", "case": "7"}
        typed = command
        for name, number in numbers.items():
            typed = typed.replace(f" {example[name]}", f" {number}")
        answer = move.types(typed, stdin="y\n", codes=(0, 1, 3))
        move.typed[-1] = command
        said[command] = answer.out
    return said


def same(before: Ids, after: Ids) -> None:
    """Nobody and nothing is lost, and nobody and nothing has come.

    Somtoday has a pupil who goes to the other vestiging in February in its groepen already.
    """
    for name in before:
        assert before[name] - after[name] == set(), name
        assert name == "deelname" or after[name] - before[name] == set(), name
    assert len({member % DEELNAME for member in after["deelname"] - before["deelname"]}) <= 1


def beside_each_other(move: Move) -> Ids:
    """Steps 1 to 4: both systems are read, and all of both is one. Returns who is there."""
    move.configure(move.magister_source)
    said = follow(move, "1. Vooraf")
    assert ": klaar" in said["koppelhub sync --source magister"]
    before = move.there()
    assert len(before["leerling"]) >= PUPILS
    assert move.doubles() == []

    move.later(1)
    move.configure(move.magister_source, move.somtoday_source, move.order_of(BOTH))
    follow(move, BOTH)
    report = follow(move, "3. Het rapport vóór er iets verandert")
    same(before, move.there())  # nothing has changed yet
    told = report["koppelhub diff --source somtoday"]
    assert "alleen in de bron: leerling" not in told
    assert "alleen in de bron: inschrijving" not in told
    assert "alleen in de bron: groep" not in told
    with (move.folder / "verschil.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    apart = [r for r in rows if (r["entiteit"], r["verschil"]) == ("leerling", "niet in deze bron")]
    assert len(apart) == len(before["leerling"]) - PUPILS  # who begins next schooljaar

    move.later(1)
    follow(move, "4. De eerste run, en wie de verzorgers zijn", **settled(move))
    return before


def settled(move: Move) -> dict[str, int]:
    """The number of the case that the page shows: it is there once the first run is over."""
    first = move.page.commands["4. De eerste run, en wie de verzorgers zijn"][0]
    move.types(first, codes=(0, 1, 3))
    (number,) = move.query("SELECT id FROM zaak WHERE state = 'open' AND entity = 'opleiding'")
    return {"case": number[0]}


def decide_the_rest(move: Move) -> None:
    """Guardians who differ in something, one by one, as `case show` offers."""
    for (number,) in move.query("SELECT id FROM zaak WHERE state = 'open'"):
        choices = move.shell("case", "show", str(number), "--json").data["choices"]
        offered = choices[0]["command"].split()[1:]
        assert offered[1] == "link"
        assert move.shell(*offered, stdin="y\n").code == 0


def test_a_school_moves_and_moves_back_and_nobody_is_doubled_or_lost(move: Move) -> None:
    before = beside_each_other(move)
    decide_the_rest(move)

    # side by side: pupils come and leave in both
    new = move.changes.arrive(0, 0)
    leaver = move.school.population.leerling(0, 4, year=0)
    move.changes.leave(leaver)
    for _ in range(2):
        move.later()
        follow(move, "5. Enige nachten naast elkaar")
    assert move.doubles() == []
    number = str(100_000 + move.school.population.serial(new))
    newcomer, _ = move.pupil(number)
    left = str(100_000 + move.school.population.serial(leaver))
    assert move.pupil(left)[1]  # he is closed
    now = move.there()
    assert len(now["leerling"]) == len(before["leerling"])  # one came, one left
    assert move.query("SELECT COUNT(*) FROM zaak WHERE state = 'open'") == [(0,)]

    # authority is handed over
    move.configure(move.magister_source, move.somtoday_source, move.order_of(BELIEVED))
    move.later(1)
    commands = move.page.commands[BELIEVED]
    for command in commands[:2]:
        move.types(command, codes=(0, 3))
    (plan,) = move.query("SELECT MAX(id) FROM plan WHERE state = 'held'")
    for command in commands[2:]:
        typed = command.replace(" 12", f" {plan[0]}")
        move.types(typed, stdin="y\n")
        move.typed[-1] = command
    same(now, move.there())
    assert move.doubles() == []
    move.later()
    reports = move.sync("magister", "somtoday")
    assert [report["steps"] for report in reports] == [{}, {}]  # it is calm

    # the old koppeling ends
    move.configure(move.somtoday_source, move.order_of(ENDED))
    move.later()
    said = follow(move, ENDED)
    assert "staat niet meer in de configuratie" in said["koppelhub sync --source somtoday"]
    same(now, move.there())
    gone = move.school.population.leerling(0, 6, year=0)
    move.changes.leave(gone)
    for _ in range(2):
        move.later()
        (report,) = move.sync("somtoday")
    assert report["held"] == 0
    _, closed = move.pupil(str(100_000 + move.school.population.serial(gone)))
    assert closed  # the ended koppeling keeps nobody open
    now = move.there()

    # and back
    move.configure(move.magister_source, move.somtoday_source, move.order_of("Terug"))
    move.later()
    follow(move, "Terug")
    for _ in range(2):
        move.later()
        approve(move)
        move.sync("magister", "somtoday")
    move.configure(move.magister_source)
    move.later()
    move.sync("magister")
    for name in PERSONS:
        assert move.there()[name] == now[name], name
    assert move.doubles() == []
    assert move.pupil(number)[0] == newcomer
    assert move.query("SELECT COUNT(*) FROM zaak WHERE state = 'open'") == [(0,)]
    assert sorted(set(move.typed)) == sorted(
        {c for some in move.page.commands.values() for c in some}
    )


def approve(move: Move) -> None:
    """Approve what a guard holds because the order of belief was turned round."""
    for (number,) in move.query(
        "SELECT id FROM plan WHERE state = 'held' ORDER BY id DESC LIMIT 1"
    ):
        move.shell("plan", "approve", str(number), "--yes")


def test_a_school_of_somtoday_moves_to_magister(move: Move) -> None:
    """The other way round, where Somtoday's numbers came first."""
    somtoday = move.somtoday_source.replace('numbers_of = "magister"\n', "")
    magister = move.magister_source + 'numbers_of = "somtoday"\n'
    move.configure(somtoday)
    move.sync("somtoday")
    before = move.there()
    move.configure(somtoday, magister, '[policy.authority.order]\n"*" = ["somtoday", "magister"]\n')
    move.later(1)
    move.magister.administration.next_year = False
    move.sync("magister")
    link = ("case", "link-all", "--source", "magister", "--why", "school verhuisd")
    assert move.shell(*link, stdin="y\n").code == 0
    decide_the_rest(move)
    move.later()
    move.sync("somtoday", "magister")
    same(before, move.there())
    assert move.doubles() == []
    move.configure(magister)
    move.later()
    move.sync("magister")
    approve(move)
    for name in PERSONS:
        assert move.there()[name] == before[name], name
    assert move.doubles() == []
