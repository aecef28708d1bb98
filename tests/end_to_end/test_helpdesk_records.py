"""A school calls about one pupil: found, explained, read again, fixed by hand, and told whole."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from fixtures.school.changes import Changes
from tests.support.shell import Said, Shell


@pytest.fixture
def called(quick: Shell) -> Shell:
    """An installation that has read its source once."""
    assert quick.sync().code == 0
    quick.line.sandbox.forget_requests()
    return quick


def a_pupil(made: Shell) -> tuple[str, str, str]:
    """(source's key, leerlingnummer, hub key) of one with a guardian."""
    uuid, number = made.line.query(
        "SELECT l.source_key, p.gebruikersnaam FROM leerling p JOIN link l ON l.core_id = p.id "
        "JOIN verzorger_relatie r ON r.leerling_id = p.id WHERE p.gebruikersnaam IS NOT NULL "
        "ORDER BY p.id"
    )[0]
    key = made("explain", "leerling", number, "--json").data[0]["key"]
    return uuid, number, key


def guardian(made: Shell, uuid: str) -> str:
    return str(
        made.line.query(
            "SELECT o.source_key FROM link l JOIN verzorger_relatie r ON r.leerling_id = l.core_id "
            "JOIN link o ON o.core_id = r.verzorger_id AND o.entity = 'verzorger' "
            "WHERE l.source_key = ? ORDER BY o.source_key",
            uuid,
        )[0][0]
    )


def field_of(said: Said, name: str) -> Any:
    (answer,) = said.data
    return next(f for f in answer["explanation"]["fields"] if f["name"] == name)


# -- resync ------------------------------------------------------------------------------------


def test_one_pupil_and_his_guardians_are_read_again_from_every_source(called: Shell) -> None:
    uuid, number, key = a_pupil(called)
    changes = Changes(called.line.school)
    changes.patch(uuid, roepnaam="Nieuw")
    changes.patch(guardian(called, uuid), emailadres="nieuw@ouder.voorbeeld.example")
    said = called("resync", "leerling", number)
    assert said.code == 0
    assert "somtoday-demo: alleen hij en zijn verzorgers worden opgevraagd" in said.out
    assert "leerling.change 1, verzorger.change 1" in said.out
    assert "duurde" in said.out
    reads = [r for r in called.line.sandbox.requests if "/vestiging/" in r.path]
    assert reads
    assert all("uuid" in recorded.query_names for recorded in reads)
    assert called("resync", "leerling", key, "--json").data["parts"][0]["report"]["steps"] == {}


def test_a_class_and_a_school_are_read_again_by_name(called: Shell) -> None:
    ((groep,),) = called.line.query(
        "SELECT naam FROM groep WHERE soort = 'stamgroep' AND schooljaar = '2026/2027' "
        "GROUP BY naam HAVING COUNT(*) = 1 ORDER BY naam LIMIT 1"
    )
    said = called("resync", "groep", groep, "--json")
    assert (said.code, [part["koppeling"] for part in said.data["parts"]]) == (0, ["somtoday-demo"])
    school = called("resync", "school", "99XX02", "--json").data["parts"][0]["report"]
    assert {r["scope"] for r in school["readings"] if r["resource"] == "leerling"} == {
        "School Het Baken, huidig"
    }
    only = called("resync", "entity", "vak", "--school", "99XX02", "--json").data["parts"][0]
    assert {r["resource"] for r in only["report"]["readings"]} == {"vak"}


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("resync", "school", "98ZZ"), "99XX"),
        (("resync", "entity", "leering"), "leerling"),
        (("resync", "leerling", "0000000"), "leerlingnummer"),
        (("resync", "groep", "P1Z"), "Bedoelt u"),
        (("explain", "klas", "1A"), "Kies een van"),
    ],
)
def test_what_is_not_there_names_the_nearest(
    called: Shell, arguments: tuple[str, ...], nearest: str
) -> None:
    said = called(*arguments)
    assert said.code == 2
    assert nearest in said.err


# -- find ----------------------------------------------------------------------------------------


