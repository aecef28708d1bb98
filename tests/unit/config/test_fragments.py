"""Fragments: parts of the configuration that commands write, whole and sound or not at all."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import fragments
from config.errors import ConfigurationError
from config.settings import Settings

MAIN = """
[[tenant]]
name = "bestuur"
title = "Bestuur"
school = [{ brin = "99XX", name = "School" }]
"""
SOURCE: dict[str, Any] = {
    "source": [
        {
            "name": "som",
            "system": "somtoday",
            "tenant": "bestuur",
            "options": {"client_id": "x", "client_secret": {"env": "SOM"}},
        }
    ]
}


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "koppelhub.toml"
    path.write_text(MAIN, encoding="utf-8")
    return path


def change(main: Path, name: str, tables: dict[str, Any]) -> Path:
    def check(draft: Mapping[Path, dict[str, Any]]) -> Settings:
        return Settings.load(main, {}, draft=draft)

    return fragments.change(main, name, lambda _: tables, check=check)


def test_fragments_are_laid_over_the_main_file_in_the_order_of_their_names(main: Path) -> None:
    change(main, "b", {"tenant": [{"name": "bestuur", "title": "Later"}]})
    change(main, "a", {"tenant": [{"name": "bestuur", "title": "Eerder"}]})
    school = {"brin": "99YY", "name": "Tweede"}
    change(main, "c", {"tenant": [{"name": "bestuur", "school": [school]}]})
    (tenant,) = Settings.load(main, {}).tenant
    assert tenant.title == "Later"
    assert [one.name for one in tenant.school] == ["School", "Tweede"]


def test_what_makes_the_configuration_unsound_is_not_written(main: Path) -> None:
    path = change(main, "source-som", SOURCE)
    before = path.read_bytes()
    wrong = {"source": [SOURCE["source"][0] | {"tenant": "ander"}]}
    with pytest.raises(ConfigurationError, match=r"source\[som\].tenant"):
        change(main, "source-som", wrong)
    assert path.read_bytes() == before
    with pytest.raises(ConfigurationError):
        change(main, "nieuw", {"onbekend": 1})
    assert sorted(file.name for file in path.parent.iterdir()) == ["source-som.toml"]


def test_a_secret_is_never_written(main: Path) -> None:
    options = {"client_secret": "abc"}
    with pytest.raises(ConfigurationError, match="holds a secret"):
        change(main, "som", {"source": [SOURCE["source"][0] | {"options": options}]})
    assert list(fragments.folder_of(main).iterdir()) == []


@pytest.mark.parametrize("name", ["../uit", "a/b", "", ".punt", "a.b"])
def test_a_name_leads_to_no_other_folder(main: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        change(main, name, {})


def test_a_write_that_breaks_off_leaves_what_was_there(
    main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = change(main, "source-som", SOURCE)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        change(main, "source-som", {})
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.dates(),
    st.lists(st.text(max_size=5), max_size=3),
)
KEYS = st.text(min_size=1, max_size=8)
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3),
    lambda inner: st.dictionaries(
        KEYS, st.one_of(VALUES, inner, st.lists(inner, min_size=1, max_size=2)), max_size=3
    ),
    max_leaves=6,
)


@given(tables=TABLES)
def test_what_is_written_is_read_back(tables: dict[str, Any]) -> None:
    assert tomllib.loads(fragments.to_toml(tables)) == tables


def test_a_day_is_written_as_a_day() -> None:
    assert fragments.to_toml({"on": date(2026, 8, 1)}) == "on = 2026-08-01\n"
