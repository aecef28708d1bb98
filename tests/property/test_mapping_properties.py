"""What holds for every record: mappings are pure, and nothing hostile gets past them."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import DeliveryContract, Scope
from connectors.errors import ParseError
from connectors.protocols.parsing import SourceModel, field_paths, parse_model
from connectors.somtoday.permissions import contract_of
from connectors.somtoday.records import Leerling
from connectors.somtoday.wire import ENDPOINTS
from mappings import normalise
from mappings.canonical.fields import NOT_DELIVERED, Entity
from mappings.canonical.schema import ENTITY_OF, encode, fields_of
from mappings.errors import MappingError, RuleBrokenError
from mappings.mapping import Mapped, State
from mappings.somtoday import MAPPING
from mappings.table import same_names

KEY = "00000000-0000-4000-8000-000000000001"
FEW = settings(max_examples=max(20, settings.default.max_examples // 4) if settings.default else 25)
"""For tests that run once for each resource or entity."""

NAMES = {"achternaam": "Zand", "naam": "P3A"}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2026-08-01", "2026-02-30", "2026/2027", "7,2", "0610000001", KEY, "VROUW"])
)
garbage = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def likely(model: type[SourceModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the model's own fields, each right, garbage or absent."""
    return st.fixed_dictionaries(
        {}, optional={path: likely_value(path) for path in field_paths(model) if "." not in path}
    )


def likely_value(name: str) -> st.SearchStrategy[Any]:
    nested = {
        "plaatsingen": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "uuid": st.just(KEY) | garbage,
                    "startdatum": st.dates().map(str) | garbage,
                    "einddatum": st.dates().map(str) | garbage,
                    "schooljaar": st.just("2026/2027") | garbage,
                    "stamgroep": st.just({"uuid": KEY}) | garbage,
                    "mentoren": garbage,
                },
            ),
            max_size=3,
        ),
        "verzorgers": st.lists(
            st.fixed_dictionaries({"uuid": st.just(KEY) | garbage, "volgnummer": garbage}),
            max_size=3,
        ),
        "adres": st.fixed_dictionaries(
            {}, optional={"postcode": garbage, "huisnummer": garbage, "straat": garbage}
        ),
    }
    return nested[name] | garbage if name in nested else garbage


def scope_of(resource: str) -> Scope:
    return Scope(resource, f"{KEY}/HUIDIG", schooljaar=2026)


def contracts(resource: str) -> st.SearchStrategy[DeliveryContract]:
    """Contracts in which some fields are withheld."""
    paths = list(field_paths(ENDPOINTS[resource].model))
    return st.sets(st.sampled_from(paths), max_size=8).map(
        lambda shut: contract_of(
            resource, ENDPOINTS[resource].model, permissions=None, drop=frozenset(shut)
        )
    )


def run(resource: str, body: dict[str, Any], contract: DeliveryContract) -> Mapped | None:
    """What comes of a record; None where it is refused, which only RecordErrors may do."""
    raw = {**NAMES, **body, "uuid": KEY, "leerling_uuid": KEY}
    try:
        record = parse_model(ENDPOINTS[resource].model, msgspec.json.encode(raw)).record
    except ParseError:
        return None
    try:
        return MAPPING.map(resource, record, contract=contract, scope=scope_of(resource))
    except MappingError:
        return None


@pytest.mark.parametrize("resource", MAPPING.resources)
@FEW
@given(data=st.data())
def test_garbage_raises_nothing_but_record_errors(resource: str, data: st.DataObject) -> None:
    body = data.draw(likely(ENDPOINTS[resource].model))
    found = run(resource, body, data.draw(contracts(resource)))
    if found is not None:
        for record in found.records:
            encode(record)


@pytest.mark.parametrize("resource", ["leerling", "medewerker", "lesgroep", "ouderVerzorger"])
@FEW
@given(data=st.data())
def test_a_mapping_is_a_function_of_its_input(resource: str, data: st.DataObject) -> None:
    body, contract = data.draw(likely(ENDPOINTS[resource].model)), data.draw(contracts(resource))
    one, other = (
        run(resource, body, contract),
        run(resource, dict(reversed(body.items())), contract),
    )
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert [encode(r) for r in one.records] == [encode(r) for r in other.records]
        assert (one.silent, one.silent_keys) == (other.silent, other.silent_keys)


