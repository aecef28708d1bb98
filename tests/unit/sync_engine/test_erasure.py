"""Erasure: one person goes for good, and no source brings him back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.erasure import acts as erasures
from sync_engine.erasure.listing import list_path, read_list
from sync_engine.erasure.telling import ErasureReport
from sync_engine.errors import ErasureRefusedError, RunActiveError
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from tests.support.hubs import Bench, bench
from tests.support.keeping import keeping
from tests.support.readable import readable
from tests.unit.sync_engine.conftest import Make

ECK = "https://ketenid.nl/pilot/"
CANARY = "Wisselingk"
CANARY_KEY = "lkanarie77"


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two sources on each of the two databases."""
    one = bench(store, tmp_path, sources=2)
    yield one
    one.close()


@pytest.fixture
def made(make: Make) -> Bench:
    """Two sources on SQLite."""
    return make(2)


def pupil(number: int, **values: Any) -> dict[str, Any]:
    return {
        "achternaam": f"Leerling{number}",
        "geboortedatum": f"2012-03-{number + 1:02}",
        "bsn": synthetic_bsn(number + 1),
        "leerlingnummer": str(100 + number),
        **values,
    }


def school(made: Bench, name: str = "s0") -> None:
    """The canary and a sister, who share a guardian; he has one of his own; and a third pupil."""
    source = made.sources[name]
    source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    source.put(Entity.MEDEWERKER, "m", achternaam="Mentor", personeelsnummer="P1")
    hers = pupil(0, achternaam=CANARY, roepnaam=CANARY, email=f"{CANARY}@thuis.example")
    source.put(Entity.LEERLING, CANARY_KEY, **hers)
    source.put(Entity.LEERLING, "zus", **pupil(1))
    source.put(Entity.LEERLING, "ander", **pupil(2))
    for key in (CANARY_KEY, "zus", "ander"):
        source.put(Entity.INSCHRIJVING, f"i{key}", leerling=key, vestiging="v", mentor="m")
        source.put(Entity.TOETSRESULTAAT, f"t{key}", leerling=key, resultaat="8", omschrijving=key)
    source.put(Entity.VERZORGER, "samen", achternaam="Samen")
    source.put(Entity.VERZORGER, f"eigen{CANARY_KEY}", achternaam=f"Ouder{CANARY}")
    source.put(Entity.VERZORGER_RELATIE, "r1", verzorger="samen", leerling=CANARY_KEY)
    source.put(Entity.VERZORGER_RELATIE, "r2", verzorger="samen", leerling="zus")
    own = {"verzorger": f"eigen{CANARY_KEY}", "leerling": CANARY_KEY}
    source.put(Entity.VERZORGER_RELATIE, "r3", **own)
    groep(made, CANARY_KEY, "zus", "ander", name=name)


def groep(made: Bench, *members: str, name: str = "s0") -> None:
    told: dict[str, Any] = {
        "naam": "1A",
        "soort": "stamgroep",
        "schooljaar": "2026/2027",
        "vestiging": "v",
    }
    told |= {"schooljaar": "2026/2027", "docenten": ["m"]}
    made.sources[name].put(Entity.GROEP, "g", **told, leerlingen=list(members))


def erased(
    made: Bench, core_id: int, entity: Entity = Entity.LEERLING, /, **options: Any
) -> ErasureReport:
    wanted = {"operator": "test", "why": "verzoek", "despite_retention": True, **options}
    return erasures.erase(made.hub, entity, core_id, **wanted)


def traces(made: Bench, *texts: str) -> list[str]:
    """Where any of these texts stands in the database: on SQLite in its files, byte by byte."""
    path = made.hub.store.path
    found = []
    if path is not None:
        made.close()
        for name in (path.name, f"{path.name}-wal", f"{path.name}-journal"):
            file = path.with_name(name)
            body = file.read_bytes() if file.is_file() else b""
            found += [name for text in texts if text.encode() in body]
        return found
    told = made.dump(without=frozenset())
    told["pg_stats"] = made.query("SELECT tablename, attname, s::text FROM pg_stats s")
    for name, rows in told.items():
        body = repr(rows).encode()
        found += [name for text in texts if text.encode() in body]
    return found


