"""docs/magister-layouts.md: what an application manager pastes into Decibel.

The list texts are Transact-SQL. They are executed here over a small database of invented pupils:
the few functions of that dialect that they use are given to SQLite, which then finds every name
that does not exist and every column that is missing.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from connectors.magister.layouts import ALL, CONTRACT_VERSIE, Layout
from connectors.magister.records import Aanmelding, Groep, Kind, Lid, Medewerker
from connectors.magister.wire import Row, read_text
from connectors.magister.wire import Rows as CsvRows
from connectors.protocols.parsing import SourceModel, parse_model

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "magister-layouts.md").read_text(encoding="utf-8")
TEXTS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((DOCS / "magister-layouts").glob("*.sql"))
}

ROW = re.compile(
    r"^\| \[`(?P<name>[\w-]+)`\]\((?P<link>[^)]+)\) \| [^|]+ \| (?P<columns>.+) \|$", re.MULTILINE
)
COLUMN = re.compile(r"(?P<bold>\*\*)?`(?P<name>\w+)`")
ASSUMED = re.compile(r"/\* aanname(?P<required>, verplicht)?: (?P<what>[\w ]+) \*/")

# Tables and columns that public list definitions show. Spec: magister.md, section 6.1 (CONFIRMED).
TABLES: Mapping[str, str] = {
    "sis_leer": "idLeer stamnr roepnaam voornamen voorlett tussenvoeg achternaam geslacht "
    "geb_datum email gsm straat huisnr huisnr_tv postcode woonplaats woonland rfid idoudr1",
    "sis_oudr": "idoudr email",
    "sis_aanm": "idAanm stamnr idleer lesperiode idblpe dBegin dEinde dVertrek datumaanm idBgrp "
    "idStud c_profiel idPers_mentor1 idPers_mentor2 idHrnaanmeldingsstatus",
    "sis_bgrp": "idBgrp groep omschr bklas c_lokatie idBlok idPers_mentor1 idPers_mentor2 "
    "idPers_mentor3",
    "sis_lvak": "idlvak idleer stamnr c_vak idBgrp idstud dbegin deinde",
    "sis_pgvk": "idpgvk idPers idBgrp c_vak lesperiode",
    "sis_pers": "idPers stamnr doc_code naam_vol roepnaam voorlett tussenvoeg achternaam bgmsnm "
    "ms_achtnm E_Mailwerk dvertrek",
    "sis_blpe": "idblpe lesperiode omschr_k dbegin deinde",
    "sis_stud": "idStud studie idBlok idBlfa idPers_coord1",
    "sis_blfa": "leerjaar",
    "sis_blok": "idBlok c_lokatie omschr",
    "sis_bvak": "c_vak",
    "sis_gebr": "idLeer login_naam",
}

TODAY = date(2026, 11, 3)
Rows = Sequence[Mapping[str, object]]


def day(when: date) -> int:
    return when.toordinal()


def ago(days: int) -> int:
    return day(TODAY) - days


def converted(_: object, value: object, style: int) -> str | None:
    """`CONVERT(varchar(n), value, style)`: 23 is the ISO date, 126 the ISO moment."""
    if value is None:
        return None
    text = date.fromordinal(int(str(value).partition(".")[0])).isoformat()
    return {23: text, 126: f"{text}T10:00:00"}[style]


class School:
    """A Magister database of a few persons, with the tables that the texts may use.

    Args:
        texts: whose assumed columns it has as well.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._database = sqlite3.connect(":memory:")
        self._database.create_function("CONVERT", 3, converted)
        self._database.create_function("varchar", 1, lambda size: size)
        self._database.create_function("GETDATE", 0, lambda: day(TODAY) + 0.4)
        columns = {table: names.split() for table, names in TABLES.items()}
        for text in texts:
            tables = {a: table for table, a in re.findall(r"(?:FROM|JOIN) (\w+) (\w+)", text)}
            for line in filter(ASSUMED.search, text.splitlines()):
                for alias, name in re.findall(r"\b(\w+)\.(\w+)", line):
                    names = columns[tables[alias]]
                    if name.lower() not in map(str.lower, names):
                        names.append(name)
        for table, names in columns.items():
            self._database.execute(f"CREATE TABLE {table} ({', '.join(names)})")

    def put(self, table: str, **values: object) -> None:
        """One row; what is not named is NULL."""
        marks = ", ".join("?" for _ in values)
        self._database.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )

    def run(self, text: str) -> tuple[list[str], Rows]:
        """The captions and the rows of a list."""
        cursor = self._database.execute(text)
        captions = [column[0] for column in cursor.description]
        return captions, [dict(zip(captions, row, strict=True)) for row in cursor]


