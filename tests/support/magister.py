"""A school whose administrator has installed our lists in Magister, for the contract suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from config.clock import FixedClock
from connectors.base import Link, Reading, Scope
from connectors.magister.connector import MAGISTER, MagisterConnector
from connectors.protocols.rest import Limits
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.magister import MagisterSandbox
from tests.contract.suite import Fault, Harness, read

PUPILS: Final = 30
LEERLINGEN: Final = "Layout=presentis-leerlingen"
TODAY: Final = date(2026, 11, 2)

_FAULTS: dict[Fault, AnyFault] = {
    Fault.SHORT_PAGE: faults.ShortRow(at=3),
    Fault.EMPTY_PAGE: faults.ZeroRows(),
    Fault.REPEATED_PAGE: faults.RepeatedHeader(),
    Fault.SKIPPED_PAGE: faults.ChangedRow(at=5, change={"lesperiode": ""}),
    Fault.DOUBLE: faults.RepeatedRow(at=2, change={"roepnaam": "Dubbel"}),
    Fault.NO_KEY: faults.ChangedRow(at=3, change={"leer_id": ""}),
    Fault.WRONG_OPTIONAL: faults.ChangedRow(at=3, change={"geboortedatum": "31-02-2010"}),
    Fault.INSERTED: faults.RecordInserted(resource="leerling"),
    Fault.DELETED: faults.RecordDeleted(resource="leerling"),
    Fault.RATE_LIMITED: faults.RateLimited(retry_after=7),
    Fault.SERVER_ERROR: faults.ServerError(),
    Fault.RESET: faults.Reset(),
    Fault.EXPIRED_TOKEN: faults.ExpiredToken(),
    Fault.TRUNCATED: faults.CutBody(count=4),
    Fault.NOT_JSON: faults.HtmlPage(),
    Fault.HUGE: faults.HugeBody(),
    Fault.REDIRECT: faults.Redirect(),
    Fault.REFUSED: faults.NoRight(),
}

SCHOOL_KEYS = {
    "vestiging": ("presentis-vestigingen", "locatie_id"),
    "vak": ("presentis-vakken", "vak_code"),
    "medewerker": ("presentis-medewerkers", "pers_id"),
    "verzorger": ("presentis-verzorgers", "verzorger_id"),
    "studie": ("presentis-leerlingen", "studie_id"),
    "leerling": ("presentis-leerlingen", "leer_id"),
    "groep": ("presentis-groepen", "groep_id"),
}


class MagisterHarness(Harness):
    """A school whose administrator has installed our lists."""

    def __init__(self, sandbox: MagisterSandbox) -> None:
        self.sandbox = sandbox
        self.clock = FixedClock(datetime(2026, 11, 2, 3, tzinfo=UTC))
        self.today = TODAY
        self.made: list[MagisterConnector] = []

    def connect(
        self,
        *,
        resources: tuple[str, ...] = (),
        drop: frozenset[str] = frozenset(),
        timeout: timedelta = timedelta(seconds=10),
        options: Mapping[str, str] | None = None,
        **more: str,
    ) -> MagisterConnector:
        account, client = self.sandbox.account, self.sandbox.client
        given = {
            "base_url": self.sandbox.base_url,
            "username": account.user,
            "password": account.password,
            "per_second": "0",
            "scim_url": self.sandbox.scim_base,
            "token_url": self.sandbox.token_url,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            **(options or {}),
            **more,
        }
        link = Link("proef", given, resources=resources, drop=drop)
        limits = Limits(total=timeout, connect=timedelta(seconds=2), body_bytes=2_000_000)
        connector = MAGISTER.connect(link, clock=self.clock, limits=limits)
        assert isinstance(connector, MagisterConnector)  # mode `scim` has another
        self.made.append(connector)
        return connector

    def read_all(
        self, connector: MagisterConnector, scope: Scope
    ) -> tuple[dict[str, dict[str, Any]], Reading]:
        """Bodies by key, and the reading."""
        reading = connector.snapshot(scope)
        pages = read(reading)
        found = {k: b for page in pages for k, b in zip(page.keys, page.bodies, strict=True)}
        return {key: msgspec.json.decode(body) for key, body in found.items()}, reading

    def scope(self, resource: str = "leerling", key: str = "HUIDIG") -> Scope:
        return Scope(resource, key, schooljaar=2027 if key == "VOLGEND" else 2026)

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(s for s in scopes if (s.resource, s.key) == ("leerling", "HUIDIG"))

    def rows(self, layout: str) -> list[dict[str, str]]:
        return list(self.sandbox.magister.layouts.rows(layout))

    def truth(self, scope: Scope) -> list[str]:
        layout, column = SCHOOL_KEYS[scope.resource]
        period = {"HUIDIG": "2627", "VOLGEND": "2728"}.get(scope.key)
        found = {
            row[column]
            for row in self.rows(layout)
            if period is None or row["lesperiode"] == period
        }
        return sorted(found - {""})

    def misbehave(self, fault: Fault) -> None:
        self.arm(_FAULTS[fault])

    def arm(self, fault: AnyFault, query: str = LEERLINGEN) -> None:
        """Do this when a list is asked."""
        self.sandbox.misbehave(msgspec.structs.replace(fault, query=query))

    def canaries(self) -> frozenset[str]:
        names = ("achternaam", "voornamen", "email", "geboortedatum", "mobiel")
        found = {row[name] for row in self.rows("presentis-leerlingen") for name in names}
        numbers = ("bsn", "onderwijsnummer")
        found |= {row[name] for row in self.rows("presentis-pgn") for name in numbers}
        found.add(self.sandbox.account.password)
        return frozenset(value for value in found if len(value) >= 6)


def asked(sandbox: MagisterSandbox) -> list[str]:
    """Every list or function that was asked, in order."""
    return [call.layout or call.function for call in sandbox.calls]
