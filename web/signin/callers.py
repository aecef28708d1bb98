"""Who calls and what he calls us: the address behind our proxies, and the names that are ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from starlette.requests import HTTPConnection

from config.web import Network, Web, is_loopback

_UNKNOWN: Final = "-"
_MOST_PROXIES: Final = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request arrived.

    Attributes:
        origin: scheme, host and port as the browser sees them.
        is_secure: the browser spoke TLS.
    """

    origin: str
    is_secure: bool


def place_of(request: HTTPConnection, web: Web) -> Place | None:
    """Where a request arrived; None where the host that it names is not ours.

    Without `public_url` only the names of this machine itself are: another site could be made to
    lead here by its own name, and a browser would then let it read the pages.
    """
    host = request.headers.get("host", "").lower()
    if web.public_url is not None and web.authority is not None:
        if host != web.authority:
            return None
        scheme = web.public_url.partition(":")[0]
        return Place(f"{scheme}://{host}", scheme == "https")
    name = host.rpartition(":")[0] if _has_port(host) else host
    if not is_loopback(name):
        return None
    scheme = "https" if request.scope["scheme"] == "https" else "http"
    return Place(f"{scheme}://{host}", scheme == "https")


def _has_port(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    return bool(colon) and port.isdigit() and (":" not in name or name.endswith("]"))


def address_of(request: HTTPConnection, proxies: Sequence[Network]) -> str:
    """The address of who calls; what our own proxies say of it is believed, and no other's."""
    told = "" if request.client is None else request.client.host
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for former in reversed(forwarded[-_MOST_PROXIES:]):
        if not _is_one_of(told, proxies) or not _plain(former):
            break
        told = _plain(former)
    return _plain(told) or _UNKNOWN


def _plain(text: str) -> str:
    """An address in its one form; empty for what is none."""
    try:
        return str(ip_address(text.strip().strip("[]")))
    except ValueError:
        return ""


def _is_one_of(text: str, networks: Sequence[Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
