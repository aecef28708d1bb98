"""Which role a command needs: every command is listed, and what is not needs the highest."""

from __future__ import annotations

import pytest

import cli
from config.operators import Role
from console import roles
from sync_engine.actor import Actor
from sync_engine.errors import NoRightError


def commands() -> list[str]:
    found = cli.commands_of(cli._command())
    return [name for name, command in found if command.callback is not None]


def test_every_command_says_which_role_it_needs() -> None:
    missing = [
        name
        for name in commands()
        if name not in roles.LEAST and name.partition(" ")[0] not in roles._GROUPS
    ]
    assert missing == []


def test_what_is_not_listed_needs_the_highest_role() -> None:
    assert roles.least_of("toverstaf") is Role.ADMIN
    assert roles.least_of("keys toverstaf") is Role.ADMIN  # though `keys` itself is for reading


def test_a_group_per_entity_is_listed_once() -> None:
    assert roles.least_of("explain groep") is Role.READ
    assert roles.least_of("resync leerling") is Role.HELPDESK


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        (None, ["doctor", "exit-codes"], ["runs", "explain leerling", "sync", "purge"]),
        (Role.READ, ["runs", "case show", "diff"], ["sync", "plan approve", "purge"]),
        (Role.HELPDESK, ["runs", "sync", "plan refuse", "pin set"], ["purge", "keys rotate"]),
        (Role.ADMIN, ["runs", "sync", "purge", "db upgrade"], []),
    ],
)
def test_a_role_allows_its_commands_and_no_others(
    role: Role | None, allowed: list[str], refused: list[str]
) -> None:
    actor = Actor("jan", role)
    for command in allowed:
        roles.check(actor, command)
    for command in refused:
        with pytest.raises(NoRightError, match="jan") as caught:
            roles.check(actor, command)
        assert caught.value.refused
        assert caught.value.advice


def test_who_may_act_for_some_tenants_does_nothing_to_the_whole_installation() -> None:
    with pytest.raises(NoRightError, match="some tenants only"):
        roles.check(Actor("jan", Role.ADMIN, frozenset({"bestuur"})), "keys master")