def listed() -> dict[str, list[tuple[str, bool]]]:
    """The page's table: list → column and whether it is required."""
    return {
        row["name"]: [
            (column["name"], column["bold"] is not None)
            for column in COLUMN.finditer(row["columns"])
        ]
        for row in ROW.finditer(PAGE)
    }


def without_assumed(text: str) -> str:
    """A list after the advice of the page: no line that rests on an optional assumption."""
    kept = []
    for line in text.splitlines():
        found = ASSUMED.search(line)
        if found is None or found["required"]:
            kept.append(line)
    return "\n".join(kept)


def test_the_page_lists_every_text_and_links_it() -> None:
    links = {row["name"]: row["link"] for row in ROW.finditer(PAGE)}
    assert links == {name: f"magister-layouts/{name}.sql" for name in TEXTS}
    assert links.keys() == {layout.name for layout in ALL}


@pytest.mark.assumed("magister-layouts")
@pytest.mark.parametrize("layout", ALL, ids=lambda layout: layout.name)
def test_the_page_asks_for_the_columns_that_the_connector_reads(layout: Layout) -> None:
    columns = listed()[layout.name]
    assert tuple(name for name, _ in columns) == layout.names
    assert tuple(name for name, required in columns if required) == layout.required
    assert set(layout.key) <= set(layout.names)


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_holds_what_decibel_takes_for_a_parameter(name: str) -> None:
    assert "#" not in TEXTS[name]
    assert TEXTS[name].isascii(), "an editor or a clipboard may change the encoding"
    assert "--" not in TEXTS[name], "a text that is pasted into one line would end there"


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_the_captions_of_the_page_and_an_order(name: str) -> None:
    captions, _ = School([TEXTS[name]]).run(TEXTS[name])
    assert captions == [column for column, _ in listed()[name]]
    assert re.search(r"^ORDER BY \w", TEXTS[name], re.MULTILINE)


@pytest.mark.parametrize("name", TEXTS)
def test_everything_that_no_source_confirms_is_marked_and_may_be_taken_out(name: str) -> None:
    text = without_assumed(TEXTS[name])
    captions, _ = School([text]).run(text)
    left_out = {column for column, _ in listed()[name]} - set(captions)
    assert not left_out & {column for column, is_required in listed()[name] if is_required}
    marked = {found["what"] for found in ASSUMED.finditer(TEXTS[name]) if not found["required"]}
    assert left_out == marked - {"tweede verzorger"}


