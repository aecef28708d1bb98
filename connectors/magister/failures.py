"""What Magister's refusals and failures mean, and the sentence that the school gets.

Every sentence says who must do it and what: the applicatiebeheerder grants rights and lists, the
hosting opens the port. No text of Magister's own is ever shown: it may hold anything.
Spec: magister.md, sections 2 and 5 (codes CONFIRMED; what an expired token looks like ASSUMED).
"""

from __future__ import annotations

import re
import ssl
from typing import Final

from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.magister.wire import LAYOUT, SYSTEM, Verdict

GENERAL: Final = "EMGeneralFailure"
"""The exception of a list that belongs to another account."""

NO_RIGHT: Final = "10"
"""The code of a list to which the account has no right."""

NETWORK_ADVICE: Final = (
    "De webservice van Magister is niet bereikbaar. Meestal staat poort 8800 dicht voor het adres "
    "van de hub: vraag de applicatiebeheerder om het IP-adres van de hub bij de hosting van "
    "Magister op de toegangslijst (allow-list) te laten zetten."
)
TLS_ADVICE: Final = (
    "Het certificaat van de Magister-server wordt niet vertrouwd. Laat de hosting van Magister een "
    "geldig certificaat plaatsen, of geef ops het certificaat van de eigen uitgever (CA) van de "
    "school voor de instelling `ca_bundle`."
)
TLS_VERSION_ADVICE: Final = (
    "De Magister-server spreekt geen TLS 1.2 of nieuwer. Vraag de hosting van Magister om TLS 1.2 "
    "aan te zetten."
)
LOGIN_ADVICE: Final = (
    "Magister weigert de gebruiker van de hub. Vraag de applicatiebeheerder of de "
    "webservicegebruiker bestaat, niet geblokkeerd is en het recht `Algemeen.Login` heeft, en laat "
    "ops gebruikersnaam en wachtwoord nakijken."
)
EMPTY_ADVICE: Final = (
    "Magister geeft een lege lijst. Vraag de applicatiebeheerder om de lijst in Decibel te testen "
    "(F9) en na te gaan of de lesperiode actief is; tot dan sluit de hub niets af."
)

_LOGIN_LIKE: Final = re.compile(
    r"token|sessie|session|aanmeld|ingelogd|inlog|login|logged|authenti|wachtwoord", re.IGNORECASE
)
_NOT_A_NUMBER: Final = re.compile(r"is not a valid|geen geldige", re.IGNORECASE)


def is_login_like(verdict: Verdict) -> bool:
    """Whether a call failed because the token is no longer good: then one new one is asked.

    Spec: section 3.1 (ASSUMED: how such a failure looks stands in no public source).
    """
    if not verdict.failed or verdict.code == NO_RIGHT or verdict.exception == GENERAL:
        return False
    told = f"{verdict.exception} {verdict.message}"
    return _LOGIN_LIKE.search(told) is not None


def login_refused(operation: str) -> AuthenticationError:
    """Magister does not let the account in."""
    return AuthenticationError(
        f"{operation}: the login is refused",
        system=SYSTEM,
        operation=operation,
        advice=LOGIN_ADVICE,
    )


def refusal(verdict: Verdict, *, operation: str, subject: str, is_list: bool) -> ConnectorError:
    """The error of an answer that says no.

    Args:
        verdict: what it says.
        operation: for errors.
        subject: the list or function that was asked.
        is_list: it is a list of Decibel.
    """
    code = verdict.code or verdict.exception or "False"
    if code in {NO_RIGHT, GENERAL}:
        return RequestRefusedError(
            f"{operation}: no right (code {code})",
            code=code,
            system=SYSTEM,
            operation=operation,
            advice=_right_advice(subject, is_list=is_list),
        )
    if is_list and (verdict.exception or _NOT_A_NUMBER.search(verdict.message)):
        return ProtocolViolationError(
            f"{operation}: the list itself fails in Magister ({code})",
            where=LAYOUT,
            system=SYSTEM,
            operation=operation,
            advice=_broken_list(subject, hash_sign=bool(_NOT_A_NUMBER.search(verdict.message))),
        )
    return RequestRefusedError(
        f"{operation}: refused (code {code})",
        code=code,
        system=SYSTEM,
        operation=operation,
        advice=_right_advice(subject, is_list=is_list),
    )


def _right_advice(subject: str, *, is_list: bool) -> str:
    if is_list:
        return (
            f"Het account van de hub heeft geen recht op de lijst `{subject}`, of de lijst bestaat "
            "niet. Vraag de applicatiebeheerder van Magister om de lijst in Decibel aan te maken "
            "en toe te wijzen aan de webservicegebruiker van de hub."
        )
    return (
        f"Het account van de hub heeft geen recht op `{subject}`. Vraag de applicatiebeheerder van "
        "Magister om de webservicegebruiker dit recht te geven."
    )


def _broken_list(subject: str, *, hash_sign: bool) -> str:
    text = (
        f"De lijst `{subject}` geeft een fout in Magister zelf. Vraag de applicatiebeheerder om "
        "haar in Decibel te testen (F9)"
    )
    return (
        f"{text}; er mag geen # in de tekst staan, ook niet in commentaar."
        if hash_sign
        else (f"{text}.")
    )


def missing_in_layout(operation: str, subject: str, names: tuple[str, ...]) -> ConnectorError:
    """A list without required columns."""
    listed = ", ".join(names)
    return ProtocolViolationError(
        f"{operation}: columns are missing: {listed}",
        where=LAYOUT,
        system=SYSTEM,
        operation=operation,
        advice=f"In de lijst `{subject}` ontbreekt: {listed}. Vraag de applicatiebeheerder van "
        "Magister om de tekst van het installatieblad opnieuw over te nemen.",
    )


def explained(error: ConnectorError) -> ConnectorError:
    """A failure of the transport with the sentence that fits Magister; a new error without a chain.

    The chain is cut because frames and requests in it may hold the address with the credentials.
    """
    names = {"system": error.system, "operation": error.operation}
    version = _is_old_tls(error)
    match error:
        case ProtocolViolationError(where="tls"):
            what = "no TLS 1.2 or newer" if version else "the certificate is not trusted"
            return ProtocolViolationError(
                f"{error.operation}: {what}",
                where="tls",
                advice=TLS_VERSION_ADVICE if version else TLS_ADVICE,
                **names,
            )
        case RequestRefusedError(code="401" | "403"):
            return login_refused(error.operation)
        case SourceUnavailableError() if _never_reached(error):
            error.advice = NETWORK_ADVICE
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = [error]
    for link in found:
        following = (link.__cause__, link.__context__)
        found.extend(one for one in following if one is not None and one not in found)
    return found


_OLD: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "WRONG_VERSION")


def _is_old_tls(error: ConnectorError) -> bool:
    return any(
        isinstance(link, ssl.SSLError) and any(name in str(link.reason) for name in _OLD)
        for link in _chain(error)
    )


def _never_reached(error: ConnectorError) -> bool:
    """Whether no connection was made: refused, timed out, or ended in the handshake."""
    kinds = {type(link).__name__ for link in _chain(error)}
    return bool(kinds & {"ConnectError", "ConnectTimeout", "SSLEOFError"})
