"""How often somebody may try to sign in: by account and by address, for all processes together.

An attempt counts as failed before its password is looked at, in one statement that also says
whether it may be made at all: a hundred at once are not more than a hundred in a row. Past a number
of failures each next one must wait twice as long, up to a quarter of an hour; nobody is locked out
for ever. Neither names nor addresses are kept, only what a key makes of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from sync_engine.hub import Hub
from sync_engine.store.values import instant
from sync_engine.store.work import Work

FREE_BY_ACCOUNT: Final = 5
"""Failures of one account after which its attempts must wait."""
FREE_BY_ADDRESS: Final = 20
"""Failures from one address after which its attempts must wait."""
LONGEST: Final = timedelta(minutes=15)
"""The longest that anybody must wait."""
FORGOTTEN: Final = timedelta(hours=24)
"""Without an attempt for so long, failures are forgotten."""

_FIRST: Final = timedelta(seconds=2)
_KEY: Final = "sign-in-attempts"
_SITE_BITS: Final = 64  # of an IPv6 address: what one household has


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted.

    Attributes:
        digest: of an account's name or an address, under a key.
        free: failures after which attempts must wait.
        ends: whether a success makes it begin anew.
    """

    digest: bytes
    free: int
    ends: bool


def counters(hub: Hub, *, account: str | None, address: str) -> tuple[Counter, ...]:
    """What an attempt counts for; always in this order, or two could wait for each other."""
    key = hub.keyring.derive(_KEY)

    def digest(kind: str, text: str) -> bytes:
        return hmac.digest(key, f"{kind}|{text}".encode(), sha256)

    by_address = Counter(digest("address", _site(address)), FREE_BY_ADDRESS, ends=False)
    if account is None:
        return (by_address,)
    return Counter(digest("account", account), FREE_BY_ACCOUNT, ends=True), by_address


def _site(address: str) -> str:
    """The address; of IPv6 its network, for who has one address there has them all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _SITE_BITS), strict=False))
    return str(parsed)


class _WaitError(Exception):
    """One of the counters says that it is too early; what was counted is taken back."""

    def __init__(self, digest: bytes) -> None:
        super().__init__()
        self.digest = digest


def attempt(hub: Hub, wanted: Sequence[Counter]) -> timedelta | None:
    """Count one attempt as failed; or how long to wait, and nothing is counted."""
    now = hub.clock.now()
    with hub.store.work() as work:
        try:
            with work.transaction():
                work.execute("DELETE FROM sign_in_attempt WHERE last_at < ?", (now - FORGOTTEN,))
                for counter in wanted:
                    _count(work, counter, now)
        except _WaitError as early:
            rows = work.execute(
                "SELECT free_at FROM sign_in_attempt WHERE digest = ?", (early.digest,)
            )
            until = instant(rows[0][0]) if rows else now
            return max(until - now, timedelta(seconds=1))
    return None


def _count(work: Work, counter: Counter, now: datetime) -> None:
    rows = work.execute(
        "INSERT INTO sign_in_attempt (digest, failures, last_at, free_at) VALUES (?, 1, ?, ?) "
        "ON CONFLICT (digest) DO UPDATE SET failures = sign_in_attempt.failures + 1, "
        "last_at = excluded.last_at WHERE sign_in_attempt.free_at <= excluded.last_at "
        "RETURNING failures",
        (counter.digest, now, now),
    )
    if not rows:
        raise _WaitError(counter.digest)
    over = int(rows[0][0]) - counter.free
    if over >= 0:
        pause = min(_FIRST * 2 ** min(over, 16), LONGEST)
        work.execute(
            "UPDATE sign_in_attempt SET free_at = ? WHERE digest = ?", (now + pause, counter.digest)
        )


def succeeded(hub: Hub, wanted: Sequence[Counter]) -> None:
    """Take the attempt back: an account begins anew, of an address only this one goes."""
    with hub.store.work() as work, work.transaction():
        for counter in wanted:
            if counter.ends:
                work.execute("DELETE FROM sign_in_attempt WHERE digest = ?", (counter.digest,))
            else:
                work.execute(
                    "UPDATE sign_in_attempt SET failures = failures - 1, free_at = last_at "
                    "WHERE digest = ? AND failures > 0",
                    (counter.digest,),
                )
