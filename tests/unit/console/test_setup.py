"""Setting up: no password in a configuration, and no other keys for a database that holds data."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.clock import SystemClock
from config.errors import ConfigurationError, KoppelhubError
from config.settings import Settings
from console.setup import holds_password, initialise, upgrade_database
from sync_engine.errors import StoreError
from sync_engine.store.engine import Store


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:geheim@server/db",
        "postgresql+psycopg://hub:ge@heim@server/db",
        "postgresql://hub:ge/heim@server/db",
        "postgresql://hub:ge?heim@server/db",
        "postgresql://:geheim@/db?host=/run",
        "postgresql://server/db?user=hub&Password=geheim",
        "postgresql://server/db?sslpassword=geheim",
    ],
)
def test_a_password_is_refused_and_nothing_is_made(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "school"
    with pytest.raises(ConfigurationError) as caught:
        initialise(folder, database=url)
    assert "--database env:NAAM" in caught.value.advice
    assert "heim" not in str(caught.value)
    assert not folder.exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///koppelhub.db",
        "sqlite:////srv/a:b/koppelhub.db",
        "postgresql://server:5432/db",
        "postgresql://hub@server:5432/db?sslmode=require",
        "postgresql://hub:@/db?host=/run/postgresql",
    ],
)
def test_a_url_without_a_password_is_no_secret(url: str) -> None:
    assert not holds_password(url)


def test_a_database_is_named_by_a_file_with_its_url(sqlite_url: str, tmp_path: Path) -> None:
    secret = tmp_path / "database.secret"
    secret.write_text(sqlite_url + "\n", encoding="utf-8")
    made = initialise(tmp_path / "school", database=f"file:{secret}")
    assert made["database"] == sqlite_url
    with Store.open(sqlite_url):
        assert sqlite_url not in (tmp_path / "school" / "koppelhub.toml").read_text()


@pytest.mark.parametrize(
    "database",
    [
        "env:KOPPELHUB_TEST_IS_NOT_SET",
        "env:geen naam",
        "file:er/is/niets",
        "mysql://server/db",
        "postgresql://127.0.0.1:1/db",
    ],
)
def test_a_database_that_cannot_be_used_leaves_nothing_behind(
    database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "school"
    with pytest.raises(KoppelhubError):
        initialise(folder, database=database)
    assert list(folder.iterdir()) == []
    initialise(folder)


def test_a_database_is_named_in_the_configuration_and_adds_nothing_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "school"
    with pytest.raises(ConfigurationError):
        initialise(folder, database='sqlite:///a"\n[keys]\nfile = "b')
    assert not folder.exists()
    initialise(folder, database='sqlite:///a"b.db')
    settings = Settings.load(folder / "koppelhub.toml", env={})
    assert settings.keys.file == folder / "koppelhub.keys"
    assert (folder / 'a"b.db').is_file()


def test_keys_that_are_there_are_not_replaced(tmp_path: Path) -> None:
    keys = tmp_path / "koppelhub.keys"
    keys.write_bytes(b"van een ander")
    with pytest.raises(ConfigurationError):
        initialise(tmp_path)
    assert keys.read_bytes() == b"van een ander"
    assert not (tmp_path / "koppelhub.toml").exists()


def test_a_database_with_data_and_no_keys_is_given_none(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore that lost a table: other keys would make what it holds unreadable."""
    initialise(tmp_path / "school")
    monkeypatch.setenv("KOPPELHUB_DATABASE__URL", database_url)
    settings = Settings.load(tmp_path / "school" / "koppelhub.toml")
    assert len(upgrade_database(settings, SystemClock()).keys) == 1
    with Store.open(database_url) as store, store.work() as work:
        work.execute("INSERT INTO tenant (name, title) VALUES ('bestuur', 'Bestuur')")
        work.execute("DELETE FROM key_check")
    with pytest.raises(StoreError) as caught:
        upgrade_database(settings, SystemClock())
    assert "sleutelbestand" in caught.value.advice
