"""The weekly report of one school: what its administrator can mend at the source, in counts.

Which pupils it is about says `lines`, with the source's own numbers: personal data, for a file of
the school itself and never for a mail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from config.clock import local_date
from mappings.canonical.fields import Entity
from sync_engine.cases import KINDS, QUARANTINE
from sync_engine.condition import Health, KoppelingHealth
from sync_engine.health import health
from sync_engine.hub import Hub
from sync_engine.pseudonyms import obtaining
from sync_engine.quarantine import ERROR, listed
from sync_engine.rows import identifier_context
from sync_engine.rules import in_dutch
from sync_engine.selection import Selection, select
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work

_LEERLING: Final = str(Entity.LEERLING)


@dataclass(frozen=True, slots=True)
class Fault:
    """Records of one kind that break one rule in one field.

    Attributes:
        rule: Dutch.
        unread: the record is not read at all; else only this field of it is left out.
    """

    koppeling: str
    resource: str
    field: str
    rule: str
    records: int
    unread: bool


@dataclass(frozen=True, slots=True)
class Weekly:
    """How one school stands; no personal data.

    Attributes:
        school: BRIN or vestigingsnummer.
        week: `2026-W48`.
        leerlingen: pupils of now that its sources deliver.
        without_eck_id: of those.
        in_doubt: pupils of whom a person must decide who they are.
        cases: kind of case, in Dutch → how many are open, over all that the sources deliver.
        koppelingen: of the school.
        obtains: the hub obtains ECK iDs of this school itself.
    """

    school: str
    name: str
    week: str
    at: datetime
    leerlingen: int
    without_eck_id: int
    in_doubt: int
    cases: dict[str, int]
    faults: tuple[Fault, ...]
    koppelingen: tuple[KoppelingHealth, ...]
    obtains: bool = False

    @property
    def quarantined(self) -> int:
        """Records that are not read at all."""
        return sum(fault.records for fault in self.faults if fault.unread)

    @property
    def is_clean(self) -> bool:
        """Whether the school has nothing to mend."""
        return not (self.without_eck_id or self.in_doubt or self.cases or self.faults)


COLUMNS: Final = (
    *("waarom", "koppeling", "bronsoort", "bronrecord", "leerlingnummer", "veld", "wat te doen"),
)
"""Heading of the records that a school can mend."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record that the school can mend, by the source's own numbers.

    Attributes:
        what: Dutch: why it is listed.
        source_key: the record as the source calls it.
        leerlingnummer: of a pupil whom the hub knows.
        todo: what to do (Dutch).
    """

    what: str
    koppeling: str
    resource: str
    source_key: str
    leerlingnummer: str
    field: str
    todo: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Under `COLUMNS`."""
        return (
            *(self.what, self.koppeling, self.resource, self.source_key),
            *(self.leerlingnummer, self.field, self.todo),
        )


def weekly(hub: Hub, school: str, *, found: Health | None = None) -> Weekly:
    """The report of a school as it stands now.

    Args:
        hub: with an actor who may see the school.
        school: BRIN or vestigingsnummer.
        found: the health, where it is known already.

    Raises: ConfigurationError if there is no such school, or nothing was ever read of it.
    """
    wanted = school.strip().upper()
    now = hub.clock.now()
    names = [source.name for source in hub.sources_of(wanted)]
    state = found if found is not None else health(hub, only=names)
    with hub.store.work() as work:
        chosen = _chosen(hub, work, wanted)
        pupils = work.execute(*_pupils(hub, work, chosen, "COUNT(DISTINCT c.id)"))[0][0]
        without = work.execute(
            *_pupils(hub, work, chosen, "COUNT(DISTINCT c.id)", f"AND {_WITHOUT}")
        )[0][0]
        cases = _cases(work, chosen)
        faults = _faults(hub, work, chosen)
    return Weekly(
        school=wanted,
        name=school_name(hub, wanted),
        week=week_of(now, hub.settings.timezone),
        at=now,
        leerlingen=int(pupils),
        without_eck_id=int(without),
        in_doubt=sum(count for (entity, _), count in cases.items() if entity == _LEERLING),
        cases=_by_kind(cases),
        faults=faults,
        koppelingen=tuple(one for one in state.koppelingen if one.name in names),
        obtains=bool(obtaining(hub, wanted)),
    )


