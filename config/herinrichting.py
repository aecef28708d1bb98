"""Herinrichtingen: numbers of schools that change on a day, as the configuration announces them.

A BRIN or vestigingsnummer changes, a vestiging goes to another BRIN, two instellingen become one,
the administration makes a vestiging anew, or a school goes to another tenant with the koppelingen
that bring it. What stands here is announced only: it is in force once a person has seen what it
does and applied it (`koppelhub herinrichting apply`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from config.frozen import Frozen
from config.guards import BRIN_LENGTH
from config.sources import Name
from sector.identifiers import Brin, InvalidIdentifierError, Vestigingsnummer


def _number(text: str) -> str:
    kind = Brin if len(text.strip()) <= BRIN_LENGTH else Vestigingsnummer
    try:
        return kind(text.strip()).reveal()
    except InvalidIdentifierError as exc:
        raise ValueError(exc.rule) from None


SchoolNumber = Annotated[str, AfterValidator(_number)]
"""A BRIN or a vestigingsnummer, in capitals."""


class NumberChange(Frozen):
    """What one number becomes.

    Attributes:
        number: as it is until the day (`from` in the file).
        to: the new number of the same school; neither this nor `into`: the number stays, and the
            administration brings the school under records of their own from then on.
        into: the BRIN of an instelling that goes on, and takes this one in.
        source: the koppeling that stops bringing this school on the day; another takes over.
    """

    number: Annotated[SchoolNumber, Field(alias="from")]
    to: SchoolNumber | None = None
    into: SchoolNumber | None = None
    source: Name | None = None

    @model_validator(mode="after")
    def _one_step_of_one_kind(self) -> Self:
        if self.to is not None and self.into is not None:
            message = "has both to and into: a school gets another number, or is taken in"
            raise ValueError(message)
        becomes = self.to or self.into
        if becomes == self.number:
            message = "leads to the number that it is; leave to out where the number stays"
            raise ValueError(message)
        if becomes is not None and len(becomes) != len(self.number):
            message = "leads from a BRIN to a vestigingsnummer, or the other way round"
            raise ValueError(message)
        if self.into is not None and len(self.number) != BRIN_LENGTH:
            message = "into is for a BRIN: vestigingen go on under a number of their own"
            raise ValueError(message)
        return self

    @property
    def becomes(self) -> str:
        """The number from the day on."""
        return self.to or self.into or self.number


def _some(numbers: tuple[NumberChange, ...]) -> tuple[NumberChange, ...]:
    if not numbers:
        message = "names no number"
        raise ValueError(message)
    return numbers


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        message = "names a koppeling twice"
        raise ValueError(message)
    return names


def _vestigingen(numbers: tuple[str, ...]) -> tuple[str, ...]:
    if not numbers or any(len(number) <= BRIN_LENGTH for number in numbers):
        message = "must name vestigingsnummers"
        raise ValueError(message)
    return numbers


class MovedPart(Frozen):
    """The vestigingen of one koppeling that go to another tenant, where others of it stay.

    Attributes:
        koppeling: that brought them until now.
        vestigingen: that go.
        to: the koppeling of the other tenant that brings them from now on; it has read nothing yet.
    """

    koppeling: Name
    vestigingen: Annotated[tuple[SchoolNumber, ...], AfterValidator(_vestigingen)]
    to: Name


class AnnouncedHerinrichting(Frozen):
    """One reorganisation of a tenant: every number that changes on one day, or who leaves it.

    Attributes:
        name: what commands name it by.
        on: the first day of the new numbers, or under the other tenant.
        nummer: what becomes of each number; empty where `naar` is there.
        naar: the tenant that koppelingen go to, with all that they brought.
        koppelingen: those that go whole; of the past too, which the configuration names no more.
        deel: what goes of those that stay.
    """

    name: Name
    tenant: Name
    on: date
    nummer: Annotated[tuple[NumberChange, ...], AfterValidator(_some)] = ()
    naar: Name | None = None
    koppelingen: Annotated[tuple[Name, ...], AfterValidator(_once)] = ()
    deel: tuple[MovedPart, ...] = ()

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.naar is None:
            if self.koppelingen or self.deel:
                message = "koppelingen: names who goes; write naar, the tenant that they go to"
                raise ValueError(message)
            if not self.nummer:
                message = "nummer: is required"
                raise ValueError(message)
            return self
        if self.nummer:
            message = "nummer: does not go with naar; announce it apart, in the new tenant"
            raise ValueError(message)
        if not self.going:
            message = "koppelingen: is required with naar"
            raise ValueError(message)
        _once((*self.going, *(part.koppeling for part in self.deel)))
        if self.naar == self.tenant:
            message = "naar: is the tenant that they are of"
            raise ValueError(message)
        return self

    @property
    def going(self) -> tuple[str, ...]:
        """The koppelingen that are the other tenant's afterwards."""
        return (*self.koppelingen, *(part.to for part in self.deel))

    def moves(self, source: str, *, between: frozenset[str]) -> bool:
        """Whether it takes a koppeling from one of these two tenants to the other."""
        return source in self.going and between == {self.tenant, self.naar}


def clash(changes: Iterable[tuple[str, NumberChange]]) -> str:
    """What is wrong with the changes of one tenant together, or ''.

    Args:
        changes: (name of its herinrichting, change).
    """
    leads: dict[str, str] = {}
    places: dict[str, str] = {}
    renamed: set[str] = set()
    for name, change in changes:
        place = f"herinrichting[{name}].nummer[{change.number}]"
        if change.number in places:
            return f"{place}: this number changes in {places[change.number]} too (overlap)"
        if change.to in renamed:
            return f"{place}.to: is the new number of another school too (overlap)"
        places[change.number] = place
        if change.to is not None:
            renamed.add(change.to)
        if change.becomes != change.number:
            leads[change.number] = change.becomes
    for number in leads:
        if problem := _onward(number, leads):
            return f"{places[number]}: {problem}"
    return ""


def _onward(number: str, leads: dict[str, str]) -> str:
    """What is wrong where a change leads to a number that changes itself."""
    seen, step = {number}, leads[number]
    if step not in leads:
        return ""
    while step in leads and step not in seen:
        seen.add(step)
        step = leads[step]
    if step in seen:
        return "leads back to a number that changes itself (cycle)"
    return (
        "leads to a number that changes itself (chain); "
        "name the last one, or take out what is in force already"
    )
