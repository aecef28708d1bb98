"""Identifier types: what is accepted, what is refused, and that they never show themselves."""

from __future__ import annotations

import copy
import pickle
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from sector.codes.geslacht import Geslacht
from sector.identifiers import (
    Brin,
    Bsn,
    EckId,
    Emailadres,
    Identifier,
    InvalidIdentifierError,
    Leerlingnummer,
    Oin,
    Onderwijsnummer,
    Postcode,
    Schooljaar,
    Stampseudoniem,
    Telefoonnummer,
    Vestigingsnummer,
    elfproef,
)

ECK = "https://ketenid.nl/201703/" + "0123456789abcdef" * 8
ROOT = "https://ketenid.nl/sp201703/" + "0123456789abcdef" * 8
ROOT_PILOT = "https://ketenid.nl/sppilot/" + "0123456789abcdef" * 8
PILOT = "https://ketenid.nl/pilot/" + "0123456789abcdef" * 8

GOOD: list[tuple[type[Identifier], str, str]] = [
    (Bsn, "999990019", "999990019"),
    (Bsn, " 063138219\n", "063138219"),
    (Bsn, "003389261", "003389261"),
    (Onderwijsnummer, "100310303", "100310303"),
    (Onderwijsnummer, "100729533", "100729533"),
    (Onderwijsnummer, "101211151", "101211151"),
    (EckId, ECK, ECK),
    (EckId, PILOT, PILOT),
    (Stampseudoniem, ROOT, ROOT),
    (Stampseudoniem, ROOT_PILOT, ROOT_PILOT),
    (Leerlingnummer, "12345", "12345"),
    (Leerlingnummer, "0012345", "12345"),
    (Brin, "99xx", "99XX"),
    (Vestigingsnummer, "99XX01", "99XX01"),
    (Oin, "0000000700025BE00000", "0000000700025BE00000"),
    (Oin, "00000001800866472000", "00000001800866472000"),
    (Postcode, "1234 ab", "1234AB"),
    (Postcode, "1234AB", "1234AB"),
    (Emailadres, "Jan.de.Vries@School.Example", "Jan.de.Vries@school.example"),
    (Emailadres, "m+2@bücher.example", "m+2@bücher.example"),
    (Telefoonnummer, "06-12345678", "+31612345678"),
    (Telefoonnummer, "+31 (0)20 123 45 67", "+31201234567"),
    (Telefoonnummer, "612345678", "+31612345678"),
    (Telefoonnummer, "0049 30 1234567", "+49301234567"),
    (Schooljaar, "2026/2027", "2026/2027"),
    (Schooljaar, "2026-2027", "2026/2027"),
]

BAD: list[tuple[type[Identifier], str]] = [
    (Bsn, "000000000"),
    (Bsn, "63138219"),
    (Bsn, "0631382190"),
    (Bsn, "06313821٩"),
    (Bsn, "123456789"),
    (Bsn, "100310303"),
    (Bsn, ""),
    (Onderwijsnummer, "999990019"),
    (Onderwijsnummer, "100310304"),
    (Onderwijsnummer, "200000001"),
    (EckId, ECK.replace("/201703/", "/sp201703/")),
    (EckId, ECK.upper()),
    (EckId, ECK + "0"),
    (EckId, " " + ECK),
    (EckId, ECK + "\n"),
    (EckId, ECK.replace("ketenid.nl", "id.school")),
    (EckId, ROOT_PILOT),
    (Stampseudoniem, PILOT),
    (Stampseudoniem, ECK),
    (Stampseudoniem, ROOT.upper()),
    (Stampseudoniem, ROOT + "0"),
    (Stampseudoniem, ROOT + "\n"),
    (Stampseudoniem, ROOT.replace("sp201703", "sp2017")),
    (Leerlingnummer, "0"),
    (Leerlingnummer, "-1"),
    (Leerlingnummer, "12a"),
    (Leerlingnummer, "1" * 19),
    (Brin, "9XX9"),
    (Brin, "99XX01"),
    (Vestigingsnummer, "99XX"),
    (Vestigingsnummer, "99XX0A"),
    (Oin, "0000000700025BE0000"),
    (Oin, "00000007000250000000"),
    (Oin, "12345678901234567890"),
    (Postcode, "0123AB"),
    (Postcode, "1234SS"),
    (Postcode, "1234  AB"),
    (Emailadres, "jan@school"),
    (Emailadres, "jan de vries@school.example"),
    (Emailadres, "a@b@school.example"),
    (Emailadres, "jan@school..example"),
    (Emailadres, "x" * 250 + "@school.example"),
    (Telefoonnummer, "0612"),
    (Telefoonnummer, "+310612345678"),
    (Telefoonnummer, "thuis"),
    (Schooljaar, "2026/2028"),
    (Schooljaar, "2026"),
    (Schooljaar, "26/27"),
]


