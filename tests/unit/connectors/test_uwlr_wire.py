"""UWLR's requests and answers, from and to bytes: every documented shape, and what is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from lxml import etree

from connectors.errors import ProtocolViolationError
from connectors.protocols.xmldoc import Element, elements
from connectors.uwlr.delivery import Delivery
from connectors.uwlr.names import (
    LEERKRACHTEN,
    LEERLINGEN,
    LG,
    SECTIONS,
    STRUCTUUR,
    WHOLE,
    Call,
    Profiel,
    allowed,
)
from connectors.uwlr.options import Authorisation, Place
from connectors.uwlr.wire import (
    Header,
    Question,
    Said,
    authorisation,
    check_header,
    is_moment,
    read_answer,
    request,
    wanted,
)

QUESTION = Question(Place("99XX", "01"), "2026-2027", "2.2")
SCHOOL = "<school><schooljaar>2026-2027</schooljaar><brincode>99XX</brincode></school>"
ONE = '<leerling key="L1"><achternaam>Voorbeeld</achternaam><groep key="G1"/></leerling>'
HEAD = Header("2026-2027", "99XX", "01", "", "", "2.2")


@dataclass
class Kept:
    """A harvest that keeps what it is given."""

    headers: list[Header] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    records: list[tuple[str, str | None]] = field(default_factory=list)

    def school(self, header: Header) -> None:
        self.headers.append(header)

    def section(self, name: str) -> None:
        self.sections.append(name)

    def record(self, kind: str, element: Element) -> None:
        self.records.append((kind, element.get("key")))


def told(inside: str, call: Call = WHOLE, *, around: str = "") -> tuple[Said, Kept]:
    name = around or call.answer
    document = f'<{name} xmlns="{LG}">{inside}</{name}>'
    asked, kept = wanted(call), Kept()
    events = elements([document.encode()], ends=asked.ends, starts=asked.starts)
    return read_answer(call, events, harvest=kept), kept


def data(inside: str, call: Call = WHOLE) -> str:
    return f"<{call.data}>{inside}</{call.data}>"


@dataclass(frozen=True)
class Group:
    kind: str
    key: str


# -- requests --------------------------------------------------------------------------------------


def shape(element: Element) -> list[tuple[str, str | None]]:
    return [(etree.QName(child).localname, child.text) for child in element]


def test_a_request_has_its_parts_in_the_order_of_the_schema() -> None:
    question = Question(
        Place("99XX", "01"), "2026-2027", "2.2", "Smalle-set-VO", "2026-01-01T00:00:00Z"
    )
    body = request(LEERLINGEN, question, [Group("groep", "G1"), Group("groep", "")])
    assert etree.QName(body).localname == "leerlingen_verzoek"
    assert shape(body) == [
        ("schooljaar", "2026-2027"),
        ("brincode", "99XX"),
        ("dependancecode", "01"),
        ("xsdversie", "2.2"),
        ("gegevenssetid", "Smalle-set-VO"),
        ("laatstontvangengegevens", "2026-01-01T00:00:00Z"),
        ("groepen", None),
    ]
    assert [dict(group.attrib) for group in body[-1]] == [{"key": "G1"}, {}]


def test_a_school_without_brin_is_named_by_its_key_alone() -> None:
    body = request(WHOLE, Question(Place(schoolkey="S"), "2026-2027", "2.2"))
    assert [name for name, _ in shape(body)] == ["schooljaar", "schoolkey", "xsdversie"]


def test_the_header_has_three_strings_in_order() -> None:
    header = authorisation(Authorisation("sleutel", "code", "naam & co"))
    assert shape(header) == [
        ("autorisatiesleutel", "sleutel"),
        ("klantcode", "code"),
        ("klantnaam", "naam & co"),
    ]


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [WHOLE, STRUCTUUR, LEERLINGEN, LEERKRACHTEN])
def test_no_changes_and_no_data_are_answers_to_every_call(call: Call) -> None:
    assert told("<geenwijzigingen/>", call) == (Said.UNCHANGED, Kept())
    assert told("<geengegevens/>", call) == (Said.NOTHING, Kept())


def test_everything_at_once() -> None:
    said, kept = told(
        data(
            f'{SCHOOL}<vestigingen><vestiging key="V1"/></vestigingen>'
            '<groepen><groep key="G1"/><samengestelde_groep key="S1"/><groep key="G2"/></groepen>'
            f'<leerlingen>{ONE}<leerling key="L2"/></leerlingen>'
            '<leerkrachten><leerkracht key="K1"><groepen><groep key="G1"/></groepen></leerkracht>'
            "</leerkrachten>"
        )
    )
    assert said is Said.DATA
    assert kept.sections == ["vestigingen", "groepen", "leerlingen", "leerkrachten"]
    assert kept.records == [
        ("vestiging", "V1"),
        ("groep", "G1"),
        ("samengestelde_groep", "S1"),
        ("groep", "G2"),
        ("leerling", "L1"),
        ("leerling", "L2"),
        ("leerkracht", "K1"),
    ]


@pytest.mark.parametrize(
    ("call", "inside", "kinds"),
    [
        (STRUCTUUR, '<groepen><groep key="G1"/></groepen>', ["groep"]),
        (LEERLINGEN, f"<leerlingen>{ONE}</leerlingen>", ["leerling"]),
        (LEERKRACHTEN, '<leerkrachten><leerkracht key="K"/></leerkrachten>', ["leerkracht"]),
        (LEERKRACHTEN, "", []),
    ],
)
def test_the_staged_answers(call: Call, inside: str, kinds: list[str]) -> None:
    said, kept = told(data(SCHOOL + inside, call), call)
    assert (said, [kind for kind, _ in kept.records]) == (Said.DATA, kinds)


def test_whose_it_is() -> None:
    school = (
        "<school><schooljaar>2026-2027</schooljaar><peildatum>2026-11-02</peildatum>"
        "<brincode>99xx</brincode><dependancecode>01</dependancecode>"
        "<aanmaakdatum>2026-11-02T03:00:00.5+01:00</aanmaakdatum><xsdversie>2.3</xsdversie>"
        "<toevoegingen><blok/></toevoegingen></school>"
    )
    _, kept = told(data(school))
    assert kept.headers == [
        Header("2026-2027", "99XX", "01", "", "2026-11-02T03:00:00.5+01:00", "2.3")
    ]
    wrong = school.replace("2026-11-02T03:00:00.5+01:00", "gisteren")
    assert told(data(wrong))[1].headers[0].aanmaakdatum == ""


@pytest.mark.parametrize(
    "inside",
    [
        "",
        data(""),
        data(f"<leerlingen>{ONE}</leerlingen>"),
        data(f"<leerlingen>{ONE}</leerlingen>{SCHOOL}"),
        data(SCHOOL + SCHOOL),
        data(f"{SCHOOL}<leerlingen>{ONE}</leerlingen><leerlingen/>"),
        data(SCHOOL) + data(SCHOOL),
        data(SCHOOL) + "<geengegevens/>",
        "<geenwijzigingen/><geengegevens/>",
        f"<school/>{ONE}",
    ],
)
def test_what_is_no_answer_is_refused(inside: str) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        told(inside)
    assert caught.value.where
    assert "Voorbeeld" not in str(caught.value)


def test_an_answer_to_another_question_is_none() -> None:
    with pytest.raises(ProtocolViolationError):
        told(data(SCHOOL), around="structuur_antwoord")


def test_records_that_stand_elsewhere_are_not_read() -> None:
    inside = (
        f'{SCHOOL}<vestigingen>{ONE}</vestigingen><leerkrachten>{ONE}<leerkracht key="K1"/>'
        f"</leerkrachten><nieuw><leerlingen>{ONE}</leerlingen></nieuw>"
    )
    assert told(data(inside))[1].records == [("leerkracht", "K1")]


# -- whose answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "header"),
    [
        (Place("99XX", "01"), HEAD),
        (Place("99XX", "01"), Header("2026-2027", "99XX", "", "", "", "")),
        (Place("99XX"), Header("2026-2027", "99XX", "00", "", "", "")),
        (Place("99XX", "00"), Header("2026-2027", "99XX", "", "", "", "")),
        (Place(schoolkey="S"), Header("2026-2027", "", "", "S", "", "")),
        (Place(schoolkey="S"), Header("2026-2027", "99XX", "01", "", "", "")),
    ],
)
def test_an_answer_about_what_was_asked(place: Place, header: Header) -> None:
    check_header(header, Question(place, "2026-2027", "2.2"), operation="x")


@pytest.mark.parametrize(
    ("place", "header", "where"),
    [
        (Place("99XX", "01"), Header("2025-2026", "99XX", "01", "", "", ""), "schooljaar"),
        (Place("99XX", "01"), Header("", "99XX", "01", "", "", ""), "schooljaar"),
        (Place("99XX", "01"), Header("2026-2027", "88AA", "01", "", "", ""), "brincode"),
        (Place("99XX", "01"), Header("2026-2027", "", "", "S", "", ""), "brincode"),
        (Place("99XX", "01"), Header("2026-2027", "99XX", "02", "", "", ""), "dependancecode"),
        (Place("99XX"), Header("2026-2027", "99XX", "02", "", "", ""), "dependancecode"),
        (Place(schoolkey="S"), Header("2026-2027", "", "", "T", "", ""), "schoolkey"),
    ],
)
def test_an_answer_about_something_else_is_refused(
    place: Place, header: Header, where: str
) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        check_header(header, Question(place, "2026-2027", "2.2"), operation="x")
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2026-11-02T03:00:00Z", True),
        ("2026-11-02T03:00:00", True),
        ("2026-11-02T03:00:00.123+01:00", True),
        ("2026-11-02", False),
        ("2026-11-02T03:00:00Z<x/>", False),
        ("", False),
    ],
)
def test_a_moment(text: str, good: bool) -> None:
    assert is_moment(text) is good


# -- a delivery ------------------------------------------------------------------------------------


def delivery(inside: str, school: str = SCHOOL) -> Delivery:
    agreed = {name: allowed(Profiel.SMAL, "2.2", name) | {"eckid"} for name in SECTIONS}
    made = Delivery(QUESTION, operation="x", allowed=agreed)
    name, asked = WHOLE.answer, wanted(WHOLE)
    document = f'<{name} xmlns="{LG}">{data(school + inside)}</{name}>'
    events = elements([document.encode()], ends=asked.ends, starts=asked.starts)
    assert read_answer(WHOLE, events, harvest=made) is Said.DATA
    return made


def test_a_part_that_is_not_there_was_not_read() -> None:
    made = delivery(f"<leerlingen>{ONE}</leerlingen>")
    assert made.completeness("leerling").complete
    for resource in ("groep", "leerkracht"):
        assert "no part" in made.completeness(resource).reason
    assert not made.contract("groep", "2.2").delivers("leerkrachten")


def test_a_field_that_nobody_has_is_not_delivered_and_one_that_goes_with_another_is() -> None:
    terms = delivery(f"<leerlingen>{ONE}</leerlingen>").contract("leerling", "2.2")
    assert terms.delivers("voorvoegsel")  # goes with achternaam
    assert terms.delivers("samengestelde_groepen")
    assert not terms.delivers("roepnaam")
    assert not terms.delivers("geboortedatum")
    assert not terms.delivers("eckid")


def test_one_key_for_groups_of_both_kinds_is_no_key() -> None:
    made = delivery(
        '<groepen><groep key="G"><naam>1</naam></groep><samengestelde_groep key="G"/></groepen>'
    )
    assert made.completeness("groep").complete
    assert "came twice" in made.completeness("samengestelde_groep").reason


def test_a_cursor_goes_with_the_last_page_also_of_nothing() -> None:
    made = delivery("<groepen/>")
    assert [page.cursor for page in made.pages("groep", cursor="nu")] == ["nu"]
    assert list(made.pages("groep", cursor="")) == []


def test_an_answer_that_says_2_3_may_know_a_pupil_by_eck_id() -> None:
    school = SCHOOL.replace("</school>", "<xsdversie>2.3</xsdversie></school>")
    keyless = '<leerlingen><leerling eckid="https://ketenid.nl/x"/></leerlingen>'
    assert len(delivery(keyless).rejected["leerling"]) == 1
    assert not delivery(keyless, school).rejected["leerling"]
