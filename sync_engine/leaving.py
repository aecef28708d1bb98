"""A bevoegd gezag leaves: everything of it goes, its keys first of all, in one transaction.

Only once the configuration names it no more. Killed at any instruction, everything is there or
nothing is. The row of the tenant stays as a name, so that the audit trail can be read; what two
boards exchanged stays listed, with names of koppelingen and counts. A backup still holds all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from config.errors import ConfigurationError
from mappings.canonical.fields import Entity
from sync_engine.audit import note_within
from sync_engine.hub import Hub
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.work import Work

_TENANT: Final = "tenant_id = ?"
_KOPPELING: Final = "koppeling_id IN (SELECT id FROM v_koppeling)"
_SCOPE: Final = "scope_id IN (SELECT id FROM v_scope)"
_RUN: Final = "run_id IN (SELECT id FROM v_run)"
_OWNER: Final = "eigenaar_id IN (SELECT id FROM v_core)"
_PLAN: Final = "plan_id IN (SELECT id FROM plan WHERE tenant_id = ?)"

GOES: Final[tuple[tuple[str, str], ...]] = (
    ("tenant_key", _TENANT),
    ("zaak_notitie", "case_id IN (SELECT id FROM zaak WHERE tenant_id = ?)"),
    ("zaak", _TENANT),
    ("decision", _KOPPELING),
    ("pin", _TENANT),
    ("step", _PLAN),
    ("event", _KOPPELING),
    ("reading", _SCOPE),
    ("inbox", _KOPPELING),
    ("kern_inbox", "koppeling IN (SELECT name FROM koppeling WHERE tenant_id = ?)"),
    ("outbox", _TENANT),
    ("vault", _TENANT),
    (
        "batch_person",
        "batch_id IN (SELECT b.id FROM batch b WHERE b.koppeling_id IN "
        "(SELECT id FROM v_koppeling))",
    ),
    ("batch", _KOPPELING),
    ("exchange", _KOPPELING),
    ("quarantine", _SCOPE),
    (
        "raw_payload",
        "record_id IN (SELECT r.id FROM source_record r WHERE r.scope_id IN "
        "(SELECT id FROM v_scope))",
    ),
    (
        "shadow_form",
        "shadow_id IN (SELECT s.id FROM shadow s WHERE s.koppeling_id IN "
        "(SELECT id FROM v_koppeling))",
    ),
    (
        "former_form",
        "shadow_id IN (SELECT s.id FROM shadow s WHERE s.koppeling_id IN "
        "(SELECT id FROM v_koppeling))",
    ),
    ("shadow", _KOPPELING),
    ("source_record", _SCOPE),
    ("former_link", _KOPPELING),
    ("former_member", "groep_id IN (SELECT id FROM v_core)"),
    ("former_number", _TENANT),
    ("link", _KOPPELING),
    ("match_key", _KOPPELING),
    ("open_reference", _KOPPELING),
    ("refold", _TENANT),
    ("fold_input", _TENANT),
    ("source_cursor", _SCOPE),
    ("contract", _SCOPE),
    ("alias", "core_id IN (SELECT id FROM v_core)"),
    ("counterpart", "core_id IN (SELECT id FROM v_core) OR other_id IN (SELECT id FROM v_core)"),
    ("identificatie", _OWNER),
    ("contactgegeven", _OWNER),
    ("adres", _OWNER),
    ("groepsdeelname", "groep_id IN (SELECT id FROM v_core)"),
    ("core_salt", "core_id IN (SELECT id FROM v_core)"),
    *((str(entity), _TENANT) for entity in Entity),
    ("herinrichting", _TENANT),
    ("suppression", _TENANT),
    ("suppression_key", _TENANT),
    ("koppeling_state", _KOPPELING),
    ("koppeling_total", _KOPPELING),
    ("schedule_state", _KOPPELING),
    ("plan", _TENANT),
    ("scope", _KOPPELING),
    ("run", _KOPPELING),
    ("koppeling", _TENANT),
)
"""Table → which of its rows are of the tenant, in the order in which they go."""

STAYS: Final = frozenset(
    {
        *("tenant", "audit", "audit_anchor", "key_check", "id_block", "transfer"),
        *("incident", "notification", "known_expiry", "process_heartbeat", "shared_state"),
        *("account", "web_session", "sign_in_attempt"),
    }
)
"""Tables of the installation itself, that hold no data of a school."""

_CONFIGURED: Final = (
    "Neem eerst alle koppelingen, scholen en het bestuur uit de configuratie, start `koppelhub "
    "serve` en de workers opnieuw, en geef deze opdracht dan."
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """What goes, or went.

    Attributes:
        rows: table → how many; only of those that have any.
        dry: nothing was removed.
    """

    tenant: str
    dry: bool
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of it."""
        return not self.rows


