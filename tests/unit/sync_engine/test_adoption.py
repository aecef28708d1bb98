"""Adoption: what stood there keeps its id and its rows; a new source links instead of doubling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import ConfigurationError
from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.adoption import AdoptionReport, adopt
from sync_engine.adoption_file import Lines
from sync_engine.decisions import koppeling_of_act
from sync_engine.errors import SyncError
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.outcome import RunReport
from sync_engine.store.engine import Store
from tests.property.stores import DoomedStore, Killed
from tests.support.kern import KERN, PGN, TOKEN, TOKEN_NAME, KernBench, closing_bench, kern_bench
from tests.support.legacy import core_rows, lines, stand
from tests.support.memory import MemorySource

BORN = "2012-04-05"
L = Entity.LEERLING


@pytest.fixture
def kern(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernBench]:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    sources = {"s0": MemorySource(tuple(Entity))}
    with closing_bench(kern_bench(store, tmp_path, sources=sources)) as made:
        yield made


def adopted(
    kern: KernBench, *, file: Lines | None = None, numbers_of: str = "s0", dry: bool = False
) -> AdoptionReport:
    report = adopt(
        kern.bench.hub,
        KERN,
        ["99XX"],
        operator="tester",
        numbers_of=numbers_of,
        lines=file,
        dry=dry,
    )
    assert report.run is not None
    assert report.run.error == ""
    return report


def school(kern: KernBench) -> None:
    """A small school, with something in every kind of table."""
    made = kern.bench
    stand(made, Entity.VESTIGING, 1, naam="Noord", vestigingsnummer="99XX00")
    stand(made, Entity.VAK, 2, naam="Wiskunde", afkorting="wi", vestiging_id=1)
    stand(made, Entity.MEDEWERKER, 3, achternaam="Docentius", is_docent=True, hoofdvestiging_id=1)
    stand(made, L, 4, achternaam="Voorbeeld", roepnaam="Jip", geboortedatum=BORN,
          email="jip@voorbeeld.example", postcode="1234 ab")  # fmt: skip
    stand(made, L, 5, achternaam="Proef", roepnaam="Bo", geboortedatum="2011-01-01",
          geldig_van="2024-08-01", mobiel="06-00 000 000")  # fmt: skip
    stand(made, Entity.VERZORGER, 6, achternaam="Voorbeeld", email="ouder@voorbeeld.example")
    stand(made, Entity.GROEP, 7, naam="1a", soort="stamgroep", schooljaar="2026/2027",
          vestiging_id=1, geldig_van="2026-08-01", geldig_tot="2027-08-01")  # fmt: skip
    stand(made, Entity.INSCHRIJVING, 8, leerling_id=4, vestiging_id=1, stamgroep_id=7, mentor_id=3,
          geldig_van="2025-08-01")  # fmt: skip
    stand(made, Entity.VERZORGER_RELATIE, 9, verzorger_id=6, leerling_id=4, ouderlijk_gezag=True)
    made.query(
        "INSERT INTO groepsdeelname (groep_id, rol, persoon_id, geldig_van, geldig_tot, "
        "tot_afgeleid, beeindigd, run_id) VALUES "
        "(7, 'leerling', 4, '2026-08-01', '2027-08-01', false, false, 0)"
    )


def deliver(kern: KernBench, key: str, /, **fields: Any) -> None:
    """A pupil of the source, which never delivers where he was born."""
    source = kern.bench.sources["s0"]
    source.fields["leerling"] = frozenset(fields_of(L)) - {"geboorteplaats"}
    source.put(L, key, **fields)


def number(core_id: int, text: str) -> dict[str, Any]:
    return {"entity": "leerling", "id": core_id, "leerlingnummer": text}


def cores(kern: KernBench) -> list[int]:
    return [row[0] for row in kern.bench.query("SELECT id FROM leerling ORDER BY id")]


def reasons(report: AdoptionReport) -> list[str]:
    return sorted(doubt.reason for doubt in report.doubts)


# -- what stands there -----------------------------------------------------------------------------


def test_an_adoption_of_rows_alone_changes_no_row(kern: KernBench) -> None:
    school(kern)
    before = core_rows(kern.bench)
    report = adopted(kern)
    assert report.run is not None
    assert report.run.steps == {}
    assert core_rows(kern.bench) == before
    assert sum(report.adopted.values()) == 9
    assert (report.made, report.linked) == ({}, {})


def test_every_adopted_record_is_accepted_under_its_own_id(kern: KernBench) -> None:
    school(kern)
    adopted(kern)
    assert kern.bench.query("SELECT COUNT(*) FROM shadow WHERE pending") == [(0,)]
    links = kern.bench.query("SELECT source_key, core_id, rule FROM link")
    assert len(links) == 9
    assert all((key, rule) == (str(core), "adopted") for key, core, rule in links)


def test_a_preview_shows_the_adoption_and_writes_nothing(kern: KernBench) -> None:
    school(kern)
    kern.bench.hub.cipher(1)  # a tenant's first key is made by whatever comes first
    before = kern.bench.dump()
    preview = adopted(kern, dry=True, file=lines(number(4, "12"), number(99, "13")))
    assert kern.bench.dump() == before
    done = adopted(kern, file=lines(number(4, "12"), number(99, "13")))
    assert preview.adopted == done.adopted
    assert preview.doubts == done.doubts
    assert preview.run is not None
    assert done.run is not None
    assert preview.run.steps == done.run.steps


def test_runs_after_an_adoption_change_nothing(kern: KernBench) -> None:
    school(kern)
    adopted(kern)
    before = core_rows(kern.bench)
    for _ in range(3):
        kern.bench.later()
        kern.bench.sync(KERN)
        kern.bench.sync("s0")
    assert core_rows(kern.bench) == before


@pytest.mark.parametrize("kind", [Kind.REPLAY, Kind.DELTA, Kind.FULL])
def test_no_kind_of_run_asks_again_for_what_was_adopted(kern: KernBench, kind: Kind) -> None:
    school(kern)
    adopted(kern)
    before = core_rows(kern.bench)
    report = kern.bench.sync(KERN, kind=kind)
    assert (report.error, report.steps) == ("", {})
    assert core_rows(kern.bench) == before
    assert kern.bench.query("SELECT COUNT(*) FROM source_record WHERE gone") == [(0,)]


def test_what_no_claim_can_say_stays_as_it_is_and_keeps_its_id(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Voorbeeld", geboortedatum=BORN)
    kern.bench.query(
        "INSERT INTO contactgegeven (eigenaar_id, soort, waarde, geheim, run_id) "
        "VALUES (4, 'fax', '020', false, 0)"
    )
    before = core_rows(kern.bench)
    report = adopted(kern, file=lines(number(4, "12")))
    assert core_rows(kern.bench) == before
    assert (report.linked, report.adopted) == ({"leerling": 1}, {})
    assert reasons(report) == ["blijft zoals het is; past in geen claim: contactgegeven/fax"]
    deliver(kern, "u4", achternaam="Voorbeeld", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    assert (cores(kern), kern.bench.core(L, "u4")) == ([4], 4)


def test_a_reference_to_what_is_not_there_is_told_and_left(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Voorbeeld", geboortedatum=BORN)
    stand(kern.bench, Entity.INSCHRIJVING, 8, leerling_id=4, mentor_id=999)
    report = adopted(kern)
    assert reasons(report) == ["blijft zoals het is; past in geen claim: mentor_id"]
    assert kern.bench.query("SELECT mentor_id FROM inschrijving") == [(999,)]


def test_the_period_of_a_row_stands_until_a_source_speaks(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Oud", geboortedatum=BORN, geldig_van="2020-08-01",
          geldig_tot="2025-08-01", tot_afgeleid=True)  # fmt: skip
    adopted(kern, file=lines(number(4, "12")))
    period = "SELECT geldig_van, geldig_tot, tot_afgeleid FROM leerling"
    assert kern.bench.query(period) == [("2020-08-01", "2025-08-01", 1)]
    deliver(kern, "u4", achternaam="Terug", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    assert kern.bench.query(period) == [("2020-08-01", None, 0)]


def test_two_records_with_one_id_are_told_and_not_adopted(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Voorbeeld", geboortedatum=BORN)
    stand(kern.bench, Entity.VERZORGER, 4, achternaam="Voorbeeld")
    report = adopted(kern)
    assert report.is_empty
    assert reasons(report) == [
        "een leerling heeft hetzelfde id",
        "een verzorger heeft hetzelfde id",
    ]


def test_only_the_records_of_the_named_school_are_adopted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(store, tmp_path)) as kern:
        made = kern.bench
        stand(made, Entity.VESTIGING, 1, naam="Noord", vestigingsnummer="99XX00")
        stand(made, Entity.VESTIGING, 2, naam="Zuid", brins='["99XX01"]')
        for pupil, vestiging in ((10, 1), (11, 2)):
            stand(made, L, pupil, achternaam="A", geboortedatum=f"2012-01-{pupil}")
            stand(made, Entity.INSCHRIJVING, pupil + 10, leerling_id=pupil, vestiging_id=vestiging)
        stand(made, L, 12, achternaam="Zonder", geboortedatum=BORN)
        report = adopt(made.hub, KERN, ["99XX01"], operator="tester")
        assert report.adopted == {"vestiging": 1, "leerling": 1, "inschrijving": 1}
        assert report.placeless == 1
        keys = made.query("SELECT source_key FROM link WHERE entity = 'leerling'")
        assert keys == [("11",)]


def test_a_second_adoption_takes_only_what_is_left(kern: KernBench) -> None:
    school(kern)
    adopted(kern)
    stand(kern.bench, L, 20, achternaam="Later", geboortedatum=BORN)
    assert adopted(kern).adopted == {"leerling": 1}
    assert adopted(kern).is_empty


# -- new sources -----------------------------------------------------------------------------------


def test_the_number_of_that_koppeling_and_the_birth_date_link(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Vorbeld", geboorteplaats="Zwolle", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "0012")))
    deliver(kern, "u4", achternaam="Voorbeeld", geboortedatum=BORN, leerlingnummer="12")
    report = kern.bench.sync("s0")
    assert report.situations == {"unlinked": 1}
    assert (cores(kern), kern.bench.core(L, "u4")) == ([4], 4)
    names = kern.bench.query("SELECT achternaam, geboorteplaats FROM leerling")
    assert names == [("Voorbeeld", "Zwolle")]


def test_numbers_of_the_application_itself_link_no_other_koppeling(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Voorbeeld", roepnaam="Jip", geboortedatum=BORN)
    adopted(kern, numbers_of="", file=lines(number(4, "12")))
    deliver(kern, "u4", achternaam="Anders", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    assert len(cores(kern)) == 2


@pytest.mark.parametrize(
    ("row", "record"),
    [
        ({"geboortedatum": None}, {}),
        ({"geboortedatum": "2012-05-04"}, {}),
        ({"geboortedatum": None}, {"leerlingnummer": None}),
        ({"achternaam": "van Voorbeeld"}, {"leerlingnummer": None, "voorvoegsel": "van"}),
        ({"achternaam": "Voorbeelt"}, {"leerlingnummer": None}),
        ({}, {"leerlingnummer": None, "geboortedatum": None}),
    ],
    ids=["no date", "other date", "no date or number", "tussenvoegsel", "typing error", "dateless"],
)
def test_an_ordinary_error_is_a_case_and_never_a_second_record(
    kern: KernBench, row: dict[str, Any], record: dict[str, Any]
) -> None:
    names = {"achternaam": "Voorbeeld", "roepnaam": "Jip"}
    stand(kern.bench, L, 4, **{**names, "geboortedatum": BORN} | row)
    adopted(kern, file=lines(number(4, "12")))
    told = {**names, "geboortedatum": BORN, "leerlingnummer": "12"} | record
    deliver(kern, "u4", **{name: value for name, value in told.items() if value is not None})
    kern.bench.sync("s0")
    assert cores(kern) == [4]
    assert kern.bench.cases() == [("s0", "leerling", "u4", "score")]


def test_two_rows_for_one_child_are_told_and_stay_two_until_a_person_says(
    kern: KernBench,
) -> None:
    for core_id in (4, 5):
        stand(kern.bench, L, core_id, achternaam="Voorbeeld", roepnaam="J", geboortedatum=BORN)
    report = adopted(kern, file=lines(number(4, "12"), number(5, "12")))
    assert any(r.startswith("hetzelfde leerlingnummer") for r in reasons(report))
    assert kern.bench.cases() == [("kern", "leerling", "5", "double")]
    deliver(kern, "u4", achternaam="Voorbeeld", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    assert cores(kern) == [4, 5]
    assert ("s0", "leerling", "u4", "match") in kern.bench.cases()


def test_a_person_merges_a_double_and_that_answers_its_case(kern: KernBench) -> None:
    for core_id in (4, 5):
        stand(kern.bench, L, core_id, achternaam="Voorbeeld", roepnaam="J", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "12"), number(5, "12")))
    deliver(kern, "u4", achternaam="Voorbeeld", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    assert len(kern.bench.cases()) == 2
    report = merged(kern, 4, 5)
    assert (report.outcome, report.error) == ("done", "")
    assert cores(kern) == [4]
    assert ("kern", "leerling", "5", "double") not in kern.bench.cases()
    kern.bench.sync("s0")
    assert kern.bench.cases() == []
    assert cores(kern) == [4]
    assert kern.bench.core(L, "u4", "s0") == 4
    lifted = kern.bench.sync(KERN, kind=Kind.DECIDE, lifted=act_of(kern), operator="test")
    assert lifted.error == ""
    assert cores(kern) == [4, 5]  # two again, and a case again; nothing joins them by itself
    assert ("kern", "leerling", "5", "double") in kern.bench.cases()
    for name in (KERN, "s0"):
        kern.bench.sync(name)
    assert cores(kern) == [4, 5]


def test_a_decision_that_there_is_not_names_the_nearest_beside_those_of_an_adoption(
    kern: KernBench,
) -> None:
    for core_id in (4, 5):
        stand(kern.bench, L, core_id, achternaam="Voorbeeld", roepnaam="J", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "12"), number(5, "12")))  # keeps them apart, as no act
    with pytest.raises(SyncError) as none:
        koppeling_of_act(kern.bench.hub, 99)
    assert none.value.advice.startswith("Er is er nog geen.")
    merged(kern, 4, 5)  # one act of two rows
    with pytest.raises(SyncError, match="there is no decision 99") as found:
        koppeling_of_act(kern.bench.hub, 99)
    assert found.value.advice.startswith(f"De dichtstbijzijnde die er zijn: {act_of(kern)}. ")


def merged(kern: KernBench, one: int, other: int) -> RunReport:
    decision = Decision(Verdict.MERGE, L, core_id=one, other=other)
    return kern.bench.sync(KERN, kind=Kind.DECIDE, decision=decision, operator="test")


def act_of(kern: KernBench) -> int:
    return int(kern.bench.query("SELECT MAX(act) FROM decision")[0][0])


def test_an_adoption_is_not_undone_and_takes_nothing_away(kern: KernBench) -> None:
    """What it took over stood there before it: undoing it would be removing that."""
    school(kern)
    run = adopted(kern).run
    assert run is not None
    before = core_rows(kern.bench)
    report = kern.bench.sync(KERN, kind=Kind.UNDO, undone=run.run_id, operator="test")
    assert (report.outcome, report.applied) == ("failed", {})
    assert "adoption" in report.error
    assert "case merge" in report.advice
    assert core_rows(kern.bench) == before


def test_the_case_of_a_double_outlives_later_runs(kern: KernBench) -> None:
    for core_id in (4, 5):
        stand(kern.bench, L, core_id, achternaam="Voorbeeld", roepnaam="J", geboortedatum=BORN)
    adopted(kern)
    kern.bench.sync(KERN)
    assert kern.bench.cases() == [("kern", "leerling", "5", "double")]


def test_a_record_of_another_source_with_the_same_key_is_told(kern: KernBench) -> None:
    deliver(kern, "u1", achternaam="Voorbeeld", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    stand(kern.bench, L, 50_000, achternaam="Voorbeeld", geboortedatum=BORN)
    report = adopted(kern, file=lines(number(50_000, "12")))
    assert any(r.startswith("hetzelfde leerlingnummer") for r in reasons(report))
    assert len(cores(kern)) == 2
    kern.bench.later()
    deliver(kern, "u1", achternaam="Anders", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    assert len(cores(kern)) == 2


def test_what_an_adopted_record_says_is_believed_last_whatever_the_policy(kern: KernBench) -> None:
    kern.bench.policy(authority={"order": {"*": ["kern", "s0"]}})
    stand(kern.bench, L, 4, achternaam="Oud", geboorteplaats="Zwolle", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "12")))
    deliver(kern, "u4", achternaam="Nieuw", geboortedatum=BORN, leerlingnummer="12")
    kern.bench.sync("s0")
    names = kern.bench.query("SELECT achternaam, geboorteplaats FROM leerling")
    assert names == [("Nieuw", "Zwolle")]


def test_an_adopted_pupil_who_leaves_his_source_is_closed_and_keeps_its_last_values(
    kern: KernBench,
) -> None:
    stand(kern.bench, L, 4, achternaam="Oud", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "12")))
    for key, text in (("u4", "12"), *((f"x{n}", str(100 + n)) for n in range(6))):
        deliver(kern, key, achternaam="Nieuw", geboortedatum=BORN, leerlingnummer=text)
    kern.bench.sync("s0")
    kern.bench.sources["s0"].remove(L, "u4")
    kern.bench.settle("s0")
    ((name, end),) = kern.bench.query("SELECT achternaam, geldig_tot FROM leerling WHERE id = 4")
    assert name == "Nieuw"
    assert end is not None


def test_the_application_goes_on_with_the_id_as_its_key(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Oud", geboortedatum=BORN, geboorteplaats="Zwolle")
    adopted(kern)
    kern.say("leerling", "4", achternaam="Nieuw")
    kern.bench.sync(KERN)
    found = kern.bench.query("SELECT id, achternaam, geboorteplaats FROM leerling")
    assert found == [(4, "Nieuw", "Zwolle")]


def ends(kern: KernBench) -> dict[int, bool]:
    """Core id → whether the pupil has left."""
    return {
        n: end is not None for n, end in kern.bench.query("SELECT id, geldig_tot FROM leerling")
    }


@pytest.mark.parametrize("kind", [Kind.DELTA, Kind.FULL])
def test_an_adopted_record_that_the_application_deletes_is_closed_at_the_next_run(
    kern: KernBench, kind: Kind
) -> None:
    for core_id, name in ((4, "Weg"), (5, "Blijft")):
        stand(kern.bench, L, core_id, achternaam=name, geboortedatum=BORN)
    adopted(kern)
    kern.bench.sync(KERN)
    kern.insert("leerling", "4", "d2", action="delete")
    before = core_rows(kern.bench)
    seen = kern.bench.sync(KERN, kind=kind, dry=True)
    assert core_rows(kern.bench) == before
    done = kern.bench.sync(KERN, kind=kind)
    assert seen.steps == done.steps
    assert sum(reading.gone for reading in done.readings) == 1
    assert ends(kern) == {4: True, 5: False}
    again = kern.bench.sync(KERN)
    assert (again.steps, sum(reading.gone for reading in again.readings)) == ({}, 0)


def test_an_adopted_record_that_was_deleted_comes_back_when_the_application_says_so(
    kern: KernBench,
) -> None:
    stand(kern.bench, L, 4, achternaam="Weg", geboortedatum=BORN)
    adopted(kern)
    kern.drop("leerling", "4")
    kern.bench.sync(KERN)
    assert ends(kern) == {4: True}
    kern.say("leerling", "4", achternaam="Terug")
    kern.bench.sync(KERN, kind=Kind.DELTA)
    assert kern.pupils() == {"4": ("Terug", True)}
    kern.drop("leerling", "4")
    kern.bench.sync(KERN, kind=Kind.DELTA)
    assert ends(kern) == {4: True}


def test_an_adopted_record_that_was_deleted_stays_where_another_source_has_it(
    kern: KernBench,
) -> None:
    stand(kern.bench, L, 4, achternaam="Oud", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "12")))
    for key, text in (("u4", "12"), *((f"x{n}", str(100 + n)) for n in range(6))):
        deliver(kern, key, achternaam="Nieuw", geboortedatum=BORN, leerlingnummer=text)
    kern.bench.sync("s0")
    kern.drop("leerling", "4")
    kern.bench.sync(KERN)
    assert ends(kern)[4] is False
    kern.bench.sources["s0"].remove(L, "u4")
    kern.bench.settle("s0")
    assert ends(kern)[4] is True


def test_new_records_never_take_the_number_of_one_that_stands_there(kern: KernBench) -> None:
    for core_id in range(1, 5):
        stand(kern.bench, L, core_id, achternaam="Staat", geboortedatum=BORN)
    deliver(kern, "u1", achternaam="Nieuw", geboortedatum="2010-10-10")
    kern.bench.sync("s0")
    names = kern.bench.query("SELECT achternaam FROM leerling ORDER BY id")
    assert [row[0] for row in names] == ["Staat"] * 4 + ["Nieuw"]


# -- the file --------------------------------------------------------------------------------------


def test_the_file_makes_records_under_the_ids_that_it_gives(kern: KernBench) -> None:
    vestiging = {"entity": "vestiging", "id": 700, "naam": "Noord", "vestigingsnummer": "99XX00"}
    pupil = {"entity": "leerling", "id": 701, "achternaam": "Proef", "geboortedatum": BORN}
    stay = {"entity": "inschrijving", "id": 702, "leerling": 701, "vestiging": 700}
    report = adopted(kern, file=lines(stay, pupil, vestiging))
    assert report.made == {"vestiging": 1, "leerling": 1, "inschrijving": 1}
    rows = kern.bench.query("SELECT id, leerling_id, vestiging_id FROM inschrijving")
    assert rows == [(702, 701, 700)]


def test_numbers_of_the_file_stand_encrypted_under_their_koppeling(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Voorbeeld", geboortedatum=BORN)
    adopted(kern, file=lines(number(4, "0012")))
    issuer = kern.bench.hub.koppeling("s0").id
    assert kern.bench.identifiers() == {(4, "leerlingnummer", issuer): "12"}


def test_where_row_and_file_differ_the_row_stands_and_is_told(kern: KernBench) -> None:
    stand(kern.bench, L, 4, achternaam="Rij", geboortedatum=BORN)
    file = lines({"entity": "leerling", "id": 4, "achternaam": "Bestand", "roepnaam": "Jip"})
    report = adopted(kern, file=file)
    assert kern.bench.query("SELECT achternaam, roepnaam FROM leerling") == [("Rij", "Jip")]
    assert reasons(report) == ["regel 1: anders dan de rij: achternaam"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"geen json", "regel 1"),
        (b'{"entity": "leerlinge", "id": 4}', "regel 1"),
        (b'{"entity": "leerling"}', "regel 1"),
        (b'{"entity": "leerling", "id": 4, "eck_id": "geheim-1"}', "eck_id"),
        (b'{"entity": "leerling", "id": 4, "geheimpje": 1}', "geheimpje"),
        (b'{"entity": "leerling", "id": 0, "achternaam": "A"}', "het id is geen getal"),
        (b'{"entity": "leerling", "id": 9}', "achternaam"),
        (b'{"entity": "inschrijving", "id": 9, "leerling": 88}', "leerling"),
    ],
)
def test_a_broken_line_is_told_without_its_values_and_stops_no_other(
    kern: KernBench, line: bytes, reason: str
) -> None:
    stand(kern.bench, L, 4, achternaam="Voorbeeld", geboortedatum=BORN)
    good = b'{"entity": "leerling", "id": 5, "achternaam": "Goed", "geboortedatum": "2011-01-01"}'
    report = adopted(kern, file=Lines.read([line, good]))
    (doubt, *_) = [d for d in report.doubts if reason in f"{d.key} {d.reason}"]
    assert "geheim-1" not in doubt.reason
    assert (report.adopted, report.made) == ({"leerling": 1}, {"leerling": 1})
    assert cores(kern) == [4, 5]


def test_an_id_of_another_record_is_refused_in_a_file(kern: KernBench) -> None:
    deliver(kern, "u1", achternaam="Van de bron", geboortedatum=BORN)
    kern.bench.sync("s0")
    (taken,) = cores(kern)
    file = lines({"entity": "leerling", "id": taken, "achternaam": "Overschreven"})
    report = adopted(kern, file=file)
    assert reasons(report) == ["regel 1: het id is al van een bron"]
    assert kern.bench.query("SELECT achternaam FROM leerling") == [("Van de bron",)]


@pytest.mark.parametrize(("more", "kept"), [("", False), (PGN, True)])
def test_a_bsn_is_kept_only_where_a_purpose_is_configured(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, *, kept: bool
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    # the purpose is a table of the koppeling and goes behind its options
    with closing_bench(kern_bench(store, tmp_path, options=more)) as kern:
        stand(kern.bench, L, 4, achternaam="Voorbeeld", geboortedatum=BORN)
        bsn = synthetic_bsn(3)
        adopted(kern, numbers_of="", file=lines({"entity": "leerling", "id": 4, "bsn": bsn}))
        found = kern.bench.identifiers()
        assert found == ({(4, "bsn", 0): bsn} if kept else {})


# -- refusals and crashes --------------------------------------------------------------------------


def test_a_source_that_has_no_inbox_cannot_adopt(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    other = '[[source]]\nname = "anders"\nsystem = "somtoday"\ntenant = "bestuur"\n'
    with (
        closing_bench(kern_bench(store, tmp_path, options=other)) as kern,
        pytest.raises(ConfigurationError, match="no application") as caught,
    ):
        adopt(kern.bench.hub, "anders", ["99XX"], operator="tester")
    assert caught.value.advice


def test_an_adoption_stands_in_the_audit_trail(kern: KernBench) -> None:
    school(kern)
    adopted(kern)
    rows = kern.bench.query("SELECT operator, action, subject FROM audit WHERE action = 'adopt'")
    assert rows == [("tester", "adopt", "kern: 99XX")]


@pytest.mark.parametrize("statement", range(5, 400, 13))
def test_killed_at_any_statement_an_adoption_is_finished_later_and_doubles_nobody(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: int
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(sqlite_store, tmp_path)) as kern:
        school(kern)
        for core_id in (30, 31):
            stand(kern.bench, L, core_id, achternaam="Dubbel", geboortedatum=BORN)
        file = [number(4, "12"), number(30, "77"), number(31, "77")]
        before = {table: len(rows) for table, rows in core_rows(kern.bench).items()}
        doomed = replace(kern.bench.hub, store=cast(Store, DoomedStore(sqlite_store, statement)))
        with suppress(Killed):
            adopt(doomed, KERN, ["99XX"], operator="tester", numbers_of=KERN, lines=lines(*file))
        kern.bench.sync(KERN)
        assert {t: n for t, n in _counts(kern).items() if t != "identificatie"} == before
        adopted(kern, numbers_of=KERN, file=lines(*file))
        kern.bench.sync(KERN)
        assert {t: n for t, n in _counts(kern).items() if t != "identificatie"} == before
        assert kern.bench.query("SELECT COUNT(*) FROM shadow WHERE accepted_fp IS NULL") == [(0,)]


def _counts(kern: KernBench) -> dict[str, int]:
    return {table: len(rows) for table, rows in core_rows(kern.bench).items()}
