"""Operators: who may do what with this installation, as the configuration file names them.

A name is an operating-system user or a login. Where none is named everybody has every role, except
in production: there nobody has one until the first is named.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from config.frozen import Frozen
from config.guards import BRIN_LENGTH
from config.sources import Name
from sector.identifiers import Brin, InvalidIdentifierError, Vestigingsnummer

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


def _some(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and not names:
        message = "names none; leave the key out for all"
        raise ValueError(message)
    return names


def _number(text: str) -> str:
    """A BRIN or vestigingsnummer as the sector writes it."""
    kind = Brin if len(text.strip()) <= BRIN_LENGTH else Vestigingsnummer
    try:
        return kind(text).reveal()
    except InvalidIdentifierError as exc:
        message = f"must be a BRIN (99XX) or vestigingsnummer (99XX00): {exc.rule}"
        raise ValueError(message) from None


SchoolNumber = Annotated[str, Field(max_length=20), AfterValidator(_number)]
Tenants = Annotated[tuple[Name, ...] | None, AfterValidator(_some)]


class Grant(Frozen):
    """One role, for some tenants or some schools; for all where it names neither.

    Attributes:
        tenants: names of tenants, each whole.
        schools: BRINs and vestigingsnummers; a BRIN is all its vestigingen.
    """

    role: Role
    tenants: Tenants = None
    schools: Annotated[tuple[SchoolNumber, ...] | None, AfterValidator(_some)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.tenants is not None and self.schools is not None:
            message = "names tenants and schools: make it two grants"
            raise ValueError(message)
        return self

    def __str__(self) -> str:
        """Which role for whom, for people (Dutch)."""
        if self.schools is not None:
            return f"{self.role} voor school {', '.join(self.schools)}"
        return self.role if self.tenants is None else f"{self.role} voor {', '.join(self.tenants)}"


class Operator(Frozen):
    """One person who works with the hub.

    Attributes:
        name: operating-system user or login.
        role: what he may do for `tenants`; None where `grant` says it all.
        tenants: names of the tenants that he has that role for, or None for all.
        grant: further roles, each for some tenants or schools.
    """

    name: OperatorName
    role: Role | None = None
    tenants: Tenants = None
    grant: tuple[Grant, ...] = ()

    @model_validator(mode="after")
    def _may_something(self) -> Self:
        if self.role is None and not self.grant:
            message = "role: is required, or [[operator.grant]]"
            raise ValueError(message)
        if self.role is None and self.tenants is not None:
            message = "tenants: says for whom a role is, and there is no role beside it"
            raise ValueError(message)
        return self

    @property
    def grants(self) -> tuple[Grant, ...]:
        """Every role that he has, and for whom."""
        own = () if self.role is None else (Grant(role=self.role, tenants=self.tenants),)
        return (*own, *self.grant)
