"""What people call the systems and the schools of an installation."""

from __future__ import annotations

from functools import cache

from connectors import registry
from sync_engine.hub import Hub
from web.pages.matrix import School


@cache
def _titles() -> dict[str, str]:
    manifests = [factory.manifest for factory in registry.find().installed.values()]
    return {manifest.system: manifest.title.partition(" (")[0] for manifest in manifests}


def title_of(system: str) -> str:
    """A system as people call it; its own name where it is not installed."""
    return _titles().get(system, system)


def schools_of(hub: Hub) -> list[School]:
    """The schools that the actor may see, as configured."""
    return [
        School(school.brin.reveal(), school.name, tenant.title)
        for tenant, school in hub.own_schools()
    ]
