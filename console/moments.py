"""Instants as people read them: by the clock of the schools, to the minute."""

from __future__ import annotations

from datetime import UTC, datetime

from config.clock import AMSTERDAM
from config.clock import zone as zone_of


def moment(value: datetime | str | None, zone: str = AMSTERDAM) -> str:
    """`2026-11-28 05:24`, of what the store and the engine tell; nothing for none.

    Args:
        value: an aware instant, or its text; a text without a zone is UTC, as the store keeps it.
        zone: by whose clock.
    """
    return _local(value, zone, "%Y-%m-%d %H:%M")


def day(value: datetime | str | None, zone: str = AMSTERDAM) -> str:
    """The day of an instant there."""
    return _local(value, zone, "%Y-%m-%d")


def _local(value: datetime | str | None, zone: str, form: str) -> str:
    if not value:
        return ""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.astimezone(zone_of(zone)).strftime(form)
