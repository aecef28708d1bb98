"""Retention: what has been kept for its whole period, as conditions in SQL; removes nothing.

A core record may go when it ended long enough ago, the run that last changed it is as old, every
source that knew it said so long ago that it is gone (or its scope ended), and nothing refers to it:
no record of the core, no open case, no plan that waits, no message under way. Everything else is
judged row by row, by its own age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Final

from sqlmodel import SQLModel

from config.clock import local_date
from config.policies import Retention
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.outbox.states import OPEN, OVER, listed

Params = tuple[object, ...]

_OF_READING: Final = frozenset({"reading", "event"})
"""Tables that go with their run."""
_APPLIED: Final = (
    "(t.state = 'planned' AND EXISTS (SELECT 1 FROM plan a WHERE a.id = t.plan_id AND a.applied))"
)
"""Of step `t`: it was done; what was done is the journal."""
ADDING: Final = "(SELECT id FROM koppeling WHERE adds)"
"""Query of the koppelingen that only add to records: they keep nobody."""
_NAMES_A_RUN: Final = frozenset(
    {
        *("run_id", "first_run", "opened_run", "closed_run", "ended_run"),
        *("accepted_run", "refused_run", "since_run"),
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL with its parameters, in order."""

    sql: str
    params: Params = ()

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"{self.sql} AND {other.sql}", self.params + other.params)


@dataclass(frozen=True, slots=True)
class Aged:
    """One kind of rows that are judged by their own age; `t` names the table in `where`.

    Attributes:
        name: how reports call them.
        act: what is done with them, up to its WHERE.
        params: of `act`.
    """

    name: str
    table: str
    where: Condition
    act: str
    params: Params = ()


