"""docs/helpdesk.md, followed by somebody who has read nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support.coredump import differences
from tests.support.story import Story

PAGE = Path(__file__).parents[3] / "docs" / "helpdesk.md"
SOUGHT = "den Oudendijk 03-02-2014\n"
LOOKS = frozenset(
    {
        *("todo", "state", "history", "explain", "plan list", "case list", "case decisions"),
        *("refused list", "quarantine list", "pin list", "runs", "audit show", "audit verify"),
        *("diff", "connectors check", "doctor", "exit-codes"),
    }
)


def looks() -> list[list[str]]:
    """Every command on the page that only looks, and names nothing that this school has not."""
    text = PAGE.read_text(encoding="utf-8")
    typed = re.findall(r"^(?:\$ )?koppelhub (.*)$", text, re.MULTILINE)
    words = [shlex.split(line) for line in dict.fromkeys(typed)]
    return [w for w in words if w[0] in LOOKS or " ".join(w[:2]) in LOOKS]


def test_every_look_of_the_page_answers_and_changes_nothing(story: Story, tmp_path: Path) -> None:
    before = story.core()
    for words in looks():
        given = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
        said = story.shell(*given, stdin=SOUGHT)
        assert said.code == 0, f"{words}: {said.out}{said.err}"
        assert said.out
    assert differences(before, story.core()) == {}


def test_the_example_of_the_page_is_what_is_seen(story: Story) -> None:
    text = PAGE.read_text(encoding="utf-8")
    command, sought, *expected = re.findall(r"```\n\$ (.*?)```", text, re.DOTALL)[0].splitlines()
    story.night()
    said = story.shell(*shlex.split(command)[1:], stdin=f"{sought}\n")
    seen = {" ".join(line.split()) for line in said.out.splitlines()}
    for line in expected:
        assert " ".join(line.split()) in seen
