"""What the records of the Referentiebron mean.

Its fields have the canonical names and meanings already, so one line per entity is all: a table of
rows `same field → same field`. A source with names of its own writes the rows out; see
`mappings/table.py` of the hub. `koppelhub mapping try` shows what it makes of one record.
"""

from __future__ import annotations

from typing import Final

from koppelhub_referentie.records import MODELS
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.table import Table, same_names
from mappings.tabular import TabularMapping, itself

NUMBER: Final = 1
"""Raise it when the same record is to mean something else: everything is then mapped anew."""


def _table(name: str) -> Table:
    """Every canonical field that the source has, as it stands."""
    entity = Entity(name)
    unknown = fields_of(entity).keys() - MODELS[name].model_fields.keys()
    return same_names(entity, leave_out=frozenset(unknown))


MAPPING: Final = TabularMapping(
    "referentie", number=NUMBER, resources={name: (itself(_table(name)),) for name in MODELS}
)
