"""Who is signed in to the pages. The store has a hash of each token; only the cookie the token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from sqlmodel import Session, select

from sync_engine.hub import Hub
from sync_engine.store.account_tables import Account, WebSession
from sync_engine.store.work import Work

_SEEN_PARTS: Final = 20
"""How many times a session's idle period is renewed within it: not with every request."""
_LONGEST_TOKEN: Final = 100


class Via(StrEnum):
    """How somebody signed in."""

    LOCAL = "local"
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that holds."""

    operator: str
    via: Via
    since: datetime


def begin_within(hub: Hub, work: Work, operator: str, *, via: Via, former: str | None) -> str:
    """Begin a session in the transaction that is open; its token, which is told once.

    Args:
        hub: the installation.
        work: of the hub.
        operator: who signed in.
        via: how.
        former: token of the session that the same browser had; it ends.
    """
    now = hub.clock.now()
    token = token_urlsafe(32)
    lives = hub.settings.web.sessions
    work.execute(
        "DELETE FROM web_session WHERE expires_at <= ? OR seen_at <= ?", (now, now - lives.idle)
    )
    if former is not None:
        work.execute("DELETE FROM web_session WHERE digest = ?", (_digest(former),))
    work.execute(
        "INSERT INTO web_session (digest, operator, via, created_at, seen_at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (_digest(token), operator, str(via), now, now, now + lives.absolute),
    )
    return token


def find(hub: Hub, token: str, *, seen_now: bool = True) -> SignedIn | None:
    """The session of a token; None where none holds: never begun, ended, or too old.

    Nor does one of a way to sign in that the configuration has closed.

    Args:
        hub: the installation.
        token: of the cookie.
        seen_now: a person does something; a page that renews itself keeps nobody signed in.
    """
    if len(token) > _LONGEST_TOKEN:
        return None
    digest, web = _digest(token), hub.settings.web
    ways = {Via.LOCAL: web.local_accounts, Via.OIDC: web.oidc is not None}
    with Session(hub.store.engine) as reading:
        row = reading.get(WebSession, digest)
        if row is None:
            return None
        found = SignedIn(row.operator, Via(row.via), row.created_at)
        seen, expires = row.seen_at, row.expires_at
        if not ways[found.via]:
            return None
        if found.via is Via.LOCAL and not _is_active(reading, found.operator):
            return None
    now, lives = hub.clock.now(), web.sessions
    if now >= min(expires, found.since + lives.absolute, seen + lives.idle):
        return None
    if seen_now and now - seen >= lives.idle / _SEEN_PARTS:
        with hub.store.work() as work:
            work.execute("UPDATE web_session SET seen_at = ? WHERE digest = ?", (now, digest))
    return found


def _is_active(reading: Session, name: str) -> bool:
    rows = reading.exec(select(Account.disabled_at).where(Account.name == name)).all()
    return rows == [None]


def end(hub: Hub, token: str) -> None:
    """End one session; nothing where there is none."""
    with hub.store.work() as work:
        work.execute("DELETE FROM web_session WHERE digest = ?", (_digest(token),))


def end_within(work: Work, operator: str | None) -> int:
    """End the sessions of one person, or of all, in the transaction that is open; how many."""
    if operator is None:
        work.execute("DELETE FROM web_session")
    else:
        work.execute("DELETE FROM web_session WHERE operator = ?", (operator,))
    return work.changes


def counts(hub: Hub, work: Work) -> dict[str, int]:
    """Operator → sessions of his that hold."""
    now, idle = hub.clock.now(), hub.settings.web.sessions.idle
    rows = work.execute(
        "SELECT operator, COUNT(*) FROM web_session WHERE expires_at > ? AND seen_at > ? "
        "GROUP BY operator",
        (now, now - idle),
    )
    return {name: int(count) for name, count in rows}


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
