"""HTTP for all connectors: one client, bounded in time, size, rate and repetition.

Nothing of httpx leaves this module: every failure becomes an error of connectors/errors.py. No
message, log line or exception holds a body, a query, a path or a header: a path may hold a key of a
person, so calls are named by their `operation` (`GET leerling`) and their correlation id.
"""

from __future__ import annotations

import logging
import ssl
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from config.clock import Clock
from config.errors import ConfigurationError
from config.web import is_loopback
from connectors.base import Breaker, Budget, CircuitState, Manners
from connectors.errors import (
    AnswerTimeoutError,
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.pacing import (
    OwnManners,
    Patience,
    open_circuit,
    repeat,
    retry_after,
)
from connectors.protocols.watching import Asked, asking, tell_waited

T = TypeVar("T")

Query = Sequence[tuple[str, str]]

CORRELATION_HEADER: Final = "X-Correlation-ID"

_log = logging.getLogger(__name__)

_GZIP: Final = 16 + zlib.MAX_WBITS
_REFUSAL_BYTES: Final = 64 * 1024
"""How much is read of an answer that says no."""

_SEALED: Final = "koppelhub.sealed"
_TOTAL: Final = "koppelhub.total"

_REFUSALS: Final[Mapping[int, str]] = {
    400: "Het bronsysteem begrijpt de vraag van de hub niet. Meld dit bij ops, met het runnummer.",
    404: "Het bronsysteem laat dit niet (meer) zien. Vraag de school of het daar nog bestaat.",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one request.

    Attributes:
        connect: to make the connection.
        total: from sending until the last byte of the answer, and on each read.
        body_bytes: of the answer, after decompression.
        patience: over the repetitions of one call.
    """

    connect: timedelta = timedelta(seconds=10)
    total: timedelta = timedelta(seconds=60)
    body_bytes: int = 64 * 1024 * 1024
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Intake(Generic[T]):
    """How the answer to a posted document is taken.

    Attributes:
        receive: turns media type and chunks into what was asked for, while they come in. It runs
            once for each attempt, so that what it made of a body that was cut off is thrown away;
            it raises nothing but ConnectorErrors.
        refused: judges the status, media type and beginning of an answer of 400 and above, where
            the protocol puts its own errors; None leaves it to the status.
    """

    receive: Callable[[str, Iterable[bytes]], T]
    refused: Callable[[int, str, bytes], ConnectorError | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a status of 200 to 299."""

    status: int
    media_type: str
    body: bytes = field(repr=False)
    system: str = ""
    operation: str = ""

    def decode(self, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as JSON of the decoder's type.

        Raises: ProtocolViolationError if it is not JSON, or not of that shape.
        """
        if "json" not in self.media_type:
            raise self.violation("is not JSON by its Content-Type", where="header Content-Type")
        try:
            return decoder.decode(self.body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
            kind = "is not of the shape of its specification"
            if not isinstance(exc, msgspec.ValidationError):
                kind = "is not readable JSON"
            raise self.violation(kind, where="body") from None

    def violation(
        self, what: str, *, where: str, advice: str | None = None
    ) -> ProtocolViolationError:
        """An error about this answer."""
        return ProtocolViolationError(
            f"{self.operation}: the answer {what}",
            where=where,
            system=self.system,
            operation=self.operation,
            advice=advice,
        )


def check_url(name: str, url: str, *, allow_plain_http: bool = False) -> str:
    """The address of a setting, without a trailing slash.

    Raises: ConfigurationError, naming the setting, if it is no https address (http only on this
        machine, or where plain http is allowed by name), or holds credentials, a query or fragment.
    """
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise _wrong_url(name, "is not an address") from None
    if parts.userinfo or parts.query or parts.fragment:
        raise _wrong_url(name, "holds more than a host and a path")
    plain = parts.scheme == "http" and (allow_plain_http or is_loopback(parts.host))
    if not parts.host or not (parts.scheme == "https" or plain):
        raise _wrong_url(name, "must begin with https://")
    return url.rstrip("/")


def _wrong_url(name: str, rule: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} {rule}",
        advice=f"Controleer het adres bij de instelling `{name}`: het moet met https:// beginnen "
        "en alleen een server en een pad bevatten.",
    )


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A query that is part of the address on the wire only."""

    query: tuple[tuple[str, str], ...] = field(repr=False)


@cache
def _own_trust() -> ssl.SSLContext:
    """Whom this machine trusts, read once a process: that takes longer than many requests."""
    return httpx.create_ssl_context(trust_env=False)


class _SealedWire(httpx.HTTPTransport):
    """Puts a sealed query into the address below all that httpx logs, raises and remembers."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; the only function in which such an address exists."""
        sealed = request.extensions.get(_SEALED)
        if not isinstance(sealed, _Sealed):
            return super().handle_request(request)
        query = urlencode(sealed.query, safe="", quote_via=quote)
        return super().handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(query=query.encode("ascii")),
                headers=request.headers,
                stream=request.stream,
                extensions={k: v for k, v in request.extensions.items() if k != _SEALED},
            )
        )


class RestTransport:
    """Requests to one system over one reused client; synchronous.

    Args:
        system: the system's name, for errors and logs.
        clock: the source of now, waiting and deadlines.
        budget: rate and number of requests at once; `per_second` zero is no limit.
        limits: bounds on one request.
        manners: how the system is spared, with all others who ask it; closed with the transport.
            Without any it is spared within this transport.
        tls: another trust than the machine's own (a test authority, a client certificate).
        proxy: through which everything goes; it may hold credentials, and is never shown.
    """

    def __init__(
        self,
        system: str,
        *,
        clock: Clock,
        budget: Budget,
        limits: Limits | None = None,
        manners: Manners | None = None,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        self._system = system
        self._clock = clock
        self._limits = limits if limits is not None else Limits()
        self._manners = manners if manners is not None else OwnManners(clock=clock)
        self._pacer = self._manners.pacer(budget)
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.Lock()
        total = self._limits.total.total_seconds()
        self._client = httpx.Client(
            transport=_SealedWire(
                verify=tls if tls is not None else _own_trust(),
                limits=httpx.Limits(max_connections=budget.simultaneous),
                trust_env=False,
                proxy=proxy,
            ),
            timeout=httpx.Timeout(total, connect=self._limits.connect.total_seconds()),
            follow_redirects=False,
            trust_env=False,
            headers={"Accept-Encoding": "gzip", "User-Agent": "Koppelhub"},
        )

    def circuit(self, url: str) -> CircuitState:
        """Whether the host of this address is asked at all."""
        return self._breaker(httpx.URL(url)).state

    def close(self) -> None:
        """Release the connections."""
        self._client.close()
        self._manners.close()

    def _breaker(self, url: httpx.URL) -> Breaker:
        host = url.netloc.decode("ascii")  # without user, path and query
        with self._lock:
            if host not in self._breakers:
                self._breakers[host] = self._manners.breaker(host)
            return self._breakers[host]

    def get(
        self,
        url: str,
        *,
        operation: str,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        sealed: Query = (),
        enough: Callable[[bytes], bool] | None = None,
        repeat_timeouts: bool = True,
    ) -> Answer:
        """Read; repeated by the retry policy.

        Args:
            url: of what is read.
            operation: what the call is named by.
            query: of the address.
            headers: besides our own.
            sealed: the query of a protocol that prescribes credentials or keys of persons in it: it
                takes the place of `query`, and exists on the wire only.
            enough: asked with what has come so far; true ends the answer there.
            repeat_timeouts: if false a time-out is raised at once, for a caller that then asks for
                less.

        Raises: ConnectorError; RequestRefusedError with the status as `.code` for 4xx.
        """
        request = self._request("GET", url, query=query, headers=headers or {})
        if sealed:
            request.extensions[_SEALED] = _Sealed(tuple(sealed))
        return self._call(
            lambda: self._attempt(request, operation=operation, enough=enough),
            request,
            repeat_timeouts=repeat_timeouts,
        )

    def post_form(
        self, url: str, *, operation: str, form: Mapping[str, str], query: Query = ()
    ) -> Answer:
        """Ask for a token; repeated by the retry policy, since that has no other effect.

        Raises: as `get`.
        """
        request = self._request("POST", url, query=query, headers={}, form=form)
        return self._call(
            lambda: self._attempt(request, operation=operation), request, repeat_timeouts=True
        )

    def post_document(
        self,
        url: str,
        *,
        operation: str,
        document: bytes,
        headers: Mapping[str, str],
        intake: Intake[T],
        repeats: bool = True,
        total: timedelta | None = None,
        method: str = "POST",
    ) -> T:
        """Post a document and take the answer while it comes in.

        `repeats` says that asking twice has no other effect than asking once; without it nothing
        is repeated. `total` is another bound on this one request than `Limits.total`. `method` is
        another one that carries a document: PUT, DELETE.
        Raises: ConnectorError.
        """
        seconds = (total if total is not None else self._limits.total).total_seconds()
        request = self._client.build_request(
            method,
            url,
            content=document,
            headers=dict(headers),
            timeout=httpx.Timeout(seconds, connect=self._limits.connect.total_seconds()),
        )
        request.extensions[_TOTAL] = seconds

        def attempt() -> T:
            return self._guarded(
                lambda: self._exchange(request, operation=operation, intake=intake),
                request,
                operation=operation,
            )

        return self._call(attempt, request, repeat_timeouts=True) if repeats else attempt()

    def _request(
        self,
        method: str,
        url: str,
        *,
        query: Query,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        return self._client.build_request(
            method,
            url,
            params=httpx.QueryParams(list(query)) if query else None,
            headers={"Accept": "application/json", **headers},
            data=form,
        )

    def _call(
        self, attempt: Callable[[], T], request: httpx.Request, *, repeat_timeouts: bool
    ) -> T:
        def may_repeat(error: ConnectorError) -> bool:
            if self._breaker(request.url).state is CircuitState.OPEN:
                return False
            return error.retryable and (
                repeat_timeouts or not isinstance(error, AnswerTimeoutError)
            )

        return repeat(
            attempt, patience=self._limits.patience, clock=self._clock, may_repeat=may_repeat
        )

    def _attempt(
        self,
        request: httpx.Request,
        *,
        operation: str,
        enough: Callable[[bytes], bool] | None = None,
    ) -> Answer:
        """One request and its whole answer."""
        return self._guarded(
            lambda: self._send(request, operation=operation, enough=enough),
            request,
            operation=operation,
        )

    def _guarded(self, ask: Callable[[], T], request: httpx.Request, *, operation: str) -> T:
        """One request under the circuit, the number at once and the rate; its outcome is noted."""
        breaker = self._breaker(request.url)
        if breaker.state is CircuitState.OPEN:
            raise open_circuit(self._system, operation)
        since = self._clock.monotonic()
        with self._pacer.place():
            self._pacer.take()
            tell_waited(self._clock.monotonic() - since)
            if not breaker.admit():
                raise open_circuit(self._system, operation)
            return self._told(ask, request, breaker, operation=operation)

    def _told(
        self, ask: Callable[[], T], request: httpx.Request, breaker: Breaker, *, operation: str
    ) -> T:
        """Ask, and tell all who share this host and this budget what came of it."""
        correlation = str(uuid.uuid4())  # its dashes keep it from being taken for a number
        request.headers[CORRELATION_HEADER] = correlation
        started = self._clock.monotonic()
        host = request.url.netloc.decode("ascii")
        asked = Asked(self._system, operation, request.method, host, correlation)
        try:
            with asking(asked):
                answer = ask()
        except SourceUnavailableError as error:
            breaker.failed()
            _log.info("%s: %s [%s]", operation, type(error).__name__, correlation)
            raise
        except ConnectorError as error:
            breaker.succeeded()
            if isinstance(error, RateLimitedError) and error.retry_after is not None:
                self._pacer.pause(error.retry_after)
            _log.info("%s: %s [%s]", operation, type(error).__name__, correlation)
            raise
        breaker.succeeded()
        spent = self._clock.monotonic() - started
        _log.debug("%s: answered in %.3f s [%s]", operation, spent, correlation)
        return answer

    def _exchange(self, request: httpx.Request, *, operation: str, intake: Intake[T]) -> T:
        """Send, judge, and hand the body over chunk by chunk; the edge at which httpx ends."""
        try:
            response = self._client.send(request, stream=True)
            try:
                media_type = _media_type(response)
                if response.status_code >= 400:
                    begin = self._beginning(response, operation=operation)
                    error = intake.refused(response.status_code, media_type, begin)
                    if error is not None:
                        raise error
                self._judge(response, operation=operation)
                return intake.receive(media_type, self._chunks(response, operation=operation))
            finally:
                response.close()
        except httpx.TimeoutException as exc:
            raise self._timed_out(exc, operation=operation) from exc
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as exc:
            raise self._broken(exc, operation=operation) from exc

    def _beginning(self, response: httpx.Response, *, operation: str) -> bytes:
        """The first part of a body that says why not; empty where it cannot be read."""
        begin = b""
        try:
            for chunk in self._chunks(response, operation=operation):
                begin += chunk
                if len(begin) > _REFUSAL_BYTES:
                    break
        except ConnectorError:
            return b""
        return begin[:_REFUSAL_BYTES]

    def _send(
        self,
        request: httpx.Request,
        *,
        operation: str,
        enough: Callable[[bytes], bool] | None = None,
    ) -> Answer:
        """Send, judge the status, read the body; the edge at which httpx ends."""
        try:
            response = self._client.send(request, stream=True)
            try:
                self._judge(response, operation=operation)
                chunks = self._chunks(response, operation=operation)
                body = b"".join(chunks) if enough is None else _until(chunks, enough)
            finally:
                response.close()
        except httpx.TimeoutException as exc:
            raise self._timed_out(exc, operation=operation) from exc
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as exc:
            raise self._broken(exc, operation=operation) from exc
        return Answer(response.status_code, _media_type(response), body, self._system, operation)

    def _judge(self, response: httpx.Response, *, operation: str) -> None:
        """Turn every status but 200 to 299 into its error."""
        status = response.status_code
        names = {"system": self._system, "operation": operation}
        text = f"{operation}: status {status}"
        if 200 <= status < 300:
            return
        asked = retry_after(response.headers.get("Retry-After"), now=self._clock.now())
        if status == 429 or (status == 503 and asked is not None):
            raise RateLimitedError(text, retry_after=asked, **names)
        if status == 408 or status >= 500:
            raise SourceUnavailableError(text, **names)
        if 300 <= status < 400:
            message = f"{text}; redirects are not followed"
            raise ProtocolViolationError(
                message,
                where="status",
                advice="Het bronsysteem verwijst door naar een ander adres. Controleer het adres "
                "in de instellingen van deze koppeling.",
                **names,
            )
        if status >= 400:
            raise RequestRefusedError(text, code=str(status), advice=_REFUSALS.get(status), **names)
        raise ProtocolViolationError(text, where="status", **names)

    def _chunks(self, response: httpx.Response, *, operation: str) -> Iterator[bytes]:
        """The body, decompressed here so that its size is bounded while it grows."""
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        names = {"system": self._system, "operation": operation}
        if encoding not in {"identity", "gzip", ""}:
            message = f"{operation}: an encoding that was not asked for"
            raise ProtocolViolationError(
                message,
                where="header Content-Encoding",
                **names,
            )
        unzip = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        room = self._limits.body_bytes
        total = response.request.extensions.get(_TOTAL, self._limits.total.total_seconds())
        deadline = self._clock.monotonic() + total
        for raw in response.iter_raw():
            try:
                chunk = unzip.decompress(raw, room + 1) if unzip is not None else raw
            except zlib.error:
                message = f"{operation}: the body cannot be decompressed"
                raise ProtocolViolationError(message, where="body", **names) from None
            room -= len(chunk)
            if room < 0:
                message = f"{operation}: the body is larger than {self._limits.body_bytes} bytes"
                raise ProtocolViolationError(
                    message,
                    where="body",
                    **names,
                )
            if self._clock.monotonic() > deadline:
                message = f"{operation}: the body came too slowly"
                raise AnswerTimeoutError(message, **names)
            yield chunk
        if unzip is not None and not unzip.eof:
            message = f"{operation}: the body was cut off"
            raise SourceUnavailableError(message, **names)

    def _timed_out(self, exc: httpx.TimeoutException, *, operation: str) -> ConnectorError:
        kind = type(exc).__name__
        if isinstance(exc, httpx.ReadTimeout):
            return AnswerTimeoutError(
                f"{operation}: {kind}", system=self._system, operation=operation
            )
        return SourceUnavailableError(
            f"{operation}: {kind}", system=self._system, operation=operation
        )

    def _broken(self, exc: Exception, *, operation: str) -> ConnectorError:
        text = f"{operation}: {type(exc).__name__}"
        names = {"system": self._system, "operation": operation}
        if _is_tls(exc):
            return ProtocolViolationError(
                f"{operation}: no trusted TLS connection",
                where="tls",
                advice="Het certificaat van het bronsysteem wordt niet vertrouwd. Laat ops het "
                "adres en de certificaten van deze koppeling nakijken.",
                **names,
            )
        if isinstance(exc, httpx.TransportError) and not isinstance(
            exc, httpx.LocalProtocolError | httpx.UnsupportedProtocol
        ):
            return SourceUnavailableError(text, **names)
        return ProtocolViolationError(text, where="request", **names)


def _until(chunks: Iterator[bytes], enough: Callable[[bytes], bool]) -> bytes:
    """What comes until it is enough."""
    body = b""
    for chunk in chunks:
        body += chunk
        if enough(body):
            break
    return body


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _is_tls(exc: BaseException) -> bool:
    """Whether a certificate or handshake is behind a failure."""
    chain: list[BaseException] = [exc]
    for link in chain:
        if isinstance(link, ssl.SSLError) and not isinstance(link, ssl.SSLEOFError):
            return True
        following = (link.__cause__, link.__context__)
        chain.extend(one for one in following if one is not None and one not in chain)
    return False