@given(body=likely(Leerling), contract=contracts("leerling"))
def test_not_delivered_never_appears_as_empty(
    body: dict[str, Any], contract: DeliveryContract
) -> None:
    found = run("leerling", body, contract)
    if found is None:
        return
    hiding = {"adres_geheim", "telefoon_geheim"}
    for row in MAPPING.describe():
        person = found.records[0]
        if row.resource != "leerling" or row.entity is not ENTITY_OF[type(person)]:
            continue
        if row.target not in hiding and not any(map(contract.delivers, row.source)):
            assert getattr(person, row.target) is NOT_DELIVERED


@given(body=likely(Leerling), contract=contracts("leerling"))
def test_what_broke_a_rule_is_not_delivered(
    body: dict[str, Any], contract: DeliveryContract
) -> None:
    found = run("leerling", body, contract)
    if found is None:
        return
    broken = {problem.path for problem in found.problems}
    for row in MAPPING.describe():
        if row.resource == "leerling" and row.entity is Entity.LEERLING and row.source[0] in broken:
            assert getattr(found.records[0], row.target) is NOT_DELIVERED


@given(body=likely(Leerling), contract=contracts("leerling"))
def test_a_secret_address_is_never_empty_and_never_loses_its_flag(
    body: dict[str, Any], contract: DeliveryContract
) -> None:
    found = run("leerling", {**body, "adres_geheim": True}, contract)
    if found is not None:
        person: Any = found.records[0]
        assert person.adres_geheim is True
        assert body.get("adres") is not None or person.adres is NOT_DELIVERED


@given(body=likely(Leerling), contract=contracts("leerling"))
def test_absence_is_stated_only_by_a_list_that_is_delivered(
    body: dict[str, Any], contract: DeliveryContract
) -> None:
    found = run("leerling", body, contract)
    if found is not None and not contract.delivers("plaatsingen"):
        assert found.is_silent_on("inschrijving", "any")
        assert not [r for r in found.records if ENTITY_OF[type(r)] is Entity.INSCHRIJVING]


@given(body=likely(Leerling), contract=contracts("leerling"))
def test_a_trial_is_what_map_makes(body: dict[str, Any], contract: DeliveryContract) -> None:
    found = run("leerling", body, contract)
    if found is None:
        return
    raw = {**NAMES, **body, "uuid": KEY, "leerling_uuid": KEY}
    record = parse_model(Leerling, msgspec.json.encode(raw)).record
    rows = MAPPING.trial("leerling", record, contract=contract, scope=scope_of("leerling"))
    person = [row for row in rows if row.entity is Entity.LEERLING]
    assert {row.target for row in person} <= set(fields_of(Entity.LEERLING))
    for row in person:
        value = getattr(found.records[0], row.target)
        if row.state in {State.NOT_DELIVERED, State.DROPPED}:
            assert value is NOT_DELIVERED
        else:
            assert value == row.output


@pytest.mark.parametrize("entity", list(Entity))
@FEW
@given(data=st.data())
def test_records_with_canonical_names_may_hold_anything(
    entity: Entity, data: st.DataObject
) -> None:
    names = list(fields_of(entity))
    values = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, garbage)))
    contract = DeliveryContract(dict.fromkeys(names, True))
    problems: list[Any] = []
    try:
        made = same_names(entity).apply(
            SimpleNamespace(**values), "k", contract=contract, problems=problems
        )
    except MappingError:
        return
    for name in names:
        if name not in values:
            assert getattr(made, name) is NOT_DELIVERED
    encode(made)


@given(st.text(max_size=40))
def test_the_match_form_is_stable_and_blind_to_case_and_signs(text: str) -> None:
    form = normalise.match_form(text)
    assert normalise.match_form(form) == form
    assert normalise.match_form(f" {text}-") == form


@given(st.text(alphabet="abcdeéüÖvn' -", max_size=30))
def test_splitting_a_surname_loses_no_letter(text: str) -> None:
    before, rest = normalise.split_voorvoegsel(text)
    assert (before + rest).replace(" ", "") == "".join(text.split())


@given(st.text(max_size=30))
def test_tidying_twice_changes_nothing_more(text: str) -> None:
    try:
        once = normalise.tidy(text)
    except RuleBrokenError:
        return
    assert normalise.tidy(once) == once


@given(st.dates(max_value=date.max - timedelta(days=1)))
def test_a_half_open_end_lies_one_day_after_the_inclusive_one(last: date) -> None:
    assert normalise.following(last) - last == timedelta(days=1)
    assert normalise.day(last.isoformat()) == last


@given(st.text(max_size=20))
def test_reading_values_never_fails_in_another_way(text: str) -> None:
    normalise.number(text)
    for function in (normalise.day, normalise.moment, normalise.telephone, normalise.postcode):
        try:
            function(text)
        except RuleBrokenError:
            continue
