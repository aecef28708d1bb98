"""Geslacht as the register writes it; a mapping turns every other spelling into it."""

from __future__ import annotations

from enum import StrEnum


class Geslacht(StrEnum):
    """M, V or O (`vastgesteld onbekend`).

    Spec: rod.md, section on code tables (CONFIRMED for the files). Other standards number them,
    and not all alike (OSO: 1 is female; UWLR: 1 is male): that stays in their mappings.
    """

    MAN = "M"
    VROUW = "V"
    ONBEKEND = "O"
