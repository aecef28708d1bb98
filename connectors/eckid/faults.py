"""What the facility's faults mean, by the exact text of `faultactor` and nothing else.

NotReadyError(ConnectorError)              the batch is not there yet: poll again later
AnswerGoneError(RequestRefusedError)       the batch was given out or removed: submit anew
DailyLimitError(RequestRefusedError)       no more submissions today
NotAdmittedError(AuthenticationError)      our certificate or this school is not on its list
OutOfOrderError(SourceUnavailableError)    its own settings are wrong: later, and tell ops
WrongEnvironmentError(ProtocolViolation…)  a pseudonym of the other environment: keep nothing

A `faultstring` may repeat what was sent: it is never read, kept or logged; nor is an actor that is
no name of an exception.
Spec: eckid.md, section 11.
"""

from __future__ import annotations

import re
from typing import Final

from connectors.eckid.manifest import SYSTEM
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.soap import Fault

INVALID_CHAIN: Final = "InvalidChainIdException"
INVALID_SECTOR: Final = "InvalidSectorIdException"
_UNKNOWN: Final = "fault"
_NAME: Final = re.compile(r"[A-Za-z]{1,60}Exception").fullmatch
_PASSING: Final = frozenset({502, 503, 504})


class NotReadyError(ConnectorError):
    """The answer to a batch is not there yet, or was asked for too soon: poll again later."""

    retryable = True
    default_advice = (
        "De Nummervoorziening is nog bezig met deze aanvraag. De hub vraagt vanzelf opnieuw."
    )


class AnswerGoneError(RequestRefusedError):
    """The answer to a batch was given out before, or was removed: it never comes any more."""

    default_advice = (
        "Het antwoord van deze aanvraag is niet meer op te halen. De hub vraagt de ECK iD's van "
        "deze personen vanzelf opnieuw aan; er gaat niets verloren."
    )


class DailyLimitError(RequestRefusedError):
    """The facility takes no more submissions today."""

    default_advice = (
        "De Nummervoorziening neemt vandaag geen aanvragen meer aan voor deze koppeling. De hub "
        "gaat na middernacht vanzelf verder."
    )


class WrongEnvironmentError(ProtocolViolationError):
    """A pseudonym of the test environment in production, or the reverse: nothing is kept."""

    default_advice = (
        "De Nummervoorziening geeft pseudoniemen van de andere omgeving (test of productie). Er is "
        "niets bewaard. Laat ops `endpoint`, `omgeving` en `salt` van deze koppeling nakijken."
    )


class NotAdmittedError(AuthenticationError):
    """The OIN of our certificate, or that of the school, is not on the facility's list."""

    default_advice = (
        "De Nummervoorziening laat deze koppeling niet toe. Vraag het schoolbestuur of de "
        "overeenkomst voor Nummervoorziening getekend is en onze organisatie daarin staat; laat "
        "ops het `oin` van de school en het OIN in ons certificaat nakijken bij Kennisnet."
    )


class OutOfOrderError(SourceUnavailableError):
    """The facility says that its own settings are wrong."""

    default_advice = (
        "De Nummervoorziening meldt een storing bij zichzelf. De hub probeert het vanzelf opnieuw; "
        "blijft dit zo, laat ops het melden bij Kennisnet."
    )


_ADVICE: Final = {
    "InvalidHPgnException": "De Nummervoorziening vindt de gestuurde hash ongeldig. Meld dit bij "
    "ops, met het runnummer; de school hoeft niets te doen.",
    INVALID_CHAIN: "Laat ops de instelling `keten` van deze koppeling nakijken: de "
    "Nummervoorziening kent dit id niet.",
    INVALID_SECTOR: "Laat ops de instelling `sector` van deze koppeling nakijken: de "
    "Nummervoorziening kent dit id niet.",
    "BlockedHPgnException": "Dit nummer is bij de Nummervoorziening door een ander vervangen. Laat "
    "de school nakijken welk persoonsgebonden nummer van deze leerling nu geldt.",
}
_OF_UNKNOWN: Final = (
    "De Nummervoorziening weigert deze vraag om een reden die de hub niet kent. Meld dit bij ops, "
    "met het runnummer."
)

_NOT_READY: Final = frozenset({"NotFinishedException", "TemporaryBlockedException"})
_GONE: Final = frozenset({"ContentAlreadyRetrievedException", "ContentRemovedException"})


def judge(fault: Fault, *, status: int, operation: str) -> ConnectorError:
    """The error that a fault is; one that is not known is final, but for a passing status."""
    known = _NAME(fault.actor) is not None
    actor = fault.actor if known else _UNKNOWN
    text = f"{operation}: {actor}" if known else f"{operation}: a fault without a name"
    names = {"system": SYSTEM, "operation": operation}
    if actor in _NOT_READY:
        return NotReadyError(text, **names)
    if actor in _GONE:
        return AnswerGoneError(text, code=actor, **names)
    match actor:
        case "LimitDailyBatchSubmissionsExceededException":
            return DailyLimitError(text, code=actor, **names)
        case "NotAllowedCallerException":
            return NotAdmittedError(text, **names)
        case "HashOperationException":
            return OutOfOrderError(text, **names)
        case _ if actor not in _ADVICE and status in _PASSING:
            return SourceUnavailableError(text, **names)
        case _:
            advice = _ADVICE.get(actor, _OF_UNKNOWN)
            return RequestRefusedError(text, code=actor, advice=advice, **names)


def is_by_status(error: RequestRefusedError) -> bool:
    """Whether HTTP alone refused: that is no matter of a person or a batch, and may pass."""
    return error.code.isdigit()
