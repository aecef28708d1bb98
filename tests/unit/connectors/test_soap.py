"""SOAP 1.1: what is sent, what is taken from an answer, and what a fault is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx
from lxml import etree

from config.clock import FixedClock
from connectors.base import Budget
from connectors.errors import (
    ConnectorError,
    IncompleteAnswerError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import Limits, RestTransport
from connectors.protocols.soap import ENVELOPE, Asked, Fault, SoapClient, envelope, read_fault
from connectors.protocols.xmldoc import Event, text_of

URL = "https://las.example/dienst"
NAMES = {"s": ENVELOPE}
XML = {"Content-Type": "text/xml; charset=utf-8"}


def wrap(inside: str) -> bytes:
    return f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{inside}</s:Body></s:Envelope>'.encode()


def fault(code: str) -> bytes:
    text = "<faultstring>Jansen</faultstring>"
    return wrap(f"<s:Fault><faultcode>{code}</faultcode>{text}</s:Fault>")


@pytest.fixture
def client() -> Iterator[SoapClient]:
    limits = Limits(body_bytes=10_000, patience=Patience(attempts=3))
    transport = RestTransport(
        "proef",
        clock=FixedClock(datetime(2026, 11, 2, tzinfo=UTC)),
        budget=Budget(0, 1),
        limits=limits,
    )
    yield SoapClient(transport, "proef", URL, {"X-Sleutel": "geheim"})
    transport.close()


def ask(client: SoapClient) -> list[str | None]:
    def take(events: Iterator[Event]) -> list[str | None]:
        return [text_of(element) for _, element in events]

    return client.call(
        etree.Element("vraag"),
        action="urn:vraag",
        operation="Vraag",
        asked=Asked(ends={"antwoord"}),
        take=take,
        head=[etree.Element("sleutel")],
    )


def test_a_request_is_an_envelope_with_head_and_body() -> None:
    root = etree.fromstring(envelope(etree.Element("b"), head=[etree.Element("h")]))
    assert [etree.QName(child).localname for child in root] == ["Header", "Body"]
    assert (root[0][0].tag, root[1][0].tag) == ("h", "b")
    assert [child.tag for child in etree.fromstring(envelope(etree.Element("b")))] == [
        f"{{{ENVELOPE}}}Body"
    ]


@respx.mock
def test_a_call_names_its_action_in_quotes_and_carries_headers(client: SoapClient) -> None:
    route = respx.post(URL).respond(200, content=wrap("<antwoord>1</antwoord>"), headers=XML)
    assert ask(client) == ["1"]
    sent = route.calls.last.request
    assert sent.headers["SOAPAction"] == '"urn:vraag"'
    assert sent.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert sent.headers["X-Sleutel"] == "geheim"
    assert "geheim" not in repr(client)
    assert etree.fromstring(sent.content).find("s:Body/vraag", NAMES) is not None


@respx.mock
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("soap:Client.Nee", RequestRefusedError),
        ("Client", RequestRefusedError),
        ("s:MustUnderstand", ProtocolViolationError),
        ("Jansen uit Voorbeeldstad", ProtocolViolationError),
    ],
)
def test_a_fault_is_an_error_by_its_code_alone(
    client: SoapClient, status: int, code: str, kind: type[ConnectorError]
) -> None:
    respx.post(URL).respond(status, content=fault(code), headers=XML)
    with pytest.raises(kind) as caught:
        ask(client)
    assert "Jansen" not in f"{caught.value} {caught.value!r}"
    assert len(respx.calls) == 1


@respx.mock
def test_a_fault_of_the_server_is_asked_again(client: SoapClient) -> None:
    respx.post(URL).side_effect = [
        httpx.Response(500, content=fault("soap:Server.Bezig"), headers=XML),
        httpx.Response(500, content=b"<html/>", headers=XML),
        httpx.Response(200, content=wrap("<antwoord>1</antwoord>"), headers=XML),
    ]
    assert ask(client) == ["1"]


@respx.mock
def test_what_came_of_an_answer_that_broke_off_is_thrown_away(client: SoapClient) -> None:
    def broken() -> Iterator[bytes]:
        yield wrap("<antwoord>half</antwoord>" * 3)[:-20]
        raise httpx.ReadError("weg")

    respx.post(URL).side_effect = [
        httpx.Response(200, stream=_Stream(broken()), headers=XML),
        httpx.Response(200, content=wrap("<antwoord>heel</antwoord>"), headers=XML),
    ]
    assert ask(client) == ["heel"]


class _Stream(httpx.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


@respx.mock
@pytest.mark.parametrize(
    ("content", "headers", "kind", "where"),
    [
        (b"<html/>", XML, ProtocolViolationError, "Envelope"),
        (b"<antwoord/>", XML, ProtocolViolationError, "Envelope"),
        (wrap("<antwoord>1</antwoord>")[:-30], XML, IncompleteAnswerError, "body"),
        (b"", XML, IncompleteAnswerError, "body"),
        (b"{}", {"Content-Type": "application/json"}, ProtocolViolationError, "Content-Type"),
        (b"<!DOCTYPE x>" + wrap(""), XML, ProtocolViolationError, "body"),
        (wrap("<antwoord/>" * 2000), XML, ProtocolViolationError, "body"),
        (
            b"<x>" + wrap("<antwoord>1</antwoord>") + b"</x>",
            XML,
            ProtocolViolationError,
            "Envelope",
        ),
    ],
)
def test_what_is_no_answer_is_refused(
    client: SoapClient,
    content: bytes,
    headers: dict[str, str],
    kind: type[ProtocolViolationError],
    where: str,
) -> None:
    respx.post(URL).respond(200, content=content, headers=headers)
    with pytest.raises(kind) as caught:
        ask(client)
    assert type(caught.value) is kind
    assert where in caught.value.where
    assert (caught.value.system, caught.value.operation) == ("proef", "Vraag")


@respx.mock
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, RequestRefusedError),
        (404, RequestRefusedError),
        (302, ProtocolViolationError),
        (502, SourceUnavailableError),
    ],
)
def test_a_status_without_a_fault_is_judged_as_any(
    client: SoapClient, status: int, kind: type[ConnectorError]
) -> None:
    respx.post(URL).respond(status, content=b"<html>", headers=XML)
    with pytest.raises(kind):
        ask(client)


@respx.mock
def test_patience_is_asked_for_by_header_whatever_the_body_is(client: SoapClient) -> None:
    respx.post(URL).respond(503, headers={**XML, "Retry-After": "99999"}, content=b"<html/>")
    with pytest.raises(RateLimitedError) as caught:
        ask(client)
    assert caught.value.retry_after == timedelta(days=1)


@respx.mock
def test_what_must_not_be_repeated_is_sent_once(client: SoapClient) -> None:
    once = SoapClient(client.transport, "proef", URL, repeats=False)
    respx.post(URL).respond(500, content=b"", headers=XML)
    with pytest.raises(SourceUnavailableError):
        ask(once)
    assert len(respx.calls) == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("soap:Client.Nee", "Client.Nee"),
        ("soap.Client.Nee", "Client.Nee"),
        ("SOAP-ENV:Client.Nee", "Client.Nee"),
        (" Client.Nee ", "Client.Nee"),
        ("", ""),
        ("x" * 200, ""),
    ],
)
def test_the_code_is_what_stands_behind_every_prefix(written: str, code: str) -> None:
    plain = etree.fromstring(fault(written)).find("s:Body/s:Fault", NAMES)
    assert plain is not None
    assert read_fault(plain) == Fault(code)
    qualified = etree.fromstring(f'<f xmlns="urn:x"><faultcode>{written}</faultcode></f>')
    assert read_fault(qualified) == Fault(code)
