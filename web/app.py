"""HTTP for the endpoints that other systems call: bounds, time-outs, and nothing decided.

`POST /v1/inbox/<koppeling>` goes to the endpoint of that koppeling; `GET /healthz` says that
somebody is there. Who calls is judged before the body is read; a body that is too large or too
slow is not read to its end. No path, header or body reaches a log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from config.errors import KoppelhubError
from connectors.called import Answer, Endpoint, Request

BODY_SECONDS: Final = 30.0
"""How long a caller may take to send one body."""

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body is larger than the endpoint reads."""


def application(
    endpoints: Mapping[str, Endpoint], *, body_seconds: float = BODY_SECONDS
) -> Starlette:
    """The ASGI application over these endpoints, by name of their koppeling."""
    return Starlette(routes=[*inbox_routes(endpoints, body_seconds=body_seconds), alive_route()])


def alive_route() -> Route:
    """`GET /healthz`: somebody is there."""

    async def alive(request: HttpRequest) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    return Route("/healthz", alive, methods=["GET"])


def inbox_routes(
    endpoints: Mapping[str, Endpoint], *, body_seconds: float = BODY_SECONDS
) -> list[Route]:
    """`/v1/inbox/<koppeling>` of these endpoints, by name of their koppeling."""

    async def called(request: HttpRequest) -> Response:
        endpoint = endpoints.get(request.path_params["koppeling"])
        if endpoint is None:
            return _problem(404, "there is no such inbox")
        head = Request(request.method, {k.lower(): v for k, v in request.headers.items()})
        refused = endpoint.admit(head)
        if refused is not None:
            return _response(refused, close=True)
        try:
            body = await asyncio.wait_for(_body(request, endpoint.largest_bytes), body_seconds)
        except _TooLargeError:
            return _problem(413, f"the body is larger than {endpoint.largest_bytes} bytes")
        except TimeoutError:
            return _problem(408, "the body did not come in time")
        except ClientDisconnect:
            return _problem(400, "the body did not come whole")
        return await run_in_threadpool(
            _answered, endpoint, Request(head.method, head.headers, body)
        )

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return [Route("/v1/inbox/{koppeling}", called, methods=methods)]


async def _body(request: HttpRequest, largest: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > largest:
        raise _TooLargeError
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > largest:
            raise _TooLargeError
    return bytes(body)


def _answered(endpoint: Endpoint, request: Request) -> Response:
    """In a thread of its own: an endpoint waits for the database."""
    try:
        return _response(endpoint.answer(request))
    except KoppelhubError as error:
        _log.error("an endpoint failed: %s", error)
        again = getattr(error, "retryable", False) is True
        title = "try again later" if again else "the hub cannot take this now; see its log"
        return _problem(503, title, retry_after="30")
    except Exception as error:  # noqa: BLE001 - the outermost edge of a call
        _log.error("an endpoint failed: %s", type(error).__name__)
        return _problem(500, "the hub failed; see its log")


def _response(answer: Answer, *, close: bool = False) -> Response:
    headers = dict(answer.headers) | ({"connection": "close"} if close else {})
    return Response(answer.body, status_code=answer.status, headers=headers)


def _problem(status: int, title: str, *, retry_after: str = "") -> Response:
    body = msgspec.json.encode({"type": "about:blank", "status": status, "title": title})
    headers = {"content-type": "application/problem+json", "cache-control": "no-store"}
    if retry_after:
        headers["retry-after"] = retry_after
    answer = Answer(status, body, headers)
    return _response(answer, close=True)
