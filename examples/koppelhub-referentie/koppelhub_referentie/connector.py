"""The connector of the Referentiebron: what it declares, how it is asked, and what it is told.

`REFERENTIE` at the end is what the entry point names. The hub reads its manifest, and asks it for a
connector per koppeling. Time-outs, repetition, `Retry-After`, rate and size limits are those of the
hub's own transport: a connector adds only what its system is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final
from urllib.parse import quote

from config.clock import Clock, SystemClock
from config.errors import ConfigurationError
from connectors.base import (
    Budget,
    Capability,
    CheckResult,
    Cursor,
    DataClass,
    DeletionSign,
    DeliveryContract,
    Layer,
    Link,
    Manifest,
    Parsed,
    Reading,
    Resource,
    Scope,
    Setting,
)
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.protocols.parsing import field_paths
from connectors.protocols.rest import Answer, Limits, Query, RestTransport, check_url
from connectors.targets import Answered, Outgoing
from koppelhub_referentie.delivering import Deliveries
from koppelhub_referentie.reading import Changes, Fetch, Snapshot, Some, read_cursor
from koppelhub_referentie.records import MODELS, Persoon, parse

SYSTEM: Final = "referentie"
DELIVERED: Final = "leerlingen"
EVERYTHING: Final = "alles"
"""The key of each scope: this source has no parts, so each entity is one scope."""

# -- what it declares ----------------------------------------------------------------------------

# The engine refuses whatever is not declared here, and `koppelhub connectors` prints it.
_CAN: Final = frozenset(
    {Capability.CHECK, Capability.SNAPSHOT, Capability.DELTA, Capability.LOOKUP}
)
_SPECIAL: Final = frozenset(
    {"bsn", "onderwijsnummer"}
)  # never read unless the configuration names a purpose
_IDENTIFIERS: Final = frozenset({"key", "eck_id", "leerlingnummer", "personeelsnummer"})
_ABOUT_PERSONS: Final = frozenset({"inschrijving", "verzorger_relatie"})


def _data_class(entity: str, path: str) -> DataClass:
    """How sensitive a field is."""
    if path in _SPECIAL:
        return DataClass.SPECIAL
    personal = issubclass(MODELS[entity], Persoon) or entity in _ABOUT_PERSONS
    if personal and path in _IDENTIFIERS:
        return DataClass.IDENTIFIER
    listed = path == "leerlingen"  # a group is no person, its members are
    return DataClass.PERSON if personal or listed else DataClass.ORGANISATION


MANIFEST: Final = Manifest(
    system=SYSTEM,
    title="Referentiebron",
    specification="Referentiebron v1",
    resources=(
        *(
            Resource(
                name,
                "key",
                _CAN,
                DeletionSign.TOMBSTONE,
                {path: _data_class(name, path) for path in field_paths(model)},
            )
            for name, model in MODELS.items()
        ),
        # Not read but delivered to, and only where the koppeling names it in `resources`.
        Resource(
            DELIVERED,
            "key",
            frozenset({Capability.DELIVER, Capability.CONFIRM}),
            DeletionSign.NEVER,
            {},
            optional=True,
        ),
    ),
    budget=Budget(per_second=20.0, simultaneous=2),
    settings=(
        Setting("base_url", "Address of the Referentiebron, without /v1"),
        Setting("token", "Its token", secret=True),
        Setting("limit", "Records per page, 1 to 1000", required=False, default="200"),
    ),
    rights=("Vraag de beheerder van de Referentiebron om een token.",),
)

# -- how it is asked -----------------------------------------------------------------------------


class ReferentieConnector:
    """One koppeling: one address and one token."""

    def __init__(self, link: Link, options: Mapping[str, str], *, transport: RestTransport) -> None:
        self._link = link
        self._base = options["base_url"]
        self._token = options["token"]
        self._limit = int(options["limit"])
        self._transport = transport
        self._deliveries = Deliveries(
            SYSTEM, f"{self._base}/v1", token=self._token, transport=transport
        )

    @property
    def manifest(self) -> Manifest:
        """What the Referentiebron can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Release connections."""
        self._transport.close()

    def check(self) -> Sequence[CheckResult]:
        """Prove network, TLS, login and shape with one question that reads no record."""
        order = (Layer.NETWORK, Layer.TLS, Layer.LOGIN, Layer.RIGHTS, Layer.SHAPE)
        passed = [CheckResult(layer, True, f"{layer} is well") for layer in order]
        try:
            self._cursor()
        except ConnectorError as error:
            layer = _layer_of(error)
            failed = CheckResult(layer, False, str(error), error.advice)
            return [*passed[: order.index(layer)], failed]
        return passed

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """One scope for each entity that the koppeling is set to read."""
        chosen = {MANIFEST.resource(name).name for name in self._link.resources} or set(MODELS)
        return [Scope(name, EVERYTHING, label=name) for name in MODELS if name in chosen]

    def snapshot(self, scope: Scope) -> Reading:
        """Read everything of one entity; nothing is asked before the iteration begins."""
        return Snapshot(*self._terms(scope), begin=self._cursor, limit=self._limit)

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """Read what changed since the cursor; without one, everything."""
        if cursor is None:
            return self.snapshot(scope)
        return Changes(*self._terms(scope), cursor=cursor, limit=self._limit)

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """Read some records by key."""
        # A key comes from a person or the database: it must stay one segment of the path, and a
        # word that the path has for itself is no key.
        usable = [key for key in keys if key not in {"", ".", "..", "changes"}]
        return Some(*self._terms(scope), paths=[f"/{quote(key, safe='')}" for key in usable])

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into its record of records.py."""
        return REFERENTIE.parse(resource, body)

    def deliver(self, messages: Sequence[Outgoing]) -> Iterator[Answered]:
        """Deliver leerlingen, one after another; what was delivered before is not done again."""
        return self._deliveries.deliver(messages)

    def confirm(self, message_ids: Sequence[str]) -> Iterator[Answered]:
        """Ask what became of messages."""
        return self._deliveries.confirm(message_ids)

    def _terms(self, scope: Scope) -> tuple[Fetch, DeliveryContract, frozenset[str]]:
        """How this entity is asked, under which terms, and what is cut off at intake."""
        declared = MANIFEST.resource(scope.resource)
        dotted = (name.partition(".") for name in self._link.drop)
        drop = frozenset(
            field.partition(".")[0] for resource, _, field in dotted if resource == declared.name
        ) - {"key"}
        delivered = {path: path.partition(".")[0] not in drop for path in declared.fields}
        contract = DeliveryContract(delivered, MANIFEST.specification)
        return partial(self._get, declared.name), contract, drop

    def _cursor(self) -> Cursor:
        return read_cursor(self._get("cursor", ""))

    def _get(self, entity: str, path: str, *, query: Query = ()) -> Answer:
        """One answer. The operation names the call in logs and errors; the path never does."""
        operation = f"GET {entity}"
        try:
            return self._transport.get(
                f"{self._base}/v1/{entity}{path}",
                operation=operation,
                query=query,
                headers={"Authorization": f"Bearer {self._token}"},
            )
        except RequestRefusedError as error:
            if error.code != "401":
                raise
            message = f"{operation}: the token is refused"
            raise AuthenticationError(message, system=SYSTEM, operation=operation) from error


