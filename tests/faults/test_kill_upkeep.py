"""Who watches or backs up, killed with SIGKILL: nothing is lost, and no half is taken for whole."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from config.alerts import Alerts
from mappings.canonical.fields import Entity
from sync_engine.alerts.watch import watch_and_tell
from sync_engine.errors import StoreError
from sync_engine.hub import Hub
from sync_engine.store import backup
from sync_engine.store.backup import back_up, restore
from sync_engine.store.engine import Store
from sync_engine.store.work import Row, Work
from tests.support.health import health_of
from tests.support.hubs import bench
from tests.support.mailbox import mailbox
from tests.support.postgres import PostgresServer

KEEPS_ON = ("INSERT", "UPDATE", "DELETE", "COMMIT")
EVERY = 2
"""Every so many of the statements that write is a place to die at."""


def die(*_: object, **__: object) -> NoReturn:
    """As `kill -9` does it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killed(act: Callable[[], object]) -> bool:
    """Another process does it; whether it was killed before it was done."""
    child = os.fork()
    if child == 0:  # pragma: no cover - the process that dies
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


# -- the watch -------------------------------------------------------------------------------------


def look(hub: Hub, name: str) -> None:
    """One look at a koppeling that is in trouble, and what is due is sent by real mail."""
    watch_and_tell(hub, find=lambda h: health_of(h.clock.now(), {name: ("warning",)}))


def dying_at(hub: Hub, name: str, place: int) -> Callable[[], None]:
    """The same in a process that dies at so many statements that write."""

    def act() -> None:
        with Store.open(hub.store.url.render_as_string(hide_password=False)) as store:
            with store.work() as work:
                kind = type(work)
            plain, left = kind.execute, [place]

            def execute(work: Work, sql: str, params: Sequence[object] = ()) -> list[Row]:
                if sql.startswith(KEEPS_ON):
                    left[0] -= 1
                    if left[0] == 0:
                        die()
                return plain(work, sql, params)

            setattr(kind, "execute", execute)  # noqa: B010 - of this process alone
            look(replace(hub, store=store), name)

    return act


def test_a_watch_that_is_killed_anywhere_tells_each_thing_under_one_id(
    store: Store, tmp_path: Path
) -> None:
    made = bench(store, tmp_path)
    with mailbox() as box:
        settings: dict[str, Any] = {
            "settle": "0s",
            "group_from": 99,
            "give_up": "3d",
            "quiet": {"from": "00:00", "to": "00:00", "weekend": False, "critical": "pass"},
            "remind": {"warning": "0s", "critical": "0s"},
            "mail": {
                "host": "127.0.0.1",
                "port": box.port,
                "security": "none",
                "timeout": "5s",
                "sender": "hub@hub.example",
            },
            "report": {"send": False, "day": "mon", "at": "07:30"},
            "channel": [{"name": "ops", "kind": "mail", "to": ["ops@school.example"]}],
        }
        alerts = Alerts.model_validate(settings)
        hub = replace(made.hub, settings=made.hub.settings.model_copy(update={"alerts": alerts}))
        place, deaths = 1, 0
        while True:
            name = f"k{place:03}"
            was_killed = killed(dying_at(hub, name, place))
            deaths += was_killed
            for _ in range(2):
                made.clock.advance(hub.settings.scheduling.catch_up / 24)
                look(hub, name)
            assert any(name in text for text in box.texts), name
            if not was_killed:
                break
            place += EVERY
        assert deaths >= 4
        with hub.store.work() as work:
            rows = work.execute("SELECT id, state FROM notification")
        assert {state for _, state in rows} == {"sent"}
        times = Counter(box.ids)
        assert set(times) == {f"<{number}.koppelhub@hub.example>" for number, _ in rows}
        assert max(times.values()) <= 2  # once more where it died after the mail was taken
    made.close()


# -- the backup ------------------------------------------------------------------------------------


class _Slow(sqlite3.Connection):
    """A copy of a few pages at a time, which is killed in the middle of it."""

    def backup(self, target: sqlite3.Connection, **_: object) -> None:
        super().backup(target, pages=5, progress=lambda *_: die())


def _before(name: str) -> Callable[[], None]:
    return lambda: setattr(backup, name, die)


def _in_the_copy() -> None:
    plain = sqlite3.connect
    backup.sqlite3.connect = lambda *a, **k: plain(*a, factory=_Slow, **k)  # type: ignore[attr-defined]


PLACES: dict[str, Callable[[], None]] = {
    "before the copy": _before("_copy"),
    "in the copy": _in_the_copy,
    "before it is looked at": _before("_check"),
    "before it is on the disk": _before("_sync"),
    "before it has its name": lambda: setattr(Path, "rename", die),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_backup_that_is_killed_is_no_backup_and_the_next_one_is_whole(
    sqlite_store: Store, tmp_path: Path, place: str
) -> None:
    made = bench(sqlite_store, tmp_path)
    for number in range(20):
        made.sources["s0"].put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}")
    made.sync()
    target = tmp_path / "hub.backup"

    def act() -> None:
        PLACES[place]()
        back_up(made.hub.store, target)

    assert killed(act)
    assert not target.exists()
    left = list(tmp_path.glob(".hub.backup*"))
    assert left
    halves = [file for file in left if place in {"before the copy", "in the copy"}]
    for half in halves:
        with pytest.raises(StoreError):
            restore(f"sqlite:///{tmp_path / 'half.db'}", half, check=lambda _: None)
        assert not (tmp_path / "half.db").exists()
    back_up(made.hub.store, target)
    assert list(tmp_path.glob(".hub.backup*")) == []  # and what was left is gone
    url = f"sqlite:///{tmp_path / 'terug.db'}"
    restore(url, target, check=lambda _: None)
    with Store.open(url) as found, found.work() as work:
        assert work.execute("SELECT COUNT(*) FROM leerling") == [(20,)]
    made.close()


def test_a_dump_that_goes_on_after_its_process_was_killed_spoils_no_other(
    postgres_store: Store,
    postgres_server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`pg_dump` outlives who started it; the next backup of that name has a file of its own."""
    monkeypatch.setenv("PATH", f"{postgres_server.programs}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("pg_dump")
    target = tmp_path / "hub.backup"
    seen: list[Path] = []

    def act() -> None:
        backup._tool = die
        back_up(postgres_store, target)

    assert killed(act)
    (left,) = tmp_path.glob(".hub.backup*")
    stale = left.open("wb")  # as the orphan has it
    plain = backup._tool

    def beside(*arguments: Any) -> None:
        plain(*arguments)
        stale.write(b"half a dump")
        stale.flush()
        seen.extend(tmp_path.glob(".hub.backup*"))

    monkeypatch.setattr(backup, "_tool", beside)
    back_up(postgres_store, target)
    stale.close()
    assert len(seen) == 1
    assert target.read_bytes().startswith(b"PGDMP")
