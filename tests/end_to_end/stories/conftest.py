"""Schools for the stories: loaded once, copied for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.story import PGN, WITH_BSN, Story, copied_story, fresh_story


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation after its first night."""
    folder = tmp_path_factory.mktemp("loaded")
    with pytest.MonkeyPatch.context() as patch, fresh_story(folder, patch) as story:
        return story.line.folder


@pytest.fixture(scope="session")
def loaded_with_bsn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of a school that has a purpose for the BSN; its first vestiging shares it."""
    folder = tmp_path_factory.mktemp("loaded-bsn")
    with (
        pytest.MonkeyPatch.context() as patch,
        fresh_story(folder, patch, plan=WITH_BSN, more=PGN) as story,
    ):
        return story.line.folder


@pytest.fixture
def story(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A school on SQLite."""
    with copied_story(loaded, tmp_path, monkeypatch) as told:
        yield told


@pytest.fixture
def bsn_story(
    loaded_with_bsn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Story]:
    """A school that has a purpose for the BSN; its first vestiging shares it."""
    with copied_story(loaded_with_bsn, tmp_path, monkeypatch, plan=WITH_BSN, more=PGN) as told:
        yield told


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Story]:
    """A school on each database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("story")
        return
    url = request.getfixturevalue("ready_postgres_url")
    with fresh_story(tmp_path, monkeypatch, url=url) as told:
        yield told
