"""Mail over SMTP: one plain message to a few addresses, with TLS, bounded in time and size.

What the server says back is hostile: it is read to a bound, and only its code is told. Nothing of
smtplib leaves this module.

Spec: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 8314 (TLS from the start), RFC 3834
(Auto-Submitted) (CONFIRMED).
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from enum import StrEnum
from typing import IO, Any, Final

from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    OutcomeUnknownError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)

_SYSTEM: Final = "mail"
_OPERATION: Final = "SMTP send"
_MOST_BYTES: Final = 64 * 1024
"""Of all that a server says in one session."""
_TEMPORARY: Final = range(400, 500)
_SERVER_ADVICE: Final = (
    "De mailserver antwoordt niet zoals het hoort. Kijk host, port en security onder [alerts.mail] "
    "na. De hub probeert het vanzelf opnieuw."
)
_LOGIN_ADVICE: Final = (
    "De mailserver weigert de gebruiker of het wachtwoord van [alerts.mail]. Kijk ze na en draai "
    "`koppelhub alerts test`."
)
_TLS_ADVICE: Final = (
    "Het certificaat van de mailserver wordt niet vertrouwd, of hij kent geen TLS. Kijk host, "
    "security en authority onder [alerts.mail] na."
)
_REFUSED_ADVICE: Final = (
    "De mailserver weigert de afzender of alle ontvangers. Kijk sender onder [alerts.mail] en de "
    "adressen van dit kanaal na."
)


class Security(StrEnum):
    """How the connection is kept private."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over. The password is opaque, and never shown.

    Attributes:
        tls: whom to trust; None is whom the machine trusts.
        timeout: bound on the connection, and on each answer.
    """

    host: str
    port: int
    security: Security
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    timeout: timedelta = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent.

    Attributes:
        id: the same for every attempt: it makes the Message-ID, by which a mailbox knows a double.
        at: when it was written; it stays so when it is sent later.
    """

    id: str
    at: datetime
    to: tuple[str, ...] = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handed:
    """What a server took of a letter.

    Attributes:
        refused: how many of its addresses it will not have.
        later: those that it may take another time: the letter is to be sent to them again.
    """

    refused: int = 0
    later: tuple[str, ...] = field(default=(), repr=False)


def send(server: MailServer, letter: Letter) -> Handed:
    """Hand one letter over; what became of those of its addresses that the server did not take.

    It never sends without the TLS that was asked for.

    Raises: ConnectorError; OutcomeUnknownError where the letter was sent and no answer came: it may
        be sent again, for its Message-ID is the same.
    """
    message = _wire(server.sender, letter)
    with _session(server) as client:
        try:
            refused = client.sendmail(server.sender, list(letter.to), message)
        except smtplib.SMTPRecipientsRefused as exc:
            codes = [code for code, _ in exc.recipients.values()]
            raise _said_no(min(codes, default=550)) from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as exc:
            raise _said_no(exc.smtp_code) from None
        except (smtplib.SMTPServerDisconnected, OSError) as exc:
            text = f"{_OPERATION}: {type(exc).__name__} while the letter was handed over"
            raise OutcomeUnknownError(
                text, system=_SYSTEM, operation=_OPERATION, advice=_SERVER_ADVICE
            ) from None
        later = tuple(to for to, (code, _) in refused.items() if code in _TEMPORARY)
        return Handed(len(refused) - len(later), later)


def _wire(sender: str, letter: Letter) -> bytes:
    """The letter on the wire; a line end in a header is no header of its own, but an error."""
    try:
        return _message(sender, letter)
    except ValueError:  # UnicodeError is one too
        raise ProtocolViolationError(
            f"{_OPERATION}: an address or the id holds what no header may hold",
            where="header",
            system=_SYSTEM,
            operation=_OPERATION,
            advice="Controleer de adressen van dit kanaal in koppelhub.toml.",
        ) from None


def _message(sender: str, letter: Letter) -> bytes:
    message = EmailMessage(policy=WIRE)
    message["From"] = sender
    message["To"] = ", ".join(letter.to)
    message["Subject"] = _one_line(letter.subject)
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text, charset="utf-8", cte="quoted-printable")
    return message.as_bytes()


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:200]


