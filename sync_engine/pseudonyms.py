"""Pseudonyms that the hub obtains itself: who at a school has one, who not and why, and proof.

It works with whatever koppeling obtains pseudonyms (connectors/pseudonyms.py), and names no system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final

from config.logs import bound
from config.sources import PgnPurpose, Source
from connectors.base import Connector, Scope
from connectors.pseudonyms import Pseudonyms, Standing, Verification
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.find import find_leerlingen, hub_key
from sync_engine.hub import Hub
from sync_engine.pseudonym_cases import PSEUDONYM
from sync_engine.store.work import Work
from sync_engine.switches import read_switch, refuse_in_maintenance

ECK_ID: Final = "eck_id"
"""Role of the identifier that is obtained, in the core."""

_TO_CONFIGURE: Final = "Zie docs/eckid-school.md: een koppeling van systeem eckid voor deze school."


class Missing(StrEnum):
    """What keeps a school from having pseudonyms obtained."""

    KOPPELING = "koppeling"  # no koppeling obtains any for it
    PURPOSE = "purpose"  # that koppeling may use no PGN
    TELLER = "teller"  # no administration of the school may tell a PGN for it
    VESTIGING = "vestiging"  # pupils stand at no vestiging of the core
    READ = "read"  # the core knows no vestiging of it yet
    UNKNOWN = "unknown"  # a koppeling names a vestiging that the core does not know
    UNSERVED = "unserved"  # no koppeling obtains any at a vestiging where pupils have none
    PGN = "pgn"  # the core knows a PGN of nobody there


@dataclass(frozen=True, slots=True)
class PlaceStanding:
    """How one vestiging stands with one koppeling.

    Attributes:
        place: vestigingsnummer; `name` is what people call it.
        resource: of whom: `leerling`, or what the koppeling calls others.
        sector: what the koppeling obtains for, as its configuration says.
        delivered: leerlingen of now whose pseudonym an administration delivers.
        differing: open cases in which what was delivered and what was obtained are not the same.
    """

    koppeling: str
    place: str
    name: str
    resource: str
    sector: str
    standing: Standing
    delivered: int = 0
    differing: int = 0


@dataclass(frozen=True, slots=True)
class SchoolStanding:
    """How a school stands.

    Attributes:
        places: by koppeling and vestiging.
        leerlingen: of now, at the vestigingen of the school; `delivered` of those have a pseudonym
            of an administration, `without` have none at all.
        nowhere: leerlingen of now of the whole bevoegd gezag who stand at no vestiging.
        missing: what is to be configured or read first.
        unknown: vestigingen that a koppeling names and the core does not know.
        unserved: vestigingen where pupils have none and no koppeling obtains any.
    """

    school: str
    places: tuple[PlaceStanding, ...] = ()
    leerlingen: int = 0
    delivered: int = 0
    without: int = 0
    nowhere: int = 0
    missing: tuple[Missing, ...] = ()
    unknown: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nobody waits, lacks one or needs a person."""
        bad = (
            one.standing.persons != one.standing.obtained or one.differing for one in self.places
        )
        return not (self.missing or any(bad))


@dataclass(frozen=True, slots=True)
class PlaceVerified:
    """What asking again gave at one vestiging."""

    koppeling: str
    place: str
    name: str
    found: Verification = field(default_factory=lambda: Verification(0, 0))


def obtaining(hub: Hub, school: str) -> list[Source]:
    """The koppelingen of a school that may obtain pseudonyms; those that the actor may act for.

    Raises: ConfigurationError if there is no such school.
    """
    return [source for source in hub.sources_of(school) if hub.manifest(source).adds]


def as_pseudonyms(connector: object) -> Pseudonyms | None:
    """A connector, where it obtains pseudonyms."""
    return connector if isinstance(connector, Pseudonyms) else None


@contextmanager
def pseudonyms_of(hub: Hub, source: Source) -> Iterator[tuple[Connector, Pseudonyms]]:
    """The connector of a koppeling that obtains pseudonyms, twice: as either is asked.

    Raises: SyncError if it obtains none; ConfigurationError.
    """
    connector = hub.connect(source, hub.clock)
    try:
        asked = as_pseudonyms(connector)
        if asked is None:
            message = f"{source.name} obtains no pseudonyms"
            raise SyncError(message, advice=_TO_CONFIGURE)
        with bound(koppeling=source.name):
            yield connector, asked
    finally:
        connector.close()


def scopes_of(hub: Hub, source: Source, connector: Connector, school: str) -> list[Scope]:
    """What a koppeling reads of one school."""
    names = hub.names_of(school.strip().upper())
    today = date.fromisoformat(hub.today())
    return [
        scope
        for scope in connector.scopes(today=today)
        if source.includes(scope.brins)
        and any(number.startswith(name) for number in scope.brins for name in names)
    ]


