"""Somtoday Connect 14.10 → the canonical schema."""

from mappings.somtoday.mapping import MAPPING

__all__ = ["MAPPING"]
