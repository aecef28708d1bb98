"""Magister → the canonical schema."""

from mappings.magister.mapping import MAPPING

__all__ = ["MAPPING"]
