"""UWLR's records from bytes: every documented element, and what is read leniently."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from connectors.base import Parsed
from connectors.errors import ParseError
from connectors.uwlr.names import LG
from connectors.uwlr.records import Groep, Leerkracht, Leerling, parse, source_key
from tests.support.uwlr import body_of

ECKID = f"https://ketenid.nl/pilot/{'a1' * 64}"


def of(resource: str, attributes: str, content: str, *, tag: str = "") -> Parsed:
    name = tag or resource
    return parse(
        resource, body_of(resource, f'<{name} xmlns="{LG}" {attributes}>{content}</{name}>')
    )


def pupil(content: str, attributes: str = 'key="LL1"') -> tuple[Any, Parsed]:
    parsed = of("leerling", attributes, content)
    return parsed.record, parsed


WHOLE = (
    "<achternaam>Voorbeeld</achternaam><voorvoegsel>van</voorvoegsel>"
    "<voornamen>Fenna Maria</voornamen><voorletters-1>FM</voorletters-1><roepnaam>Fenna</roepnaam>"
    "<geboortedatum>2013-04-05</geboortedatum><geslacht>2</geslacht><jaargroep>11</jaargroep>"
    '<groep key="G1"/><samengestelde_groepen><samengestelde_groep key="SG1"/>'
    '<samengestelde_groep key="SG2"/></samengestelde_groepen><vestiging key="V1"/>'
    "<gebruikersnaam>fenna</gebruikersnaam><emailadres>f@voorbeeld.example</emailadres>"
    "<instroomdatum>2025-08-01</instroomdatum><uitstroomdatum>2026-12-01</uitstroomdatum>"
    "<mutatiedatum>2026-11-01</mutatiedatum>"
)


def test_a_whole_pupil() -> None:
    record, parsed = pupil(WHOLE, f'key="LL1" eckid="{ECKID}"')
    assert record == Leerling.model_validate(
        {
            "key": "LL1",
            "eckid": ECKID,
            "achternaam": "Voorbeeld",
            "voorvoegsel": "van",
            "voornamen": "Fenna Maria",
            "voorletters-1": "FM",
            "roepnaam": "Fenna",
            "geboortedatum": date(2013, 4, 5),
            "geslacht": "2",
            "jaargroep": "11",
            "groep": "G1",
            "samengestelde_groepen": ("SG1", "SG2"),
            "vestiging": "V1",
            "gebruikersnaam": "fenna",
            "emailadres": "f@voorbeeld.example",
            "instroomdatum": date(2025, 8, 1),
            "uitstroomdatum": date(2026, 12, 1),
            "mutatiedatum": "2026-11-01",
        }
    )
    assert (parsed.problems, parsed.unknown) == ((), ())


def test_a_member_of_staff_with_groups_of_both_kinds() -> None:
    parsed = of(
        "leerkracht",
        'key="LK1"',
        "<achternaam>Docent</achternaam><rol>LRK</rol><rol>TAL</rol>"
        "<rolomschrijving>mentor</rolomschrijving>"
        '<groepen><groep key="G1"><rol>LRK</rol></groep><samengestelde_groep key="SG1"/></groepen>',
    )
    assert parsed.record == Leerkracht(
        key="LK1",
        achternaam="Docent",
        rol=("LRK", "TAL"),
        rolomschrijving=("mentor",),
        groepen=("G1", "SG1"),
    )
    assert parsed.problems == ()


def test_a_group_with_those_who_say_to_be_in_it() -> None:
    group = f'<groep xmlns="{LG}" key="G&amp;1"><naam>1A</naam><jaargroep>12</jaargroep></groep>'
    body = msgspec.json.decode(body_of("groep", group))
    told = msgspec.json.encode({**body, "leerlingen": ['a"<', "b"], "leerkrachten": []})
    assert parse("groep", told).record == Groep(
        key="G&1", naam="1A", jaargroep="12", leerlingen=('a"<', "b"), leerkrachten=()
    )


def test_an_empty_element_is_absent() -> None:
    record, parsed = pupil("<achternaam>X</achternaam><voorvoegsel/><roepnaam> </roepnaam>")
    assert (record.voorvoegsel, record.roepnaam, parsed.problems) == (None, None, ())


@pytest.mark.assumed("uwlr-jaargroep")
@pytest.mark.parametrize("year", "123456")
def test_a_year_of_primary_education_is_one_of_secondary(year: str) -> None:
    record, parsed = pupil(f"<jaargroep>{year}</jaargroep>")
    assert record.jaargroep == f"1{year}"
    assert [problem.path for problem in parsed.problems] == ["jaargroep"]
    assert record.dropped == frozenset()  # it is read, and told


@pytest.mark.parametrize("code", ["B", "0", "7", "8", "11", "16", "S", "V", "C", "N", "H"])
def test_every_other_code_stays(code: str) -> None:
    record, parsed = pupil(f"<jaargroep>{code}</jaargroep>")
    assert (record.jaargroep, parsed.problems) == (code, ())


@pytest.mark.assumed("uwlr-toevoegingen")
def test_an_unknown_block_of_additions_is_skipped() -> None:
    block = '<toevoegingen><blok xmlns:p="urn:p"><p:geheim>x</p:geheim></blok></toevoegingen>'
    _, parsed = pupil(block)
    assert (parsed.problems, parsed.unknown) == ((), ())


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("<geboortedatum>2013-02-30</geboortedatum>", "geboortedatum"),
        ("<geboortedatum>05-04-2013</geboortedatum>", "geboortedatum"),
        ("<geslacht>m</geslacht>", "geslacht"),
        ("<jaargroep>17</jaargroep>", "jaargroep"),
        ('<groep key=""/>', "groep"),
        ("<groep/>", "groep"),
    ],
)
def test_a_wrong_value_drops_its_field_and_keeps_the_pupil(content: str, path: str) -> None:
    record, parsed = pupil(f"<achternaam>Voorbeeld</achternaam>{content}")
    assert [problem.path for problem in parsed.problems] == [path]
    assert record.dropped == {path}
    assert record.achternaam == "Voorbeeld"
    assert "2013" not in str(parsed.problems)


def test_what_stands_twice_is_read_once_and_told() -> None:
    record, parsed = pupil("<roepnaam>Een</roepnaam><roepnaam>Twee</roepnaam>")
    assert record.roepnaam == "Een"
    assert [problem.path for problem in parsed.problems] == ["roepnaam"]


def test_what_nobody_knows_is_drift_and_nothing_of_it_is_kept() -> None:
    content = '<nieuw>geheim</nieuw><vreemd xmlns="urn:x">y</vreemd><roepnaam><er>z</er></roepnaam>'
    _, parsed = pupil(content)
    assert set(parsed.unknown) == {"nieuw", "vreemd", "roepnaam"}
    body = body_of("leerling", f'<leerling xmlns="{LG}" key="LL1">{content}</leerling>')
    assert b"geheim" not in body


@pytest.mark.parametrize(
    ("attributes", "key"),
    [
        ('key="LL1"', "LL1"),
        (f'key="LL1" eckid="{ECKID}"', "LL1"),
        (f'eckid="{ECKID}"', source_key(None, ECKID)),
        (f'key="" eckid="{ECKID}"', source_key(None, ECKID)),
    ],
)
def test_a_person_is_known_by_key_else_by_eck_id(attributes: str, key: str) -> None:
    record, _ = pupil("", attributes)
    assert record.source_key == key
    assert "ketenid" not in str(record.source_key)


@pytest.mark.parametrize("attributes", ["", 'key=""', 'eckid=""'])
def test_who_has_neither_is_refused(attributes: str) -> None:
    with pytest.raises(ParseError) as caught:
        pupil("<achternaam>Voorbeeld</achternaam>", attributes)
    assert caught.value.path == "key"
    assert "Voorbeeld" not in f"{caught.value!r}"


def test_an_eck_id_of_before_2018_stays_a_way_to_know_a_pupil() -> None:
    record, parsed = pupil("", f'eckid="https://id.school/pilot/{"b" * 128}"')
    assert record.source_key.startswith("sha256:")
    assert parsed.problems == ()  # the mapping drops it as an ECK iD, with a warning


@pytest.mark.parametrize("body", [b"", b"<leerling/>", b"[]", b"{}", b'{"key": 1}'])
def test_what_is_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse("leerling", body)


def test_a_record_shows_nothing_of_itself() -> None:
    record, _ = pupil(WHOLE)
    assert repr(record) == "<Leerling>"
