"""A connector that reads page files with the Somtoday wire code, in place of a server.

Splitting, field permissions, parsing and mapping are those of a real run; only HTTP is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from benchmarks.data import HUIDIG, Dataset
from connectors.base import (
    Capability,
    CheckResult,
    Completeness,
    Cursor,
    DeliveryContract,
    Manifest,
    Page,
    Parsed,
    Reading,
    Scope,
)
from connectors.errors import RequestRefusedError
from connectors.protocols.rest import Answer
from connectors.somtoday.connector import SOMTODAY
from connectors.somtoday.permissions import contract_of
from connectors.somtoday.wire import (
    ALWAYS_CUT,
    ENDPOINTS,
    read_permissions,
    split_page,
)

RESOURCES = ("vestiging", "vak", "leerling", "lesgroep")
MANIFEST = replace(
    SOMTODAY.manifest,
    resources=tuple(
        replace(resource, capabilities=frozenset({Capability.CHECK, Capability.SNAPSHOT}))
        for resource in SOMTODAY.manifest.resources
        if resource.name in RESOURCES
    ),
)


class FilesReading:
    """One list, from its files."""

    def __init__(self, bodies: Iterator[bytes], resource: str) -> None:
        self._bodies = bodies
        self._resource = resource
        self._contract = DeliveryContract()
        self._ended = False

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._contract

    @property
    def completeness(self) -> Completeness:
        """Complete once every file was read."""
        return Completeness(complete=self._ended)

    def __iter__(self) -> Iterator[Page]:
        """Each file once."""
        endpoint = ENDPOINTS[self._resource]
        for body in self._bodies:
            answer = Answer(200, "application/json", body)
            page = split_page(answer, endpoint.list_key, cut=ALWAYS_CUT)
            if page.permissions is not None:
                permissions: Mapping[str, Any] = read_permissions(page.permissions, answer)
                self._contract = contract_of(
                    self._resource, endpoint.model, permissions=permissions
                )
            yield Page(page.keys, page.bodies, list(page.rejected.values()))
        self._ended = True


class FilesConnector:
    """One koppeling whose server is a directory."""

    def __init__(self, data: Dataset, variant: str) -> None:
        self._data = data
        self._variant = variant

    @property
    def manifest(self) -> Manifest:
        """That of the real connector, less what files cannot answer."""
        return MANIFEST

    def check(self) -> Sequence[CheckResult]:
        """There is nothing to prove."""
        return ()

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """One vestiging, this schooljaar."""
        key = self._data.vestiging
        year = today.year if today.month >= 8 else today.year - 1
        return (
            Scope("vestiging", "organisatie"),
            Scope("vak", key),
            Scope("leerling", f"{key}/{HUIDIG}", schooljaar=year),
            Scope("lesgroep", f"{key}/{HUIDIG}", schooljaar=year),
        )

    def snapshot(self, scope: Scope) -> Reading:
        """Read the files of one list."""
        if scope.resource == "vestiging":
            return FilesReading(iter((self._vestiging(),)), scope.resource)
        return FilesReading(self._data.bodies(scope.resource, self._variant), scope.resource)

    def _vestiging(self) -> bytes:
        record = {"uuid": self._data.vestiging, "naam": "School De Haven"}
        rights = {"uuid": True, "naam": True}
        return msgspec.json.encode({"vestigingen": [record], "veldpermissies": rights})

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """The manifest declares no delta.

        Raises: RequestRefusedError.
        """
        raise RequestRefusedError("files have no deltas", code="not declared", operation="delta")

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """The manifest declares no look-up.

        Raises: RequestRefusedError.
        """
        raise RequestRefusedError("files have no look-ups", code="not declared", operation="lookup")

    def parse(self, resource: str, body: bytes) -> Parsed:
        """As the real connector."""
        return SOMTODAY.parse(resource, body)

    def close(self) -> None:
        """Nothing is open."""
