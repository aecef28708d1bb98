"""What a connector can do that delivers to its system, beside reading it or instead of that.

A resource that declares `Capability.DELIVER` takes messages: each says what one object is now, or
that the target should not have it. Which those are is none of a connector's business: the engine
makes them, keeps them and asks again. A message keeps its id for ever, so that a system which is
given one twice, because no answer came the first time, does with it what it does once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from connectors.base import Action

LONGEST_REFERENCE: Final = 200
"""Characters of what a target calls an object; a longer one breaks the specification."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on one object.

    Attributes:
        message_id: stable, unique, and of no person: what the target knows a repetition by.
        resource: what the manifest calls it.
        key: hub key of the object (`K-123`).
        action: this is the object now, whole; or it is not for this target any more.
        body: the object; empty for a deletion.
        reference: what the target itself calls the object, where it said so before.
    """

    message_id: str
    resource: str
    key: str
    action: Action
    body: bytes = field(default=b"", repr=False)
    reference: str = ""


class Verdict(StrEnum):
    """What a target says of a message."""

    CONFIRMED = "confirmed"  # it has done what the message says
    TAKEN = "taken"  # it has the message, and answers later
    REFUSED = "refused"  # it understood and said no: it has done nothing
    NEVER_SEEN = "never_seen"  # of what it is asked about: it never got it


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one message.

    Attributes:
        reference: what the target calls the object, where it says so.
        code: of a refusal, from the target's own table.
        rule: which field breaks which rule, of a refusal; never a value.
    """

    message_id: str
    verdict: Verdict
    reference: str = ""
    code: str = ""
    rule: str = ""


@runtime_checkable
class Target(Protocol):
    """A connector that delivers."""

    def deliver(self, messages: Sequence[Outgoing]) -> Iterator[Answered]:
        """Deliver, in this order, and say of each what came of it as soon as that is known.

        A message that was delivered before is delivered again under its id: it has one effect.
        Iterating raises when it cannot go on; what was said before stays true, and the first
        message without an answer is the one that it broke off at.

        Raises: OutcomeUnknownError where that one was sent and no answer came: it is asked for, or
            sent again under its own id; another ConnectorError where nobody can deliver now.
        """

    def confirm(self, message_ids: Sequence[str]) -> Iterator[Answered]:
        """Ask what became of messages; only where the resource declares `CONFIRM`.

        Raises: ConnectorError.
        """
