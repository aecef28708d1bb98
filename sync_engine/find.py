"""Finding a record by what a person has in hand: the hub's own key, or a leerlingnummer."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import ConfigurationError
from connectors import registry
from connectors.base import Capability
from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.hub import Hub
from sync_engine.hubkeys import KEY, MISTYPED, hub_key, key_number, read_hub_key
from sync_engine.mistyped import meant
from sync_engine.store.work import Work

__all__ = ["find_leerlingen", "hub_key", "look_up", "read_hub_key", "source_keys"]

_LEERLING = str(Entity.LEERLING)


def find_leerlingen(hub: Hub, work: Work, text: str) -> list[int]:
    """Core ids of the pupils with this hub key or leerlingnummer, over all koppelingen.

    Raises: SyncError if there is none.
    """
    core_id = key_number(text)
    mine = list(hub.tenants(work))
    if core_id is not None:
        alias = work.execute("SELECT survivor_id FROM alias WHERE core_id = ?", (core_id,))
        found = [alias[0][0] if alias else core_id]
        found = [
            row[0]
            for row in work.execute(
                f"SELECT id FROM leerling WHERE id = ? AND {work.many('tenant_id')}",
                (found[0], work.values(mine)),
            )
        ]
    else:
        found = _by_number(hub, work, text.strip(), mine)
    if not found:
        raise _nobody(hub, work, text)
    return found


def _nobody(hub: Hub, work: Work, text: str) -> SyncError:
    """What to say where nobody has what was typed: the hub keys of who comes near to it."""
    near = meant(hub, work, text)
    if KEY.fullmatch(text.strip()) is not None and key_number(text) is None:
        return SyncError("that key is mistyped", advice=f"{MISTYPED}{near}")
    return SyncError(
        "there is no leerling with that key or leerlingnummer",
        advice="Gebruik de sleutel van de hub (K-...) of het leerlingnummer van de school. Is het "
        "nummer veranderd, zoek hem dan op naam en geboortedatum met --find -." + near,
    )


def _by_number(hub: Hub, work: Work, number: str, tenants: Sequence[int]) -> list[int]:
    found: set[int] = set()
    for koppeling_id, tenant_id in work.execute(
        f"SELECT id, tenant_id FROM koppeling WHERE {work.many('tenant_id')}",
        (work.values(tenants),),
    ):
        index = hub.cipher(tenant_id).index(
            "identificatie/leerlingnummer", str(koppeling_id), number
        )
        found.update(
            row[0]
            for row in work.execute(
                "SELECT eigenaar_id FROM identificatie WHERE blindindex = ?", (index,)
            )
        )
    return sorted(found)


def source_keys(work: Work, core_id: int, *, koppeling_id: int, entity: Entity) -> list[str]:
    """The keys under which one koppeling knows a core record."""
    rows = work.execute(
        "SELECT source_key FROM link WHERE core_id = ? AND koppeling_id = ? AND entity = ? "
        "ORDER BY source_key",
        (core_id, koppeling_id, str(entity)),
    )
    return [row[0] for row in rows]


def look_up(
    hub: Hub, koppeling: str, wanted: Sequence[str], *, resources: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(source keys, resources) to read where a person asks for some records only.

    Args:
        hub: of the koppeling.
        koppeling: its name.
        wanted: hub keys, leerlingnummers or the source's own keys; of other resources than
            leerling the source's own keys only.
        resources: as the source names them; empty for leerling.

    Raises: ConfigurationError if the system has no such resource to choose by itself; SyncError if
        the hub knows a pupil whom this koppeling does not.
    """
    chosen = tuple(resources) or (_pupils(hub, koppeling),)
    if _LEERLING not in chosen:
        return tuple(wanted), chosen
    row = hub.koppeling(koppeling)
    keys: list[str] = []
    with hub.store.work() as work:
        for text in wanted:
            try:
                found = find_leerlingen(hub, work, text)
            except SyncError:
                keys.append(text)  # as the source itself names it
                continue
            known = [
                key
                for core_id in found
                for key in source_keys(work, core_id, koppeling_id=row.id, entity=Entity.LEERLING)
            ]
            if not known and hub.manifest(hub.source(koppeling)).adds:
                known = [hub_key(core_id) for core_id in found]
            if not known:
                raise SyncError(
                    f"{koppeling} does not know this leerling",
                    advice="Zie met `koppelhub explain leerling` welke koppelingen hem kennen.",
                )
            keys += known
    return tuple(dict.fromkeys(keys)), chosen


def _pupils(hub: Hub, koppeling: str) -> str:
    """The resource that holds pupils, where a system calls it so."""
    manifest = registry.factory(hub.settings.find_source(koppeling).system).manifest
    if any(resource.name == _LEERLING for resource in manifest.resources):
        return _LEERLING
    names = [r.name for r in manifest.resources if Capability.LOOKUP in r.capabilities]
    raise ConfigurationError(
        f"{manifest.system} has no resource {_LEERLING!r}",
        advice=f"Noem met --entity wat er opgezocht moet worden: {', '.join(names)}."
        if names
        else "Dit systeem kan geen losse records opzoeken; draai zonder --only.",
    )
