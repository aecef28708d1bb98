"""The tracking application as a source: its inbox in a real database, held to the suite.

There is no wire between the connector and the inbox that could fail; what can go wrong on the way
into the inbox is in test_kern_http.py and tests/unit/sync_engine/test_inbox.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import (
    Action,
    Connector,
    DataClass,
    DeliveryContract,
    Link,
    Message,
    Scope,
)
from connectors.errors import CursorExpiredError
from connectors.kern import reading
from connectors.kern.connector import KERN, dropped_of
from connectors.kern.manifest import MANIFEST
from connectors.kern.records import ASIDE, MODELS, check
from mappings.canonical.fields import NOT_DELIVERED, Entity
from mappings.canonical.schema import fields_of
from mappings.kern import MAPPING
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.contract.suite import Fault, Harness, ReadingSuite, keys, read
from tests.support.hubs import START
from tests.support.kern import KERN as NAME
from tests.support.kern import TOKEN, TOKEN_NAME, KernBench, closing_bench, kern_bench
from tests.support.memory import MemorySource, delivered_fields

PUPILS = 53  # several pages of 20


class KernHarness(Harness):
    """An application that has claimed something of every resource, and several pages of pupils."""

    def __init__(self, kern: KernBench) -> None:
        self.kern = kern
        self.clock = FixedClock(START)
        self.today = date(2026, 11, 2)
        self.held: dict[str, set[str]] = {name: {"1"} for name in MODELS}
        self.held["leerling"] = {f"l{n:04}" for n in range(PUPILS)}
        for name in MODELS:
            kern.say(
                name, "1", **{n: "1" for n, f in fields_of(Entity(name)).items() if f.required}
            )
        kern.drop("leerling", "1")
        kern.inbox.put(
            [
                Message(f"p{key}", "leerling", key, Action.PUT, _body(key))
                for key in sorted(self.held["leerling"], reverse=True)
            ]
        )

    def connect(self) -> Connector:
        return KERN.connect(Link(NAME, {}, inbox=self.kern.inbox), clock=self.clock)

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(scope for scope in scopes if scope.resource == "leerling")

    def truth(self, scope: Scope) -> list[str]:
        return sorted(self.held[scope.resource])

    def misbehave(self, fault: Fault) -> None:
        raise NotImplementedError  # there is no wire

    def canaries(self) -> frozenset[str]:
        return frozenset({"Kanarie", "kanarie@voorbeeld.example"})


def _body(key: str) -> bytes:
    return b'{"achternaam":"Kanarie","email":"kanarie@voorbeeld.example","key":"%s"}' % key.encode()


@pytest.fixture
def kern(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernBench]:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(store, tmp_path)) as made:
        yield made


class TestKern(ReadingSuite):
    @pytest.fixture
    def harness(self, kern: KernBench, monkeypatch: pytest.MonkeyPatch) -> KernHarness:
        monkeypatch.setattr(reading, "PAGE_RECORDS", 20)
        return KernHarness(kern)

    def test_a_reading_tells_what_the_application_deleted(
        self, connector: Connector, persons: Scope
    ) -> None:
        pages = read(connector.snapshot(persons))
        assert [key for page in pages for key in page.gone] == ["1"]

    def test_what_is_claimed_anew_between_two_pages_is_met_once(
        self, harness: KernHarness, connector: Connector, persons: Scope
    ) -> None:
        reading = connector.snapshot(persons)
        pages = iter(reading)
        found = list(next(pages).keys)
        harness.kern.say("leerling", found[0], achternaam="Anders")
        harness.kern.say("leerling", "l0040", achternaam="Anders")
        for page in pages:
            found += page.keys
        assert found == harness.truth(persons)
        assert reading.completeness.complete

    def test_a_delta_tells_what_came_in_since_and_nothing_else(
        self, harness: KernHarness, connector: Connector, persons: Scope
    ) -> None:
        cursor = read(connector.snapshot(persons))[-1].cursor
        assert cursor is not None
        harness.kern.say("leerling", "l0007", achternaam="Anders")
        harness.kern.drop("leerling", "l0008")
        harness.kern.say("verzorger", "v1", achternaam="Anders")
        reading = connector.delta(persons, cursor=cursor)
        pages = read(reading)
        assert (keys(pages), list(pages[-1].gone)) == (["l0007"], ["l0008"])
        assert reading.completeness.complete
        assert keys(read(connector.delta(persons, cursor=pages[-1].cursor))) == []

    def test_a_delta_of_many_pages_holds_each_change_once(
        self, harness: KernHarness, connector: Connector, persons: Scope
    ) -> None:
        pages = read(connector.delta(persons, cursor="0"))
        assert sorted(keys(pages)) == harness.truth(persons)
        assert len(pages) == 3

    @pytest.mark.parametrize("cursor", ["999999999", "geen getal", "-1"])
    def test_a_cursor_that_the_inbox_never_gave_is_refused(
        self, connector: Connector, persons: Scope, cursor: str
    ) -> None:
        with pytest.raises(CursorExpiredError):
            read(connector.delta(persons, cursor=cursor))

    def test_no_personal_data_in_logs_or_representations(
        self,
        harness: KernHarness,
        connector: Connector,
        persons: Scope,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        claims = harness.kern.inbox.claims("leerling", after="", limit=2)
        message = Message("m1", "leerling", "l1", Action.PUT, _body("l1"))
        parsed = connector.parse("leerling", _body("l1"))
        shown = f"{claims!r} {message!r} {parsed!r} {check(message)!r} {caplog.text}"
        assert [canary for canary in harness.canaries() if canary in shown] == []


def test_the_models_have_every_field_of_the_canonical_schema_and_no_other() -> None:
    assert list(MODELS) == [str(entity) for entity in Entity]
    for entity in Entity:
        fields = set(MODELS[str(entity)].model_fields) - {"key", "dropped"} - ASIDE
        assert fields == delivered_fields(entity), entity  # what the hub obtains is not theirs


def test_a_field_that_is_required_canonically_is_required_at_the_door() -> None:
    for entity in Entity:
        model = MODELS[str(entity)].model_fields
        required = {name for name, info in model.items() if info.is_required()} - {"key"}
        assert required == {n for n, f in fields_of(entity).items() if f.required}, entity


def test_personal_numbers_are_special_and_dropped_without_a_purpose(kern: KernBench) -> None:
    fields = MANIFEST.resource("leerling").fields
    special = {name for name, found in fields.items() if found is DataClass.SPECIAL}
    assert special == {"bsn", "onderwijsnummer"}
    drop = frozenset(f"leerling.{name}" for name in special)
    assert dropped_of(Link(NAME, {}, drop=drop), "leerling") == special
    connector = KERN.connect(Link(NAME, {}, drop=drop, inbox=kern.inbox))
    (scope,) = [s for s in connector.scopes(today=date(2026, 11, 2)) if s.resource == "leerling"]
    reading = connector.snapshot(scope)
    read(reading)
    assert not reading.contract.delivers("bsn")


def test_left_out_null_and_a_value_stay_three_things() -> None:
    body = b'{"key": "l1", "achternaam": "A", "roepnaam": null}'
    scope = Scope("leerling", "inbox")
    parsed = KERN.parse("leerling", body)
    contract = DeliveryContract(dict.fromkeys(MANIFEST.resource("leerling").fields, True))
    (made,) = MAPPING.map("leerling", parsed.record, contract=contract, scope=scope).records
    assert made.achternaam == "A"  # type: ignore[attr-defined] # a leerling
    assert made.roepnaam is None  # type: ignore[attr-defined] # delivered as empty
    assert made.voornamen is NOT_DELIVERED  # type: ignore[attr-defined] # left out


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"token": "kort"}, "at least 32"), ({"adres": "x"}, "no setting|not a setting")],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(
    kern: KernBench, options: dict[str, str], rule: str
) -> None:
    with pytest.raises(ConfigurationError, match=rule) as caught:
        KERN.connect(Link(NAME, options, inbox=kern.inbox))
    assert caught.value.advice
    assert "kort" not in str(caught.value)


# -- through the engine ----------------------------------------------------------------------------


def test_what_the_application_deletes_is_closed_at_once_whoever_reads(kern: KernBench) -> None:
    for number in range(6):
        kern.say("leerling", f"l{number}", achternaam=f"Naam{number}")
    kern.bench.sync(NAME)
    kern.drop("leerling", "l0")
    kern.drop("leerling", "l1")
    kern.bench.sync(NAME, kind=Kind.DELTA)
    assert {key for key, (_, there) in kern.pupils().items() if not there} == {"l0", "l1"}
    kern.drop("leerling", "l2")
    kern.bench.sync(NAME)
    assert {key for key, (_, there) in kern.pupils().items() if not there} == {"l0", "l1", "l2"}


def test_an_inbox_that_is_older_than_its_cursor_is_read_whole(kern: KernBench) -> None:
    kern.say("leerling", "l1", achternaam="Een")
    kern.bench.sync(NAME)
    kern.bench.query("UPDATE source_cursor SET value = '999'")
    kern.say("leerling", "l2", achternaam="Twee")
    kern.bench.sync(NAME, kind=Kind.DELTA)
    assert set(kern.pupils()) == {"l1", "l2"}


def test_numbers_of_the_application_may_be_those_of_another_koppeling(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    sources = {"s0": MemorySource(tuple(Entity))}
    options = 'numbers_of = "s0"'
    with closing_bench(kern_bench(store, tmp_path, sources=sources, options=options)) as kern:
        person = {"achternaam": "Een", "geboortedatum": "2012-01-01", "leerlingnummer": "17"}
        kern.say("leerling", "l1", **person)
        kern.bench.sync(NAME)
        kern.bench.sources["s0"].put(Entity.LEERLING, "u1", **person)
        assert kern.bench.sync("s0").situations == {"unlinked": 1}
        assert kern.bench.query("SELECT COUNT(*) FROM leerling") == [(1,)]


def test_who_learns_later_whose_numbers_they_are_recognises_by_them_from_then_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    sources = {"s0": MemorySource(tuple(Entity))}
    with closing_bench(kern_bench(store, tmp_path, sources=sources)) as kern:
        person = {"achternaam": "Een", "geboortedatum": "2012-01-01", "leerlingnummer": "17"}
        kern.say("leerling", "l1", **person)
        kern.bench.sync(NAME)
        told = kern.bench.hub.settings.find_source(NAME)
        options = told.options | {"numbers_of": "s0"}
        others = [s for s in kern.bench.hub.settings.source if s.name != NAME]
        changed = (*others, told.model_copy(update={"options": options}))
        settings = kern.bench.hub.settings.model_copy(update={"source": changed})
        kern.bench.hub = replace(kern.bench.hub, settings=settings)
        kern.bench.sync(NAME)
        issuer = kern.bench.hub.koppeling("s0").id
        assert list(kern.bench.identifiers()) == [(*_only(kern), "leerlingnummer", issuer)]
        kern.bench.sources["s0"].put(Entity.LEERLING, "u1", **person)
        assert kern.bench.sync("s0").situations == {"unlinked": 1}


def _only(kern: KernBench) -> list[int]:
    return [row[0] for row in kern.bench.query("SELECT id FROM leerling")]


def test_numbers_of_a_koppeling_that_there_is_not_stop_the_run_with_advice(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    options = 'numbers_of = "bestaat-niet"'
    with closing_bench(kern_bench(store, tmp_path, options=options)) as kern:
        report = kern.bench.sync(NAME)
        assert "bestaat-niet" in report.error
        assert report.advice
