"""The machine: three values, required and optional fields, alternatives, trial."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import Field

from connectors.base import DeliveryContract, FieldProblem
from connectors.protocols.parsing import SourceModel
from mappings import functions as f
from mappings.canonical.fields import NOT_DELIVERED, Canonical, Entity
from mappings.canonical.organisatie import Vak
from mappings.canonical.personen import Leerling
from mappings.errors import MappingError
from mappings.mapping import State, Strength
from mappings.table import Row, Table, digest, same_names


class Bron(SourceModel):
    """A source record whose spelling is not that of its attributes."""

    uuid: str
    naam: str | None = None
    korte_naam: str | None = Field(default=None, alias="korteNaam")
    lange_naam: str | None = Field(default=None, alias="langeNaam")
    code: str | None = None
    is_open: bool | None = None
    plek: Plek | None = None


class Plek(SourceModel):
    """A nested record."""

    uuid: str | None = Field(default=None, alias="UUID")


Bron.model_rebuild()


def is_open(record: Any) -> bool:
    """Only what is open."""
    return record.is_open is True


def explode(value: object) -> str:
    """Fails with a text that holds the value."""
    raise ValueError(str(value))


ROWS = (
    Row("naam", ("naam",), f.text),
    Row("afkorting", ("korte_naam",), f.text, strength=Strength.WEAK),
    Row("code", ("code",), f.text, condition=is_open),
    Row("vestiging", ("plek.uuid",), f.reference),
)
TABLE = Table(Entity.VAK, ROWS, model=Bron)
ALL = DeliveryContract(
    dict.fromkeys(["naam", "korteNaam", "langeNaam", "code", "is_open", "plek.UUID"], True)
)


def bron(**fields: object) -> Bron:
    return Bron.model_validate({"uuid": "u", "naam": "Koken", **fields})


def applied(
    record: object, table: Table = TABLE, contract: DeliveryContract = ALL, **around: object
) -> tuple[Any, list[FieldProblem]]:
    problems: list[FieldProblem] = []
    made: Canonical = table.apply(record, "u", contract=contract, around=around, problems=problems)
    return made, problems


def test_a_value_is_mapped() -> None:
    made, problems = applied(bron(korteNaam=" kok "))
    assert (made.key, made.naam, made.afkorting, problems) == ("u", "Koken", "kok", [])


def test_delivered_and_absent_is_empty() -> None:
    assert applied(bron())[0].afkorting is None


def test_what_the_contract_does_not_name_is_not_delivered_even_if_it_is_there() -> None:
    contract = DeliveryContract({"naam": True, "korteNaam": False})
    assert applied(bron(korteNaam="kok"), contract=contract)[0].afkorting is NOT_DELIVERED


def test_what_the_parser_dropped_is_not_delivered() -> None:
    record = Bron.model_validate(
        {"uuid": "u", "naam": "Koken", "\x00dropped": frozenset({"korte_naam"})}, strict=False
    )
    assert applied(record)[0].afkorting is NOT_DELIVERED


def test_a_nested_path_is_read_in_three_values() -> None:
    assert applied(bron(plek=Plek(UUID="v")))[0].vestiging == "v"
    assert applied(bron())[0].vestiging is None
    assert applied(bron(), contract=DeliveryContract({"naam": True}))[0].vestiging is NOT_DELIVERED


def test_an_attribute_that_a_record_lacks_is_not_delivered() -> None:
    assert applied(SimpleNamespace(naam="Koken", is_open=False))[0].afkorting is NOT_DELIVERED


def test_a_condition_decides_whether_the_row_speaks() -> None:
    assert applied(bron(code="x", is_open=False))[0].code is NOT_DELIVERED
    assert applied(bron(code="x", is_open=True))[0].code == "x"


def test_a_broken_rule_drops_an_optional_field_with_a_warning() -> None:
    made, problems = applied(bron(korteNaam="k\x1bok"))
    assert made.afkorting is NOT_DELIVERED
    assert problems == [FieldProblem("korteNaam", "holds control characters")]


def test_a_broken_rule_in_a_required_field_refuses_the_record() -> None:
    with pytest.raises(MappingError) as caught:
        applied(bron(naam="k\x1bok"))
    assert (caught.value.path, caught.value.rule) == ("naam", "holds control characters")
    assert caught.value.source_key == "u"
    assert caught.value.advice


@pytest.mark.parametrize(
    ("record", "contract", "rule"),
    [
        (bron(naam=None), ALL, "is required and empty"),
        (bron(naam="  "), ALL, "is required and empty"),
        (bron(), DeliveryContract({}), "is required and not delivered"),
    ],
)
def test_a_required_field_must_be_there(
    record: Bron, contract: DeliveryContract, rule: str
) -> None:
    with pytest.raises(MappingError) as caught:
        applied(record, contract=contract)
    assert caught.value.rule == rule


def test_the_text_of_a_foreign_error_is_not_repeated() -> None:
    table = Table(Entity.VAK, (*ROWS[:1], Row("code", ("code",), explode)), model=Bron)
    made, problems = applied(bron(code="canary"), table)
    assert made.code is NOT_DELIVERED
    assert problems == [FieldProblem("code", "breaks a rule of explode")]


def test_where_an_item_stands_is_named_in_the_source_s_spelling() -> None:
    table = Table(Entity.VAK, ROWS, model=Bron, prefix="vakken")
    contract = DeliveryContract({"vakken.naam": True, "vakken.korteNaam": True})
    problems: list[FieldProblem] = []
    table.apply(
        bron(korteNaam="\x00"), "u", contract=contract, where="vakken[3]", problems=problems
    )
    assert problems[0].path == "vakken[3].korteNaam"


def test_the_first_row_that_is_delivered_wins() -> None:
    rows = (
        ROWS[0],
        Row("afkorting", ("korte_naam",), f.text),
        Row("afkorting", ("lange_naam",), f.text),
    )
    table = Table(Entity.VAK, rows, model=Bron)
    record = bron(korteNaam="kok", langeNaam="koken")
    assert applied(record, table)[0].afkorting == "kok"
    only_long = DeliveryContract({"naam": True, "langeNaam": True})
    assert applied(record, table, only_long)[0].afkorting == "koken"
    assert applied(bron(langeNaam="koken"), table)[0].afkorting is None


def test_surroundings_need_no_permission() -> None:
    table = Table(Entity.VAK, (ROWS[0], Row("code", ("@code",), f.text)), model=Bron)
    assert applied(bron(), table, code="x")[0].code == "x"
    assert applied(bron(), table, code=None)[0].code is None
    assert applied(bron(), table)[0].code is NOT_DELIVERED


def join(one: str, other: str | None) -> str:
    """The two, joined."""
    return f"{one}+{other}"


def test_what_stands_beside_is_not_demanded() -> None:
    table = Table(Entity.VAK, (ROWS[0], Row("code", ("code",), join, ("korte_naam",))), model=Bron)
    contract = DeliveryContract({"naam": True, "code": True})
    assert applied(bron(code="x", korteNaam="k"), table, contract)[0].code == "x+k"
    assert applied(bron(code="x"), table, contract)[0].code == "x+None"
    assert applied(bron(korteNaam="k"), table, contract)[0].code is None


def test_all_sources_of_a_row_are_demanded() -> None:
    table = Table(Entity.VAK, (ROWS[0], Row("code", ("code", "korte_naam"), join)), model=Bron)
    contract = DeliveryContract({"naam": True, "code": True})
    assert applied(bron(code="x", korteNaam="k"), table, contract)[0].code is NOT_DELIVERED
    assert applied(bron(code="x"), table)[0].code == "x+None"
    assert applied(bron(), table)[0].code is None


def test_a_flag_that_hides_counts_whenever_it_is_there() -> None:
    rows = (ROWS[0], Row("code", ("code",), f.text, insists=True))
    table = Table(Entity.VAK, rows, model=Bron)
    contract = DeliveryContract({"naam": True})
    assert applied(bron(code="x"), table, contract)[0].code == "x"
    assert applied(bron(), table, contract)[0].code is NOT_DELIVERED


def test_a_part_is_delivered_by_its_own_name_or_by_the_whole() -> None:
    rows = (ROWS[0], Row("code", ("code",), f.text, permission="code.deel"))
    table = Table(Entity.VAK, rows, model=Bron)
    for name in ("code", "code.deel"):
        contract = DeliveryContract({"naam": True, name: True})
        assert applied(bron(code="x"), table, contract)[0].code == "x"
    none = DeliveryContract({"naam": True})
    assert applied(bron(code="x"), table, none)[0].code is NOT_DELIVERED


@pytest.mark.parametrize(
    "rows",
    [
        (*ROWS, Row("kleur", ("naam",), f.text)),
        (*ROWS, Row("code", (), f.text)),
        (*ROWS, Row("code", ("kleur",), f.text)),
        (*ROWS, Row("code", ("plek.kleur",), f.text)),
        (*ROWS, Row("code", ("code",), lambda value: value)),
        ROWS[1:],
    ],
)
def test_a_mistake_in_a_table_is_found_when_it_is_declared(rows: tuple[Row, ...]) -> None:
    with pytest.raises(ValueError, match=r"vak|Bron"):
        Table(Entity.VAK, rows, model=Bron)


def test_a_waived_field_is_left_to_another_resource() -> None:
    table = Table(Entity.VAK, ROWS[1:], model=Bron, waived=frozenset({"naam"}))
    assert applied(bron(), table)[0].naam is NOT_DELIVERED


def test_a_trial_shows_each_row_with_its_state() -> None:
    record = bron(korteNaam="\x00", code="x", is_open=False, plek=Plek(UUID=None))
    rows = list(TABLE.trial(record, contract=ALL, around={}, where=""))
    assert [(r.target, r.state, r.output) for r in rows] == [
        ("naam", State.VALUE, "Koken"),
        ("afkorting", State.DROPPED, None),
        ("code", State.NOT_DELIVERED, None),
        ("vestiging", State.EMPTY, None),
    ]
    assert rows[1].source == ("korteNaam",)
    assert rows[1].strength is Strength.WEAK
    assert rows[1].rule == "holds control characters"
    assert "Koken" not in repr(rows)


@pytest.mark.parametrize("name", [None, "\x00"])
def test_a_trial_shows_why_a_record_is_refused(name: str | None) -> None:
    rows = list(TABLE.trial(bron(naam=name), contract=ALL, around={}, where=""))
    assert rows[0].state is State.REFUSED
    assert rows[0].rule


def test_the_digest_changes_with_a_row() -> None:
    def of(*rows: Row) -> str:
        return digest(list(Table(Entity.VAK, rows, model=Bron).describe("vak")))

    assert of(*ROWS) == of(*ROWS)
    others = [
        ROWS[:3],
        (*ROWS[:3], Row("vestiging", ("code",), f.reference)),
        (*ROWS[:3], Row("vestiging", ("plek.uuid",), f.text)),
        (*ROWS[:3], Row("vestiging", ("plek.uuid",), f.reference, strength=Strength.STRONG)),
        (*ROWS[:3], Row("vestiging", ("plek.uuid",), f.reference, condition=is_open)),
    ]
    assert len({of(*ROWS), *(of(*rows) for rows in others)}) == len(others) + 1


def test_records_with_canonical_names_need_no_rows_of_their_own() -> None:
    table = same_names(Entity.LEERLING)
    contract = DeliveryContract(dict.fromkeys(Leerling.__struct_fields__, True))
    record = SimpleNamespace(
        achternaam="Bos",
        roepnaam=None,
        geboortedatum="2010-03-14",
        leerlingnummer="12",
        mobiel="06 10000001",
        adres={"postcode": "1234 ab"},
        adres_geheim=True,
    )
    made, problems = applied(record, table, contract)
    assert problems == []
    assert made.roepnaam is None
    assert made.voornamen is NOT_DELIVERED
    assert made.mobiel == "+31610000001"
    assert made.adres.postcode == "1234AB"
    assert made.leerlingnummer.reveal() == "12"


@pytest.mark.parametrize("entity", list(Entity))
def test_every_entity_can_be_declared_by_its_own_names(entity: Entity) -> None:
    assert same_names(entity).entity is entity


def test_nothing_of_a_table_shows_values() -> None:
    made, _ = applied(bron())
    assert isinstance(made, Vak)
    assert "Koken" not in repr(made) + repr(TABLE)
