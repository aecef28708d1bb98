"""`db backup` and `db restore`: the runs after it end as if nothing had been lost."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.school.changes import Changes
from tests.support.coredump import core_dump, differences
from tests.support.lines import Line
from tests.support.postgres import PostgresServer
from tests.support.shell import Shell, paragraph


@pytest.fixture
def tools(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own programs, of the server that the tests bring."""
    place = str(postgres_server.programs)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


def lose(line: Line, url: str) -> None:
    """The disk of the database is gone."""
    line.hub.close()
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for lost in path.parent.glob(f"{path.name}*"):
            if lost.is_file():
                lost.unlink()
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS procrastinate CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.mark.usefixtures("tools")
def test_after_a_restore_the_next_runs_end_as_if_nothing_was_lost(
    shell: Shell, tmp_path: Path
) -> None:
    line = shell.line
    shell.sync()
    now = line.clock.now()
    with line.hub.store.work() as work:  # somebody is signed in
        work.execute(
            "INSERT INTO web_session (digest, operator, via, created_at, seen_at, expires_at) "
            "VALUES (?, 'jan', 'oidc', ?, ?, ?)",
            (b"digest", now, now, now + timedelta(days=3)),
        )
    file = tmp_path / "hub.backup"
    made = shell("db", "backup", str(file), "--json")
    assert made.code == 0, made.err
    assert made.data["size_bytes"] == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    school = line.school
    for place in (1, 2, 3):  # what happens after the backup, and is lost with the disk
        Changes(school).leave(school.population.leerling(0, place, year=0))
    line.later(hours=24)
    shell.sync()
    wanted = core_dump(line.hub)
    lose(line, line.hub.settings.database.resolve())
    assert shell("runs").code == 2
    done = shell("db", "restore", str(file))
    assert done.code == 0, done.err
    assert shell("doctor").code == 0
    assert shell("audit", "verify").code == 0
    assert line.query("SELECT COUNT(*) FROM web_session") == [(0,)]
    assert [r["id"] for r in shell("runs", "--json").data] == [1]
    assert shell.report()["outcome"] == "done"
    assert shell.report()["steps"] == {}
    assert differences(core_dump(line.hub), wanted) == {}


@pytest.mark.usefixtures("tools")
def test_what_is_left_of_the_lost_database_does_not_get_into_the_backup(
    shell: Shell, tmp_path: Path
) -> None:
    file, url = tmp_path / "hub.backup", shell.line.hub.settings.database.resolve()
    assert shell("db", "backup", str(file)).code == 0
    lose(shell.line, url)
    if url.startswith("sqlite"):
        left = Path(f"{url.removeprefix('sqlite:///')}-wal")
        left.write_bytes(b"of the database that was lost")
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA procrastinate CREATE TABLE procrastinate.left ()")
    said = shell("db", "restore", str(file))
    assert said.code == 2
    assert "opzij" in paragraph(said)


@pytest.mark.usefixtures("tools")
def test_nothing_that_exists_is_overwritten(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "hub.backup"
    assert shell("db", "backup", str(file)).code == 0
    said = shell("db", "backup", str(file))
    assert said.code == 2
    assert "exists already" in paragraph(said)
    said = shell("db", "restore", str(file))
    assert said.code == 2
    assert "opzij" in paragraph(said)
    assert shell("doctor").code == 0


def test_a_backup_of_other_keys_is_not_put_back(quick: Shell, tmp_path: Path) -> None:
    file = tmp_path / "hub.backup"
    assert quick("db", "backup", str(file)).code == 0
    settings = quick.line.hub.settings
    lose(quick.line, settings.database.resolve())
    settings.keys.file.unlink()
    other = type(quick.line.hub.keyring).create(settings.keys.file)
    assert other.key_ids
    said = quick("db", "restore", str(file))
    assert said.code == 2
    assert "sleutelbestand" in paragraph(said)
    assert not Path(settings.database.resolve().removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00" + bytes(4096)])
def test_what_is_no_backup_is_not_put_back(quick: Shell, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "hub.backup"
    file.write_bytes(content)
    lose(quick.line, quick.line.hub.settings.database.resolve())
    said = quick("db", "restore", str(file))
    assert said.code == 2
    assert "no sound database" in paragraph(said)
    assert quick("runs").code == 2


@pytest.mark.postgres
@pytest.mark.usefixtures("tools")
def test_the_password_of_the_database_reaches_no_process_list(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync_engine.store import backup
    from sync_engine.store.engine import Store

    seen: list[Any] = []
    kept = backup._fails

    def watch(command: Any, environment: dict[str, str]) -> str:
        seen.append((command, environment))
        return kept(command, environment)

    monkeypatch.setattr(backup, "_fails", watch)
    secret = "wachtwoord-van-de-database"
    role = postgres_server.add_role_with_password(secret)
    name = postgres_server.create(upgraded=True)
    try:
        url = postgres_server.url(name).replace("postgres:@", f"{role}:{secret}@")
        assert secret in url
        with Store.open(url) as store:
            assert backup.back_up(store, tmp_path / "hub.backup") > 0
    finally:
        postgres_server.drop(name)
    ((command, environment),) = seen
    assert secret not in " ".join(command)
    assert environment["PGPASSWORD"] == secret
