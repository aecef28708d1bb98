"""What the tracking application's records mean: its fields are the canonical ones already.

References are the application's own keys. Periods are half-open. Values are brought into the
spelling of the canonical schema (telephone numbers, postcodes) as those of every source.
"""

from __future__ import annotations

from typing import Final

from mappings.canonical.fields import Entity
from mappings.table import same_names
from mappings.tabular import TabularMapping, itself

NUMBER: Final = 1
"""Raised when the same record is to mean something else: everything is then mapped anew."""

MAPPING: Final = TabularMapping(
    "kern",
    number=NUMBER,
    resources={str(entity): (itself(same_names(entity)),) for entity in Entity},
)
