"""Schools by systems: the worst first, one mark for each koppeling, and what is loudest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sync_engine.health import Health, KoppelingHealth, Problem, State, Trouble
from web.pages.matrix import Matrix, School, lay_out

NOW = datetime(2026, 11, 6, 7, 5, tzinfo=UTC)
SCHOOLS = [School(f"0{n}AA", f"School {n}", "Bestuur") for n in range(4)]


def koppeling(
    name: str, brin: str, *problems: Problem, system: str = "somtoday", late: float = 0
) -> KoppelingHealth:
    state = max((p.state for p in problems), key=lambda s: s.rank, default=State.GOOD)
    return KoppelingHealth(
        name,
        system,
        "bestuur",
        (brin,),
        state,
        problems,
        last=None,
        good_at=NOW,
        age=timedelta(hours=6),
        promised=timedelta(hours=26),
        critical=timedelta(hours=50),
        late_by=timedelta(hours=late) if late else None,
        next_due=None,
        running_since=None,
        held_plans=0,
        open_cases=0,
        quarantine=0,
    )


def problem(kind: Trouble, state: State = State.WARNING, count: int = 0) -> Problem:
    return Problem(kind, state, f"er is iets: {kind}", "koppelhub runs", NOW, count)


def matrix(*koppelingen: KoppelingHealth, **asked: str) -> Matrix:
    return lay_out(Health(NOW, State.GOOD, (), koppelingen), SCHOOLS, **asked)


def brins(found: Matrix) -> list[str]:
    return [row.school.brin for row in found.rows]


LATE = problem(Trouble.LATE, State.CRITICAL)
MIXED = (
    koppeling("a", "00AA"),
    koppeling("b", "01AA", problem(Trouble.HELD)),
    koppeling("c", "02AA", LATE, late=3),
    koppeling("d", "03AA", LATE, late=30),
    koppeling("e", "01AA", system="uwlr"),
)


def test_the_worst_school_comes_first_and_of_equals_the_latest() -> None:
    found = matrix(*MIXED)
    assert brins(found) == ["03AA", "02AA", "01AA", "00AA"]
    assert found.counts == {State.CRITICAL: 2, State.WARNING: 1, State.GOOD: 1}


def test_a_school_without_koppelingen_is_shown_last_and_counts_as_nothing() -> None:
    found = matrix(koppeling("b", "01AA", problem(Trouble.HELD)))
    assert brins(found)[0] == "01AA"
    assert {row.state for row in found.rows[1:]} == {None}
    assert sum(found.counts.values()) == 1


def test_the_system_of_most_schools_is_the_first_column_and_each_koppeling_has_its_cell() -> None:
    found = matrix(*MIXED)
    assert found.systems == ("somtoday", "uwlr")
    row = next(row for row in found.rows if row.school.brin == "01AA")
    assert [[mark.name for mark in cell] for cell in row.cells] == [["b"], ["e"]]
    assert [mark.trouble for cell in row.cells for mark in cell] == ["held", ""]


def test_two_koppelingen_of_one_system_share_a_cell_the_worst_first() -> None:
    found = matrix(koppeling("z", "00AA", LATE), koppeling("a", "00AA"))
    assert [mark.name for mark in found.rows[0].cells[0]] == ["z", "a"]


def test_what_was_asked_chooses_rows_and_not_counts() -> None:
    assert brins(matrix(*MIXED, state="critical")) == ["03AA", "02AA"]
    assert brins(matrix(*MIXED, text="school 1")) == ["01AA"]
    assert brins(matrix(*MIXED, text="02a")) == ["02AA"]
    assert brins(matrix(*MIXED, kind="held")) == ["01AA"]
    assert matrix(*MIXED, state="critical").counts[State.GOOD] == 1


def test_a_dead_supplier_is_one_line_and_not_one_for_every_school() -> None:
    dead = [koppeling(f"k{n}", school.brin, LATE) for n, school in enumerate(SCHOOLS)]
    (loud,) = matrix(*dead).loud
    assert (loud.kind, loud.names) == ("late", ("k0", "k1", "k2", "k3"))


def test_the_cause_is_told_before_what_comes_of_it() -> None:
    both = koppeling("a", "00AA", problem(Trouble.LATE), problem(Trouble.FAILED))
    found = matrix(both)
    assert found.rows[0].cells[0][0].trouble == "failed"
    assert [one.kind for one in found.loud] == ["failed"]
