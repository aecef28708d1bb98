"""Reading Magister's user accounts, and the proof that all of them were seen.

SCIM has pages by number (`startIndex`, from 1) and a total, and promises no order. So a reading is
complete only when three things hold: the total stayed the same; each page began with the last user
of the page before it (they overlap by one, so that a list that shifts in between is noticed); and
as many different ids were seen as the total says. That costs the memory of one id for each user, of
whom there are at most `MOST_USERS`.
Only users with a pupil number are handed over. Nothing that is known of a user says that he is
staff, so the others are no medewerkers to us: they are counted, and left.
Spec: magister.md, section 11 (ASSUMED: paging as in RFC 7644, section 3.4.2.4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from connectors.base import Completeness, DeliveryContract, Page
from connectors.errors import ParseError, RequestRefusedError
from connectors.magister.assemble import UNFINISHED
from connectors.magister.scim import UNKEYED, Schema, User, UserPage, read_page, read_user
from connectors.magister.wire import AGAIN
from connectors.protocols.rest import Answer

_log = logging.getLogger(__name__)

_KEYS_A_PAGE: Final = 50

_KEYLESS: Final = (
    "Magister levert een account zonder bruikbaar kenmerk. Meld dit aan Magister; tot dan sluit de "
    "hub in dit onderdeel niets af."
)
_NOBODY: Final = (
    "Magister toont geen enkel account. Vraag de applicatiebeheerder of de koppeling rechten heeft "
    "op de accounts van de school; er wordt niets afgesloten."
)
_NO_PUPIL: Final = (
    "Geen enkel account in Magister heeft een leerlingnummer. Laat ops de instelling `scim_number` "
    "nakijken; er wordt niets afgesloten."
)


class UserReading:
    """Reads every user once, and hands over the pupils among them.

    Args:
        discover: asks what a user is made of.
        ask: asks one page, by the number of its first user.
        amount: how many users a page is asked to hold; at least 2, since pages overlap by one.
    """

    def __init__(
        self, discover: Callable[[], Schema], ask: Callable[[int, int], Answer], *, amount: int
    ) -> None:
        self._discover = discover
        self._ask = ask
        self._amount = amount
        self._contract = DeliveryContract()
        self._fault: Completeness | None = None
        self._completeness = UNFINISHED
        self._seen: set[str] = set()
        self._pupils = 0

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._contract

    @property
    def completeness(self) -> Completeness:
        """Known once the iteration has ended."""
        return self._completeness

    @property
    def others(self) -> int:
        """Users without a pupil number, who are not handed over."""
        return len(self._seen) - self._pupils

    def __iter__(self) -> Iterator[Page]:
        """Each page once, without the users that it repeats."""
        schema = self._discover()
        self._contract = schema.contract
        total, behind, last = 0, 0, ""  # users there are and behind us, and the last of those
        while True:
            start = behind if last else 1
            page = read_page(self._ask(start, self._amount), schema)
            if not last:
                total = page.total
            self._judge(page, total=total, start=start)
            users = page.users
            if last:
                if users and users[0].mark == last:
                    users = users[1:]
                else:
                    self._blame("the list shifted between two pages")
            if not users:
                break
            fresh = self._fresh(users)
            if fresh.keys or fresh.rejected:
                yield fresh
            behind, last = start - 1 + len(page.users), users[-1].mark
            if behind >= total:
                break
        self._end(total)

    def _judge(self, page: UserPage, *, total: int, start: int) -> None:
        """Whether a page is the one that was asked, of a list that stayed as long as it was."""
        if page.total != total:
            self._blame("the total changed while it was read")
        if len(page.users) > self._amount or page.amount not in {None, len(page.users)}:
            self._blame("a page holds another number of users than it says or was asked")
        if page.start not in {None, start}:
            self._blame("another page came than was asked")

    def _fresh(self, users: Sequence[User]) -> Page:
        """What a page adds: the pupils among it, each key once."""
        keys: list[str] = []
        bodies: list[bytes] = []
        rejected: list[tuple[ParseError, bytes]] = []
        for user in users:
            if not user.has_key:
                self._blame("a user has no usable id", _KEYLESS)
                if user.has_number:
                    rejected.append((UNKEYED, user.body))
            elif user.mark in self._seen:
                self._blame("a user came twice")
            else:
                self._seen.add(user.mark)
                if user.has_number:
                    keys.append(user.mark)
                    bodies.append(user.body)
        self._pupils += len(keys)
        return Page(keys, bodies, rejected)

    def _end(self, total: int) -> None:
        if total == 0:
            self._blame("no user is shown", _NOBODY)
        elif len(self._seen) != total:
            self._blame(f"{len(self._seen)} different users came of {total}")
        elif not self._pupils:
            self._blame("no user has a pupil number", _NO_PUPIL)
        self._completeness = self._fault if self._fault is not None else Completeness(True)
        _log.info("GET Users: %s pupils; %s without a pupil number", self._pupils, self.others)

    def _blame(self, reason: str, advice: str = AGAIN) -> None:
        """Note the first reason why the reading is not complete."""
        if self._fault is None:
            self._fault = Completeness(False, reason, advice)


class UserLookup:
    """Reads some users by id; what Magister does not show, or has no pupil number, is left out.

    Args:
        discover: asks what a user is made of.
        ask: asks one user by id.
        wanted: the ids.
    """

    def __init__(
        self, discover: Callable[[], Schema], ask: Callable[[str], Answer], *, wanted: Sequence[str]
    ) -> None:
        self._discover = discover
        self._ask = ask
        self._wanted = list(dict.fromkeys(wanted))
        self._contract = DeliveryContract()

    @property
    def contract(self) -> DeliveryContract:
        """Known once the first page has been taken."""
        return self._contract

    @property
    def completeness(self) -> Completeness:
        """Never complete: not shown is not gone."""
        return Completeness(False, "only some records were asked")

    def __iter__(self) -> Iterator[Page]:
        """Pages of some tens of users; none that was not asked for."""
        schema = self._discover()
        self._contract = schema.contract
        for start in range(0, len(self._wanted), _KEYS_A_PAGE):
            batch = self._wanted[start : start + _KEYS_A_PAGE]
            found = {key: user.body for key in batch if (user := self._one(key, schema))}
            yield Page(list(found), list(found.values()))

    def _one(self, key: str, schema: Schema) -> User | None:
        try:
            user = read_user(self._ask(key), schema)
        except RequestRefusedError as error:
            if error.code != "404":
                raise
            return None
        return user if user.has_number and user.mark == key else None
