"""docs/helpdesk.md names nothing that cannot be typed."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

import cli
from tests.support.shell import run_cli

PAGE = Path(__file__).parents[3] / "docs" / "helpdesk.md"
QUESTIONS = 24
_TYPED = re.compile(r"^(?:\$ )?(koppelhub .*)$|`(koppelhub [^`]+)`", re.MULTILINE)


def typed() -> list[str]:
    """Every command on the page, as it is written there."""
    text = PAGE.read_text(encoding="utf-8")
    return sorted({next(filter(None, found)) for found in _TYPED.findall(text)})


@cache
def known() -> frozenset[str]:
    """The names of all commands; a group of commands is none."""
    found = cli.commands_of(cli._command())
    return frozenset(name for name, command in found if name and command.callback is not None)


def name_of(command: str) -> list[str]:
    """The words of a typed command that name it: the longest name that there is."""
    words = shlex.split(command)[1:]
    names = [words[:size] for size in range(len(words), 0, -1) if " ".join(words[:size]) in known()]
    assert names, f"there is no command `{command}`"
    return names[0]


@cache
def help_of(*name: str) -> str:
    """What `--help` says of it."""
    said = run_cli(*name, "--help")
    assert said.code == 0, said.err
    return said.out


@pytest.mark.parametrize("command", typed())
def test_every_command_exists_and_takes_what_is_typed(command: str) -> None:
    told = help_of(*name_of(command))
    for option in (word for word in shlex.split(command) if word.startswith("--")):
        assert re.search(rf"{option}\b", told), f"`{command}`: {option}"


def test_every_question_has_commands_and_something_to_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    parts = re.split(
        r"^### (\d+)\. .+$", text.partition("\n## Als het antwoord")[0], flags=re.MULTILINE
    )
    numbers, answers = parts[1::2], parts[2::2]
    assert [int(number) for number in numbers] == list(range(1, QUESTIONS + 1))
    for answer in answers:
        assert "```\nkoppelhub " in answer
        assert "**Zeg:**" in answer


def test_no_person_is_named_where_others_can_read_it() -> None:
    """Who is looked for is read from standard input; only hub keys stand on the command line."""
    for command in typed():
        words = shlex.split(command)[1:]
        if words[:1] != ["pin"] and "leerling" in words[:2]:
            assert "--find" in words or any(word.startswith("K-") for word in words), command


def test_options_that_the_text_names_exist() -> None:
    """`--csv` and the like in running text belong to a command of the same question."""
    text = PAGE.read_text(encoding="utf-8")
    every = "".join(help_of(*name.split()) for name in known())
    for option in set(re.findall(r"`(--[a-z-]+)", text)):
        assert option in every, option
