"""One moment of the store, for who only reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from config.clock import local_date
from connectors.base import DeliveryContract, Scope, SourceRecord
from mappings.canonical.fields import Entity
from mappings.mapping import DescribedRow, Mapped, Strength
from sync_engine.context import Context, Ids, KoppelingRow
from sync_engine.hub import Hub
from sync_engine.received import prepare
from sync_engine.scopes import load_scopes
from sync_engine.store.work import Work


class Unmapped:
    """The mapping of a context that only reads the store: there is nothing to map."""

    system = ""
    version = ""
    strengths: Mapping[Entity, Mapping[str, Strength]] = MappingProxyType({})

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        """Nothing is read, so nothing is mapped."""
        message = "this context reads the store only"
        raise RuntimeError(message)

    def describe(self) -> Sequence[DescribedRow]:
        """It has no rows."""
        return ()


@contextmanager
def store_context(
    hub: Hub, tenant_id: int, *, koppeling: KoppelingRow | None = None
) -> Iterator[Context]:
    """A context to read one moment of the store in: no source, and a koppeling only to look from.

    What was read by a koppeling that is configured no more is explained like the rest; its fields
    count with normal strength, as they do in a run.
    """
    with hub.store.work() as work:
        context = reading_context(hub, work, tenant_id, koppeling=koppeling)
        with work.snapshot():
            load_scopes(context)
            yield context


def reading_context(
    hub: Hub, work: Work, tenant_id: int, *, koppeling: KoppelingRow | None = None
) -> Context:
    """The same on a connection that is there already; its scopes are still to be loaded."""
    now = hub.clock.now()
    context = Context(
        work=work,
        cipher=hub.cipher(tenant_id),
        koppeling=koppeling or KoppelingRow(0, "", "", tenant_id),
        koppelingen=hub.koppelingen(tenant_id),
        run_id=0,
        now=now,
        today=local_date(now, hub.settings.timezone),
        reader=None,
        mapping=Unmapped(),
        mappings=hub.mappings(tenant_id),
        policy=hub.settings.policy,
        dry=False,
        ids=Ids(work, dry=True),
        step_ids=Ids(work, dry=True),
    )
    prepare(context)
    return context
