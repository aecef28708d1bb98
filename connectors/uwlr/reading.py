"""Readings of what an administration answered: everything, or nothing because nothing changed.

UWLR has no list of changes: it sends everything, or says that nothing changed since a moment. So a
delta is one question; where the answer is data, it is a whole reading that follows, of that very
answer. Neither *geenwijzigingen* nor *geengegevens* is ever evidence of absence.
Spec: uwlr.md, section 7.8 (CONFIRMED).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from connectors.base import Completeness, DeliveryContract, Page
from connectors.errors import CursorExpiredError
from connectors.uwlr.delivery import Delivery
from connectors.uwlr.manifest import SYSTEM

UNFINISHED: Final = Completeness(
    False, "the reading did not come to its end", "De hub leest dit vanzelf opnieuw."
)
NO_DATA: Final = Completeness(
    False,
    "the administration says that it has no data",
    "De administratie heeft voor deze vestiging en dit schooljaar niets te leveren. Vraag de "
    "school of dat klopt; er wordt niets afgesloten.",
)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one question.

    Attributes:
        delivery: None where the administration has no data, or nothing changed.
        version: of UWLR, and what was agreed: part of every fingerprint.
        cursor: from where a delta may ask; empty where it may not.
        unchanged: it says that nothing changed.
    """

    delivery: Delivery | None
    version: str
    cursor: str = ""
    unchanged: bool = False


class _Reading:
    def __init__(self, fetch: Callable[[], Answered], resource: str) -> None:
        self._fetch, self._resource = fetch, resource
        self._contract = DeliveryContract()
        self._completeness = UNFINISHED

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._contract

    @property
    def completeness(self) -> Completeness:
        """Known once the iteration has ended."""
        return self._completeness


class WholeReading(_Reading):
    """Everything of one resource in one answer."""

    def __iter__(self) -> Iterator[Page]:
        """Each page once; none of an answer that did not come to its end."""
        answered = self._fetch()
        delivery = answered.delivery
        if delivery is None:
            self._completeness = NO_DATA
            return
        self._contract = delivery.contract(self._resource, answered.version)
        yield from delivery.pages(self._resource, cursor=answered.cursor)
        self._completeness = delivery.completeness(self._resource)


class ChangesReading(_Reading):
    """Nothing, where nothing changed; else the scope is read as a whole."""

    def __iter__(self) -> Iterator[Page]:
        """No page. Raises: CursorExpiredError where something changed."""
        answered = self._fetch()
        if answered.delivery is not None:
            raise CursorExpiredError(
                "something changed, and UWLR then sends everything",
                system=SYSTEM,
                operation=f"read {self._resource}",
            )
        self._completeness = Completeness(True) if answered.unchanged else NO_DATA
        yield from ()
