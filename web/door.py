"""Who gets in: the pages where people sign in and out, and the gate before all pages.

`Door` gives `routes()` and `middleware()`. Behind the gate `request.state.actor` is who asks, with
the role and tenants that the configuration gives him, and `request.state.csrf` what every form
carries in its hidden field `_csrf`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.errors import KoppelhubError
from config.web import OperatorClaim
from sync_engine import accounts
from sync_engine.actor import Actor
from sync_engine.errors import AccountError
from sync_engine.hub import Hub
from sync_engine.passwords import Passwords
from sync_engine.signing_in import (
    NOBODY,
    Proof,
    SignIn,
    change_own_password,
    sign_out,
    with_identity,
    with_password,
)
from web.errors import Doubt, IdentityRefusedError
from web.rendering import page
from web.signin.callers import Place
from web.signin.cookies import BEFORE, FLOW, SESSION
from web.signin.gate import SIGN_IN, Gate
from web.signin.oidc import Flow, RelyingParty, operator_of
from web.signin.sealed import Seal
from web.signin.turns import Turns
from web.texts import marked, own_path

_LEAVE: Final = f"{SIGN_IN}/oidc"
_ARRIVE: Final = f"{SIGN_IN}/terug"
_OWN: Final = "/wachtwoord"
_LONGEST_TEXT: Final = 2_000
_AT_ONCE: Final = 4
"""Sign-ins of one kind that take a thread at once: a crowd here must not keep pages waiting."""
_WRONG: Final = marked("Deze naam en dit wachtwoord horen niet bij elkaar.")
_FORMER: Final = marked("Uw wachtwoord van nu klopt niet. Er is niets gewijzigd.")
_NOT_TWICE: Final = marked("U typte twee verschillende nieuwe wachtwoorden. Er is niets gewijzigd.")
_TOO_LATE: Final = marked(
    "Het inloggen duurde te lang of begon in een andere browser. Begin opnieuw."
)
_AWAY: Final = marked(
    "De inlogdienst antwoordt nu niet. Probeer het straks opnieuw of waarschuw de beheerder."
)
_DOUBTS: Final = {
    Doubt.TOKEN: marked(
        "De inlogdienst heeft niet bewezen wie u bent. Probeer het opnieuw; blijft dit, waarschuw "
        "dan de beheerder."
    ),
    Doubt.DENIED: marked("De inlogdienst heeft u niet ingelogd."),
    Doubt.UNVERIFIED: marked("Uw e-mailadres is bij de inlogdienst niet bevestigd."),
    Doubt.UNNAMED: marked("De inlogdienst zegt niet wie u bent. Waarschuw de beheerder."),
    Doubt.GROUP: marked("U zit niet in een groep die Koppelhub mag gebruiken."),
}
_log = logging.getLogger(__name__)


class Door:
    """The door of one installation; safe to share between requests.

    Args:
        hub: the installation.
        passwords: of its local accounts.
        party: asks the issuer; by default as the configuration says.
    """

    def __init__(
        self, hub: Hub, *, passwords: Passwords | None = None, party: RelyingParty | None = None
    ) -> None:
        self._hub = hub
        self._web = hub.settings.web
        self._passwords = passwords or Passwords()
        self._at_the_form, self._at_the_issuer = Turns(_AT_ONCE), Turns(_AT_ONCE)
        self._before = Seal(hub.keyring, "sign-in-form", hub.clock)
        self._flows = Seal(hub.keyring, "sign-in-flow", hub.clock)
        oidc = self._web.oidc
        self._party = party or (None if oidc is None else RelyingParty(oidc, hub.clock))

    def routes(self) -> list[Route]:
        """Where people sign in and out."""
        return [
            Route(SIGN_IN, self._form, methods=["GET"]),
            Route(SIGN_IN, self._sign_in, methods=["POST"]),
            Route(_LEAVE, self._leave, methods=["GET"]),
            Route(_ARRIVE, self._arrive, methods=["GET"]),
            Route("/uitloggen", self._sign_out, methods=["POST"]),
            Route(_OWN, self._own, methods=["GET"]),
            Route(_OWN, self._change, methods=["POST"]),
        ]

    def middleware(self) -> Middleware:
        """The gate; the first of all middleware, so that nothing answers before it."""
        return Middleware(Gate, hub=self._hub, before=self._before)

    async def _form(self, request: Request) -> Response:
        after = own_path(request.query_params.get("next", "/"))
        if request.state.actor is not None:
            return RedirectResponse(after, status_code=303)
        return self._shown(request, after, changed=request.query_params.get("gewijzigd") == "1")

    async def _sign_in(self, request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=10)
        after = own_path(_text(form, "next") or "/")
        if not self._web.local_accounts:
            return self._shown(request, after, status=403)
        came = await self._at_the_form.carry_out(
            partial(
                with_password,
                self._unknown(request),
                self._passwords,
                _text(form, "naam"),
                _text(form, "wachtwoord"),
                former=SESSION.read(request, secure=request.state.place.is_secure),
            )
        )
        return self._answered(request, came, after)

    async def _leave(self, request: Request) -> Response:
        """To the issuer. A link and not a form: a form may lead nowhere else by our own policy."""
        if self._party is None:
            return self._shown(request, "/", status=404)
        after = own_path(request.query_params.get("next", "/"))
        place: Place = request.state.place
        try:
            url, flow = await self._at_the_issuer.carry_out(
                partial(self._party.leave, after=after, redirect_uri=f"{place.origin}{_ARRIVE}")
            )
        except KoppelhubError as error:
            return self._away(request, error)
        response = RedirectResponse(url, status_code=303)
        kept = self._flows.close(msgspec.json.encode(flow), lasts=FLOW.lasts or timedelta())
        FLOW.put(response, kept, secure=place.is_secure)
        return response

    async def _arrive(self, request: Request) -> Response:
        secure = request.state.place.is_secure
        kept = self._flows.open(FLOW.read(request, secure=secure) or "")
        party, answer = self._party, dict(request.query_params)
        if kept is None or party is None:
            return self._shown(request, "/", status=403, wrong=_TOO_LATE)
        flow = msgspec.json.decode(kept, type=Flow)
        try:
            came = await self._at_the_issuer.carry_out(
                partial(
                    with_identity,
                    self._unknown(request),
                    partial(self._proved, party, flow, answer),
                    former=SESSION.read(request, secure=secure),
                )
            )
        except KoppelhubError as error:
            response = self._away(request, error)
        else:
            wrong = _DOUBTS[Doubt(came.why)] if came.why else _DOUBTS[Doubt.TOKEN]
            response = self._answered(request, came, flow.after, wrong=wrong)
        FLOW.drop(response, secure=secure)
        return response

    def _proved(self, party: RelyingParty, flow: Flow, answer: dict[str, str]) -> Proof:
        try:
            value = party.arrive(flow, answer)
        except IdentityRefusedError as error:
            _log.warning("%s", error)
            return Proof(None, str(error.doubt))
        settings = self._hub.settings
        claim = OperatorClaim.EMAIL if self._web.oidc is None else self._web.oidc.claim
        return Proof(operator_of(settings.operator, claim, value) or "")

    def _away(self, request: Request, error: KoppelhubError) -> Response:
        _log.error("signing in at the issuer: %s", error)
        return self._shown(request, "/", status=503, wrong=_AWAY)

    async def _own(self, request: Request) -> Response:
        """The form for another password of one's own."""
        return await self._shown_own(request)

    async def _change(self, request: Request) -> Response:
        """Another password of one's own; who has it signs in again, everywhere."""
        form = await request.form(max_files=0, max_fields=10)
        following = _text(form, "nieuw")
        if following != _text(form, "nogmaals"):
            return await self._shown_own(request, status=409, wrong=_NOT_TWICE)
        try:
            came = await self._at_the_form.carry_out(
                partial(
                    change_own_password,
                    replace(self._hub, actor=request.state.actor),
                    self._passwords,
                    former=_text(form, "oud"),
                    following=following,
                )
            )
        except AccountError as error:
            return await self._shown_own(request, status=409, says=error.advice)
        if came.wait is not None:
            return _waits(request, came.wait, _OWN)
        if not came.is_changed:
            return await self._shown_own(request, status=403, wrong=_FORMER)
        response = RedirectResponse(f"{SIGN_IN}?gewijzigd=1", status_code=303)
        SESSION.drop(response, secure=request.state.place.is_secure)
        return response

    async def _shown_own(
        self, request: Request, *, status: int = 200, wrong: str = "", says: str = ""
    ) -> Response:
        known = await run_in_threadpool(accounts.is_known, self._hub, request.state.actor.name)
        has = self._web.local_accounts and known
        return page(
            request, "door/own_password.html", status=status, wrong=wrong, says=says, has=has
        )

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

    def _answered(
        self, request: Request, came: SignIn, after: str, *, wrong: str = _WRONG
    ) -> Response:
        secure = request.state.place.is_secure
        if came.wait is not None:
            return _waits(request, came.wait, after)
        if came.has_no_role:
            return page(request, "door/no_role.html", status=403)
        if came.token is None:
            return self._shown(request, after, status=403, wrong=wrong)
        response = RedirectResponse(after, status_code=303)
        SESSION.put(response, came.token, secure=secure)
        BEFORE.drop(response, secure=secure)
        return response

    def _shown(
        self,
        request: Request,
        after: str,
        *,
        status: int = 200,
        wrong: str = "",
        changed: bool = False,
    ) -> Response:
        oidc = self._web.oidc
        return page(
            request,
            "door/sign_in.html",
            status=status,
            after=after,
            after_quoted=quote(after, safe="/"),
            wrong=wrong,
            changed=changed,
            has_accounts=self._web.local_accounts,
            issuer=None if oidc is None else oidc.label,
        )


def _waits(request: Request, wait: timedelta, after: str) -> Response:
    """Too many tries: when to come back."""
    seconds = int(wait.total_seconds()) + 1
    answer = page(request, "door/wait.html", status=429, seconds=seconds, after=after)
    answer.headers["retry-after"] = str(seconds)
    return answer


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""
