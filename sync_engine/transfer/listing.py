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
    there = work.execute(  # a koppeling that gets a part has scopes once it has it
        "SELECT k.name FROM koppeling k JOIN tenant t ON t.id = k.tenant_id "
        f"WHERE t.name = ? AND {work.many('k.name')} "
        "AND EXISTS (SELECT 1 FROM scope s WHERE s.koppeling_id = k.id)",
        (told.naar, work.values(list(told.going))),
    )
    if {row[0] for row in there} != set(told.going):
        return ANNOUNCED
    return UNCONFIGURED if behind(hub, told) else DONE


def behind(hub: Hub, told: AnnouncedHerinrichting) -> list[str]:
    """The koppelingen of which the configuration still says what was before.

    They are of the tenant that they leave, or read vestigingen that are another one's.
    """
    parts = {part.koppeling: part.vestigingen for part in told.deel}
    return [
        source.name
        for source in hub.settings.source
        if (source.name in told.going and source.tenant == told.tenant)
        or (source.name in parts and source.includes(parts[source.name]))
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
