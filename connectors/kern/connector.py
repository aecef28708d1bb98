"""The tracking application as a source: it is asked nothing, its inbox is read.

`KERN` at the end is what the entry point names. The inbox is the engine's; the application fills it
through the table view and through HTTP (endpoint.py). See docs/kern.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import msgspec

from config.clock import Clock
from config.errors import ConfigurationError
from connectors.base import (
    Action,
    CheckResult,
    Cursor,
    DeliveryContract,
    FieldProblem,
    Inbox,
    Layer,
    Link,
    Manifest,
    Message,
    Parsed,
    Reading,
    Scope,
)
from connectors.kern.endpoint import InboxEndpoint
from connectors.kern.manifest import MANIFEST, SYSTEM, read_options
from connectors.kern.reading import Changes, Snapshot, Some
from connectors.kern.records import MODELS, PERSONAL, check, parse, with_key

SCOPE_KEY: Final = "inbox"
"""The key of every scope: what the application says has no parts."""


class KernConnector:
    """One koppeling: one inbox."""

    def __init__(self, link: Link, inbox: Inbox) -> None:
        self._link, self._inbox = link, inbox
        self._numbers_of = read_options(link.options).text("numbers_of")

    @property
    def manifest(self) -> Manifest:
        """What it can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Nothing is held open."""

    def check(self) -> Sequence[CheckResult]:
        """Whether the inbox can be read; there is no network to prove."""
        self._inbox.position()
        return [CheckResult(Layer.SHAPE, True, "the inbox can be read")]

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """One scope for each resource; first takes over what stands in the table view."""
        self._inbox.collect(self._door)
        chosen = {MANIFEST.resource(name).name for name in self._link.resources} or set(MODELS)
        return [
            Scope(name, SCOPE_KEY, label=name, numbers_of=self._numbers_of)
            for name in MODELS
            if name in chosen
        ]

    def snapshot(self, scope: Scope) -> Reading:
        """Every claim of one resource."""
        return Snapshot(self._inbox, scope, self._contract(scope))

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """What came in since the cursor; without one, everything."""
        if cursor is None:
            return self.snapshot(scope)
        return Changes(self._inbox, scope, self._contract(scope), cursor=cursor)

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """Some claims by key."""
        return Some(self._inbox, scope, self._contract(scope), keys=keys)

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into its record of records.py."""
        return KERN.parse(resource, body)

    def _door(self, message: Message) -> tuple[Message, Sequence[FieldProblem]]:
        """A row of the table view as it is to be kept; personal numbers may not stand there."""
        if message.action is Action.DELETE:
            return message, check(message)
        try:
            record = msgspec.json.decode(message.body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return message, (FieldProblem("body", "is no JSON object"),)
        personal = sorted(name for name in PERSONAL if record.get(name) is not None)
        if personal:
            rule = "may not stand in this table; send it over HTTP"
            return message, [FieldProblem(name, rule) for name in personal]
        drop = dropped_of(self._link, message.resource)
        kept = replace(message, body=with_key(record, message.key, drop=drop))
        return kept, check(kept)

    def _contract(self, scope: Scope) -> DeliveryContract:
        resource = MANIFEST.resource(scope.resource)
        dropped = dropped_of(self._link, resource.name)
        fields = {path: path.partition(".")[0] not in dropped for path in resource.fields}
        return DeliveryContract(fields, MANIFEST.specification)


def dropped_of(link: Link, resource: str) -> frozenset[str]:
    """The fields of a resource that must not be read."""
    dotted = (name.partition(".") for name in link.drop)
    return frozenset(field for of, _, field in dotted if of == resource) - {"key"}


@dataclass(frozen=True, slots=True)
class KernFactory:
    """Makes connectors, and what answers the application's calls."""

    @property
    def manifest(self) -> Manifest:
        """What the tracking application can be asked."""
        return MANIFEST

    def connect(self, link: Link, *, clock: Clock | None = None) -> KernConnector:
        """A connector for one koppeling.

        Raises: ConfigurationError, naming the setting and the rule, never the value.
        """
        return KernConnector(link, _inbox_of(link))

    def parse(self, resource: str, body: bytes) -> Parsed:
        """One raw body → its typed record. Raises: ParseError."""
        return parse(MANIFEST.resource(resource).name, body)

    def endpoint(self, link: Link) -> InboxEndpoint:
        """What answers the calls of the application.

        Raises: ConfigurationError if the koppeling has no token.
        """
        token = read_options(link.options).text("token")
        if not token:
            raise ConfigurationError(
                f"{SYSTEM}: token is required to answer calls",
                advice=f'Geef koppeling {link.name} een token: token = {{ env = "NAAM" }}.',
            )
        drop = {name: dropped_of(link, name) for name in MODELS}
        return InboxEndpoint(_inbox_of(link), token, drop=drop)


def _inbox_of(link: Link) -> Inbox:
    if link.inbox is None:
        raise ConfigurationError(
            f"{SYSTEM}: there is no inbox",
            advice="Dit systeem werkt alleen binnen Koppelhub zelf.",
        )
    return link.inbox


KERN: Final = KernFactory()
