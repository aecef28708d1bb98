"""Pages are split into keys and raw bodies, and dropped fields are cut from the raw bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.errors import ProtocolViolationError
from connectors.protocols.rest import Answer
from connectors.somtoday.wire import (
    list_path,
    read_permissions,
    single_path,
    split_page,
    without,
    wrap_dossier,
)

V = "0b6f3f0e-7f2c-4c1d-9d55-2f4e8d1a1001"
A, B = ("aa000000-0000-4000-8000-00000000000" + n for n in "12")


def answer(body: Any) -> Answer:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Answer(200, "application/json", raw, "somtoday", "GET leerling")


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("vestiging", "/connect/vestiging"),
        ("leerling", f"/connect/vestiging/{V}/leerling"),
        ("lesgroep", f"/connect/vestiging/{V}/lesgroep/"),
        ("stamgroep", f"/connect/vestiging/{V}/stamgroep/"),
        ("ouderVerzorger", f"/connect/vestiging/{V}/ouderVerzorger/"),
    ],
)
def test_list_paths_have_their_exact_spelling(resource: str, path: str) -> None:
    assert list_path(resource, vestiging=V) == path


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("leerling", f"leerling/{A}"),
        ("lesgroep", f"lesgroep/{A}"),
        ("voortgangsdossier", f"leerling/{A}/voortgangsdossier"),
    ],
)
def test_single_paths_have_their_exact_spelling(resource: str, path: str) -> None:
    assert single_path(resource, vestiging=V, key=A) == f"/connect/vestiging/{V}/{path}"


def test_bodies_are_the_bytes_that_were_sent() -> None:
    first = f'{{ "uuid" : "{A}",  "n": 1.50, "t": "\\u00eb" }}'.encode()
    page = split_page(answer(b'{"leerlingen": [ ' + first + b' ], "x": 1}'), "leerlingen")
    assert page.bodies == [first]
    assert page.keys == [A]
    assert page.permissions is None


@pytest.mark.parametrize("bad", [{}, {"uuid": 5}, {"uuid": "x"}, {"uuid": None}, 7, [], "x"])
def test_a_record_without_a_usable_key_is_rejected_and_the_rest_goes_on(bad: Any) -> None:
    page = split_page(answer({"leerlingen": [{"uuid": A}, bad, {"uuid": B}]}), "leerlingen")
    assert page.keys == [A, B]
    assert len(page.bodies) == 2
    assert len(page.marks) == 3
    error, raw = page.rejected[1]
    assert error.path == "uuid"
    assert raw == msgspec.json.encode(bad)


@pytest.mark.parametrize(
    "body",
    [{}, [], {"leerlingen": None}, {"leerlingen": {}}, {"vakken": []}, b"", b'{"leerlingen": [{"'],
)
def test_an_answer_without_its_list_is_a_violation(body: Any) -> None:
    with pytest.raises(ProtocolViolationError):
        split_page(answer(body), "leerlingen")


def cut(record: Any, *names: str) -> Any:
    raw = record if isinstance(record, bytes) else msgspec.json.encode(record)
    return msgspec.json.decode(without(raw, frozenset(names)))


@pytest.mark.parametrize("name", ["BSN", "adres.land"])
def test_only_records_that_hold_a_dropped_field_are_touched(name: str) -> None:
    held = f'{{"uuid":"{A}","BSN":"1","adres":{{"land":"x"}}}}'.encode()
    other = f'{{ "uuid":  "{B}" }}'.encode()
    raw = b'{"leerlingen":[' + held + b"," + other + b"]}"
    page = split_page(answer(raw), "leerlingen", cut=frozenset({name}))
    assert page.bodies[1] == other
    assert name.encode().rpartition(b".")[2] not in page.bodies[0]
    assert page.keys == [A, B]


@pytest.mark.parametrize("key", [b"\\u0042SN", b"BS\\u004e", b"BSN"])
def test_a_dropped_field_is_found_however_it_is_spelled(key: bytes) -> None:
    raw = b'{"leerlingen":[{"uuid":"' + A.encode() + b'","' + key + b'":"123456782"}]}'
    page = split_page(answer(raw), "leerlingen", cut=frozenset({"BSN"}))
    assert b"123456782" not in page.bodies[0]


def test_a_dropped_field_is_cut_from_a_rejected_record_too() -> None:
    raw = {"leerlingen": [{"BSN": "123456782"}]}
    page = split_page(answer(raw), "leerlingen", cut=frozenset({"BSN"}))
    assert page.rejected[0][1] == b"{}"


@pytest.mark.parametrize("key", [f"{A}\n{B}", A + "\n", "", A[:-1]])
def test_a_key_that_only_looks_like_one_is_rejected(key: str) -> None:
    page = split_page(answer({"leerlingen": [{"uuid": key}, {"uuid": B}]}), "leerlingen")
    assert page.keys == [B]


def test_a_dropped_field_is_cut_and_the_rest_stays() -> None:
    assert cut({"uuid": A, "BSN": "123456782", "n": 1}, "BSN") == {"uuid": A, "n": 1}


def test_a_nested_field_is_cut_from_each_item() -> None:
    record = {"adres": {"land": "x", "straat": "y"}, "plaatsingen": [{"a": 1, "b": 2}, {"b": 3}, 4]}
    assert cut(record, "adres.land", "plaatsingen.b") == {
        "adres": {"straat": "y"},
        "plaatsingen": [{"a": 1}, {}, 4],
    }


@pytest.mark.parametrize(
    "raw",
    [
        b'{"BSN": "1", "BSN": "2", "a": 1}',
        b'{"\\u0042SN": "1", "a": 1}',
        b'{ "BSN" :[{"BSN": 1}], "a": 1}',
    ],
)
def test_spelling_tricks_do_not_save_a_dropped_field(raw: bytes) -> None:
    assert cut(raw, "BSN") == {"a": 1}


def test_what_cannot_be_read_is_not_kept() -> None:
    assert cut(b'{"BSN": "1"', "BSN") == {}


def test_numbers_keep_their_spelling_when_something_is_cut() -> None:
    raw = b'{"BSN":1,"n":1.50,"m":12345678901234567890}'
    assert without(raw, frozenset({"BSN"})) == b'{"n":1.50,"m":12345678901234567890}'


@pytest.mark.parametrize("raw", [None, b"null", b"[]", b"5", b"{"])
def test_absent_or_unreadable_permissions_are_a_violation(raw: bytes | None) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        read_permissions(raw, answer({}))
    assert caught.value.where == "veldpermissies"


def test_a_dossier_names_its_pupil() -> None:
    found = {"voortgangsdossiers": [{"vakuuid": B}], "veldpermissies": {"vakuuid": True}}
    body, permissions = wrap_dossier(answer(found), "voortgangsdossiers", leerling=A)
    assert msgspec.json.decode(body) == {"leerling_uuid": A, "voortgangsdossiers": [{"vakuuid": B}]}
    assert permissions == b'{"vakuuid":true}'


@pytest.mark.parametrize("body", [{}, {"voortgangsdossiers": None}, {"examendossiers": []}])
def test_a_dossier_without_its_list_is_a_violation(body: Any) -> None:
    with pytest.raises(ProtocolViolationError):
        wrap_dossier(answer(body), "voortgangsdossiers", leerling=A)
