"""Who is at the schools of a tenant, for a connector: places, leerlingen with their PGN, docenten.

A PGN is opened for one purpose only, and every reading that opened any is one line of the audit
trail: who looked, for which koppeling, at how many. Who reads gets some hundreds at once, so that
memory does not grow with the school.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol, TypeAlias

from config.sources import PgnPurpose
from connectors.stores import Place, Pupil, Teacher
from mappings.canonical.fields import Entity
from sector.identifiers import Bsn, InvalidIdentifierError, Onderwijsnummer
from sync_engine.context import KoppelingRow
from sync_engine.hubkeys import hub_key, key_number
from sync_engine.rows import identifier_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.engine import Store
from sync_engine.store.work import Row, Work

_log = logging.getLogger(__name__)

BATCH: Final = 500
"""Persons that are in memory at once."""

KINDS: Final[Mapping[str, type[Bsn] | type[Onderwijsnummer]]] = {
    "bsn": Bsn,
    "onderwijsnummer": Onderwijsnummer,
}
"""Roles of identifiers that are a PGN, the first that there is counts."""

_Told: TypeAlias = tuple[int, str, bytes]
_BRIN: Final = 4
_FEW: Final = 5
"""So many persons are named in the audit trail; of more it says how many."""


class Note(Protocol):
    """Puts a line in the audit trail."""

    def __call__(self, work: Work, *, subject: str, why: str) -> None:
        """Outside transactions."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Who may be asked for a PGN, and of whom.

    Attributes:
        purpose: for what.
        asks: the configuration of the koppeling that asks names the purpose.
        tellers: ids of the koppelingen whose configuration names it: what they tell may be used.
    """

    purpose: PgnPurpose
    asks: bool
    tellers: tuple[int, ...]

    @property
    def is_given(self) -> bool:
        """Whether anybody's PGN may be handed out at all."""
        return self.asks and bool(self.tellers)


