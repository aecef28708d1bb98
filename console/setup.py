"""A new installation: configuration, keys, an empty database; and another database later."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec

from config.clock import Clock, SystemClock
from config.errors import ConfigurationError, KoppelhubError
from config.keyring import Keyring
from config.settings import Settings, example
from sync_engine.actor import Actor
from sync_engine.audit import anchor_former, is_unanchored, note, note_within
from sync_engine.doctor import never_keyed
from sync_engine.erasure.again import catch_up_all, check_list
from sync_engine.erasure.listing import list_path, read_list
from sync_engine.hub import Hub
from sync_engine.linking import connector
from sync_engine.sessions import end_within
from sync_engine.store.backup import restore
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys, verify_keys
from sync_engine.store.schema import SchemaState

_DATABASE = 'url = "sqlite:///koppelhub.db"'
_SECRETS = frozenset({"password", "sslpassword", "scram_client_key", "scram_server_key"})
"""Parameters of a PostgreSQL address that are secrets themselves."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What `db upgrade` did.

    Attributes:
        keys: ids of the keys that the database was given; empty where it had them.
    """

    before: SchemaState
    after: SchemaState
    keys: tuple[str, ...]


def initialise(
    directory: Path, *, configuration: str | None = None, database: str | None = None
) -> dict[str, str]:
    """Make an installation in a directory. Returns what was made: name → path.

    Keys are made here (and in the demo, which uses this) and nowhere else; a file that exists is
    never overwritten. Where the database cannot be used, nothing stays behind in the directory.

    Args:
        directory: made where it is not there.
        configuration: text of the configuration; the packaged example by default.
        database: a URL without a password, `env:NAME` or `file:PATH`; SQLite in the directory by
            default.

    Raises: ConfigurationError if there is an installation already, the directory cannot be written
        or the URL holds a password; StoreError if the database cannot be reached.
    """
    path = directory / "koppelhub.toml"
    text = configuration or example()
    if database is not None:
        text = _pointed_at(text, database)
    _write(path, text)
    try:
        settings = Settings.load(path)
        store = _empty_database(settings)
        try:
            keyring = Keyring.create(settings.keys.file)
        except KoppelhubError:
            store.close()
            raise
    except KoppelhubError:
        path.unlink()  # as we made it a moment ago: the next attempt starts anew
        raise
    with closing(store):
        record_keys(store, keyring, now=SystemClock().now())
    return {
        "configuratie": str(path),
        "sleutels": str(settings.keys.file),
        "database": settings.database.shown(),
    }


def upgrade_database(settings: Settings, clock: Clock, *, actor: Actor | None = None) -> Upgraded:
    """Bring the database to the schema of this release; give an empty one this installation's keys.

    A database that holds anything is never given other keys than it has.

    Raises: StoreError if it cannot be reached, is of a newer release, or has data and no keys;
        ConfigurationError if it needs keys and the key file cannot be read.
    """
    with closing(Store.open(settings.database.resolve(), create=True)) as store:
        before = store.schema_state()
        after = store.upgrade()
        if store.path is None:
            from sync_engine.store import queue  # here: SQLite has none, and need not load it

            queue.upgrade(store)
        given: tuple[str, ...] = ()
        with store.work() as work:
            keyless = not work.execute("SELECT 1 FROM key_check LIMIT 1")
        if keyless:
            keyring = Keyring.load(settings.keys.file)
            if never_keyed(store):
                record_keys(store, keyring, now=clock.now())
                given = keyring.key_ids
            verify_keys(store, keyring)  # refuses data without keys, and who was second here
        with store.work() as work:
            former = not keyless and is_unanchored(work)
        if former:
            _anchor(settings, store, clock, actor or Actor())
        return Upgraded(before, after, given)


@dataclass(frozen=True, slots=True)
class Restored:
    """What `db restore` did.

    Attributes:
        list_file: where the list of erasures is, or should be.
        listed: whether it is there.
        erased: persons who were erased after the backup, and were erased again.
    """

    after: SchemaState
    list_file: Path
    listed: bool
    erased: int


def restore_database(
    settings: Settings, file: Path, clock: Clock, *, actor: Actor, without_erasures: bool = False
) -> Restored:
    """Put a backup where there is no database yet, and bring it to the schema of this release.

    Who was erased after the backup is erased again, before anything else is done.

    Args:
        settings: of the installation.
        file: the backup.
        clock: the time.
        actor: who says so.
        without_erasures: also where the list of erasures is not the one of this database.

    Raises: ConfigurationError if the backup is not there; StoreError if there is a database
        already, the file is no sound backup, it belongs to other keys, or the list of erasures does
        not know of persons whom it holds as erased.
    """
    keyring = Keyring.load(settings.keys.file)  # without keys nothing is put anywhere
    url, list_file = settings.database.resolve(), list_path(settings.keys.file)
    listed = list_file.exists()
    read_list(list_file)  # nor where that cannot be read

    def check(store: Store) -> None:
        verify_keys(store, keyring)
        if not without_erasures:
            check_list(store, list_file)

    restore(url, file, check=check)
    upgraded = upgrade_database(settings, clock, actor=actor)
    with closing(Store.open(url)) as store:
        hub = _hub(settings, store, keyring, clock, actor)
        with store.work() as work, work.transaction():
            end_within(work, None)  # who was signed out after the backup must not be in again
            note_within(hub, work, operator=actor.name, action="db restore", subject=file.name)
        erased = catch_up_all(hub, operator=actor.name)
    return Restored(upgraded.after, list_file, listed, erased)


def _hub(settings: Settings, store: Store, keyring: Keyring, clock: Clock, actor: Actor) -> Hub:
    """A hub on a store that is open already."""
    return Hub(
        settings,
        store,
        keyring,
        clock,
        lambda source, c: connector(settings, source, c),
        actor=actor,
    )


def _anchor(settings: Settings, store: Store, clock: Clock, actor: Actor) -> None:
    """The audit trail of a release that anchored nothing: what stands there is anchored once."""
    keyring = Keyring.load(settings.keys.file)
    verify_keys(store, keyring)
    hub = _hub(settings, store, keyring, clock, actor)
    with store.work() as work:
        lines = anchor_former(hub, work)
        note(
            hub,
            work,
            operator=actor.name,
            action="db upgrade",
            subject="audit",
            why=f"{lines} former lines anchored",
        )


def _write(path: Path, text: str) -> None:
    directory = path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as exc:
        raise ConfigurationError(
            f"{path if directory.is_dir() else directory} exists already",
            advice="Kies een lege map, of gebruik wat er staat met `koppelhub doctor`.",
        ) from exc
    except OSError as exc:
        raise ConfigurationError(
            f"{directory}: {type(exc).__name__}",
            advice="Kies een map waarin u mag schrijven.",
        ) from exc


def _empty_database(settings: Settings) -> Store:
    """The database, of the current schema. Raises: ConfigurationError if another one's data."""
    store = Store.open(settings.database.resolve(), create=True)
    try:
        _refuse_inhabited(store)
        store.upgrade()
    except BaseException:
        store.close()
        raise
    return store


