"""Tenants and their koppelingen, as the configuration file names them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from config.duration import ScheduleText
from config.errors import ConfigurationError
from config.frozen import Frozen
from config.policies import Freshness, Unmatched
from config.scheduling import Blackouts
from config.secret import Secret
from sector.identifiers import Brin, Vestigingsnummer

REFERENCE: Final = "reference"
TEXT: Final = "text"
"""Tags of what may be a text or a reference to a secret."""

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}").fullmatch

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Title = Annotated[str, Field(min_length=1, max_length=200)]


def shape(value: object) -> str:
    """The tag of a value: a table is a reference to a secret, the rest is text."""
    return REFERENCE if isinstance(value, dict | Secret) else TEXT


def _plain(value: object) -> object:
    """Numbers and switches of an option as text, which is what connectors are given."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _all_or_some(value: object) -> object:
    if value == "all":
        return None
    if isinstance(value, list | tuple) and not value:
        message = 'names none; write "all", or leave the key out'
        raise ValueError(message)
    return value


def _address(text: str) -> str:
    if _ADDRESS(text) is None or ".." in text:
        message = "must be a plain e-mail address, such as ops@voorbeeld.example"
        raise ValueError(message)
    return text


def _hours(value: object) -> object:
    return (0, 24) if value == "always" else value


Hour = Annotated[int, Field(ge=0, le=24)]
Hours = Annotated[tuple[Hour, Hour], BeforeValidator(_hours)]
"""Permitted local hours: from, and up to, which may be those of the next day."""

Option = Annotated[
    Annotated[Secret, Tag(REFERENCE)] | Annotated[str, BeforeValidator(_plain), Tag(TEXT)],
    Discriminator(shape),
]


Address = Annotated[str, AfterValidator(_address)]
"""An e-mail address that can end no header: plain ASCII, without a name."""


class School(Frozen):
    """One school of a tenant.

    Attributes:
        contact: where its weekly report goes: an address of the school's administration.
    """

    brin: Brin
    name: Title
    contact: Address | None = None


def _some(schools: tuple[School, ...]) -> tuple[School, ...]:
    if not schools:
        message = "names no school"
        raise ValueError(message)
    if len({school.brin for school in schools}) != len(schools):
        message = "two schools have the same BRIN"
        raise ValueError(message)
    return schools


class Tenant(Frozen):
    """One bevoegd gezag: the border of correlation and of keys."""

    name: Name
    title: Title
    school: Annotated[tuple[School, ...], AfterValidator(_some)]


class PgnPurpose(StrEnum):
    """What the BSN or onderwijsnummer may be used for."""

    ECKID = "eckid"
    ROD = "rod"
    OSO = "oso"


class Pgn(Frozen):
    """One purpose for which a school agreed to the use of persoonsgebonden nummers.

    Attributes:
        purpose: what for.
        legal_basis: the law or agreement that allows it, in words.
        agreed_on: the day on which the school agreed.
    """

    purpose: PgnPurpose
    legal_basis: Annotated[str, Field(min_length=3), AfterValidator(str.strip)]
    agreed_on: date


class Ends(StrEnum):
    """What of a koppeling can end on a day."""

    CERTIFICATE = "certificate"
    CREDENTIAL = "credential"
    MANDATE = "mandate"


class Expires(Frozen):
    """Something of a koppeling that ends, which the hub cannot see by itself.

    Attributes:
        what: certificate, credential (a token, a password) or mandate (agreement, verwerking).
        on: the last day on which it is valid.
        label: which one, for people; no secret.
    """

    what: Ends
    on: date
    label: Annotated[str, Field(max_length=80), AfterValidator(str.strip)] = ""