def test_a_pupil_is_searched_out_of_sight_and_picked_from_a_list(called: Shell) -> None:
    uuid, _, key = a_pupil(called)
    twin = called.line.query(
        "SELECT l.source_key FROM leerling p JOIN link l ON l.core_id = p.id "
        "WHERE l.source_key <> ? ORDER BY p.id",
        uuid,
    )[0][0]
    for who in (uuid, twin):
        Changes(called.line.school).patch(
            who,
            roepnaam="Zoë",
            achternaam="Tweelingnaam",
            voorvoegsel=None,
            geboortedatum="2012-03-04",
        )
    called.sync()
    asked = called("explain", "leerling", "--find", "-", "--json", stdin="zoe 4-3-2012\n")
    assert asked.code == 2
    assert asked.err.count("Zoë Tweelingnaam  2012-03-04") == 2
    assert key in asked.data["advice"]
    place = next(n for n, line in enumerate(asked.err.splitlines(), 1) if key in line)
    told = called("explain", "leerling", "--find", "-", "--json", stdin=f"zoe 4-3-2012\n{place}\n")
    assert [answer["key"] for answer in told.data] == [key]
    rows = called.line.query("SELECT subject, why FROM audit WHERE action = 'search'")
    assert rows == [("leerling by name and birth date", "2 found")] * 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "leerling", "--find", "Jansen"),
        ("explain", "leerling", "1001", "--find", "-"),
        ("resync", "leerling"),
        ("history", "leerling", "--find=Jansen"),
    ],
)
def test_what_is_searched_never_stands_on_the_command_line(
    called: Shell, arguments: tuple[str, ...]
) -> None:
    assert called(*arguments, stdin="Jansen\n").code == 64
    assert called.line.query("SELECT 1 FROM audit WHERE action = 'search'") == []


# -- pins ----------------------------------------------------------------------------------------


def pinned(made: Shell, number: str, *, stdin: str, more: tuple[str, ...] = ()) -> Said:
    return made(
        "pin",
        "set",
        "leerling",
        number,
        "roepnaam",
        "--why",
        "volgens de ouders",
        "--until",
        "2027-07-31",
        *more,
        stdin=stdin,
    )


def test_a_value_is_fixed_at_once_and_the_source_cannot_change_it(called: Shell) -> None:
    uuid, number, key = a_pupil(called)
    said = pinned(called, number, stdin="Vastenaam\ny\n")
    assert said.code == 0, said.err
    assert "-> Vastenaam" in said.out
    assert "de kern is bijgewerkt" in said.out
    assert not called.asked()
    Changes(called.line.school).patch(uuid, roepnaam="Anders")
    assert called.sync().code == 0
    reason = field_of(called("explain", "leerling", key, "--json"), "roepnaam")
    assert (reason["value"], reason["pin"]["until"]) == ("Vastenaam", "2027-07-31")
    assert [claim["value"] for claim in reason["claims"]] == ["Anders"]
    shown = called("explain", "leerling", key, "--field", "roepnaam").out
    assert "vastgezet tot en met 2027-07-31" in shown
    assert "los te maken met `koppelhub pin lift 1`" in shown
    differs = called.of_source("diff").out
    assert f"vastgezet (pin 1): leerling {key} roepnaam: Vastenaam" in differs


def test_nothing_is_fixed_by_who_says_no(called: Shell) -> None:
    _, number, _ = a_pupil(called)
    said = pinned(called, number, stdin="Vastenaam\nn\n")
    assert (said.code, "Er is niets vastgezet" in said.out) == (0, True)
    assert called("pin", "list", "--json").data == []
    assert not called.line.query("SELECT 1 FROM pin")


def test_the_value_is_never_an_argument_and_a_reason_is_asked(called: Shell) -> None:
    _, number, _ = a_pupil(called)
    assert called("pin", "set", "leerling", number, "roepnaam", stdin="X\ny\n").code == 64
    assert pinned(called, number, stdin="X\n", more=("--json",)).code == 64
    wrong = called(
        "pin", "set", "leerling", number, "geboortedatum", "--why", "x", "--yes", stdin="geen\n"
    )
    assert (wrong.code, "JJJJ-MM-DD" in wrong.err) == (2, True)
    assert not called.line.query("SELECT 1 FROM pin")


