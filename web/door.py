"""Who gets in: the pages where people sign in and out, and the gate before all pages.

`Door` gives `routes()` and `middleware()`. Behind the gate `request.state.actor` is who asks, with
the role and tenants that the configuration gives him, and `request.state.csrf` what every form
carries in its hidden field `_csrf`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sync_engine.actor import Actor
from sync_engine.hub import Hub
from sync_engine.passwords import Passwords
from sync_engine.signing_in import NOBODY, SignIn, sign_out, with_password
from web.rendering import page
from web.signin.cookies import BEFORE, SESSION
from web.signin.gate import SIGN_IN, Gate
from web.signin.sealed import Seal
from web.texts import marked, own_path

_LONGEST_TEXT: Final = 2_000
_WRONG: Final = marked("Deze naam en dit wachtwoord horen niet bij elkaar.")


class Door:
    """The door of one installation; safe to share between requests.

    Args:
        hub: the installation.
        passwords: of its local accounts.
    """

    def __init__(self, hub: Hub, *, passwords: Passwords | None = None) -> None:
        self._hub = hub
        self._web = hub.settings.web
        self._passwords = passwords or Passwords()
        self._before = Seal(hub.keyring, "sign-in-form", hub.clock)

    def routes(self) -> list[Route]:
        """Where people sign in and out."""
        return [
            Route(SIGN_IN, self._form, methods=["GET"]),
            Route(SIGN_IN, self._sign_in, methods=["POST"]),
            Route("/uitloggen", self._sign_out, methods=["POST"]),
        ]

    def middleware(self) -> Middleware:
        """The gate; the first of all middleware, so that nothing answers before it."""
        return Middleware(Gate, hub=self._hub, before=self._before)

    async def _form(self, request: Request) -> Response:
        after = own_path(request.query_params.get("next", "/"))
        if request.state.actor is not None:
            return RedirectResponse(after, status_code=303)
        return self._shown(request, after)

    async def _sign_in(self, request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=10)
        after = own_path(_text(form, "next") or "/")
        if not self._web.local_accounts:
            return self._shown(request, after, status=403)
        came = await run_in_threadpool(
            with_password,
            self._unknown(request),
            self._passwords,
            _text(form, "naam"),
            _text(form, "wachtwoord"),
            former=SESSION.read(request, secure=request.state.place.is_secure),
        )
        return self._answered(request, came, after)

    async def _sign_out(self, request: Request) -> Response:
        known = replace(self._hub, actor=request.state.actor)
        await run_in_threadpool(sign_out, known, request.state.session)
        response = RedirectResponse(SIGN_IN, status_code=303)
        response.headers["clear-site-data"] = '"cache"'
        SESSION.drop(response, secure=request.state.place.is_secure)
        return response

    def _unknown(self, request: Request) -> Hub:
        """The hub as somebody uses it of whom only the address is known."""
        return replace(self._hub, actor=Actor(NOBODY, None, frozenset(), request.state.address))

    def _answered(self, request: Request, came: SignIn, after: str) -> Response:
        secure = request.state.place.is_secure
        if came.wait is not None:
            seconds = int(came.wait.total_seconds()) + 1
            answer = page(request, "door/wait.html", status=429, seconds=seconds, after=after)
            answer.headers["retry-after"] = str(seconds)
            return answer
        if came.has_no_role:
            return page(request, "door/no_role.html", status=403)
        if came.token is None:
            return self._shown(request, after, status=403, wrong=_WRONG)
        response = RedirectResponse(after, status_code=303)
        SESSION.put(response, came.token, secure=secure)
        BEFORE.drop(response, secure=secure)
        return response

    def _shown(
        self, request: Request, after: str, *, status: int = 200, wrong: str = ""
    ) -> Response:
        oidc = self._web.oidc
        return page(
            request,
            "door/sign_in.html",
            status=status,
            after=after,
            after_quoted=quote(after, safe="/"),
            wrong=wrong,
            has_accounts=self._web.local_accounts,
            issuer=None if oidc is None else oidc.label,
        )


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""
