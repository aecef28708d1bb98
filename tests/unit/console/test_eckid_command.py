"""What people read of ECK iDs: every count that asks for something says what to do."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from connectors.pseudonyms import Standing, Verification
from console.eckid import MISSING, code_of, show_replacement, show_standing, show_verified, todo
from console.output import Output
from sync_engine.outcome import ExitCode
from sync_engine.pseudonyms import Missing, PlaceStanding, PlaceVerified, SchoolStanding
from sync_engine.replacing import Replacement, State
from tests.unit.console.test_helpdesk_page import help_of, name_of

PAGE = Path(__file__).parents[3] / "docs" / "eckid-school.md"
PLACE = PlaceStanding(
    *("eck", "99XX00", "Hoofdvestiging", "leerling", "vo"),
    Standing(10, obtained=1, waiting=2, lacking=3, without_pgn=1, changed=2, refused=1),
    delivered=4,
    differing=1,
)
MADE = Replacement(
    *("eck", "K-150", State.PROPOSED, "2026-11-30", "typefout", "els", ""),
    alone=False,
    error="",
    advice="",
    changed_at="",
)


def test_every_count_that_is_not_well_says_what_to_do() -> None:
    lines = todo(PLACE)
    assert [line.split(" ", 1)[0] for line in lines] == ["1", "2", "1", "2", "3", "1"]
    assert any("niet verkrijgbaar: geen PGN" in line for line in lines)
    assert any("`koppelhub eckid obtain --school 99XX00`" in line for line in lines)
    # such a case is of the koppeling that delivers
    assert "`koppelhub case list --kind pseudonym --school 99XX00`" in lines[-1]
    well = {field.name for field in fields(Standing)} - {"persons", "obtained"}
    for name in well:
        assert todo(replace(PLACE, differing=0, standing=Standing(1, **{name: 1}))) != []
    assert todo(replace(PLACE, differing=0, standing=Standing(1, obtained=1))) == []


def test_what_is_missing_is_said_in_words() -> None:
    assert set(MISSING) == set(Missing)


def test_a_school_is_shown_and_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = SchoolStanding("99XX", (PLACE,), 12, 4, 7, 1, (Missing.TELLER,))
    show_standing(Output(), found)
    text = capsys.readouterr().out
    assert "12 leerlingen" in text
    assert "99XX00 Hoofdvestiging" in text
    assert "presentis-pgn" in text
    show_standing(Output(json=True), found)
    told = json.loads(capsys.readouterr().out)
    assert told["places"][0]["standing"]["without_pgn"] == 1
    assert told["missing"] == [{"what": "teller", "advice": MISSING[Missing.TELLER]}]


def test_no_school_is_asked_to_mend_what_the_koppeling_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for missing in (Missing.TELLER, Missing.PURPOSE, Missing.PGN):
        show_standing(Output(), SchoolStanding("99XX", (PLACE,), 12, missing=(missing,)))
        text = capsys.readouterr().out
        assert "Voor de beheerder van de school" not in text
        assert MISSING[missing] in text


def test_vestigingen_that_do_not_match_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    missing = (Missing.UNKNOWN, Missing.UNSERVED)
    found = SchoolStanding("99XX", missing=missing, unknown=("99XX77",), unserved=("99XX01",))
    show_standing(Output(), found)
    text = capsys.readouterr().out
    assert text.index("99XX77.") < text.index("99XX01.")
    show_standing(Output(json=True), found)
    told = json.loads(capsys.readouterr().out)["missing"]
    assert "99XX77" in told[0]["advice"]


def test_who_has_another_one_is_named_by_his_hub_key(capsys: pytest.CaptureFixture[str]) -> None:
    found = PlaceVerified("eck", "99XX00", "Hoofd", Verification(3, 1, ("K-150",), ("K-16G",)))
    show_verified(Output(), [found])
    text = capsys.readouterr().out
    assert "3 nagevraagd, 1 gelijk" in text
    assert "anders: K-150" in text
    assert "geweigerd: K-16G" in text


@pytest.mark.parametrize("state", State)
def test_a_replacement_says_what_comes_next(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    advice = "Doe dit." if state in {State.ALARM, State.REFUSED} else ""
    show_replacement(Output(), replace(MADE, state=state, advice=advice))
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("K-150: ")
    assert said[1].endswith(".")


def test_codes_tell_an_alarm_from_what_was_not_carried_out() -> None:
    codes = {state: code_of(replace(MADE, state=state)) for state in State}
    assert codes[State.ALARM] is ExitCode.FAILED
    assert codes[State.REFUSED] is ExitCode.REFUSED
    assert {codes[s] for s in (State.APPROVED, State.DONE)} == {ExitCode.DONE}


def test_the_page_names_commands_and_options_that_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"`(koppelhub [^`]+)`", text)
    assert len(commands) > 10
    for command in commands:
        told = help_of(*name_of(command))
        for option in (word for word in command.split() if word.startswith("--")):
            assert re.search(rf"{option}\b", told), f"`{command}`: {option}"
