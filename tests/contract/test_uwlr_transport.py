"""Mutual TLS, a private authority and a proxy: what some administrations ask of a UWLR client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from config.clock import FixedClock
from connectors.base import Layer, Link
from connectors.errors import ConnectorError, ProtocolViolationError, SourceUnavailableError
from connectors.protocols.pacing import Patience
from connectors.protocols.rest import Limits
from connectors.uwlr.connector import UWLR, UwlrConnector
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.suite import keys, read
from tests.support.pki import Pki, make_pki
from tests.support.uwlr import options_of, scope, truth

NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def strict(pki: Pki) -> Iterator[UwlrSandbox]:
    """A service that asks its clients for a certificate."""
    sandbox = UwlrSandbox(School(plan_school(20)), now=lambda: NOW, tls=pki.demanding())
    with sandbox:
        yield sandbox


def reach(sandbox: UwlrSandbox, **options: str) -> UwlrConnector:
    link = Link("proef", options_of(sandbox, **options))
    return UWLR.connect(link, clock=FixedClock(NOW), limits=Limits(patience=Patience(attempts=1)))


def test_our_certificate_and_their_authority_open_the_door(strict: UwlrSandbox, pki: Pki) -> None:
    connector = reach(
        strict,
        ca_file=str(pki.authority),
        client_certificate=str(pki.client),
        client_key=str(pki.client_key),
        client_key_password=pki.password,
    )
    assert strict.endpoint.startswith("https://")
    assert keys(read(connector.snapshot(scope()))) == truth(strict, "leerling")
    assert all(result.ok for result in connector.check())
    connector.close()


def test_an_authority_that_is_not_trusted_is_a_matter_of_tls(strict: UwlrSandbox) -> None:
    connector = reach(strict)
    with pytest.raises(ProtocolViolationError) as caught:
        read(connector.snapshot(scope()))
    assert caught.value.where == "tls"
    assert [r.layer for r in connector.check() if not r.ok] == [Layer.TLS]
    connector.close()


def test_without_our_certificate_the_door_stays_shut(strict: UwlrSandbox, pki: Pki) -> None:
    connector = reach(strict, ca_file=str(pki.authority))
    with pytest.raises(ConnectorError) as caught:
        read(connector.snapshot(scope()))
    assert isinstance(caught.value, ProtocolViolationError | SourceUnavailableError)
    assert caught.value.advice
    connector.close()


class _Proxy(BaseHTTPRequestHandler):
    """Passes requests on, and counts them."""

    seen: list[str]

    def do_POST(self) -> None:
        self.seen.append(self.headers.get("Proxy-Authorization", ""))
        there = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        onward = HTTPConnection(str(there.hostname), there.port)
        kept = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")}
        onward.request("POST", there.path, body, kept)
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", str(answer.headers["Content-Type"]))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        """Nothing."""


def test_everything_goes_through_the_proxy(tmp_path: Path) -> None:
    _Proxy.seen = []
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    thread = Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        with UwlrSandbox(School(plan_school(20)), now=lambda: NOW) as sandbox:
            address = f"http://ons:geheim@127.0.0.1:{proxy.server_address[1]}"
            connector = reach(sandbox, proxy=address)
            assert keys(read(connector.snapshot(scope()))) == truth(sandbox, "leerling")
            connector.close()
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert len(_Proxy.seen) == 1
    assert _Proxy.seen[0].startswith("Basic ")
