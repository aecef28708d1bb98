"""Obtaining by hand: what is to be run so that a school has its pseudonyms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sync_engine.hub import Hub
from sync_engine.options import Options
from sync_engine.pseudonyms import obtaining, some
from sync_engine.resync import Part, adding


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
        if keys:
            part = adding(source, *keys)
            parts.append(replace(part, options=replace(part.options, brins=brins)))
        else:
            options = Options(brins=brins, by_hand=True)
            parts.append(Part(source.name, f"iedereen van {school}", options))
    return parts
