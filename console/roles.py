"""Which role each command needs at least: one table, and who refuses.

A command that is not listed needs the role admin: whoever adds one says what it needs.
"""

from __future__ import annotations

from typing import Final

from config.operators import Role
from sync_engine.actor import Actor
from sync_engine.errors import NoRightError
from sync_engine.rights import acting

_READ, _DESK, _ADMIN = Role.READ, Role.HELPDESK, Role.ADMIN

LEAST: Final[dict[str, Role | None]] = {
    # nothing of an installation is opened or told
    "assumptions": None,
    "connectors": None,
    "demo": None,
    "exit-codes": None,
    "init": None,
    "mapping try": None,
    "sandbox serve": None,
    # says what is wrong with an installation, also to whom it knows not
    "doctor": None,
    "alerts list": _READ,
    "audit show": _READ,
    "audit verify": _READ,
    "case decisions": _READ,
    "case list": _READ,
    "case show": _READ,
    "connectors check": _READ,
    "correlation try": _READ,
    "cursor show": _READ,
    "diff": _READ,
    "eckid replacements": _READ,
    "eckid status": _READ,
    "explain": _READ,
    "health": _READ,
    "herinrichting list": _READ,
    "history": _READ,
    "inbox": _READ,
    "jobs": _READ,
    "keys": _READ,
    "onboarding": _READ,
    "outbox list": _READ,
    "outbox show": _READ,
    "pin list": _READ,
    "plan list": _READ,
    "plan show": _READ,
    "quarantine list": _READ,
    "refused list": _READ,
    "run show": _READ,
    "runs": _READ,
    "source list": _READ,
    "state": _READ,
    "status": _READ,
    "todo": _READ,
    "case assign": _DESK,
    "case close": _DESK,
    "case create": _DESK,
    "case ignore": _DESK,
    "case lift": _DESK,
    "case link": _DESK,
    "case link-all": _DESK,
    "case merge": _DESK,
    "case note": _DESK,
    "case split": _DESK,
    "cursor clear": _DESK,
    "eckid approve": _DESK,
    "eckid obtain": _DESK,
    "eckid replace": _DESK,
    "eckid verify": _DESK,
    "eckid withdraw": _DESK,
    "herinrichting preview": _DESK,
    "outbox approve": _DESK,
    "outbox deliver": _DESK,
    "outbox refuse": _DESK,
    "pin lift": _DESK,
    "pin set": _DESK,
    "plan apply": _DESK,
    "plan approve": _DESK,
    "plan refuse": _DESK,
    "quarantine retry": _DESK,
    "refused lift": _DESK,
    "replay": _DESK,
    "report weekly": _DESK,
    "resync": _DESK,
    "run undo": _DESK,
    "source maintenance": _DESK,
    "source off": _DESK,
    "source on": _DESK,
    "sync": _DESK,
    "account add": _ADMIN,
    "account disable": _ADMIN,
    "account end-sessions": _ADMIN,
    "account list": _ADMIN,
    "account password": _ADMIN,
    "adopt": _ADMIN,
    "alerts retry": _ADMIN,
    "alerts run": _ADMIN,
    "alerts test": _ADMIN,
    "db backup": _ADMIN,
    "db restore": _ADMIN,
    "cursor merge": _ADMIN,
    "cursor set": _ADMIN,
    "db upgrade": _ADMIN,
    "herinrichting apply": _ADMIN,
    "herinrichting finish": _ADMIN,
    "inbox serve": _ADMIN,
    "keys master": _ADMIN,
    "keys rotate": _ADMIN,
    "purge": _ADMIN,
    "school add": _ADMIN,
    "school leave": _ADMIN,
    "serve": _ADMIN,
    "source agree": _ADMIN,
    "source link": _ADMIN,
    "source live": _ADMIN,
    "worker": _ADMIN,
}
"""Command → least role; None for everybody."""

_GROUPS: Final = frozenset({"explain", "history", "resync", "state"})
"""Groups that have one command for each entity: the group is listed for all of them."""

OF_ALL_TENANTS: Final = frozenset(
    {"audit show", "audit verify", "db backup", "db restore", "db upgrade", "inbox serve"}
    | {"alerts list", "alerts retry", "alerts run", "alerts test", "keys master"}
    | {"school add", "school leave", "serve", "source link", "worker"}
    | {f"account {what}" for what in ("add", "disable", "end-sessions", "list", "password")}
)
"""Commands on the installation as a whole: not for who may act for some tenants only."""


def least_of(command: str) -> Role | None:
    """The least role of a command; admin where the table does not name it."""
    group = command.partition(" ")[0]
    return LEAST.get(group if group in _GROUPS else command, _ADMIN)


def check(actor: Actor, command: str) -> Actor:
    """Who gives this command, as he may: for the tenants and schools for which he has the role.

    Raises: NoRightError.
    """
    least = least_of(command)
    if not actor.may(least):
        has = actor.role or "geen rol"
        raise NoRightError(
            f"{actor.name} ({has}) may not give the command {command!r}: it needs the role {least}",
            advice=_advice(actor, least or _READ),
        )
    found = acting(actor, command, least)
    if command in OF_ALL_TENANTS and found.tenants is not None:
        raise NoRightError(
            f"{actor.name} may act for some tenants only; {command!r} is about all of them",
            advice="Vraag het aan een beheerder die voor alle besturen mag werken.",
        )
    return found


def _advice(actor: Actor, least: Role) -> str:
    if actor.role is None:
        return (
            "Laat de beheerder u opnemen in koppelhub.toml: een tabel [[operator]] met "
            f'name = "{actor.name}" en role = "{least}".'
        )
    return f"Vraag het aan een collega met de rol {least}, of laat de beheerder uw rol aanpassen."