def test_a_pin_that_the_source_agrees_with_is_reported_and_lifted(called: Shell) -> None:
    uuid, number, key = a_pupil(called)
    done = pinned(called, number, stdin="Vastenaam\n", more=("--yes", "--json"))
    assert (done.code, done.data["pin"]) == (0, 1)
    assert called("pin", "list", "--idle", "--json").data == []
    Changes(called.line.school).patch(uuid, roepnaam="Vastenaam")
    called.sync()
    (row,) = called("pin", "list", "--idle", "--json").data
    assert (row["key"], row["idle"], row["counts"]) == (key, True, True)
    assert "kan los" in called("pin", "list", "--school", "99XX").out
    assert called("pin", "list", "--expiring", "30", "--json").data == []
    assert called("pin", "list", "--expiring", "300", "--json").data
    lifted = called("pin", "lift", "1", stdin="y\n")
    assert (lifted.code, "de kern had die waarde al" in lifted.out) == (0, True)
    gone = called("pin", "lift", "1", "--yes")
    assert (gone.code, "koppelhub pin list" in gone.err) == (2, True)


def test_with_a_search_the_field_stands_alone(called: Shell) -> None:
    uuid, _, key = a_pupil(called)
    Changes(called.line.school).patch(uuid, achternaam="Zeldzaamnaam", voorvoegsel=None)
    called.sync()
    said = called(
        "pin",
        "set",
        "leerling",
        "roepnaam",
        "--find",
        "-",
        "--why",
        "x",
        "--yes",
        "--json",
        stdin="zeldzaamnaam\nGevonden\n",
    )
    assert said.code == 0, said.err
    assert field_of(called("explain", "leerling", key, "--json"), "roepnaam")["value"] == "Gevonden"


# -- history and state -----------------------------------------------------------------------------


def test_everything_that_happened_to_a_pupil_is_told_in_order(called: Shell) -> None:
    uuid, number, key = a_pupil(called)
    pinned(called, number, stdin="Vastenaam\n", more=("--yes",))
    called.line.later(days=1)
    Changes(called.line.school).patch(uuid, achternaam="Verbeterd", voorvoegsel=None)
    called.sync()
    life = called("history", "leerling", key, "--json").data
    kinds = [happening["kind"] for happening in life["happenings"]]
    assert kinds[0] in {"create", "link"}
    assert {"create", "link", "member", "pin", "change", "look"} <= set(kinds)
    changed = [h for h in life["happenings"] if "achternaam" in h["changes"]][-1]
    assert changed["changes"]["achternaam"][1] == "Verbeterd"
    assert changed["source"] == "somtoday-demo"
    few = called("history", "leerling", key, "--limit", "2", "--page", "2", "--json").data
    assert few["happenings"] == life["happenings"][2:4]
    assert "--page 2" in called("history", "leerling", key, "--limit", "2").out


def test_a_history_is_written_for_a_spreadsheet(called: Shell) -> None:
    _, number, _ = a_pupil(called)
    said = called("history", "leerling", number, "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out), delimiter=";"))
    assert {"moment", "soort", "veld", "voor", "na"} <= rows[0].keys()
    assert any(row["veld"] == "achternaam" and row["na"] for row in rows)


def test_a_pupil_as_he_was_known_then(called: Shell) -> None:
    uuid, number, _ = a_pupil(called)
    before = called("state", "leerling", number, "--json").data[0]
    called.line.later(days=3)
    Changes(called.line.school).patch(uuid, achternaam="Verbeterd", voorvoegsel=None)
    called.sync()
    now = called("state", "leerling", number, "--json").data[0]
    assert now["values"]["achternaam"] == "Verbeterd"
    then = called("state", "leerling", number, "--as-known", "2026-11-02", "--json").data[0]
    assert then["values"] == before["values"]
    assert then["groepen"] == before["groepen"]
    unknown = called("state", "leerling", number, "--as-known", "2026-11-01")
    assert "kende dit record toen niet" in unknown.out
    both = called(
        "state", "leerling", number, "--on", "2026-11-02", "--as-known", "2026-11-02", "--json"
    ).data[0]
    assert (both["known"], both["holds"]) == (True, True)
    assert both["groepen"]
