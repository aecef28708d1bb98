"""The inbox: a message once, the newest of each record, in order; and the table view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Action, FieldProblem, Message, Receipt
from fixtures.school.keys import synthetic_bsn
from sync_engine import purge
from sync_engine.inbox import StoreInbox, inbox_state, stray_state
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.property.stores import DoomedStore, Killed
from tests.support.kern import KERN, TOKEN, TOKEN_NAME, KernBench, closing_bench, kern_bench

BAD = (FieldProblem("body", "is wrong"),)


@pytest.fixture
def kern(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernBench]:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(store, tmp_path)) as made:
        yield made


def put(number: str, key: str, body: bytes = b"{}") -> Message:
    return Message(number, "leerling", key, Action.PUT, body)


def rows(kern: KernBench) -> list[tuple[object, ...]]:
    return kern.bench.query("SELECT message_id, fout, body FROM kern_inbox ORDER BY id")


# -- messages --------------------------------------------------------------------------------------


def test_the_same_message_twice_has_one_effect(kern: KernBench) -> None:
    assert kern.inbox.put([put("m1", "l1")]) == [Receipt.ACCEPTED]
    before = kern.inbox.position()
    assert kern.inbox.put([put("m1", "l1")]) == [Receipt.KNOWN]
    assert kern.inbox.position() == before


def test_the_same_message_twice_in_one_call_has_one_effect(kern: KernBench) -> None:
    assert kern.inbox.put([put("m1", "l1"), put("m1", "l1")]) == [Receipt.ACCEPTED, Receipt.KNOWN]
    assert len(kern.inbox.claims("leerling", after="", limit=10)) == 1


@pytest.mark.parametrize(
    "other",
    [
        put("m1", "l1", b'{"a":1}'),
        put("m1", "l2"),
        Message("m1", "verzorger", "l1", Action.PUT, b"{}"),
        Message("m1", "leerling", "l1", Action.DELETE),
    ],
)
def test_other_content_under_a_known_id_is_refused(kern: KernBench, other: Message) -> None:
    kern.inbox.put([put("m1", "l1")])
    assert kern.inbox.put([other, put("m2", "l9")]) == [Receipt.CONFLICT, Receipt.ACCEPTED]
    assert [c.body for c in kern.inbox.find("leerling", ["l1"])] == [b"{}"]


def test_a_message_that_was_replaced_is_still_known(kern: KernBench) -> None:
    kern.inbox.put([put("m1", "l1"), put("m2", "l1", b'{"a":2}')])
    assert kern.inbox.put([put("m1", "l1")]) == [Receipt.KNOWN]
    assert [c.body for c in kern.inbox.find("leerling", ["l1"])] == [b'{"a":2}']


def test_of_a_record_only_the_newest_body_is_kept(kern: KernBench) -> None:
    kern.inbox.put([put("m1", "l1", b'{"naam":"Oud"}')])
    kern.inbox.put([put("m2", "l1", b'{"naam":"Nieuw"}')])
    found = kern.bench.query("SELECT message_id, current, salt, body FROM inbox ORDER BY id")
    assert (found[0][0], bool(found[0][1]), found[0][2], bytes(found[0][3])) == (
        "m1",
        False,
        None,
        b"",
    )
    assert b"Nieuw" not in bytes(found[1][3])


def test_changes_are_told_from_a_number_on_in_their_order(kern: KernBench) -> None:
    kern.inbox.put([put("m1", "l1"), put("m2", "l2")])
    at = kern.inbox.position()
    kern.inbox.put([put("m3", "l1", b'{"a":3}'), Message("m4", "leerling", "l2", Action.DELETE)])
    changes = kern.inbox.changes("leerling", after=at, limit=10)
    assert [(c.key, c.body) for c in changes] == [("l1", b'{"a":3}'), ("l2", None)]


def test_inboxes_of_two_koppelingen_know_nothing_of_each_other(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    second = '[[source]]\nname = "kern-2"\nsystem = "kern"\ntenant = "bestuur"\n'
    with closing_bench(kern_bench(store, tmp_path, options=second)) as made:
        made.inbox.put([put("m1", "l1")])
        other = made.bench.hub.inbox("kern-2")
        assert other.position() == 0
        assert other.put([put("m1", "l1", b'{"anders":1}')]) == [Receipt.ACCEPTED]


def test_what_says_nothing_any_more_is_purged_after_its_time(kern: KernBench) -> None:
    kern.inbox.put([put("m1", "l1"), put("m2", "l1", b'{"achternaam":"A","key":"l1"}')])
    kern.inbox.put([put("m3", "l2"), Message("m4", "leerling", "l2", Action.DELETE)])
    purge.purge(kern.bench.hub, operator="test")
    assert kern.bench.query("SELECT COUNT(*) FROM inbox") == [(4,)]
    kern.bench.later(731 * 24)
    purge.purge(kern.bench.hub, operator="test")
    assert kern.bench.query("SELECT message_id FROM inbox") == [("m2",)]
    at = kern.inbox.position()
    kern.inbox.put([put("m5", "l5")])
    assert kern.inbox.position() > at


# -- the table view --------------------------------------------------------------------------------


def test_a_row_is_taken_over_at_the_next_run_and_leaves_the_table(kern: KernBench) -> None:
    kern.insert("leerling", "l1", "t1", body='{"achternaam": "Voorbeeld"}')
    kern.bench.sync(KERN)
    assert rows(kern) == []
    assert kern.pupils() == {"l1": ("Voorbeeld", True)}


def test_a_dry_run_takes_rows_over_and_shows_what_they_would_do(kern: KernBench) -> None:
    kern.insert("leerling", "l1", "t1", body='{"achternaam": "Voorbeeld"}')
    report = kern.bench.sync(KERN, dry=True)
    assert report.steps == {"leerling.create": 1}
    assert (rows(kern), kern.pupils()) == ([], {})


def test_rows_are_taken_in_the_order_in_which_they_were_written(kern: KernBench) -> None:
    for number, name in enumerate(("Eerst", "Dan", "Laatst")):
        kern.insert("leerling", "l1", f"t{number}", body=f'{{"achternaam": "{name}"}}')
    kern.bench.sync(KERN, kind=Kind.DELTA)
    assert kern.pupils() == {"l1": ("Laatst", True)}


@pytest.mark.parametrize(
    ("resource", "row", "field"),
    [
        ("leerling", {"body": "geen json"}, "body"),
        ("leerling", {"body": "[]"}, "body"),
        ("leerling", {"body": None}, "body"),
        ("leerling", {"body": '{"roepnaam": "Jip"}'}, "achternaam"),
        ("leerling", {"body": '{"achternaam": "A", "geboortedatum": "31-12-2012"}'}, "geboorte"),
        ("leerling", {"body": '{"achternaam": "A", "geheimpje": 1}'}, "geheimpje"),
        ("leerlinge", {"body": "{}"}, "resource"),
        ("leerling", {"action": "wijzig", "body": "{}"}, "action"),
        ("leerling", {"action": "delete", "body": '{"achternaam": "A"}'}, "record"),
    ],
)
def test_a_broken_row_is_marked_and_stops_no_other(
    kern: KernBench, resource: str, row: dict[str, str], field: str
) -> None:
    kern.insert(resource, "l1", "t1", **row)
    kern.insert("leerling", "l2", "t2", body='{"achternaam": "Goed"}')
    kern.bench.sync(KERN)
    ((message, fault, body),) = rows(kern)
    assert (message, body) == ("t1", None)
    assert str(fault).startswith(field)
    assert kern.pupils() == {"l2": ("Goed", True)}


@pytest.mark.parametrize("field", ["bsn", "onderwijsnummer", "eck_id"])
def test_a_personal_number_may_not_stand_in_the_table(kern: KernBench, field: str) -> None:
    number = synthetic_bsn(7)
    kern.insert("leerling", "l1", "t1", body=f'{{"achternaam": "A", "{field}": "{number}"}}')
    kern.bench.sync(KERN)
    ((_, fault, body),) = rows(kern)
    assert str(fault).startswith(f"{field}: ")
    assert number not in str(fault)
    assert body is None
    assert kern.pupils() == {}


def test_killed_at_any_statement_each_row_is_taken_once_or_still_there(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(sqlite_store, tmp_path)) as kern:
        killed, row = 0, kern.bench.hub.koppeling(KERN)
        cipher = kern.bench.hub.cipher(row.tenant_id)
        for statement in range(1, 30):
            kern.insert("leerling", f"l{statement}", f"t{statement}", body="{}")
            doomed: Any = DoomedStore(sqlite_store, statement)
            inbox = StoreInbox(doomed, row, cipher=lambda: cipher, clock=kern.bench.clock)
            try:
                inbox.collect(lambda message: (message, ()))
            except Killed:
                killed += 1
            waiting = {str(left[0]) for left in rows(kern)}
            taken = {held[0] for held in kern.bench.query("SELECT message_id FROM inbox")}
            assert waiting | taken == {f"t{n}" for n in range(1, statement + 1)}
            assert not waiting & taken
        assert 0 < killed < 29


def test_a_row_of_another_inbox_is_left_alone(kern: KernBench) -> None:
    kern.bench.query("INSERT INTO koppeling (tenant_id, name, system) VALUES (1, 'k2', 'kern')")
    kern.insert("leerling", "l1", "t1", koppeling="k2", body='{"achternaam": "A"}')
    kern.bench.sync(KERN)
    ((message, fault, body),) = rows(kern)
    assert (message, fault) == ("t1", None)
    assert body is not None
    with kern.bench.hub.store.work() as work:
        assert stray_state(work, [KERN], limit=10).waiting == 1


@pytest.mark.parametrize("name", ["knr", "KERN ", "iets heel anders", "x" * 100_000])
def test_a_row_that_names_no_koppeling_is_refused_and_told(kern: KernBench, name: str) -> None:
    kern.insert("leerling", "l1", "t1", koppeling=name, body='{"achternaam": "A"}')
    kern.insert("leerling", "l2", "t2", body='{"achternaam": "Goed"}')
    with kern.bench.hub.store.work() as work:
        assert stray_state(work, [KERN], limit=10).waiting == 1
    kern.bench.sync(KERN)
    ((message, fault, body),) = rows(kern)
    assert (message, body) == ("t1", None)
    assert str(fault).startswith("koppeling: there is none of that name; ")
    assert str(fault).endswith(KERN)
    assert kern.pupils() == {"l2": ("Goed", True)}
    with kern.bench.hub.store.work() as work:
        state = stray_state(work, [KERN], limit=10)
    assert (state.koppeling, state.waiting) == ("", 0)
    assert [row[1:] for row in state.refused] == [("t1", "leerling", fault)]


def test_a_refused_row_is_tried_again_once_it_was_mended(kern: KernBench) -> None:
    kern.insert("leerling", "l1", "t1", body='{"roepnaam": "Jip"}')
    kern.bench.sync(KERN)
    kern.bench.query("UPDATE kern_inbox SET fout = NULL, body = ?", '{"achternaam": "Jip"}')
    kern.bench.sync(KERN, kind=Kind.DELTA)
    assert kern.pupils() == {"l1": ("Jip", True)}


def test_a_person_sees_what_came_in_and_what_was_refused(kern: KernBench) -> None:
    kern.inbox.put([put("m1", "l1"), Message("m2", "leerling", "l2", Action.DELETE)])
    kern.insert("leerling", "l3", "t1", body="geen json")
    kern.inbox.collect(lambda message: (message, ()) if message.body == b"{}" else (message, BAD))
    kern.insert("leerling", "l4", "t2", body="{}")
    with kern.bench.hub.store.work() as work:
        state = inbox_state(work, kern.bench.hub.koppeling(KERN), limit=10)
    assert (state.messages, state.claims, state.gone, state.waiting) == (2, 1, 1, 1)
    assert [(row[1], row[3]) for row in state.refused] == [("t1", "body: is wrong")]
