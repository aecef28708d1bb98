"""Cases through the command line: listed, laid side by side, assigned, noted and closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.cases import each_case
from sync_engine.find import hub_key
from sync_engine.selection import select
from sync_engine.store.engine import Store
from tests.support.desk import Desk, desk_of
from tests.support.hubs import bench

CHILD = {
    "achternaam": "Canarie",
    "roepnaam": "Noor",
    "voornamen": "Noor",
    "geboortedatum": "2012-03-04",
    "leerlingnummer": "4711",
}


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[Desk]:
    """Two sources on each database; the second has a pupil who looks like one of the first."""
    made = bench(store, tmp_path, sources=2)
    first, second = made.sources.values()
    first.put(Entity.VESTIGING, "v", naam="De Haven", vestigingsnummer="99XX00")
    first.put(Entity.LEERLING, "a", **CHILD, email="noor@thuis.example")
    first.put(Entity.LEERLING, "b", achternaam="Ander", geboortedatum="2011-01-01")
    first.put(Entity.INSCHRIJVING, "i", leerling="a", vestiging="v", leerjaar=2)
    first.put(
        Entity.GROEP, "g", naam="2B", soort="stamgroep", schooljaar="2026/2027", leerlingen=["a"]
    )
    made.sync("s0")
    second.put(Entity.LEERLING, "x", **{**CHILD, "voornamen": "Noortje", "leerlingnummer": "9"})
    made.sync("s1")
    with desk_of(made) as found:
        yield found
    made.close()


def opened(desk: Desk) -> str:
    (case,) = desk("case", "list", "--json").data["cases"]
    return str(case["id"])


def pupil(desk: Desk) -> str:
    return hub_key(desk.bench.core(Entity.LEERLING, "a"))


def test_a_case_shows_record_and_candidate_side_by_side(desk: Desk) -> None:
    shown = desk("case", "show", opened(desk), "--json").data
    (candidate,) = shown["candidates"]
    assert (candidate["key"], candidate["name"]) == (pupil(desk), "Noor Canarie")
    pairs = {pair["name"]: pair for pair in candidate["fields"]}
    assert pairs["achternaam"]["verdict"] == "gelijk"
    assert (pairs["voornamen"]["source"], pairs["voornamen"]["candidate"]) == ("Noortje", "Noor")
    assert pairs["voornamen"]["verdict"] == "ANDERS"
    assert (pairs["email"]["source"], pairs["email"]["verdict"]) == (None, "ontbreekt")
    assert candidate["why"].startswith("lijkt voor ")
    assert candidate["known_by"] == ["s0/a (new)"]
    assert candidate["groups"] == ["stamgroep 2B 2026/2027 als leerling"]
    assert candidate["enrolments"][0].startswith("De Haven, leerjaar 2")
    text = desk("case", "show", opened(desk)).out
    assert re.search(r"voornamen +Noortje +Noor +ANDERS", text)


def test_a_case_says_what_each_decision_would_mean_and_what_to_type(desk: Desk) -> None:
    number = opened(desk)
    choices = desk("case", "show", number, "--json").data["choices"]
    said = {choice["command"]: choice["meaning"] for choice in choices}
    assert "voornamen" in said[f"koppelhub case link {number} --to {pupil(desk)}"]
    assert f"koppelhub case create {number}" in said
    assert f"koppelhub case ignore {number}" in said
    assert not any("case split" in command for command in said)  # it is linked to nobody
    assert f"koppelhub case assign {number} --to NAAM" in said


def test_personal_numbers_are_shown_by_their_end(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path, sources=2)
    eck = [f"https://ketenid.nl/pilot/{digit * 128}" for digit in "abc"]
    made.sources["s0"].put(Entity.LEERLING, "a", **CHILD, eck_id=eck[0])
    made.sync("s0")
    made.sources["s1"].put(Entity.LEERLING, "x", **{**CHILD, "leerlingnummer": "9"}, eck_id=eck[1])
    made.sync("s1")
    with desk_of(made) as desk:
        for said in (desk("case", "show", "1"), desk("case", "show", "1", "--json")):
            assert said.code in {0, 2}
            assert "a" * 20 not in said.out
            assert "b" * 20 not in said.out
    made.close()


def test_the_list_is_chosen_by_source_kind_person_and_state(desk: Desk) -> None:
    number = opened(desk)

    def listed(*options: str) -> list[str]:
        return [str(c["id"]) for c in desk("case", "list", *options, "--json").data["cases"]]

    assert listed("--source", "s1") == [number]
    assert listed("--source", "s0") == []
    assert listed("--kind", "score") == [number]
    assert listed("--kind", "quarantine") == []
    assert listed("--school", "99XX") == [number]
    assert listed("--mine") == []
    desk.becomes("noor-van-de-desk")
    desk("case", "assign", number)
    assert listed("--mine") == [number]
    assert listed("--state", "closed") == []
    assert "Canarie" not in desk("case", "list").out


def test_a_case_is_given_to_a_colleague_and_taken_back(desk: Desk) -> None:
    number = opened(desk)
    assert desk("case", "assign", number, "--to", "piet").code == 0
    assert desk("case", "list", "--json").data["cases"][0]["assignee"] == "piet"
    assert desk("case", "assign", number, "--nobody").code == 0
    assert desk("case", "list", "--json").data["cases"][0]["assignee"] is None
    why = desk.bench.query("SELECT why FROM audit WHERE action = 'case assign' ORDER BY id")
    assert why == [("to piet",), ("",)]


def test_a_note_is_kept_encrypted_and_shown_with_the_case(desk: Desk) -> None:
    number = opened(desk)
    text = "Moeder van Noor Canarie belde: het is dezelfde."
    assert desk("case", "note", number, stdin=f"{text}\n").code == 0
    assert desk("case", "show", number, "--json").data["notes"][0]["text"] == text
    stored = repr(desk.bench.query("SELECT * FROM zaak_notitie")) + repr(
        desk.bench.query("SELECT * FROM audit")
    )
    assert "Canarie" not in stored
    assert desk("case", "note", number, stdin="  \n").code == 2
    assert desk("case", "note", number, stdin="x" * 5_000).code == 2
    assert desk.bench.query("SELECT COUNT(*) FROM zaak_notitie") == [(1,)]


def test_a_case_that_follows_from_the_data_says_how_it_closes(desk: Desk) -> None:
    number = opened(desk)
    said = desk("case", "close", number, "--why", "weet ik", "--yes")
    assert said.code == 2
    assert "sluit vanzelf" in said.err
    assert opened(desk) == number


def test_another_kind_of_case_is_closed_by_hand_once(desk: Desk) -> None:
    with desk.bench.hub.store.work() as work:
        work.execute(
            "INSERT INTO zaak (tenant_id, koppeling_id, kind, entity, source_key, state, rule, "
            "detail, opened_run) SELECT tenant_id, koppeling_id, 'undeliverable', entity, 'm1', "
            "'open', 'refused', '{}', opened_run FROM zaak"
        )
    number = str(desk.bench.query("SELECT MAX(id) FROM zaak")[0][0])
    assert "niets gewijzigd" in desk("case", "close", number, "--why", "klaar", stdin="n\n").out
    assert desk("case", "close", number, "--why", "klaar", "--yes").code == 0
    again = desk("case", "close", number, "--why", "klaar", "--yes")
    assert (again.code, "al gesloten door" in again.err) == (2, True)
    assert desk.bench.query("SELECT why FROM audit WHERE action = 'case close'") == [("klaar",)]


def test_a_case_that_is_not_there_names_the_nearest(desk: Desk) -> None:
    for command in (("show",), ("assign",), ("note",), ("close", "--why", "x", "--yes")):
        said = desk("case", command[0], "99", *command[1:], stdin="x")
        assert said.code == 2
        assert "De dichtstbijzijnde die er zijn: 1." in said.err
    assert "score" in desk("case", "list", "--kind", "scor").err


def test_who_looks_at_a_case_is_noted(desk: Desk) -> None:
    desk("case", "show", opened(desk))
    looked = desk.bench.query("SELECT action, subject FROM audit WHERE action = 'case show'")
    assert looked == [("case show", "case 1")]


def test_a_broken_record_is_a_case_until_it_is_whole_again(desk: Desk) -> None:
    source = desk.bench.sources["s0"]
    source.put(Entity.LEERLING, "k", achternaam="Kapot", kapot=True)
    source.put(Entity.LEERLING, "b", achternaam="Ander", kapot=True)
    report = desk.bench.sync("s0")
    assert (report.quarantine, report.cases) == (2, 0)
    cases = desk("case", "list", "--kind", "quarantine", "--json").data["cases"]
    assert [(c["entity"], c["source_key"], c["rule"]) for c in cases] == [
        ("leerling", "b", "kapot: is kapot"),
        ("leerling", "k", "kapot: is kapot"),
    ]
    shown = desk("case", "show", str(cases[0]["id"])).out
    key = hub_key(desk.bench.core(Entity.LEERLING, "b"))
    assert f"De kern kent het van vóór de fout, als leerling {key} Ander" in shown
    assert "het veld kapot" in shown
    closed = desk("case", "close", str(cases[0]["id"]), "--why", "x", "--yes")
    assert "sluit vanzelf" in closed.err
    desk.bench.sync("s0")
    assert len(desk("case", "list", "--kind", "quarantine", "--json").data["cases"]) == 2
    source.put(Entity.LEERLING, "b", achternaam="Ander")
    desk.bench.sync("s0")
    (left,) = desk("case", "list", "--kind", "quarantine", "--json").data["cases"]
    assert left["source_key"] == "k"
    source.remove(Entity.LEERLING, "k")
    desk.bench.settle("s0")
    assert desk("case", "list", "--kind", "quarantine", "--json").data["cases"] == []


def test_a_file_has_every_case_one_after_another(desk: Desk, tmp_path: Path) -> None:
    for number in range(3):
        desk.bench.sources["s0"].put(Entity.LEERLING, f"k{number}", achternaam="K", kapot=True)
    desk.bench.sync("s0")
    target = tmp_path / "zaken.csv"
    said = desk("case", "list", "--csv", str(target), "--limit", "1")
    assert said.out == f"4 zaken in {target}\n"
    assert [line.split(";")[0] for line in target.read_text("utf-8-sig").splitlines()] == [
        *("zaak", "1", "2", "3", "4")
    ]
    assert len(desk("case", "list", "--csv", "-").out.splitlines()) == 5
    with desk.bench.hub.store.work() as work:  # of more than memory holds, one is read at a time
        every = each_case(work, select(desk.bench.hub, work, source=None, school=None))
        assert not isinstance(every, list)
        assert [case.id for case in every] == [1, 2, 3, 4]


def test_a_preview_opens_no_case(desk: Desk) -> None:
    desk.bench.sources["s0"].put(Entity.LEERLING, "k", achternaam="Kapot", kapot=True)
    desk.bench.sync("s0", dry=True)
    assert desk("case", "list", "--kind", "quarantine", "--json").data["cases"] == []


def test_two_sources_that_disagree_are_told_field_by_field(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path, sources=2)
    made.policy(authority={"order": {"*": ["s1", "s0"]}, "ask": ["leerling.geboortedatum"]})
    eck = f"https://ketenid.nl/pilot/{'a' * 128}"
    for name, day in (("s0", "2012-03-04"), ("s1", "2012-04-03")):
        made.sources[name].put(Entity.LEERLING, "a", **{**CHILD, "geboortedatum": day}, eck_id=eck)
        made.sync(name)
    with desk_of(made) as desk:
        (case,) = desk("case", "list", "--kind", "disagreement", "--json").data["cases"]
        shown = desk("case", "show", str(case["id"]), "--json").data
        assert shown["record"] == {"geboortedatum": "2012-03-04"}
        told = " ".join(shown["facts"])
        assert "s0 zegt 2012-03-04" in told
        assert "s1 zegt 2012-04-03" in told
        key = hub_key(made.core(Entity.LEERLING, "a"))
        commands = {choice["command"] for choice in shown["choices"]}
        assert f"koppelhub pin set leerling {key} geboortedatum" in commands
        closed = desk("case", "close", str(case["id"]), "--why", "x", "--yes")
        assert "sluit vanzelf zodra de bronnen hetzelfde zeggen" in closed.err
    made.close()


@pytest.fixture
def linked(store: Store, tmp_path: Path) -> Iterator[Desk]:
    """A case of a record that is linked: it got the BSN of another pupil."""
    made = bench(store, tmp_path, sources=2)
    first, second = made.sources.values()
    for number, key in enumerate("ab", start=1):
        first.put(Entity.LEERLING, key, achternaam=f"Naam{number}", bsn=synthetic_bsn(number))
    second.put(Entity.LEERLING, "x y", achternaam="Naam1", bsn=synthetic_bsn(1))
    made.sync("s0")
    made.sync("s1")
    second.put(Entity.LEERLING, "x y", achternaam="Naam1", bsn=synthetic_bsn(2))
    made.sync("s1")
    with desk_of(made) as found:
        yield found
    made.close()


@pytest.mark.parametrize("verdict", ["create", "ignore"])
def test_who_is_linked_is_not_made_nor_ignored_and_no_run_begins(
    linked: Desk, verdict: str
) -> None:
    number, before = opened(linked), linked.bench.query("SELECT COUNT(*) FROM run")
    said = linked("case", verdict, number, "--yes")
    assert (said.code, said.out) == (4, "")
    assert pupil(linked) in said.err
    assert "`koppelhub case split --source s1 --record 'x y'`" in said.err
    assert f"`koppelhub case show {number}`" in said.err
    assert linked.bench.query("SELECT COUNT(*) FROM run") == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--source", "s1", "--record", "nope"), "geen leerling met deze bronsleutel. Neem"),
        (("--source", "s0", "--record", "g"), "Het is een groep: geef --entity groep."),
        (("--source", "s1", "--record", "x"), "`koppelhub case list --source s1`"),
        (("--source", "s0", "--record", "b"), "Er is niets te doen"),
    ],
)
def test_what_cannot_be_parted_is_told_before_any_run(
    desk: Desk, options: tuple[str, ...], told: str
) -> None:
    before = desk.bench.query("SELECT COUNT(*) FROM run")
    said = desk("case", "split", *options, "--yes")
    assert (said.code, said.out) == (4, "")
    assert told in said.err
    assert desk.bench.query("SELECT COUNT(*) FROM run") == before
