from __future__ import annotations

import io
import logging
import os
import stat
import subprocess
import sys
import traceback
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import Session, SQLModel

from config.errors import ConfigurationError
from sync_engine.errors import StoreError
from sync_engine.store import migrations
from sync_engine.store.engine import Store
from sync_engine.store.schema import revisions
from sync_engine.store.tables import KeyCheck, Tenant
from tests.support.postgres import PostgresServer

CANARY = "Kanarie-9371"


def test_an_empty_database_is_refused_until_it_is_upgraded(database_url: str) -> None:
    with Store.open(database_url, create=True) as store:
        assert store.schema_state().current is None
        with pytest.raises(StoreError) as caught:
            Store.open(database_url)
        assert "koppelhub db upgrade" in caught.value.advice
        assert store.upgrade().is_current
    with Store.open(database_url) as store:
        assert store.schema_state().is_current


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    with Store.open(database_url, create=True) as store:
        store.upgrade()
        with Session(store.engine) as session:
            session.add(Tenant(name="a", title="A"))
            session.commit()
        store.upgrade()
        with store.work() as work:
            assert work.execute("SELECT name FROM tenant") == [("a",)]


def test_the_file_names_are_the_revisions_one_after_another() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    found = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(found)) == revisions()


def test_opening_sqlite_loads_neither_alembic_nor_psycopg(sqlite_store: Store) -> None:
    code = (
        "import sys; from sync_engine.store.engine import Store\n"
        "from sync_engine.store.locks import lease\n"
        "with Store.open(sys.argv[1]) as store, lease(store, 'a'), store.work() as work:\n"
        "    work.execute('SELECT 1')\n"
        "print({'alembic', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter and code
        [sys.executable, "-c", code, str(sqlite_store.engine.url)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_the_migrations_make_exactly_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []
        assert inspect(connection).get_pk_constraint("link")["constrained_columns"] == [
            "koppeling_id",
            "entity",
            "source_key",
        ]


def test_a_migrated_sqlite_table_is_the_declared_one(sqlite_store: Store, tmp_path: Path) -> None:
    """`compare_metadata` does not see everything: primary keys, partial indexes, defaults."""
    with Store.open(f"sqlite:///{tmp_path / 'declared.db'}", create=True) as declared:
        SQLModel.metadata.create_all(declared.engine)
        assert _declared(sqlite_store) == _declared(declared)


def _declared(store: Store) -> dict[str, list[str]]:
    """Name → the parts of its DDL; the order of a table's constraints means nothing."""
    with store.work() as work:
        rows = work.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'view'"
        )
    return {
        name: sorted(" ".join(sql.split()).removesuffix(" )").split(", "))
        for name, sql in rows
        if name != "alembic_version"
    }


def test_a_migration_that_fails_leaves_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import op

    def failing(*_: object, **__: object) -> None:
        op.execute("SELECT * FROM no_such_table")

    with Store.open(database_url, create=True) as store:
        with monkeypatch.context() as patched:
            patched.setattr(op, "create_index", failing)
            with pytest.raises(StoreError):
                store.upgrade()
        assert store.schema_state().current is None
        with store.engine.connect() as connection:
            assert inspect(connection).get_table_names() == []
        assert store.upgrade().is_current


def test_a_database_of_an_earlier_schema_keeps_its_keys(database_url: str) -> None:
    with Store.open(database_url, create=True) as store:
        with store.engine.begin() as connection:
            _migrate(connection, "0003")
        with store.work() as work:
            work.execute("INSERT INTO tenant (id, name, title) VALUES (1, 'bestuur', '')")
            work.execute(
                "INSERT INTO tenant_key (tenant_id, version, master_id, wrapped, check_value, "
                "active, created_at) VALUES (1, 1, 'k', ?, ?, TRUE, ?)",
                (b"w", b"c", datetime(2026, 1, 1, tzinfo=UTC)),
            )
        assert not store.schema_state().is_current
        assert store.upgrade().is_current
        with store.work() as work:
            rows = work.execute("SELECT version, active, wrapped, emptied_at FROM tenant_key")
    assert [(v, bool(active), bytes(wrapped), at) for v, active, wrapped, at in rows] == [
        (1, True, b"w", None)
    ]


def test_forms_and_journal_of_an_earlier_schema_stay_what_they_were(database_url: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with Store.open(database_url, create=True) as store:
        with store.engine.begin() as connection:
            _migrate(connection, "0003")
        with store.work() as work:
            for number, accepted in ((7, b"before"), (8, None)):
                work.execute(
                    "INSERT INTO shadow (id, koppeling_id, scope_id, record_id, entity, "
                    "source_key, received, received_fp, received_gone, accepted, accepted_gone, "
                    "pending, first_on, observed_on, situation, run_id) VALUES "
                    "(?, 1, 1, 1, 'leerling', ?, ?, ?, FALSE, ?, FALSE, TRUE, ?, ?, 'linked', 1)",
                    (number, f"k{number}", b"now", b"fp", accepted, moment.date(), moment.date()),
                )
            work.execute(
                "INSERT INTO run (id, koppeling_id, kind, state, operator, options, started_at, "
                "counts) VALUES (1, 1, 'full', 'done', 'x', '{}', ?, '{}')",
                (moment,),
            )
            for plan, state in ((1, "held"), (2, "open")):
                work.execute(
                    "INSERT INTO plan (id, run_id, tenant_id, state, created_at, expires_at) "
                    "VALUES (?, 1, 1, ?, ?, ?)",
                    (plan, state, moment, moment),
                )
            for step, plan, state in ((1, 1, "applied"), (2, 1, "held"), (3, 2, "planned")):
                work.execute(
                    "INSERT INTO step (id, plan_id, run_id, entity, core_id, source, op, state, "
                    "held_for, digest, change) VALUES (?, ?, 1, 'leerling', 5, 'a/b', 'create', "
                    "?, '', ?, ?)",
                    (step, plan, state, b"d", b"c"),
                )
            identifier = (
                "INSERT INTO identificatie (eigenaar_id, soort, uitgever, waarde, blindindex, "
                "run_id) VALUES (?, 'eck_id', 0, ?, ?, 1)"
            )
            work.execute(identifier, (5, b"w", b"i"))
        assert store.upgrade().is_current
        with store.work() as work:
            work.execute(identifier, (6, b"w", b"i"))  # of the release before, which still runs
            origins = work.execute("SELECT herkomst, keten, geldig_van FROM identificatie")
            assert origins == [("geleverd", None, None)] * 2
            forms = work.execute("SELECT * FROM shadow_form ORDER BY shadow_id")
            assert [tuple(row) for row in forms] == [(7, b"now", b"before"), (8, b"now", None)]
            assert work.execute("SELECT id, source_key FROM shadow ORDER BY id") == [
                (7, "k7"),
                (8, "k8"),
            ]
            assert work.execute("SELECT id FROM journal") == [(1,)]
            assert work.execute("SELECT id, applied FROM plan ORDER BY id") == [(1, 1), (2, 0)]


def _migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_the_schema_of_a_newer_release_is_refused(store: Store) -> None:
    url = store.engine.url.render_as_string(hide_password=False)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert "nieuwere versie" in caught.value.advice
    with Store.open(url, create=True) as newer, pytest.raises(StoreError):
        newer.upgrade()


def test_the_schema_of_an_older_release_is_refused(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(StoreError) as caught:
        Store.open(store.engine.url.render_as_string(hide_password=False))
    assert "koppelhub db upgrade" in caught.value.advice


def test_the_file_is_private_and_so_are_its_side_files(sqlite_url: str, tmp_path: Path) -> None:
    with Store.open(sqlite_url, create=True) as store:
        store.upgrade()
        with store.work() as work:
            work.execute("INSERT INTO tenant (name, title) VALUES ('a', '')")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"hub.db": 0o600, "hub.db-wal": 0o600, "hub.db-shm": 0o600}


def test_a_file_that_is_not_there_is_not_made(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(sqlite_url)
    assert "koppelhub init" in caught.value.advice
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(CANARY.encode() * 1000)
    with pytest.raises(StoreError) as caught:
        Store.open(sqlite_url)
    assert CANARY not in _shown(caught.value)


def test_a_path_with_odd_characters_is_one_path(tmp_path: Path) -> None:
    path = tmp_path / "a %20 b?#é" / "hub 1.db"
    with Store.open(f"sqlite:///{str(path).replace('?', '%3F')}", create=True) as store:
        assert store.path is not None
        assert store.path.is_file()
        store.upgrade()
        with store.work() as work:
            assert work.execute("SELECT COUNT(*) FROM tenant") == [(0,)]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "koppelhub.db",
        "mysql://root:geheim@db/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=memory",
        "oracle+geheim://x",
    ],
)
def test_a_url_of_another_kind_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.open(url)
    assert "sqlite:///" in caught.value.advice
    assert "geheim" not in _shown(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    word = "-".join(("geheim", "9"))  # a traceback quotes this line
    with pytest.raises(StoreError) as caught:
        Store.open(f"postgresql://koppelhub:{word}@127.0.0.1:1/koppelhub")
    assert "niet bereikbaar" in caught.value.advice
    assert word not in _shown(caught.value)


@pytest.mark.postgres
@pytest.mark.parametrize("password", [":fout", ""], ids=["wrong", "none"])
def test_a_wrong_password_is_no_matter_of_time(
    password: str, postgres_server: PostgresServer, postgres_url: str
) -> None:
    role = postgres_server.add_role_with_password("juist")
    parts = urlsplit(postgres_url)
    host = parts.netloc.rpartition("@")[2]
    assert role.isalnum()
    url = urlunsplit(parts._replace(netloc=f"{role}{password}@{host}"))
    with pytest.raises(StoreError) as caught, Store.open(url) as store, store.work() as work:
        work.execute("SELECT 1")
    assert not caught.value.retryable
    assert "wachtwoord" in caught.value.advice
    assert "fout" not in str(caught.value)
    good = urlunsplit(parts._replace(netloc=f"{role}:juist@{host}"))
    with Store.open(good, create=True) as store, store.work() as work:
        assert work.execute("SELECT 1") == [(1,)]


def test_sqlite_is_set_up_for_many_processes_and_for_erasure(sqlite_store: Store) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 30000,
        "secure_delete": 1,
        "temp_store": 1,
        "cache_size": -16000,
    }
    with sqlite_store.work() as work, sqlite_store.engine.connect() as connection:
        for name, value in wanted.items():
            assert work.execute(f"PRAGMA {name}") == [(value,)]
            assert connection.execute(text(f"PRAGMA {name}")).scalar_one() == value


@pytest.mark.postgres
def test_a_postgres_url_is_taken_in_every_spelling(postgres_url: str) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = postgres_url.replace("postgresql", scheme, 1)
        with Store.open(url, create=True) as store, store.work() as work:
            assert work.execute("SHOW TimeZone") == [("UTC",)]
            assert work.execute("SHOW lock_timeout") == [("30s",)]


def test_no_error_of_the_engine_holds_a_value(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    out = io.StringIO()
    with redirect_stdout(out), Session(store.engine) as session:
        session.add(Tenant(name=CANARY, title=CANARY))
        session.commit()
        session.add(Tenant(name=CANARY, title=CANARY))
        with pytest.raises(StoreError) as caught:
            session.commit()
    assert "Kanarie" not in _shown(caught.value) + caplog.text + out.getvalue()


def test_foreign_keys_hold(store: Store) -> None:
    with store.work() as work, pytest.raises(StoreError):
        work.execute(
            "INSERT INTO koppeling (tenant_id, name, system) VALUES (99, 'weg', 'somtoday')"
        )


def test_what_was_deleted_is_not_left_in_the_file(sqlite_store: Store) -> None:
    """Erasing a person is deleting a salt: it must not stay readable in a free page."""
    salts = [b"canary-salt-%04d" % n for n in range(2000)]
    assert sqlite_store.path is not None
    with sqlite_store.work() as work:
        work.load("core_salt", ("core_id", "salt"), enumerate(salts))
        work.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert salts[7] in sqlite_store.path.read_bytes()
        work.execute("DELETE FROM core_salt WHERE core_id < 1999")
        work.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = sqlite_store.path.read_bytes()
    assert salts[1999] in left
    assert not any(salt in left for salt in salts[:1999])


def test_small_reads_and_work_see_each_other(store: Store) -> None:
    with store.work() as work:
        work.execute("INSERT INTO tenant (name, title) VALUES ('a', 'A')")
    with Session(store.engine) as session:
        assert session.get_one(Tenant, 1).name == "a"
        assert session.get(KeyCheck, "none") is None


def test_nothing_shows_where_the_database_is(store: Store) -> None:
    with store.work() as work:
        assert repr(store) == f"<Store {store.dialect}>"
        assert repr(work) == f"<Work {store.dialect}>"


def _shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error.__context__)
