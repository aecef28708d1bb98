"""Finding records: read on in the order of the store, or asked for one by one; always the same."""

from __future__ import annotations

from random import Random

import pytest

from mappings.canonical.fields import Entity
from sync_engine import received
from sync_engine.context import BATCH
from sync_engine.expected import Expected
from sync_engine.store.work import Work
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

KEYS = [f"leerling-{number:05}" for number in range(3 * BATCH)]


@pytest.fixture
def one(make: Make) -> Bench:
    return make()


@pytest.fixture
def filled(one: Bench) -> Bench:
    for key in KEYS:
        one.sources["s0"].put(Entity.LEERLING, key, achternaam="Zand")
    one.sync()
    return one


def _scope(made: Bench) -> int:
    return int(made.query("SELECT scope_id FROM source_record LIMIT 1")[0][0])


class _Asked:
    """Counts what is asked for by key."""

    def __init__(self, expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: list[str] = []
        ask = expected.ask

        def asked(keys: list[str]) -> dict[str, tuple[object, ...]]:
            self.keys += keys
            return ask(keys)

        monkeypatch.setattr(expected, "ask", asked)


def _find_all(work: Work, scope: int, keys: list[str], expected: Expected) -> None:
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        found = expected.find(part)
        rows = work.execute(
            "SELECT source_key, id, raw_fp, missing_since, gone FROM source_record "
            f"WHERE scope_id = ? AND {work.many('source_key')}",
            (scope, work.values(part)),
        )
        assert found == {row[0]: row for row in rows}


@pytest.mark.parametrize("order", ["kept", "some gone, some new", "shuffled", "backwards"])
def test_every_order_finds_every_record(
    filled: Bench, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = list(KEYS)
    match order:
        case "some gone, some new":
            keys = [key for number, key in enumerate(KEYS) if number % 7]
            for place in range(0, len(keys), 5):
                keys.insert(place, f"nieuw-{place}")
        case "shuffled":
            Random(7).shuffle(keys)  # noqa: S311 -- an order, not a secret
        case "backwards":
            keys.reverse()
        case _:
            pass
    with filled.context() as context:
        received.prepare(context)
        scope = _scope(filled)
        expected = Expected(context.work, scope, ordered=True)
        asked = _Asked(expected, monkeypatch)
        _find_all(context.work, scope, keys, expected)
        if order == "kept":
            assert asked.keys == []
        if order == "some gone, some new":
            assert {key for key in asked.keys if not key.startswith("nieuw")} == set()


def test_a_source_without_any_order_is_asked_for_by_key_alone(
    filled: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KEYS * 4
    Random(7).shuffle(keys)  # noqa: S311 -- an order, not a secret
    with filled.context() as context:
        received.prepare(context)
        expected = Expected(context.work, _scope(filled), ordered=True)
        asked = _Asked(expected, monkeypatch)
        _find_all(context.work, _scope(filled), keys, expected)
        assert len(expected._window) == 0
        assert len(asked.keys) > len(keys) / 2


def test_what_a_first_reading_writes_is_not_read_again(one: Bench) -> None:
    with one.context() as context:
        received.prepare(context)
        expected = Expected(context.work, 1, ordered=True)
        assert expected.find(["een"]) == {}
        with context.work.transaction():
            context.work.load(
                "source_record",
                ("id", "scope_id", "source_key", "raw_fp", "gone"),
                [(1, 1, "een", b"1", False)],
            )
        assert expected.find(["twee"]) == {}
        assert expected._window == {}
        assert expected.find(["een"])["een"][1] == 1
