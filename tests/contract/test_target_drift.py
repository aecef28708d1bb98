"""What a target should have beside what it confirmed last; nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from config.clock import FixedClock
from config.errors import ConfigurationError
from config.operators import Role
from fixtures.sandbox.reference_intake import Refusal
from koppelhub_referentie.outward import Afnemer
from mappings.errors import MappingError
from mappings.outward import CoreObject
from sync_engine.actor import Actor
from sync_engine.errors import NoRightError
from sync_engine.outbox import comparing, messages
from sync_engine.outbox.comparing import ObjectDrift, Op, TargetDrift, compare
from sync_engine.outbox.states import State
from sync_engine.outcome import ExitCode
from sync_engine.store.engine import Store
from tests.support.outbox import AFNEMER_NAME, BRON, OutboxBench, outbox_bench

START = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)
OF_LOOKING = frozenset({"audit", "audit_anchor"})


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[OutboxBench]:
    """On each of the two databases: one pupil, whom the target has."""
    with outbox_bench(store, tmp_path / "hub", clock=FixedClock(START)) as made:
        yield _delivered(made)


@pytest.fixture
def bench(sqlite_store: Store, tmp_path: Path) -> Iterator[OutboxBench]:
    """On SQLite: the same."""
    with outbox_bench(sqlite_store, tmp_path / "hub", clock=FixedClock(START)) as made:
        yield _delivered(made)


def _delivered(made: OutboxBench) -> OutboxBench:
    made.pupil("l1", roepnaam="Anna")
    made.sync()
    assert made.deliver().confirmed == 1
    return made


def look(bench: OutboxBench, **options: object) -> TargetDrift:
    return compare(bench.hub, AFNEMER_NAME, operator="anna", **options)  # type: ignore[arg-type] # each test names its own


def everything(bench: OutboxBench) -> dict[str, list[str]]:
    return {
        name: sorted(map(repr, bench.query(f'SELECT * FROM "{name}"')))
        for name in SQLModel.metadata.tables
        if name not in OF_LOOKING
    }


def of(found: TargetDrift, key: str) -> ObjectDrift:
    (record,) = [record for record in found.records if record.key == key]
    return record


def test_both_directions_are_told_field_by_field_and_nothing_is_changed(both: OutboxBench) -> None:
    same = look(both)
    assert (same.compared, same.ops, same.exit_code) == (1, {}, ExitCode.DONE)
    both.pupil("l2", roepnaam="Bo")
    both.pupil("l3", roepnaam="Cor")
    both.sync()
    both.deliver()
    both.pupil("l1", roepnaam="Anne")
    both.bron.reference.put(
        "inschrijving", "i2", leerling="l2", geldig_van="2026-08-01", geldig_tot="2026-10-01"
    )
    both.pupil("l4", roepnaam="Dirk")
    both.sync()

    before, heard = everything(both), len(both.afnemer.requests)
    found = look(both)
    assert everything(both) == before
    assert len(both.afnemer.requests) == heard  # nor is the target asked
    one, two, four = (of(found, both.key(key)) for key in ("l1", "l2", "l4"))
    assert (one.op, one.fields) == (Op.OTHER, {"roepnaam": ["Anne", "Anna"]})
    assert (two.op, two.fields) == (Op.SURPLUS, {})
    assert (four.op, four.fields) == (Op.MISSING, {})
    assert [way.state for way in (*one.ways, *two.ways, *four.ways)] == [State.READY] * 3
    assert (found.compared, found.more, found.unseen) == (4, 0, 0)
    assert found.ops == {Op.OTHER: 1, Op.SURPLUS: 1, Op.MISSING: 1}
    assert (found.fields, found.states) == ({"roepnaam": 1}, {State.READY: 3})
    assert found.exit_code is ExitCode.PARTIAL
    noted = both.query("SELECT operator, subject FROM audit WHERE action = 'diff'")
    assert noted == [("anna", f"target {AFNEMER_NAME}")] * 2

    both.deliver()
    assert look(both).ops == {}


def test_what_waits_and_what_was_refused_stands_with_it(bench: OutboxBench) -> None:
    key = bench.key("l1")
    bench.pupil("l1", roepnaam="Anne")
    run = bench.sync().run_id
    bench.intake.refuse(key, Refusal("te_lang", "roepnaam", "hoogstens_3_tekens"))
    bench.deliver()
    (refused,) = of(look(bench), key).ways
    assert (refused.state, refused.code) == (State.UNDELIVERABLE, "te_lang")
    assert refused.rule == "roepnaam: hoogstens_3_tekens"

    bench.intake.refuse(key, None)
    messages.again(bench.hub, refused.message, operator="anna")
    bench.deliver()
    assert look(bench).ops == {}
    bench.undo(run)
    corrected = of(look(bench), key)
    assert corrected.fields == {"roepnaam": ["Anna", "Anne"]}
    assert [way.state for way in corrected.ways] == [State.ASKS]
    messages.refuse(bench.hub, corrected.ways[0].message, why="blijft", operator="anna")
    declined = of(look(bench), key)
    assert [way.state for way in declined.ways] == [State.DECLINED]
    assert declined.op is Op.OTHER  # a person left it so, and it still differs


def test_what_the_day_alone_changed_has_no_message_yet(bench: OutboxBench) -> None:
    bench.bron.reference.put(
        "inschrijving", "i1", leerling="l1", geldig_van="2026-08-01", geldig_tot="2026-10-20"
    )
    bench.sync()
    assert look(bench).ops == {}
    bench.later(days=15)
    found = look(bench)
    assert (found.ops, found.states, found.unseen) == ({Op.SURPLUS: 1}, {}, 1)


def test_a_form_that_is_not_kept_is_said_to_differ_without_its_fields(bench: OutboxBench) -> None:
    with bench.hub.store.work() as work:
        work.execute("UPDATE exchange SET salt = NULL, body = NULL")
    found = of(look(bench), bench.key("l1"))
    assert (found.op, found.fields, found.is_kept) == (Op.OTHER, {}, False)


class Broken(Afnemer):
    """Makes nothing of anybody, and reads nothing that was made before."""

    def body(self, thing: CoreObject) -> bytes | None:
        """No message can be made."""
        raise MappingError("achternaam", "te lang")


class Forgetful(Afnemer):
    """Makes another body, and cannot read the former one."""

    def body(self, thing: CoreObject) -> bytes | None:
        """Another one."""
        return b"{}"

    def shown(self, body: bytes) -> dict[str, str]:
        """The new one only."""
        if body != b"{}":
            raise ValueError(body)
        return {}


def test_a_mapping_that_fails_ends_no_comparison(bench: OutboxBench) -> None:
    whole = bench.hub
    bench.hub = replace(whole, find_outward=lambda _: Broken())
    unmade = of(look(bench), bench.key("l1"))
    assert (unmade.op, unmade.rule) == (Op.UNMADE, "achternaam: te lang")
    bench.hub = replace(whole, find_outward=lambda _: Forgetful())
    other = of(look(bench), bench.key("l1"))
    assert (other.op, other.fields, other.is_kept) == (Op.OTHER, {}, False)


def test_all_are_counted_and_handed_on_and_some_are_kept(
    bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 7):
        bench.pupil(f"l{number}", roepnaam="Bo")
    bench.sync()
    monkeypatch.setattr(comparing, "BATCH", 2)
    told: list[str] = []
    found = look(bench, limit=1, each=lambda record: told.append(record.key))
    assert (found.compared, len(found.records), found.more) == (6, 1, 4)
    assert sorted(told) == sorted(bench.key(f"l{number}") for number in range(2, 7))


def test_a_school_selects_by_what_its_sources_bring(bench: OutboxBench) -> None:
    bench.pupil("l1", roepnaam="Anne")
    bench.sync()
    assert look(bench, schools=("99XX",)).ops == {Op.OTHER: 1}
    with bench.hub.store.work() as work:
        work.execute("""UPDATE scope SET brins = '["99XX02"]'""")
    assert look(bench, schools=("99XX02",)).ops == {Op.OTHER: 1}
    with pytest.raises(ConfigurationError, match="nothing was ever read"):
        look(bench, schools=("99XX01",))
    with bench.hub.store.work() as work:
        work.execute("""UPDATE scope SET brins = '["99XX01"]' WHERE resource = 'verzorger'""")
    assert look(bench, schools=("99XX01",)).compared == 0


def test_who_may_act_for_a_part_only_and_what_is_no_target_is_refused(bench: OutboxBench) -> None:
    with pytest.raises(ConfigurationError, match="nothing is delivered"):
        compare(bench.hub, BRON, operator="anna")
    part = Actor("mies", Role.HELPDESK, frozenset(), schools=frozenset({"99XX"}))
    with pytest.raises(NoRightError):
        compare(replace(bench.hub, actor=part), AFNEMER_NAME, operator="mies")
