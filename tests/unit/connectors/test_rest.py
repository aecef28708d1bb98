"""The transport maps whatever happens to our own errors, and shows nothing of what was sent."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
import respx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import Budget, CircuitState
from connectors.errors import (
    AnswerTimeoutError,
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import (
    CORRELATION_HEADER,
    Intake,
    Limits,
    RestTransport,
    check_url,
)

URL = "https://api.example/secret-path"
CANARY = "Zandkanarie"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def transport(clock: FixedClock) -> Iterator[RestTransport]:
    limits = Limits(body_bytes=10_000, patience=Patience(attempts=4))
    made = RestTransport("proef", clock=clock, budget=Budget(0, 2), limits=limits)
    yield made
    made.close()


@pytest.fixture
def route() -> Iterator[respx.Route]:
    with respx.mock() as router:
        yield router.get(URL)


def read(transport: RestTransport) -> bytes:
    return transport.get(URL, operation="GET ding", query=[("naam", CANARY)]).body


def state(transport: RestTransport) -> str:
    return transport.circuit(URL).value


def raised(transport: RestTransport) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        read(transport)
    return caught.value


def test_each_attempt_has_a_correlation_id_of_its_own(
    transport: RestTransport, route: respx.Route
) -> None:
    route.side_effect = [httpx.Response(500), httpx.Response(200, json=[])]
    assert read(transport) == b"[]"
    ids = {call.request.headers[CORRELATION_HEADER] for call in route.calls}
    assert len(ids) == 2


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_that_fails_is_asked_four_times(
    transport: RestTransport, route: respx.Route, status: int
) -> None:
    route.respond(status)
    error = raised(transport)
    assert type(error) is SourceUnavailableError
    assert (error.system, error.operation) == ("proef", "GET ding")
    assert route.call_count == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_refusal_is_final_and_names_its_status(
    transport: RestTransport, route: respx.Route, status: int
) -> None:
    route.respond(status, text=CANARY)
    error = raised(transport)
    assert isinstance(error, RequestRefusedError)
    assert error.code == str(status)
    assert error.advice
    assert route.call_count == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_makes_us_wait_as_long_as_asked(
    transport: RestTransport, route: respx.Route, clock: FixedClock, status: int
) -> None:
    route.side_effect = [
        httpx.Response(status, headers={"Retry-After": "77"}),
        httpx.Response(200, json={}),
    ]
    read(transport)
    assert clock.slept == timedelta(seconds=77)


def test_429_without_patience_left_is_rate_limited(
    transport: RestTransport, route: respx.Route
) -> None:
    route.respond(429, headers={"Retry-After": "86400"})
    error = raised(transport)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == timedelta(days=1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_violation_and_not_followed(
    transport: RestTransport, route: respx.Route, status: int
) -> None:
    route.respond(status, headers={"Location": "https://elders.example/"})
    error = raised(transport)
    assert isinstance(error, ProtocolViolationError)
    assert error.where == "status"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (httpx.ReadTimeout, AnswerTimeoutError),
        (httpx.ConnectTimeout, SourceUnavailableError),
        (httpx.PoolTimeout, SourceUnavailableError),
        (httpx.ConnectError, SourceUnavailableError),
        (httpx.ReadError, SourceUnavailableError),
        (httpx.RemoteProtocolError, SourceUnavailableError),
        (httpx.LocalProtocolError, ProtocolViolationError),
    ],
)
def test_no_httpx_error_leaves(
    transport: RestTransport,
    route: respx.Route,
    fault: type[httpx.TransportError],
    kind: type[ConnectorError],
) -> None:
    route.side_effect = fault(f"{CANARY} at {URL}")
    error = raised(transport)
    assert type(error) is kind
    assert CANARY not in str(error)


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "server.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_an_untrusted_certificate_is_not_retried(transport: RestTransport, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    handshakes = 0

    def serve(listener: socket.socket) -> None:
        nonlocal handshakes
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                handshakes += 1
                with plain, contextlib.suppress(ssl.SSLError):
                    context.wrap_socket(plain, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(ProtocolViolationError) as caught:
            transport.get(url, operation="GET ding")
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert caught.value.where == "tls"
    assert handshakes == 1


def test_a_caller_may_have_its_timeout_at_once(
    transport: RestTransport, route: respx.Route
) -> None:
    route.side_effect = httpx.ReadTimeout
    with pytest.raises(AnswerTimeoutError):
        transport.get(URL, operation="GET ding", repeat_timeouts=False)
    assert route.call_count == 1


def test_a_body_larger_than_the_limit_is_cut_short(
    transport: RestTransport, route: respx.Route
) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b"x" * 1000

    route.respond(200, stream=_Stream(endless))
    error = raised(transport)
    assert isinstance(error, ProtocolViolationError)
    assert error.where == "body"
    assert sent < 20_000


class _Stream(httpx.SyncByteStream):
    def __init__(self, chunks: Callable[[], Iterator[bytes]]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks()


def _gzipped(content: bytes) -> httpx.Response:
    return httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=_Stream(lambda: iter([content]))
    )


def test_a_gzipped_body_is_read(transport: RestTransport, route: respx.Route) -> None:
    route.return_value = _gzipped(gzip.compress(b'{"a": 1}', mtime=0))
    assert read(transport) == b'{"a": 1}'


def test_a_compression_bomb_is_refused(transport: RestTransport, route: respx.Route) -> None:
    route.return_value = _gzipped(gzip.compress(b"0" * 50_000_000, mtime=0))
    assert isinstance(raised(transport), ProtocolViolationError)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"no gzip", ProtocolViolationError),
        (gzip.compress(b"cut off in the middle", mtime=0)[:-9], SourceUnavailableError),
    ],
)
def test_a_broken_gzip_body_is_an_error(
    transport: RestTransport, route: respx.Route, content: bytes, kind: type[ConnectorError]
) -> None:
    route.side_effect = lambda _request: _gzipped(content)
    assert isinstance(raised(transport), kind)


def test_an_encoding_that_was_not_asked_for_is_refused(
    transport: RestTransport, route: respx.Route
) -> None:
    route.return_value = httpx.Response(
        200, headers={"Content-Encoding": "br"}, stream=_Stream(lambda: iter([b"x"]))
    )
    assert isinstance(raised(transport), ProtocolViolationError)


def test_a_dribbling_body_ends_at_the_deadline(
    transport: RestTransport, route: respx.Route, clock: FixedClock
) -> None:
    def dribble() -> Iterator[bytes]:
        while True:
            clock.advance(timedelta(seconds=1))
            yield b" "

    route.side_effect = lambda _request: httpx.Response(200, stream=_Stream(dribble))
    with pytest.raises(AnswerTimeoutError):
        transport.get(URL, operation="GET ding", repeat_timeouts=False)
    assert clock.monotonic() <= 62


@pytest.mark.parametrize(("total", "seconds"), [(None, 60.0), (timedelta(minutes=5), 300.0)])
def test_one_post_may_have_a_patience_of_its_own(
    transport: RestTransport, clock: FixedClock, total: timedelta | None, seconds: float
) -> None:
    """It bounds each read, and the whole of a body that dribbles."""
    waits: list[float] = []

    def dribble() -> Iterator[bytes]:
        while True:
            clock.sleep(timedelta(seconds=20))
            waits.append(20)
            yield b" "

    def receive(media_type: str, chunks: Iterable[bytes]) -> bytes:
        return b"".join(chunks)

    with respx.mock() as router:
        route = router.post(URL).mock(return_value=httpx.Response(200, stream=_Stream(dribble)))
        with pytest.raises(AnswerTimeoutError):
            transport.post_document(
                URL,
                operation="POST ding",
                document=b"<a/>",
                headers={},
                intake=Intake(receive, lambda *told: None),
                repeats=False,
                total=total,
            )
        timeout = route.calls[0].request.extensions["timeout"]
    assert (timeout["read"], timeout["connect"]) == (seconds, 10.0)
    assert sum(waits) == seconds + 20


def test_an_open_circuit_asks_nothing_and_a_probe_closes_it(
    transport: RestTransport, route: respx.Route, clock: FixedClock
) -> None:
    route.respond(500)
    raised(transport)
    raised(transport)
    assert state(transport) == CircuitState.OPEN
    asked = route.call_count
    assert asked == 5
    assert isinstance(raised(transport), SourceUnavailableError)
    assert route.call_count == asked
    clock.advance(timedelta(minutes=2))
    route.respond(200, json={})
    read(transport)
    assert state(transport) == CircuitState.CLOSED


def test_a_refusal_does_not_open_the_circuit(transport: RestTransport, route: respx.Route) -> None:
    route.respond(403)
    for _ in range(9):
        raised(transport)
    assert state(transport) == CircuitState.CLOSED


def test_neither_log_nor_error_shows_path_query_or_body(
    transport: RestTransport, route: respx.Route, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="connectors")
    route.side_effect = [
        httpx.Response(500, text=CANARY),
        httpx.Response(200, text=CANARY),
        httpx.Response(403, text=CANARY),
    ]
    read(transport)
    error = raised(transport)
    shown = f"{caplog.text} {error} {error!r} {error.advice}"
    assert "GET ding" in caplog.text
    assert CANARY not in shown
    assert "secret-path" not in shown


@pytest.mark.parametrize(
    ("content", "media_type", "where"),
    [
        (b"{", "application/json", "body"),
        (b'{"a": "x"}', "application/json", "body"),
        (b'{"a": 1}', "text/html", "header Content-Type"),
        (b"[" * 9_000, "application/json", "body"),
        (b"\xff", "application/json", "body"),
    ],
)
def test_an_answer_of_another_shape_is_a_violation(
    transport: RestTransport, route: respx.Route, content: bytes, media_type: str, where: str
) -> None:
    route.respond(200, content=content, content_type=media_type)
    answer = transport.get(URL, operation="GET ding")
    with pytest.raises(ProtocolViolationError) as caught:
        answer.decode(msgspec.json.Decoder(dict[str, int]))
    assert caught.value.where == where


@pytest.mark.parametrize(
    "url", ["https://api.example/x/", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"]
)
def test_safe_addresses_are_accepted(url: str) -> None:
    assert check_url("api_base", url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "http://127.0.0.1.example",
        "ftp://api.example",
        "https://u:p@api.example",
        "https://api.example/?a=b",
        "https://api.example/#x",
        "https://",
        "api.example",
        "",
        "http://[::",
    ],
)
def test_unsafe_addresses_are_refused_by_the_name_of_their_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="api_base") as caught:
        check_url("api_base", url)
    assert "api_base" in caught.value.advice


def test_plain_http_elsewhere_only_when_allowed_by_name() -> None:
    assert check_url("api_base", "http://proxy.example", allow_plain_http=True)