class StorePeople:
    """People as the core has them, for one koppeling; not shared between threads.

    Args:
        store: of the hub.
        koppeling: who asks.
        purpose: for what, and of whose telling, a PGN may be used.
        cipher: opens the tenant's keys; called on first use.
        today: the local date, ISO.
        note: puts a look at PGNs in the audit trail.
    """

    def __init__(
        self,
        store: Store,
        koppeling: KoppelingRow,
        *,
        purpose: Purpose,
        cipher: Callable[[], TenantCipher],
        today: Callable[[], str],
        note: Note,
    ) -> None:
        self._store, self._koppeling, self._purpose = store, koppeling, purpose
        self._open, self._today, self._note = cipher, today, note
        self._cipher: TenantCipher | None = None

    @property
    def _tenant(self) -> int:
        return self._koppeling.tenant_id

    def _keys(self) -> TenantCipher:
        if self._cipher is None:
            self._cipher = self._open()
        return self._cipher

    def mark(self, text: str) -> bytes:
        """HMAC-SHA-256 of a text under a key of the tenant; see `TenantCipher.mark`."""
        return self._keys().mark(text)

    def places(self) -> Sequence[Place]:
        """The vestigingen, in the order of their numbers."""
        with self._store.work() as work:
            rows = work.execute(
                "SELECT v.vestigingsnummer, MAX(i.brin), MIN(v.naam) FROM vestiging v "
                "LEFT JOIN instelling i ON i.id = v.instelling_id "
                "WHERE v.tenant_id = ? AND v.vestigingsnummer IS NOT NULL "
                "GROUP BY v.vestigingsnummer ORDER BY v.vestigingsnummer",
                (self._tenant,),
            )
        return [Place(number, brin or number[:_BRIN], name or "") for number, brin, name in rows]

    # -- leerlingen --------------------------------------------------------------------------------

    def pupils(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Pupil]:
        """The leerlingen who are or were at one vestiging, in the order of their hub ids."""
        opened: list[int] = []
        persons = 0
        try:
            for found in self._batches(_PUPILS, vestiging, keys):
                with self._store.work() as work:
                    numbers = self._numbers(work, [row[0] for row in found])
                opened += numbers
                persons += len(found)
                for number, last, lasting in found:
                    until = None if lasting else _last_day(last)
                    yield Pupil(number, hub_key(number), numbers.get(number), until)
        finally:
            if opened:
                self._tell(vestiging, opened, persons)

    def find(self, core_id: int) -> Pupil | None:
        """One leerling, wherever he is; None where the tenant has none of that hub id."""
        with self._store.work() as work:
            there = work.execute(
                "SELECT 1 FROM leerling WHERE id = ? AND tenant_id = ?", (core_id, self._tenant)
            )
            numbers = self._numbers(work, [core_id]) if there else {}
        if not there:
            return None
        if numbers:
            self._tell("", [core_id], 1)
        return Pupil(core_id, hub_key(core_id), numbers.get(core_id))

    def _tell(self, vestiging: str, opened: Sequence[int], persons: int) -> None:
        """That PGNs were looked at, in one line, however the reading ended."""
        named = f": {', '.join(map(hub_key, opened))}" if len(opened) <= _FEW else ""
        where = f", {vestiging}" if vestiging else ""
        why = f"{self._purpose.purpose}{where}: {len(opened)} of {persons} PGN{named}"
        with self._store.work() as work:
            self._note(work, subject=f"koppeling {self._koppeling.name}", why=why)

    def _numbers(self, work: Work, cores: Sequence[int]) -> dict[int, Bsn | Onderwijsnummer]:
        """Hub id → PGN, of whom it may be handed out.

        A BSN goes before an onderwijsnummer, also where it is the onderwijsnummer alone that may be
        used: that is not his PGN then, and he gets none. Nor does he where the number is told for
        another purpose only.
        """
        if not self._purpose.is_given:
            return {}
        told, elsewhere = self._told(work, cores)
        kinds = {(core_id, kind) for core_id, kind, _ in told}
        rows = work.execute(
            "SELECT e.eigenaar_id, e.soort, e.waarde, s.salt FROM identificatie e "
            "JOIN core_salt s ON s.core_id = e.eigenaar_id WHERE e.uitgever = 0 "
            f"AND {work.many('e.eigenaar_id')} AND {work.many('e.soort')} "
            "ORDER BY e.eigenaar_id, e.soort",  # bsn before onderwijsnummer
            (work.values(cores), work.values(list(KINDS))),
        )
        first = {row[0]: row for row in reversed(rows)}
        found: dict[int, Bsn | Onderwijsnummer] = {}
        for core_id, (_, kind, sealed, salt) in first.items():
            if (core_id, kind) not in kinds:
                continue
            number = self._opened(core_id, kind, sealed, salt)
            if number is None:
                continue
            if elsewhere:
                digest = self._keys().index(f"{Entity.LEERLING}/{kind}", number.reveal())
                if (core_id, kind, digest) in elsewhere:
                    continue
            found[core_id] = number
        return found

    def _told(self, work: Work, cores: Sequence[int]) -> tuple[set[_Told], set[_Told]]:
        """What is told for this purpose, and what for others: hub id, kind, blind index."""
        told: set[_Told] = set()
        elsewhere: set[_Told] = set()
        for core_id, kind, digest, koppeling_id in work.execute(
            "SELECT core_id, kind, digest, koppeling_id FROM match_key WHERE entity = ? "
            f"AND {work.many('core_id')} AND {work.many('kind')}",
            (str(Entity.LEERLING), work.values(cores), work.values(list(KINDS))),
        ):
            mine = koppeling_id in self._purpose.tellers
            (told if mine else elsewhere).add((core_id, kind, bytes(digest)))
        return told, elsewhere - told

    def _opened(
        self, core_id: int, kind: str, sealed: bytes, salt: bytes
    ) -> Bsn | Onderwijsnummer | None:
        person = self._keys().person(bytes(salt))
        text = person.decrypt(bytes(sealed), identifier_context(core_id, kind)).decode()
        try:
            return KINDS[kind](text)
        except InvalidIdentifierError as error:  # of a release that checked otherwise
            _log.warning("%s of %s is not used: %s", kind, hub_key(core_id), error.rule)
            return None

    # -- docenten ----------------------------------------------------------------------------------

    def teachers(self, vestiging: str, *, keys: Collection[str] | None = None) -> Iterator[Teacher]:
        """The docenten of one vestiging who have an e-mail address, in the order of their ids.

        Those whose main vestiging it is, and who teach a groep of it.
        """
        brins = {place.vestiging: place.brin for place in self.places()}
        brin = brins.get(vestiging, vestiging[:_BRIN])
        for found in self._batches(_TEACHERS, vestiging, keys):
            for number, last, lasting, email in found:
                until = None if lasting else _last_day(last)
                yield Teacher(number, hub_key(number), brin, email, until)

    # -- both --------------------------------------------------------------------------------------

    def _batches(
        self, query: str, vestiging: str, keys: Collection[str] | None
    ) -> Iterator[list[Row]]:
        """Rows (hub id, last day after, whether it lasts, …), some hundreds at once.

        Each is a statement of its own: nothing of the store is held open while a connector works.
        """
        last, today = 0, self._today()
        wanted = None if keys is None else self._cores(keys)
        while True:
            with self._store.work() as work:
                only, params = "", []
                if wanted is not None:
                    only = f"AND {work.many('p.id')} "
                    params = [work.values(wanted)]
                rows = work.execute(
                    query.format(only=only),
                    (today, self._tenant, vestiging, self._tenant, last, *params),
                )
            if not rows:
                return
            last = rows[-1][0]
            yield rows

    def _cores(self, keys: Collection[str]) -> list[int]:
        """Hub ids of hub keys, of who was merged the one that he became."""
        numbers = [number for number in map(key_number, keys) if number is not None]
        with self._store.work() as work:
            became: dict[int, int] = dict(
                work.execute(
                    f"SELECT core_id, survivor_id FROM alias WHERE {work.many('core_id')}",
                    (work.values(numbers),),
                )
            )
        return sorted({became.get(number, number) for number in numbers})


