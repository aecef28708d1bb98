"""Which koppelingen of a tenant are targets: their connector delivers, and a mapping says what.

A resource that is `optional` is delivered only where the configuration of the koppeling names it,
as it is read only there.
"""

from __future__ import annotations

import logging

from config.errors import ConfigurationError
from config.sources import Source
from connectors.base import Capability
from mappings.outward import Outward
from sync_engine.context import Target
from sync_engine.hub import Hub
from sync_engine.store.work import Work

_log = logging.getLogger(__name__)


def targets_of(hub: Hub, tenant_id: int) -> tuple[Target, ...]:
    """The targets of a tenant, in the order of the configuration.

    Raises: ConfigurationError where a mapping or connector of one cannot be used.
    """
    found = (_target(hub, source) for source in _sources(hub, tenant_id))
    return tuple(target for target in found if target is not None)


def usable_targets(hub: Hub, tenant_id: int, work: Work) -> tuple[Target, ...]:
    """As `targets_of`, for a run of another koppeling, that one broken target does not stop.

    What changes is not marked for that one: as soon as it can be used, everything is looked at.
    """
    found = []
    for source in _sources(hub, tenant_id):
        try:
            target = _target(hub, source)
        except ConfigurationError as error:
            _log.error("%s: nothing is made for it: %s", source.name, error)
            work.execute("UPDATE koppeling SET outward = '' WHERE name = ?", (source.name,))
            continue
        if target is not None:
            found.append(target)
    return tuple(found)


def every_target(hub: Hub) -> tuple[Target, ...]:
    """The usable targets of all tenants that the actor may act for."""
    with hub.store.work() as work:
        return tuple(
            target
            for tenant_id in hub.tenants(work)
            for target in usable_targets(hub, tenant_id, work)
        )


def _sources(hub: Hub, tenant_id: int) -> list[Source]:
    """The koppelingen of a tenant whose system has anything to be delivered."""
    names = set(hub.koppelingen(tenant_id).values())
    return [s for s in hub.settings.source if s.name in names and may_deliver(hub, s)]


def may_deliver(hub: Hub, source: Source) -> bool:
    """Whether anything is delivered to a koppeling, as far as its connector need not say."""
    try:
        outward = hub.find_outward(source.system)
    except ConfigurationError:
        return True  # it has a mapping, that cannot be used: that is told where it is needed
    return outward is not None and _is_chosen(outward, source)


def _is_chosen(outward: Outward, source: Source) -> bool:
    """Whether the configuration names what is delivered, or leaves it to the connector."""
    return not source.resources or outward.resource in source.resources


def _target(hub: Hub, source: Source) -> Target | None:
    outward = hub.find_outward(source.system)
    if outward is None or not _is_chosen(outward, source):
        return None
    resource = hub.manifest(source).resource(outward.resource)
    chosen = not resource.optional or resource.name in source.resources
    if not chosen or Capability.DELIVER not in resource.capabilities:
        return None
    return Target(hub.koppeling(source.name), outward, Capability.CONFIRM in resource.capabilities)
