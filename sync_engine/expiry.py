"""What ends on a day: what the configuration says, and what the hub can see by itself."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from config.clock import zone
from config.sources import Source
from sync_engine.condition import Expiry
from sync_engine.hub import Hub


def of_source(hub: Hub, source: Source) -> tuple[Expiry, ...]:
    """Everything of a koppeling that ends, the first first."""
    where = zone(hub.settings.timezone)
    configured = [
        Expiry(
            str(one.what),
            one.label,
            datetime.combine(one.on + timedelta(days=1), time(), where).astimezone(UTC),
            source.name,
        )
        for one in source.expires
    ]
    return tuple(sorted(configured, key=lambda expiry: expiry.at))