def week_of(at: datetime, zone: str) -> str:
    """The week of an instant, as calendars number it."""
    year, week, _ = local_date(at, zone).isocalendar()
    return f"{year}-W{week:02d}"


def school_name(hub: Hub, school: str) -> str:
    """What the configuration calls a school; the number itself where it names none."""
    brin = school[:4]
    schools = (one for _, one in hub.own_schools())
    return next((one.name for one in schools if one.brin.reveal() == brin), school)


def _chosen(hub: Hub, work: Work, school: str) -> Selection:
    """The scopes of the school that are read: not what stood in the core before any source."""
    chosen = select(hub, work, source=None, school=school)
    configured = {source.name for source in hub.sources()}
    mine = {number: name for number, name in chosen.koppelingen.items() if name in configured}
    going = {
        row[0]
        for row in work.execute(
            f"SELECT id FROM {work.real('scope')} WHERE ended_run IS NULL AND NOT adopted "
            f"AND {work.many('koppeling_id')}",
            (work.values(list(mine)),),
        )
    }
    return Selection(mine, [scope for scope in chosen.scopes or () if scope in going])


# -- counts ----------------------------------------------------------------------------------------

_THEIRS: Final = "Vraag in het administratiesysteem een ECK iD aan voor deze leerling."
_OURS: Final = "Koppelhub vraagt het aan bij de Nummervoorziening; u hoeft niets te doen."
_NO_PGN: Final = (
    "Niet verkrijgbaar: geen PGN. Vul het BSN of onderwijsnummer in het administratiesysteem in."
)
_HAS_PGN: Final = (
    "CASE WHEN EXISTS (SELECT 1 FROM identificatie g WHERE g.eigenaar_id = c.id "
    "AND g.soort IN ('bsn', 'onderwijsnummer')) THEN 1 ELSE 0 END"
)
_WITHOUT: Final = (
    "NOT EXISTS (SELECT 1 FROM identificatie e WHERE e.eigenaar_id = c.id AND e.soort = 'eck_id')"
)


def _pupils(
    hub: Hub, work: Work, chosen: Selection, columns: str, rest: str = ""
) -> tuple[str, list[object]]:
    """Query of the pupils of now that these scopes deliver, with its parameters."""
    condition, params = chosen.of_scope(work, "s.scope_id")
    today = hub.today()
    sql = (
        f"SELECT {columns} FROM shadow s JOIN koppeling k ON k.id = s.koppeling_id "
        "JOIN link l ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
        "AND l.source_key = s.source_key JOIN leerling c ON c.id = l.core_id "
        "LEFT JOIN core_salt t ON t.core_id = c.id "
        "LEFT JOIN identificatie n ON n.eigenaar_id = c.id AND n.soort = 'leerlingnummer' "
        "AND n.uitgever = k.id "
        "WHERE s.entity = ? AND NOT s.received_gone AND s.accepted_fp IS NOT NULL "
        f"AND (c.geldig_tot IS NULL OR c.geldig_tot > ?) AND {condition} {rest}"
    )
    return sql, [_LEERLING, today, *params]


def _cases(work: Work, chosen: Selection) -> dict[tuple[str, str], int]:
    """(entity, kind) → open cases of records that these scopes deliver; not of quarantine."""
    condition, params = chosen.of_scope(work, "s.scope_id")
    rows = work.execute(
        "SELECT z.entity, z.kind, COUNT(*) FROM zaak z WHERE z.state = 'open' AND z.kind <> ? "
        "AND EXISTS (SELECT 1 FROM shadow s WHERE s.koppeling_id = z.koppeling_id "
        f"AND s.entity = z.entity AND s.source_key = z.source_key AND {condition}) "
        "GROUP BY z.entity, z.kind ORDER BY z.entity, z.kind",
        (QUARANTINE, *params),
    )
    return {(entity, kind): int(count) for entity, kind, count in rows}


