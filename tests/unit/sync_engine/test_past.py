"""A record on a day, and as it was known at an earlier moment; both together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mappings.canonical.fields import Entity
from sync_engine.errors import SyncError
from sync_engine.past import Moment, Past, state_of
from sync_engine.store.engine import Store
from sync_engine.view import store_context
from tests.support.hubs import Bench, bench

ECK = f"https://ketenid.nl/pilot/{'e' * 128}"


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Bench:
    """A pupil: known on 5 October as Jansen in 1A, on 20 October as Janssen in 1B."""
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    groep = {"soort": "stamgroep", "geldig_van": "2026-08-01"}
    source.put(Entity.LEERLING, "l", achternaam="Jansen", eck_id=ECK)
    source.put(Entity.LEERLING, "m", achternaam="Ander")
    source.put(
        Entity.INSCHRIJVING,
        "oud",
        leerling="l",
        leerjaar=1,
        geldig_van="2026-08-01",
        geldig_tot="2026-10-15",
    )
    source.put(Entity.GROEP, "a", naam="1A", leerlingen=["l", "m"], **groep)
    source.put(Entity.GROEP, "b", naam="1B", leerlingen=["m"], **groep)
    made.sync()
    made.clock.set(datetime(2026, 10, 20, 1, tzinfo=UTC))
    source.put(Entity.LEERLING, "l", achternaam="Janssen", eck_id=ECK)
    source.put(Entity.INSCHRIJVING, "nieuw", leerling="l", leerjaar=2, geldig_van="2026-10-15")
    source.put(Entity.GROEP, "a", naam="1A", leerlingen=["m"], **groep)
    source.put(Entity.GROEP, "b", naam="1B", leerlingen=["l", "m"], **groep)
    made.sync()
    return made


def state(made: Bench, on: date | None = None, as_known: date | None = None) -> Moment:
    told = state_of(
        made.hub,
        Entity.LEERLING,
        made.core(Entity.LEERLING, "l"),
        operator="balie",
        on=on,
        as_known=as_known,
    )
    made.close()
    return told


def groepen(told: Moment) -> dict[str, tuple[str, str, bool]]:
    return {m.groep: (m.first, m.last, m.ended) for m in told.groepen}


def leerjaren(told: Moment) -> list[object]:
    return [o.values["leerjaar"] for o in told.others if o.entity == "inschrijving"]


def test_as_known_gives_what_the_hub_knew_then(made: Bench) -> None:
    told = state(made, as_known=date(2026, 10, 5))
    assert told.values["achternaam"] == "Jansen"
    assert groepen(told) == {"1A": ("2026-08-01", "", False)}
    assert leerjaren(told) == [1]
    (placed,) = [o for o in told.others if o.entity == "inschrijving"]
    assert (placed.values["geldig_tot"], "tot_afgeleid" in placed.values) == ("2026-10-15", False)


def test_now_is_what_is_known_by_now(made: Bench) -> None:
    told = state(made)
    assert told.values["achternaam"] == "Janssen"
    assert set(groepen(told)) == {"1A", "1B"}
    assert leerjaren(told) == [1, 2]


def test_on_a_day_gives_what_held_then_as_is_known_now(made: Bench) -> None:
    told = state(made, on=date(2026, 10, 1))
    assert told.values["achternaam"] == "Janssen"
    assert set(groepen(told)) == {"1A"}
    assert leerjaren(told) == [1]
    assert leerjaren(state(made, on=date(2026, 10, 15))) == [2]


def test_both_together_give_what_was_thought_then_of_that_day(made: Bench) -> None:
    then = date(2026, 10, 5)
    assert set(groepen(state(made, on=date(2026, 11, 1), as_known=then))) == {"1A"}
    assert set(groepen(state(made, on=date(2026, 11, 1)))) == {"1B"}


def test_before_it_came_it_was_not_known(made: Bench) -> None:
    told = state(made, as_known=date(2026, 10, 4))
    assert (told.known, told.values, told.groepen) == (False, {}, [])


def test_a_personal_number_is_shown_by_its_end_and_the_look_is_audited(made: Bench) -> None:
    assert state(made, as_known=date(2026, 10, 5)).values["eck_id"] == "…eeee"
    assert made.query("SELECT operator, action FROM audit") == [("balie", "state")]
    made.close()


def test_of_who_was_never_here_nothing_is_told(made: Bench) -> None:
    with pytest.raises(SyncError):
        state_of(made.hub, Entity.LEERLING, 99_999, operator="balie")
    made.close()


def test_a_groep_is_told_with_how_many_leerlingen_it_had(made: Bench) -> None:
    told = state_of(
        made.hub,
        Entity.GROEP,
        made.core(Entity.GROEP, "a"),
        operator="balie",
        as_known=date(2026, 10, 5),
    )
    assert told.values["leerlingen"] == 2
    made.close()


def test_before_a_merge_both_are_known_and_after_it_one(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path, sources=2)
    first, other = made.sources.values()
    first.put(Entity.LEERLING, "l", achternaam="Een", eck_id=ECK)
    other.put(Entity.LEERLING, "x", achternaam="Twee")
    for source, key in ((first, "l"), (other, "x")):
        source.put(Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=[key])
    made.sync("s0")
    made.sync("s1")
    younger, older = made.core(Entity.LEERLING, "x", "s1"), made.core(Entity.LEERLING, "l")
    groep = made.core(Entity.GROEP, "g", "s1")
    before = made.clock.now() + timedelta(seconds=1)
    with store_context(made.hub, 1) as context:
        stood = Past(context, None).state(Entity.GROEP, groep)
    made.later()
    other.put(Entity.LEERLING, "x", achternaam="Twee", eck_id=ECK)
    made.sync("s1")
    assert made.core(Entity.LEERLING, "x", "s1") == older != younger
    with store_context(made.hub, 1) as context:
        then, now = Past(context, before), Past(context, made.clock.now() + timedelta(seconds=1))
        assert then.state(Entity.LEERLING, younger) is not None
        rebuilt = then.state(Entity.GROEP, groep) or {}
        assert {k: v for k, v in rebuilt.items() if v is not None} == {
            k: v for k, v in (stood or {}).items() if v is not None
        }
        after = now.state(Entity.GROEP, groep) or {}
        members = {key for key in after if key.startswith("groepsdeelname/")}
        assert members == {f"groepsdeelname/leerling/{older}"}
    made.close()
