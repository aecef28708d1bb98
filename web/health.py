"""What others may ask about this installation: is it alive, can it work, how is it.

| address | who may ask | answer |
|---|---|---|
| `/healthz` | anybody | the process is alive |
| `/readyz` | anybody | 503 and the name of the part that is missing: database, schema or keys |
| `/v1/health` | token, or this machine | the whole model of health as JSON |
| `/metrics` | token, or this machine | the same for Prometheus |

However many ask at once, the database is asked by one of them, and at most once in a few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Final, Generic, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from config.clock import Clock
from config.errors import ConfigurationError
from config.web import is_loopback
from sync_engine.errors import StoreError
from sync_engine.health import observe
from sync_engine.hub import Hub
from sync_engine.ready import Part, missing
from web.metrics import CONTENT_TYPE, exposition

T = TypeVar("T")

KEPT: Final = timedelta(seconds=5)
"""How long an answer is given again without asking the database."""
SHORTEST_TOKEN: Final = 20
PATIENCE: Final = timedelta(seconds=10)
"""A database that does not answer for so long is not ready."""

_log = logging.getLogger(__name__)
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True, slots=True)
class _Views:
    """Health in both its forms."""

    metrics: bytes
    document: bytes


def routes(hub: Hub, *, token: str | None = None, public: bool = False) -> list[BaseRoute]:
    """The routes of health.

    Args:
        hub: the installation; all of it is told, whoever its actor may act for.
        token: what a caller must show for `/v1/health` and `/metrics`; where there is none, only
            callers on this machine are answered.
        public: a proxy passes calls of others on: then nobody is answered without a token, for
            every caller seems to be on this machine.
    """
    gate = _Gate(token, public=public)
    ready = _Kept(lambda: missing(hub), clock=hub.clock)
    views = _Kept(lambda: _views(hub), clock=hub.clock)

    async def alive(request: Request) -> Response:
        return _json(200, {"status": "ok"})

    async def readiness(request: Request) -> Response:
        try:
            part = await asyncio.wait_for(ready.get(), PATIENCE.total_seconds())
        except TimeoutError:
            part = Part.DATABASE
        if part is None:
            return _json(200, {"status": "ready"})
        return _json(503, {"status": "not ready", "missing": str(part)})

    async def told(request: Request) -> Response:
        refused = gate.refusal(request)
        if refused is not None:
            return refused
        try:
            found = await asyncio.wait_for(views.get(), 3 * PATIENCE.total_seconds())
        except (StoreError, TimeoutError) as error:
            _log.error("health cannot be told: %s", type(error).__name__)
            return _json(503, {"status": "not ready", "missing": str(Part.DATABASE)})
        if isinstance(found, Part):
            return _json(503, {"status": "not ready", "missing": str(found)})
        if request.url.path == "/metrics":
            return _answer(200, found.metrics, CONTENT_TYPE)
        return _answer(200, found.document, "application/json")

    return [
        Route("/healthz", alive, methods=["GET"]),
        Route("/readyz", readiness, methods=["GET"]),
        Route("/v1/health", told, methods=["GET"]),
        Route("/metrics", told, methods=["GET"]),
    ]


def configured(hub: Hub) -> list[BaseRoute]:
    """The routes of health as the configuration wants them.

    Raises: ConfigurationError if the token is not there, or is none.
    """
    web = hub.settings.web
    token = None if web.metrics_token is None else web.metrics_token.resolve()
    if token is not None and (
        len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()
    ):
        raise ConfigurationError(
            f"web.metrics_token: must be at least {SHORTEST_TOKEN} plain signs",
            advice="Maak een nieuw token, bijvoorbeeld met `openssl rand -hex 32`.",
        )
    return routes(hub, token=token, public=web.public_url is not None)


def _views(hub: Hub) -> _Views | Part:
    """Health; or what is missing: a connection that was kept would go on without its file."""
    part = missing(hub)
    if part is not None:
        return part
    started = hub.clock.monotonic()
    facts, health = observe(hub)
    seconds = hub.clock.monotonic() - started
    return _Views(exposition(facts, health, seconds=seconds), msgspec.json.encode(health))


class _Kept(Generic[T]):
    """An answer that is asked for by one at a time, in a thread, and given again for a while.

    Who does not wait for it leaves it to the others: it is never asked for twice at once.
    """

    def __init__(self, ask: Callable[[], T], *, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._asking: asyncio.Task[T] | None = None
        self._asked_at = 0.0

    async def get(self) -> T:
        """The answer, at most a few seconds old. Raises: StoreError, as old."""
        if self._asking is None or (self._asking.done() and self._is_old()):
            self._asking = asyncio.create_task(self._answer())
        return await asyncio.shield(self._asking)

    def _is_old(self) -> bool:
        return self._clock.monotonic() - self._asked_at >= KEPT.total_seconds()

    async def _answer(self) -> T:
        try:
            return await run_in_threadpool(self._ask)
        finally:
            self._asked_at = self._clock.monotonic()


class _Gate:
    """Who may hear how this installation is."""

    def __init__(self, token: str | None, *, public: bool) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._public = public

    def refusal(self, request: Request) -> Response | None:
        """The refusal, or None."""
        if self._expected is not None:
            given = request.headers.get("authorization", "").encode()
            if compare_digest(given, self._expected):
                return None
            headers = {"www-authenticate": "Bearer"}
            return _json(401, {"error": "the token is missing or wrong"}, headers)
        if not self._public and _is_here(request):
            return None
        return _json(403, {"error": "without a token only this machine is answered"})


def _is_here(request: Request) -> bool:
    """Whether a caller is on this machine, and asks for himself and by its name."""
    caller = "" if request.client is None else request.client.host
    passed_on = any(name in request.headers for name in _FORWARDED)
    return is_loopback(caller) and not passed_on and is_loopback(request.url.hostname or "")


def _json(status: int, value: object, headers: dict[str, str] | None = None) -> Response:
    return _answer(status, msgspec.json.encode(value), "application/json", headers)


def _answer(status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> Response:
    kept = {"cache-control": "no-store", **(headers or {})}
    return Response(body, status_code=status, media_type=kind, headers=kept)
