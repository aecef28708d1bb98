"""Rows are put together to the same bytes in whatever order they come."""

from __future__ import annotations

from datetime import date

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from connectors.magister.compose import (
    Records,
    canonical,
    day_of,
    folded,
    grouped,
    known,
    newest,
    strange,
)

ROWS = [
    {"leer_id": "1", "aanmelding_id": "a", "begindatum": "2025-08-01", "roepnaam": "Oud"},
    {"leer_id": "1", "aanmelding_id": "b", "begindatum": "01-08-2026", "roepnaam": "Nieuw"},
    {"leer_id": "1", "aanmelding_id": "b", "begindatum": "20260801", "roepnaam": "Anders"},
    {"leer_id": "2", "aanmelding_id": "c", "begindatum": "2026-08-01"},
    {"leer_id": "", "aanmelding_id": "d"},
    {"leer_id": "3"},
]
KEY = ("leer_id", "aanmelding_id")


def assembled(rows: list[dict[str, str]]) -> tuple[dict[str, bytes], int]:
    records = Records()
    for key, same in grouped(rows, KEY, records, admits=lambda _: True).items():
        items = folded(same, ["aanmelding_id", "begindatum"], by=KEY[1:], drop=frozenset())
        records.add(key, {**known(newest(same), ["roepnaam"]), "aanmeldingen": items})
    return records.bodies, len(records.rejected)


@given(st.permutations(ROWS))
def test_the_order_of_rows_and_columns_does_not_count(rows: list[dict[str, str]]) -> None:
    turned = [dict(sorted(row.items(), reverse=True)) for row in rows]
    assert assembled(rows) == assembled(turned) == assembled(ROWS)


def test_the_newest_enrolment_shows_the_person_and_doubles_are_one() -> None:
    bodies, rejected = assembled(ROWS)
    assert rejected == 2
    one = msgspec.json.decode(bodies["1"])
    assert one["roepnaam"] == "Anders"  # of equals the one whose bytes come last
    assert [item["aanmelding_id"] for item in one["aanmeldingen"]] == ["a", "b"]


def test_a_row_without_its_key_says_which_part_is_missing() -> None:
    records = Records()
    grouped(ROWS, KEY, records, admits=lambda _: True)
    assert [error.path for error, _ in records.rejected] == ["leer_id", "aanmelding_id"]


def test_pages_hold_each_record_once_and_the_rejected_come_first() -> None:
    records = Records()
    for number in range(1_201):
        records.add(f"{number:05}", {"leer_id": str(number)})
    records.reject({"leer_id": "x"}, KEY)
    pages = list(records.pages())
    assert [len(page.keys) for page in pages] == [500, 500, 201]
    assert [len(page.rejected) for page in pages] == [1, 0, 0]
    only = Records()
    only.reject({}, KEY)
    assert [(len(page.keys), len(page.rejected)) for page in only.pages()] == [(0, 1)]
    assert list(Records().pages()) == []


def test_what_is_not_read_is_cut_and_what_is_strange_keeps_its_name() -> None:
    row = {"a": "1", "b": "2", "c": "3"}
    assert known(row, ("a", "b", "d"), drop=frozenset({"b"})) == {"a": "1"}
    assert strange(row, ("a",)) == {"b": None, "c": None}
    assert canonical({"b": "2", "a": "1"}) == b'{"a":"1","b":"2"}'
    assert day_of({}, "begindatum") == date.min
