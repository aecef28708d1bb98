"""The file of a drift report: what a spreadsheet makes of its cells, and who can read it."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from console.drift import COLUMNS, csv_file
from console.sheet import as_text
from sync_engine.declined import Word
from sync_engine.drift import RecordDrift

RECORD = RecordDrift(
    "leerling",
    "change",
    "K-1",
    "u1",
    "leerling",
    "u1",
    {
        "roepnaam": ['=HYPERLINK("http://x";"y")', 'Anna; Bo\n"C"'],
        "mobiel": ["+31612345678", None],
        "contact_via_email": [True, False],
        "adres": [{"straat": "Weg", "huisnummer": "1", "land": None}, "(geheim)"],
        "leerlingen": [["a", "b"], []],
        "brins": ['["99XX00","99XX01"]', "[geen lijst"],
    },
    {"roepnaam": "roepnaam", "mobiel": "@soort"},
)


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def write(path: Path, *records: RecordDrift) -> list[list[str]]:
    with csv_file(str(path)) as each:
        assert each is not None
        for record in records:
            each(record)
    return read(path)


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "=1+1",
            "+31612345678",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "  =1",
            "\uff1d1",
            "\uff0b1",
        ),
        *("\uff0d1", "\uff20x", "\u00a0=1", "\ufeff=1", "\u200b+1"),
    ],
)
def test_no_cell_is_a_formula(cell: str) -> None:
    assert as_text(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Anna", "a=b", "1+1", "'t Hof", "12", "2026-09-01"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert as_text(cell) == cell


def test_a_line_for_each_field_that_differs_with_the_place_in_the_source(tmp_path: Path) -> None:
    head, *rows = write(tmp_path / "v.csv", RECORD)
    assert tuple(head) == COLUMNS
    assert [row[6] for row in rows] == list(RECORD.fields)
    place = ["leerling", "anders", "K-1", "u1", "leerling", "u1"]
    assert all(row[:6] == place for row in rows)
    cells = {row[6]: (row[7], row[8], row[9]) for row in rows}
    assert cells == {
        "roepnaam": ("roepnaam", '\'=HYPERLINK("http://x";"y")', 'Anna; Bo\n"C"'),
        "mobiel": ("'@soort", "'+31612345678", ""),
        "contact_via_email": ("", "ja", "nee"),
        "adres": ("", "Weg 1", "(geheim)"),
        "leerlingen": ("", "a, b", ""),
        "brins": ("", "99XX00, 99XX01", "[geen lijst"),
    }


def test_a_record_on_one_side_only_is_one_line(tmp_path: Path) -> None:
    new = RecordDrift("leerling", "create", "", "u2", "leerling", "u2")
    _, row = write(tmp_path / "v.csv", new)
    assert row == ["leerling", "alleen in de bron", "", "u2", "leerling", "u2", *[""] * 5]


def test_what_was_undone_says_so_and_by_whom(tmp_path: Path) -> None:
    word = Word(7, "undo", "balie", "2026-10-05T01:00:00+00:00")
    one = RecordDrift(
        *("leerling", "declined", "K-1", "u1", "leerling", "u1"),
        fields={"roepnaam": ["Anna", "Bo"]},
        would="change",
        word=word,
    )
    _, row = write(tmp_path / "v.csv", one)
    assert row[1] == "anders, teruggedraaid"
    assert row[8:] == ["Anna", "Bo", f"teruggedraaid in run 7 door balie, {word.at}"]


def test_the_file_is_for_its_owner_alone_also_where_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("oud en langer dan wat er komt" * 100, encoding="utf-8")
    path.chmod(0o644)
    assert read_mode(path) == 0o644
    assert write(path) == [list(COLUMNS)]
    assert read_mode(path) == 0o600


def read_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught, csv_file(str(tmp_path)):
        pass
    assert "--csv" in caught.value.advice


def test_standard_output_gets_it_when_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with csv_file("-") as each:
        assert each is not None
        each(RECORD)
        assert capsys.readouterr().out == ""
    told = capsys.readouterr().out
    assert told.startswith(";".join(COLUMNS))
    assert "'+31612345678" in told


def test_nothing_is_written_where_none_is_asked() -> None:
    with csv_file(None) as each:
        assert each is None
