"""What the hub obtained from the number facility → the canonical schema.

The key of a record is the hub key of its person: it adds an ECK iD to him, and makes nobody.
Spec: eckid.md, sections 4 and 9.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from connectors.eckid.records import Leerling, Medewerker, Verkregen
from mappings.canonical.fields import Entity, VerkregenEckId
from mappings.errors import RuleBrokenError
from mappings.table import Row, Table
from mappings.tabular import TabularMapping, itself
from sector.identifiers import EckId

NUMBER: Final = 1
"""Raise it when a function changes what it makes; a change of a table shows by itself."""

NOTES: Final = (
    "A record says nothing of its person but this one ECK iD, and in which chain and sector it "
    "holds. An ECK iD that an administration delivers is another field (`eck_id`).",
    "`van` is the day on which it was obtained. `tot` is the last day on which the person is at "
    "the vestiging; the core has the day after it.",
    "A record without `eck_id` is of somebody whose ECK iD turned out to be of another: it is "
    "taken back.",
    "A record with a question (`vraag`) is set apart: a PGN or e-mail address that is another one "
    "than the ECK iD was obtained with, or a person whom the facility refuses time and again.",
)
"""What was decided and no single row shows; part of the documentation."""


def verkregen(
    eck_id: str | None, keten: str, sector: str, van: date | None, tot: date | None
) -> VerkregenEckId | None:
    """The ECK iD with its chain and sector, from its first day to the day after its last.

    Empty where what was obtained turned out to be of somebody else.
    """
    if eck_id is None:
        return None
    if van is None:
        raise RuleBrokenError("must have a first day")
    end = None if tot is None else tot + timedelta(days=1)
    if end is not None and end < van:
        end = van
    if not keten or not sector:
        raise RuleBrokenError("must be of a chain and a sector")
    return VerkregenEckId(
        waarde=EckId(eck_id), keten=keten, sector=sector, geldig_van=van, geldig_tot=end
    )


def _table(entity: Entity, model: type[Verkregen]) -> Table:
    row = Row("eck_verkregen", ("eck_id", "keten", "sector", "van"), verkregen, beside=("tot",))
    return Table(entity, (row,), model=model, waived=frozenset({"achternaam"}))


MAPPING: Final = TabularMapping(
    "eckid",
    number=NUMBER,
    resources={
        "leerling": (itself(_table(Entity.LEERLING, Leerling)),),
        "medewerker": (itself(_table(Entity.MEDEWERKER, Medewerker)),),
    },
)
