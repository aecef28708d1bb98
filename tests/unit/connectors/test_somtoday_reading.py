"""A reading is complete only when it is proven that it held everything."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Page
from connectors.errors import AnswerTimeoutError, ProtocolViolationError, RequestRefusedError
from connectors.protocols.rest import Answer
from connectors.somtoday.reading import DossierReading, ListReading

Record = dict[str, Any]
Before = Callable[[int, list[Record]], None]


def record(number: int) -> Record:
    return {"uuid": f"aa000000-0000-4000-8000-{number:012d}", "naam": "x"}


def answer(body: Any) -> Answer:
    return Answer(200, "application/json", msgspec.json.encode(body), "somtoday", "GET vak")


class Source:
    """A list behind `offset` and `amount`; `before` may change it before each call."""

    def __init__(self, count: int, *, before: Before | None = None) -> None:
        self.records = [record(n) for n in range(count)]
        self.permissions: Record = {"uuid": True, "naam": True}
        self.asked: list[tuple[int, int]] = []
        self.before = before
        self.slow_above = 200

    def __call__(self, *, offset: int, amount: int) -> Answer:
        if self.before is not None:
            self.before(len(self.asked), self.records)
        self.asked.append((offset, amount))
        if amount > self.slow_above:
            raise AnswerTimeoutError("slow")
        records = self.records[offset : offset + amount]
        return answer({"vakken": records, "veldpermissies": self.permissions})


def read(source: Any, *, amount: int = 3) -> tuple[list[Page], ListReading]:
    reading = ListReading(source, resource="vak", amount=amount)
    return list(reading), reading


def keys(pages: list[Page]) -> list[str]:
    return [key for page in pages for key in page.keys]


@given(count=st.integers(0, 40), amount=st.integers(2, 12))
def test_a_quiet_list_of_any_length_is_read_once_and_whole(count: int, amount: int) -> None:
    source = Source(count)
    pages, reading = read(source, amount=amount)
    assert keys(pages) == [r["uuid"] for r in source.records]
    assert reading.completeness.complete
    assert source.asked[-1][0] == count  # the page behind the last record was asked


def test_an_empty_scope_is_asked_twice() -> None:
    source = Source(0)
    _, reading = read(source)
    assert reading.completeness.complete
    assert source.asked == [(0, 3), (0, 3)]


def test_a_first_page_that_is_empty_by_mistake_does_not_end_the_reading() -> None:
    hidden: list[Record] = []

    def before(call: int, records: list[Record]) -> None:
        if call == 0:
            hidden.extend(records)
            records.clear()
        elif call == 1:
            records.extend(hidden)

    pages, _ = read(Source(5, before=before))
    assert len(keys(pages)) == 5


def test_completeness_is_unproven_until_the_end() -> None:
    reading = ListReading(Source(9), resource="vak", amount=3)
    iterator = iter(reading)
    next(iterator)
    assert not reading.completeness.complete
    assert reading.contract.delivers("naam")


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("position", [0, 1])
def test_an_insertion_before_the_boundary_is_noticed(call: int, position: int) -> None:
    def before(number: int, records: list[Record]) -> None:
        if number == call:
            records.insert(position, record(900))

    _, reading = read(Source(9, before=before))
    assert not reading.completeness.complete
    assert "inserted or deleted" in reading.completeness.reason
    assert reading.completeness.advice


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_deletion_before_the_boundary_is_noticed_and_nothing_is_missed(call: int) -> None:
    def before(number: int, records: list[Record]) -> None:
        if number == call:
            del records[0]

    source = Source(9, before=before)
    pages, reading = read(source)
    assert not reading.completeness.complete
    assert {r["uuid"] for r in source.records} <= set(keys(pages))


def test_a_record_that_is_added_at_the_end_meanwhile_is_read() -> None:
    def before(number: int, records: list[Record]) -> None:
        if number == 3:
            records.append(record(900))

    pages, reading = read(Source(5, before=before))
    assert len(keys(pages)) == 6
    assert reading.completeness.complete


def test_a_list_that_repeats_itself_for_ever_comes_to_an_end() -> None:
    class Repeating(Source):
        def __call__(self, *, offset: int, amount: int) -> Answer:
            return super().__call__(offset=0, amount=amount)

    pages, reading = read(Repeating(3))
    assert len(keys(pages)) == 3
    assert not reading.completeness.complete


def test_a_repeated_page_gives_no_record_twice() -> None:
    class Stuck(Source):
        def __call__(self, *, offset: int, amount: int) -> Answer:
            return super().__call__(offset=0 if len(self.asked) == 1 else offset, amount=amount)

    pages, reading = read(Stuck(9))
    assert len(keys(pages)) == len(set(keys(pages)))
    assert not reading.completeness.complete


def test_a_skipped_page_is_not_complete() -> None:
    class Skipping(Source):
        def __call__(self, *, offset: int, amount: int) -> Answer:
            later = offset + amount if len(self.asked) >= 1 else offset
            return super().__call__(offset=later, amount=amount)

    _, reading = read(Skipping(12))
    assert not reading.completeness.complete


def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    class Gap(Source):
        def __call__(self, *, offset: int, amount: int) -> Answer:
            later = 10_000 if len(self.asked) == 1 else offset
            return super().__call__(offset=later, amount=amount)

    pages, reading = read(Gap(9))
    assert len(keys(pages)) == 9
    assert not reading.completeness.complete


def test_a_short_page_loses_nothing() -> None:
    class Short(Source):
        def __call__(self, *, offset: int, amount: int) -> Answer:
            return super().__call__(offset=offset, amount=2 if len(self.asked) == 1 else amount)

    pages, reading = read(Short(9), amount=4)
    assert len(keys(pages)) == 9
    assert reading.completeness.complete


def test_a_double_within_a_page_is_given_once_and_not_complete() -> None:
    source = Source(4)
    source.records[1] = source.records[0]
    pages, reading = read(source, amount=5)
    assert keys(pages) == [source.records[n]["uuid"] for n in (0, 2, 3)]
    assert reading.completeness.reason == "a record came twice"


def test_a_double_on_a_later_page_is_noticed() -> None:
    source = Source(9)
    source.records[7] = source.records[0]
    pages, reading = read(source)
    assert len(keys(pages)) == 8
    assert not reading.completeness.complete


@pytest.mark.parametrize("position", range(7))
def test_a_record_without_key_is_handed_over_once_wherever_it_stands(position: int) -> None:
    source = Source(7)
    source.records[position] = {"naam": "zonder"}
    pages, reading = read(source)
    assert len(keys(pages)) == 6
    assert sum(len(page.rejected) for page in pages) == 1
    assert reading.completeness.reason == "a record has no usable key"


def test_a_narrowed_permission_ends_the_reading_before_its_page() -> None:
    source = Source(9)

    def before(call: int, _records: list[Record]) -> None:
        if call == 1:
            source.permissions = {"uuid": True, "naam": False}

    source.before = before
    pages, reading = read(source)
    assert len(keys(pages)) == 3
    assert reading.contract.delivers("naam")
    assert "permissions changed" in reading.completeness.reason


def test_permissions_in_another_order_are_the_same() -> None:
    source = Source(9)

    def before(call: int, _records: list[Record]) -> None:
        source.permissions = dict(reversed(source.permissions.items()))

    source.before = before
    assert read(source)[1].completeness.complete


def test_a_page_without_permissions_cannot_be_used() -> None:
    def fetch(*, offset: int, amount: int) -> Answer:
        return answer({"vakken": [record(offset)]})

    with pytest.raises(ProtocolViolationError):
        read(fetch)


def test_more_records_than_asked_is_not_complete() -> None:
    source = Source(9)

    def fetch(*, offset: int, amount: int) -> Answer:
        return source(offset=offset, amount=amount + 1)

    assert not read(fetch)[1].completeness.complete


def test_after_a_timeout_half_as_many_are_asked() -> None:
    source = Source(60)
    source.slow_above = 30
    pages, reading = read(source, amount=100)
    assert len(keys(pages)) == 60
    assert reading.completeness.complete
    assert [amount for _, amount in source.asked][:4] == [100, 50, 25, 25]


def test_a_source_that_is_slow_for_small_pages_too_is_given_up() -> None:
    source = Source(60)
    source.slow_above = 5
    with pytest.raises(AnswerTimeoutError):
        read(source, amount=100)
    assert [amount for _, amount in source.asked] == [100, 50, 25, 12, 10]


@given(
    count=st.integers(0, 25),
    amount=st.integers(2, 6),
    edits=st.dictionaries(
        st.integers(1, 12), st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=3)
    ),
)
def test_a_complete_reading_misses_nothing_that_was_there_throughout(
    count: int, amount: int, edits: dict[int, list[tuple[bool, int]]]
) -> None:
    fresh = iter(range(1000, 2000))
    stayed = {record(n)["uuid"] for n in range(count)}

    def before(call: int, records: list[Record]) -> None:
        for inserts, where in edits.get(call, ()):
            position = where % (len(records) + 1)
            if inserts:
                records.insert(position, record(next(fresh)))
            elif position < len(records):
                stayed.discard(records.pop(position)["uuid"])

    pages, reading = read(Source(count, before=before), amount=amount)
    found = keys(pages)
    assert len(found) == len(set(found))
    if reading.completeness.complete:
        assert stayed <= set(found)


def test_memory_is_flat_over_fifty_thousand_records() -> None:
    def fetch(*, offset: int, amount: int) -> Answer:
        records = [record(n) for n in range(offset, min(offset + amount, 50_000))]
        return answer({"vakken": records, "veldpermissies": {"uuid": True}})

    def peak(stop: int) -> tuple[int, int]:
        reading = ListReading(fetch, resource="vak", amount=200)
        count = 0
        tracemalloc.start()
        for page in reading:
            count += len(page.keys)
            if count >= stop:
                break
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return count, highest

    peak(1_000)  # what is made once: decoders, caches
    _, early = peak(25_000)
    count, late = peak(50_000)
    assert count == 50_000
    assert late < early * 1.1


class Dossiers:
    def __init__(self, **faults: int) -> None:
        self.faults = faults
        self.permissions: Record = {"vakuuid": True}

    def __call__(self, key: str) -> Answer:
        if key[-1] in self.faults:
            raise RequestRefusedError("no", code=str(self.faults[key[-1]]))
        return answer({"voortgangsdossiers": [], "veldpermissies": self.permissions})


def dossiers(count: int, fetch: Dossiers) -> tuple[list[Page], DossierReading]:
    pupils = ListReading(Source(count), resource="vak", amount=100)
    reading = DossierReading(pupils, fetch, resource="voortgangsdossier")
    return list(reading), reading


def test_each_pupil_has_its_dossier() -> None:
    pages, reading = dossiers(120, Dossiers())
    assert [len(page.keys) for page in pages] == [50, 50, 20]
    assert reading.completeness.complete
    assert reading.contract.delivers("voortgangsdossiers.vakuuid")


def test_a_dossier_that_is_not_shown_is_no_proof_of_absence() -> None:
    pages, reading = dossiers(5, Dossiers(**{"3": 404}))
    assert len(keys(pages)) == 4
    assert reading.completeness.reason == "1 files are not shown"


def test_a_resource_without_right_is_refused() -> None:
    with pytest.raises(RequestRefusedError):
        dossiers(5, Dossiers(**{"0": 403}))


def test_dossiers_are_not_complete_when_the_pupils_are_not() -> None:
    source = Source(4)
    source.records[1] = source.records[0]
    pupils = ListReading(source, resource="vak", amount=100)
    reading = DossierReading(pupils, Dossiers(), resource="voortgangsdossier")
    list(reading)
    assert not reading.completeness.complete