def test_a_person_goes_with_all_that_is_his_and_does_not_come_back(both: Bench) -> None:
    made = both
    school(made)
    made.settle("s0", rounds=2)
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    pin: Any = {"entity": Entity.LEERLING, "reason": "test", "operator": "test"}
    pins.pin(made.hub, core_id, field="roepnaam", value=f"Pin{CANARY}", **pin)
    made.sync("s0")
    keeping(made).fill(core_id)
    assert made.query("SELECT 1 FROM leerling WHERE achternaam = ?", CANARY)
    made.query("ANALYZE")
    assert traces(made, CANARY, CANARY_KEY)
    assert readable(made, CANARY)
    before = made.dump(without=frozenset({"audit", "audit_anchor"}))
    seen = erased(made, core_id, dry=True)
    assert made.dump(without=frozenset({"audit", "audit_anchor"})) == before
    done = erased(made, core_id)
    assert (
        seen.records
        == done.records
        == {
            "inschrijving": 1,
            "leerling": 1,
            "toetsresultaat": 1,
            "verzorger": 1,
            "verzorger_relatie": 2,
        }
    )
    assert (seen.rows, seen.dry, done.dry) == (done.rows, True, False)
    assert (len(done.along), len(done.stay), done.sources) == (1, 1, ["s0"])
    assert (done.batches, done.rows["vault"], done.rows["batch_person"]) == (1, 1, 1)
    assert not made.query("SELECT 1 FROM exchange UNION ALL SELECT 1 FROM batch_person")
    assert traces(made, CANARY, CANARY_KEY) == []
    assert readable(made, CANARY) == []
    assert not made.query("SELECT 1 FROM step WHERE core_id = ? AND salt IS NOT NULL", core_id)
    assert made.query("SELECT 1 FROM step WHERE core_id = ?", core_id)

    reports = [made.sync("s0"), made.sync("s0", kind=Kind.DELTA)]
    reports.append(made.sync("s0", kind=Kind.ONLY, only=(CANARY_KEY,)))
    made.later()
    reports.append(made.sync("s0"))
    assert [report.outcome for report in reports] == ["done"] * 4
    assert not any(report.unresolved or report.waiting for report in reports)
    assert [report.suppressed > 0 for report in reports] == [True, False, True, True]
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    assert made.query("SELECT COUNT(*) FROM verzorger") == [(1,)]
    assert made.query("SELECT COUNT(*) FROM groepsdeelname WHERE rol = 'leerling'") == [(2,)]
    assert traces(made, CANARY, CANARY_KEY) == []
    assert readable(made, CANARY) == []
    assert made.query("SELECT operator, subject FROM audit WHERE action = 'erase'")


def test_he_is_recognised_by_his_numbers_under_another_key_and_in_another_source(
    made: Bench,
) -> None:
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    source, other = made.sources["s0"], made.sources["s1"]
    source.remove(Entity.LEERLING, CANARY_KEY)
    same = pupil(0, bsn=None, achternaam=CANARY)  # leerlingnummer and birth date
    source.put(Entity.LEERLING, "nieuw", **same)
    source.put(Entity.INSCHRIJVING, "inieuw", leerling="nieuw", vestiging="v")
    other.put(Entity.LEERLING, "elders", **pupil(0, achternaam=CANARY, leerlingnummer="900"))
    for name in ("s0", "s1"):
        report = made.sync(name)
        assert (report.outcome, report.waiting, report.suppressed > 0) == ("done", 0, True)
    assert made.query("SELECT COUNT(*) FROM leerling WHERE achternaam = ?", CANARY) == [(0,)]
    assert traces(made, CANARY, "inieuw", "elders") == []


def test_a_number_that_the_school_gives_again_is_another_pupil(made: Bench) -> None:
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "brugklas", **pupil(7, leerlingnummer="100"))
    assert made.sync("s0").applied == {"leerling.create": 1}


def test_of_another_source_the_number_alone_says_nothing(made: Bench) -> None:
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    twin = pupil(0, bsn=None, achternaam="Ander")
    made.sources["s1"].put(Entity.LEERLING, "elders", **twin)
    assert made.sync("s1").applied == {"leerling.create": 1}


def test_what_refers_to_him_and_comes_before_he_is_known_goes_too(made: Bench) -> None:
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    other = made.sources["s1"]
    other.put(Entity.TOETSRESULTAAT, f"vroeg{CANARY_KEY}", leerling="elders", resultaat="9")
    report = made.sync("s1", resources=("toetsresultaat",))
    assert report.waiting == 1
    other.put(Entity.LEERLING, "elders", **pupil(0))
    report = made.sync("s1")
    assert (report.waiting, report.suppressed) == (0, 1)
    assert not made.query("SELECT 1 FROM shadow WHERE source_key = ?", f"vroeg{CANARY_KEY}")
    assert not made.query("SELECT 1 FROM open_reference WHERE target_key = 'elders'")


def test_a_guardian_comes_back_with_another_child(made: Bench) -> None:
    school(made)
    made.sync("s0")
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    made.sync("s0")
    assert made.query("SELECT COUNT(*) FROM verzorger") == [(1,)]
    guardian = f"eigen{CANARY_KEY}"
    made.sources["s0"].put(Entity.VERZORGER_RELATIE, "r9", verzorger=guardian, leerling="ander")
    made.settle("s0", rounds=2)
    assert made.query("SELECT COUNT(*) FROM verzorger") == [(2,)]
    assert made.query("SELECT COUNT(*) FROM verzorger_relatie") == [(2,)]
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]


