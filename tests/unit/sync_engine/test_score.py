from __future__ import annotations

import math
from typing import Any

import pytest

from config.correlation import Scale
from config.policies import Policy
from sync_engine.score import score_person

POLICY = Policy.defaults().correlation.of("leerling")


def form(**changes: Any) -> dict[str, Any]:
    return {
        "achternaam": "Jansen",
        "roepnaam": "Anna",
        "geboortedatum": "2012-03-04",
        "adres": {"postcode": "1234AB"},
        **changes,
    }


PERSON = (5, "Jansen", "Anna", None, "1234AB")


def test_equal_persons_score_one() -> None:
    found = score_person(form(), PERSON, POLICY)
    assert found is not None
    assert (found.core_id, found.score) == (5, 1.0)
    assert found.agrees == ("geboortedatum", "achternaam", "roepnaam", "postcode")


def test_a_case_begins_at_the_threshold_and_not_below_it() -> None:
    moved = form(adres={"postcode": "9999ZZ"})  # nine tenths of the weight agree
    for case_at, is_case in ((0.9, True), (math.nextafter(0.9, 1), False), (0.899, True)):
        scale = Scale(weights=POLICY.weights, case_at=case_at)
        assert (score_person(moved, PERSON, scale) is not None) is is_case


def test_spelling_counts_little() -> None:
    assert score_person(form(achternaam="JANSEN"), PERSON, POLICY)
    assert score_person(form(achternaam="Janssen"), PERSON, POLICY)


@pytest.mark.parametrize("changes", [{"roepnaam": "Piet"}, {"achternaam": "Vermeulen"}])
def test_twins_and_others_born_that_day_are_no_case(changes: dict[str, str]) -> None:
    assert score_person(form(**changes), PERSON, POLICY) is None


def test_a_part_that_one_side_does_not_have_is_not_counted() -> None:
    without = score_person(form(roepnaam=None, adres=None), PERSON, POLICY)
    assert without is not None
    assert without.score == 1.0
    assert score_person(form(), (5, "Jansen", None, None, None), POLICY) is not None


def test_given_names_may_agree_instead_of_the_calling_name() -> None:
    found = score_person(
        form(roepnaam="An", voornamen="Johanna Maria"),
        (5, "Jansen", "Jo", "Johanna Maria", "1234AB"),
        POLICY,
    )
    assert found is not None


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({"achternaam": "de Vries"}, ("Vries", "de")),
        ({"achternaam": "Vries", "voorvoegsel": "de"}, ("de Vries", None)),
    ],
)
def test_a_tussenvoegsel_may_stand_in_the_surname(
    here: dict[str, str], there: tuple[str, str | None]
) -> None:
    surname, prefix = there
    found = score_person(form(**here), (5, surname, "Anna", None, "1234AB", prefix), POLICY)
    assert found is not None
    assert found.score == 1.0


def test_another_tussenvoegsel_makes_no_other_person() -> None:
    person = (5, "Vries", "Anna", None, "1234AB", "van")
    assert score_person(form(achternaam="Vries", voorvoegsel="de"), person, POLICY) is not None


def test_without_a_birth_date_names_alone_are_weighed() -> None:
    found = score_person(form(), PERSON, POLICY, dated=False)
    assert found is not None
    assert found.agrees == ("achternaam", "roepnaam", "postcode")
    assert score_person(form(roepnaam="Piet"), PERSON, POLICY, dated=False) is None
