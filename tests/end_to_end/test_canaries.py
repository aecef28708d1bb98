"""The search for canaries finds them in every form, and nothing else."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.support.canaries import Canaries

NAME = "Françoise Øster"
BORN = "2011-03-09"
SHOWN = [
    NAME,
    NAME.upper(),
    NAME.lower(),
    quote(NAME),
    quote(NAME, safe="").lower(),
    json.dumps({"naam": NAME}),
    repr(NAME.encode()),
    repr([NAME]),
    base64.b64encode(NAME.encode()).decode(),
    base64.b64encode(b"x" + NAME.encode() + b"yz").decode(),
    base64.b64encode(b"xy" + NAME.encode() + b"z").decode(),
    base64.b64encode(b'{"naam": "' + NAME.encode() + b'", "x": 1}').decode(),
]
DATES = [
    BORN,
    "09-03-2011",
    "9-3-2011",
    "20110309",
    "09032011",
    "09/03/2011",
    "03/09/2011",
    "09.03.2011",
    "datetime.date(2011, 3, 9)",
]


@pytest.mark.parametrize("shown", SHOWN)
def test_a_name_is_found_in_every_form(shown: str) -> None:
    assert Canaries([NAME]).found_in(f"fout: {shown}; einde") == [NAME]


@pytest.mark.parametrize("shown", DATES)
def test_a_date_is_found_in_every_order(shown: str) -> None:
    assert Canaries([BORN]).found_in(f"fout: {shown}; einde") == [BORN]


@pytest.mark.parametrize("shown", ["06 1234 5678", "0612345678", "612345678"])
def test_a_phone_number_is_found_however_it_is_spaced(shown: str) -> None:
    assert Canaries(["06 1234 5678"]).found_in(f"bel {shown}") == ["06 1234 5678"]


def test_a_part_of_another_word_is_not_found() -> None:
    assert Canaries(["Haven", "100020"]).found_in("Havenzicht 51000207") == []


def test_short_values_and_public_names_are_left_out() -> None:
    canaries = Canaries(["Bo", "Haven", "Zandvliet"], ["School De Haven"])
    assert canaries.values == {"Zandvliet"}