@dataclass(frozen=True, slots=True)
class Ages:
    """How old things must be, for one tenant at one moment."""

    tenant_id: int
    now: datetime
    zone: str
    retention: Retention

    def before(self, period: timedelta) -> datetime:
        """The instant before which a period is over."""
        return self.now - period

    def day(self, period: timedelta) -> date:
        """The first day after (half-open) up to which a period is over, in local time."""
        return local_date(self.now - period, self.zone)

    @property
    def koppelingen(self) -> str:
        """Query of the tenant's koppelingen."""
        return f"(SELECT id FROM koppeling WHERE tenant_id = {self.tenant_id:d})"

    def run_is_old(self, column: str, period: timedelta) -> Condition:
        """Whether that run began before the period; one that is not there is older than any."""
        return Condition(
            f"NOT EXISTS (SELECT 1 FROM run q WHERE q.id = {column} AND q.started_at >= ?)",
            (self.before(period),),
        )

    # -- records ---------------------------------------------------------------------------------

    def is_over(self, period: timedelta, *, accepted: bool) -> Condition:
        """Of shadow `s` in scope `p`: its source said that long ago that it is gone.

        Args:
            period: how long ago at least.
            accepted: the core believes it too.
        """
        believed = "s.received_gone AND s.accepted_gone" if accepted else "s.received_gone"
        gone = Condition(
            f"({believed} AND COALESCE(s.held_until, s.observed_on) <= ?", (self.day(period),)
        ) & self.run_is_old("s.run_id", period)
        ended = self.run_is_old("p.ended_run", period)
        return Condition(
            f"({gone.sql}) OR (p.ended_run IS NOT NULL AND {ended.sql}))",
            gone.params + ended.params,
        )

    def closed(self, entity: Entity, *, planned: bool) -> Condition:
        """Of core record `c` of an entity: it may go.

        Args:
            entity: whose table `c` is.
            planned: what stands in `k_core` counts as gone already; for counting beforehand.
        """
        period = self.retention.of(str(entity))
        over = self.is_over(period, accepted=True)
        condition = Condition(
            "c.tenant_id = ? AND c.geldig_tot <= ?", (self.tenant_id, self.day(period))
        )
        condition &= self.run_is_old("c.run_id", period)
        condition &= Condition(
            "NOT EXISTS (SELECT 1 FROM link l CROSS JOIN shadow s "
            "JOIN scope p ON p.id = s.scope_id WHERE l.core_id = c.id "
            f"AND l.koppeling_id NOT IN {ADDING} "
            "AND s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            f"AND s.source_key = l.source_key AND (s.pending OR NOT {over.sql}))",
            over.params,
        )
        for holder, column in referrers(entity):
            going = " AND NOT EXISTS (SELECT 1 FROM k_core k WHERE k.core_id = h.{})"
            own = going.format("groep_id" if holder == "groepsdeelname" else "id")
            left = " AND NOT h.beeindigd" if holder == "groepsdeelname" else ""
            condition &= Condition(
                f"NOT EXISTS (SELECT 1 FROM {holder} h WHERE h.{column} = c.id{left}"
                f"{own if planned else ''})"
            )
        return condition & self._unneeded()

    def _unneeded(self) -> Condition:
        """No open case, no plan that waits, no message under way."""
        return Condition(
            "NOT EXISTS (SELECT 1 FROM k_cited d WHERE d.core_id = c.id) "
            "AND NOT EXISTS (SELECT 1 FROM step s JOIN plan p ON p.id = s.plan_id "
            "WHERE s.core_id = c.id AND NOT (s.state = 'planned' AND p.applied) "
            "AND p.state IN ('open', 'held', 'planning') AND p.expires_at >= ?) "
            "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.core_id = c.id "
            f"AND o.state IN ({listed(OPEN)}))",
            (self.now,),
        )

    def orphaned(self) -> Condition:
        """Of shadow `s` in scope `p`: it never became a core record, and is gone that long."""
        over = self.is_over(self.retention.longest(), accepted=False)
        return Condition(
            f"s.koppeling_id IN {self.koppelingen} AND NOT EXISTS (SELECT 1 FROM link l "
            "WHERE l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
            "AND l.source_key = s.source_key) AND NOT EXISTS (SELECT 1 FROM zaak z "
            "WHERE z.state = 'open' AND z.koppeling_id = s.koppeling_id AND z.entity = s.entity "
            f"AND z.source_key = s.source_key) AND {over.sql}",
            over.params,
        )

    # -- rows by their own age ---------------------------------------------------------------------

    def aged(self) -> Iterator[Aged]:
        """Every kind of rows that go by their own age before the records do, in order."""
        yield self._expired_plans()
        yield self._memberships()
        yield self._raw()
        yield from self._quarantine()
        yield self._plan_values()
        yield self._journal()
        yield self._messages()
        yield self._batches()
        yield self._exchanges()
        yield self._delivered()

    def left(self) -> Iterator[Aged]:
        """Every kind of rows that go after the records, in order."""
        yield self._bare_records()
        yield from self._closed_cases()
        yield from self._of_old_runs()

    def _expired_plans(self) -> Aged:
        where = Condition(
            "t.tenant_id = ? AND t.state IN ('open', 'held') AND t.expires_at < ?",
            (self.tenant_id, self.now),
        )
        return Aged("plan expired", "plan", where, "UPDATE plan SET state = 'expired'")

    def _memberships(self) -> Aged:
        period = self.retention.of("groepsdeelname")
        where = Condition(
            "t.beeindigd AND t.geldig_tot <= ? AND EXISTS (SELECT 1 FROM groep g "
            "WHERE g.id = t.groep_id AND g.tenant_id = ?)",
            (self.day(period), self.tenant_id),
        ) & self.run_is_old("t.run_id", period)
        return Aged("groepsdeelname", "groepsdeelname", where, "DELETE FROM groepsdeelname")

    def _raw(self) -> Aged:
        where = Condition(
            "t.stored_on <= ? AND EXISTS (SELECT 1 FROM source_record r JOIN scope p "
            f"ON p.id = r.scope_id WHERE r.id = t.record_id AND p.koppeling_id IN "
            f"{self.koppelingen} AND (r.gone OR EXISTS (SELECT 1 FROM raw_payload n "
            "WHERE n.record_id = t.record_id AND n.id > t.id)))",
            (self.day(self.retention.raw_payload),),
        )
        return Aged("raw_payload", "raw_payload", where, "DELETE FROM raw_payload")

    def _quarantine(self) -> Iterator[Aged]:
        """What is delivered broken still stays listed without its content; the rest goes whole."""
        old = self.run_is_old("t.run_id", self.retention.quarantine)
        old &= Condition(
            f"EXISTS (SELECT 1 FROM scope p WHERE p.id = t.scope_id "
            f"AND p.koppeling_id IN {self.koppelingen})"
        )
        delivered = (
            "EXISTS (SELECT 1 FROM source_record r JOIN scope p ON p.id = r.scope_id WHERE "
            "r.scope_id = t.scope_id AND r.source_key = t.source_key AND NOT r.gone "
            "AND p.ended_run IS NULL)"
        )
        kept = old & Condition(f"t.salt IS NOT NULL AND {delivered}")
        gone = old & Condition(f"NOT {delivered}")
        erase = "UPDATE quarantine SET salt = NULL, body = ?"
        yield Aged("quarantine content", "quarantine", kept, erase, (b"",))
        yield Aged("quarantine", "quarantine", gone, "DELETE FROM quarantine")

    def _messages(self) -> Aged:
        """Messages that say nothing any more: replaced ones, and deletions."""
        where = Condition(
            f"(t.gone OR NOT t.current) AND t.received_at < ? AND t.koppeling_id IN "
            f"{self.koppelingen}",
            (self.before(self.retention.run),),
        )
        return Aged("inbox", "inbox", where, "DELETE FROM inbox")

    def _batches(self) -> Aged:
        """That something was asked; of whom is forgotten since it was closed."""
        where = Condition(
            f"t.state = 'closed' AND t.closed_at < ? AND t.koppeling_id IN {self.koppelingen}",
            (self.before(self.retention.run),),
        )
        return Aged("batch", "batch", where, "DELETE FROM batch")

    def _exchanges(self) -> Aged:
        """What was exchanged of objects that are not in the core; the rest goes with them."""
        there = " UNION ALL ".join(
            f"SELECT 1 FROM {entity} c WHERE c.id = t.core_id" for entity in Entity
        )
        where = Condition(
            f"t.changed_at < ? AND t.koppeling_id IN {self.koppelingen} "
            "AND NOT EXISTS (SELECT 1 FROM alias a WHERE a.core_id = t.core_id) "
            f"AND NOT EXISTS ({there})",
            (self.before(self.retention.longest()),),
        )
        return Aged("exchange", "exchange", where, "DELETE FROM exchange")

    def _delivered(self) -> Aged:
        """Messages to targets that are over; what was confirmed last stands in its exchange."""
        where = Condition(
            f"t.state IN ({listed(OVER)}) AND t.tenant_id = ? AND t.settled_at < ?",
            (self.tenant_id, self.before(self.retention.run)),
        )
        return Aged("outbox", "outbox", where, "DELETE FROM outbox")

    def _plan_values(self) -> Aged:
        where = Condition(
            f"NOT {_APPLIED} AND t.salt IS NOT NULL AND t.plan_id IN "
            "(SELECT p.id FROM plan p WHERE p.tenant_id = ? AND p.expires_at < ?)",
            (self.tenant_id, self.before(self.retention.plan_values)),
        )
        return Aged("plan values", "step", where, "UPDATE step SET salt = NULL, change = ?", (b"",))

    def _journal(self) -> Aged:
        where = Condition(
            f"{_APPLIED} AND t.plan_id IN (SELECT p.id FROM plan p "
            "JOIN run q ON q.id = p.run_id WHERE p.tenant_id = ? AND q.started_at < ?)",
            (self.tenant_id, self.before(self.retention.journal)),
        )
        return Aged("journal", "step", where, "DELETE FROM step")

    def _bare_records(self) -> Aged:
        """Records that are gone and of which nothing is left but their key."""
        where = Condition(
            "t.gone AND t.missing_since < ? AND EXISTS (SELECT 1 FROM scope p "
            f"WHERE p.id = t.scope_id AND p.koppeling_id IN {self.koppelingen}) "
            "AND NOT EXISTS (SELECT 1 FROM shadow s WHERE s.record_id = t.id) "
            "AND NOT EXISTS (SELECT 1 FROM raw_payload n "
            "WHERE n.record_id = t.id AND n.stored_on > ?)",
            (self.before(self.retention.longest()), self.day(self.retention.raw_payload)),
        )
        return Aged("source_record", "source_record", where, "DELETE FROM source_record")

    def _closed_cases(self) -> Iterator[Aged]:
        """Closed cases of what is not there any more, with their notes; the rest goes with it."""
        old = Condition(
            "z.state <> 'open' AND z.tenant_id = ? AND NOT EXISTS (SELECT 1 FROM shadow s "
            "WHERE s.koppeling_id = z.koppeling_id AND s.entity = z.entity "
            "AND s.source_key = z.source_key)",
            (self.tenant_id,),
        ) & self.run_is_old("COALESCE(z.closed_run, z.opened_run)", self.retention.run)
        which = f"(SELECT z.id FROM zaak z WHERE {old.sql})"
        for table, column in (("zaak_notitie", "case_id"), ("zaak", "id")):
            where = Condition(f"t.{column} IN {which}", old.params)
            yield Aged(table, table, where, f"DELETE FROM {table}")

    # -- runs ------------------------------------------------------------------------------------

    def _of_old_runs(self) -> Iterator[Aged]:
        """What old runs read and told, and their plans; of what was applied the journal stays."""
        old = self.old_runs()
        runs = f"(SELECT t.id FROM run t WHERE {old.sql})"
        for table in sorted(_OF_READING):
            where = Condition(f"t.run_id IN {runs}", old.params)
            yield Aged(table, table, where, f"DELETE FROM {table}")
        plans = "SELECT p.id FROM plan p WHERE p.state NOT IN ('open', 'held')"
        plans = f"({plans} AND p.run_id IN {runs})"
        where = Condition(f"NOT {_APPLIED} AND t.plan_id IN {plans}", old.params)
        yield Aged("step", "step", where, "DELETE FROM step")
        where = Condition(
            f"t.id IN {plans} AND NOT EXISTS (SELECT 1 FROM step s JOIN run q ON q.id = t.run_id "
            "WHERE s.plan_id = t.id AND s.state = 'planned' AND t.applied AND q.started_at >= ?)",
            (*old.params, self.before(self.retention.journal)),
        )
        yield Aged("plan", "plan", where, "DELETE FROM plan")

    def old_runs(self) -> Condition:
        """Of run `t`: it ended, and is over its time."""
        return Condition(
            f"t.koppeling_id IN {self.koppelingen} AND t.state <> 'running' AND t.started_at < ?",
            (self.before(self.retention.run),),
        )

    def past_undo(self) -> Condition:
        """Of run `t`: it can be undone no more."""
        return Condition(
            f"t.koppeling_id IN {self.koppelingen} AND t.state <> 'running' AND t.started_at < ?",
            (self.before(self.retention.undo),),
        )

    def unnamed_runs(self) -> Aged:
        """Old runs that nothing names which stays; `k_named` holds the runs that are named."""
        where = self.old_runs() & Condition(
            "NOT EXISTS (SELECT 1 FROM k_named n WHERE n.run_id = t.id)"
        )
        return Aged("run", "run", where, "DELETE FROM run")


@cache
def referrers(entity: Entity) -> tuple[tuple[str, str], ...]:
    """(table, column) of everything in the core that refers to records of an entity.

    A membership that ended is history of the person, and goes with him.
    """
    found: list[tuple[str, str]] = []
    for holder in Entity:
        for name, description in fields_of(holder).items():
            if description.target is not entity:
                continue
            if description.kind is Kind.REFERENCE:
                found.append((str(holder), f"{name}_id"))
            elif description.kind is Kind.MEMBERS:
                found.append(("groepsdeelname", "persoon_id"))
    return tuple(dict.fromkeys(found))


def refers_to_itself(entity: Entity) -> bool:
    """Whether records of an entity may stand above one another."""
    return any(holder == str(entity) for holder, _ in referrers(entity))


@cache
def run_columns() -> Mapping[str, tuple[str, ...]]:
    """Table → its columns that name a run; rows of readings and events go with their run."""
    return MappingProxyType(
        {
            name: columns
            for name, table in SQLModel.metadata.tables.items()
            if name not in _OF_READING
            and (columns := tuple(c.name for c in table.columns if c.name in _NAMES_A_RUN))
        }
    )
