"""An administration that speaks UWLR, for the contract suite."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from lxml import etree

from config.clock import FixedClock
from connectors.base import Scope
from connectors.uwlr.connector import UwlrConnector
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.uwlr import UwlrSandbox
from tests.contract.suite import Fault, Harness
from tests.support.uwlr import connect, truth

NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
TODAY = date(2026, 11, 2)

_FAULTS: dict[Fault, AnyFault] = {
    Fault.DOUBLE: faults.DoubleKey(),
    Fault.NO_KEY: faults.NoKey(),
    Fault.WRONG_OPTIONAL: faults.WrongElement(),
    Fault.RATE_LIMITED: faults.RateLimited(retry_after=7),
    Fault.SERVER_ERROR: faults.ServerError(),
    Fault.RESET: faults.Reset(),
    Fault.EXPIRED_TOKEN: faults.SoapFault(code="Server.TijdelijkNietBeschikbaar"),
    Fault.TRUNCATED: faults.TruncatedXml(),
    Fault.NOT_JSON: faults.HtmlAsXml(),
    Fault.HUGE: faults.HugeBody(),
    Fault.REDIRECT: faults.Redirect(),
    Fault.REFUSED: faults.SoapFault(code="Client.AutorisatieOngeldig"),
    # what has no pages cannot do these: other faults of UWLR take their place
    Fault.SHORT_PAGE: faults.WrongNamespace(),
    Fault.EMPTY_PAGE: faults.Doctype(bomb=True),
    Fault.REPEATED_PAGE: faults.DoubleKey(altered=True),
    Fault.SKIPPED_PAGE: faults.DanglingGroup(),
    Fault.INSERTED: faults.SharedEckid(),
    Fault.DELETED: faults.Doctype(),
}


class UwlrHarness(Harness):
    """A school of two vestigingen, told under the LVS-set."""

    def __init__(self, sandbox: UwlrSandbox) -> None:
        self.sandbox = sandbox
        self.clock = FixedClock(NOW)
        self.today = TODAY
        self.made: list[UwlrConnector] = []

    def connect(
        self, *, timeout: timedelta = timedelta(seconds=10), **options: str
    ) -> UwlrConnector:
        connector = connect(self.sandbox, self.clock, timeout=timeout, options=options)
        self.made.append(connector)
        return connector

    def set(self, **options: str) -> UwlrConnector:
        """A connector with these options."""
        return self.connect(**options)  # type: ignore[arg-type] # none of them is a time-out

    def persons(self, scopes: Iterable[Scope]) -> Scope:
        return next(scope for scope in scopes if scope.resource == "leerling")

    def truth(self, scope: Scope) -> list[str]:
        if scope.resource == "school":
            return [scope.key]
        return truth(self.sandbox, scope.resource)

    def misbehave(self, fault: Fault) -> None:
        self.sandbox.misbehave(_FAULTS[fault])

    def canaries(self) -> frozenset[str]:
        edexml, told = self.sandbox.uwlr.edexml, self.sandbox.uwlr.telling
        found = {self.sandbox.grant.sleutel, self.sandbox.grant.klantcode}
        with self.sandbox.school.lock:
            for pupil in edexml.leerlingen(0, selection="HUIDIG", telling=told):
                element = etree.fromstring(f"<x>{pupil.content}</x>")
                names = ("achternaam", "roepnaam", "geboortedatum")
                found |= {element.findtext(name, "") for name in names}
                found.add(pupil.attributes.get("eckid", ""))
        return frozenset(value for value in found if len(value) >= 6)