# -- how a school stands ---------------------------------------------------------------------------


def standing(hub: Hub, school: str) -> SchoolStanding:
    """How a school stands, of what is kept: nothing is asked of any system.

    Raises: ConfigurationError if there is no such school.
    """
    sources = obtaining(hub, school)
    places: list[PlaceStanding] = []
    for source in sources:
        with pseudonyms_of(hub, source) as (connector, asked):
            places += [
                _place(hub, source, scope, asked.standing(scope))
                for scope in scopes_of(hub, source, connector, school)
            ]
    with hub.store.work() as work:
        counts = _Counts(hub, work, school)
        found = SchoolStanding(
            school.strip().upper(),
            tuple(places),
            leerlingen=counts.leerlingen(),
            delivered=counts.delivered(),
            without=counts.without(),
            nowhere=counts.nowhere(),
            unknown=_unknown(sources, counts),
            unserved=_unserved(hub, work, sources, counts),
        )
        return replace(found, missing=tuple(_missing(hub, found, sources, counts)))


def without_one(hub: Hub, school: str) -> tuple[int, int] | None:
    """Leerlingen of now of a school, and those without any pseudonym; None if nothing obtains any.

    Raises: ConfigurationError if there is no such school.
    """
    if not obtaining(hub, school):
        return None
    with hub.store.work() as work:
        counts = _Counts(hub, work, school)
        return counts.leerlingen(), counts.without()


def _unknown(sources: Sequence[Source], counts: _Counts) -> tuple[str, ...]:
    known = counts.numbers()
    named = [number.reveal() for source in sources for number in source.vestigingen or ()]
    ours = [number for number in named if known and counts.is_of_it(number)]
    return tuple(sorted({number for number in ours if number not in known}))


def _unserved(hub: Hub, work: Work, sources: Sequence[Source], counts: _Counts) -> tuple[str, ...]:
    if not sources:
        return ()  # that is what is missing
    found = [
        number
        for number in counts.numbers()
        if not any(source.includes(hub.names_of(number)) for source in sources)
        and _Counts(hub, work, number).without()
    ]
    return tuple(sorted(found))


def _place(hub: Hub, source: Source, scope: Scope, found: Standing) -> PlaceStanding:
    delivered = differing = 0
    with hub.store.work() as work:
        if scope.resource == Entity.LEERLING:
            counts = _Counts(hub, work, scope.key)
            delivered = counts.delivered()
            differing = counts.differing(hub.koppeling(source.name).id)
    option = source.options.get("sector", "")
    return PlaceStanding(
        source.name,
        scope.key,
        scope.label or scope.key,
        scope.resource,
        option if isinstance(option, str) else "",
        found,
        delivered,
        differing,
    )


def _missing(
    hub: Hub, found: SchoolStanding, sources: Sequence[Source], counts: _Counts
) -> Iterator[Missing]:
    purpose = PgnPurpose.ECKID
    if not sources and counts.leerlingen() and not counts.without():
        return  # the administration delivers them all
    if not sources:
        yield Missing.KOPPELING
    elif not any(source.pgn_allowed_for(purpose) for source in sources):
        yield Missing.PURPOSE
    others = [source for source in hub.sources_of(found.school) if source not in sources]
    if not any(source.pgn_allowed_for(purpose) for source in others):
        yield Missing.TELLER
    elif _all_without_pgn(found):
        yield Missing.PGN
    if not counts.places():
        yield Missing.READ
    if counts.nowhere():
        yield Missing.VESTIGING
    if found.unknown:
        yield Missing.UNKNOWN
    if found.unserved:
        yield Missing.UNSERVED


def _all_without_pgn(found: SchoolStanding) -> bool:
    """Whether that is no matter of single pupils."""
    told = [one.standing for one in found.places if one.resource == Entity.LEERLING]
    persons = sum(one.persons for one in told)
    return persons > 0 and sum(one.without_pgn for one in told) == persons


