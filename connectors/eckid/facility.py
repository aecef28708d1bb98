"""What the number facility (Nummervoorziening) can be asked: its nine operations, typed.

Everything that passes here is a pseudonym or a hash of a personal number: nothing of it is shown,
logged or put in an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from connectors.eckid.hashing import Hpgn
from sector.identifiers import EckId, Stampseudoniem


@dataclass(frozen=True, slots=True)
class Ping:
    """What the facility says of itself.

    Attributes:
        version: of its application; `2.0…` is the one that this client was written for.
        system_time: its clock, with its offset from UTC where it gives one.
    """

    available: bool
    version: str
    system_time: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A chain or a sector that the facility knows."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The answer to a batch, whichever kind it was.

    What stands twice, or is no pseudonym, is not in `found`: it is in `failed`, and is told in
    `problems`. Whether an index was asked for, and whether a value is of the kind that was asked,
    only who submitted the batch can tell.

    Attributes:
        found: index → stampseudoniem or ECK iD, of the right environment.
        failed: indexes without a usable value; the facility's own texts are not kept.
        problems: what was wrong with the answer, without values: rule → how often.
    """

    found: Mapping[int, str] = field(repr=False)
    failed: frozenset[int] = frozenset()
    problems: Mapping[str, int] = field(default_factory=dict)


class Facility(Protocol):
    """The number facility, for one school in one chain and sector.

    Raises: NotReadyError, AnswerGoneError, DailyLimitError, WrongEnvironmentError of faults.py and
        ConnectorError; AuthenticationError where the school or our system is not admitted.
    Spec: eckid.md, sections 8 to 12.
    """

    def ping(self) -> Ping:
        """Whether it is up."""

    def chains(self) -> Sequence[Listed]:
        """The chains that it knows."""

    def sectors(self) -> Sequence[Listed]:
        """The sectors that it knows."""

    def stampseudoniem(self, hpgn: Hpgn) -> Stampseudoniem:
        """The root pseudonym of one person."""

    def eck_id(self, stampseudoniem: Stampseudoniem) -> EckId:
        """The pseudonym of one person in the chain and sector of this koppeling."""

    def submit_hashes(self, hashes: Mapping[int, Hpgn]) -> str:
        """Ask for the stampseudoniemen of many, by index; returns the name of the batch.

        Never repeated by itself. Where no answer came, the batch may be there or not, without a
        name to fetch it by: submitting the same persons once more is safe, since the same hash
        gives the same pseudonym; it may count towards the daily limit.
        """

    def submit_stampseudoniemen(self, values: Mapping[int, Stampseudoniem]) -> str:
        """Ask for the ECK iDs of many, by index; as `submit_hashes`."""

    def fetch(self, reference: str) -> bytes:
        """The one answer to a batch, raw: keep it before you `read` it, for it comes only once.

        Asked once, with five minutes of patience, and never repeated by itself.
        Raises: NotReadyError while it is not there; AnswerGoneError once it was given out.
        """

    def read(self, body: bytes) -> BatchResult:
        """What a fetched answer says.

        Raises: ProtocolViolationError if it is no such answer, IncompleteAnswerError if it is cut
            off, WrongEnvironmentError if any pseudonym in it is of the other environment.
        """

    def replace(self, former: Hpgn, now: Hpgn) -> Stampseudoniem:
        """From now on the new hash leads to the pseudonym of the former one. Cannot be undone.

        Returns the pseudonym that the new hash has from now on; the caller compares it with the
        one that is kept.
        Raises: OutcomeUnknownError where no answer came: ask `stampseudoniem(now)` then.
        """
