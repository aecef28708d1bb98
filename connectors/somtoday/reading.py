"""One reading of one scope, and the proof that it held everything.

Somtoday gives no total and no snapshot, only `offset` and `amount`. So pages overlap by one record:
each page begins with the last record of the page before it. Where another record stands there, one
was inserted or deleted in between, and the reading is not complete. The end is proven by asking at
the offset behind the last record: that page must be empty. An empty scope is asked twice.
Spec: somtoday.md, section 4 (stability and end of list: ASSUMED).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from connectors.base import Completeness, DeliveryContract, Page
from connectors.errors import AnswerTimeoutError, RequestRefusedError
from connectors.protocols.rest import Answer
from connectors.somtoday.permissions import contract_of
from connectors.somtoday.wire import (
    ENDPOINTS,
    RawPage,
    read_permissions,
    split_page,
    wrap_dossier,
)

_MOST_STALLS: Final = 3
_SMALLEST_PAGE: Final = 10
_REMEMBERED: Final = 20_000
_DOSSIERS_A_PAGE: Final = 50
_KEYS_A_CALL: Final = 50

_AGAIN: Final = "De hub leest dit onderdeel vanzelf opnieuw; er wordt niets afgesloten."
_KEYLESS: Final = (
    "Somtoday levert een record zonder bruikbaar kenmerk. Meld dit aan Somtoday; tot dan sluit de "
    "hub in dit onderdeel niets af."
)

UNFINISHED: Final = Completeness(False, "the reading did not come to its end", _AGAIN)


class FetchList(Protocol):
    """Asks one page of a list."""

    def __call__(self, *, offset: int, amount: int) -> Answer:
        """One answer; a time-out is raised at once."""


class _Terms:
    """The field permissions of a reading: the same in every answer, or the reading stops."""

    def __init__(self, resource: str, drop: frozenset[str]) -> None:
        self._resource = resource
        self._drop = drop
        self._raw: bytes | None = None
        self._permissions: Mapping[str, Any] | None = None
        self.contract = DeliveryContract()

    def agree(self, raw: bytes | None, answer: Answer) -> bool:
        """Whether an answer came under the terms of the first one.

        Raises: ProtocolViolationError if it holds no field permissions.
        """
        if raw is not None and raw == self._raw:
            return True
        permissions = read_permissions(raw, answer)
        if self._permissions is None:
            self._raw, self._permissions = raw, permissions
            self.contract = contract_of(
                self._resource,
                ENDPOINTS[self._resource].model,
                permissions=permissions,
                drop=self._drop,
            )
        return permissions == self._permissions


class ListReading:
    """Reads one list, page by overlapping page.

    A page that came under other field permissions than the first is not handed over, and ends the
    reading: under the first page's contract its missing fields would look empty.
    Memory is bounded: keys are remembered for doubles up to 20,000 records, which is more than a
    location has.
    """

    def __init__(
        self, fetch: FetchList, *, resource: str, amount: int, drop: frozenset[str] = frozenset()
    ) -> None:
        self._fetch = fetch
        self._amount = amount
        self._list_key = ENDPOINTS[resource].list_key
        self._terms = _Terms(resource, drop)
        self._cut = drop
        self._seen: set[str] = set()
        self._fault: Completeness | None = None
        self._completeness = UNFINISHED

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._terms.contract

    @property
    def completeness(self) -> Completeness:
        """Known once the iteration has ended."""
        return self._completeness

    def __iter__(self) -> Iterator[Page]:
        """Each page once, without the records that it repeats."""
        behind, last = 0, ""  # records behind us, and the mark of the last of them
        stalls = 0
        while stalls < _MOST_STALLS:
            offset = behind - 1 if last else behind
            page = self._ask(offset)
            if page is None:
                return self._end()
            overlaps = bool(last) and list(page.marks[:1]) == [last]
            if last and not overlaps:
                self._blame("a record was inserted or deleted between two pages")
            fresh = self._fresh(page, skip=1 if overlaps else 0)
            if len(page.marks) > self._amount:
                self._blame("a page holds more records than were asked")
            if fresh.keys or fresh.rejected:
                yield fresh
            else:
                stalls += 1
            if page.marks:
                behind, last = offset + len(page.marks), page.marks[-1]
            if len(page.marks) < self._amount:
                beyond = self._ask(behind)
                if beyond is None or not beyond.marks:
                    return self._end()
        self._blame("the list did not stay the same while it was read")
        return self._end()

    def _end(self) -> None:
        self._completeness = self._fault if self._fault is not None else Completeness(True)

    def _blame(self, reason: str, advice: str = _AGAIN) -> None:
        """Note the first reason why the reading is not complete."""
        if self._fault is None:
            self._fault = Completeness(False, reason, advice)

    def _ask(self, offset: int) -> RawPage | None:
        """The page at an offset; None where it came under other field permissions."""
        answer = self._fetch_bounded(offset)
        page = split_page(answer, self._list_key, cut=self._cut)
        if not self._terms.agree(page.permissions, answer):
            self._blame(
                "the field permissions changed while it was read",
                "De school heeft tijdens de lezing de veldrechten gewijzigd. " + _AGAIN,
            )
            return None
        return page

    def _fetch_bounded(self, offset: int) -> Answer:
        """Ask one page; after a time-out half as many records, from then on."""
        while True:
            try:
                return self._fetch(offset=offset, amount=self._amount)
            except AnswerTimeoutError:
                if self._amount <= _SMALLEST_PAGE:
                    raise
                self._amount = max(_SMALLEST_PAGE, self._amount // 2)

    def _fresh(self, page: RawPage, *, skip: int) -> Page:
        """What a page adds: without the overlap, and each key once."""
        keys, bodies = page.keys, page.bodies
        rejected = [found for position, found in page.rejected.items() if position >= skip]
        if skip and 0 not in page.rejected:
            keys, bodies = keys[1:], bodies[1:]
        if rejected:
            self._blame("a record has no usable key", _KEYLESS)
        if len(set(keys)) != len(keys) or not self._seen.isdisjoint(keys):
            self._blame("a record came twice")
            first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._seen}
            keep = sorted(first.values())
            keys, bodies = [keys[i] for i in keep], [bodies[i] for i in keep]
        if len(self._seen) < _REMEMBERED:
            self._seen.update(keys)
        return Page(keys, bodies, rejected)


class OnceReading:
    """Reads a list that comes in one answer: the organisation, its locations.

    Args:
        wanted: whether a record of that key belongs to the koppeling.
        has_permissions: whether the answer holds field permissions.
    """

    def __init__(
        self,
        fetch: Callable[[], Answer],
        *,
        resource: str,
        wanted: Callable[[str, bytes], bool],
        has_permissions: bool,
        drop: frozenset[str] = frozenset(),
    ) -> None:
        self._fetch = fetch
        self._resource = resource
        self._wanted = wanted
        self._has_permissions = has_permissions
        self._drop = drop
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

    def __iter__(self) -> Iterator[Page]:
        """The one page."""
        answer = self._fetch()
        endpoint = ENDPOINTS[self._resource]
        page = split_page(answer, endpoint.list_key, cut=self._drop)
        permissions = read_permissions(page.permissions, answer) if self._has_permissions else None
        self._contract = contract_of(
            self._resource, endpoint.model, permissions=permissions, drop=self._drop
        )
        records = {k: b for k, b in zip(page.keys, page.bodies, strict=True) if self._wanted(k, b)}
        rejected = list(page.rejected.values()) if self._has_permissions else []
        if records or rejected:
            yield Page(list(records), list(records.values()), rejected)
        if rejected:
            self._completeness = Completeness(False, "a record has no usable key", _KEYLESS)
        elif len(set(page.keys)) != len(page.keys):
            self._completeness = Completeness(False, "a record came twice", _AGAIN)
        else:
            self._completeness = Completeness(True)


class DossierReading:
    """Reads one file for each pupil of a scope: first the pupils' keys, then a call for each.

    A pupil whose file is not shown (404) makes the reading incomplete: not visible is not gone.

    Args:
        pupils: a reading of the pupils, or their keys for a look-up, which is never complete.
    """

    def __init__(
        self,
        pupils: ListReading | Sequence[str],
        fetch: Callable[[str], Answer],
        *,
        resource: str,
    ) -> None:
        self._pupils = pupils
        self._fetch = fetch
        self._list_key = ENDPOINTS[resource].list_key
        self._terms = _Terms(resource, frozenset())
        self._completeness = UNFINISHED

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._terms.contract

    @property
    def completeness(self) -> Completeness:
        """Known once the iteration has ended."""
        return self._completeness

    def __iter__(self) -> Iterator[Page]:
        """Pages of some tens of files; `body` names the pupil."""
        hidden = 0
        leerlingen = iter(self._keys())
        while batch := list(islice(leerlingen, _DOSSIERS_A_PAGE)):
            keys: list[str] = []
            bodies: list[bytes] = []
            for key in batch:
                try:
                    answer = self._fetch(key)
                except RequestRefusedError as error:
                    if error.code != "404":
                        raise
                    hidden += 1
                    continue
                body, permissions = wrap_dossier(answer, self._list_key, leerling=key)
                if not self._terms.agree(permissions, answer):
                    yield Page(keys, bodies)
                    self._completeness = Completeness(
                        False, "the field permissions changed while it was read", _AGAIN
                    )
                    return
                keys.append(key)
                bodies.append(body)
            yield Page(keys, bodies)
        if isinstance(self._pupils, ListReading):
            self._completeness = self._pupils.completeness
        if self._completeness.complete and hidden:
            reason = f"{hidden} files are not shown"
            self._completeness = Completeness(
                False, reason, "Somtoday toont niet van elke leerling het dossier. " + _AGAIN
            )

    def _keys(self) -> Iterable[str]:
        if isinstance(self._pupils, ListReading):
            return (key for page in self._pupils for key in page.keys)
        return self._pupils


class LookupReading:
    """Reads some records by their keys; what Somtoday does not show is left out.

    Args:
        fetch: asks some records at once, by key.
        wanted: their keys.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[str]], Answer],
        *,
        resource: str,
        wanted: Sequence[str],
        drop: frozenset[str],
    ) -> None:
        self._fetch = fetch
        self._wanted = list(dict.fromkeys(wanted))
        self._list_key = ENDPOINTS[resource].list_key
        self._terms = _Terms(resource, drop)
        self._drop = drop

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._terms.contract

    @property
    def completeness(self) -> Completeness:
        """Never complete: not shown is not gone."""
        return Completeness(False, "only some records were asked")

    def __iter__(self) -> Iterator[Page]:
        """Pages of some tens of records; none that was not asked for."""
        for start in range(0, len(self._wanted), _KEYS_A_CALL):
            batch = self._wanted[start : start + _KEYS_A_CALL]
            answer = self._fetch(batch)
            page = split_page(answer, self._list_key, cut=self._drop)
            if not self._terms.agree(page.permissions, answer):
                return
            asked = {key.lower() for key in batch}
            found = {
                key: body
                for key, body in zip(page.keys, page.bodies, strict=True)
                if key.lower() in asked
            }
            yield Page(list(found), list(found.values()), list(page.rejected.values()))


class RefusedReading:
    """A reading that was refused before: it is not asked again in this run."""

    def __init__(self, error: RequestRefusedError) -> None:
        self._error = error

    @property
    def contract(self) -> DeliveryContract:
        """Nothing is delivered."""
        return DeliveryContract()

    @property
    def completeness(self) -> Completeness:
        """Never complete."""
        return UNFINISHED

    def __iter__(self) -> Iterator[Page]:
        """Raises: RequestRefusedError, as the first reading of this location did."""
        raise self._error
