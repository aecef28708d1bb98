"""The vault: one value of each person and kind, under his own key, and gone when he is."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import purge, rotation
from sync_engine.options import Kind
from sync_engine.store.backup import back_up, restore
from sync_engine.store.engine import Store
from sync_engine.vault import StoreVault, hold
from tests.property.stores import DoomedStore, Killed
from tests.support.boards import NEW, OLD, Boards, boards, sound
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource

KIND = "stampseudoniem/test"
TWO_YEARS = 731 * 24
CANARY = b"Kanarie-4711"


def two_pupils(store: Store, folder: Path) -> Iterator[Bench]:
    """Two koppelingen of one tenant; `a` and `b` are pupils of the first."""
    one = bench(store, folder, sources=2)
    for number, key in enumerate("ab"):
        one.sources["s0"].put(
            Entity.LEERLING, key, achternaam=f"Naam{key}", bsn=synthetic_bsn(number + 1)
        )
    one.sync("s0")
    yield one
    one.close()


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """On either database."""
    yield from two_pupils(store, tmp_path)


@pytest.fixture
def quick(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """On SQLite alone, for what is no matter of the database."""
    yield from two_pupils(sqlite_store, tmp_path)


def vault(made: Bench, *, tenant: int = 1, system: str = "eckid", **options: Any) -> StoreVault:
    hub = made.hub
    given: dict[str, Any] = {"cipher": partial(hub.cipher, tenant), "clock": hub.clock} | options
    return StoreVault(given.pop("store", hub.store), tenant_id=tenant, system=system, **given)


def pupils(made: Bench, *keys: str) -> list[int]:
    return [made.core(Entity.LEERLING, key) for key in keys]


def rows(made: Bench) -> list[int]:
    return [row[0] for row in made.query("SELECT core_id FROM vault ORDER BY core_id")]


# -- values ----------------------------------------------------------------------------------------


def test_of_each_person_and_kind_the_last_value_is_kept(made: Bench) -> None:
    a, b = pupils(made, "a", "b")
    vault(made).write(KIND, {a: b"eerst", b: b"van b"})
    vault(made).write(KIND, {a: b"dan"})
    vault(made).write("eck_id/test/k/s", {a: b"anders"})
    assert vault(made).read(KIND, [a, b, 999]) == {a: b"dan", b: b"van b"}
    assert vault(made).read("eck_id/test/k/s", [a, b]) == {a: b"anders"}
    assert vault(made, system="ander").read(KIND, [a, b]) == {}
    assert vault(made).read(KIND, []) == {}


def test_what_is_forgotten_is_gone_and_nothing_else(quick: Bench) -> None:
    a, b = pupils(quick, "a", "b")
    vault(quick).write(KIND, {a: b"1", b: b"2"})
    vault(quick).write("anders", {a: b"3"})
    vault(quick).forget(KIND, [a])
    assert vault(quick).read(KIND, [a, b]) == {b: b"2"}
    assert vault(quick).read("anders", [a]) == {a: b"3"}


def test_no_value_stands_in_the_database_or_in_a_repr(quick: Bench) -> None:
    (a,) = pupils(quick, "a")
    vault(quick).write(KIND, {a: CANARY})
    ((blob,),) = quick.query("SELECT value FROM vault")
    assert CANARY not in bytes(blob)
    assert CANARY.decode() not in repr(vault(quick))


def test_a_value_that_was_moved_to_another_person_does_not_open(quick: Bench) -> None:
    a, b = pupils(quick, "a", "b")
    vault(quick).write(KIND, {a: b"1", b: b"2"})
    ((blob,),) = quick.query("SELECT value FROM vault WHERE core_id = ?", a)
    quick.query("UPDATE vault SET value = ? WHERE core_id = ?", blob, b)
    with pytest.raises(Exception, match=r"^vault\|"):
        vault(quick).read(KIND, [b])


def test_nothing_is_kept_of_who_is_not_in_the_core(quick: Bench) -> None:
    (a,) = pupils(quick, "a")
    vault(quick).write(KIND, {a: b"1", 0: b"niemand", 999_999: b"onbekend"})
    assert rows(quick) == [a]


def test_threads_write_at_once_and_nothing_is_lost(made: Bench) -> None:
    people, kept = pupils(made, "a", "b"), vault(made)
    with ThreadPoolExecutor(4) as pool:
        for done in [
            pool.submit(kept.write, f"kind{n}", dict.fromkeys(people, b"%d" % n)) for n in range(8)
        ]:
            done.result()
    for number in range(8):
        assert set(kept.read(f"kind{number}", people).values()) == {b"%d" % number}


def test_who_is_removed_while_a_value_of_him_is_written_leaves_none_behind(made: Bench) -> None:
    a, b = pupils(made, "a", "b")
    writer = Thread(target=vault(made).write, args=(KIND, {a: b"te laat", b: b"blijft"}))
    with made.hub.store.work() as work, work.transaction():
        hold(work, 1)
        for table, column in (("leerling", "id"), ("core_salt", "core_id"), ("vault", "core_id")):
            work.execute(f"DELETE FROM {table} WHERE {column} = ?", (a,))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()  # it waits for who removes
    writer.join(60)
    assert rows(made) == [b]


def test_killed_while_writing_all_values_are_there_or_none(
    sqlite_store: Store, tmp_path: Path
) -> None:
    made = bench(sqlite_store, tmp_path)
    for key in "ab":
        made.sources["s0"].put(Entity.LEERLING, key, achternaam=f"Naam{key}")
    made.sync("s0")
    a, b = pupils(made, "a", "b")
    vault(made).write(KIND, {a: b"oud", b: b"oud"})
    killed = 0
    for statement in range(1, 12):
        doomed: Any = DoomedStore(sqlite_store, statement)
        try:
            vault(made, store=doomed).write(KIND, {a: b"nieuw", b: b"nieuw"})
        except Killed:
            killed += 1
            assert vault(made).read(KIND, [a, b]) == {a: b"oud", b: b"oud"}
        else:
            break
    assert killed > 2
    assert vault(made).read(KIND, [a, b]) == {a: b"nieuw", b: b"nieuw"}
    made.close()


# -- who is who ------------------------------------------------------------------------------------


def merged(made: Bench) -> tuple[int, int, int]:
    """Two pupils who turn out to be one: (survivor, the other, the run that merged them)."""
    source = made.sources["s1"]
    source.put(Entity.LEERLING, "a'", achternaam="Naama")
    source.put(Entity.LEERLING, "blijft", achternaam="Blijft")
    made.sync("s1")
    first, other = made.core(Entity.LEERLING, "a"), made.core(Entity.LEERLING, "a'", "s1")
    assert first != other
    vault(made).write("beide", {first: b"van de eerste", other: b"van de ander"})
    vault(made).write("ander", {other: b"van de ander"})
    source.put(Entity.LEERLING, "a'", achternaam="Naama", bsn=synthetic_bsn(1))
    run = made.sync("s1")
    assert made.core(Entity.LEERLING, "a'", "s1") == first
    return first, other, run.run_id


def test_who_was_merged_is_read_as_what_he_became_whose_own_value_wins(made: Bench) -> None:
    first, other, _ = merged(made)
    for person in (first, other):
        assert vault(made).read("beide", [person]) == {person: b"van de eerste"}
        assert vault(made).read("ander", [person]) == {person: b"van de ander"}
    vault(made).write("ander", {other: b"nieuw"})
    assert vault(made).read("ander", [first, other]) == {first: b"nieuw", other: b"nieuw"}
    vault(made).forget("beide", [first])
    assert vault(made).read("beide", [first, other]) == {}


def test_parted_again_each_has_his_own_back(made: Bench) -> None:
    first, other, run = merged(made)
    vault(made).write("ander", {first: b"van na het samengaan"})
    assert made.sync("s1", kind=Kind.UNDO, undone=run, operator="jan").error == ""
    assert made.core(Entity.LEERLING, "a'", "s1") == other
    assert vault(made).read("beide", [first, other]) == {
        first: b"van de eerste",
        other: b"van de ander",
    }
    assert vault(made).read("ander", [first, other]) == {
        first: b"van na het samengaan",
        other: b"van de ander",
    }


# -- an end to it ----------------------------------------------------------------------------------


def test_who_erases_the_salt_of_a_person_erases_his_values(made: Bench) -> None:
    a, b = pupils(made, "a", "b")
    vault(made).write(KIND, {a: b"1", b: b"2"})
    made.query("DELETE FROM core_salt WHERE core_id = ?", a)
    assert vault(made).read(KIND, [a, b]) == {b: b"2"}
    vault(made).write(KIND, {a: b"weer"})
    assert vault(made).read(KIND, [a]) == {}


def test_what_is_kept_of_who_is_purged_goes_with_him_also_under_his_former_number(
    made: Bench,
) -> None:
    first, other, _ = merged(made)
    b = made.core(Entity.LEERLING, "b")
    vault(made).write(KIND, {first: b"1", b: b"2"})
    for name, key in (("s0", "a"), ("s1", "a'")):
        made.sources[name].remove(Entity.LEERLING, key)
        made.settle(name)
    made.later(TWO_YEARS)
    assert set(rows(made)) == {first, other, b}
    purge.purge(made.hub, operator="test")
    assert rows(made) == [b]


def test_who_a_run_brought_that_is_undone_is_kept_nothing_of(made: Bench) -> None:
    made.sources["s0"].put(Entity.LEERLING, "c", achternaam="Naamc")
    run = made.sync("s0")
    a, c = pupils(made, "a", "c")
    vault(made).write(KIND, {a: b"1", c: b"3"})
    assert made.sync("s0", kind=Kind.UNDO, undone=run.run_id, operator="jan").error == ""
    assert rows(made) == [a]


# -- keys, copies, another board -------------------------------------------------------------------


def test_a_new_tenant_key_opens_what_was_kept_and_the_mark_stays(made: Bench) -> None:
    a, b = pupils(made, "a", "b")
    vault(made).write(KIND, {a: b"1", b: b"2"})
    mark = made.hub.cipher(1).mark(synthetic_bsn(1))
    (report,) = rotation.rotate(made.hub, operator="test")
    assert report.rewritten["vault.value"] == 2
    assert {bytes(row[0])[1:3] for row in made.query("SELECT value FROM vault")} == {b"\x00\x02"}
    assert vault(made).read(KIND, [a, b]) == {a: b"1", b: b"2"}
    assert made.hub.cipher(1).mark(synthetic_bsn(1)) == mark
    assert len(mark) == 32


def test_a_backup_holds_it_and_opens_it(sqlite_store: Store, tmp_path: Path) -> None:
    made = bench(sqlite_store, tmp_path)
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Naam")
    made.sync("s0")
    (a,) = pupils(made, "a")
    vault(made).write(KIND, {a: CANARY})
    back_up(sqlite_store, tmp_path / "copy")
    assert CANARY not in (tmp_path / "copy").read_bytes()
    url = f"sqlite:///{tmp_path / 'terug.db'}"
    restore(url, tmp_path / "copy", check=lambda _: None)
    with Store.open(url) as back:
        assert vault(made, store=back).read(KIND, [a]) == {a: CANARY}
    made.close()


def marked(made: Bench, tenant: int, number: str) -> bytes:
    mark = b64encode(made.hub.cipher(tenant).mark(number)).decode()
    return json.dumps(
        {"v": "https://ketenid.nl/sppilot/x", "mark": mark, "sinds": "2026-11-28"}
    ).encode()


def school(name: str, *pupils: tuple[str, int]) -> MemorySource:
    source = MemorySource(tuple(Entity))
    for key, number in pupils:
        source.put(Entity.LEERLING, key, achternaam=f"{name} {key}", bsn=synthetic_bsn(number))
    return source


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Boards]:
    """Two schools of the old board, who share one pupil, and one of the new."""
    sources = {
        "s0": school("noord", ("a", 1), ("beide", 5), ("ander", 7)),
        "s1": school("zuid", ("x", 3), ("beide z", 5)),
        "s2": school("west", ("w", 9)),
    }
    with boards(store, tmp_path, {"s0": OLD, "s1": OLD, "s2": NEW}, sources) as made:
        made.nights(rounds=1)
        yield made


def test_what_is_kept_goes_to_another_board_with_its_person(two: Boards) -> None:
    made, old, new = two.made, two.tenant(OLD), two.tenant(NEW)
    a, both, other = pupils(made, "a", "beide", "ander")
    x = made.core(Entity.LEERLING, "x", "s1")
    assert both == made.core(Entity.LEERLING, "beide z", "s1")
    values = {a: 1, both: 5, x: 3}
    vault(made, tenant=old).write(
        KIND,
        {p: marked(made, old, synthetic_bsn(n)) for p, n in values.items()}
        | {other: marked(made, old, synthetic_bsn(8))},  # his number is another one by now
    )
    vault(made, tenant=old).write("anders", {a: b"geen json", other: b'{"mark": 3}'})
    report = two.move("s0")
    sound(made)
    assert report.carried["vault"] == 4
    went = made.core(Entity.LEERLING, "beide")
    assert {went, both} == {went, made.core(Entity.LEERLING, "beide z", "s1")}
    there, here = vault(made, tenant=new), vault(made, tenant=old)
    assert there.read(KIND, [a, went, other, x]) == {
        a: marked(made, new, synthetic_bsn(1)).replace(b": ", b":").replace(b", ", b","),
        went: marked(made, new, synthetic_bsn(5)).replace(b": ", b":").replace(b", ", b","),
        other: marked(made, old, synthetic_bsn(8)),
    }
    assert there.read("anders", [a, other]) == {a: b"geen json", other: b'{"mark": 3}'}
    stays = made.core(Entity.LEERLING, "beide z", "s1")
    assert here.read(KIND, [a, other, stays, x]) == {
        stays: marked(made, old, synthetic_bsn(5)),
        x: marked(made, old, synthetic_bsn(3)),
    }
    two.move("s0", old=NEW, new=OLD)
    sound(made)
    back = vault(made, tenant=old).read(KIND, [a, stays])
    assert [json.loads(back[p]) for p in (a, stays)] == [
        json.loads(marked(made, old, synthetic_bsn(n))) for n in (1, 5)
    ]


def test_a_person_of_another_tenant_is_nobody(two: Boards) -> None:
    made, old, new = two.made, two.tenant(OLD), two.tenant(NEW)
    (a,) = pupils(made, "a")
    vault(made, tenant=new).write(KIND, {a: b"van een ander"})
    assert rows(made) == []
    vault(made, tenant=old).write(KIND, {a: b"eigen"})
    assert vault(made, tenant=new).read(KIND, [a]) == {}
    vault(made, tenant=new).forget(KIND, [a])
    assert vault(made, tenant=old).read(KIND, [a]) == {a: b"eigen"}