def make(weighted: int, first: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Nine digits whose elfproef leaves `weighted`."""

    def complete(digits: str) -> str | None:
        last = (elfproef(digits + "0") - weighted) % 11
        return digits + str(last) if last < 10 else None

    rest = st.text("0123456789", min_size=7, max_size=7)
    made = st.tuples(first, rest).map("".join).map(complete)
    return made.filter(lambda text: text is not None and text.strip("0") != "").map(str)


BSNS = make(0, st.sampled_from("0123456789"))
ONDERWIJSNUMMERS = make(5, st.just("1"))


@pytest.mark.parametrize(("kind", "text", "expected"), GOOD)
def test_a_valid_text_is_normalised(kind: type[Identifier], text: str, expected: str) -> None:
    assert kind.check(text) == expected
    assert kind(text).reveal() == expected
    assert kind(kind(text).reveal()) == kind(text)


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_an_invalid_text_is_refused_without_being_repeated(
    kind: type[Identifier], text: str
) -> None:
    with pytest.raises(InvalidIdentifierError) as caught:
        kind(text)
    error = caught.value
    assert error.name == kind.name
    assert error.args == (f"{error.name}: {error.rule}",)
    assert len(text) < 4 or text not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_what_is_not_text_is_refused() -> None:
    kinds: list[type[Identifier]] = [Bsn, EckId, Stampseudoniem, Leerlingnummer, Brin]
    hostile: list[object] = [None, 999990019, b"999990019", ["999990019"]]
    for kind in kinds:
        for value in hostile:
            with pytest.raises(InvalidIdentifierError):
                kind(value)  # type: ignore[arg-type]  # hostile input is the point


@given(BSNS)
def test_every_generated_bsn_is_accepted(text: str) -> None:
    assert Bsn(text).reveal() == text


@given(ONDERWIJSNUMMERS)
def test_every_generated_onderwijsnummer_is_accepted_and_is_no_bsn(text: str) -> None:
    assert Onderwijsnummer(text).reveal() == text
    with pytest.raises(InvalidIdentifierError):
        Bsn(text)


@given(BSNS, st.integers(0, 8), st.integers(1, 9))
def test_a_bsn_with_one_digit_changed_is_refused(text: str, place: int, step: int) -> None:
    changed = str((int(text[place]) + step) % 10)
    with pytest.raises(InvalidIdentifierError):
        Bsn(text[:place] + changed + text[place + 1 :])


@given(BSNS, st.integers(0, 6))
def test_a_bsn_with_two_neighbours_swapped_is_refused(text: str, place: int) -> None:
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if swapped != text:
        with pytest.raises(InvalidIdentifierError):
            Bsn(swapped)


@given(st.text("0123456789", min_size=9, max_size=9))
def test_elfproef_is_the_sum_of_the_specification(digits: str) -> None:
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    total = sum(w * int(d) for w, d in zip(weights, digits, strict=True))
    assert elfproef(digits) == total % 11


@given(BSNS)
def test_a_bsn_never_shows_itself(text: str) -> None:
    bsn = Bsn(text)
    shown = [
        repr(bsn),
        str(bsn),
        f"{bsn}",
        f"{bsn!r:>30}",
        repr([bsn]),
        f"{ {bsn: 1} }",
    ]
    assert all(text not in line and text[:4] not in line for line in shown)
    assert repr(bsn) == "Bsn(•••••)"


@pytest.mark.parametrize(("kind", "text", "expected"), GOOD)
def test_no_identifier_shows_itself_whole(kind: type[Identifier], text: str, expected: str) -> None:
    shown = f"{kind(text)} {kind(text)!r} {[kind(text)]}"
    assert expected not in shown
    if not kind.public:
        assert expected[-2:] not in shown.replace(kind.__name__, "")


def test_an_organisation_number_shows_its_last_two_characters() -> None:
    assert repr(Brin("99XX")) == "Brin(••XX)"
    assert str(Vestigingsnummer("99XX01")) == "Vestigingsnummer(••01)"


def test_identifiers_are_equal_by_type_and_value() -> None:
    assert Bsn("999990019") == Bsn("999990019")
    assert len({Bsn("999990019"), Bsn("999990019"), Bsn("063138219")}) == 2
    assert Leerlingnummer("999990019") != Bsn("999990019")
    assert Bsn("999990019") != "999990019"


def test_identifiers_of_one_type_are_ordered() -> None:
    low, high = Brin("01AA"), Brin("02AA")
    assert low < high <= high
    assert high > low >= low
    assert sorted([high, low]) == [low, high]
    with pytest.raises(TypeError):
        _ = low < Bsn("999990019")  # type: ignore[operator]  # the point of the test


def test_an_identifier_does_not_change() -> None:
    bsn = Bsn("999990019")
    with pytest.raises(AttributeError):
        bsn._value = "063138219"
    with pytest.raises(AttributeError):
        del bsn._value
    with pytest.raises(AttributeError):
        bsn.other = 1
    assert bsn.reveal() == "999990019"


def test_identifiers_and_their_errors_can_be_copied_and_pickled() -> None:
    bsn = Bsn("999990019")
    assert copy.deepcopy({"a": bsn})["a"] is bsn
    assert pickle.loads(pickle.dumps(bsn)) == bsn  # noqa: S301
    error = InvalidIdentifierError("BSN", "must be nine digits")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (again.name, again.rule) == (error.name, error.rule)


class Person(BaseModel):
    """A model as a connector writes them."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    bsn: Bsn
    brin: Brin | None = None


def test_pydantic_takes_text_and_instances() -> None:
    assert Person.model_validate({"bsn": "999990019"}).bsn == Bsn("999990019")
    assert Person(bsn=Bsn("999990019")).bsn == Bsn("999990019")
    assert Person.model_validate_json('{"bsn": "999990019"}').bsn == Bsn("999990019")
    assert Person.model_validate({"bsn": "999990019"}).model_dump()["bsn"] == Bsn("999990019")


@pytest.mark.parametrize("value", ["123456789", 123456789, None, Onderwijsnummer("100310303")])
def test_pydantic_refuses_without_showing(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Person.model_validate({"bsn": value})
    assert "123456789" not in str(caught.value)
    assert "100310303" not in str(caught.value)


def test_a_dump_to_json_refuses_a_personal_number_and_gives_a_public_one() -> None:
    person = Person(bsn=Bsn("999990019"), brin=Brin("99XX"))
    assert person.model_dump_json(include={"brin"}) == '{"brin":"99XX"}'
    with pytest.raises(PydanticSerializationError) as caught:
        person.model_dump_json()
    assert "999990019" not in str(caught.value)
    assert "999990019" not in repr(person)


def test_a_test_pseudonym_and_a_test_oin_are_recognised() -> None:
    assert EckId(PILOT).is_test
    assert not EckId(ECK).is_test
    assert Stampseudoniem(ROOT_PILOT).is_test
    assert not Stampseudoniem(ROOT).is_test
    assert Oin("00000099800866472000").is_test
    assert not Oin("00000001800866472000").is_test


def test_a_vestigingsnummer_holds_its_brin() -> None:
    number = Vestigingsnummer("99XX01")
    assert number.brin == Brin("99XX")
    assert number.volgnummer == "01"


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_every_day_falls_in_one_schooljaar(day: date) -> None:
    year = Schooljaar.of(day)
    assert year.first_day <= day <= year.last_day < year.end
    assert day in year
    assert day not in year.following
    assert year.following.first_day == year.end


def test_a_schooljaar_turns_on_the_first_of_august() -> None:
    assert Schooljaar.of(date(2026, 7, 31)).reveal() == "2025/2026"
    assert Schooljaar.of(date(2026, 8, 1)).reveal() == "2026/2027"
    assert Schooljaar.starting(2026).first_year == 2026
    assert "2026" not in Schooljaar.of(date(2026, 8, 1))


def test_geslacht_is_written_as_in_the_register() -> None:
    assert [g.value for g in Geslacht] == ["M", "V", "O"]
