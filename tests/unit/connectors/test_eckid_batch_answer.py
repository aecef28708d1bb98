"""The answer to a batch: what is good is kept, what is not costs its own row, nothing is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.eckid.batch_answer import read_batch
from connectors.eckid.faults import AnswerGoneError, NotReadyError, WrongEnvironmentError
from connectors.errors import IncompleteAnswerError, ProtocolViolationError

NS = "http://ketenid.nl/eck/schemas/v1_0"
STAM = "https://ketenid.nl/sppilot/" + "a1" * 64
ECK = "https://ketenid.nl/pilot/" + "b2" * 64
PRODUCTION = "https://ketenid.nl/201703/" + "c3" * 64
CANARY = "Zandkanarie"


def good(index: object, value: str = STAM) -> str:
    return f"<e:success><e:index>{index}</e:index><e:value>{value}</e:value></e:success>"


def bad(index: object) -> str:
    text = f"<e:errorMessage>{CANARY}</e:errorMessage>"
    return f"<e:failed><e:index>{index}</e:index>{text}</e:failed>"


def wrap(rows: str, *, name: str = "retrieveBatchResponse", namespace: str = NS) -> bytes:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns:e="{namespace}"><s:Header/><s:Body><e:{name}>{rows}</e:{name}></s:Body>'
        "</s:Envelope>"
    ).encode()


def fault(actor: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        f"<faultcode>s:Server</faultcode><faultstring>{CANARY}</faultstring>"
        f"<faultactor>{actor}</faultactor></s:Fault></s:Body></s:Envelope>"
    ).encode()


def test_each_row_is_read_and_the_words_of_a_failure_are_not_kept() -> None:
    result = read_batch(wrap(good(1) + good(2, ECK) + bad(3) + bad(-4)), is_test=True)
    assert result.found == {1: STAM, 2: ECK}
    assert result.failed == {3, -4}
    assert result.problems == {}
    assert CANARY not in repr(result)
    assert STAM not in repr(result)


def test_an_answer_may_hold_nobody() -> None:
    result = read_batch(wrap(""), is_test=True)
    assert (result.found, result.failed, result.problems) == ({}, frozenset(), {})


@pytest.mark.parametrize(
    ("rows", "found", "failed", "problem"),
    [
        (good(1) + good(2, "x"), {1}, {2}, "a value is no pseudonym"),
        (good(1) + good(2, STAM.upper()), {1}, {2}, "a value is no pseudonym"),
        (good(1) + good(2, ""), {1}, {2}, "a value is no pseudonym"),
        (good(1) + "<e:success><e:index>2</e:index></e:success>", {1}, {2}, "a value is no"),
        (good(1) + good(2) + good(2), {1}, {2}, "an index stands in it twice"),
        (good(1) + good(2) + good(2, ECK), {1}, {2}, "an index stands in it twice"),
        (good(1) + good(2) + bad(2), {1}, {2}, "an index stands in it twice"),
        (good(1) + bad(2) + bad(2), {1}, {2}, "an index stands in it twice"),
        (good(1) + good("x"), {1}, set(), "a row has no index"),
        (good(1) + good(2**31), {1}, set(), "a row has no index"),
        (good(1) + good("1.0") + good("٣"), {1}, set(), "a row has no index"),
        (good(1) + f"<e:success><e:value>{STAM}</e:value></e:success>", {1}, set(), "a row has"),
    ],
)
def test_a_bad_row_costs_that_row_and_is_told(
    rows: str, found: set[int], failed: set[int], problem: str
) -> None:
    """Spec: eckid.md, section 10 rule 5 (ASSUMED)."""
    result = read_batch(wrap(rows), is_test=True)
    assert (set(result.found), set(result.failed)) == (found, failed)
    assert [rule for rule in result.problems if rule.startswith(problem)]


@pytest.mark.parametrize(("value", "is_test"), [(PRODUCTION, True), (STAM, False), (ECK, False)])
def test_one_pseudonym_of_the_other_environment_refuses_the_whole(
    value: str, is_test: bool
) -> None:
    others = good(1, ECK if is_test else PRODUCTION)
    with pytest.raises(WrongEnvironmentError) as caught:
        read_batch(wrap(others + good(2, value)), is_test=is_test)
    assert value not in str(caught.value)
    assert caught.value.advice


def test_what_stands_elsewhere_is_no_row() -> None:
    """Rows inside rows, or beside the answer, do not count."""
    nested = f"<e:success><e:index>1</e:index><e:value>{good(9)}</e:value></e:success>"
    result = read_batch(wrap(good(2) + nested), is_test=True)
    assert set(result.found) == {2}
    beside = wrap("").replace(b"<s:Body>", f"<s:Body>{good(7)}".encode())
    assert read_batch(beside, is_test=True).found == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Welkom</body></html>",
        b"geen xml",
        wrap(good(1), name="submitBatchResponse"),
        wrap(good(1), namespace="http://id.school/eck/schemas/v1_0"),
        wrap(good(1)).replace(b"?>", b'?><!DOCTYPE x [<!ENTITY l "ha">]>', 1),
        wrap(good(1)).replace(b"</e:index>", b"&onbekend;</e:index>"),
        wrap(good(1)).decode().encode("utf-16"),
        wrap(good(1)).replace(b"<e:index>", b"<e:index" + b" " * 2_000_000 + b">", 1),
    ],
)
def test_what_is_no_answer_is_refused_without_being_shown(body: bytes) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        read_batch(body, is_test=True)
    error = caught.value
    assert error.where == "body"
    assert STAM not in str(error)
    assert error.__cause__ is None


@given(st.integers(min_value=1, max_value=300))
def test_an_answer_that_is_cut_off_is_never_taken_for_whole(cut: int) -> None:
    body = wrap(good(1) + good(2))
    with pytest.raises(IncompleteAnswerError):
        read_batch(body[:-cut], is_test=True)


@pytest.mark.parametrize(
    ("actor", "kind"),
    [
        ("ContentAlreadyRetrievedException", AnswerGoneError),
        ("NotFinishedException", NotReadyError),
    ],
)
def test_a_fault_is_no_answer(actor: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        read_batch(fault(actor), is_test=True)
    assert CANARY not in str(caught.value)


def test_five_thousand_rows_are_all_read() -> None:
    rows = "".join(good(n, ECK) for n in range(1, 5001))
    assert len(read_batch(wrap(rows), is_test=True).found) == 5000
