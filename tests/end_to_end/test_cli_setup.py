"""Installing: folders, keys and databases, and what a person must mend about them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import create_engine

from sync_engine.store import schema
from tests.support.lines import SECRET
from tests.support.shell import Shell, paragraph, run_cli


def test_a_fresh_installation_lacks_only_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    folder = tmp_path / "school"
    made = run_cli("init", str(folder), "--json")
    assert (made.code, set(made.data)) == (0, {"configuratie", "sleutels", "database"})
    assert (folder / "koppelhub.keys").stat().st_mode & 0o777 == 0o600
    assert (folder / "koppelhub.db").stat().st_mode & 0o777 == 0o600
    found = run_cli("doctor", "--config", str(folder / "koppelhub.toml"), "--json")
    assert found.code == 2
    (wrong,) = [finding for finding in found.data if finding["level"] != "goed"]
    assert SECRET in wrong["message"]
    monkeypatch.setenv(SECRET, "geheim")
    assert run_cli("doctor", "--config", str(folder / "koppelhub.toml")).code == 0
    assert "Kies een lege map" in paragraph(run_cli("init", str(folder)))


def test_a_database_of_its_own_is_set_up_from_the_command_line(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an installation on SQLite was, it is on another database after `db upgrade`."""
    monkeypatch.setenv(SECRET, "geheim")
    monkeypatch.setenv("SCHOOL_DATABASE", database_url)
    folder = tmp_path / "school"
    made = run_cli("init", str(folder), "--database", "env:SCHOOL_DATABASE", "--json")
    assert made.code == 0
    text = (folder / "koppelhub.toml").read_text(encoding="utf-8")
    assert 'url = { env = "SCHOOL_DATABASE" }' in text
    assert database_url not in text
    assert not (folder / "koppelhub.db").exists()
    assert run_cli("runs", "--config", str(folder / "koppelhub.toml")).code == 0
    second = run_cli("init", str(tmp_path / "ander"), "--database", "env:SCHOOL_DATABASE")
    assert "Geef een lege database op" in paragraph(second)
    assert list((tmp_path / "ander").iterdir()) == []


def test_an_installation_moves_to_an_empty_database_with_db_upgrade(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "geheim")
    folder = tmp_path / "school"
    config = ("--config", str(folder / "koppelhub.toml"))
    assert run_cli("init", str(folder)).code == 0
    monkeypatch.setenv("KOPPELHUB_DATABASE__URL", database_url)
    assert run_cli("doctor", *config).code == 2
    first = run_cli("db", "upgrade", *config)
    assert (first.code, "hoort nu bij sleutel" in first.out) == (0, True)
    again = run_cli("db", "upgrade", *config, "--json")
    assert (again.code, again.data["keys"]) == (0, [])
    assert run_cli("doctor", *config).code == 0
    assert run_cli("runs", *config).code == 0

    assert run_cli("init", str(tmp_path / "ander"), "--database", "sqlite:///ander.db").code == 2
    monkeypatch.delenv("KOPPELHUB_DATABASE__URL")
    assert run_cli("init", str(tmp_path / "ander"), "--database", "sqlite:///ander.db").code == 0
    assert (tmp_path / "ander" / "ander.db").is_file()
    shutil.copy(tmp_path / "ander" / "koppelhub.keys", folder / "koppelhub.keys")
    monkeypatch.setenv("KOPPELHUB_DATABASE__URL", database_url)
    assert run_cli("db", "upgrade", *config, "--json").data["keys"] == []
    assert "hoort niet bij deze database" in paragraph(run_cli("runs", *config))


def test_init_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    taken = tmp_path / "bestand"
    taken.write_text("van een ander", encoding="utf-8")
    assert "Kies een lege map" in paragraph(run_cli("init", str(taken)))
    assert "waarin u mag schrijven" in paragraph(run_cli("init", str(taken / "daarin")))
    assert taken.read_text(encoding="utf-8") == "van een ander"


def test_a_missing_or_foreign_key_file_is_refused(quick: Shell, tmp_path: Path) -> None:
    keys = quick.line.folder / "koppelhub.keys"
    own = keys.read_bytes()
    keys.unlink()
    assert "zet dan het sleutelbestand uit de back-up terug" in paragraph(quick("runs"))
    assert quick("doctor").code == 2
    assert run_cli("init", str(tmp_path / "ander")).code == 0
    shutil.copy(tmp_path / "ander" / "koppelhub.keys", keys)
    assert "Dit sleutelbestand hoort niet bij deze database" in paragraph(quick("runs"))
    keys.write_bytes(own)
    assert quick("runs").code == 0


def test_an_older_and_a_newer_database_are_told_apart(quick: Shell) -> None:
    line = quick.line
    head = line.query("SELECT version_num FROM alembic_version")[0][0]
    _older(quick, "0004")
    assert "koppelhub db upgrade" in paragraph(quick("runs"))
    upgraded = quick("db", "upgrade", "--json")
    assert upgraded.data["before"]["current"] == "0004"
    assert upgraded.data["after"]["current"] == head
    assert quick("audit", "verify").code == 0  # the lines of before are anchored
    assert quick.line.query("SELECT action, why FROM audit")[0] == (
        "db upgrade",
        "0 former lines anchored",
    )
    assert quick("runs").code == 0
    line.query("UPDATE alembic_version SET version_num = '9999'")
    assert "nieuwere versie van Koppelhub" in paragraph(quick("runs"))
    assert "nieuwere versie van Koppelhub" in paragraph(quick("db", "upgrade"))


def _older(quick: Shell, revision: str) -> None:
    """An empty database of an earlier schema in the place of the newest, with the same keys."""
    store = quick.line.hub.store
    known = quick.line.query("SELECT master_id, check_value, created_at FROM key_check")
    store.close()
    assert store.path is not None
    for name in (store.path, *(Path(f"{store.path}{end}") for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{store.path}")
    with engine.begin() as connection:
        config = AlembicConfig()
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for row in known:
            sql = "INSERT INTO key_check (master_id, check_value, created_at) VALUES (?, ?, ?)"
            connection.exec_driver_sql(sql, tuple(row))
    engine.dispose()
    store.path.chmod(0o600)
