"""A copy of the whole database in one file, and the way back into an empty place.

SQLite: its own online copy, one snapshot beside whoever reads and writes. PostgreSQL: `pg_dump` and
`pg_restore` of that server's release, which must be on the path. A backup never holds the key file:
without that nobody can read it, and neither can whoever restores it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import inspect
from sqlalchemy.engine import URL

from config.errors import ConfigurationError
from sync_engine.errors import StoreError
from sync_engine.store import queue
from sync_engine.store.engine import Store
from sync_engine.store.failures import describe

_HOURS: Final = 4 * 3600
"""Bound on one tool of PostgreSQL, in seconds."""
_TOOLS: Final = (
    "Installeer de client-programma's van PostgreSQL (pakket postgresql-client), van dezelfde "
    "of een nieuwere versie dan de server."
)
_PLACE: Final = "Kies een bestand dat er nog niet is, in een map waarin u mag schrijven."
_COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database that is in use, or was when its process was killed."""
_DAMAGED: Final = "Dit bestand is geen goede back-up. Neem een andere."


def back_up(store: Store, target: Path) -> int:
    """Write the whole database to a file that is not there yet (mode 0600); its size in bytes.

    What a run in progress has not committed is not in it. The file appears when it is whole.

    Raises: ConfigurationError if there is something already, or the place cannot be written;
        StoreError if the copy fails or is not sound.
    """
    if target.exists():
        message = f"{target} exists already"
        raise ConfigurationError(message, advice=_PLACE)
    _tidy(target)
    # A name of its own: `pg_dump` goes on writing when the process that started it is killed.
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    except OSError as exc:
        message = f"{target}: {exc.strerror}"
        raise ConfigurationError(message, advice=_PLACE) from exc
    try:
        if store.path is not None:
            _copy(store.path, partial)
        else:
            _tool("pg_dump", store.url, "--format=custom", "--no-owner", f"--file={partial}")
        _sync(partial)
        partial.rename(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    return target.stat().st_size


def _tidy(target: Path) -> None:
    """Remove what processes that were killed left of a backup under this name."""
    for left in target.parent.glob(f".{target.name}.*.partial"):
        number = left.name.removesuffix(".partial").rpartition(".")[2]
        try:
            os.kill(int(number), 0)
        except ValueError:  # not one of ours
            continue
        except ProcessLookupError:
            for companion in ("", *_COMPANIONS):
                left.with_name(f"{left.name}{companion}").unlink(missing_ok=True)
        except OSError:  # it lives, and is somebody else's
            continue


def restore(url: str, source: Path, *, check: Callable[[Store], None]) -> None:
    """Put a backup where there is no database yet, or an empty one.

    Nothing that exists is overwritten: who wants that moves it aside first.

    Args:
        url: of the place.
        source: what `back_up` made.
        check: looks at what was put back, and raises where it may not be used; on SQLite nothing
            then stays in the place.

    Raises: ConfigurationError if the backup is not there; StoreError if the place is not empty, or
        the file is no sound backup; what `check` raises.
    """
    if not source.is_file():
        message = f"{source} is not there"
        raise ConfigurationError(message, advice="Controleer het pad van de back-up.")
    with closing(Store.at(url)) as store:
        if store.path is not None:
            _put_file(source, store.path, check)
            return
        with store.engine.connect() as connection:
            looked = inspect(connection)
            if any(looked.get_table_names(schema) for schema in (None, queue.SCHEMA)):
                raise _not_empty()
        _tool(
            "pg_restore",
            store.url,
            *("--no-owner", "--single-transaction", "--exit-on-error", str(source)),
        )
        check(store)


def _put_file(source: Path, path: Path, check: Callable[[Store], None]) -> None:
    # SQLite would play what a companion holds of the database that was lost into the backup.
    if any(path.with_name(f"{path.name}{left}").exists() for left in ("", *_COMPANIONS)):
        raise _not_empty()
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.chmod(0o600)
        _check(partial)
        with closing(Store.at(f"sqlite:///{partial}")) as store:
            check(store)
        _sync(partial)
        partial.rename(path)
    except OSError as exc:
        message = f"the backup cannot be put in its place: {exc.strerror}"
        raise StoreError(message, advice=_PLACE) from exc
    finally:
        for left in ("", *_COMPANIONS):
            path.with_name(f"{partial.name}{left}").unlink(missing_ok=True)


def _not_empty() -> StoreError:
    return StoreError(
        "there is a database already",
        advice="Terugzetten gaat alleen naar een lege plaats: zet de database van nu opzij "
        "(SQLite: het bestand met -wal en -shm; PostgreSQL: een nieuwe database), en probeer "
        "het dan weer.",
    )


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as origin,
            closing(sqlite3.connect(target)) as copy,
        ):
            origin.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").close()  # one file, without companions
    except sqlite3.Error as exc:
        message = f"back up the database: {describe(exc)}"
        raise StoreError(message) from None
    _check(target)


def _check(path: Path) -> None:
    """Raises: StoreError if it is no sound SQLite database of the hub."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            sound = copy.execute("PRAGMA quick_check").fetchone() == ("ok",)
            copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        sound = False
    if not sound:
        raise StoreError("the file is no sound database of the hub", advice=_DAMAGED)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _tool(name: str, url: URL, *arguments: str) -> None:
    """Run one of PostgreSQL's own; the password goes by the environment, not the process list.

    Raises: ConfigurationError if it is not installed; StoreError if it fails.
    """
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not on the path"
        raise ConfigurationError(message, advice=_TOOLS)
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    parameters = conninfo_to_dict(address)
    password = parameters.pop("password", None)
    environment = dict(os.environ) | ({} if password is None else {"PGPASSWORD": str(password)})
    shown = make_conninfo("", **parameters)
    failed = _fails([found, f"--dbname={shown}", *arguments], environment)
    if failed:
        raise StoreError(f"{name} failed: {failed}", advice=_TOOLS)


def _fails(command: Sequence[str], environment: dict[str, str]) -> str:
    """How it ended, where not well. What it says itself may quote rows, and is not repeated."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, with our own arguments
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_HOURS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return type(exc).__name__
    if done.returncode == 0:
        return ""
    mismatch = b"server version mismatch" in done.stderr
    return "its release is older than the server's" if mismatch else f"code {done.returncode}"
