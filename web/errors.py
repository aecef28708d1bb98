"""What can go wrong at the door.

KoppelhubError
└ WebError
  ├ IssuerUnavailableError       the issuer does not answer, or not as it must: later, or a setting
  └ IdentityRefusedError         the issuer answered, and what it says of somebody is not believed
"""

from __future__ import annotations

from enum import StrEnum

from config.errors import KoppelhubError


class WebError(KoppelhubError):
    """Root of this room's errors."""


class IssuerUnavailableError(WebError):
    """The issuer does not answer, or not as OpenID Connect prescribes; nobody was judged."""

    retryable = True
    default_advice = (
        "Controleer [web.oidc] in koppelhub.toml en of de inlogdienst bereikbaar is; een lokaal "
        "account (`koppelhub account add`) werkt intussen wel."
    )


class Doubt(StrEnum):
    """Why an identity is not believed; what a person is told depends on it."""

    TOKEN = "token"  # noqa: S105 - a reason
    DENIED = "denied"
    UNVERIFIED = "unverified"
    UNNAMED = "unnamed"
    GROUP = "group"


class IdentityRefusedError(WebError):
    """What the issuer says of somebody is not believed, or does not let him in.

    Args:
        rule: what is wrong, without any value.
        doubt: of which kind that is.
    """

    default_advice = (
        "Log opnieuw in. Blijft dit, controleer dan [web.oidc] en wat de inlogdienst over deze "
        "medewerker doorgeeft (docs/signing-in.md)."
    )

    def __init__(self, rule: str, doubt: Doubt = Doubt.TOKEN) -> None:
        super().__init__(f"the identity is refused: {rule}")
        self.rule = rule
        self.doubt = doubt