def _refuse_inhabited(store: Store) -> None:
    if store.schema_state().current is not None and not never_keyed(store):
        raise ConfigurationError(
            "the database belongs to another installation",
            advice="Geef een lege database op, of gebruik de configuratie en het "
            "sleutelbestand die bij deze database horen.",
        )


def _pointed_at(text: str, database: str) -> str:
    """The configuration with another database. Raises: ConfigurationError, without the URL."""
    if text.count(_DATABASE) != 1:
        raise ConfigurationError(
            "the configuration names a database of its own",
            advice="Pas `database.url` in de configuratie aan.",
        )
    if not database.isprintable():
        raise ConfigurationError(
            "database: holds a character that cannot be printed",
            advice="Geef een adres van een database, env:NAAM of file:PAD.",
        )
    kind, _, rest = database.partition(":")
    if kind in {"env", "file"} and rest:
        return text.replace(_DATABASE, f"url = {{ {kind} = {_quoted(rest)} }}")
    if holds_password(database):
        raise ConfigurationError(
            "database: the URL holds a password, which may not stand in the configuration",
            advice="Zet het hele adres in een omgevingsvariabele of in een bestand dat alleen u "
            "mag lezen, en geef `--database env:NAAM` of `--database file:PAD`. Wijzig dit "
            "wachtwoord: het heeft in de proceslijst gestaan.",
        )
    return text.replace(_DATABASE, f"url = {_quoted(database)}")


def _quoted(text: str) -> str:
    """As a TOML string: a JSON string is one."""
    return msgspec.json.encode(text).decode()


def holds_password(url: str) -> bool:
    """Whether a database's URL has a password in it, also where it is not written properly."""
    rest = url.partition("://")[2]
    address, _, query = rest.partition("?")
    user = address.rpartition("@")[0] or rest.rpartition("@")[0]
    names = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
    return bool(user.partition(":")[2]) or bool(names & _SECRETS)
