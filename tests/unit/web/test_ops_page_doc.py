"""docs/ops-page.md names pages, commands and pictures that there are; pictures are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cli
from tests.browser.screenshots import FOLDER, LARGEST_BYTES, PICTURES
from web.pages.routes import PAGES

DOC = Path(__file__).parents[3] / "docs" / "ops-page.md"
TEXT = DOC.read_text(encoding="utf-8")


def test_every_page_stands_in_the_table_and_no_other() -> None:
    named = set(re.findall(r"`(/[^`]*)`", TEXT))
    paths = {
        re.sub(r"\{id:int\}|\{brin\}|\{koppeling\}", "*", page.path)
        for page in PAGES
        if page.method == "GET"
    }
    assert {re.sub(r"(?<=/)(\d+|99XX|NAAM)$", "*", name) for name in named} == paths


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`koppelhub ([a-z ]+)", TEXT))))
def test_every_command_can_be_typed(command: str) -> None:
    known = {name for name, _ in cli.commands_of(cli._command())}
    words = command.split()
    assert any(" ".join(words[:size]) in known for size in range(len(words), 0, -1))


def test_every_picture_is_there_small_and_one_that_is_made() -> None:
    shown = set(re.findall(r"screenshots/([\w-]+)\.png", TEXT))
    made = {picture.name for picture in PICTURES}
    assert shown <= made
    assert {path.stem for path in FOLDER.glob("*.png")} == made
    for path in FOLDER.glob("*.png"):
        assert path.stat().st_size <= LARGEST_BYTES, path.name
        head = path.read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
        assert size in {(1200, 800), (360, 780)}, path.name
