"""What a connector can do that obtains a pseudonym for each person, beside delivering it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from connectors.base import Scope
from connectors.stores import Pupil
from sector.identifiers import Bsn, Onderwijsnummer


@dataclass(frozen=True, slots=True)
class Standing:
    """How many persons of one scope have a pseudonym, and why others have none.

    Attributes:
        persons: who should have one.
        obtained: have it.
        waiting: are in a batch that was sent.
        lacking: can get one, and were not asked about yet.
        without_pgn: the hub has no PGN of them: not obtainable.
        changed: have another PGN than the one that it was obtained with; a person decides.
        refused: were refused by the facility, or could not be sent.
    """

    persons: int = 0
    obtained: int = 0
    waiting: int = 0
    lacking: int = 0
    without_pgn: int = 0
    changed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Verification:
    """What asking again gave: hub keys of those whose pseudonym is another, or was refused."""

    asked: int
    equal: int
    different: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@runtime_checkable
class Pseudonyms(Protocol):
    """A connector that obtains pseudonyms."""

    def standing(self, scope: Scope) -> Standing:
        """Who has one, of what is kept: asks the system nothing and hashes nothing."""

    def verify(
        self,
        scope: Scope,
        *,
        keys: Collection[str] | None = None,
        told: Callable[[int], None] | None = None,
    ) -> Verification:
        """Ask again for pseudonyms that are kept, and compare; hashes nothing, writes nothing.

        Args:
            scope: of whom.
            keys: only these, by hub key; None for all.
            told: is called with how many were asked, for progress.

        Raises: ConnectorError.
        """

    def obtained_with(self, pupil: Pupil, number: Bsn | Onderwijsnummer) -> bool | None:
        """Whether the pseudonym that is kept of a pupil was obtained with this number.

        None where none is kept. Asks the system nothing and hashes nothing.
        """

    def renumber(self, pupil: Pupil, *, former: Bsn | Onderwijsnummer) -> None:
        """Tell the system that a pupil goes on under another PGN: he keeps his pseudonym.

        It works at once and cannot be undone. Asked once more, after a crash for instance, it ends
        where the first call would have. Args: the pupil with his new PGN; the former one, which
        must be the one that the pseudonym was obtained with: else nothing is sent.

        Raises: PseudonymDiffersError where the answer is not the pseudonym that is kept: nothing
            is written then; ConnectorError.
        """


@runtime_checkable
class Rehearsing(Protocol):
    """A connector whose reading has effects elsewhere, and that can do without."""

    def rehearse(self) -> None:
        """From now on nothing is asked and nothing is kept: what is kept is read, for a preview."""
