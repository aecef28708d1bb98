"""How leerlingen are delivered to the Referentiebron, and what it says of them.

Each message goes with its id in `Idempotency-Key`: the Referentiebron does once what it is given
twice, so that an answer which did not come is no reason to be careful. What it says of a refusal
is taken only where it is a word of its own table: it may not carry a value of a person in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeVar
from urllib.parse import quote

import msgspec

from connectors.base import Action
from connectors.errors import (
    AnswerTimeoutError,
    AuthenticationError,
    ConnectorError,
    OutcomeUnknownError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.protocols.rest import Intake, RestTransport
from connectors.targets import LONGEST_REFERENCE, Answered, Outgoing, Verdict

_T = TypeVar("_T")

MOST: Final = 100
"""Messages that it is asked about at once."""
_LONGEST: Final = 64 * 1024
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_DONE_AS: Final[Mapping[str, Verdict]] = {
    "verwerkt": Verdict.CONFIRMED,
    "wacht": Verdict.TAKEN,
}
_VERDICTS: Final[Mapping[str, Verdict]] = {
    **_DONE_AS,
    "geweigerd": Verdict.REFUSED,
    "onbekend": Verdict.NEVER_SEEN,
}


class _Done(msgspec.Struct):
    stand: Literal["verwerkt", "wacht"]
    nummer: str = ""


class _Refused(msgspec.Struct):
    code: str = ""
    veld: str = ""
    regel: str = ""


class _Outcome(_Refused, kw_only=True):
    id: str
    stand: Literal["verwerkt", "wacht", "geweigerd", "onbekend"]
    nummer: str = ""


class _Outcomes(msgspec.Struct):
    items: list[_Outcome]


class _RefusedError(RequestRefusedError):
    """It understood the message and said no; carries what it said to where it is answered."""

    said: _Refused = _Refused()


class Deliveries:
    """Delivers for one koppeling.

    Args:
        system: for errors.
        base: the address, with its version.
        token: of the koppeling.
        transport: over which it goes.
    """

    def __init__(self, system: str, base: str, *, token: str, transport: RestTransport) -> None:
        self._system, self._base, self._transport = system, base, transport
        self._headers = {"Authorization": f"Bearer {token}"}

    def deliver(self, messages: Sequence[Outgoing]) -> Iterator[Answered]:
        """Each in turn. Raises: OutcomeUnknownError; ConnectorError."""
        for message in messages:
            yield self._one(message)

    def confirm(self, message_ids: Sequence[str]) -> Iterator[Answered]:
        """What became of messages. Raises: ConnectorError."""
        for start in range(0, len(message_ids), MOST):
            asked = message_ids[start : start + MOST]
            answer = self._transport.get(
                f"{self._base}/leveringen",
                operation="GET leveringen",
                query=[("id", message_id) for message_id in asked],
                headers=self._headers,
            )
            for outcome in answer.decode(_OUTCOMES).items:
                if outcome.id in asked:
                    verdict = _VERDICTS[outcome.stand]
                    yield _answered(outcome.id, verdict, outcome.nummer, outcome)

    def _one(self, message: Outgoing) -> Answered:
        method = "PUT" if message.action is Action.PUT else "DELETE"
        operation = f"{method} {message.resource}"

        def receive(_: str, chunks: Iterable[bytes]) -> _Done:
            return self._decoded(_DONE, b"".join(chunks), operation)

        def refused(status: int, _: str, body: bytes) -> ConnectorError | None:
            return self._refusal(status, body, operation)

        try:
            done = self._transport.post_document(
                f"{self._base}/{message.resource}/{quote(message.key, safe='')}",
                operation=operation,
                document=message.body,
                headers={
                    **self._headers,
                    "Idempotency-Key": message.message_id,
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                },
                intake=Intake(receive, refused),
                repeats=False,  # whether it goes again is for who keeps the message
                method=method,
            )
        except _RefusedError as error:
            return _answered(message.message_id, Verdict.REFUSED, "", error.said)
        except AnswerTimeoutError as error:
            unknown = f"{operation}: no answer came"
            raise OutcomeUnknownError(unknown, system=self._system, operation=operation) from error
        return _answered(message.message_id, _DONE_AS[done.stand], done.nummer, None)

    def _refusal(self, status: int, body: bytes, operation: str) -> ConnectorError | None:
        names = {"system": self._system, "operation": operation}
        if status == 401:
            return AuthenticationError(f"{operation}: the token is refused", **names)
        if status not in {409, 422}:
            return None
        error = _RefusedError(f"{operation}: status {status}", code=str(status), **names)
        error.said = _Refused("dubbel_id", "id", "andere_inhoud")
        if status == 422:
            error.said = self._decoded(_REFUSED, body, operation)
        return error

    def _decoded(self, decoder: msgspec.json.Decoder[_T], body: bytes, operation: str) -> _T:
        try:
            if len(body) > _LONGEST:
                raise msgspec.DecodeError("too long")
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            message = f"{operation}: the answer is not of the shape of its specification"
            raise ProtocolViolationError(
                message, where="body", system=self._system, operation=operation
            ) from None


_DONE: Final = msgspec.json.Decoder(_Done)
_REFUSED: Final = msgspec.json.Decoder(_Refused)
_OUTCOMES: Final = msgspec.json.Decoder(_Outcomes)


def _answered(message_id: str, verdict: Verdict, number: str, refused: _Refused | None) -> Answered:
    """What it said, where its words are of its own table; another word is left out."""
    if verdict is not Verdict.REFUSED or refused is None:
        fits = number.isascii() and number.isprintable() and len(number) <= LONGEST_REFERENCE
        return Answered(message_id, verdict, reference=number if fits else "")
    words = [w if _WORD.fullmatch(w) else "" for w in (refused.code, refused.veld, refused.regel)]
    code, field, rule = words
    named = f"{field}: {rule}" if field and rule else field or rule
    return Answered(message_id, verdict, code=code or "geweigerd", rule=named)
