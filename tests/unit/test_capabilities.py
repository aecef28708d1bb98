"""docs/capabilities.md is held to its word: ids, states, and tests that exist."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/capabilities.md"
ROW = re.compile(
    r"^\| (?P<id>[A-Z]\d+) \| (?P<state>yes|partly|no) \| (?P<text>.*) \|$", re.MULTILINE
)
NODE = re.compile(r"`(?P<file>tests/[\w/.]+\.py)(?:::(?P<name>\w+(?:::\w+)?))?`")


def rows() -> list[tuple[str, str, str]]:
    return [
        (found["id"], found["state"], found["text"])
        for found in ROW.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def test_every_capability_has_one_row() -> None:
    ids = [name for name, _, _ in rows()]
    assert len(ids) == len(set(ids))
    assert len(ids) > 80


@pytest.mark.needs_shared_specs
def test_the_ids_are_those_of_the_acceptance_list() -> None:
    specs = Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared/specs"))
    official = specs.parent / "capabilities.md"
    if not official.exists():
        pytest.skip("the acceptance list is not beside this checkout")
    wanted = re.findall(r"^\| ([A-Z]\d+) \|", official.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _, _ in rows()] == wanted


@pytest.mark.parametrize(("name", "state", "text"), rows(), ids=[row[0] for row in rows()])
def test_a_claim_names_tests_that_exist(name: str, state: str, text: str) -> None:
    nodes = list(NODE.finditer(text))
    assert nodes or state == "no", f"{name} claims {state} and names no test"
    for node in nodes:
        path = ROOT / node["file"]
        assert path.is_file(), f"{name}: {node['file']} is missing"
        if node["name"] is None:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {
            item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef | ast.ClassDef)
        }
        for part in node["name"].split("::"):
            assert part in defined, f"{name}: {node['file']} has no {part}"