def _layer_of(error: ConnectorError) -> Layer:
    """The layer that an error shows to fail."""
    match error:
        case AuthenticationError():
            return Layer.LOGIN
        case RequestRefusedError():
            return Layer.RIGHTS
        case ProtocolViolationError(where="tls"):
            return Layer.TLS
        case ProtocolViolationError():
            return Layer.SHAPE
        case _:
            return Layer.NETWORK


# -- what the entry point names ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReferentieFactory:
    """Makes connectors."""

    @property
    def manifest(self) -> Manifest:
        """What the Referentiebron can be asked."""
        return MANIFEST

    def connect(
        self, link: Link, *, clock: Clock | None = None, limits: Limits | None = None
    ) -> ReferentieConnector:
        """A connector for one koppeling; asks nothing yet.

        Raises: ConfigurationError, naming the setting and the rule, never the value.
        """
        options = _options(link.options)
        transport = RestTransport(
            SYSTEM,
            clock=clock if clock is not None else SystemClock(),
            budget=MANIFEST.budget,
            manners=link.manners,
            limits=limits if limits is not None else Limits(total=link.timeout),
        )
        return ReferentieConnector(link, options, transport=transport)

    def parse(self, resource: str, body: bytes) -> Parsed:
        """One raw body → its typed record. Raises: ParseError."""
        return parse(MANIFEST.resource(resource).name, body)


def _options(given: Mapping[str, str]) -> Mapping[str, str]:
    """The settings, checked, with defaults."""
    known = {setting.name: setting for setting in MANIFEST.settings}
    options = {name: setting.default or "" for name, setting in known.items()} | dict(given)
    for name in options:
        if name not in known:
            raise _wrong(name, "is not a setting of this system")
        if known[name].required and not options[name]:
            raise _wrong(name, "is required")
    limit = options["limit"]
    if not (limit.isascii() and limit.isdigit()) or not 1 <= int(limit[:9]) <= 1000:
        raise _wrong("limit", "must be a number from 1 to 1000")
    if not options["token"].isascii() or not options["token"].isprintable():
        raise _wrong("token", "must hold plain signs only")
    return options | {"base_url": check_url("base_url", options["base_url"])}


def _wrong(name: str, rule: str) -> ConfigurationError:
    return ConfigurationError(
        f"{SYSTEM}: {name} {rule}", advice=f"Controleer de instelling `{name}` van deze koppeling."
    )


REFERENTIE: Final = ReferentieFactory()
