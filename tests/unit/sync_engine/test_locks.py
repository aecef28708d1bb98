from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from config.clock import FixedClock
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease, tenant_lock

PATIENT = timedelta(seconds=20)
CHILD = """
import sys
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease, tenant_lock
with Store.open(sys.argv[1]) as store, lease(store, "koppeling-1"), tenant_lock(store, 1):
    print("held", flush=True)
    sys.stdin.read()
"""


def _url(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


@pytest.fixture
def child(store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `koppeling-1` and tenant 1."""
    with subprocess.Popen(  # noqa: S603 -- our own interpreter and code
        [sys.executable, "-c", CHILD, _url(store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lease_is_held_by_one_process_until_it_is_killed(
    store: Store, child: subprocess.Popen[str]
) -> None:
    with pytest.raises(RunActiveError) as caught, lease(store, "koppeling-1"):
        pass
    assert "Er loopt al een run" in caught.value.advice
    with pytest.raises(RunActiveError), tenant_lock(store, 1, wait=timedelta(milliseconds=1)):
        pass
    with lease(store, "koppeling-2"), tenant_lock(store, 2):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    with lease(store, "koppeling-1", wait=PATIENT), tenant_lock(store, 1, wait=PATIENT):
        pass


def test_a_lease_is_held_by_one_thread_too(store: Store) -> None:
    with lease(store, "a"):
        with pytest.raises(RunActiveError), lease(store, "a"):
            pass
        with lease(store, "b"):
            pass
    with lease(store, "a"):
        pass


def test_who_waits_gets_it_when_it_is_free(store: Store) -> None:
    asked, order = threading.Event(), list[str]()

    def wait_for_it() -> None:
        with Store.open(_url(store)) as other:
            asked.set()
            with tenant_lock(other, 1, wait=PATIENT):
                order.append("second")

    waiter = threading.Thread(target=wait_for_it)
    with tenant_lock(store, 1):
        waiter.start()
        assert asked.wait(PATIENT.total_seconds())
        order.append("first")
    waiter.join(PATIENT.total_seconds())
    assert order == ["first", "second"]


def test_a_lease_is_released_when_the_run_fails(store: Store) -> None:
    with pytest.raises(LookupError), lease(store, "a"):
        raise LookupError
    with lease(store, "a"):
        pass


def test_the_wait_is_bounded_and_measured_by_the_clock(sqlite_store: Store) -> None:
    clock = FixedClock(datetime(2026, 8, 1, tzinfo=UTC))
    wait = timedelta(seconds=30)
    with (
        tenant_lock(sqlite_store, 1),
        pytest.raises(RunActiveError) as caught,
        tenant_lock(sqlite_store, 1, wait=wait, clock=clock),
    ):
        pass
    assert wait <= clock.slept < wait + timedelta(seconds=1)
    assert "bestuur" in caught.value.advice


@pytest.mark.parametrize("name", ["a/b", "../a", "..", ".", "é%", "x" * 300, "a b", "", "\x00"])
def test_any_name_is_one_private_file_beside_the_database(sqlite_store: Store, name: str) -> None:
    assert sqlite_store.path is not None
    folder = sqlite_store.path.with_name("hub.db.locks")
    with lease(sqlite_store, name), lease(sqlite_store, name + "2"):
        assert len(list(folder.iterdir())) == 2
        with pytest.raises(RunActiveError), lease(sqlite_store, name):
            pass
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_made_is_told(sqlite_store: Store) -> None:
    assert sqlite_store.path is not None
    sqlite_store.path.with_name("hub.db.locks").write_text("in the way")
    with pytest.raises(StoreError), lease(sqlite_store, "a"):
        pass


def test_two_spellings_of_one_database_share_their_leases(sqlite_store: Store) -> None:
    assert sqlite_store.path is not None
    other_way = sqlite_store.path.parent / "linked"
    other_way.symlink_to(sqlite_store.path.parent, target_is_directory=True)
    with (
        Store.open(f"sqlite:///{other_way / 'hub.db'}") as other,
        lease(other, "a"),
        pytest.raises(RunActiveError),
        lease(sqlite_store, "a"),
    ):
        pass


@pytest.mark.postgres
def test_leases_of_two_databases_on_one_server_do_not_meet(
    postgres_store: Store, postgres_url: str
) -> None:
    with (
        Store.open(postgres_url, create=True) as other,
        lease(postgres_store, "a"),
        lease(other, "a"),
        pytest.raises(RunActiveError),
        lease(other, "a"),
    ):
        pass
