"""The pages of this installation: where they are served, and how people sign in to them."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.duration import Duration
from config.frozen import Frozen
from config.secret import Secret

_LOOPBACK_NAME: Final = "localhost"
_PORTS: Final = {"http": 80, "https": 443}
Network = IPv4Network | IPv6Network


def is_loopback(host: str) -> bool:
    """Whether a name or address is that of this machine alone."""
    if host == _LOOPBACK_NAME:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _address(text: str) -> str:
    """An address on the web, without user, query or fragment, and without a slash at its end."""
    message = "must be an address such as https://koppelhub.school.example, without a password"
    try:
        parts = urlsplit(text)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(message) from None
    if not known or parts.scheme not in _PORTS or parts.username or parts.query or parts.fragment:
        raise ValueError(message)
    if not text.isascii() or any(sign.isspace() for sign in text):
        raise ValueError(message)
    if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
        message = "must begin with https://, but for an address of this machine itself"
        raise ValueError(message)
    return text.rstrip("/")


def _without_path(text: str) -> str:
    if urlsplit(text).path:
        message = "must be an address without a path"
        raise ValueError(message)
    return text


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value)
    except ValueError:
        message = "must be an address or network, such as 10.0.0.4 or 10.0.0.0/28"
        raise ValueError(message) from None


Address = Annotated[str, AfterValidator(_address)]


class OperatorClaim(StrEnum):
    """What of an identity names the operator."""

    EMAIL = "email"
    PREFERRED_USERNAME = "preferred_username"


class Certificates(Frozen):
    """Certificates of authorities, in one PEM file."""

    file: Path


class Oidc(Frozen):
    """Sign-in at an issuer of OpenID Connect.

    Attributes:
        issuer: as the issuer writes itself; `/.well-known/openid-configuration` is below it.
        client_id, client_secret: what the issuer knows this installation by.
        label: what the button says, in the language of the school.
        claim: which claim names the `[[operator]]`; an e-mail address must be verified.
        groups: who is in one of these may come in; empty for no such rule.
        groups_claim: the claim that lists somebody's groups.
        scopes: asked beside `openid`.
        timeout: for each request to the issuer.
        skew: how far the issuer's clock may differ from ours.
        ca: whose certificates are trusted for the issuer; None for those that this machine trusts.
    """

    issuer: Address
    client_id: Annotated[str, Field(min_length=1, max_length=500)]
    client_secret: Secret
    label: Annotated[str, Field(min_length=1, max_length=60)] = "schoolaccount"
    claim: OperatorClaim = OperatorClaim.EMAIL
    groups: frozenset[str] = frozenset()
    groups_claim: Annotated[str, Field(min_length=1, max_length=100)] = "groups"
    scopes: tuple[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$")], ...] = (
        "email",
        "profile",
    )
    timeout: Annotated[Duration, Field(gt=timedelta(), le=timedelta(minutes=1))] = timedelta(
        seconds=10
    )
    skew: Annotated[Duration, Field(le=timedelta(minutes=5))] = timedelta(minutes=1)
    ca: Certificates | None = None


class Sessions(Frozen):
    """How long somebody stays signed in.

    Attributes:
        idle: without doing anything.
        absolute: whatever he does.
    """

    idle: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=1))]
    absolute: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=7))]

    @model_validator(mode="after")
    def _idle_is_the_shorter(self) -> Self:
        if self.idle > self.absolute:
            message = "idle: must not be longer than absolute"
            raise ValueError(message)
        return self


class Web(Frozen):
    """The pages, and who gets in.

    Attributes:
        host, port: where `koppelhub serve` listens.
        public_url: what people type; without it only addresses of this machine are answered.
        proxies: addresses of our own reverse proxies, whose `X-Forwarded-For` is believed.
        local_accounts: whether people may sign in with a password of the hub itself.
        oidc: the issuer where people sign in; None for none.
        metrics_token: what a monitor shows for /metrics and /v1/health; without one only callers on
            this machine are answered, and nobody where there is a `public_url`.
    """

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=0, le=65535)]
    public_url: Annotated[Address, AfterValidator(_without_path)] | None = None
    proxies: tuple[Annotated[Network, BeforeValidator(_network)], ...]
    local_accounts: bool
    sessions: Sessions
    oidc: Oidc | None = None
    metrics_token: Secret | None = None

    @property
    def is_secure(self) -> bool:
        """Whether people come in over TLS."""
        return self.public_url is not None and self.public_url.startswith("https://")

    @property
    def authority(self) -> str | None:
        """Host and port of `public_url` as a browser writes them in `Host`; None without one."""
        if self.public_url is None:
            return None
        parts = urlsplit(self.public_url)
        host = str(parts.hostname)
        host = f"[{host}]" if ":" in host else host
        usual = parts.port in {None, _PORTS[parts.scheme]}
        return host if usual else f"{host}:{parts.port}"