def test_lifted_he_comes_back_whole_as_a_new_record(made: Bench) -> None:
    school(made)
    made.sync("s0")
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    done = erased(made, core_id)
    made.settle("s0", rounds=2)
    (one,) = erasures.list_erasures(made.hub)
    assert (one.number, one.key, one.reason) == (done.number, done.key, "verzoek")
    erasures.lift(made.hub, one.number, operator="test", why="vergissing")
    assert erasures.list_erasures(made.hub) == []
    assert erasures.list_erasures(made.hub, lifted=True)[0].lifted_why == "vergissing"
    with pytest.raises(ErasureRefusedError):
        erasures.lift(made.hub, one.number, operator="test", why="nog eens")
    made.settle("s0", rounds=2)
    again = made.core(Entity.LEERLING, CANARY_KEY)
    assert again != core_id
    assert made.query(
        "SELECT COUNT(*) FROM groepsdeelname WHERE persoon_id = ? AND NOT beeindigd", again
    ) == [(1,)]
    assert made.query("SELECT COUNT(*) FROM verzorger_relatie WHERE leerling_id = ?", again) == [
        (2,)
    ]
    assert made.query("SELECT COUNT(*) FROM toetsresultaat WHERE leerling_id = ?", again) == [(1,)]
    assert not any(report.unresolved for report in made.reports[-1:])


def test_a_medewerker_leaves_groepen_and_inschrijvingen_until_that_is_lifted(both: Bench) -> None:
    made = both
    school(made)
    made.sync("s0")
    core_id = made.core(Entity.MEDEWERKER, "m")
    done = erased(made, core_id, Entity.MEDEWERKER)
    assert (done.records, done.cleared) == ({"medewerker": 1}, {"inschrijving.mentor": 3})
    report = made.sync("s0")
    assert (report.unresolved, report.withheld > 0, report.applied) == (0, True, {})
    assert made.query("SELECT COUNT(*) FROM inschrijving WHERE mentor_id IS NOT NULL") == [(0,)]
    assert not made.query("SELECT 1 FROM groepsdeelname WHERE rol = 'docent'")
    assert made.query("SELECT 1 FROM open_reference WHERE target_key = 'm'") == []
    assert done.number is not None
    erasures.lift(made.hub, done.number, operator="test", why="vergissing")
    made.sync("s0")
    assert made.query("SELECT COUNT(*) FROM inschrijving WHERE mentor_id IS NOT NULL") == [(3,)]


def test_who_must_be_kept_is_refused_with_the_way_out(made: Bench) -> None:
    school(made)
    made.sync("s0")
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    with pytest.raises(ErasureRefusedError, match="may have to keep") as caught:
        erased(made, core_id, despite_retention=False)
    assert "--despite-retention" in caught.value.advice
    assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]
    assert not list_path(made.hub.settings.keys.file).exists()


def test_nothing_is_erased_while_a_source_is_read(made: Bench) -> None:
    school(made)
    made.sync("s0")
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    ((number,),) = made.query("SELECT id FROM koppeling WHERE name = 's1'")
    with lease(made.hub.store, f"koppeling-{number}"), pytest.raises(RunActiveError) as caught:
        erased(made, core_id)
    assert "s1" in caught.value.advice


def test_the_list_has_no_word_of_him_and_erases_him_again_after_a_restore(made: Bench) -> None:
    school(made)
    made.sync("s0")
    core_id = made.core(Entity.LEERLING, CANARY_KEY)
    done = erased(made, core_id)
    path = list_path(made.hub.settings.keys.file)
    body = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert CANARY.encode() not in body
    assert CANARY_KEY.encode() not in body
    assert done.key.encode() in body
    # a backup of before: he is there again, and no suppression is
    with made.hub.store.work() as work, work.transaction():
        work.execute("DELETE FROM suppression")
    path.rename(path.with_name("away"))
    made.sync("s0")
    assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]
    path.with_name("away").rename(path)
    report = made.sync("s0")
    assert report.suppressed > 0
    assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]
    assert made.query("SELECT COUNT(*) FROM verzorger") == [(1,)]
    assert traces(made, CANARY, CANARY_KEY) == []


def test_a_line_that_was_broken_off_is_none(made: Bench) -> None:
    school(made)
    made.sync("s0")
    path = list_path(made.hub.settings.keys.file)
    path.write_bytes(b'{"erasure":"half')
    assert not read_list(path).erased
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    assert len(read_list(path).erased) == 1
    assert all(msgspec.json.decode(line) for line in path.read_bytes().splitlines())


def test_who_is_in_quarantine_or_disputed_is_not_there_either(made: Bench) -> None:
    school(made)
    made.sync("s0")
    source = made.sources["s0"]
    source.put(Entity.LEERLING, CANARY_KEY, **pupil(0, achternaam=CANARY), kapot=True)
    source.put(Entity.LEERLING, f"{CANARY_KEY}b", **pupil(0, achternaam=CANARY), kapot=True)
    made.sync("s0")
    assert made.query("SELECT COUNT(*) FROM quarantine") == [(2,)]
    erased(made, made.core(Entity.LEERLING, CANARY_KEY))
    assert traces(made, CANARY, CANARY_KEY) == []
    report = made.sync("s0")
    assert (report.quarantine, report.outcome) == (0, "done")
    assert traces(made, CANARY, CANARY_KEY) == []
