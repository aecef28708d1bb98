"""Obtaining by hand: what is to be run so that a school has its pseudonyms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mappings.canonical.fields import Entity
from sync_engine.hub import Hub
from sync_engine.options import Kind, Options
from sync_engine.pseudonyms import obtaining, some
from sync_engine.resync import Part


def obtain(hub: Hub, school: str, *, keys: Sequence[str] = ()) -> list[Part]:
    """A part for each koppeling of a school that obtains pseudonyms.

    Args:
        hub: the installation.
        school: BRIN or vestigingsnummer.
        keys: only of these leerlingen, by hub key; empty for everybody.

    Raises: ConfigurationError if there is no such school; SyncError if nothing obtains any for it.
    """
    parts: list[Part] = []
    for source in some(obtaining(hub, school), school):
        brins = hub.schools(source.name, [school])
        options, who = Options(brins=brins, by_hand=True), f"iedereen van {school}"
        if keys:
            resources = (str(Entity.LEERLING),)
            options = replace(options, kind=Kind.ONLY, only=tuple(keys), resources=resources)
            who = ", ".join(keys)
        parts.append(Part(source.name, who, options))
    return parts
