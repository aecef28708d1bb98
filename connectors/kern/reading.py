"""How the inbox is read: all claims, those that are newer than a number, or some by key.

The inbox keeps of each record the newest message. A whole reading goes in the order of the keys, so
that a record that is claimed anew meanwhile is met once; its cursor is asked before the first page,
and what came in since then comes again with the first delta. Deletions are told by every reading:
the application said so, whoever reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from connectors.base import Claimed, Completeness, Cursor, DeliveryContract, Inbox, Page, Scope
from connectors.errors import CursorExpiredError
from connectors.kern.manifest import SYSTEM

PAGE_RECORDS: Final = 500
UNFINISHED: Final = Completeness(
    False, "the reading did not come to its end", "De hub leest dit vanzelf opnieuw."
)


class _Reading:
    def __init__(self, inbox: Inbox, scope: Scope, contract: DeliveryContract) -> None:
        self._inbox, self._scope = inbox, scope
        self.contract = contract
        self.completeness = UNFINISHED


def _page(claims: Sequence[Claimed], *, cursor: Cursor | None = None) -> Page:
    held = [(claim.key, claim.body) for claim in claims if claim.body is not None]
    return Page(
        [key for key, _ in held],
        [body for _, body in held],
        gone=[claim.key for claim in claims if claim.body is None],
        cursor=cursor,
    )


class Snapshot(_Reading):
    """Every claim of one resource: complete, because the inbox forgets no claim."""

    def __iter__(self) -> Iterator[Page]:
        """Each page once."""
        cursor, after = str(self._inbox.position()), ""
        while True:
            claims = self._inbox.claims(self._scope.resource, after=after, limit=PAGE_RECORDS)
            if len(claims) < PAGE_RECORDS:
                self.completeness = Completeness(True)
                yield _page(claims, cursor=cursor)
                return
            after = claims[-1].key
            yield _page(claims)


class Changes(_Reading):
    """The claims that came in after a cursor, oldest first."""

    def __init__(
        self, inbox: Inbox, scope: Scope, contract: DeliveryContract, *, cursor: Cursor
    ) -> None:
        super().__init__(inbox, scope, contract)
        self._cursor = cursor

    def __iter__(self) -> Iterator[Page]:
        """Each page once.

        Raises: CursorExpiredError if no message had that number yet: the inbox is an older one.
        """
        position = self._inbox.position()
        after = int(self._cursor) if self._cursor.isdigit() else -1
        if not 0 <= after <= position:
            raise CursorExpiredError(
                "the inbox is older than this cursor",
                system=SYSTEM,
                operation=f"read {self._scope.resource}",
            )
        while True:
            claims = self._inbox.changes(self._scope.resource, after=after, limit=PAGE_RECORDS)
            after = claims[-1].number if claims else after
            if len(claims) < PAGE_RECORDS:
                self.completeness = Completeness(True)
                yield _page(claims, cursor=str(max(after, position)))
                return
            yield _page(claims, cursor=str(after))


class Some(_Reading):
    """Some claims by key; one that there is not is left out, and proves nothing."""

    def __init__(
        self, inbox: Inbox, scope: Scope, contract: DeliveryContract, *, keys: Sequence[str]
    ) -> None:
        super().__init__(inbox, scope, contract)
        self._keys = keys
        self.completeness = Completeness(False, "only some records were asked")

    def __iter__(self) -> Iterator[Page]:
        """One page."""
        yield _page(self._inbox.find(self._scope.resource, self._keys))
