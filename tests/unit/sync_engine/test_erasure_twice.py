"""Erasures that cross each other or break off, and the list beside the key file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from mappings.canonical.fields import Entity
from sync_engine.doctor import examine_erasures
from sync_engine.erasure import acts, again
from sync_engine.erasure.listing import Erasure, add_to_list, list_path, read_list
from sync_engine.erasure.removing import Eraser
from sync_engine.errors import ErasureRefusedError
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.store.work import Work
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make
from tests.unit.sync_engine.test_erasure import CANARY_KEY, erased, school

AT = datetime(2026, 10, 5, tzinfo=UTC)


@pytest.fixture
def made(make: Make) -> Bench:
    one = make(2)
    school(one)
    one.sync("s0")
    return one


def listed(made: Bench) -> Path:
    return list_path(made.hub.settings.keys.file)


def before(made: Bench, core_id: int) -> None:
    """He is on the list, and the database is that of before: a backup, or what a kill left."""
    with made.hub.store.work() as work, again.alone(made.hub, work, 1):
        one = Eraser(made.hub, work, 1, operator="test")
        found = one.gatherer.gather(Entity.LEERLING, [core_id])
        add_to_list(listed(made), [one.gatherer.line("eerder", Entity.LEERLING, found)])


def test_who_was_broken_off_is_erased_when_it_is_said_again(made: Bench) -> None:
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    before(made, core_id)
    assert erased(made, core_id, dry=True).records["leerling"] == 1
    assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]  # a preview removes nothing
    with pytest.raises(ErasureRefusedError, match="any more") as caught:
        erased(made, core_id)
    assert "zojuist gewist" in caught.value.advice
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    assert (len(read_list(listed(made)).erased), len(acts.list_erasures(made.hub))) == (1, 1)


def test_two_that_end_the_same_erasure_do_it_once(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(made, made.core(Entity.LEERLING, CANARY_KEY))
    real = again.alone

    @contextmanager
    def late(hub: Hub, work: Work, tenant_id: int) -> Iterator[None]:
        """Another process is first."""
        monkeypatch.setattr(again, "alone", real)
        with hub.store.work() as other:
            assert again.catch_up(hub, other, tenant_id, operator="ander") == 1
        with real(hub, work, tenant_id):
            yield

    monkeypatch.setattr(again, "alone", late)
    with made.hub.store.work() as work:
        assert again.catch_up(made.hub, work, 1, operator="test") == 0
    assert made.query("SELECT operator FROM audit WHERE action = 'erase'") == [("ander",)]
    assert made.query("SELECT digest FROM suppression GROUP BY digest HAVING COUNT(*) > 1") == []


def test_what_the_list_cannot_be_told_is_not_lifted(made: Bench) -> None:
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    (number,) = [one.number for one in acts.list_erasures(made.hub)]
    path = listed(made)
    path.rename(path.with_name("weg"))
    path.mkdir()
    with pytest.raises(ConfigurationError):
        acts.lift(made.hub, number, operator="test", why="vergissing")
    path.rmdir()
    path.with_name("weg").rename(path)
    assert [one.number for one in acts.list_erasures(made.hub)] == [number]
    assert made.sync("s0").suppressed > 0


def test_what_was_lifted_after_the_backup_is_lifted_again_and_told(made: Bench) -> None:
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    (one,) = acts.list_erasures(made.hub)
    acts.lift(made.hub, one.number, operator="test", why="vergissing")
    with made.hub.store.work() as work:
        work.execute("UPDATE suppression SET lifted_at = NULL, lifted_by = NULL")
        work.execute("UPDATE suppression SET lifted_why = NULL")
    made.settle("s0", rounds=2)
    assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]
    told = made.query("SELECT subject, why FROM audit WHERE action = 'erase lift' ORDER BY id")
    assert told == [(one.key, "vergissing"), (one.key, again.LIFTED)]


def test_lifted_by_one_board_it_stands_for_another(tmp_path: Path) -> None:
    """A school that went to another board took the erasure along."""
    (tmp_path / "keys.json").touch()
    path = list_path(tmp_path / "keys.json")
    add_to_list(path, [Erasure("een", 1, AT, "leerling")])
    add_to_list(path, [Erasure("een", 2, AT, lifted=True)])
    told = read_list(path)
    assert list(told.erased) == [(1, "een")]
    assert list(told.lifted) == [(2, "een")]
    assert told.names == {"een"}


def test_the_list_of_another_installation_erases_and_lifts_nobody(made: Bench) -> None:
    core_id = made.core(Entity.LEERLING, "zus")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    ((name,),) = made.query("SELECT DISTINCT erasure FROM suppression")
    alien = Erasure(
        "vreemd",
        1,
        AT,
        "leerling",
        (hub_key(core_id),),
        (("bsn", "leerling", "00", False, 0),),
    )
    add_to_list(listed(made), [alien, Erasure(name, 1, AT, lifted=True)])
    assert made.sync("s0").suppressed > 0
    assert [one.marks > 0 for one in acts.list_erasures(made.hub)] == [True]
    assert made.query("SELECT COUNT(*) FROM audit WHERE action = 'erase'") == [(1,)]
    (said,) = examine_erasures(made.hub)
    assert (said.level, "andere installatie" in said.message) == ("fout", True)


def test_the_list_is_its_owners_alone(made: Bench) -> None:
    """Also where root erased, and where somebody made it readable for all."""
    keys = made.hub.settings.keys.file
    if os.geteuid() == 0:
        os.chown(keys, 12345, 12345)
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    path = listed(made)
    status, owner = path.stat(), keys.stat()
    assert (status.st_uid, status.st_gid) == (owner.st_uid, owner.st_gid)
    path.chmod(0o644)
    erased(made, made.core(Entity.LEERLING, "zus"))
    assert path.stat().st_mode & 0o777 == 0o600
