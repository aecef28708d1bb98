"""What the facility's faults mean, by the text of `faultactor` and nothing else.

    NotReadyError(ConnectorError)             the batch is not there yet: poll again later
    AnswerGoneError(RequestRefusedError)      the batch was given out or removed: submit anew
    DailyLimitError(RequestRefusedError)      no more submissions today
    WrongEnvironmentError(ProtocolViolation)  a pseudonym of the other environment: keep nothing

A `faultstring` may repeat what was sent: it is never read, kept or logged.
Spec: eckid.md, section 11.
"""

from __future__ import annotations

from connectors.errors import ConnectorError, ProtocolViolationError, RequestRefusedError


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
