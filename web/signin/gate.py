"""The gate: every request for a page passes here before anything else sees it.

In this order: is it for us, by its Host; who asks, by his session; did a page of ours ask it, where
it may change something; and may he come further. What other systems call (`OPEN`) has rules of its
own and passes with the headers only.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe
from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import KoppelhubError
from config.web import is_loopback
from sync_engine.actor import Actor
from sync_engine.hub import Hub
from sync_engine.signing_in import signed_in
from web.rendering import page
from web.signin import csrf
from web.signin.callers import Place, address_of, place_of
from web.signin.cookies import BEFORE, SESSION
from web.signin.headers import secured
from web.signin.sealed import Seal
from web.texts import marked

SIGN_IN: Final = "/inloggen"
OPEN: Final = ("/v1/", "/healthz", "/readyz", "/metrics")
"""What other systems call; each has tokens of its own."""
ANYBODY: Final = ("/inloggen", "/inloggen/", "/taal/", "/static/")
"""Pages for who is not signed in."""

_LARGEST_FORM_BYTES: Final = 256_000
_MOST_FIELDS: Final = 2_000
_FORM_SECONDS: Final = 30.0
_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_NEXT: Final = 500
_log = logging.getLogger(__name__)


class _UnreadableError(Exception):
    """A form is not read: too large, too slow, or broken off."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks, and from where.

    Attributes:
        secret: the session's token, or that of a form before it; what CSRF tokens follow from.
        fresh: whether `secret` was made just now, and the browser must still be given it.
    """

    place: Place
    address: str
    actor: Actor | None
    secret: str
    fresh: bool


class Gate:
    """ASGI middleware around the pages.

    Sets on `request.state`: `actor` (None for who is not signed in), `csrf`, `address`, `place`
    and `session` (the token of the session, or None).

    Args:
        app: what is behind it.
        hub: the installation.
        before: seals what a browser keeps before anybody is signed in.
    """

    def __init__(self, app: ASGIApp, *, hub: Hub, before: Seal) -> None:
        self._app, self._hub, self._before = app, hub, before
        self._web = hub.settings.web
        told = self._web.authority or ""
        self._is_public = self._web.is_secure and not is_loopback(told.rpartition(":")[0] or told)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no web sockets
        send = self._secured(send)
        if _is_below(scope["path"], OPEN):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        place = place_of(request, self._web)
        if place is None:
            await _misdirected()(scope, receive, send)
            return
        try:
            caller = await run_in_threadpool(self._caller, request, place)
        except KoppelhubError as error:
            _log.error("who asks cannot be looked up: %s", error)
            await _told(request, 503, _LATER)(scope, receive, send)
            return
        self._tell(scope, caller)
        refused, receive = await self._judged(request, receive, caller)
        if caller.fresh:
            send = self._giving(send, caller)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self._through(request, receive, send)

    async def _through(self, request: Request, receive: Receive, send: Send) -> None:
        """To what is behind; what fails there is told without a word of what it was about."""
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(request.scope, receive, sending)
        except Exception:  # the outermost edge of a page
            _log.exception("a page failed")
            if began:
                raise
            await _told(request, 500, _FAILED)(request.scope, receive, send)

    def _caller(self, request: Request, place: Place) -> _Caller:
        address = address_of(request, self._web.proxies)
        token = SESSION.read(request, secure=place.is_secure)
        seen = _is_of_a_person(request)
        actor = token and signed_in(self._hub, token, origin=address, seen_now=seen)
        if actor and token:
            return _Caller(place, address, actor, token, fresh=False)
        kept = BEFORE.read(request, secure=place.is_secure)
        if kept is not None and self._before.open(kept) is not None:
            return _Caller(place, address, None, kept, fresh=False)
        made = self._before.close(token_urlsafe(16).encode(), lasts=BEFORE.lasts or timedelta())
        return _Caller(place, address, None, made, fresh=request.url.path == SIGN_IN)

    @staticmethod
    def _tell(scope: Scope, caller: _Caller) -> None:
        scope.setdefault("state", {}).update(
            actor=caller.actor,
            csrf=csrf.issue(caller.secret),
            address=caller.address,
            place=caller.place,
            session=None if caller.actor is None else caller.secret,
        )

    async def _judged(
        self, request: Request, receive: Receive, caller: _Caller
    ) -> tuple[Response | None, Receive]:
        """The answer to who may not come further, and where the body is read from now."""
        known = caller.actor is not None or _is_below(request.url.path, ANYBODY)
        if request.method in csrf.SAFE:
            return (None if known else _to_sign_in(request)), receive
        if not csrf.is_from_us(request.headers, origin=caller.place.origin):
            return _told(request, 403, _ELSEWHERE), receive
        if not known:
            return _told(request, 403, _ENDED), receive
        try:
            token, receive = await asyncio.wait_for(_token(request, receive), _FORM_SECONDS)
        except (_UnreadableError, ClientDisconnect, TimeoutError) as error:
            status = error.status if isinstance(error, _UnreadableError) else 408
            return _told(request, status, _UNREADABLE), receive
        if not csrf.holds(caller.secret, token):
            return _told(request, 403, _ENDED), receive
        return None, receive

    def _secured(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                secured(headers, strict_transport=self._is_public)
            await send(message)

        return sending

    @staticmethod
    def _giving(send: Send, caller: _Caller) -> Send:
        line = BEFORE.line(caller.secret, secure=caller.place.is_secure)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", line)
            await send(message)

        return sending


def _is_of_a_person(request: Request) -> bool:
    """Whether somebody asked for this himself; a browser says so, also of a page that it renews."""
    told = "sec-fetch-mode" in request.headers
    return request.method not in csrf.SAFE or not told or "sec-fetch-user" in request.headers


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    """Whether a path is one of these, or below one that ends in a slash."""
    return any(path.startswith(each) if each.endswith("/") else path == each for each in places)


async def _token(request: Request, receive: Receive) -> tuple[str, Receive]:
    """The token that came along, and where the body can be read from now."""
    told = request.headers.get(csrf.HEADER)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told is None and kind != _FORM:
        raise _UnreadableError(415)
    body = await _body(request)  # within its bounds, wherever the token stands
    if told is not None:
        return told, _again(body, receive)
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _UnreadableError(413) from None
    tokens = [value for name, value in fields if name == csrf.FIELD]
    return (tokens[0] if len(tokens) == 1 else ""), _again(body, receive)


async def _body(request: Request) -> bytes:
    headers: Headers = request.headers
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > _LARGEST_FORM_BYTES:
        raise _UnreadableError(413)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_FORM_BYTES:
            raise _UnreadableError(413)
    return bytes(body)


def _again(body: bytes, rest: Receive) -> Receive:
    """Receives a body that was read already, then what comes after it."""
    first = True

    async def receive() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await rest()

    return receive


# -- answers ---------------------------------------------------------------------------------------

_LATER: Final = marked("Koppelhub kan dit nu niet opzoeken. Probeer het over een minuut opnieuw.")
_ELSEWHERE: Final = marked(
    "Dit werd niet vanaf een pagina van Koppelhub gevraagd, en is daarom niet gedaan."
)
_ENDED: Final = marked(
    "U bent niet meer ingelogd, of deze pagina stond te lang open. Er is niets gewijzigd. Log "
    "opnieuw in, open de pagina nog eens en probeer het weer."
)
_FAILED: Final = marked(
    "Hier ging iets mis in Koppelhub. Probeer het opnieuw; blijft dit, waarschuw dan de beheerder."
)
_UNREADABLE: Final = marked("Dit formulier kwam niet goed aan. Er is niets gewijzigd.")


def _told(request: Request, status: int, text: str) -> Response:
    return page(request, "door/refused.html", status=status, text=text)


def _to_sign_in(request: Request) -> Response:
    query = request.url.query
    asked = f"{request.url.path}?{query}" if query else request.url.path
    after = "" if asked == "/" or len(asked) > _LONGEST_NEXT else f"?next={quote(asked, safe='/')}"
    return RedirectResponse(f"{SIGN_IN}{after}", status_code=303)


def _misdirected() -> Response:
    """Nothing of what was asked stands in it: whoever leads here may be anybody."""
    text = "Dit is niet het adres van Koppelhub.\nZet bij [web] public_url wat mensen intypen.\n"
    return PlainTextResponse(text, status_code=421)
