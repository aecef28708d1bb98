"""The issuer over HTTP: what it says of itself, its keys, and the tokens that it gives for a code.

Every answer is bounded in size and time, no redirect is followed, and every address that the issuer
names must be as safe as its own. Keys are fetched anew when a token names one that is not known, at
most once a minute: that is how an issuer changes them.
Spec: OpenID Connect Discovery 1.0, 3 and 4; RFC 6749, 2.3.1 and 4.1.3 (CONFIRMED).
"""

from __future__ import annotations

import ssl
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from config.clock import Clock
from config.errors import ConfigurationError
from config.web import Oidc, is_loopback
from web.errors import IdentityRefusedError, IssuerUnavailableError

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures that are believed: all need a private key, so that only the issuer can make them."""

_LARGEST_BYTES: Final = 256_000
_MOST_KEYS: Final = 100
_SMALLEST_RSA_BITS: Final = 2_048
_KNOWN_FOR: Final = timedelta(hours=1)
_AGAIN_AFTER: Final = timedelta(minutes=1)
_REST: Final = timedelta(seconds=5)
_KINDS: Final[Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]]] = {
    "RS": RSAKey,
    "PS": RSAKey,
    "ES": ECKey,
    "Ed": OKPKey,
}
Key = RSAKey | ECKey | OKPKey
T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True):
    """What an issuer says of itself, as far as we use it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    id_token_signing_alg_values_supported: list[str] = msgspec.field(default_factory=list)
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(
        default_factory=lambda: ["client_secret_basic"]
    )
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True):
    """What came for a code; it is shown nowhere."""

    id_token: str
    access_token: str = ""

    def __repr__(self) -> str:
        return "<Tokens>"


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Something of the issuer, and since when it is known."""

    metadata: Metadata
    keys: tuple[Key, ...]
    at: datetime


class Issuer:
    """One issuer; safe to share between threads.

    Args:
        oidc: how it is configured.
        clock: says how old what is known is.
        monotonic: measures how long an answer takes.
    """

    def __init__(
        self, oidc: Oidc, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._oidc, self._clock, self._monotonic = oidc, clock, monotonic
        self._lock = Lock()
        self._known: _Fetched | None = None
        self._failed: datetime | None = None
        self._trust = _trust(oidc)

    def metadata(self) -> Metadata:
        """What it says of itself. Raises: IssuerUnavailableError."""
        return self._fetched().metadata

    def keys(self, algorithm: str, key_id: str | None) -> tuple[Key, ...]:
        """The keys for an algorithm that have that id; all of them where a token names none.

        Raises: IssuerUnavailableError.
        """
        known = self._fetched()
        found = _fitting(known.keys, algorithm, key_id)
        if not found and self._clock.now() - known.at >= _AGAIN_AFTER:
            found = _fitting(self._fetched(anew=known).keys, algorithm, key_id)
        return found

    def tokens(self, code: str, *, verifier: str, redirect_uri: str) -> Tokens:
        """What it gives for a code.

        Raises: IssuerUnavailableError; IdentityRefusedError if it refuses the code, or gives no
            token that says who somebody is.
        """
        metadata = self.metadata()
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        fields["redirect_uri"] = redirect_uri
        headers: dict[str, str] = {}
        client_id, secret = self._oidc.client_id, self._oidc.client_secret.resolve()
        if "client_secret_post" in metadata.token_endpoint_auth_methods_supported:
            fields |= {"client_id": client_id, "client_secret": secret}
        else:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        status, body = self._asked("POST", metadata.token_endpoint, headers=headers, fields=fields)
        if status in {400, 401}:
            raise _refused(body)
        if status != 200:
            raise IssuerUnavailableError(f"the issuer's token endpoint answers {status}")
        try:
            return msgspec.json.decode(body, type=Tokens)
        except msgspec.MsgspecError:
            raise IdentityRefusedError("no ID token came for the code") from None

    def _fetched(self, *, anew: _Fetched | None = None) -> _Fetched:
        """What is known, fetched where it is too old, or no newer than what did not suffice."""
        with self._lock:
            known, now = self._known, self._clock.now()
            if known is not None and known is not anew and now - known.at < _KNOWN_FOR:
                return known
            if self._failed is not None and now - self._failed < _REST:  # who waits need not ask
                raise IssuerUnavailableError("the issuer did not answer just now")
            try:
                metadata = self._discovered()
                self._known = _Fetched(metadata, self._key_set(metadata), now)
            except IssuerUnavailableError:
                self._failed = now
                raise
            self._failed = None
            return self._known

    def _discovered(self) -> Metadata:
        issuer = self._oidc.issuer
        metadata = self._json(get_well_known_url(issuer, external=True), Metadata, "metadata")
        if metadata.issuer.rstrip("/") != issuer:
            raise IssuerUnavailableError("the issuer names itself otherwise than [web.oidc] does")
        for address in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
        ):
            if not _is_as_safe(address, issuer):
                raise IssuerUnavailableError("the issuer names an address without TLS")
        return metadata

    def _key_set(self, metadata: Metadata) -> tuple[Key, ...]:
        told = self._json(metadata.jwks_uri, _KeySet, "keys").keys
        return tuple(key for key in map(_key, told[:_MOST_KEYS]) if key is not None)

    def _json(self, url: str, kind: type[T], what: str) -> T:
        status, body = self._asked("GET", url)
        if status != 200:
            raise IssuerUnavailableError(f"the issuer's {what}: it answers {status}")
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError:
            raise IssuerUnavailableError(f"the issuer's {what} are not as they must be") from None

    def _asked(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request, bounded in size and in time as a whole; a connection of its own."""
        allowed = self._oidc.timeout.total_seconds()
        until = self._monotonic() + allowed
        sent = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        try:
            with (
                httpx.Client(verify=self._trust, timeout=allowed, trust_env=False) as client,
                client.stream(method, url, headers=sent, data=fields) as response,
            ):
                body = bytearray()
                for part in response.iter_raw():
                    body += part
                    if len(body) > _LARGEST_BYTES:
                        raise IssuerUnavailableError("the issuer's answer is too large")
                    if self._monotonic() > until:
                        raise IssuerUnavailableError("the issuer's answer takes too long")
                return response.status_code, bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            kind = type(error).__name__
            raise IssuerUnavailableError(f"the issuer does not answer ({kind})") from None


