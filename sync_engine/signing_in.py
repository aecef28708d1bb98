"""Signing in to the pages and out of them: who it is was proved, and every try is in the trail.

A failed try is noted by the name of an account that there is; what was typed otherwise is written
nowhere: it may be a password in the wrong field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from config.errors import KoppelhubError
from sync_engine import accounts, attempts, sessions
from sync_engine.actor import Actor, named_actor
from sync_engine.audit import note, note_within
from sync_engine.hub import Hub
from sync_engine.passwords import Passwords
from sync_engine.sessions import Via

NOBODY: Final = "?"
"""Who failed to sign in, where no account of that name is; no operator can be called so."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What came of a try.

    Attributes:
        token: of the session that began; None where none did.
        wait: too many tries: for so long none is looked at.
        has_no_role: he is who he says, and the configuration does not let him in.
        why: why nothing was proved, as `Proof` says.
    """

    token: str | None = None
    wait: timedelta | None = None
    has_no_role: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved of somebody.

    Attributes:
        name: of the operator who he is, empty for one who is none; None where nothing was proved.
        why: why not, in a word that may be in the trail.
    """

    name: str | None
    why: str = ""


def with_password(
    hub: Hub, passwords: Passwords, name: str, password: str, *, former: str | None
) -> SignIn:
    """Sign in to a local account.

    Args:
        hub: the installation, its actor the unknown person at his address.
        passwords: checks them.
        name: as typed.
        password: as typed.
        former: token of the session that the same browser had.
    """
    name = name.strip()
    name = name if accounts.is_name(name) else ""  # of no account, but as much work
    return _tried(
        hub,
        attempts.counters(hub, account=name, address=hub.actor.origin),
        lambda: Proof(name if accounts.is_password(hub, passwords, name, password) else None),
        known=name,
        via=Via.LOCAL,
        former=former,
    )


def with_identity(hub: Hub, prove: Callable[[], Proof], *, former: str | None) -> SignIn:
    """Sign in as somebody whom an issuer names.

    Args:
        hub: the installation, its actor the unknown person at his address.
        prove: asks the issuer. What it raises is nobody's failure, and is not counted.
        former: token of the session that the same browser had.
    """
    counted = attempts.counters(hub, account=None, address=hub.actor.origin)
    return _tried(hub, counted, prove, known=None, via=Via.OIDC, former=former)


def _tried(
    hub: Hub,
    counted: tuple[attempts.Counter, ...],
    prove: Callable[[], Proof],
    *,
    known: str | None,
    via: Via,
    former: str | None,
) -> SignIn:
    wait, began = attempts.attempt(hub, counted), hub.clock.now()
    if wait is not None:
        return SignIn(wait=wait)
    try:
        proof = prove()
    except KoppelhubError:
        attempts.succeeded(hub, counted)
        raise
    if proof.name is None:
        told = known if known and accounts.is_known(hub, known) else NOBODY
        _note(hub, told, "sign-in failed", via, why=proof.why)
        return SignIn(why=proof.why)
    attempts.succeeded(hub, counted)
    name = proof.name
    actor = named_actor(hub.settings, name, origin=hub.actor.origin)
    if actor.role is None:
        _note(hub, name or NOBODY, "sign-in refused", via)
        return SignIn(has_no_role=True)
    with hub.store.work() as work, work.transaction():
        if via is Via.LOCAL and not accounts.is_as_it_was(work, name, since=began):
            return SignIn()
        token = sessions.begin_within(hub, work, name, via=via, former=former)
        note_within(
            replace(hub, actor=actor), work, operator=name, action="sign-in", subject=f"via {via}"
        )
    return SignIn(token)


@dataclass(frozen=True, slots=True)
class OwnPassword:
    """What came of a try to change one's own password.

    Attributes:
        wait: too many tries: for so long none is looked at.
        is_changed: it is, and every session ended; else the former one was wrong.
    """

    wait: timedelta | None = None
    is_changed: bool = False


def change_own_password(
    hub: Hub, passwords: Passwords, *, former: str, following: str
) -> OwnPassword:
    """Give the account of who acts another password; he proves once more that he is himself.

    Args:
        hub: the installation, its actor who is signed in.
        passwords: checks and makes them.
        former: as typed.
        following: as typed.

    Raises: AccountError if the new one is refused, or he has no account.
    """
    name = hub.actor.name
    counted = attempts.counters(hub, account=name, address=hub.actor.origin)
    wait = attempts.attempt(hub, counted)
    if wait is not None:
        return OwnPassword(wait)
    if not accounts.is_password(hub, passwords, name, former):
        _note(hub, name, "sign-in failed", Via.LOCAL, why="own password")
        return OwnPassword()
    attempts.succeeded(hub, counted)
    accounts.set_password(hub, passwords, name, following)
    return OwnPassword(is_changed=True)


def sign_out(hub: Hub, token: str) -> None:
    """End the session of who acts, and say so in the trail."""
    sessions.end(hub, token)
    with hub.store.work() as work:
        note(hub, work, operator=hub.actor.name, action="sign-out", subject="session")


def signed_in(hub: Hub, token: str, *, origin: str, seen_now: bool = True) -> Actor | None:
    """Who has this session, with what he may do now; None where it does not hold.

    Somebody whom the configuration no longer names is signed out, everywhere.

    Args:
        hub: the installation.
        token: of the cookie.
        origin: the address that he comes from.
        seen_now: he does something himself; see `sessions.find`.
    """
    found = sessions.find(hub, token, seen_now=seen_now)
    if found is None:
        return None
    actor = named_actor(hub.settings, found.operator, origin=origin)
    if actor.role is not None:
        return actor
    with hub.store.work() as work, work.transaction():
        sessions.end_within(work, found.operator)
        note_within(
            replace(hub, actor=actor),
            work,
            operator=found.operator,
            action="sign-in ended",
            subject="session",
            why="the configuration names him no longer",
        )
    return None


def _note(hub: Hub, operator: str, action: str, via: Via, *, why: str = "") -> None:
    with hub.store.work() as work:
        note(hub, work, operator=operator, action=action, subject=f"via {via}", why=why)
