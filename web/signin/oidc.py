"""Signing in at an issuer of OpenID Connect: leaving for it, and judging what comes back.

Authorization code with PKCE (S256), a state and a nonce of each try; of the ID token everything is
checked: signature, issuer, audience, times with a bounded skew, nonce, and the hash of the access
token where it has one. Only what an e-mail address is verified for, or a username, names somebody.
Spec: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; RFC 7636; RFC 9207 (CONFIRMED).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode
from binascii import Error
from collections.abc import Mapping, Sequence
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from config.clock import Clock
from config.operators import Operator
from config.web import Oidc, OperatorClaim
from web.errors import Doubt, IdentityRefusedError, IssuerUnavailableError
from web.signin.issuer import ALGORITHMS, Issuer, Key, Tokens

_LONGEST: Final = 16_000  # characters of a code or token


class Flow(msgspec.Struct, frozen=True):
    """One try to sign in, as the browser keeps it sealed until it comes back."""

    state: str
    nonce: str
    verifier: str
    after: str
    redirect_uri: str


class _Head(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None


class RelyingParty:
    """This installation, as the issuer knows it; safe to share between threads.

    Args:
        oidc: how it is configured.
        clock: judges times.
        issuer: what it asks; by default the configured one.
    """

    def __init__(self, oidc: Oidc, clock: Clock, *, issuer: Issuer | None = None) -> None:
        self._oidc, self._clock = oidc, clock
        self._issuer = issuer or Issuer(oidc, clock)

    def leave(self, *, after: str, redirect_uri: str) -> tuple[str, Flow]:
        """Where to send a browser, and what must come back with it.

        Raises: IssuerUnavailableError.
        """
        flow = Flow(token_urlsafe(24), token_urlsafe(24), token_urlsafe(48), after, redirect_uri)
        asked = {
            "response_type": "code",
            "client_id": self._oidc.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(("openid", *self._oidc.scopes)),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": create_s256_code_challenge(flow.verifier),
            "code_challenge_method": "S256",
        }
        endpoint = self._issuer.metadata().authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", flow

    def arrive(self, flow: Flow, answer: Mapping[str, str]) -> str:
        """Who came back: the value of the claim that names an operator.

        Args:
            flow: of the browser.
            answer: query of the address that the issuer sent it to.

        Raises: IdentityRefusedError; IssuerUnavailableError.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise IdentityRefusedError("the state is not that of this browser")
        metadata = self._issuer.metadata()
        named = answer.get("iss")
        if named is None and metadata.authorization_response_iss_parameter_supported:
            raise IdentityRefusedError("the answer does not say which issuer it is of")
        if named is not None and named != metadata.issuer:
            raise IdentityRefusedError("the answer is of another issuer")
        if "error" in answer:
            raise IdentityRefusedError("the issuer let nobody in", Doubt.DENIED)
        code = answer.get("code", "")
        if not code or len(code) > _LONGEST:
            raise IdentityRefusedError("no code came back")
        tokens = self._issuer.tokens(code, verifier=flow.verifier, redirect_uri=flow.redirect_uri)
        return self._named(self._claims(tokens, flow.nonce))

    def _claims(self, tokens: Tokens, nonce: str) -> Mapping[str, Any]:
        """What a token says, once all of it is believed."""
        if len(tokens.id_token) > _LONGEST:
            raise IdentityRefusedError("the ID token is too large")
        metadata = self._issuer.metadata()
        head = _head(tokens.id_token)
        told = set(metadata.id_token_signing_alg_values_supported)
        allowed = ALGORITHMS & told if told else ALGORITHMS
        if not allowed:
            raise IssuerUnavailableError("the issuer signs in no way that is believed")
        if head.alg not in allowed:
            raise IdentityRefusedError("the ID token is not signed in a way that is believed")
        token = self._verified(
            tokens.id_token, self._issuer.keys(head.alg, head.kid), sorted(allowed)
        )
        claims = CodeIDToken(
            token.claims,
            token.header,
            {
                "iss": {"essential": True, "value": metadata.issuer},
                "aud": {"essential": True, "value": self._oidc.client_id},
                "nonce": {"essential": True},
            },
            {
                "nonce": nonce,
                "client_id": self._oidc.client_id,
                "access_token": tokens.access_token or None,
            },
        )
        now, skew = int(self._clock.now().timestamp()), int(self._oidc.skew.total_seconds())
        try:
            claims.validate(now=now, leeway=skew)
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            rule = getattr(error, "claim", None) or getattr(error, "error", type(error).__name__)
            raise IdentityRefusedError(f"the ID token breaks a rule ({rule})") from None
        return dict(claims)

    @staticmethod
    def _verified(text: str, keys: Sequence[Key], allowed: Sequence[str]) -> jwt.Token:
        if len(keys) != 1:  # a token that names none of several keys is of nobody
            raise IdentityRefusedError("the ID token is signed with a key that is not known")
        registry = JWSRegistry(algorithms=allowed, strict_check_header=False)
        try:
            return jwt.decode(text, keys[0], registry=registry)
        except (JoseError, ValueError, TypeError):
            raise IdentityRefusedError("the signature of the ID token does not hold") from None

    def _named(self, claims: Mapping[str, Any]) -> str:
        if self._oidc.groups:
            told = claims.get(self._oidc.groups_claim)
            listed = told if isinstance(told, list) else [told]
            if not any(isinstance(one, str) and one in self._oidc.groups for one in listed):
                raise IdentityRefusedError("in none of the groups that may come in", Doubt.GROUP)
        value = claims.get(str(self._oidc.claim))
        if not isinstance(value, str) or not value:
            raise IdentityRefusedError(f"the claim {self._oidc.claim} is missing", Doubt.UNNAMED)
        if self._oidc.claim is OperatorClaim.EMAIL and claims.get("email_verified") is not True:
            raise IdentityRefusedError("the e-mail address is not verified", Doubt.UNVERIFIED)
        return value


def operator_of(operators: Sequence[Operator], claim: OperatorClaim, value: str) -> str | None:
    """The name of the operator whom a claim means; None for nobody.

    Capitals make no difference in an e-mail address, and do in a username.
    """
    for operator in operators:
        if operator.name == value:
            return operator.name
    if claim is OperatorClaim.EMAIL and value.isascii():
        found = [each.name for each in operators if each.name.lower() == value.lower()]
        return found[0] if len(found) == 1 else None
    return None


def _head(token: str) -> _Head:
    """What a token says of its own signature; nothing of it is believed."""
    part = token.partition(".")[0]
    try:
        body = urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
        return msgspec.json.decode(body, type=_Head)
    except (msgspec.MsgspecError, Error, ValueError):
        raise IdentityRefusedError("the ID token cannot be read") from None