_LASTS: Final = "MAX(CASE WHEN {0} IS NULL OR {0} > ? THEN 1 ELSE 0 END)"
_NOT_EMPTY: Final = "(i.geldig_van IS NULL OR i.geldig_tot IS NULL OR i.geldig_tot > i.geldig_van)"
"""Who left before his first day was never there."""

_PUPILS: Final = (
    # CROSS JOIN: SQLite takes them in this order, and not every leerling of every school first
    f"SELECT p.id, MAX(i.geldig_tot), {_LASTS.format('i.geldig_tot')} FROM vestiging v "
    "CROSS JOIN inschrijving i LEFT JOIN alias a ON a.core_id = i.leerling_id "
    "CROSS JOIN leerling p WHERE i.vestiging_id = v.id "
    "AND p.id = COALESCE(a.survivor_id, i.leerling_id) "
    "AND v.tenant_id = ? AND v.vestigingsnummer = ? AND p.tenant_id = ? AND p.id > ? "
    f"AND {_NOT_EMPTY} {{only}}GROUP BY p.id ORDER BY p.id LIMIT {BATCH}"
)
_TEACHES: Final = (
    "SELECT d.persoon_id FROM groepsdeelname d JOIN groep g ON g.id = d.groep_id "
    "WHERE g.vestiging_id = v.id AND d.rol = 'docent' AND NOT d.beeindigd"
)
_TEACHERS: Final = (
    f"SELECT p.id, MAX(p.geldig_tot), {_LASTS.format('p.geldig_tot')}, MIN(c.waarde) "
    "FROM vestiging v JOIN medewerker p ON p.tenant_id = v.tenant_id "
    "JOIN contactgegeven c ON c.eigenaar_id = p.id AND c.soort = 'email' "
    "WHERE v.tenant_id = ? AND v.vestigingsnummer = ? AND p.tenant_id = ? AND p.id > ? "
    f"AND ((p.hoofdvestiging_id = v.id AND p.is_docent) OR p.id IN ({_TEACHES})) "
    f"{{only}}GROUP BY p.id ORDER BY p.id LIMIT {BATCH}"
)


def _last_day(end: str) -> date:
    """The last day of a period that ends, half-open, on that day."""
    return date.fromisoformat(end) - timedelta(days=1)
