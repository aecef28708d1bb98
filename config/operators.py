"""Operators: who may do what with this installation, as the configuration file names them.

A name is an operating-system user or a login. Where none is named everybody has every role, except
in production: there nobody has one until the first is named.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from config.frozen import Frozen
from config.sources import Name

SYSTEM: Final = "system"
"""Who acts where no person does: a scheduled run."""


class Role(StrEnum):
    """What a person may do; each may what those before it may."""

    READ = "read"
    HELPDESK = "helpdesk"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what the other may."""
        return _RANK[self] >= _RANK[other]


_RANK: Final = {role: place for place, role in enumerate(Role)}


def _no_machine(name: str) -> str:
    if name == SYSTEM:
        message = f"{SYSTEM} is what runs without a person are called"
        raise ValueError(message)
    return name


OperatorName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,62}$"), AfterValidator(_no_machine)
]


def _some(tenants: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if tenants is not None and not tenants:
        message = "names none; leave the key out for all"
        raise ValueError(message)
    return tenants


class Operator(Frozen):
    """One person who works with the hub.

    Attributes:
        name: operating-system user or login.
        role: what he may do.
        tenants: names of the tenants that he may do it for, or None for all.
    """

    name: OperatorName
    role: Role
    tenants: Annotated[tuple[Name, ...] | None, AfterValidator(_some)] = None