# -- the session -----------------------------------------------------------------------------------


@contextmanager
def _session(server: MailServer) -> Iterator[smtplib.SMTP]:
    client: smtplib.SMTP | None = None
    try:
        try:
            client = _connected(server)
            if server.user is not None and server.password is not None:
                client.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as exc:
            raise _not_let_in(exc.smtp_code) from None
        except ssl.SSLError:
            raise _no_tls("no trusted TLS connection") from None
        except smtplib.SMTPNotSupportedError:
            raise _no_tls("the server does not offer what is asked of it") from None
        except (smtplib.SMTPException, OSError, ValueError) as exc:
            raise _unreachable(exc) from None
        yield client
    finally:
        if client is not None:
            with suppress(smtplib.SMTPException, OSError, ConnectorError):
                client.quit()
            client.close()


def _connected(server: MailServer) -> smtplib.SMTP:
    seconds = server.timeout.total_seconds()
    us = server.sender.rpartition("@")[2]  # not the name of this machine
    tls = server.tls if server.tls is not None else ssl.create_default_context()
    if server.security is Security.TLS:
        return _OverTls(server.host, server.port, us, timeout=seconds, context=tls)
    client = _Client(server.host, server.port, us, timeout=seconds)
    if server.security is Security.STARTTLS:
        try:
            client.starttls(context=tls)
        except BaseException:
            client.close()
            raise
    return client


class _Bounded:
    """What a server says, to a bound."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._room = _MOST_BYTES

    def readline(self, limit: int = -1) -> bytes:
        """One line. Raises: ProtocolViolationError past the bound."""
        line = self._file.readline(limit)
        self._room -= len(line)
        if self._room < 0:
            raise ProtocolViolationError(
                f"{_OPERATION}: the server says more than {_MOST_BYTES} bytes",
                where="reply",
                system=_SYSTEM,
                operation=_OPERATION,
                advice=_SERVER_ADVICE,
            )
        return line

    def close(self) -> None:
        """Close what lies under it."""
        self._file.close()


class _Client(smtplib.SMTP):
    """SMTP that reads to a bound, and leaves no socket open where it cannot begin."""

    _reader: _Bounded | None = None

    @property
    def file(self) -> _Bounded | None:
        """What smtplib reads from: whatever it makes is bounded."""
        return self._reader

    @file.setter
    def file(self, made: IO[bytes] | None) -> None:
        self._reader = None if made is None else _Bounded(made)

    def connect(
        self,
        host: str = "localhost",
        port: int = 0,
        source_address: Any = None,
    ) -> tuple[int, bytes]:
        """Connect and read the greeting."""
        try:
            return super().connect(host, port, source_address)
        except BaseException:
            self.close()
            raise


class _OverTls(_Client, smtplib.SMTP_SSL):
    """The same over TLS from the start."""


# -- what went wrong -------------------------------------------------------------------------------


def _said_no(code: int) -> ConnectorError:
    text = f"{_OPERATION}: refused with code {code}"
    if code in _TEMPORARY:
        return SourceUnavailableError(
            text, system=_SYSTEM, operation=_OPERATION, advice=_SERVER_ADVICE
        )
    return RequestRefusedError(
        text, code=str(code), system=_SYSTEM, operation=_OPERATION, advice=_REFUSED_ADVICE
    )


def _not_let_in(code: int) -> ConnectorError:
    if code in _TEMPORARY:
        return _said_no(code)
    text = f"{_OPERATION}: the login is refused with code {code}"
    return AuthenticationError(text, system=_SYSTEM, operation=_OPERATION, advice=_LOGIN_ADVICE)


def _no_tls(what: str) -> ConnectorError:
    return ProtocolViolationError(
        f"{_OPERATION}: {what}",
        where="tls",
        system=_SYSTEM,
        operation=_OPERATION,
        advice=_TLS_ADVICE,
    )


def _unreachable(exc: Exception) -> ConnectorError:
    code = f" {exc.smtp_code}" if isinstance(exc, smtplib.SMTPResponseException) else ""
    return SourceUnavailableError(
        f"{_OPERATION}: {type(exc).__name__}{code}",
        system=_SYSTEM,
        operation=_OPERATION,
        advice=_SERVER_ADVICE,
    )
