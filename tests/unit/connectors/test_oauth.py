"""A token is kept, renewed in time, renewed once when it is refused, and never shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from config.clock import FixedClock
from connectors.base import Budget
from connectors.errors import (
    AuthenticationError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.oauth import BearerSession, ClientCredentials, Credentials
from connectors.protocols.rest import RestTransport

TOKEN_URL = "https://inloggen.example/oauth2/token"
API = "https://api.example/ding"
SECRET = "  opaque secret+/= \t"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as made:
        yield made


@pytest.fixture
def transport(clock: FixedClock) -> Iterator[RestTransport]:
    made = RestTransport("proef", clock=clock, budget=Budget(0, 2))
    yield made
    made.close()


@pytest.fixture
def tokens(transport: RestTransport, clock: FixedClock) -> ClientCredentials:
    own = Credentials(TOKEN_URL, "client", SECRET, (("organisation", "o-1"),))
    return ClientCredentials(transport, own, clock=clock)


def grants(router: respx.MockRouter, *answers: Any) -> respx.Route:
    """Each answer in turn: a grant as a dictionary, or a response."""
    made = [a if isinstance(a, httpx.Response) else httpx.Response(200, json=a) for a in answers]
    return router.post(TOKEN_URL, params={"organisation": "o-1"}).mock(side_effect=made)


def grant(number: int, **more: Any) -> dict[str, Any]:
    return {"access_token": f"token-{number}", "token_type": "bearer", **more}


def test_the_secret_is_sent_exactly_as_it_is(
    router: respx.MockRouter, tokens: ClientCredentials
) -> None:
    route = grants(router, grant(1, expires_in=3600))
    assert tokens.token() == "token-1"
    form = parse_qs(route.calls[0].request.content.decode(), keep_blank_values=True)
    assert form == {
        "grant_type": ["client_credentials"],
        "client_id": ["client"],
        "client_secret": [SECRET],
    }


@pytest.mark.parametrize(
    ("expiry", "kept_seconds"),
    [
        ({"expires_in": 3600}, 3540),
        ({"expires_in": "3600"}, 3540),
        ({"expires_in": 60}, 30),
        ({}, 600),
        ({"expires_in": None}, 600),
        ({"expires_in": -5}, 600),
        ({"expires_in": "later"}, 600),
        ({"expires_in": 10**12}, 86340),
    ],
)
@pytest.mark.assumed("somtoday-token-expiry")
def test_a_token_is_kept_until_a_minute_before_it_expires(
    router: respx.MockRouter,
    tokens: ClientCredentials,
    clock: FixedClock,
    expiry: dict[str, Any],
    kept_seconds: int,
) -> None:
    grants(router, grant(1, **expiry), grant(2))
    tokens.token()
    clock.advance(timedelta(seconds=kept_seconds - 1))
    assert tokens.token() == "token-1"
    clock.advance(timedelta(seconds=1))
    assert tokens.token() == "token-2"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refused_credentials_stop_the_source(
    router: respx.MockRouter, tokens: ClientCredentials, status: int
) -> None:
    route = grants(router, httpx.Response(status, json={"error": "invalid_client"}))
    with pytest.raises(AuthenticationError):
        tokens.token()
    assert route.call_count == 1


def test_a_busy_token_endpoint_is_asked_again(
    router: respx.MockRouter, tokens: ClientCredentials, clock: FixedClock
) -> None:
    grants(router, httpx.Response(429, headers={"Retry-After": "7"}), grant(1))
    assert tokens.token() == "token-1"
    assert clock.slept == timedelta(seconds=7)


def test_a_token_endpoint_that_is_down_is_no_wrong_password(
    router: respx.MockRouter, tokens: ClientCredentials
) -> None:
    grants(router, *[httpx.Response(503)] * 4)
    with pytest.raises(SourceUnavailableError):
        tokens.token()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "a\nb"},
        {"access_token": "x", "token_type": "mac"},
    ],
)
def test_an_answer_without_a_usable_token_is_a_violation(
    router: respx.MockRouter, tokens: ClientCredentials, answer: dict[str, Any]
) -> None:
    grants(router, answer)
    with pytest.raises(ProtocolViolationError):
        tokens.token()


def test_a_refused_token_is_renewed_once_and_the_call_repeated(
    router: respx.MockRouter, tokens: ClientCredentials, transport: RestTransport
) -> None:
    grants(router, grant(1), grant(2))
    route = router.get(API).mock(
        side_effect=[
            httpx.Response(401),
            httpx.Response(200, json={}),
            httpx.Response(200, json={}),
        ]
    )
    session = BearerSession(transport, tokens)
    session.get(API, operation="GET ding")
    session.get(API, operation="GET ding")
    sent = [call.request.headers["Authorization"] for call in route.calls]
    assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_other_media_types_are_asked_with_every_call(
    router: respx.MockRouter, transport: RestTransport, tokens: ClientCredentials
) -> None:
    grants(router, grant(1), grant(2))
    route = router.get(API).mock(side_effect=[httpx.Response(401), httpx.Response(200, json={})])
    session = BearerSession(transport, tokens, accept="application/scim+json")
    session.get(API, operation="GET ding")
    sent = [call.request.headers["Accept"] for call in route.calls]
    assert sent == ["application/scim+json"] * 2


def test_a_second_401_is_a_refusal(
    router: respx.MockRouter, tokens: ClientCredentials, transport: RestTransport
) -> None:
    granted = grants(router, grant(1), grant(2))
    route = router.get(API).respond(401)
    with pytest.raises(RequestRefusedError) as caught:
        BearerSession(transport, tokens).get(API, operation="GET ding")
    assert caught.value.code == "401"
    assert (route.call_count, granted.call_count) == (2, 2)


def test_neither_secret_nor_token_is_shown(
    router: respx.MockRouter,
    tokens: ClientCredentials,
    transport: RestTransport,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="connectors")
    grants(router, grant(1), grant(2))
    router.get(API).respond(401)
    with pytest.raises(RequestRefusedError) as caught:
        BearerSession(transport, tokens).get(API, operation="GET ding")
    shown = f"{caplog.text}{caught.value!r}{Credentials(TOKEN_URL, 'client', SECRET)!r}{tokens!r}"
    assert "opaque" not in shown
    assert "token-1" not in shown
