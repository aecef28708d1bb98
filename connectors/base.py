"""What a connector declares, and what it does: the only seam between the engine and a system.

A connector is found through the entry point group `koppelhub.connectors`; the entry point names a
`ConnectorFactory`. It declares a `Manifest` (data), and makes a `Connector` for one koppeling.

Fetching and parsing are apart: a page carries keys and raw bodies only, so that unchanged records
are never parsed; `Connector.parse` turns one body into a typed source record when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from config.clock import Clock
from config.errors import ConfigurationError
from config.nearest import choice
from connectors.errors import ParseError
from connectors.stores import Batches, People, Vault

Cursor = str
"""Opaque: made by a connector, kept by the engine, never looked into."""


class Capability(StrEnum):
    """What a connector can be asked to do for one resource."""

    CHECK = "check"
    SNAPSHOT = "snapshot"
    DELTA = "delta"
    LOOKUP = "lookup"
    DELIVER = "deliver"
    CONFIRM = "confirm"


class DeletionSign(StrEnum):
    """How a resource shows that a record is gone."""

    ABSENCE = "absence"  # it is missing from a complete snapshot
    TOMBSTONE = "tombstone"  # the source says so
    NEVER = "never"


class DataClass(StrEnum):
    """How sensitive a field is (AVG)."""

    ORGANISATION = "organisation"
    PERSON = "person"
    IDENTIFIER = "identifier"
    SPECIAL = "special"  # PGN, health, secret address


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of record that a system delivers, as the system itself names it.

    Attributes:
        name: `leerling`, `ouderVerzorger`; what `--entity` accepts.
        key: the field that identifies a record within its koppeling.
        capabilities: what may be asked; the engine refuses the rest.
        deletion: how a deletion shows.
        fields: every field that the connector can read, with its data class; a field of the source
            that is not here is schema drift.
        optional: read only where the configuration says so (`resources = [...]`).
    """

    name: str
    key: str
    capabilities: frozenset[Capability]
    deletion: DeletionSign
    fields: Mapping[str, DataClass]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """What a system asks of its clients.

    Attributes:
        per_second: requests a second, on average.
        simultaneous: requests under way at once.
        hours: permitted local hours (from, to), half-open, or None for always.
    """

    per_second: float
    simultaneous: int
    hours: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a connector needs in `[source.options]`.

    Attributes:
        secret: it is given as a reference to a secret, never in the configuration file.
        certificate: a PEM file whose first certificate we show; health tells when it ends.
    """

    name: str
    meaning: str
    required: bool = True
    secret: bool = False
    default: str | None = None
    certificate: bool = False


@dataclass(frozen=True, slots=True)
class Assumption:
    """A contract that no public source confirms; production acknowledges each by name."""

    name: str
    text: str
    spec: str


class Keeps(StrEnum):
    """A store of the engine that a connector needs; it is handed in with the `Link`."""

    INBOX = "inbox"  # messages that were received, deduplicated by their id
    VAULT = "vault"  # encrypted values by person and kind
    BATCHES = "batches"  # what is asked in one message and fetched later
    PEOPLE = "people"  # who is in the core, with what its configuration names a purpose for


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a connector declares, as data.

    Attributes:
        specification: name and version that it follows.
        rights: what the school must grant, in Dutch.
        adds: its records only add to persons whom the hub knows already, and are named by their
            hub keys: it makes nobody, ends nobody and keeps nobody.
    """

    system: str
    title: str
    specification: str
    resources: tuple[Resource, ...]
    budget: Budget
    settings: tuple[Setting, ...]
    rights: tuple[str, ...]
    assumptions: tuple[Assumption, ...] = ()
    keeps: frozenset[Keeps] = frozenset()
    adds: bool = False

    def resource(self, name: str) -> Resource:
        """The resource of that name.

        Raises: ConfigurationError if the system has none of that name.
        """
        for resource in self.resources:
            if resource.name == name:
                return resource
        known = ", ".join(r.name for r in self.resources)
        raise ConfigurationError(
            f"{self.system} has no resource {name!r}; it has: {known}",
            advice=choice(name, (r.name for r in self.resources)),
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """The unit that is read and closed as complete: one resource in one part of the source.

    Attributes:
        resource: the resource's name.
        key: stable name of the part (`<vestiging uuid>/HUIDIG`); no personal data.
        rank: 0 for what is valid now; higher for what comes later (next schooljaar). Where two
            scopes of one koppeling deliver the same field, the lowest rank is believed.
        brins: the BRINs and vestigingsnummers that it belongs to; `--school` selects on them.
        schooljaar: first calendar year of the schooljaar that it is read for, where it has one.
        label: what to show to people.
        numbers_of: name of the koppeling that issued the leerlingnummers and personeelsnummers in
            it; empty where the source issues its own.
    """

    resource: str
    key: str
    rank: int = 0
    brins: tuple[str, ...] = ()
    schooljaar: int | None = None
    label: str = ""
    numbers_of: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryContract:
    """Under what terms a scope was delivered: part of every fingerprint of it.

    Attributes:
        fields: field (the source's spelling, dotted when nested) → delivered or not. A field that
            is absent here is *not delivered*.
        version: version of the layout or specification that the source answered with.
    """

    fields: Mapping[str, bool] = field(default_factory=dict)
    version: str = ""

    def delivers(self, name: str) -> bool:
        """Whether the source delivers this field under this contract."""
        return self.fields.get(name, False)


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of one scope, in the source's order, unparsed.

    Attributes:
        keys: the source's own key of each record.
        bodies: the record as the source sent it, same length and order as `keys`.
        rejected: records that have no usable key, with the raw body for the quarantine.
        gone: keys that the source positively says are gone (tombstones of a delta).
        cursor: where a delta may resume once this page and all before it are kept, if it may. In
            a snapshot the last one counts, and only if the reading is complete.
    """

    keys: Sequence[str]
    bodies: Sequence[bytes]
    rejected: Sequence[tuple[ParseError, bytes]] = ()
    gone: Sequence[str] = ()
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether a reading held everything that its scope has.

    Attributes:
        complete: only then may absence be evidence.
        reason: why not, in words without personal data (empty when complete).
        advice: what the helpdesk does with it, in Dutch.
        waits: all went well, and what misses comes by itself: reading again at once brings no more,
            and it is no failure that nothing was there yet.
    """

    complete: bool
    reason: str = ""
    advice: str = ""
    waits: bool = False


class Reading(Protocol):
    """One reading of one scope: iterate its pages once, then ask how complete it was.

    `contract` may be asked once the first page has been taken (or the iteration has ended);
    `completeness` once the iteration has ended. Iterating raises a ConnectorError when the reading
    cannot go on; what was yielded before stays true.
    """

    @property
    def contract(self) -> DeliveryContract:
        """The terms under which this reading is delivered."""

    @property
    def completeness(self) -> Completeness:
        """Whether it held everything that the scope has."""

    def __iter__(self) -> Iterator[Page]: ...


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """An error in an optional field: the field is dropped (not delivered), with this warning."""

    path: str
    rule: str


class SourceRecord(Protocol):
    """A typed, frozen record with the source's own field names in snake_case."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One source record, typed.

    Attributes:
        record: the typed record (frozen pydantic model).
        problems: optional fields that were dropped because they break a rule; a dropped field is
            *not delivered*, never empty.
        unknown: fields that this connector does not know (schema drift), dotted.
    """

    record: SourceRecord
    problems: tuple[FieldProblem, ...] = ()
    unknown: tuple[str, ...] = ()


class Layer(StrEnum):
    """The layer that a check finds failing, from the outside in."""

    NETWORK = "network"
    TLS = "tls"
    LOGIN = "login"
    RIGHTS = "rights"
    LAYOUT = "layout"  # what the school itself installs for us: lists, columns, their version
    SHAPE = "shape"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `check` found in one layer; `advice` is the sentence for the school, in Dutch."""

    layer: Layer
    ok: bool
    message: str
    advice: str = ""


class Connector(Protocol):
    """One koppeling of one system, ready to be asked. Not shared between threads."""

    @property
    def manifest(self) -> Manifest:
        """What the system declares."""

    def check(self) -> Sequence[CheckResult]:
        """Prove each layer in order; stops at the first that fails; reads no records."""

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """What there is to read now.

        Raises: ConnectorError.
        """

    def snapshot(self, scope: Scope) -> Reading:
        """Read everything of one scope."""

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """Read what changed in one scope since the cursor.

        A record that comes again is a newer form of it. Iterating the reading raises
        CursorExpiredError where the source keeps nothing as old as the cursor; the engine then
        takes the snapshot.
        Raises: NotImplementedError never reaches the engine: it asks only what is declared.
        """

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """Read some records by their source keys; a key that the source does not show is left out.

        Never evidence of absence, however complete.
        """

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into a typed source record.

        Raises: ParseError if a required field is missing or breaks its rule.
        """

    def close(self) -> None:
        """Release connections."""


class Action(StrEnum):
    """What a message says of its record."""

    PUT = "put"  # this is the record now, whole
    DELETE = "delete"  # it is gone


@dataclass(frozen=True, slots=True)
class Message:
    """One message that another program sent.

    Attributes:
        message_id: the sender's own, unique within the koppeling; holds no personal data.
        key: the sender's key of the record.
        body: the record, empty for a deletion.
    """

    message_id: str
    resource: str
    key: str
    action: Action
    body: bytes = field(default=b"", repr=False)


class Receipt(StrEnum):
    """What became of a message."""

    ACCEPTED = "accepted"
    KNOWN = "known"  # the same message came before: it has one effect
    CONFLICT = "conflict"  # its id came before with other content: refused


@dataclass(frozen=True, slots=True)
class Claimed:
    """The newest message on one record.

    Attributes:
        number: ascends in the order in which messages came in.
        body: the record; None where the message says that it is gone.
    """

    number: int
    key: str
    body: bytes | None = field(repr=False)


Door = Callable[[Message], tuple[Message, Sequence[FieldProblem]]]
"""A message as it is to be kept, and what is wrong with it: nothing, where it may be taken."""


class Inbox(Protocol):
    """Messages that came in for one koppeling; of each record the newest counts.

    Everything that it is asked to do is whole when it returns. May be shared between threads.
    """

    def put(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        """Take some messages, in their order; what is refused takes nothing else with it."""

    def collect(self, door: Door) -> int:
        """Take over what stands in the table view, and say how many messages that were.

        A row that is refused stays there, marked, without its content.
        """

    def position(self) -> int:
        """The number of the newest message; 0 where none ever came."""

    def claims(self, resource: str, *, after: str, limit: int) -> Sequence[Claimed]:
        """What is claimed now, deletions included, in the order of the keys that follow `after`."""

    def changes(self, resource: str, *, after: int, limit: int) -> Sequence[Claimed]:
        """The claims that are newer than a number, oldest first."""

    def find(self, resource: str, keys: Sequence[str]) -> Sequence[Claimed]:
        """The claims on these records, in the order of their keys."""


class CircuitState(StrEnum):
    """Whether a host is asked at all."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Pacer(Protocol):
    """The rate budget of one koppeling, over all who ask its system. Shared between threads."""

    def place(self) -> AbstractContextManager[None]:
        """One of the places for requests that are under way at once; waits until one is free."""

    def take(self) -> None:
        """Take one request of the budget, and wait until it may go out.

        Raises: RateLimitedError where the system asked for patience that is not over.
        """

    def pause(self, duration: timedelta) -> None:
        """The system asked for patience: nobody takes a request for so long."""


class Breaker(Protocol):
    """Stops asking one host of a system that is down. Shared between threads."""

    @property
    def state(self) -> CircuitState:
        """What it does with the next request."""

    def admit(self) -> bool:
        """Whether a request may go out now; after a pause one alone may, and decides."""

    def succeeded(self) -> None:
        """The host answered."""

    def failed(self) -> None:
        """The host did not answer."""


class Manners(Protocol):
    """How a system is spared by all who ask it; a transport asks here before it asks there."""

    def pacer(self, budget: Budget) -> Pacer:
        """The budget of this koppeling."""

    def breaker(self, host: str) -> Breaker:
        """The circuit of one host of this system."""

    def close(self) -> None:
        """Release what is held open."""


@dataclass(frozen=True, slots=True)
class Link:
    """Everything that a connector is given for one koppeling.

    Attributes:
        name: the koppeling's name in the configuration.
        options: settings by name, secrets resolved; never logged.
        resources: names of the resources to read, or empty for all that are not optional.
        timeout: bound on one request.
        drop: fields (`leerling.BSN`) that must not be asked, or are dropped at intake.
        inbox: where the manifest declares that it needs one.
        manners: how its system is spared, for the transport; None spares it within this connector.
        vault, batches, people: where the manifest declares that it needs them.
    """

    name: str
    options: Mapping[str, str] = field(repr=False)
    resources: tuple[str, ...] = ()
    timeout: timedelta = timedelta(seconds=60)
    drop: frozenset[str] = frozenset()
    inbox: Inbox | None = None
    manners: Manners | None = None
    vault: Vault | None = None
    batches: Batches | None = None
    people: People | None = None


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation as a system itself lists it.

    Attributes:
        key: what the system calls it, for the setting that names it.
        brins: of its schools, the first one its own.
    """

    key: str
    name: str
    brins: tuple[str, ...]


@runtime_checkable
class Directory(Protocol):
    """A factory of a system that says which organisation a school is: nobody types it.

    Attributes:
        organisation_setting: the setting that names the organisation of a koppeling.
    """

    @property
    def organisation_setting(self) -> str:
        """The setting that the key of an organisation is for."""

    def organisations(
        self, options: Mapping[str, str], *, brin: str, clock: Clock
    ) -> Sequence[Organisation]:
        """The organisations with a school of that BRIN; asks without any key.

        Args:
            options: the plain settings of the koppeling that is to be: where to ask.
            brin: of the school.
            clock: of the request.

        Raises: ConfigurationError; ConnectorError.
        """


class ConnectorFactory(Protocol):
    """What the entry point names: the manifest, and a way to make a connector."""

    @property
    def manifest(self) -> Manifest:
        """What the system declares."""

    def connect(self, link: Link, *, clock: Clock | None = None) -> Connector:
        """A connector for one koppeling; opens no connection yet.

        Raises: ConfigurationError if a setting misses or breaks its rule.
        """

    def parse(self, resource: str, body: bytes) -> Parsed:
        """As `Connector.parse`; a record can be read without a koppeling."""
