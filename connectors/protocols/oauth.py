"""OAuth2 client credentials: one token per organisation, renewed before it expires."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import msgspec

from config.clock import Clock
from connectors.errors import AuthenticationError, RequestRefusedError
from connectors.protocols.rest import Answer, Query, RestTransport

_MARGIN: Final = timedelta(seconds=60)
_WITHOUT_EXPIRY: Final = timedelta(minutes=10)
_LONGEST: Final = timedelta(days=1)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: float | str | None = None


_DECODER: Final = msgspec.json.Decoder(_TokenAnswer)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a token is asked with. The secret is opaque: never trimmed, never shown."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    query: tuple[tuple[str, str], ...] = ()


class ClientCredentials:
    """Keeps one token; asks for another before the old one expires.

    Spec: RFC 6749, section 4.4 (CONFIRMED). Without `expires_in` a token is kept for 10 minutes;
    else until 60 s before it expires, or half its life where that is shorter (ASSUMED, somtoday.md
    section 3).
    """

    def __init__(self, transport: RestTransport, credentials: Credentials, *, clock: Clock) -> None:
        self._transport = transport
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def token(self, *, refused: str = "") -> str:
        """A token that is valid now.

        Args:
            refused: a token that the system has just refused; it is not given again.

        Raises: AuthenticationError if the credentials are refused; ConnectorError.
        """
        with self._lock:
            stale = self._clock.monotonic() >= self._until
            if stale or not self._token or self._token == refused:
                self._renew()
            return self._token

    def _renew(self) -> None:
        self._token = ""
        answer = self._ask()
        grant = answer.decode(_DECODER)
        if grant.token_type.lower() != "bearer" or _TOKEN.fullmatch(grant.access_token) is None:
            raise answer.violation("holds no usable bearer token", where="access_token")
        self._token = grant.access_token
        life = _life(grant.expires_in)
        self._until = self._clock.monotonic() + (life - min(_MARGIN, life / 2)).total_seconds()

    def _ask(self) -> Answer:
        own = self._credentials
        try:
            return self._transport.post_form(
                own.token_url,
                operation="POST token",
                query=own.query,
                form={
                    "grant_type": "client_credentials",
                    "client_id": own.client_id,
                    "client_secret": own.client_secret,
                },
            )
        except RequestRefusedError as error:
            message = f"POST token: refused with status {error.code}"
            raise AuthenticationError(
                message,
                system=error.system,
                operation=error.operation,
            ) from error


def _life(expires_in: float | str | None) -> timedelta:
    """How long a token lives; also where the number was sent as text."""
    try:
        seconds = float(expires_in) if expires_in is not None else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        return _WITHOUT_EXPIRY + _MARGIN
    return min(timedelta(seconds=min(seconds, _LONGEST.total_seconds())), _LONGEST)


class BearerSession:
    """Reads with a bearer token; a refused token is renewed once and the call repeated once.

    Args:
        accept: media types to ask for, where they are not the transport's own.
    """

    def __init__(
        self, transport: RestTransport, credentials: ClientCredentials, *, accept: str = ""
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._headers = {"Accept": accept} if accept else {}

    def get(
        self,
        url: str,
        *,
        operation: str,
        query: Query = (),
        repeat_timeouts: bool = True,
    ) -> Answer:
        """Read one answer.

        Raises: RequestRefusedError (`.code` "401") when the renewed token is refused too;
            AuthenticationError if no token is given; ConnectorError.
        """
        token = self._credentials.token()
        try:
            return self._transport.get(
                url,
                operation=operation,
                query=query,
                headers={**self._headers, **_bearer(token)},
                repeat_timeouts=repeat_timeouts,
            )
        except RequestRefusedError as error:
            if error.code != "401":
                raise
        token = self._credentials.token(refused=token)
        return self._transport.get(
            url,
            operation=operation,
            query=query,
            headers={**self._headers, **_bearer(token)},
            repeat_timeouts=repeat_timeouts,
        )


def _bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}
