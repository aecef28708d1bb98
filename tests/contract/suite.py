"""What every connector must do, whatever system it speaks to.

A system's own test module makes a subclass of `ConnectorSuite` and gives it a `harness`: the
connector, the truth behind its sandbox, and a way to make the sandbox misbehave once.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum

import pytest

from config.clock import FixedClock
from connectors.base import Capability, Connector, Page, Reading, Scope
from connectors.errors import ConnectorError


class Fault(StrEnum):
    """What a sandbox does wrong, once, when next a page of persons is asked."""

    SHORT_PAGE = "short page"
    EMPTY_PAGE = "empty page"
    REPEATED_PAGE = "repeated page"
    SKIPPED_PAGE = "skipped page"
    DOUBLE = "the same record twice"
    NO_KEY = "a record without its key"
    WRONG_OPTIONAL = "a wrong value in an optional field"
    INSERTED = "a record inserted between two pages"
    DELETED = "a record deleted between two pages"
    RATE_LIMITED = "429 with Retry-After"
    SERVER_ERROR = "500"
    RESET = "connection reset"
    EXPIRED_TOKEN = "token refused in mid-run"
    TRUNCATED = "truncated body"
    NOT_JSON = "a body that is no JSON"
    HUGE = "a body without end"
    REDIRECT = "a redirect"
    REFUSED = "no right on this scope"


MENDED = (
    Fault.RATE_LIMITED,
    Fault.SERVER_ERROR,
    Fault.RESET,
    Fault.EXPIRED_TOKEN,
)
"""What a connector overcomes by itself: nothing of it is seen in the result."""

DOUBTFUL = (
    Fault.SHORT_PAGE,
    Fault.EMPTY_PAGE,
    Fault.REPEATED_PAGE,
    Fault.SKIPPED_PAGE,
    Fault.DOUBLE,
    Fault.NO_KEY,
    Fault.INSERTED,
    Fault.DELETED,
)
"""What may cost records: then the reading must not call itself complete."""

FATAL = (Fault.NOT_JSON, Fault.HUGE, Fault.REDIRECT, Fault.REFUSED)
"""What ends the reading of this scope with an error that says what to do."""


class Harness(ABC):
    """What the suite needs to know of one system."""

    clock: FixedClock
    today: date
    retry_after = timedelta(seconds=7)

    @abstractmethod
    def connect(self) -> Connector:
        """A connector to the sandbox, on `clock`; closed by the suite."""

    @abstractmethod
    def persons(self, scopes: Iterable[Scope]) -> Scope:
        """A scope of persons that takes several pages, and has something in it."""

    @abstractmethod
    def truth(self, scope: Scope) -> list[str]:
        """The keys that the sandbox holds for a scope now, in its order."""

    @abstractmethod
    def misbehave(self, fault: Fault) -> None:
        """Do this once, from the second page of persons on."""

    @abstractmethod
    def canaries(self) -> frozenset[str]:
        """Personal values, and secrets, that the connector really gets to see."""


def read(reading: Reading) -> list[Page]:
    """All pages of a reading."""
    return list(reading)


def keys(pages: Iterable[Page]) -> list[str]:
    """All keys of some pages."""
    return [key for page in pages for key in page.keys]


class ReadingSuite:
    """What every connector must do where nothing goes wrong; a subclass gives `harness`."""

    @pytest.fixture
    def harness(self) -> Harness:
        """The system under test."""
        raise NotImplementedError

    @pytest.fixture
    def connector(self, harness: Harness) -> Iterable[Connector]:
        connector = harness.connect()
        yield connector
        connector.close()

    @pytest.fixture
    def scopes(self, harness: Harness, connector: Connector) -> list[Scope]:
        return list(connector.scopes(today=harness.today))

    @pytest.fixture
    def persons(self, harness: Harness, scopes: list[Scope]) -> Scope:
        return harness.persons(scopes)

    def test_check_passes_where_everything_is_well(self, connector: Connector) -> None:
        results = connector.check()
        assert results
        assert [r.message for r in results if not r.ok] == []

    def test_every_scope_is_of_a_declared_resource(
        self, connector: Connector, scopes: list[Scope]
    ) -> None:
        assert scopes
        assert len({(s.resource, s.key) for s in scopes}) == len(scopes)
        for scope in scopes:
            assert Capability.SNAPSHOT in connector.manifest.resource(scope.resource).capabilities

    def test_every_scope_is_read_once_and_whole(
        self, harness: Harness, connector: Connector, scopes: list[Scope]
    ) -> None:
        for scope in scopes:
            reading = connector.snapshot(scope)
            found = keys(read(reading))
            assert reading.completeness.complete, (scope.resource, reading.completeness.reason)
            assert found == harness.truth(scope), scope.resource

    def test_every_record_is_parsed_without_problems_or_drift(
        self, connector: Connector, scopes: list[Scope]
    ) -> None:
        for scope in scopes:
            for page in connector.snapshot(scope):
                assert not page.rejected
                for body in page.bodies:
                    parsed = connector.parse(scope.resource, body)
                    assert (parsed.problems, parsed.unknown) == ((), ()), scope.resource

    def test_every_field_of_the_contract_is_declared(
        self, connector: Connector, scopes: list[Scope]
    ) -> None:
        for scope in scopes:
            reading = connector.snapshot(scope)
            read(reading)
            declared = connector.manifest.resource(scope.resource).fields
            for name, delivered in reading.contract.fields.items():
                known = name in declared or name.rpartition(".")[0] in declared
                assert known, (scope.resource, name)
                assert isinstance(delivered, bool)

    def test_one_record_can_be_looked_up_where_that_is_declared(
        self, harness: Harness, connector: Connector, scopes: list[Scope]
    ) -> None:
        for scope in scopes:
            if Capability.LOOKUP not in connector.manifest.resource(scope.resource).capabilities:
                continue
            for key in harness.truth(scope)[:1]:
                reading = connector.lookup(scope, keys=[key])
                assert keys(read(reading)) == [key], scope.resource
                assert not reading.completeness.complete


class ConnectorSuite(ReadingSuite):
    """And what it must do on a wire that fails; a subclass gives `harness`."""

    @pytest.mark.parametrize("fault", MENDED)
    def test_what_passes_by_itself_leaves_no_trace(
        self, harness: Harness, connector: Connector, persons: Scope, fault: Fault
    ) -> None:
        harness.misbehave(fault)
        reading = connector.snapshot(persons)
        assert keys(read(reading)) == harness.truth(persons)
        assert reading.completeness.complete

    def test_retry_after_is_honoured(
        self, harness: Harness, connector: Connector, persons: Scope
    ) -> None:
        harness.misbehave(Fault.RATE_LIMITED)
        read(connector.snapshot(persons))
        assert harness.clock.slept >= harness.retry_after

    @pytest.mark.parametrize("fault", DOUBTFUL)
    def test_a_reading_is_complete_only_when_it_holds_everything(
        self, harness: Harness, connector: Connector, persons: Scope, fault: Fault
    ) -> None:
        before = set(harness.truth(persons))
        harness.misbehave(fault)
        reading = connector.snapshot(persons)
        found = keys(read(reading))
        assert len(found) == len(set(found))
        if reading.completeness.complete:
            assert set(found) >= before & set(harness.truth(persons))
        else:
            assert reading.completeness.reason
            assert reading.completeness.advice

    def test_a_bad_record_is_handed_over_and_not_thrown(
        self, harness: Harness, connector: Connector, persons: Scope
    ) -> None:
        harness.misbehave(Fault.NO_KEY)
        reading = connector.snapshot(persons)
        pages = read(reading)
        rejected = [error for page in pages for error, _ in page.rejected]
        assert len(rejected) == 1
        assert not reading.completeness.complete

    def test_a_wrong_optional_field_is_dropped_and_the_record_stays(
        self, harness: Harness, connector: Connector, persons: Scope
    ) -> None:
        harness.misbehave(Fault.WRONG_OPTIONAL)
        reading = connector.snapshot(persons)
        pages = read(reading)
        assert keys(pages) == harness.truth(persons)
        parsed = [connector.parse(persons.resource, b) for page in pages for b in page.bodies]
        assert any(one.problems for one in parsed)
        assert reading.completeness.complete

    @pytest.mark.parametrize("fault", FATAL)
    def test_a_scope_that_cannot_be_read_ends_with_advice(
        self, harness: Harness, connector: Connector, persons: Scope, fault: Fault
    ) -> None:
        harness.misbehave(fault)
        reading = connector.snapshot(persons)
        with pytest.raises(ConnectorError) as caught:
            read(reading)
        assert caught.value.advice
        assert caught.value.system == connector.manifest.system
        assert not reading.completeness.complete

    @pytest.mark.parametrize("fault", [*FATAL, *DOUBTFUL, Fault.TRUNCATED])
    def test_after_a_fault_the_next_reading_is_as_if_it_had_not_been(
        self, harness: Harness, connector: Connector, persons: Scope, fault: Fault
    ) -> None:
        harness.misbehave(fault)
        try:
            read(connector.snapshot(persons))
        except ConnectorError:
            connector.close()
        again = harness.connect()
        reading = again.snapshot(persons)
        assert keys(read(reading)) == harness.truth(persons)
        assert reading.completeness.complete
        again.close()

    @pytest.mark.parametrize("fault", Fault)
    def test_no_personal_data_in_logs_or_errors(
        self,
        harness: Harness,
        connector: Connector,
        persons: Scope,
        fault: Fault,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        harness.misbehave(fault)
        shown: list[str] = []
        try:
            reading = connector.snapshot(persons)
            for page in reading:
                shown.extend(f"{error!r} {error.advice}" for error, _ in page.rejected)
                for body in page.bodies:
                    parsed = connector.parse(persons.resource, body)
                    shown.append(f"{parsed!r}")
            shown.append(f"{reading.completeness!r}")
        except ConnectorError as error:
            chain: BaseException | None = error
            while chain is not None:
                shown.append(f"{chain!r} {chain}")
                chain = chain.__cause__
        shown.append("\n".join(r.getMessage() for r in caplog.records if r.name[:4] == "conn"))
        text = "\n".join(shown)
        canaries = harness.canaries()
        assert canaries
        assert [canary for canary in canaries if canary in text] == []
