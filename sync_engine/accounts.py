"""Local accounts: somebody's name and the hash of his password; his role says the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.nearest import choice
from config.operators import Role
from sync_engine import sessions
from sync_engine.actor import named_actor
from sync_engine.audit import note_within
from sync_engine.errors import AccountError
from sync_engine.hub import Hub
from sync_engine.passwords import Passwords, check_password
from sync_engine.store.values import instant
from sync_engine.store.work import Work

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,62}")


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """One account, as it is listed.

    Attributes:
        role: None where the configuration names no operator of that name: he may nothing.
        sessions: that hold now.
    """

    name: str
    role: Role | None
    created_at: datetime
    changed_at: datetime
    disabled_at: datetime | None
    sessions: int


def add(hub: Hub, passwords: Passwords, name: str, password: str) -> bool:
    """Make an account, or give one that was disabled back; whether the configuration knows him.

    Raises: AccountError if there is one, or the name or password is refused.
    """
    if not is_name(name):
        raise AccountError(
            "the name is refused: it cannot be that of an [[operator]]",
            advice="Gebruik letters, cijfers en . _ @ - zoals in de tabel [[operator]].",
        )
    check_password(name, password)
    hashed, now = passwords.hash(password), hub.clock.now()
    with _changing(hub, "account add", name) as work:
        work.execute(
            "INSERT INTO account (name, password_hash, created_at, changed_at) "
            "VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET disabled_at = NULL, "
            "password_hash = excluded.password_hash, changed_at = excluded.changed_at "
            "WHERE account.disabled_at IS NOT NULL",
            (name, hashed, now, now),
        )
        if not work.changes:
            raise AccountError(
                f"there is an account {name} already",
                advice="Geef het een ander wachtwoord met `koppelhub account password`.",
            )
    return named_actor(hub.settings, name, origin="").role is not None


def set_password(hub: Hub, passwords: Passwords, name: str, password: str) -> int:
    """Give an account another password; how many sessions ended.

    Raises: AccountError if there is no such account, or the password is refused.
    """
    check_password(name, password)
    hashed = passwords.hash(password)
    with _changing(hub, "account password", name) as work:
        work.execute(
            "UPDATE account SET password_hash = ?, changed_at = ? WHERE name = ?",
            (hashed, hub.clock.now(), name),
        )
        _must_be_there(work, name)
        return sessions.end_within(work, name)


def disable(hub: Hub, name: str) -> int:
    """Let nobody in with this account any more; how many sessions ended.

    Raises: AccountError if there is no such account.
    """
    with _changing(hub, "account disable", name) as work:
        work.execute(
            "UPDATE account SET disabled_at = COALESCE(disabled_at, ?) WHERE name = ?",
            (hub.clock.now(), name),
        )
        _must_be_there(work, name)
        return sessions.end_within(work, name)


def end_sessions(hub: Hub, name: str | None) -> int:
    """Sign somebody out everywhere, however he came in, or everybody; how many sessions ended."""
    with _changing(hub, "account end-sessions", name) as work:
        return sessions.end_within(work, name)


def list_accounts(hub: Hub) -> list[LocalAccount]:
    """All of them, by name."""
    with hub.store.work() as work:
        open_now = sessions.counts(hub, work)
        rows = work.execute(
            "SELECT name, created_at, changed_at, disabled_at FROM account ORDER BY name"
        )
    return [
        LocalAccount(
            name,
            named_actor(hub.settings, name, origin="").role,
            instant(created),
            instant(changed),
            None if disabled is None else instant(disabled),
            open_now.get(name, 0),
        )
        for name, created, changed, disabled in rows
    ]


def is_password(hub: Hub, passwords: Passwords, name: str, password: str) -> bool:
    """Whether this is the password of an account that is not disabled; the same work for nobody.

    A hash of other parameters than now is made anew, for the password is here.
    """
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT password_hash FROM account WHERE name = ? AND disabled_at IS NULL", (name,)
        )
        hashed = str(rows[0][0]) if rows else None
    if not passwords.verify(hashed, password) or hashed is None:
        return False
    if passwords.is_outdated(hashed):
        renewed = passwords.hash(password)
        with hub.store.work() as work:
            work.execute(
                "UPDATE account SET password_hash = ? WHERE name = ? AND password_hash = ?",
                (renewed, name, hashed),
            )
    return True


def is_as_it_was(work: Work, name: str, *, since: datetime) -> bool:
    """Whether nobody gave an account another password, or disabled it, since that instant.

    Within the transaction in which a session of it begins: checking a password takes a while. The
    row is written, so that a change waits for that session, and ends it.
    """
    work.execute(
        "UPDATE account SET changed_at = changed_at "
        "WHERE name = ? AND disabled_at IS NULL AND changed_at <= ?",
        (name, since),
    )
    return work.changes == 1


def is_name(text: str) -> bool:
    """Whether an account, and an operator, can be called so."""
    return _NAME.fullmatch(text) is not None


def is_known(hub: Hub, name: str) -> bool:
    """Whether there is an account of that name, disabled or not."""
    with hub.store.work() as work:
        return bool(work.execute("SELECT 1 FROM account WHERE name = ?", (name,)))


@contextmanager
def _changing(hub: Hub, action: str, name: str | None) -> Iterator[Work]:
    """One transaction with its line in the audit trail."""
    with hub.store.work() as work, work.transaction():
        yield work
        subject = "accounts" if name is None else f"account {name}"
        note_within(hub, work, operator=hub.actor.name, action=action, subject=subject)


def _must_be_there(work: Work, name: str) -> None:
    if not work.changes:
        names = [row[0] for row in work.execute("SELECT name FROM account")]
        raise AccountError(f"there is no account {name!r}", advice=choice(name, names))
