"""What can go wrong at the border with another system; the class says what the run does next.

ConnectorError                 .system .operation .retryable
├ SourceUnavailableError       retryable: refused, reset, time-out on a read, 5xx, open circuit
│ └ AnswerTimeoutError         the answer took too long: ask for less at once
├ RateLimitedError             retryable, .retry_after
├ AuthenticationError          stop this source, tell ops
├ RequestRefusedError          the system understood and said no: .code; that scope is not read
├ ProtocolViolationError       the answer breaks the specification: .where
│ ├ IncompleteAnswerError      a count, page or body falls short: the snapshot is not complete
│ └ SignatureError             a signature does not hold
├ PseudonymDiffersError        not the pseudonym that is kept: nothing is written, a person looks
├ CursorExpiredError           the source keeps no changes since the cursor: read everything
└ OutcomeUnknownError          a delivery was sent, no answer came: ask, never resend under a new id
RecordError
└ ParseError                   one record cannot be read: quarantine
"""

from __future__ import annotations

from datetime import timedelta

from config.errors import KoppelhubError, RecordError


class ConnectorError(KoppelhubError):
    """Root of this room's errors.

    Args:
        message: what happened, without personal data and without query strings.
        system: the connector's system name (`somtoday`).
        operation: what was tried (`GET leerling`).
    """

    retryable = False
    default_advice = "Probeer het later opnieuw; blijft het misgaan, meld het bij ops."

    def __init__(
        self, message: str, *, system: str = "", operation: str = "", advice: str | None = None
    ) -> None:
        super().__init__(message, advice=advice)
        self.system = system
        self.operation = operation


class SourceUnavailableError(ConnectorError):
    """The system did not answer: refused, reset, time-out on a read, 5xx, or an open circuit."""

    retryable = True
    default_advice = "Het bronsysteem antwoordt niet. De hub probeert het vanzelf opnieuw."


class AnswerTimeoutError(SourceUnavailableError):
    """The system was reached, but its answer took too long: ask for less at once."""


class RateLimitedError(ConnectorError):
    """The system asks for patience.

    Args:
        retry_after: how long it asks for, where it says so.
    """

    retryable = True
    default_advice = "Het bronsysteem vraagt om later terug te komen. De hub wacht vanzelf."

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        system: str = "",
        operation: str = "",
        advice: str | None = None,
    ) -> None:
        super().__init__(message, system=system, operation=operation, advice=advice)
        self.retry_after = retry_after


class AuthenticationError(ConnectorError):
    """The credentials are refused: stop this source and tell ops."""

    default_advice = "De inloggegevens van deze koppeling worden geweigerd. Laat ops ze nakijken."


class RequestRefusedError(ConnectorError):
    """The system understood the request and said no; this scope or resource is not read.

    Args:
        code: the system's own code (`401`, `403`, `404`, or a code of its own table).
    """

    default_advice = "De school heeft hiervoor geen toestemming gegeven. Vraag de school dit recht."

    def __init__(
        self,
        message: str,
        *,
        code: str,
        system: str = "",
        operation: str = "",
        advice: str | None = None,
    ) -> None:
        super().__init__(message, system=system, operation=operation, advice=advice)
        self.code = code


class ProtocolViolationError(ConnectorError):
    """The answer breaks the specification.

    Args:
        where: the place in the answer (`body`, `leerlingen`, `header Content-Type`).
    """

    default_advice = "Het bronsysteem geeft een onleesbaar antwoord. Meld dit bij ops."

    def __init__(
        self,
        message: str,
        *,
        where: str,
        system: str = "",
        operation: str = "",
        advice: str | None = None,
    ) -> None:
        super().__init__(message, system=system, operation=operation, advice=advice)
        self.where = where


class IncompleteAnswerError(ProtocolViolationError):
    """A count, page or body falls short: the snapshot is not complete, absence means nothing."""

    default_advice = "De lezing was niet volledig; er wordt niets afgesloten. De hub leest opnieuw."


class SignatureError(ProtocolViolationError):
    """A signature does not hold."""


class PseudonymDiffersError(ConnectorError):
    """A system names another pseudonym of a person than the one that is kept: nothing is written.

    The number that was typed may be that of another person, or the pseudonym was obtained for one.
    """

    default_advice = (
        "Het andere systeem geeft een ander pseudoniem dan de hub van deze persoon bewaart. De hub "
        "heeft niets gewijzigd. Doe niets opnieuw en meld dit bij ops: dit moet worden uitgezocht."
    )


class CursorExpiredError(ConnectorError):
    """The source no longer knows what changed since the cursor: this scope is read as a whole."""

    default_advice = "De hub leest dit onderdeel vanzelf helemaal opnieuw."


class OutcomeUnknownError(ConnectorError):
    """A delivery was sent and no answer came: ask for its outcome, never resend under a new id."""


class ParseError(RecordError):
    """One record of the source cannot be read; it goes to quarantine."""
