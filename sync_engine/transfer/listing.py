"""What is announced of koppelingen that go to another tenant, and what was done."""

from __future__ import annotations

import msgspec

from config.herinrichting import AnnouncedHerinrichting
from sync_engine.hub import Hub
from sync_engine.store.work import Work

ANNOUNCED, UNCONFIGURED, DONE = "announced", "unconfigured", "transferred"


def state_of(hub: Hub, work: Work, told: AnnouncedHerinrichting) -> str:
    """Where an announced transfer stands.

    Returns: announced, while a koppeling stands with the tenant that it leaves; unconfigured, where
        all went and the configuration names the old tenant still; transferred.
    """
    names = work.values(list(told.koppelingen))
    left = work.execute(
        "SELECT 1 FROM koppeling k JOIN tenant t ON t.id = k.tenant_id "
        f"WHERE t.name = ? AND {work.many('k.name')} LIMIT 1",
        (told.tenant, names),
    )
    if left or not work.execute(
        f"SELECT 1 FROM koppeling k WHERE {work.many('k.name')} LIMIT 1", (names,)
    ):
        return ANNOUNCED
    return UNCONFIGURED if behind(hub, told) else DONE


def behind(hub: Hub, told: AnnouncedHerinrichting) -> list[str]:
    """The koppelingen that the configuration still names with the tenant that they leave."""
    return [
        source.name
        for source in hub.settings.source
        if source.name in told.koppelingen and source.tenant == told.tenant
    ]


def done(work: Work, tenants: list[int]) -> list[tuple[str, int, str, str, list[str], str, str]]:
    """(name, old tenant, new one's name, day, koppelingen, who, when) of each, by the day."""
    return [
        (name, old, new, str(on), msgspec.json.decode(listed, type=list[str]), operator, str(at))
        for name, old, new, on, listed, operator, at in work.execute(
            "SELECT r.name, r.from_tenant, t.name, r.on_day, r.koppelingen, r.operator, "
            "r.created_at FROM transfer r JOIN tenant t ON t.id = r.to_tenant "
            f"WHERE {work.many('r.from_tenant')} OR {work.many('r.to_tenant')} "
            "ORDER BY r.on_day, r.id",
            (work.values(tenants), work.values(tenants)),
        )
    ]