class _Counts:
    """Leerlingen of now at the vestigingen of one school, of the core alone."""

    def __init__(self, hub: Hub, work: Work, school: str) -> None:
        self._work, self._today = work, hub.today()
        self._tenants = list(hub.tenants(work))
        self._names = hub.names_of(school.strip().upper())

    def places(self) -> list[int]:
        """Core ids of the vestigingen."""
        return [number for number, _ in self._vestigingen()]

    def numbers(self) -> list[str]:
        """Their vestigingsnummers."""
        return [called for _, called in self._vestigingen()]

    def is_of_it(self, called: str) -> bool:
        """Whether a vestigingsnummer is one of this school."""
        return any(called.startswith(name) for name in self._names)

    def _vestigingen(self) -> list[tuple[int, str]]:
        rows = self._work.execute(
            "SELECT id, vestigingsnummer FROM vestiging WHERE vestigingsnummer IS NOT NULL "
            f"AND {self._work.many('tenant_id')}",
            (self._work.values(self._tenants),),
        )
        return [(int(number), called) for number, called in rows if self.is_of_it(called)]

    def leerlingen(self) -> int:
        """All of them."""
        return self._count("true")

    def delivered(self) -> int:
        """Those with a pseudonym that an administration delivers."""
        return self._count(f"EXISTS ({_HAS} AND e.uitgever = 0)")

    def differing(self, koppeling_id: int) -> int:
        """Those of whom a person must say which of two is right, one of them of that koppeling."""
        obtained = f"EXISTS ({_HAS} AND e.uitgever = {koppeling_id:d})"
        return self._count(f"i.leerling_id IN ({_DIFFERS}) AND {obtained}")

    def without(self) -> int:
        """Those with none, delivered or obtained."""
        return self._count(f"NOT EXISTS ({_HAS})")

    def _count(self, condition: str) -> int:
        work = self._work
        rows = work.execute(
            "SELECT COUNT(DISTINCT i.leerling_id) FROM inschrijving i "
            f"WHERE {work.many('i.vestiging_id')} AND {_LASTS} AND {condition}",
            (work.values(self.places()), self._today),
        )
        return int(rows[0][0])

    def nowhere(self) -> int:
        """Those of the bevoegd gezag with an inschrijving, and none at a vestiging."""
        work = self._work
        tenants = {
            row[0]
            for row in work.execute(
                f"SELECT tenant_id FROM vestiging WHERE {work.many('id')}",
                (work.values(self.places()),),
            )
        } or self._tenants
        rows = work.execute(
            "SELECT COUNT(DISTINCT i.leerling_id) FROM inschrijving i "
            f"WHERE {work.many('i.tenant_id')} AND i.vestiging_id IS NULL AND {_LASTS} "
            "AND NOT EXISTS (SELECT 1 FROM inschrijving o WHERE o.leerling_id = i.leerling_id "
            "AND o.vestiging_id IS NOT NULL)",
            (work.values(sorted(tenants)), self._today),
        )
        return int(rows[0][0])


_LASTS: Final = "(i.geldig_tot IS NULL OR i.geldig_tot > ?)"
_DIFFERS: Final = (
    "SELECT l.core_id FROM zaak z JOIN link l ON l.koppeling_id = z.koppeling_id "
    "AND l.entity = z.entity AND l.source_key = z.source_key "
    f"WHERE z.state = 'open' AND z.kind = '{PSEUDONYM}' AND z.entity = '{Entity.LEERLING}'"
)
_HAS: Final = (
    f"SELECT 1 FROM identificatie e WHERE e.eigenaar_id = i.leerling_id AND e.soort = '{ECK_ID}'"
)


# -- asking again ---------------------------------------------------------------------------------


def some(sources: Sequence[Source], school: str) -> Sequence[Source]:
    """These koppelingen, where there are any. Raises: SyncError."""
    if not sources:
        message = f"no koppeling obtains pseudonyms for {school}"
        raise SyncError(message, advice=_TO_CONFIGURE)
    return sources


def verify(
    hub: Hub,
    school: str,
    *,
    keys: Sequence[str] | None = None,
    told: Callable[[str, int], None] | None = None,
) -> list[PlaceVerified]:
    """Ask again for the pseudonyms of a school, and compare; writes nothing.

    Args:
        hub: the installation.
        school: BRIN or vestigingsnummer.
        keys: only these leerlingen, by hub key.
        told: called with the vestiging and how many were asked, for progress.

    Raises: ConfigurationError if there is no such school; SyncError if nothing obtains any for it,
        or the koppeling is in maintenance; ConnectorError.
    """
    found: list[PlaceVerified] = []
    for source in some(obtaining(hub, school), school):
        with hub.store.work() as work:
            switch = read_switch(work, hub.koppeling(source.name).id)
        refuse_in_maintenance(switch, koppeling=source.name, now=hub.clock.now())
        with pseudonyms_of(hub, source) as (connector, asked):
            for scope in scopes_of(hub, source, connector, school):
                name = scope.label or scope.key

                def tell(count: int, name: str = name) -> None:
                    if told is not None:
                        told(name, count)

                answer = asked.verify(scope, keys=keys, told=tell)
                found.append(PlaceVerified(source.name, scope.key, name, answer))
    return found


def pupil_keys(hub: Hub, texts: Sequence[str]) -> list[str]:
    """Hub keys of the leerlingen whom a person named, by hub key or leerlingnummer.

    Raises: SyncError if there is nobody of that name.
    """
    with hub.store.work() as work:
        found = [core for text in texts for core in find_leerlingen(hub, work, text)]
    return [hub_key(core) for core in dict.fromkeys(found)]