@pytest.mark.parametrize("name", TEXTS)
def test_the_page_names_every_assumption(name: str) -> None:
    rows = re.findall(rf"^\| `{name}` \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    named = set(re.findall(r"\w+(?: verzorger)?", " ".join(rows)))
    assert {found["what"] for found in ASSUMED.finditer(TEXTS[name])} <= named


def school() -> School:
    """Periods around today; pupil 1 is ordinary, the others are each special in one way."""
    made = School(list(TEXTS.values()))
    for number, (code, first) in enumerate([("2526", 2025), ("2627", 2026), ("2728", 2027)], 1):
        begin, end = day(date(first, 8, 1)), day(date(first + 1, 7, 31))
        made.put("sis_blpe", idblpe=number, lesperiode=code, dbegin=begin, deinde=end)
    made.put("sis_blok", idBlok=1, c_lokatie="A", omschr="Haven")
    made.put("sis_stud", idStud=1, studie="PRO3", idBlok=1, idBlfa=1)
    made.put("sis_blfa", idBlfa=1, leerjaar=3)
    made.put("sis_bgrp", idBgrp=1, groep="P3A", bklas=1, idBlok=1)
    made.put("sis_bgrp", idBgrp=2, groep="p3.kok", bklas=0, idBlok=1)
    made.put("sis_bgrp", idBgrp=3, groep="leeg", bklas=0, idBlok=1)
    made.put("sis_oudr", idoudr=1, achternaam="Zand", geheim=1)
    made.put("sis_oudr", idoudr=2, achternaam="Duin", gezag=1)
    for pupil in range(1, 6):
        made.put("sis_leer", idLeer=pupil, stamnr=f"0{pupil}", idoudr1=1, idoudr2=2)
    return made


def enrol(made: School, pupil: int, *, period: int, number: int, **values: object) -> None:
    first = 2024 + period
    made.put(
        "sis_aanm",
        **{
            "idAanm": number,
            "idleer": pupil,
            "idblpe": period,
            "dBegin": day(date(first, 8, 1)),
            "dEinde": day(date(first + 1, 7, 31)),
            "idStud": 1,
            **values,
        },
    )


def test_enrolments_of_running_and_coming_periods_come_until_180_days_after_their_end() -> None:
    made = school()
    enrol(made, 1, period=1, number=1)
    enrol(made, 1, period=2, number=2, idBgrp=1)
    enrol(made, 1, period=3, number=3)
    enrol(made, 2, period=2, number=4, dVertrek=ago(180))
    enrol(made, 3, period=2, number=5, dVertrek=ago(181))
    enrol(made, 4, period=2, number=6, dEinde=None)
    _, rows = made.run(TEXTS["presentis-leerlingen"])
    assert [row["aanmelding_id"] for row in rows] == [2, 3, 4, 6]
    assert [row["lesperiode"] for row in rows] == ["2627", "2728", "2627", "2627"]


def test_a_leerling_is_one_row_for_each_enrolment_with_dates_as_text() -> None:
    made = school()
    enrol(made, 1, period=2, number=2, idBgrp=1)
    made.put("sis_gebr", idLeer=1, login_naam="zand1")
    made.put("sis_gebr", idLeer=1, login_naam="zand2")
    _, (row,) = made.run(TEXTS["presentis-leerlingen"])
    assert (row["stamnr"], row["login"], row["leerjaar"]) == ("01", "zand1", 3)
    assert (row["begindatum"], row["einddatum"], row["vertrekdatum"]) == (
        "2026-08-01",
        "2027-07-31",
        None,
    )
    assert row["pro_indicatie"] == 0


def test_a_leerling_without_a_class_stands_where_his_study_is() -> None:
    made = school()
    enrol(made, 1, period=2, number=2)
    _, (row,) = made.run(TEXTS["presentis-leerlingen"])
    assert (row["klas_id"], row["locatie_id"]) == (None, 1)


def test_a_period_is_listed_until_its_last_day() -> None:
    made = school()
    made.put("sis_blpe", idblpe=8, lesperiode="vandaag", dbegin=ago(9), deinde=ago(0))
    made.put("sis_blpe", idblpe=9, lesperiode="gisteren", dbegin=ago(9), deinde=ago(1))
    _, rows = made.run(TEXTS["presentis-lesperioden"])
    assert [row["lesperiode"] for row in rows] == ["2627", "2728", "vandaag"]


def test_guardians_come_with_those_pupils_only_whom_the_school_shares() -> None:
    made = school()
    enrol(made, 1, period=2, number=1)
    enrol(made, 1, period=3, number=2)
    enrol(made, 2, period=1, number=3)
    _, rows = made.run(TEXTS["presentis-verzorgers"])
    assert [(row["leer_id"], row["verzorger_id"], row["volgnummer"]) for row in rows] == [
        (1, 1, 1),
        (1, 2, 2),
    ]
    assert [(row["geheim"], row["gezag"]) for row in rows] == [(1, 0), (0, 1)]
    _, numbers = made.run(TEXTS["presentis-pgn"])
    assert [row["leer_id"] for row in numbers] == [1]


def test_without_the_assumed_second_guardian_the_first_stays() -> None:
    made = school()
    enrol(made, 1, period=2, number=1)
    _, rows = made.run(without_assumed(TEXTS["presentis-verzorgers"]))
    assert [row["verzorger_id"] for row in rows] == [1]


def test_a_groep_stands_in_every_period_in_which_somebody_has_it() -> None:
    made = school()
    enrol(made, 1, period=2, number=1, idBgrp=1)
    enrol(made, 2, period=3, number=2, idBgrp=1)
    made.put("sis_lvak", idlvak=1, idleer=1, c_vak="kok", idBgrp=2, dbegin=None)
    made.put("sis_pgvk", idpgvk=1, idPers=7, idBgrp=2, c_vak="kok", lesperiode="2627")
    made.put("sis_pgvk", idpgvk=2, idPers=7, idBgrp=3, c_vak="kok", lesperiode="2526")
    _, rows = made.run(TEXTS["presentis-groepen"])
    assert [(row["groep_id"], row["lesperiode"], row["is_stamklas"]) for row in rows] == [
        (1, "2627", 1),
        (1, "2728", 1),
        (2, "2627", 0),
    ]


def test_members_are_the_class_and_every_cluster_once() -> None:
    made = school()
    begin, end = day(date(2026, 8, 1)), day(date(2027, 7, 31))
    enrol(made, 1, period=2, number=1, idBgrp=1)
    enrol(made, 2, period=1, number=2, idBgrp=1)
    for number, group in enumerate([2, 2, None], 1):  # twice the same, and once with the class
        made.put(
            "sis_lvak", idlvak=number, idleer=1, c_vak="kok", idBgrp=group, dbegin=begin, deinde=end
        )
    _, rows = made.run(TEXTS["presentis-groepsleden"])
    assert [tuple(row.values()) for row in rows] == [
        (1, 1, None, "2026-08-01", "2027-07-31"),
        (2, 1, "kok", "2026-08-01", "2027-07-31"),
    ]


def test_a_teacher_of_one_subject_in_one_group_is_one_row() -> None:
    made = school()
    for number, (person, period) in enumerate(
        [(7, "2627"), (7, "2627"), (8, "2526"), (None, "2627")]
    ):
        made.put("sis_pgvk", idpgvk=number, idPers=person, idBgrp=2, c_vak="kok", lesperiode=period)
    _, rows = made.run(TEXTS["presentis-docentgroepen"])
    assert [tuple(row.values()) for row in rows] == [(2, 7, "kok", "2627")]


def test_staff_who_left_stay_for_180_days() -> None:
    made = school()
    for number, left in enumerate([None, ago(180), ago(181)], 1):
        made.put("sis_pers", idPers=number, stamnr=str(number), dvertrek=left)
    _, rows = made.run(TEXTS["presentis-medewerkers"])
    end = (TODAY - timedelta(days=180)).isoformat()
    assert [(row["pers_id"], row["datum_uit"]) for row in rows] == [(1, None), (2, end)]


def test_the_contract_version_is_that_of_the_page() -> None:
    _, (row,) = School().run(TEXTS["presentis-versie"])
    found = re.search(r"Contractversie: \*\*(\d+)\*\*", PAGE)
    assert found is not None
    assert str(row["contract_versie"]) == found[1] == CONTRACT_VERSIE
    assert row["gegenereerd_op"] == "2026-11-03T10:00:00"


def read_as_csv(rows: Rows, layout: Layout) -> list[Row]:
    """The rows as the web service would send them, read by the connector."""
    lines = [";".join(layout.names)]
    lines += [
        ";".join(str(row[n]) if row[n] is not None else "" for n in layout.names) for row in rows
    ]
    text = read_text("\r\n".join(lines).encode("utf-8-sig"), operation="GET lijst")
    return list(CsvRows(text, operation="GET lijst"))


def test_what_the_texts_give_is_read_without_a_problem() -> None:
    """Dates, yes and no, and numbers come in a shape that the records of the connector take."""
    made = school()
    enrol(made, 1, period=2, number=2, idBgrp=1)
    made.put("sis_pers", idPers=7, stamnr="17", dvertrek=ago(3))
    models: dict[str, tuple[type[SourceModel], str]] = {
        "presentis-leerlingen": (Aanmelding, "begindatum"),
        "presentis-verzorgers": (Kind, "gezag"),
        "presentis-groepen": (Groep, "is_stamklas"),
        "presentis-groepsleden": (Lid, "einddatum"),
        "presentis-medewerkers": (Medewerker, "datum_uit"),
    }
    found = {}
    for layout in ALL:
        if layout.name in models:
            model, field = models[layout.name]
            _, rows = made.run(TEXTS[layout.name])
            row = read_as_csv(rows, layout)[0]
            parsed = parse_model(model, msgspec.json.encode(row))
            assert parsed.problems == ()
            found[layout.name] = getattr(parsed.record, field)
    assert found == {
        "presentis-leerlingen": date(2026, 8, 1),
        "presentis-verzorgers": False,
        "presentis-groepen": True,
        "presentis-groepsleden": date(2027, 7, 31),
        "presentis-medewerkers": date.fromordinal(ago(3)),
    }
