"""Raw bodies become typed records; what breaks a rule is dropped or refuses the record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import FieldProblem
from connectors.errors import ParseError
from connectors.protocols.parsing import field_paths, parse_model
from connectors.somtoday.records import Leerling, Lesgroep

UUID = "aa000000-0000-4000-8000-000000000001"
OTHER = "bb000000-0000-4000-8000-000000000002"


def body(**fields: Any) -> bytes:
    return msgspec.json.encode({"uuid": UUID, **fields})


def leerling(raw: bytes) -> tuple[Leerling, tuple[FieldProblem, ...]]:
    parsed = parse_model(Leerling, raw)
    assert isinstance(parsed.record, Leerling)
    return parsed.record, parsed.problems


def test_a_healthy_record_has_its_values_and_no_problems() -> None:
    record, problems = leerling(
        body(achternaam="Zand", geboortedatum="2010-03-14", plaatsingen=[{"leerjaar": 3}])
    )
    assert (record.achternaam, str(record.geboortedatum)) == ("Zand", "2010-03-14")
    assert record.plaatsingen is not None
    assert record.plaatsingen[0].leerjaar == 3
    assert problems == ()


def test_absent_null_and_dropped_are_three_states() -> None:
    record, problems = leerling(body(roepnaam=None, leerlingnummer="x"))
    assert "achternaam" not in record.model_fields_set
    assert "roepnaam" in record.model_fields_set
    assert record.roepnaam is None
    assert record.leerlingnummer is None
    assert record.dropped == {"leerlingnummer"}
    assert problems == (FieldProblem("leerlingnummer", "must be a whole number"),)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("geboortedatum", "2010-02-31", "must be a date (YYYY-MM-DD) that exists"),
        ("geboortedatum", 20100214, "must be a date (YYYY-MM-DD)"),
        ("geslacht", "X", "must be one of 'MAN', 'VROUW' or 'ONBEKEND'"),
        ("roepnaam", 5, "must be text"),
        ("roepnaam", "a\x00b", "holds a NUL character"),
        ("isActief", "ja", "must be true or false"),
        ("leerlingnummer", 2**63, "is too large"),
        ("leerlingnummer", 1.5, "must be a whole number"),
        ("plaatsingen", {}, "must be a list"),
        ("adres", "Kade 12", "must be an object"),
    ],
)
def test_an_error_in_an_optional_field_drops_that_field(field: str, value: Any, rule: str) -> None:
    record, problems = leerling(body(achternaam="Zand", **{field: value}))
    assert record.achternaam == "Zand"
    assert [(p.path, p.rule) for p in problems] == [(field, rule)]
    assert len(record.dropped) == 1


def test_only_the_smallest_optional_part_is_dropped() -> None:
    record, problems = leerling(body(plaatsingen=[{"uuid": OTHER, "startdatum": "31-12-2020"}]))
    assert record.plaatsingen is not None
    assert record.plaatsingen[0].uuid == OTHER
    assert record.plaatsingen[0].dropped == {"startdatum"}
    assert record.dropped == frozenset()
    assert [p.path for p in problems] == ["plaatsingen[0].startdatum"]


def test_a_list_is_never_shortened_by_a_bad_item() -> None:
    raw = body(leerlingen=[{"uuid": OTHER}, {"uuid": "?"}], docenten=[OTHER, 7])
    parsed = parse_model(Lesgroep, raw)
    assert isinstance(parsed.record, Lesgroep)
    assert parsed.record.leerlingen is None
    assert parsed.record.docenten is None
    assert parsed.record.dropped == {"leerlingen", "docenten"}
    assert [p.path for p in parsed.problems] == ["leerlingen[1].uuid", "docenten[1]"]


@pytest.mark.parametrize("uuid", [None, 4, "", "aa", UUID + "\n", f"{UUID}/../x"])
def test_an_error_in_the_key_refuses_the_record_without_its_value(uuid: Any) -> None:
    with pytest.raises(ParseError) as caught:
        parse_model(Leerling, msgspec.json.encode({"uuid": uuid, "achternaam": "Zandkanarie"}))
    assert caught.value.path == "uuid"
    assert "Zandkanarie" not in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"5", b"{", b'{"uuid": "\xff"}', b"[" * 100_000, b'{"a":"\\ud800"}']
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_model(Leerling, raw)
    assert caught.value.path == "$"


def test_unknown_fields_are_named_once_and_dotted() -> None:
    raw = body(nieuw=1, adres={"wijk": "x"}, lesgroepen=[{"uuid": UUID, "z": 1}] * 2)
    assert parse_model(Leerling, raw).unknown == ("nieuw", "adres.wijk", "lesgroepen.z")


def test_an_unknown_name_that_may_hold_a_value_is_not_shown() -> None:
    assert parse_model(Leerling, body(**{"jan@school.example": 1})).unknown == (
        "(unprintable name)",
    )


def test_a_source_cannot_hide_what_it_sends_by_the_inner_mark() -> None:
    record, _ = leerling(body(**{"\x00dropped": ["achternaam"], "achternaam": "Zand"}))
    assert record.achternaam == "Zand"
    assert record.dropped == frozenset()


def test_a_record_shows_none_of_its_values() -> None:
    record, _ = leerling(body(achternaam="Zandkanarie"))
    assert "Zandkanarie" not in f"{record!r} {record}"


def test_field_paths_are_the_source_spelling_and_dotted() -> None:
    paths = field_paths(Leerling)
    assert {"BSN", "plaatsingen.digiDeliveryId", "plaatsingen.opleiding.code"} <= set(paths)
    assert len(paths) == len(set(paths))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(field_paths(Leerling))), _JSON, max_size=6))
def test_any_garbage_in_optional_fields_is_dropped_or_read(fields: dict[str, Any]) -> None:
    fields = {name: value for name, value in fields.items() if "." not in name}
    parsed = parse_model(Leerling, msgspec.json.encode({**fields, "uuid": UUID}))
    assert isinstance(parsed.record, Leerling)
    assert parsed.record.uuid == UUID