def _by_kind(cases: dict[tuple[str, str], int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (_, kind), count in cases.items():
        counts[KINDS.get(kind, kind)] += count
    return dict(counts)


def _faults(hub: Hub, work: Work, chosen: Selection) -> tuple[Fault, ...]:
    counts: Counter[tuple[str, str, str, str, bool]] = Counter()
    for broken in listed(hub, work, chosen):
        unread = broken.severity == ERROR
        rule = in_dutch(broken.rule)
        counts[broken.koppeling, broken.resource, broken.field, rule, unread] += broken.records
    faults = [
        Fault(koppeling, resource, field, rule, records, unread)
        for (koppeling, resource, field, rule, unread), records in counts.items()
    ]
    return tuple(sorted(faults, key=lambda one: (not one.unread, -one.records, one.field)))


# -- the records themselves ------------------------------------------------------------------------


def lines(hub: Hub, work: Work, school: str) -> Iterator[Line]:
    """Every record that the school can mend, with the source's own numbers: personal data.

    Raises: as `weekly`.
    """
    chosen = _chosen(hub, work, school.strip().upper())
    columns = f"DISTINCT k.name, k.tenant_id, l.source_key, c.id, t.salt, n.waarde, {_HAS_PGN}"
    obtains = bool(obtaining(hub, school))
    rest = f"AND {_WITHOUT} ORDER BY k.name, l.source_key"
    number = _Numbers(hub).of
    for row in work.rows(*_pupils(hub, work, chosen, columns, rest)):
        name, tenant_id, key, core_id, salt, sealed, has_pgn = row
        yield Line(
            what="geen ECK iD",
            koppeling=name,
            resource=_LEERLING,
            source_key=key,
            leerlingnummer=number(tenant_id, core_id, salt, sealed),
            field="eckId",
            todo=(_OURS if has_pgn else _NO_PGN) if obtains else _THEIRS,
        )
    yield from _doubts(hub, work, chosen)
    for broken in listed(hub, work, chosen):
        yield Line(
            what="niet gelezen" if broken.severity == ERROR else "veld weggelaten",
            koppeling=broken.koppeling,
            resource=broken.resource,
            source_key=broken.source_key,
            leerlingnummer="",
            field=broken.field,
            todo=broken.advice,
        )


def _doubts(hub: Hub, work: Work, chosen: Selection) -> Iterator[Line]:
    condition, params = chosen.of_scope(work, "s.scope_id")
    number = _Numbers(hub).of
    for case_id, kind, name, tenant_id, entity, key, core_id, salt, sealed in work.rows(
        "SELECT z.id, z.kind, k.name, k.tenant_id, z.entity, z.source_key, l.core_id, t.salt, "
        "n.waarde FROM zaak z JOIN koppeling k ON k.id = z.koppeling_id "
        "LEFT JOIN link l ON l.koppeling_id = z.koppeling_id AND l.entity = z.entity "
        "AND l.source_key = z.source_key LEFT JOIN core_salt t ON t.core_id = l.core_id "
        "LEFT JOIN identificatie n ON n.eigenaar_id = l.core_id AND n.soort = 'leerlingnummer' "
        "AND n.uitgever = k.id WHERE z.state = 'open' AND z.kind <> ? "
        "AND EXISTS (SELECT 1 FROM shadow s WHERE s.koppeling_id = z.koppeling_id "
        f"AND s.entity = z.entity AND s.source_key = z.source_key AND {condition}) "
        "ORDER BY k.name, z.entity, z.source_key",
        (QUARANTINE, *params),
    ):
        yield Line(
            what=f"twijfel: {KINDS.get(kind, kind)}",
            koppeling=name,
            resource=entity,
            source_key=key,
            leerlingnummer=number(tenant_id, core_id, salt, sealed),
            field="",
            todo=f"Kijk nummers, naam en geboortedatum na; de helpdesk beslist in zaak {case_id}.",
        )


@dataclass(slots=True)
class _Numbers:
    """Opens leerlingnummers; the keys of a tenant are asked once."""

    hub: Hub
    ciphers: dict[int, TenantCipher] = field(default_factory=dict)

    def of(self, tenant_id: int, core_id: int | None, salt: object, sealed: object) -> str:
        """The leerlingnummer that a koppeling issued; empty where there is none."""
        if core_id is None or not isinstance(salt, bytes) or not isinstance(sealed, bytes):
            return ""
        cipher = self.ciphers.get(tenant_id)
        if cipher is None:
            cipher = self.ciphers[tenant_id] = self.hub.cipher(tenant_id)
        context = identifier_context(core_id, "leerlingnummer")
        return cipher.person(salt).decrypt(sealed, context).decode()
