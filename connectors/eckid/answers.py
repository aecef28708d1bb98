"""What comes back of a call: a body, a fault, or a refusal before anybody read the question.

Spec: eckid.md, sections 5, 10 and 11.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Final

from connectors.eckid.faults import judge
from connectors.eckid.manifest import SYSTEM
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    IncompleteAnswerError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.protocols.rest import Intake
from connectors.protocols.soap import fault_in

_LARGEST_FAULT: Final = 64 * 1024
_XML: Final = frozenset({"text/xml", "application/xml", "application/soap+xml"})
_OF_CERTIFICATES: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
"""In the name of a TLS alert that is about ours."""


def intake(operation: str, *, once: bool) -> Intake[bytes]:
    """How the answer to one operation is taken: the whole body, where it is one.

    `once` says that the answer never comes again: it is not lost over a header, and a page for
    people is not taken for it.
    """

    def receive(media_type: str, chunks: Iterable[bytes]) -> bytes:
        body = b"".join(chunks)
        fault = fault_in(body) if len(body) <= _LARGEST_FAULT else None
        if fault is not None:
            raise judge(fault, status=200, operation=operation)
        if not body:
            message = f"{operation}: the answer is empty"
            raise IncompleteAnswerError(message, where="body", system=SYSTEM, operation=operation)
        if not (_begins_as_xml(body) if once else media_type in _XML):
            raise violation(operation, "is no XML", where="header Content-Type")
        return body

    def refused(status: int, media_type: str, begin: bytes) -> ConnectorError | None:
        fault = fault_in(begin)
        if fault is not None:
            return judge(fault, status=status, operation=operation)
        return _by_status(status, operation)

    return Intake(receive, refused)


def _begins_as_xml(body: bytes) -> bool:
    head = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith(b"<") and not head.startswith((b"<!doctype", b"<html"))


def _by_status(status: int, operation: str) -> ConnectorError | None:
    """A refusal by HTTP alone, in the words of this protocol; None leaves it to the transport."""
    text = f"{operation}: status {status}"
    if status in {401, 403}:
        return not_let_in(text, operation)
    if status in {404, 405}:
        return RequestRefusedError(
            text,
            code=str(status),
            system=SYSTEM,
            operation=operation,
            advice="Op dit adres antwoordt geen Nummervoorziening. Laat ops de instelling "
            "`endpoint` nakijken.",
        )
    return None


def not_let_in(text: str, operation: str) -> AuthenticationError:
    """Our certificate is refused, before any question was read."""
    return AuthenticationError(
        f"{text} is refused",
        system=SYSTEM,
        operation=operation,
        advice="De server van de Nummervoorziening laat ons certificaat niet toe. Laat ops "
        "nakijken of `client_certificate` geldig is, van PKIoverheid is en het OIN draagt dat bij "
        "Kennisnet is aangemeld.",
    )


def is_refused_certificate(error: BaseException) -> bool:
    """Whether the other side refused our certificate, rather than we theirs.

    It says so in a TLS alert; what we refuse ourselves is a verification error.
    """
    chain: list[BaseException] = [error]
    for link in chain:
        if isinstance(link, ssl.SSLError):
            reason = link.reason or ""
            return "ALERT" in reason and any(word in reason for word in _OF_CERTIFICATES)
        following = (link.__cause__, link.__context__)
        chain.extend(one for one in following if one is not None and one not in chain)
    return False


def violation(operation: str, what: str, *, where: str = "body") -> ProtocolViolationError:
    """An answer that is not as described."""
    message = f"{operation}: the answer {what}"
    return ProtocolViolationError(message, where=where, system=SYSTEM, operation=operation)
