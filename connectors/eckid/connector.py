"""The ECK iD connector: what it delivers are the pseudonyms that it obtains itself.

`ECKID` at the end is what the entry point names. It looks who is at a vestiging, takes what is
kept, and asks the number facility for whoever has no ECK iD yet (reading.py). Values are kept in
the vault of the engine, under the key of their person.
Spec: eckid.md, sections 9 to 14.
"""

from __future__ import annotations

import logging
import secrets
import ssl
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from config.clock import Clock, SystemClock
from config.errors import ConfigurationError
from connectors.base import (
    Budget,
    CheckResult,
    Cursor,
    DeliveryContract,
    Link,
    Manifest,
    Parsed,
    Reading,
    Scope,
)
from connectors.eckid import check, records
from connectors.eckid.batches import Post
from connectors.eckid.client import Nummervoorziening
from connectors.eckid.facility import Facility
from connectors.eckid.faults import is_by_status
from connectors.eckid.hashing import PRODUCTION_COST, Hasher, Hpgn
from connectors.eckid.keeping import Kept, Shelf, Stages, Stam
from connectors.eckid.manifest import MANIFEST, SYSTEM
from connectors.eckid.obtaining import State, state_of
from connectors.eckid.options import Options, read_options
from connectors.eckid.persons import LEERLING, MEDEWERKER, Person, marked, who
from connectors.eckid.reading import (
    PAGE,
    Amounts,
    ObtainReading,
    Run,
    Tools,
    pieces,
)
from connectors.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PseudonymDiffersError,
    RequestRefusedError,
)
from connectors.protocols.rest import Limits, RestTransport
from connectors.pseudonyms import Standing, Verification
from connectors.stores import Batches, People, Pupil, Vault
from sector.identifiers import Bsn, Onderwijsnummer, Stampseudoniem

_CHANCE: Final = timedelta(seconds=5)
_BLOCKED: Final = "BlockedHPgnException"
_RANDOM: Final = secrets.SystemRandom()
_REPLACE: Final = "replaceStampseudonym"
_NOT_ANSWERED: Final = (
    "Het is niet bekend of de vervanging is doorgevoerd. De hub heeft niets gewijzigd; wordt zij "
    "nog eens gevraagd, dan blijkt het, en zij werkt geen tweede keer."
)

_log = logging.getLogger(__name__)

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Stores:
    """What the engine hands in."""

    vault: Vault
    batches: Batches
    people: People


