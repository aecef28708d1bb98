"""What is told of an erasure before it is done, and of what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from config.clock import local_date
from mappings.canonical.fields import Entity
from sync_engine.cases import candidates_of
from sync_engine.context import chunks
from sync_engine.erasure.gathering import Found
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.states import HAS_IT, OPEN, UNDER_WAY, listed
from sync_engine.store.work import Work


@dataclass(slots=True)
class ErasureReport:
    """What goes with one person, or went.

    Attributes:
        number: of the erasure; `erase lift` takes it. None in a preview.
        records: entity → core records that go.
        rows: table → rows that go; of `step`, the journal, only what they say.
        along: hub keys of guardians who go, for nobody else has them.
        stay: hub keys of guardians who stay: another child has them.
        cleared: `inschrijving.mentor` → references of other records that become empty.
        sources: koppelingen that know him: what they deliver of him is not stored from now on.
        targets: koppelingen that have him still, and are told that he goes.
        plans: plans that wait and would change something of his: that part goes.
        messages: messages that wait for a target; `under_way` those that it may have got.
        cases: open cases about him.
        doubts: open cases of records that may be his: who they are of is to be decided first.
        batches: requests under way in which he stands.
        duty: why the school may have to keep him (Dutch); empty where nothing says so.
        marks: kind → of how many of what he is recognised by the hub keeps a keyed digest.
        freed: no file of the database holds the rows any more; False while somebody reads there.
    """

    key: str
    entity: str
    tenant: str
    dry: bool = True
    number: int | None = None
    records: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    along: list[str] = field(default_factory=list)
    stay: list[str] = field(default_factory=list)
    cleared: dict[str, int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    plans: list[int] = field(default_factory=list)
    messages: int = 0
    under_way: int = 0
    cases: int = 0
    doubts: list[int] = field(default_factory=list)
    batches: int = 0
    duty: list[str] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    freed: bool = True


class Teller:
    """Says what goes with persons of one tenant."""

    def __init__(self, hub: Hub, work: Work, tenant_id: int) -> None:
        self.hub, self.work, self.tenant_id = hub, work, tenant_id

    def report(self, entity: Entity, core_id: int, found: Found) -> ErasureReport:
        """What can be said before it goes."""
        work = self.work
        ((name,),) = work.execute("SELECT name FROM tenant WHERE id = ?", (self.tenant_id,))
        report = ErasureReport(hub_key(core_id), str(entity), name)
        report.records = {str(e): len(found.cores[e]) for e in Entity if found.cores.get(e)}
        report.along = [hub_key(number) for number in sorted(found.along)]
        report.stay = [hub_key(number) for number in sorted(found.stay)]
        name_erased(work, found.all_ids())
        mine = "core_id IN (SELECT core_id FROM k_erased)"
        report.sources = self._names(f"SELECT koppeling_id FROM link WHERE {mine}")
        report.targets = self._names(f"SELECT koppeling_id FROM exchange WHERE {mine} AND {HAS_IT}")
        report.plans = [
            row[0]
            for row in work.execute(
                "SELECT DISTINCT p.id FROM plan p JOIN step s ON s.plan_id = p.id "
                f"WHERE p.tenant_id = ? AND p.state IN ('open', 'held') AND s.{mine} ORDER BY 1",
                (self.tenant_id,),
            )
        ]
        counts = f"SELECT COUNT(*) FROM outbox WHERE {mine} AND state IN "
        report.messages = work.execute(f"{counts} ({listed(OPEN)})")[0][0]
        report.under_way = work.execute(f"{counts} ({listed(UNDER_WAY)})")[0][0]
        report.cases = work.execute(
            "SELECT COUNT(*) FROM zaak z JOIN link l ON l.koppeling_id = z.koppeling_id "
            f"AND l.entity = z.entity AND l.source_key = z.source_key WHERE z.state = 'open' "
            f"AND l.{mine}"
        )[0][0]
        gone = {row[0] for row in work.execute("SELECT core_id FROM k_erased")}
        report.doubts = [
            number
            for number, detail in work.execute(
                "SELECT z.id, z.detail FROM zaak z WHERE z.tenant_id = ? AND z.state = 'open' "
                "AND z.entity = ? AND length(z.detail) > 2 AND NOT EXISTS (SELECT 1 FROM link l "
                "WHERE l.koppeling_id = z.koppeling_id AND l.entity = z.entity "
                "AND l.source_key = z.source_key) ORDER BY z.id",
                (self.tenant_id, str(entity)),
            )
            if gone & candidates_of(detail)
        ]
        report.batches = work.execute(
            f"SELECT COUNT(DISTINCT batch_id) FROM batch_person WHERE {mine}"
        )[0][0]
        report.duty = list(self._duty(entity, core_id, found))
        report.marks = dict(
            sorted(Counter(m.kind for marks in found.marks.values() for m in marks).items())
        )
        return report

    def _names(self, koppelingen: str) -> list[str]:
        rows = self.work.execute(
            f"SELECT name FROM koppeling WHERE id IN ({koppelingen}) ORDER BY name"
        )
        return [row[0] for row in rows]

    def _duty(self, entity: Entity, core_id: int, found: Found) -> Iterator[str]:
        """Why the school may have to keep him: an enrolment or a service that is not long over."""
        retention, zone = self.hub.settings.policy.retention, self.hub.settings.timezone
        wanted = {
            Entity.LEERLING: (Entity.INSCHRIJVING, "ingeschreven"),
            Entity.MEDEWERKER: (Entity.MEDEWERKER, "in dienst"),
        }
        if entity not in wanted:
            return
        table, word = wanted[entity]
        period = retention.of(str(table))
        day = local_date(self.hub.clock.now() - period, zone)
        ids = sorted(found.cores[table])
        for part in chunks(ids):
            rows = self.work.execute(
                f"SELECT COUNT(*) FROM {table} WHERE {self.work.many('id')} "
                "AND (geldig_tot IS NULL OR geldig_tot > ?)",
                (self.work.values(part), day),
            )
            if rows[0][0]:
                yield (
                    f"Deze {entity} is {word}, of was dat minder dan {period.days} dagen geleden "
                    "(de bewaartermijn van de configuratie)."
                )
                return


def name_erased(work: Work, ids: Sequence[int]) -> None:
    """Put these core records, and what was merged into them, into `k_erased`."""
    work.temp_table("k_erased", "core_id BIGINT PRIMARY KEY")
    work.load("k_erased", ("core_id",), [(number,) for number in ids])
    work.execute(
        "INSERT INTO k_erased SELECT core_id FROM alias "
        "WHERE survivor_id IN (SELECT core_id FROM k_erased) ON CONFLICT DO NOTHING"
    )
