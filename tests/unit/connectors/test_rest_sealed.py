"""A query that a protocol fills with secrets is on the wire, and nowhere else."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
import respx

from config.clock import FixedClock
from connectors.base import Budget
from connectors.errors import ConnectorError
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import Limits, RestTransport

URL = "https://school.example:8800/doc"
SECRET = " wacht;woord & +/=%é "
SEALED = (("Function", "Login"), ("Password", SECRET))
ON_THE_WIRE = f"Function=Login&Password={quote(SECRET, safe='')}"


@pytest.fixture
def transport() -> Iterator[RestTransport]:
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    limits = Limits(body_bytes=10_000, patience=Patience(attempts=2))
    made = RestTransport("proef", clock=clock, budget=Budget(0, 1), limits=limits)
    yield made
    made.close()


def forms(secret: str) -> list[str]:
    return [secret, secret.strip(), quote(secret, safe=""), quote(secret), repr(secret)[1:-1]]


def everything_in(error: BaseException) -> str:
    """All texts that a chain of exceptions holds, their requests included."""
    shown, chain = [], [error]
    for link in chain:
        shown.append(f"{link!r} {link} {vars(link)!r}")
        request = getattr(link, "_request", None)
        if isinstance(request, httpx.Request):
            shown.append(f"{request!r} {request.url!s} {request.extensions!r} {request.headers!r}")
        following = (link.__cause__, link.__context__)
        chain.extend(one for one in following if one is not None and one not in chain)
    assert len(shown) > 1
    return "\n".join(shown)


@respx.mock
def test_what_is_sealed_goes_out_percent_encoded_in_its_order(transport: RestTransport) -> None:
    route = respx.get(url__startswith=URL).respond(200, content=b"ja")
    assert transport.get(URL, operation="GET ding", sealed=SEALED).body == b"ja"
    assert str(route.calls.last.request.url) == f"{URL}?{ON_THE_WIRE}"


@respx.mock
def test_a_repeated_call_is_sealed_again(transport: RestTransport) -> None:
    route = respx.get(url__startswith=URL)
    route.side_effect = [httpx.Response(503), httpx.Response(200)]
    transport.get(URL, operation="GET ding", sealed=SEALED)
    assert {call.request.url.query.decode() for call in route.calls} == {ON_THE_WIRE}


@respx.mock
def test_no_logger_shows_it_even_where_nobody_muted_httpx(
    transport: RestTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    respx.get(url__startswith=URL).respond(200)
    transport.get(URL, operation="GET ding", sealed=SEALED)
    told = "\n".join(f"{r.getMessage()} {r.args!r}" for r in caplog.records)
    assert f"HTTP Request: GET {URL}" in told  # httpx did log the call
    assert [form for form in forms(SECRET) if form in told] == []


def test_the_wire_itself_logs_nothing_of_it(
    transport: RestTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            seen.append(connection.recv(10_000))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nja")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/doc"
        transport.get(url, operation="GET ding", sealed=SEALED)
        thread.join(5)
    assert ON_THE_WIRE.encode() in seen[0]
    told = "\n".join(f"{r.name} {r.getMessage()} {r.args!r}" for r in caplog.records)
    assert "httpcore" in told
    assert [form for form in forms(SECRET) if form in told] == []


@pytest.mark.parametrize(
    "fault", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError]
)
@respx.mock
def test_no_exception_of_a_chain_holds_it(
    transport: RestTransport, fault: type[httpx.TransportError]
) -> None:
    respx.get(url__startswith=URL).side_effect = fault
    with pytest.raises(ConnectorError) as caught:
        transport.get(URL, operation="GET ding", sealed=SEALED)
    told = everything_in(caught.value)
    assert [form for form in forms(SECRET) if form in told] == []


@respx.mock
def test_an_answer_is_let_go_of_as_soon_as_it_is_enough(transport: RestTransport) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"regel\n"
        pytest.fail("more was read than was asked for")

    respx.get(URL).respond(200, stream=_Stream(pieces()))
    answer = transport.get(URL, operation="GET ding", enough=lambda body: body.count(b"\n") >= 2)
    assert answer.body == b"regel\nregel\n"


class _Stream(httpx.SyncByteStream):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces
