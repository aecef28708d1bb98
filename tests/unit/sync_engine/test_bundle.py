"""One record of a source holds a leerling and what is his: while he is in doubt all of it waits."""

from __future__ import annotations

import msgspec

from connectors.base import DeliveryContract, Scope, SourceRecord
from mappings.canonical.fields import Entity
from mappings.canonical.schema import RECORDS
from mappings.mapping import Mapped
from sync_engine.history import explain_record
from tests.support.hubs import Bench
from tests.support.memory import MemoryMapping, Raw
from tests.unit.sync_engine.conftest import Make

ECK, OTHER = (f"https://ketenid.nl/pilot/{digit * 128}" for digit in "ab")
HIS = (Entity.INSCHRIJVING, Entity.ADVIES)


class Bundled(MemoryMapping):
    """A leerling's record also tells his advies and his inschrijving, where it names them."""

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        mapped = super().map(resource, record, contract=contract, scope=scope)
        assert isinstance(record, Raw)
        told = tuple(
            msgspec.convert(
                {"key": record.values[str(entity)], "leerling": record.values["key"]},
                RECORDS[entity],
            )
            for entity in HIS
            if str(entity) in record.values
        )
        return Mapped((*mapped.records, *told))


def school(make: Make) -> Bench:
    """Two pupils, one with an advies."""
    made = make(mappings=(Bundled(),))
    put(made, ECK, advies="a-advies")
    made.sources["s0"].put(Entity.LEERLING, "b", achternaam="Bakker", eck_id=OTHER)
    for number in range(9):
        made.sources["s0"].put(Entity.LEERLING, f"ander{number}", achternaam="Ander")
    made.sync()
    return made


def put(made: Bench, eck_id: str, **his: str) -> None:
    made.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", eck_id=eck_id, **his)


def open_of(made: Bench, entity: Entity) -> list[tuple[object, ...]]:
    """(source key, last day) of what the core has of one entity."""
    return [
        tuple(row)
        for row in made.query(
            f"SELECT l.source_key, c.geldig_tot IS NULL FROM {entity} c "
            "JOIN link l ON l.core_id = c.id ORDER BY l.source_key"
        )
    ]


def test_what_is_his_waits_while_he_is_in_doubt(make: Make) -> None:
    made = school(make)
    made.later()
    put(made, OTHER, inschrijving="a-plaats")  # he has another's number, and no advies any more
    for _ in range(3):
        assert made.sync().applied == {}
        made.later()
    assert made.cases() == [("s0", "leerling", "a", "contradiction")]
    assert open_of(made, Entity.ADVIES) == [("a-advies", True)]
    assert open_of(made, Entity.INSCHRIJVING) == []

    put(made, ECK, inschrijving="a-plaats")
    assert made.sync().applied == {"advies.close": 1, "inschrijving.create": 1}
    assert made.cases() == []
    assert made.sync().applied == {}


def test_what_waits_with_him_says_for_which_case(make: Make) -> None:
    made = school(make)
    put(made, OTHER)
    made.sync()
    (core,) = (row[0] for row in made.query("SELECT id FROM advies"))
    told = explain_record(made.hub, Entity.ADVIES, core, field=None, operator="test")
    assert {(waiting.state, waiting.number) for waiting in told.waiting} == {("disputed", 1)}


def test_others_of_the_same_run_do_not_wait(make: Make) -> None:
    made = school(make)
    put(made, OTHER)
    made.sources["s0"].put(
        Entity.LEERLING, "b", achternaam="Bakker", eck_id=OTHER, advies="b-advies"
    )
    assert made.sync().applied == {"advies.create": 1}
