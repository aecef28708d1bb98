"""Rotating keys: every encrypted value is found, none is lost, the old key goes when it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from config.keyring import Keyring
from connectors.base import Action, Message
from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import masters, pins, rotation
from sync_engine.actor import Actor
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.rotation import RotationReport, list_keys
from sync_engine.sealed import UNSEALED, sealed_columns
from sync_engine.store import keys as stored_keys
from sync_engine.store.engine import Store
from tests.property.stores import DoomedStore, Killed
from tests.support.hubs import Bench, bench
from tests.support.keeping import keeping
from tests.unit.sync_engine.test_races import while_reading

COLUMNS = {
    *("shadow_form.received", "shadow_form.accepted", "raw_payload.body", "quarantine.body"),
    *("former_form.form", "zaak_notitie.body", "inbox.body"),
    *("vault.value", "batch.answer", "exchange.body"),
    *("step.change", "pin.value", "outbox.body", "identificatie.waarde"),
    "suppression_key.body",
}


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """A hub in which every encrypted column holds something."""
    one = bench(store, tmp_path)
    filled(one)
    yield one
    one.close()


def filled(made: Bench) -> None:
    source = made.sources["s0"]
    for number in range(4):
        source.put(
            Entity.LEERLING,
            f"l{number}",
            achternaam=f"Jansen{number}",
            bsn=synthetic_bsn(number + 1),
            leerlingnummer=str(100 + number),
        )
    source.put(Entity.LEERLING, "stuk", kapot=True)
    made.sync()
    core_id = made.core(Entity.LEERLING, "l0")
    person: Any = {"entity": Entity.LEERLING, "reason": "test", "operator": "test"}
    pins.pin(made.hub, core_id, field="roepnaam", value="Pin", **person)
    made.sync()
    for number in range(2):
        source.put(Entity.LEERLING, f"l{number}", achternaam=f"Bakker{number}")
    made.sync()
    for number in range(2):
        source.put(Entity.LEERLING, f"l{number}", achternaam=f"Visser{number}")
    made.sync(plan_only=True)  # what is received is not accepted yet
    made.query(
        "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, detail, "
        "opened_run) VALUES (1, 1, 'score', 'leerling', 'l3', 'open', 'test', '[]', 1)"
    )
    body = made.hub.cipher(1).person(bytes(16)).encrypt(b"gebeld", b"notitie|1")
    made.query(
        "INSERT INTO zaak_notitie (case_id, at, operator, salt, body) VALUES (1, ?, 'test', ?, ?)",
        made.hub.clock.now(),
        bytes(16),
        body,
    )
    made.hub.inbox("s0").put([Message("m1", "leerling", "l0", Action.PUT, b"bericht")])
    keeping(made).fill(core_id)
    salt = bytes(16)
    body = made.hub.cipher(1).person(salt).encrypt(b"bericht", b"outbox|m1")
    with made.hub.store.work() as work:
        work.execute(
            "INSERT INTO outbox (message_id, tenant_id, target, state, salt, body, run_id, "
            "attempts) VALUES ('m1', 1, 'doel', 'open', ?, ?, 1, 0)",
            (salt, body),
        )
        told = made.hub.cipher(1).person(salt).encrypt(b"sleutel", b"suppression|1|2")
        work.execute(
            "INSERT INTO suppression_key (tenant_id, origin, salt, body) VALUES (1, 2, ?, ?)",
            (salt, told),
        )


def plain(made: Bench) -> dict[str, list[bytes]]:
    """Every encrypted value, opened."""
    cipher, found = made.hub.cipher(1), {}
    for sealed in sealed_columns():
        parts = ", ".join(f"t.{part}" for part in sealed.parts)
        key = ", ".join(f"t.{name}" for name in sealed.key)
        sql = sealed.rows(f"t.{sealed.column}, {{salt}}, {parts}", f"ORDER BY {key}")
        found[sealed.name] = [
            cipher.person(salt).decrypt(bytes(blob), sealed.context(*rest))
            for blob, salt, *rest in made.query(sql, 1)
        ]
    return found


def versions(made: Bench) -> Counter[int]:
    """How many values each version encrypts, counted without the code under test."""
    found: Counter[int] = Counter()
    for name in COLUMNS:
        table, _, column = name.partition(".")
        for (blob,) in made.query(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"):
            if blob:
                found[int.from_bytes(bytes(blob)[1:3], "big")] += 1
    return found


def rotated(made: Bench) -> RotationReport:
    (report,) = rotation.rotate(made.hub, operator="test")
    return report


def test_every_column_of_bytes_is_sealed_or_known_not_to_be() -> None:
    """A new column of bytes fails here until sync_engine/sealed.py knows it."""
    found = {
        f"{name}.{column.name}"
        for name, table in SQLModel.metadata.tables.items()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name not in UNSEALED
    }
    assert found == COLUMNS == {sealed.name for sealed in sealed_columns()}
    for sealed in sealed_columns():
        table = SQLModel.metadata.tables[sealed.table]
        assert sealed.key == tuple(column.name for column in table.primary_key)


def test_a_rotation_leaves_every_value_as_it_was_under_the_new_key(made: Bench) -> None:
    before, blobs = plain(made), versions(made)
    assert all(before.values())
    assert set(blobs) == {1}
    (keys,) = list_keys(made.hub)
    assert keys.versions[0].values == {name: len(values) for name, values in before.items()}
    report = rotated(made)
    assert (report.version, report.began, report.retired, report.indexes) == (2, True, [], 1)
    assert report.rewritten == keys.versions[0].values
    assert versions(made) == {2: blobs[1]}
    assert plain(made) == before
    (keys,) = list_keys(made.hub)
    old, new = keys.versions
    assert (old.values, old.indexes, old.active, old.emptied_at is None) == ({}, True, False, False)
    assert (new.values, new.active) == (report.rewritten, True)
    assert not keys.rotating
    told = made.query("SELECT subject, why FROM audit WHERE action = 'keys rotate' ORDER BY id")
    assert told[0] == ("tenant 1", "version 2 begun")


def test_indexes_and_fingerprints_stay_so_that_nothing_is_read_anew(made: Bench) -> None:
    rotated(made)
    report = made.sync()
    assert sum(reading.changed + reading.added for reading in report.readings) == 0
    assert report.applied == {"leerling.change": 2}  # what waited, and no more
    assert not made.sync().steps
    assert made.identifiers()


def test_the_next_rotation_removes_the_version_between(made: Bench) -> None:
    before = plain(made)
    rotated(made)
    report = rotated(made)
    assert (report.version, report.retired, report.indexes) == (3, [2], 1)
    assert made.query("SELECT version, active FROM tenant_key ORDER BY version") == [(1, 0), (3, 1)]
    assert plain(made) == before


def test_batches_are_bounded_in_rows_and_bytes(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH_ROWS", 3)
    monkeypatch.setattr(rotation, "BATCH_BYTES", 200)
    sizes: list[tuple[str, int]] = []
    before = plain(made)
    rotation.rotate(made.hub, operator="x", progress=lambda _, name, n: sizes.append((name, n)))
    assert {n for _, n in sizes} <= {1, 2, 3}
    assert sum(n for name, n in sizes if name == "step.change") == len(before["step.change"])
    assert plain(made) == before
    assert set(versions(made)) == {2}


def test_killed_at_any_statement_the_next_call_goes_on(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH_ROWS", 2)
    before, hub, killed, mixed = plain(made), made.hub, 0, 0
    for statements in range(1, 400, 8):
        doomed: Any = DoomedStore(hub.store, statements)
        made.hub = replace(hub, store=doomed)
        try:
            report = rotated(made)
        except Killed:
            killed += 1
            mixed += len(versions(made)) == 2
        else:
            break
        finally:
            made.hub = hub
        assert plain(made) == before
    assert killed > 5
    assert mixed > 2
    assert (report.began, report.version) == (False, 2)
    assert (plain(made), set(versions(made))) == (before, {2})


# -- beside runs -----------------------------------------------------------------------------------


def test_a_run_that_began_with_the_old_key_is_not_pulled_the_carpet(made: Bench) -> None:
    made.sources["s0"].put(Entity.LEERLING, "l3", achternaam="Nieuw")
    refused: list[str] = []

    def rotate() -> None:
        with pytest.raises(RunActiveError) as caught:
            rotated(made)
        refused.append(caught.value.advice)

    with while_reading("s0", rotate):
        assert not made.sync().error
    assert "keys rotate" in refused[0]
    assert versions(made).keys() == {1}  # it went on with what it knew
    (keys,) = list_keys(made.hub, count=False)
    assert keys.rotating
    report = rotated(made)
    assert (report.version, report.began) == (2, False)
    assert set(versions(made)) == {2}


def test_runs_go_on_while_a_rotation_is_under_way(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH_ROWS", 2)
    source, write = made.sources["s0"], rotation._Rotation._write
    runs = 0

    def writing(self: Any, sealed: Any, renewed: Any) -> int:
        nonlocal runs
        if runs < 8:
            runs += 1
            source.put(Entity.LEERLING, f"l{runs % 4}", achternaam=f"Tussen{runs}")
            source.put(Entity.LEERLING, f"n{runs}", achternaam=f"Nieuw{runs}")
            assert not made.sync().error
        return write(self, sealed, renewed)

    monkeypatch.setattr(rotation._Rotation, "_write", writing)
    rotated(made)
    assert runs == 8
    assert set(versions(made)) == {2}
    assert not made.sync().steps
    names = {row[0] for row in made.query("SELECT achternaam FROM leerling")}
    assert {"Tussen8", "Nieuw8"} <= names


def test_an_old_key_stays_while_a_run_may_still_write_what_it_read(made: Bench) -> None:
    rotated(made)
    stored_keys.add_tenant_key(made.hub.store, made.hub.keyring, 1, now=made.clock.now())
    made.later(1)  # the run that begins now knows the new key, and may hold old values
    seen: list[set[int]] = []

    def rotate() -> None:
        with pytest.raises(RunActiveError):
            rotated(made)
        seen.append(set(versions(made)))

    with while_reading("s0", rotate):
        made.sync()
    assert seen == [{3}]
    assert {row[0] for row in made.query("SELECT version FROM tenant_key")} == {1, 2, 3}
    report = rotated(made)
    assert (report.retired, report.rewritten) == ([2], {})


def test_the_row_of_a_run_that_was_killed_holds_nothing_up(made: Bench) -> None:
    with made.hub.store.work() as work:
        work.execute("UPDATE run SET state = 'running' WHERE id = 1")
    assert rotated(made).rewritten


def test_what_does_not_open_is_told_and_its_key_is_kept(made: Bench) -> None:
    with made.hub.store.work() as work:
        work.execute("UPDATE step SET digest = ? WHERE id = 1", (bytes(16),))
    report = rotated(made)
    assert report.unreadable == {"step.change": 1}
    (keys,) = list_keys(made.hub)
    assert keys.rotating
    assert keys.versions[0].values == {"step.change": 1}


# -- master keys -----------------------------------------------------------------------------------


def ring_of(made: Bench) -> Hub:
    """The hub with its key file as it is now."""
    return replace(made.hub, keyring=Keyring.load(made.hub.settings.keys.file))


def renewed(made: Bench, url: str) -> masters.MasterReport:
    database = made.hub.settings.database.model_copy(update={"url": SecretStr(url)})
    settings = made.hub.settings.model_copy(update={"database": database})
    return masters.renew_master(settings, made.clock, actor=Actor("test"))


def url_of(made: Bench) -> str:
    return made.hub.store.engine.url.render_as_string(hide_password=False)


def test_a_new_master_key_wraps_every_key(made: Bench) -> None:
    before, url = plain(made), url_of(made)
    rotated(made)
    old = made.hub.keyring.active_id
    report = renewed(made, url)
    assert (report.made, report.rewrapped) == (True, 2)
    made.hub = ring_of(made)
    assert made.hub.keyring.active_id == report.active != old
    stored_keys.verify_keys(made.hub.store, made.hub.keyring)
    assert made.query("SELECT DISTINCT master_id FROM tenant_key") == [(report.active,)]
    assert plain(made) == before
    assert made.query("SELECT subject FROM audit WHERE action = 'keys master'") == [
        (f"key {report.active}",)
    ]


def test_a_new_master_key_that_was_broken_off_is_ended_and_not_made_twice(made: Bench) -> None:
    url = url_of(made)
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise Killed

        patch.setattr(masters, "record_keys", killed)
        with pytest.raises(Killed):
            renewed(made, url)
    half = Keyring.load(made.hub.settings.keys.file)
    assert len(half.key_ids) == 2
    report = renewed(made, url)
    assert (report.made, report.active, report.rewrapped) == (False, half.active_id, 1)
    assert Keyring.load(made.hub.settings.keys.file).key_ids == half.key_ids
    made.hub = ring_of(made)
    assert all(plain(made).values())
