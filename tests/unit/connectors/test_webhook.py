"""Webhooks over real sockets: signed, once, nowhere else than where they are sent."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.errors import (
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.tls import trusting
from connectors.protocols.webhook import Hook, post, signature
from fixtures.sandbox.tls import Certificates, serve_with
from tests.support.hookside import SECRET, Hookside, hookside

AT = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)
BODY = json.dumps({"text": "somtoday staat stil"}).encode()


def sent(side: Hookside, *, secret: str = SECRET) -> None:
    hook = Hook(side.url, secret)
    post(hook, "incident-7-1", BODY, clock=FixedClock(AT), timeout=timedelta(seconds=5))


def test_a_message_is_signed_and_taken_once() -> None:
    with hookside() as side:
        sent(side)
    assert side.taken == [("incident-7-1", json.loads(BODY))]
    assert side.stamps == [int(AT.timestamp())]
    assert side.paths == ["/hook/geheim-pad?sleutel=abc"]


def test_the_signature_is_that_of_the_published_scheme() -> None:
    # printf 'm.1.{}' | openssl dgst -sha256 -hmac s -binary | base64
    assert signature("s", "m", 1, b"{}") == "v1,tJAuxpQVBFJj5VxVSEXITP+AqPYJv9zdFo6/TlQoupI="
    # the example of the scheme's own libraries
    assert (
        signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_secret_that_cannot_be_read_is_a_setting_to_mend() -> None:
    with pytest.raises(ConfigurationError):
        signature("whsec_geen base64", "m", 1, b"{}")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, RateLimitedError),
        (500, SourceUnavailableError),
        (404, RequestRefusedError),
        (302, ProtocolViolationError),
        (0, SourceUnavailableError),
    ],
)
def test_what_is_not_taken_is_not_repeated_and_not_followed(
    status: int, kind: type[ConnectorError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with hookside() as elsewhere, hookside() as side:
        side.status = status
        side.headers = {"Location": elsewhere.url} if status == 302 else {}
        with pytest.raises(kind) as refused:
            sent(side)
        assert len(side.paths) == 1
        assert elsewhere.paths == []
    told = f"{refused.value} {refused.value.advice}" + "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("connectors")
    )
    assert "geheim" not in told
    assert "sleutel" not in told


def test_another_secret_is_not_believed() -> None:
    with hookside() as side:
        with pytest.raises(RequestRefusedError):
            sent(side, secret="een ander")
        assert side.wrong == 1
    assert SECRET not in repr(Hook(side.url, SECRET))
    assert "sleutel" not in repr(Hook(side.url, SECRET))


def test_a_long_answer_is_not_read_and_the_message_is_taken() -> None:
    with hookside() as side:
        side.status, side.body = 200, b"x" * 300_000
        sent(side)
    assert side.ids == ["incident-7-1"]


def test_over_tls_only_to_whom_is_trusted(tmp_path_factory: pytest.TempPathFactory) -> None:
    certificates = Certificates(tmp_path_factory.mktemp("pki"))
    with hookside(tls=serve_with(certificates.server())) as side:
        with pytest.raises(ProtocolViolationError) as refused:
            sent(side)
        assert refused.value.where == "tls"
        hook = replace(Hook(side.url, SECRET), tls=trusting(certificates.authority))
        post(hook, "incident-7-1", BODY, clock=FixedClock(AT), timeout=timedelta(seconds=5))
    assert side.ids == ["incident-7-1"]