def leave(hub: Hub, name: str, *, operator: str, why: str, dry: bool = False) -> Leaving:
    """Remove everything of a tenant, or count it.

    Args:
        hub: the installation.
        name: of the tenant.
        operator: who says so.
        why: for the audit trail.
        dry: only count.

    Raises: ConfigurationError if there is no such tenant, or the configuration names it still;
        RunActiveError if something of it is under way.
    """
    with hub.store.work() as work:
        ((number, _),) = hub.tenants(work, only=name).items()
        if any(tenant.name == name for tenant in hub.settings.tenant):
            message = f"tenant[{name}] stands in the configuration"
            raise ConfigurationError(message, advice=_CONFIGURED)
        with _alone(hub, work, number):
            _gather(work, number)
            found = {table: _count(work, table, rows, number) for table, rows in GOES}
            report = Leaving(name, dry, {table: count for table, count in found.items() if count})
            if dry:
                return report
            with work.transaction():
                for table, rows in GOES:
                    work.execute(f"DELETE FROM {table} WHERE {rows}", _params(rows, number))
                work.execute("UPDATE tenant SET title = '' WHERE id = ?", (number,))
                subject = f"tenant {number}"
                note_within(
                    hub, work, operator=operator, action="tenant leave", subject=subject, why=why
                )
    return report


@contextmanager
def _alone(hub: Hub, work: Work, tenant_id: int) -> Iterator[None]:
    """Hold its koppelingen, its keys, and itself."""
    koppelingen = work.execute("SELECT id FROM koppeling WHERE tenant_id = ?", (tenant_id,))
    names = [f"keys-{tenant_id}", *sorted(f"koppeling-{row[0]}" for row in koppelingen)]
    with ExitStack() as held:
        for name in names:
            held.enter_context(lease(hub.store, name, on=work))
        held.enter_context(tenant_lock(hub.store, tenant_id, on=work))
        yield


def _gather(work: Work, tenant_id: int) -> None:
    """The numbers of what is of the tenant: koppelingen, scopes, runs and core records.

    Of records that are not in the core any more the journal and links tell; a number that another
    tenant has anything of, since it went there, is not among them.
    """
    for name in ("v_koppeling", "v_scope", "v_run", "v_core", "v_other"):
        work.temp_table(name, "id BIGINT PRIMARY KEY")
    work.execute(
        "INSERT INTO v_koppeling SELECT id FROM koppeling WHERE tenant_id = ?", (tenant_id,)
    )
    for table in ("scope", "run"):
        work.execute(f"INSERT INTO v_{table} SELECT id FROM {table} WHERE {_KOPPELING}")
    for target, compared in (("v_core", "="), ("v_other", "<>")):
        parts = [f"SELECT id FROM {entity} WHERE tenant_id {compared} ?" for entity in Entity]
        of_tenant = f"(SELECT id FROM koppeling WHERE tenant_id {compared} ?)"
        parts += [
            f"SELECT core_id FROM link WHERE koppeling_id IN {of_tenant}",
            "SELECT s.core_id FROM step s JOIN plan p ON p.id = s.plan_id "
            f"WHERE p.tenant_id {compared} ?",
        ]
        params = (tenant_id,) * len(parts)
        work.execute(f"INSERT INTO {target} {' UNION '.join(parts)}", params)
    work.execute(
        "INSERT INTO v_core SELECT core_id FROM alias WHERE survivor_id IN (SELECT id FROM v_core) "
        "AND core_id NOT IN (SELECT id FROM v_core)"
    )
    work.execute("DELETE FROM v_core WHERE id IN (SELECT id FROM v_other)")


def _count(work: Work, table: str, rows: str, tenant_id: int) -> int:
    found = work.execute(f"SELECT COUNT(*) FROM {table} WHERE {rows}", _params(rows, tenant_id))
    return int(found[0][0])


def _params(rows: str, tenant_id: int) -> tuple[int, ...]:
    return (tenant_id,) * rows.count("?")
