"""The hub by its configuration now: taken up when it is sound, told once when it is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config import fragments
from config.settings import Settings
from console.setup import initialise
from sync_engine.current import Current
from sync_engine.hub import Hub
from tests.support.lines import START, PatientClock
from tests.support.template import sqlite_template

TENANT = {"name": "b", "title": "Bestuur", "school": [{"brin": "99XX", "name": "School"}]}
SOURCE = {"name": "kern", "system": "kern", "tenant": "b", "options": {}}
HEAD = '[database]\nurl = "sqlite:///koppelhub.db"\n[keys]\nfile = "koppelhub.keys"\n'


@pytest.fixture
def current(tmp_path: Path) -> Iterator[Current]:
    sqlite_template(tmp_path / "koppelhub.db")
    initialise(tmp_path, configuration=HEAD)
    hub = Hub.open(Settings.load(tmp_path / "koppelhub.toml", env={}), PatientClock(START))
    yield Current(hub)
    hub.close()


def write(current: Current, text: str) -> None:
    main = current.hub().settings.origin
    assert main is not None
    folder = fragments.folder_of(main)
    folder.mkdir(exist_ok=True)
    (folder / "school.toml").write_text(text, encoding="utf-8")


def names(hub: Hub) -> list[str]:
    with hub.store.work() as work:
        return [str(row[0]) for row in work.execute("SELECT name FROM koppeling")]


def test_a_new_koppeling_is_there_with_its_row_and_its_own_connector(current: Current) -> None:
    before = current.hub()
    assert current.hub() is before
    write(current, fragments.to_toml({"tenant": [TENANT], "source": [SOURCE]}))
    after = current.hub()
    assert current.hub() is after
    assert (names(after), [source.name for source in after.sources()]) == (["kern"], ["kern"])
    assert before.sources() == ()
    after.connect(after.source("kern"), after.clock).close()
    acting = replace(after, actor=before.actor)
    assert acting.koppeling("kern").name == "kern"


def test_what_is_not_sound_is_told_once_and_changes_nothing(
    current: Current, caplog: pytest.LogCaptureFixture
) -> None:
    before = current.hub()
    write(current, "tenant = 3\n")
    with caplog.at_level(logging.ERROR):
        assert current.hub() is before
        assert current.hub() is before
    (record,) = caplog.records
    assert "is not used" in record.message
    write(current, fragments.to_toml({"tenant": [TENANT]}))
    assert [tenant.name for tenant in current.hub().settings.tenant] == ["b"]


def test_another_database_or_key_file_is_not_taken_up(current: Current) -> None:
    known = current.hub().settings
    write(current, '[database]\nurl = "sqlite:///anders.db"\n[keys]\nfile = "anders.keys"\n')
    after = current.hub().settings
    assert after is not known
    assert (after.database, after.keys) == (known.database, known.keys)