class Agreement(Frozen):
    """That a school agreed to this koppeling, before a key of it is used.

    Attributes:
        on: the day of the agreement.
        basis: the agreement itself, in words (`verwerkersovereenkomst 2026-12`).
        purpose: what the data may be used for.
    """

    on: date
    basis: Annotated[str, Field(min_length=3, max_length=300), AfterValidator(str.strip)]
    purpose: Annotated[str, Field(min_length=3, max_length=300), AfterValidator(str.strip)]


class Source(Frozen):
    """One koppeling: one connection of one system, for one tenant.

    Attributes:
        name: what `--source` and the authority policy name.
        system: name of the connector (`somtoday`).
        tenant: name of the tenant.
        options: what the connector needs; see `koppelhub connectors`.
        resources: what to read beyond or instead of the connector's choice; empty is its choice.
        vestigingen: vestigingsnummers to include, or None for all.
        schedule: when it is read whole by itself, or None for by hand only.
        delta_schedule: when what changed is read by itself, of systems that can tell; or None.
        blackout: its own windows in which nothing begins by itself; None for those of all.
        hours: the local hours in which it may run by itself, `[1, 5]` or "always"; None for those
            that the connector declares.
        freshness: its own promise, or None for the policy's.
        drop: fields of the source (`leerling.pasfoto`) that are not asked, or dropped at intake.
        agreement: of the school; in production nothing is read without one.
        pgn: purposes for which BSN and onderwijsnummer are read; without any they are dropped.
        keys_of: the koppeling whose leerlingen and medewerkers have the same keys as its own, where
            the supplier says that they do: who has the same key there is the same person.
        unmatched: what to do with a record of this koppeling that is like no other; None is as
            policy says. A koppeling that only adds to what others say makes nobody.
        expires: what of it ends on a day, that health is to tell of in time.
    """

    name: Name
    system: Name
    tenant: Name
    options: dict[str, Option] = Field(default_factory=dict)
    resources: tuple[str, ...] = ()
    vestigingen: Annotated[tuple[Vestigingsnummer, ...] | None, BeforeValidator(_all_or_some)] = (
        None
    )
    schedule: ScheduleText | None = None
    delta_schedule: ScheduleText | None = None
    blackout: Blackouts | None = None
    hours: Hours | None = None
    freshness: Freshness | None = None
    drop: frozenset[str] = frozenset()
    agreement: Agreement | None = None
    pgn: tuple[Pgn, ...] = ()
    keys_of: Name | None = None
    unmatched: Unmatched | None = None
    expires: tuple[Expires, ...] = ()

    @model_validator(mode="after")
    def _purposes_once(self) -> Self:
        purposes = [pgn.purpose for pgn in self.pgn]
        if len(set(purposes)) != len(purposes):
            message = "pgn: names a purpose twice"
            raise ValueError(message)
        return self

    @property
    def pgn_allowed(self) -> bool:
        """Whether BSN and onderwijsnummer may be read."""
        return bool(self.pgn)

    def pgn_allowed_for(self, purpose: PgnPurpose) -> bool:
        """Whether they may be used for one purpose."""
        return any(pgn.purpose is purpose for pgn in self.pgn)

    def includes(self, numbers: Collection[str]) -> bool:
        """Whether a part of the source, with these BRINs and vestigingsnummers, is to be read."""
        if self.vestigingen is None:
            return True
        return any(vestiging.reveal() in numbers for vestiging in self.vestigingen)

    def resolve_options(
        self, *, secret: Collection[str] = (), env: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The options with their secrets, for a connector; never to be logged.

        Args:
            secret: names of the options that the connector declares to be secrets.
            env: the environment; that of the process by default.

        Raises: ConfigurationError if a secret is not there, or stands in the file as it is.
        """
        resolved = {}
        for name, option in self.options.items():
            if isinstance(option, Secret):
                resolved[name] = option.resolve(env)
            elif name in secret:
                message = f"source[{self.name}].options.{name}: must be a reference to a secret"
                raise ConfigurationError(message, advice=f'Schrijf {name} = {{ env = "NAAM" }}.')
            else:
                resolved[name] = option
        return resolved
