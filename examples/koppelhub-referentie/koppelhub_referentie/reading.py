"""How one entity is read: whole, by changes, or record by record.

The three readings share the way from an answer to a page: keys and raw bodies only. Nothing is
parsed here, because the hub parses only what is new or changed. Each reading says for itself how
complete it was: absence is evidence only where nothing can have been missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from connectors.base import Completeness, Cursor, DeliveryContract, Page
from connectors.errors import CursorExpiredError, ParseError, RequestRefusedError
from connectors.protocols.rest import Answer, Query

Fetch = Callable[..., Answer]
"""`fetch(path, query=…)`: one answer of one entity; raises ConnectorError."""

Rejected = tuple[ParseError, bytes]

UNFINISHED: Final = Completeness(
    False, "the reading did not come to its end", "De hub leest dit vanzelf opnieuw."
)
_SHIFTED: Final = "De bron veranderde onder het lezen; de hub leest dit onderdeel opnieuw."
_KEYLESS: Final = "De bron levert een record zonder sleutel. Meld dit aan de beheerder van de bron."


class _List(msgspec.Struct):
    total: int
    items: list[msgspec.Raw]
    next: str | None


class _Change(msgspec.Struct):
    key: str
    record: msgspec.Raw = msgspec.Raw(b"null")
    gone: bool = False


class _Changes(msgspec.Struct):
    items: list[_Change]
    cursor: str
    more: bool


class _One(msgspec.Struct):
    item: msgspec.Raw


class _Now(msgspec.Struct):
    cursor: str


_LIST: Final = msgspec.json.Decoder(_List)
_CHANGES: Final = msgspec.json.Decoder(_Changes)
_ONE: Final = msgspec.json.Decoder(_One)
_NOW: Final = msgspec.json.Decoder(_Now)
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_cursor(answer: Answer) -> Cursor:
    """The cursor of `GET /v1/cursor`."""
    return answer.decode(_NOW).cursor


class _Reading:
    """What the three readings share."""

    def __init__(self, fetch: Fetch, contract: DeliveryContract, drop: frozenset[str]) -> None:
        self._fetch = fetch
        self._drop = drop
        self.contract = contract
        self.completeness = UNFINISHED

    def _keyed(self, raw: msgspec.Raw, *, named: str = "") -> tuple[str, bytes]:
        """The key of a record, and its body without what must not be read.

        Raises: ParseError if it has no usable key, or another than it is named by.
        """
        try:
            fields = _FIELDS.decode(raw)
            key = msgspec.json.decode(fields["key"], type=str)
        except (msgspec.MsgspecError, KeyError, UnicodeError):
            raise ParseError("key", "is required and missing") from None
        if not key or len(key) > 200 or (named and key != named):
            raise ParseError("key", "must be a text of 1 to 200 signs, and that of its change")
        if self._drop.isdisjoint(fields):
            return key, bytes(raw)
        kept = {name: value for name, value in fields.items() if name not in self._drop}
        return key, msgspec.json.encode(kept)


class Snapshot(_Reading):
    """Everything of one entity, page by page in the order of the keys.

    Complete if nothing was counted short: the total is the same on every page and equals what was
    read, each record has a key, and every key is greater than the one before it. The cursor is
    asked *before* the first page: what changes meanwhile comes again with the first delta. It is
    handed over with the last page, and only if the reading is complete.
    """

    def __init__(
        self,
        fetch: Fetch,
        contract: DeliveryContract,
        drop: frozenset[str],
        *,
        begin: Callable[[], Cursor],
        limit: int,
    ) -> None:
        super().__init__(fetch, contract, drop)
        self._begin = begin
        self._limit = str(limit)
        self._count, self._highest, self._fault = 0, "", UNFINISHED
        self._faulty = False

    def __iter__(self) -> Iterator[Page]:
        """Each page once; what cannot be trusted makes the reading incomplete."""
        cursor, after = self._begin(), ""
        totals: set[int] = set()
        while True:
            query: Query = [("limit", self._limit), *([("after", after)] if after else [])]
            listed = self._fetch("", query=query).decode(_LIST)
            totals.add(listed.total)
            page = self._page(listed.items)
            if listed.next is None or listed.next <= after:
                break
            yield page
            after = listed.next
        if listed.next is not None or totals != {self._count}:
            self._blame("the total differs from what was read", _SHIFTED)
        self.completeness = self._fault if self._faulty else Completeness(True)
        yield Page(page.keys, page.bodies, page.rejected, cursor=None if self._faulty else cursor)

    def _page(self, items: Sequence[msgspec.Raw]) -> Page:
        keys: list[str] = []
        bodies: list[bytes] = []
        rejected: list[Rejected] = []
        for raw in items:
            try:
                key, body = self._keyed(raw)
            except ParseError as error:
                rejected.append((error, bytes(raw)))
                self._blame("a record has no usable key", _KEYLESS)
                continue
            if key <= self._highest:  # seen before: a page came twice, or a record did
                self._blame("a record came twice", _SHIFTED)
                continue
            self._highest = key
            self._count += 1
            keys.append(key)
            bodies.append(body)
        return Page(keys, bodies, rejected)

    def _blame(self, reason: str, advice: str) -> None:
        """Keep the first reason why the reading is not complete."""
        if not self._faulty:
            self._faulty, self._fault = True, Completeness(False, reason, advice)


class Changes(_Reading):
    """What changed since a cursor, oldest first, tombstones included.

    Every page hands over the cursor behind it, until a change cannot be read: the next delta then
    begins there again, so that nothing is lost.
    """

    def __init__(
        self,
        fetch: Fetch,
        contract: DeliveryContract,
        drop: frozenset[str],
        *,
        cursor: Cursor,
        limit: int,
    ) -> None:
        super().__init__(fetch, contract, drop)
        self._cursor = cursor
        self._limit = str(limit)

    def __iter__(self) -> Iterator[Page]:
        """Each page once.

        Raises: CursorExpiredError if the source has forgotten what came after the cursor.
        """
        at, whole, more = self._cursor, True, True
        while more:
            answer = self._ask(at)
            changes = answer.decode(_CHANGES)
            page = self._page(changes.items)
            whole = whole and not page.rejected
            if changes.more and changes.cursor == at:
                raise answer.violation("does not move its cursor", where="cursor")
            at, more = changes.cursor, changes.more
            if not more:
                self.completeness = (
                    Completeness(True)
                    if whole
                    else Completeness(False, "a change has no usable key", _KEYLESS)
                )
            yield Page(
                page.keys, page.bodies, page.rejected, page.gone, cursor=at if whole else None
            )

    def _ask(self, cursor: Cursor) -> Answer:
        try:
            return self._fetch("/changes", query=[("cursor", cursor), ("limit", self._limit)])
        except RequestRefusedError as error:
            if error.code != "410":
                raise
            raise CursorExpiredError(
                str(error), system=error.system, operation=error.operation
            ) from error

    def _page(self, items: Sequence[_Change]) -> Page:
        keys: list[str] = []
        bodies: list[bytes] = []
        gone: list[str] = []
        rejected: list[Rejected] = []
        for change in items:
            if change.gone:
                gone.append(change.key)
                continue
            try:
                key, body = self._keyed(change.record, named=change.key)
            except ParseError as error:
                rejected.append((error, bytes(change.record)))
                continue
            keys.append(key)
            bodies.append(body)
        return Page(keys, bodies, rejected, gone)


class Some(_Reading):
    """Some records by key; one that the source does not show is left out, and proves nothing."""

    def __init__(
        self,
        fetch: Fetch,
        contract: DeliveryContract,
        drop: frozenset[str],
        *,
        paths: Sequence[str],
    ) -> None:
        super().__init__(fetch, contract, drop)
        self._paths = paths
        self.completeness = Completeness(False, "only some records were asked")

    def __iter__(self) -> Iterator[Page]:
        """A page of one record for each key that the source shows."""
        for path in self._paths:
            try:
                answer = self._fetch(path)
            except RequestRefusedError as error:
                if error.code != "404":
                    raise
                continue
            key, body = self._keyed(answer.decode(_ONE).item)
            yield Page([key], [body])
