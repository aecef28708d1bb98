"""A UWLR sandbox with what the tests of several rooms need around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import msgspec

from config.clock import Clock
from connectors.base import Link, Scope
from connectors.protocols.rest import Limits
from connectors.protocols.xmldoc import whole
from connectors.uwlr.connector import UWLR, UwlrConnector
from connectors.uwlr.names import CUT, KNOWN, lg
from connectors.uwlr.records import transcribe
from fixtures.sandbox.uwlr import UwlrSandbox

HUIDIG = 2026


def body_of(resource: str, xml: str) -> bytes:
    """A record as the connector keeps it, under the full profile."""
    element = whole(xml.encode())
    if resource == "school":
        names = {lg(name): name for name in ("brincode", "dependancecode", "schoolkey")}
        return msgspec.json.encode(transcribe(element, names=names, cut=()))
    names = {lg(name): name for name in KNOWN[resource]}
    cut = {lg(name) for name in CUT[resource]}
    return msgspec.json.encode(transcribe(element, names=names, cut=cut))


def options_of(sandbox: UwlrSandbox, **options: str) -> dict[str, str]:
    """What a koppeling of this sandbox is set to."""
    told = sandbox.uwlr.telling
    return {
        "endpoint": sandbox.endpoint,
        "autorisatiesleutel": sandbox.grant.sleutel,
        "klantcode": sandbox.grant.klantcode,
        "klantnaam": sandbox.grant.klantnaam,
        "vestigingen": f"{sandbox.school.plan.brin}01",
        "profiel": told.profile,
        "per_second": "0",
        **options,
    }


def connect(
    sandbox: UwlrSandbox,
    clock: Clock,
    *,
    resources: tuple[str, ...] = (),
    drop: frozenset[str] = frozenset(),
    timeout: timedelta = timedelta(seconds=10),
    body_bytes: int = 1_000_000,
    options: Mapping[str, str] | None = None,
) -> UwlrConnector:
    """A connector to it."""
    link = Link("proef", options_of(sandbox, **(options or {})), resources=resources, drop=drop)
    limits = Limits(total=timeout, body_bytes=body_bytes)
    return UWLR.connect(link, clock=clock, limits=limits)


def scope(resource: str = "leerling", place: str = "99XX01") -> Scope:
    """One scope of this school year."""
    if resource == "school":
        return Scope(resource, place)
    return Scope(resource, f"{place}/huidig", schooljaar=HUIDIG)


def tell(sandbox: UwlrSandbox, **how: object) -> None:
    """Let the school be told otherwise from now on."""
    sandbox.uwlr.command("tell", how)


def truth(
    sandbox: UwlrSandbox, resource: str, *, vestiging: int = 0, version: str = "2.2"
) -> list[str]:
    """The LAS keys of a resource now, in the order of an answer."""
    with sandbox.school.lock:
        return _truth(sandbox, resource, vestiging, version=version)


def _truth(sandbox: UwlrSandbox, resource: str, vestiging: int, *, version: str) -> list[str]:
    edexml, told = sandbox.uwlr.edexml, sandbox.uwlr.telling
    told = replace(told, version=version)
    year = sandbox.school.peil("HUIDIG").year
    groups = list(edexml.groups(vestiging, year=year, telling=told))
    every: Mapping[str, list[str]] = {
        "vestiging": [one.key for one in edexml.vestigingen([vestiging])],
        "groep": [one.key for one in groups if one.tag == "groep"],
        "samengestelde_groep": [one.key for one in groups if one.tag != "groep"],
        "leerling": [
            one.key for one in edexml.leerlingen(vestiging, selection="HUIDIG", telling=told)
        ],
        "leerkracht": [one.key for one in edexml.leerkrachten(vestiging, year=year, telling=told)],
    }
    return list(every[resource])