class EckIdConnector:
    """One koppeling: one environment, chain and sector.

    Args:
        link: what the engine gives.
        options: its settings, checked.
        stores: of the engine.
        facility: who is asked.
        hasher: hashes.
        clock: tells when.
        close: releases its connections.
        chance: a number below one, for the wait between two polls.
    """

    def __init__(
        self,
        link: Link,
        options: Options,
        *,
        stores: Stores,
        facility: Facility,
        hasher: Hasher,
        clock: Clock,
        close: Callable[[], None],
        chance: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._link, self._options, self._people = link, options, stores.people
        self._facility, self._hasher, self._close = facility, hasher, close
        self._rehearses = False
        self._shelf = Shelf(stores.vault)
        self._post = Post(
            link.name,
            environment=options.omgeving,
            batches=stores.batches,
            shelf=self._shelf,
            facility=facility,
            clock=clock,
            pause=lambda: options.poll + chance() * _CHANCE,
        )
        self._tools = Tools(
            people=self._people,
            shelf=self._shelf,
            post=self._post,
            facility=facility,
            hasher=hasher,
            clock=clock,
            amounts=Amounts(options.batch_from, options.batch_size),
            run=Run(),
        )

    @property
    def manifest(self) -> Manifest:
        """What it can be asked."""
        return MANIFEST

    def close(self) -> None:
        """Release connections."""
        self._close()

    def check(self) -> Sequence[CheckResult]:
        """Prove network, TLS, login, rights and shape; asks for nobody."""
        return check.run(self._facility, self._hasher, self._options)

    def scopes(self, *, today: date) -> Sequence[Scope]:
        """Each vestiging that the core knows, for leerlingen and where wanted for docenten."""
        return [
            Scope(
                resource,
                place.vestiging,
                brins=(place.vestiging, place.brin),
                label=place.name or place.vestiging,
            )
            for resource in self._resources()
            for place in self._people.places()
        ]

    def _resources(self) -> list[str]:
        """What is read: leerlingen; docenten only where the setting and the koppeling say so."""
        names = self._link.resources or (LEERLING, MEDEWERKER)
        allowed = {LEERLING} | ({MEDEWERKER} if self._options.docenten else set())
        return [name for name in (LEERLING, MEDEWERKER) if name in names and name in allowed]

    def snapshot(self, scope: Scope) -> Reading:
        """Everybody of one scope who has an ECK iD; who has none is asked for on the way."""
        return self._reading(scope)

    def delta(self, scope: Scope, *, cursor: Cursor | None) -> Reading:
        """There is no delta; it is not declared, so the engine does not ask."""
        raise NotImplementedError

    def lookup(self, scope: Scope, *, keys: Sequence[str]) -> Reading:
        """Some persons, by hub key; who has no ECK iD is asked for at once, before others."""
        return self._reading(scope, keys=keys)

    def rehearse(self) -> None:
        """Read what is kept; hash nobody, and ask the facility nothing."""
        self._rehearses = True

    def parse(self, resource: str, body: bytes) -> Parsed:
        """Turn one raw body into its record of records.py."""
        return records.parse(resource, body)

    def _reading(self, scope: Scope, *, keys: Sequence[str] | None = None) -> ObtainReading:
        fields = dict.fromkeys(records.FIELDS, True)
        return ObtainReading(
            self._tools,
            scope,
            vestiging=scope.key,
            stages=self._stages(scope),
            contract=DeliveryContract(fields, MANIFEST.specification),
            keys=keys,
            rehearses=self._rehearses,
        )

    def _stages(self, scope: Scope) -> Stages:
        brin = ""
        if scope.resource == MEDEWERKER:
            places = {place.vestiging: place.brin for place in self._people.places()}
            brin = places.get(scope.key, scope.key[:4])
        options = self._options
        return Stages(options.omgeving, options.keten, options.sector, brin)

    # -- pseudonyms --------------------------------------------------------------------------------

    def standing(self, scope: Scope) -> Standing:
        """Who has one, of what is kept: asks nothing, hashes nothing and writes nothing."""
        counts: Counter[State] = Counter()
        around = self._post.seen()
        for persons in pieces(who(self._people, scope, scope.key), PAGE):
            kept = self._kept(scope, persons)
            counts.update(state_of(one, kept[one.number], around) for one in persons)
        del counts[State.OVER]
        return Standing(
            persons=counts.total(),
            obtained=counts[State.OBTAINED],
            waiting=counts[State.WAITING],
            lacking=counts[State.TO_HASH] + counts[State.TO_EXCHANGE] + counts[State.LOOSE],
            without_pgn=counts[State.WITHOUT_PGN],
            changed=counts[State.CHANGED],
            refused=counts[State.REFUSED],
        )

    def verify(
        self,
        scope: Scope,
        *,
        keys: Collection[str] | None = None,
        told: Told | None = None,
    ) -> Verification:
        """Ask for the ECK iD of each stampseudoniem once more, and compare; writes nothing.

        Raises: ConnectorError.
        """
        asked = equal = 0
        different: list[str] = []
        refused: list[str] = []
        for persons in pieces(who(self._people, scope, scope.key, keys=keys), PAGE):
            for key, stam, eck in self._both(scope, persons):
                asked += 1
                try:
                    now = self._facility.eck_id(stam)
                except RequestRefusedError as error:
                    if is_by_status(error):
                        raise
                    refused.append(key)
                else:
                    if now.reveal() == eck:
                        equal += 1
                    else:
                        different.append(key)
                if told is not None:
                    told(asked)
        return Verification(asked, equal, tuple(different), tuple(refused))

    def _both(
        self, scope: Scope, persons: Sequence[Person]
    ) -> Iterator[tuple[str, Stampseudoniem, str]]:
        """Hub key, stampseudoniem and ECK iD of those who have both."""
        kept = self._kept(scope, persons)
        for person in persons:
            one = kept[person.number]
            if one.stam is not None and one.eck is not None:
                yield person.key, Stampseudoniem(one.stam.v), one.eck.v

    def _kept(self, scope: Scope, persons: Sequence[Person]) -> Mapping[int, Kept]:
        return self._shelf.kept(self._stages(scope), [person.number for person in persons])

    # -- another PGN -------------------------------------------------------------------------------

    def obtained_with(self, pupil: Pupil, number: Bsn | Onderwijsnummer) -> bool | None:
        """Whether the stampseudoniem that is kept was obtained with this PGN; None without one."""
        kept = self._stam(pupil.number)
        return None if kept is None else kept.mark == self._mark(number)

    def renumber(self, pupil: Pupil, *, former: Bsn | Onderwijsnummer) -> None:
        """Let a pupil keep his pseudonyms under another PGN: replace first, compare, then keep.

        No date goes with it: it works at once, and cannot be undone. Asked once more, after a
        crash or without an answer, it finds that the former PGN is blocked, and compares what the
        new one leads to.
        Spec: eckid.md, section 12.
        Raises: PseudonymDiffersError where the answer is not the pseudonym that is kept: nothing is
            written then; ConnectorError.
        """
        kept = self._stam(pupil.number)
        if kept is None or pupil.pgn is None:
            raise _not_renumbered("there is no pseudonym, or no new PGN")
        mark = self._mark(pupil.pgn)
        if kept.mark == mark:
            return
        if kept.mark != self._mark(former):
            raise _not_renumbered("the pseudonym was obtained with yet another PGN")
        old, new = self._hasher.hash_one(former), self._hasher.hash_one(pupil.pgn)
        answer = self._replaced(old, new)
        if answer.reveal() != kept.v:
            raise PseudonymDiffersError(
                "the facility names another pseudonym than the one that is kept",
                system=SYSTEM,
                operation=_REPLACE,
            )
        now = Stam(kept.v, mark, kept.sinds)
        self._shelf.write(self._of_pupils.stam.kind, {pupil.number: now})

    @property
    def _of_pupils(self) -> Stages:
        return self._stages(Scope(LEERLING, ""))

    def _stam(self, number: int) -> Stam | None:
        return self._shelf.read(self._of_pupils.stam.kind, Stam, [number]).get(number)

    def _mark(self, number: Bsn | Onderwijsnummer) -> str:
        return marked(self._people.mark(number.reveal()))

    def _replaced(self, old: Hpgn, new: Hpgn) -> Stampseudoniem:
        """The pseudonym that the new hash leads to from now on.

        What it leads to is asked only where the former one is known to be replaced: asked before
        that, the new one would get a pseudonym of its own. So where no answer came, the same
        replacement is asked once more, later: it has no second effect.
        """
        try:
            return self._facility.replace(old, new)
        except OutcomeUnknownError as error:
            raise OutcomeUnknownError(
                str(error), system=SYSTEM, operation=_REPLACE, advice=_NOT_ANSWERED
            ) from error
        except RequestRefusedError as error:
            if error.code != _BLOCKED:
                raise
            _log.warning("the former PGN is blocked: what the new PGN leads to is asked")
        return self._facility.stampseudoniem(new)


def _not_renumbered(why: str) -> ConnectorError:
    return ConnectorError(
        f"a pseudonym cannot go on under another PGN: {why}",
        system=SYSTEM,
        operation=_REPLACE,
        advice="Er is niets verstuurd. Kijk met `koppelhub explain` welk PGN deze leerling had "
        "toen zijn ECK iD werd verkregen; vervang alleen dat nummer.",
    )


@dataclass(frozen=True, slots=True)
class EckIdFactory:
    """Makes connectors to the number facility."""

    @property
    def manifest(self) -> Manifest:
        """What it can be asked."""
        return MANIFEST

    def connect(
        self,
        link: Link,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        cost: int = PRODUCTION_COST,
    ) -> EckIdConnector:
        """A connector for one koppeling; opens no connection yet.

        Raises: ConfigurationError, naming the setting and the rule, never the value.
        """
        options = read_options(link.options, manifest=MANIFEST, tls=tls)
        clock = clock if clock is not None else SystemClock()
        transport = RestTransport(
            SYSTEM,
            clock=clock,
            budget=Budget(options.per_second, MANIFEST.budget.simultaneous),
            manners=link.manners,
            limits=limits if limits is not None else Limits(total=link.timeout),
            tls=options.tls,
        )
        return EckIdConnector(
            link,
            options,
            stores=_stores_of(link),
            facility=Nummervoorziening(options, transport=transport, clock=clock),
            hasher=replace(options.hasher, cost=cost),
            clock=clock,
            close=transport.close,
        )

    def parse(self, resource: str, body: bytes) -> Parsed:
        """One raw body → its typed record. Raises: ParseError."""
        return records.parse(MANIFEST.resource(resource).name, body)


def _stores_of(link: Link) -> Stores:
    if link.vault is None or link.batches is None or link.people is None:
        raise ConfigurationError(
            f"{SYSTEM}: there is no vault to keep pseudonyms in",
            advice="Dit systeem werkt alleen binnen Koppelhub zelf.",
        )
    return Stores(link.vault, link.batches, link.people)


ECKID: Final = EckIdFactory()
