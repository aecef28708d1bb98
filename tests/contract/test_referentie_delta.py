"""Delta for real: a source that knows what changed, read over a socket into a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.clock import FixedClock
from connectors.base import (
    CheckResult,
    Completeness,
    Connector,
    DeliveryContract,
    Manifest,
    Page,
    Parsed,
    Reading,
    Scope,
)
from fixtures.sandbox import faults
from fixtures.sandbox.reference import ReferenceSandbox
from sync_engine.outcome import Outcome
from sync_engine.runs import Kind
from sync_engine.stage import Stager
from sync_engine.store.engine import Store
from tests.support.coredump import core_dump, differences
from tests.support.referentie import NIGHT, ReferentieBench, referentie_bench

START = datetime(2026, 10, 5, 1, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[ReferenceSandbox]:
    with ReferenceSandbox() as running:
        for number in range(8):
            running.reference.put("leerling", f"l{number}", achternaam=f"Naam{number}")
        running.reference.put("groep", "g", naam="1a", soort="stamgroep", leerlingen=["l0", "l1"])
        yield running


@pytest.fixture
def bench(store: Store, tmp_path: Path, sandbox: ReferenceSandbox) -> ReferentieBench:
    """Read once."""
    made = referentie_bench(store, tmp_path / "hub", sandbox, clock=FixedClock(START))
    assert made.sync().outcome is Outcome.DONE
    made.clock.advance(NIGHT)
    return made


# -- what a delta is -----------------------------------------------------------------------------


def test_a_delta_asks_only_for_what_changed(bench: ReferentieBench) -> None:
    bench.source.put("leerling", "l3", achternaam="Anders")
    bench.sandbox.forget_requests()
    report = bench.delta()
    assert report.outcome is Outcome.DONE
    assert set(bench.states(report).values()) == {"delta"}
    assert report.steps == {"leerling.change": 1}
    assert bench.pupils()["l3"] == ("Anders", True)
    assert {r.path.rpartition("/")[2] for r in bench.sandbox.requests} == {"changes"}


def test_a_delta_of_nothing_changes_nothing(bench: ReferentieBench) -> None:
    before = core_dump(bench.hub)
    report = bench.delta()
    assert (report.outcome, report.steps) == (Outcome.DONE, {})
    assert differences(before, core_dump(bench.hub)) == {}


def test_the_first_delta_of_a_koppeling_reads_everything(
    store: Store, tmp_path: Path, sandbox: ReferenceSandbox
) -> None:
    fresh = referentie_bench(store, tmp_path / "hub", sandbox, clock=FixedClock(START))
    report = fresh.delta()
    assert set(fresh.states(report).values()) == {"complete"}
    assert len(fresh.pupils()) == 8
    assert set(fresh.states(fresh.delta()).values()) == {"delta"}


def test_a_tombstone_closes_at_once_on_the_last_day_that_was_read(bench: ReferentieBench) -> None:
    for _ in range(3):
        bench.clock.advance(NIGHT)
        assert bench.delta().steps == {}
    bench.source.remove("leerling", "l5")
    bench.clock.advance(NIGHT)
    report = bench.delta()
    assert report.steps == {"leerling.close": 1}
    rows = bench.query(
        "SELECT c.geldig_tot, c.tot_afgeleid FROM leerling c JOIN link l ON l.core_id = c.id "
        "WHERE l.source_key = 'l5'"
    )
    # read on 5 October, and by changes on 7, 8 and 9: on the 10th the source said that it is gone
    assert [(date.fromisoformat(str(end)), bool(inferred)) for end, inferred in rows] == [
        (date(2026, 10, 10), True)
    ]


def test_what_came_and_went_between_two_readings_ends_after_it_began(
    bench: ReferentieBench,
) -> None:
    bench.source.put("leerling", "nieuw", achternaam="Nieuw")
    bench.delta()
    bench.clock.advance(NIGHT)
    bench.source.remove("leerling", "nieuw")
    bench.delta()
    (end,) = bench.query(
        "SELECT c.geldig_tot FROM leerling c JOIN link l ON l.core_id = c.id "
        "WHERE l.source_key = 'nieuw'"
    )[0]
    assert date.fromisoformat(str(end)) == date(2026, 10, 7)


def test_a_record_that_is_deleted_and_made_again_is_the_same_one(bench: ReferentieBench) -> None:
    (core,) = bench.query("SELECT core_id FROM link WHERE source_key = 'l2'")[0]
    bench.source.remove("leerling", "l2")
    bench.delta()
    assert bench.pupils()["l2"] == ("Naam2", False)
    bench.source.put("leerling", "l2", achternaam="Naam2")
    report = bench.delta()
    assert report.outcome is Outcome.DONE
    assert bench.pupils()["l2"] == ("Naam2", True)
    assert bench.query("SELECT core_id FROM link WHERE source_key = 'l2'") == [(core,)]


def test_deleted_and_made_again_between_two_deltas_is_no_change(bench: ReferentieBench) -> None:
    bench.source.remove("leerling", "l2")
    bench.source.put("leerling", "l2", achternaam="Naam2")
    assert bench.delta().steps == {}


def test_a_delta_closes_nobody_by_absence(bench: ReferentieBench) -> None:
    for _ in range(3):
        bench.clock.advance(NIGHT)
        bench.delta()
    assert all(present for _, present in bench.pupils().values())


def test_a_quarantined_record_that_is_deleted_leaves_the_quarantine(
    bench: ReferentieBench,
) -> None:
    bench.source.put("leerling", "kapot", achternaam=None)
    report = bench.delta()
    assert (report.outcome, report.quarantine) == (Outcome.PARTIAL, 1)
    bench.source.remove("leerling", "kapot")
    report = bench.delta()
    assert (report.outcome, report.quarantine) == (Outcome.DONE, 0)


def test_a_lookup_leaves_the_cursor_where_it_is(bench: ReferentieBench) -> None:
    before = bench.cursor()
    bench.source.put("leerling", "l1", achternaam="Anders")
    bench.source.put("leerling", "l2", achternaam="Anders")
    report = bench.sync(Kind.ONLY, only=("l1",), resources=("leerling",))
    assert (report.outcome, report.steps) == (Outcome.DONE, {"leerling.change": 1})
    assert bench.cursor() == before
    assert bench.delta().steps == {"leerling.change": 1}
    assert bench.pupils()["l2"] == ("Anders", True)


def test_a_dry_delta_shows_the_change_and_keeps_the_cursor(bench: ReferentieBench) -> None:
    before = bench.cursor()
    bench.source.remove("leerling", "l1")
    report = bench.delta(dry=True)
    assert report.steps["leerling.close"] == 1
    assert bench.cursor() == before
    assert bench.delta().steps == report.steps


# -- a cursor that is too old --------------------------------------------------------------------


def test_a_cursor_that_is_too_old_reads_everything_again(bench: ReferentieBench) -> None:
    bench.source.put("leerling", "l3", achternaam="Anders")
    bench.source.remove("leerling", "l4")
    bench.source.forget_changes()
    report = bench.delta()
    assert report.outcome is Outcome.DONE
    assert set(bench.states(report).values()) == {"complete"}
    assert bench.pupils()["l3"] == ("Anders", True)
    assert bench.pupils()["l4"] == ("Naam4", True)  # absent once is not yet gone
    assert set(bench.states(bench.delta()).values()) == {"delta"}


def test_what_an_old_cursor_hid_is_confirmed_by_a_second_whole_reading(
    bench: ReferentieBench,
) -> None:
    bench.source.remove("leerling", "l4")
    bench.source.forget_changes()
    bench.delta()
    bench.clock.advance(NIGHT)
    report = bench.delta()
    states = bench.states(report)
    assert states.pop("leerling") == "complete"
    assert set(states.values()) == {"delta"}  # nothing else is waiting
    assert bench.pupils()["l4"] == ("Naam4", False)
    assert set(bench.states(bench.delta()).values()) == {"delta"}


def test_an_incomplete_reading_gives_no_cursor(
    store: Store, tmp_path: Path, sandbox: ReferenceSandbox
) -> None:
    fresh = referentie_bench(store, tmp_path / "hub", sandbox, clock=FixedClock(START))
    sandbox.misbehave(faults.EmptyPage(path="/v1/leerling", after=1, count=None))
    report = fresh.sync()
    sandbox.behave()
    assert report.outcome is Outcome.PARTIAL
    assert fresh.cursor("leerling") is None
    assert fresh.cursor("groep") is not None
    states = fresh.states(fresh.delta())
    assert states["leerling"] == "complete"
    assert len(fresh.pupils()) == 8


# -- the cursor follows what is received ---------------------------------------------------------


class StopError(Exception):
    """The process ends here."""


@dataclass
class Interrupted:
    """A connector whose process ends: before it hands over a page, or after the engine took it."""

    connector: Connector
    page: int
    after: bool

    @property
    def manifest(self) -> Manifest:
        return self.connector.manifest

    def check(self) -> Sequence[CheckResult]:
        return self.connector.check()

    def scopes(self, *, today: date) -> Sequence[Scope]:
        return [s for s in self.connector.scopes(today=today) if s.resource == "leerling"]

    def snapshot(self, scope: Scope) -> Reading:
        return self.connector.snapshot(scope)

    def delta(self, scope: Scope, *, cursor: str | None) -> Reading:
        return InterruptedReading(self.connector.delta(scope, cursor=cursor), self.page, self.after)

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        return self.connector.lookup(scope, keys=keys)

    def parse(self, resource: str, body: bytes) -> Parsed:
        return self.connector.parse(resource, body)

    def close(self) -> None:
        self.connector.close()


@dataclass
class InterruptedReading:
    reading: Reading
    page: int
    after: bool

    @property
    def contract(self) -> DeliveryContract:
        return self.reading.contract

    @property
    def completeness(self) -> Completeness:
        return self.reading.completeness

    def __iter__(self) -> Iterator[Page]:
        for number, page in enumerate(self.reading):
            if number == self.page and not self.after:
                raise StopError
            yield page
            if number == self.page:
                raise StopError


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("page", range(3))
def test_a_run_that_ends_anywhere_in_a_delta_loses_nothing(
    bench: ReferentieBench, page: int, after: bool
) -> None:
    _change_everything(bench)
    bench.wrap.append(lambda connector: Interrupted(connector, page, after))
    with pytest.raises(StopError):
        bench.delta()
    bench.wrap.clear()
    report = bench.delta()
    assert report.outcome is Outcome.DONE
    assert bench.pupils() == _CHANGED


def test_a_run_that_ends_while_tombstones_are_written_reads_them_again(
    bench: ReferentieBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change_everything(bench)

    def stop(*_: object) -> None:
        raise StopError

    with monkeypatch.context() as patched:
        patched.setattr(Stager, "_tombstones", stop)
        with pytest.raises(StopError):
            bench.delta()
    assert bench.delta().outcome is Outcome.DONE
    assert bench.pupils() == _CHANGED


def test_a_delta_that_breaks_off_goes_on_from_its_last_page(bench: ReferentieBench) -> None:
    _change_everything(bench)
    bench.sandbox.misbehave(faults.NotJson(path="/v1/leerling/changes", after=2))
    before = bench.cursor()
    report = bench.delta()
    assert bench.states(report)["leerling"] == "failed"
    assert report.outcome is Outcome.PARTIAL
    assert bench.cursor() != before
    assert bench.delta().outcome is Outcome.DONE
    assert bench.pupils() == _CHANGED


def _change_everything(bench: ReferentieBench) -> None:
    """Nine changes: three pages, with tombstones on the second."""
    for key in ("l0", "l1", "l2"):
        bench.source.put("leerling", key, achternaam="Anders")
    bench.source.remove("leerling", "l3")
    bench.source.put("leerling", "l4", achternaam="Anders")
    bench.source.remove("leerling", "l5")
    for key in ("l6", "l7", "nieuw"):
        bench.source.put("leerling", key, achternaam="Anders")


_CHANGED = {
    **dict.fromkeys(("l0", "l1", "l2", "l4", "l6", "l7", "nieuw"), ("Anders", True)),
    "l3": ("Naam3", False),
    "l5": ("Naam5", False),
}


def test_a_newer_form_that_comes_on_a_later_page_wins(bench: ReferentieBench) -> None:
    for key in ("l0", "l1", "l2", "l3"):
        bench.source.put("leerling", key, achternaam="Eerst")
    ask = bench.source.answer

    def answer_and_change(request: object) -> object:
        answer = ask(request)  # type: ignore[arg-type] # what the server hands in
        if "leerling/changes" in getattr(request, "path", ""):
            bench.source.put("leerling", "l0", achternaam="Daarna")
        return answer

    bench.source.answer = answer_and_change  # type: ignore[method-assign, assignment] # for once
    bench.delta()
    assert bench.pupils()["l0"] == ("Daarna", True)


# -- a delta is as good as a whole reading -------------------------------------------------------

KEYS = st.sampled_from(["l0", "l1", "l2", "l3"])
NAMES = st.sampled_from(["Aa", "Bee", None])

Change = Callable[[ReferenceSandbox], None]


def _put(key: str, name: str | None, phone: str | None) -> Change:
    def change(sandbox: ReferenceSandbox) -> None:
        fields = {"telefoon": phone} if phone is not None else {}
        sandbox.reference.put("leerling", key, achternaam=name, **fields)

    return change


def _remove(entity: str, key: str) -> Change:
    def change(sandbox: ReferenceSandbox) -> None:
        if key in sandbox.reference.keys(entity):
            sandbox.reference.remove(entity, key)

    return change


def _group(members: list[str]) -> Change:
    def change(sandbox: ReferenceSandbox) -> None:
        sandbox.reference.put("groep", "g", naam="1a", soort="stamgroep", leerlingen=members)

    return change


def _forget(sandbox: ReferenceSandbox) -> None:
    sandbox.reference.forget_changes()


CHANGES = st.one_of(
    st.builds(_put, KEYS, NAMES, st.sampled_from([None, "+31201234567"])),
    st.builds(_remove, st.just("leerling"), KEYS),
    st.builds(_group, st.lists(KEYS, unique=True)),
    st.builds(_remove, st.just("groep"), st.just("g")),
    st.just(_forget),
)
NIGHTS = st.lists(st.lists(CHANGES, max_size=3), min_size=1, max_size=4)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(nights=NIGHTS)
def test_a_hub_that_reads_changes_equals_one_that_reads_everything(
    nights: list[list[Change]], request: pytest.FixtureRequest
) -> None:
    """Something stays in every scope: a whole reading that loses half of it closes nothing."""
    template = request.getfixturevalue("_sqlite_template")
    with TemporaryDirectory() as folder, ReferenceSandbox() as sandbox:
        for number in range(4):
            sandbox.reference.put("leerling", f"l{number}", achternaam="Aa")
            sandbox.reference.put("leerling", f"vast{number}", achternaam="Vast")
        sandbox.reference.put("groep", "vast", naam="2b", soort="stamgroep", leerlingen=["vast0"])
        clock = FixedClock(START)
        with (
            _store(Path(folder) / "delta.db", template) as left,
            _store(Path(folder) / "full.db", template) as right,
        ):
            by_changes = referentie_bench(left, Path(folder) / "l", sandbox, clock=clock)
            by_whole = referentie_bench(right, Path(folder) / "r", sandbox, clock=clock)
            for changes in [[], *nights, [], []]:
                for change in changes:
                    change(sandbox)
                by_changes.delta()
                by_whole.sync()
                clock.advance(NIGHT)
            found = differences(core_dump(by_changes.hub), core_dump(by_whole.hub))
            assert found == {}


def _store(path: Path, template: Path) -> Store:
    path.write_bytes(template.read_bytes())
    path.chmod(0o600)
    return Store.open(f"sqlite:///{path}")
