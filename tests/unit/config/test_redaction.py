"""What may be shown of a text, a value or an exception: by shape, never by luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigurationError, RecordError
from config.redaction import describe, describe_text, redact, shown
from sector.identifiers import MASK, Brin, Bsn

HEX = "0123456789abcdef" * 8
NUMBER = "999990019"
CANARY = "Jansen-Canarie"

HIDDEN = [
    (NUMBER, NUMBER),
    (f"BSN{NUMBER}x", NUMBER),
    (f"bsn={NUMBER}", NUMBER),
    ("999 990 019", "999 990 019"),
    ("999-990-019", "999-990-019"),
    ("9999.90.019", "9999.90.019"),
    ("mail jan@school.example now", "jan"),
    ("jan%40school.example", "jan"),
    ("Jan.de.Vries+2@mail.school.example", "Vries"),
    (f"https://ketenid.nl/201703/{HEX}", HEX[:16]),
    (f"https%3A%2F%2Fketenid.nl%2F201703%2F{HEX}", HEX[:16]),
    (f"ketenid.nl/pilot/{HEX[:20]}", HEX[:16]),
    (HEX[:64], HEX[:16]),
    ("GET https://api.example/leerling?achternaam=Jansen&x=1 200", "Jansen"),
    ("/leerling?achternaam=Jansen", "Jansen"),
    ("postgresql://hub:geheim@db.example/hub", "geheim"),
    ("Authorization: Bearer abc.def", "abc"),
    ('{"access_token": "abc123"}', "abc123"),
    ("client_secret=abc123&grant_type=x", "abc123"),
    ("bel 06-12345678", "12345678"),
    ("+31612345678", "612345678"),
    ("020 123 45 67", "123 45"),
]

KEPT = [
    "12345678-1234-1234-1234-123456789012",
    "00000000-0000-4000-8000-999990019000",
    "2026-11-23T13:12:40.123+00:00",
    "connectors/rest.py:41 in fetch",
    "read 12345 of 1234567890 records in 0.25 s",
    "scope 1a2b/HUIDIG of somtoday-demo: page 7?",
    "a=1, b=2",
    "10.0.0.1:8080",
]


@pytest.mark.parametrize(("text", "hidden"), HIDDEN)
def test_what_looks_personal_or_secret_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in redact(text)
    assert MASK in redact(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", KEPT)
def test_what_ops_needs_is_kept(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=30), st.integers(0, 999_999_999), st.text("abcdef -", max_size=5))
def test_nine_digits_are_hidden_whatever_stands_around_them(
    before: str, number: int, after: str
) -> None:
    digits = f"{number:09d}"
    if not before[-1:].isdigit():
        assert digits not in redact(before + digits + after)


def test_a_line_cannot_be_forged_or_coloured() -> None:
    assert redact("a\x1b[31mb\x00") == "a\\x1b[31mb\\x00"


@pytest.mark.parametrize(
    "piece", ["a", "a.", "?", "@", "1 ", "-", "://", "%40", "ketenid.nl/", "\\"]
)
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    before = time.process_time()
    redact(piece * 1_000_000)
    assert time.process_time() - before < 2


@dataclass
class Person:
    """A value with a telling repr."""

    naam: str = CANARY


def test_values_that_are_not_plain_show_their_type() -> None:
    assert shown(Person()) == "<Person>"
    assert shown({"naam": CANARY}) == "<dict>"
    assert shown(CANARY.encode()) == "<bytes>"
    assert shown([1, Person(), Bsn(NUMBER)]) == "[1, <Person>, Bsn(•••••)]"
    assert shown(Brin("99XX")) == "Brin(••XX)"
    assert shown(int(NUMBER)) == MASK
    assert shown(12345) == 12345
    assert shown(True) is True
    assert shown(None) is None
    assert shown(Path("a/b")) == "a/b"
    assert shown(UUID(int=1)) == str(UUID(int=1))
    assert shown(ValueError(CANARY)) == "ValueError"
    assert shown(ConfigurationError("keys.file: x")) == (
        "config.errors.ConfigurationError: keys.file: x"
    )


def raised(act: Callable[[], object]) -> BaseException:
    """What an act raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the kind is what the tests look at
        act()
    return caught.value


def test_an_exception_of_others_shows_class_and_place_only() -> None:
    def fails() -> None:
        naam = CANARY
        raise ValueError(naam)

    error = raised(fails)
    [entry] = describe(error)
    assert entry["class"] == "ValueError"
    assert "message" not in entry
    assert "test_redaction.py" in str(entry["at"])
    assert "in fails" in str(entry["at"])
    assert CANARY not in describe_text(error) + str(entry)


def test_the_whole_chain_is_described_and_none_of_it_tells_a_value() -> None:
    def cause() -> None:
        try:
            int(CANARY)
        except ValueError:
            raise KeyError(CANARY)  # noqa: B904 - a context, not a cause

    def fails() -> None:
        try:
            cause()
        except KeyError as exc:
            raise RecordError("bsn", f"is wrong {NUMBER}") from exc

    error = raised(fails)
    text = describe_text(error)
    assert [entry["class"] for entry in describe(error)] == [
        "config.errors.RecordError",
        "KeyError",
        "ValueError",
    ]
    assert describe(error)[0]["message"] == f"bsn: is wrong {MASK}"
    assert describe(error)[0]["advice"]
    assert CANARY not in text + str(describe(error))
    assert NUMBER not in text + str(describe(error))
    assert text.count("caused by") == 2


def test_the_rule_of_a_refused_identifier_is_shown() -> None:
    [entry] = describe(raised(lambda: Bsn("123456789")))
    assert entry["message"] == "BSN: does not pass the elfproef"
    assert entry["advice"]


def test_members_of_a_group_and_loops_are_described_once() -> None:
    group = ExceptionGroup(CANARY, [ValueError(CANARY), TypeError(CANARY)])
    group.exceptions[0].__context__ = group
    assert [entry["class"] for entry in describe(group)] == [
        "ExceptionGroup",
        "ValueError",
        "TypeError",
    ]
    assert CANARY not in describe_text(group)


def test_a_hidden_context_stays_hidden() -> None:
    def fails() -> None:
        try:
            int(CANARY)
        except ValueError:
            raise KeyError("x") from None

    assert len(describe(raised(fails))) == 1


def test_the_call_that_asks_for_a_token_says_what_became_of_it() -> None:
    assert redact("POST token: ConnectError [x]") == "POST token: ConnectError [x]"
    assert "geheim" not in redact("access_token: geheim, POST id_token: geheim, token=geheim")