def _trust(oidc: Oidc) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if oidc.ca is None else str(oidc.ca.file))
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            "web.oidc.ca: the file cannot be read as certificates",
            advice="Controleer of dit PEM-bestand bestaat en leesbaar is.",
        ) from None


def _is_as_safe(address: str, issuer: str) -> bool:
    """Whether an address has TLS; on this machine itself it may do without, as its issuer does."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.username or parts.password or parts.fragment:
        return False
    plain = issuer.startswith("http://") and parts.scheme == "http" and is_loopback(host)
    return parts.scheme == "https" or plain


def _key(told: dict[str, Any]) -> Key | None:
    """A key that signatures can be checked with; None for any other, which others may need."""
    if told.get("use") not in {None, "sig"} or told.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    try:
        if told["kty"] == "RSA" and _bits(told["n"]) < _SMALLEST_RSA_BITS:
            return None
        key = JWKRegistry.import_key(told)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _bits(number: str) -> int:
    """How large a number of a JSON Web Key is."""
    padded = number.encode("ascii") + b"=" * (-len(number) % 4)
    return int.from_bytes(urlsafe_b64decode(padded), "big").bit_length()


def _fitting(keys: tuple[Key, ...], algorithm: str, key_id: str | None) -> tuple[Key, ...]:
    kind = _KINDS[algorithm[:2]]
    return tuple(
        key for key in keys if isinstance(key, kind) and (key_id is None or key.kid == key_id)
    )


def _refused(body: bytes) -> IdentityRefusedError | IssuerUnavailableError:
    """Why a code was refused: it was no good, or it is we who are."""
    try:
        code = msgspec.json.decode(body, type=_Refusal).error
    except msgspec.MsgspecError:
        code = ""
    if code == "invalid_grant":
        return IdentityRefusedError("the issuer refuses the code")
    known = code if code in {"invalid_client", "unauthorized_client", "invalid_request"} else "?"
    return IssuerUnavailableError(f"the issuer refuses this installation ({known})")
