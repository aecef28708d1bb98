"""Parts of a source: one pupil, an entity, a school, a time limit."""

from __future__ import annotations

from fixtures.school.changes import Changes
from sync_engine.find import hub_key
from tests.support.coredump import core_dump, differences
from tests.support.shell import Shell, paragraph


def test_only_reads_one_pupil_by_any_of_its_names(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    uuid, number = line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.gebruikersnaam IS NOT NULL ORDER BY p.id"
    )[0]
    key = quick("explain", "leerling", number, "--json").data[0]["key"]
    for place, name in enumerate((uuid, number, key)):
        Changes(line.school).patch(uuid, roepnaam=f"Naam{place}")
        line.sandbox.forget_requests()
        said = quick.sync("--only", name, "--json")
        assert (said.code, said.data["outcome"]) == (0, "done")
        assert said.data["steps"] == {"leerling.change": 1}
        asked = [r for r in line.sandbox.requests if r.path.endswith("/leerling")]
        assert asked
        assert all("uuid" in recorded.query_names for recorded in asked)


def test_only_for_a_pupil_that_there_is_not_changes_nothing_and_says_so(quick: Shell) -> None:
    quick.sync()
    core = core_dump(quick.line.hub)
    said = quick.sync("--only", "00000000-0000-4000-8000-000000000000")
    assert said.code != 0
    assert differences(core_dump(quick.line.hub), core) == {}


def test_entity_and_school_select_what_is_read(quick: Shell) -> None:
    report = quick.report("--entity", "medewerker", "--entity", "vestiging")
    assert {r["resource"] for r in report["readings"]} == {"vestiging", "medewerker"}
    report = quick.report("--school", "99xx02")
    scopes = {r["scope"] for r in report["readings"] if r["resource"] == "leerling"}
    assert scopes == {"School Het Baken, huidig"}
    for wrong in ("98ZZ", "99X", "99XX0", "school"):
        refused = quick.sync("--school", wrong)
        assert refused.code == 2
        assert "vestigingsnummer (99XX00) uit de configuratie" in paragraph(refused)
    nothing = quick.sync("--school", "99XX77")
    assert nothing.code == 2
    assert "Kies een van: 99XX01, 99XX, 99XX02." in nothing.err + nothing.out
    unknown = quick.sync("--entity", "toverstaf")
    assert unknown.code in {2, 4}
    assert "toverstaf" in unknown.err + unknown.out


def test_a_run_that_is_out_of_time_ends_by_itself_and_the_next_goes_on(quick: Shell) -> None:
    said = quick.sync("--time-limit", "0", "--json")
    assert said.code == 1
    assert said.data["outcome"] == "partial"
    assert quick.report()["outcome"] == "done"
    assert len(quick.line.query("SELECT 1 FROM leerling")) == 40


def test_delta_is_refused_where_the_source_has_none(quick: Shell) -> None:
    said = quick.sync("--delta")
    assert said.code == 4
    assert "Zie `koppelhub connectors`" in said.out + said.err


def test_a_key_on_standard_input_stands_in_no_list_of_processes(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    uuid, number = line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE p.gebruikersnaam IS NOT NULL ORDER BY p.id"
    )[0]
    shown = quick("explain", "leerling", number, "--json").data
    assert quick("explain", "leerling", "-", "--json", stdin=f"{number}\n").data == shown
    Changes(line.school).patch(uuid, roepnaam="Gelezen")
    said = quick.sync("--only", "-", "--json", stdin=f" {number} \n\n")
    assert said.data["steps"] == {"leerling.change": 1}
    assert quick("explain", "leerling", "-").code == 64
    assert quick("explain", "leerling", "-", stdin=f"{number}\n{uuid}\n").code == 64
    assert quick.sync("--only", "-").code == 64


def test_only_for_a_pupil_whom_this_koppeling_does_not_know_reads_nothing(quick: Shell) -> None:
    quick.sync()
    line = quick.line
    pupil = line.query(
        "SELECT l.core_id FROM link l JOIN identificatie i ON i.eigenaar_id = l.core_id "
        "WHERE l.entity = 'leerling' ORDER BY l.core_id"
    )[0][0]
    line.query("DELETE FROM link WHERE core_id = ?", pupil)
    line.sandbox.forget_requests()
    unknown = quick.sync("--only", hub_key(pupil))
    assert not line.sandbox.requests
    assert (unknown.code, "welke koppelingen hem kennen" in unknown.err) == (2, True)
