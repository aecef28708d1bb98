"""The Magister connector against its sandbox: the common suite, and each misbehaviour's outcome.

Lists have no pages, no total and no delta (magister.md, section 7): what the suite does to a second
page is done to the one list. A list that comes with fewer rows than before cannot be told from a
school that shrank, by nobody; the engine's guards judge that.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from connectors.base import Layer
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    ProtocolViolationError,
    RateLimitedError,
    RequestRefusedError,
    SourceUnavailableError,
)
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.magister import MagisterSandbox
from tests.contract.suite import ConnectorSuite, Harness, keys, read
from tests.support.magister import TODAY, MagisterHarness, asked


class TestMagisterAsAnyConnector(ConnectorSuite):
    """The common suite, over CSV."""

    @pytest.fixture
    def harness(self, magister: MagisterHarness) -> Harness:
        return magister


@pytest.fixture
def harness(magister: MagisterHarness) -> MagisterHarness:
    return magister


@pytest.fixture
def sandbox(magister: MagisterHarness) -> MagisterSandbox:
    return magister.sandbox


# -- what a list holds -----------------------------------------------------------------------------


def test_csv_and_xml_give_the_same_records(harness: MagisterHarness) -> None:
    connectors = [harness.connect(format=form) for form in ("csv", "xml")]
    scopes = connectors[0].scopes(today=TODAY)
    assert scopes == connectors[1].scopes(today=TODAY)
    for scope in scopes:
        (csv, first), (xml, second) = (harness.read_all(c, scope) for c in connectors)
        assert csv == xml
        assert csv
        assert first.contract.fields == second.contract.fields


def test_each_list_is_asked_once_for_all_its_scopes(
    harness: MagisterHarness, sandbox: MagisterSandbox
) -> None:
    connector = harness.connect()
    for scope in connector.scopes(today=TODAY):
        read(connector.snapshot(scope))
    names = asked(sandbox)
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"presentis-vestigingen"}  # first for the numbers of the school
    assert names.count("Login") == 1


def test_a_scope_that_is_read_again_is_fetched_again(
    harness: MagisterHarness, sandbox: MagisterSandbox
) -> None:
    connector = harness.connect(resources=("leerling",))
    for scope in list(connector.scopes(today=TODAY)) * 2:
        read(connector.snapshot(scope))
    assert asked(sandbox).count("presentis-leerlingen") == 2


def test_enrolments_are_folded_and_the_newest_shows_the_person(harness: MagisterHarness) -> None:
    later = {"aanmelding_id": "999999", "begindatum": "2026-10-01", "roepnaam": "Later"}
    harness.arm(faults.RepeatedRow(at=2, change=later))
    key = harness.rows("presentis-leerlingen")[2]["leer_id"]
    bodies, reading = harness.read_all(harness.connect(), harness.scope())
    assert [a["aanmelding_id"] for a in bodies[key]["aanmeldingen"]][-1] == "999999"
    assert len(bodies[key]["aanmeldingen"]) == 2
    assert bodies[key]["roepnaam"] == "Later"
    assert reading.completeness.complete


def test_a_row_that_comes_twice_counts_once(harness: MagisterHarness) -> None:
    before, _ = harness.read_all(harness.connect(), harness.scope())
    harness.arm(faults.RepeatedRow(at=4))
    after, reading = harness.read_all(harness.connect(), harness.scope())
    assert after == before
    assert reading.completeness.complete


def test_a_pupil_without_a_class_is_a_pupil(harness: MagisterHarness) -> None:
    harness.arm(faults.ChangedRow(at=2, change={"klas": "", "klas_id": ""}))
    key = harness.rows("presentis-leerlingen")[2]["leer_id"]
    bodies, reading = harness.read_all(harness.connect(), harness.scope())
    assert "klas_id" not in bodies[key]["aanmeldingen"][0]
    assert sorted(bodies) == harness.truth(harness.scope())
    assert reading.completeness.complete


@pytest.mark.parametrize("form", ["csv", "xml"])
def test_accents_survive_another_encoding_than_was_asked(
    harness: MagisterHarness, form: str
) -> None:
    before, _ = harness.read_all(harness.connect(), harness.scope())
    harness.arm(faults.Encoded(encoding="cp1252"))
    after, _ = harness.read_all(harness.connect(format=form), harness.scope())
    _same_where_it_can_be(before, after)


def test_ansi_is_asked_for_where_it_is_set(harness: MagisterHarness) -> None:
    before, _ = harness.read_all(harness.connect(), harness.scope())
    after, _ = harness.read_all(harness.connect(encoding="ansi"), harness.scope())
    _same_where_it_can_be(before, after)


def _same_where_it_can_be(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Windows-1252 has no `ễ`: the source itself makes a question mark of it."""
    expected = {key: str(body).encode("cp1252", "replace") for key, body in before.items()}
    assert {key: str(body).encode("cp1252") for key, body in after.items()} == expected
    assert any("ö" in str(body) or "ç" in str(body) for body in after.values())


def test_a_column_that_nobody_asked_for_is_reported_and_its_value_cut(
    harness: MagisterHarness,
) -> None:
    harness.arm(faults.ExtraColumn(column="medisch", value="Geheim dossier"))
    connector = harness.connect()
    reading = connector.snapshot(harness.scope())
    bodies = [body for page in reading for body in page.bodies]
    assert all(b"Geheim" not in body for body in bodies)
    assert connector.parse("leerling", bodies[0]).unknown == ("medisch",)
    assert reading.completeness.complete


def test_a_number_in_a_list_of_another_purpose_is_cut(harness: MagisterHarness) -> None:
    harness.arm(faults.ExtraColumn(column="BSN", value="900000016"))
    drop = frozenset({"leerling.bsn", "leerling.onderwijsnummer"})
    connector = harness.connect(drop=drop)
    reading = connector.snapshot(harness.scope())
    bodies = [body for page in reading for body in page.bodies]
    assert all(b"900000016" not in body for body in bodies)
    assert not reading.contract.delivers("bsn")


def test_the_eck_id_comes_only_where_the_school_has_it(harness: MagisterHarness) -> None:
    _, reading = harness.read_all(harness.connect(), harness.scope())
    assert not reading.contract.delivers("eckid")
    harness.sandbox.administration.eckid = True
    _, reading = harness.read_all(harness.connect(), harness.scope())
    assert reading.contract.delivers("eckid")


def test_a_dropped_field_is_cut_at_intake(harness: MagisterHarness) -> None:
    drop = frozenset({"leerling.email", "leerling.aanmeldingen.pro_indicatie", "leerling.leer_id"})
    bodies, reading = harness.read_all(harness.connect(drop=drop), harness.scope())
    assert sorted(bodies) == harness.truth(harness.scope())  # a key cannot be dropped
    assert not any("email" in body for body in bodies.values())
    assert not any("pro_indicatie" in a for b in bodies.values() for a in b["aanmeldingen"])
    assert not reading.contract.delivers("email")
    assert not reading.contract.delivers("aanmeldingen.pro_indicatie")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"studie_wel": "PRO.*"}, "PRO"),
        ({"klas_niet": "[^P].*"}, "P"),
    ],
)
def test_who_is_filtered_out_is_in_no_list(
    harness: MagisterHarness, options: dict[str, str], left: str
) -> None:
    connector = harness.connect(options=options)
    pupils, reading = harness.read_all(connector, harness.scope())
    assert pupils
    assert len(pupils) < len(harness.truth(harness.scope()))
    column = "studie" if left == "PRO" else "klas"
    assert all(a[column].startswith(left) for p in pupils.values() for a in p["aanmeldingen"])
    guardians, _ = harness.read_all(connector, harness.scope("verzorger", "SCHOOL"))
    children = {child["leer_id"] for body in guardians.values() for child in body["kinderen"]}
    groups, _ = harness.read_all(connector, harness.scope("groep"))
    members = {lid["leer_id"] for body in groups.values() for lid in body["leden"] or ()}
    later, _ = harness.read_all(connector, harness.scope(key="VOLGEND"))
    assert children | members <= set(pupils) | set(later)
    assert reading.completeness.complete


def test_filters_that_leave_nobody_close_nobody(harness: MagisterHarness) -> None:
    reading = harness.connect(studie_wel="niets").snapshot(harness.scope())
    assert keys(read(reading)) == []
    assert not reading.completeness.complete


# -- periods ---------------------------------------------------------------------------------------


def test_next_year_is_a_scope_of_its_own(harness: MagisterHarness) -> None:
    scopes = harness.connect(resources=("leerling", "groep")).scopes(today=TODAY)
    assert [(s.resource, s.key, s.rank, s.schooljaar) for s in scopes] == [
        ("leerling", "HUIDIG", 0, 2026),
        ("leerling", "VOLGEND", 1, 2027),
        ("groep", "HUIDIG", 0, 2026),
        ("groep", "VOLGEND", 1, 2027),
    ]


def test_a_next_year_that_was_not_made_yet_is_no_error(harness: MagisterHarness) -> None:
    harness.sandbox.administration.next_year = False
    scopes = harness.connect(resources=("leerling",)).scopes(today=TODAY)
    assert [scope.key for scope in scopes] == ["HUIDIG"]
    connector = harness.connect(resources=("leerling",), lesperiode_volgend="2728")
    here, later = connector.scopes(today=TODAY)
    assert keys(read(connector.snapshot(here)))
    reading = connector.snapshot(later)
    assert keys(read(reading)) == []
    assert reading.completeness.complete


def test_a_list_of_periods_without_this_year_says_so(harness: MagisterHarness) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        harness.connect().scopes(today=date(2030, 11, 2))
    assert "lesperiode" in caught.value.advice


def test_who_left_a_group_is_not_in_it(harness: MagisterHarness) -> None:
    row = harness.rows("presentis-groepsleden")[0]
    for day, is_there in (("2026-11-02", True), ("2026-11-01", False)):
        harness.arm(
            faults.ChangedRow(at=0, change={"einddatum": day}), "Layout=presentis-groepsleden"
        )
        connector = harness.connect(resources=("groep",))
        connector.scopes(today=TODAY)
        bodies, _ = harness.read_all(connector, harness.scope("groep"))
        members = {lid["leer_id"] for lid in bodies[row["groep_id"]]["leden"]}
        assert (row["leer_id"] in members) is is_there


# -- several lists in one record -----------------------------------------------------------------


def test_personal_numbers_are_not_even_asked_without_a_purpose(
    harness: MagisterHarness, sandbox: MagisterSandbox
) -> None:
    drop = frozenset({"leerling.bsn", "leerling.onderwijsnummer", "bsn", "onderwijsnummer"})
    connector = harness.connect(drop=drop)
    bodies, reading = harness.read_all(connector, harness.scope())
    assert not any({"bsn", "onderwijsnummer"} & body.keys() for body in bodies.values())
    assert not reading.contract.delivers("bsn")
    connector.check()
    assert "presentis-pgn" not in asked(sandbox)


def test_personal_numbers_come_with_a_purpose(harness: MagisterHarness) -> None:
    numbers = {row["leer_id"]: row["bsn"] for row in harness.rows("presentis-pgn")}
    drop = frozenset({"leerling.onderwijsnummer"})
    bodies, reading = harness.read_all(harness.connect(drop=drop), harness.scope())
    assert {key: body.get("bsn") for key, body in bodies.items()} == {
        key: numbers.get(key) or None for key in bodies
    }
    assert reading.contract.delivers("bsn")
    assert not reading.contract.delivers("onderwijsnummer")


@pytest.mark.parametrize(
    ("layout", "resource", "field"),
    [
        ("presentis-pgn", "leerling", "bsn"),
        ("presentis-docentgroepen", "groep", "docenten"),
    ],
)
@pytest.mark.parametrize(
    "fault",
    [
        faults.NoRight(),
        faults.GeneralFailure(),
        faults.MissingColumn(),
        faults.ZeroRows(),
    ],
    ids=["10", "EMGeneralFailure", "no key", "zero rows"],
)
def test_what_stands_by_itself_is_not_delivered_and_the_rest_goes_on(
    harness: MagisterHarness, layout: str, resource: str, field: str, fault: AnyFault
) -> None:
    if isinstance(fault, faults.MissingColumn):
        mine = {"presentis-pgn": "leer_id", "presentis-docentgroepen": "pers_id"}[layout]
        fault = msgspec.structs.replace(fault, column=mine)
    for form in ("csv", "xml") if isinstance(fault, faults.MissingColumn) else ("csv",):
        harness.arm(fault, f"Layout={layout}")
        bodies, reading = harness.read_all(harness.connect(format=form), harness.scope(resource))
        assert sorted(bodies) == harness.truth(harness.scope(resource))
        assert not reading.contract.delivers(field)
        assert reading.completeness.complete


def test_a_dropped_part_of_a_list_in_a_group_is_cut(harness: MagisterHarness) -> None:
    drop = frozenset({"groep.leden.vak_code", "groep.docenten"})
    bodies, reading = harness.read_all(harness.connect(drop=drop), harness.scope("groep"))
    assert not any("vak_code" in lid for body in bodies.values() for lid in body["leden"] or ())
    assert not any("docenten" in body for body in bodies.values())
    assert not reading.contract.delivers("docenten")


def test_groups_without_their_members_are_not_read(harness: MagisterHarness) -> None:
    harness.sandbox.magister.deny("presentis-groepsleden")
    with pytest.raises(RequestRefusedError) as caught:
        read(harness.connect().snapshot(harness.scope("groep")))
    assert "presentis-groepsleden" in caught.value.advice


def test_an_empty_list_of_members_empties_no_group(harness: MagisterHarness) -> None:
    harness.arm(faults.ZeroRows(), "Layout=presentis-groepsleden")
    _, reading = harness.read_all(harness.connect(), harness.scope("groep"))
    assert not reading.contract.delivers("leden")
    assert not reading.completeness.complete


def test_a_list_without_members_of_classes_says_nothing_of_them(harness: MagisterHarness) -> None:
    homes = {r["groep_id"] for r in harness.rows("presentis-groepen") if r["is_stamklas"] == "1"}
    harness.arm(
        faults.ChangedRow(at=None, change={"groep_id": "1"}), "Layout=presentis-groepsleden"
    )
    bodies, _ = harness.read_all(harness.connect(), harness.scope("groep"))
    assert {key for key, body in bodies.items() if body["leden"] is None} == homes & set(bodies)


# -- what costs rows, and what cannot be read -----------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "xml"])
@pytest.mark.parametrize(
    "fault",
    [
        faults.ZeroRows(),
        faults.ChangedRow(at=2, change={"aanmelding_id": ""}),
        faults.ChangedRow(at=2, change={"lesperiode": " "}),
    ],
    ids=["zero rows", "no id", "blank period"],
)
def test_what_may_have_cost_a_record_is_not_complete(
    harness: MagisterHarness, fault: AnyFault, form: str
) -> None:
    harness.arm(fault)
    reading = harness.connect(format=form).snapshot(harness.scope())
    read(reading)
    assert not reading.completeness.complete
    assert reading.completeness.advice
    assert harness.sandbox.board.unmet == []


@pytest.mark.assumed("a list with fewer rows cannot be told from a school that shrank")
def test_fewer_rows_are_for_the_guards_of_the_engine(harness: MagisterHarness) -> None:
    harness.arm(faults.FewerRows(keep=0.4))
    reading = harness.connect().snapshot(harness.scope())
    assert 0 < len(keys(read(reading))) < len(harness.truth(harness.scope()))
    assert reading.completeness.complete


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (faults.ServerError(count=None), SourceUnavailableError, "opnieuw"),
        (faults.Reset(count=None), SourceUnavailableError, "opnieuw"),
        (faults.CutBody(count=None), SourceUnavailableError, "opnieuw"),
        (faults.RateLimited(retry_after=86400), RateLimitedError, "wacht"),
        (faults.HtmlPage(), ProtocolViolationError, "applicatiebeheerder"),
        (faults.NoTable(), ProtocolViolationError, "applicatiebeheerder"),
        (faults.NotJson(), ProtocolViolationError, ""),
        (faults.Redirect(), ProtocolViolationError, "adres"),
        (faults.HugeBody(), ProtocolViolationError, "ops"),
        (faults.NotFound(), RequestRefusedError, ""),
        (faults.NoRight(), RequestRefusedError, "presentis-leerlingen"),
        (faults.GeneralFailure(), RequestRefusedError, "presentis-leerlingen"),
        (faults.GeneralFailure(code="EConvertError"), ProtocolViolationError, "F9"),
        (faults.MissingColumn(column="stamnr"), ProtocolViolationError, "stamnr"),
        (faults.Unauthorized(count=None), AuthenticationError, "applicatiebeheerder"),
        (faults.LoginRefused(count=None), AuthenticationError, "applicatiebeheerder"),
    ],
)
def test_what_cannot_be_read_ends_the_scope_by_its_class(
    harness: MagisterHarness, fault: AnyFault, kind: type[ConnectorError], said: str
) -> None:
    harness.arm(fault)
    reading = harness.connect().snapshot(harness.scope())
    with pytest.raises(ConnectorError) as caught:
        read(reading)
    if not isinstance(fault, faults.NotJson):  # text that is no list: what of it fails is its form
        assert type(caught.value) is kind
    assert said in caught.value.advice
    assert not reading.completeness.complete


@pytest.mark.parametrize(
    "fault", [faults.HtmlPage(), faults.NoRight(), faults.MissingColumn(column="stamnr")]
)
def test_in_xml_as_in_csv(harness: MagisterHarness, fault: AnyFault) -> None:
    caught: list[tuple[type[ConnectorError], str]] = []
    for form in ("csv", "xml"):
        harness.arm(fault)
        with pytest.raises(ConnectorError) as error:
            read(harness.connect(format=form).snapshot(harness.scope()))
        caught.append((error.type, error.value.advice))
    assert caught[0] == caught[1]


def test_an_answer_that_hangs_ends_by_its_time_out(harness: MagisterHarness) -> None:
    harness.arm(faults.Hang(count=None))
    with pytest.raises(SourceUnavailableError):
        read(harness.connect(timeout=timedelta(seconds=0.2)).snapshot(harness.scope()))
    harness.sandbox.release()


def test_lists_of_another_version_stop_the_run(harness: MagisterHarness) -> None:
    harness.sandbox.administration.contract = "2"
    with pytest.raises(ProtocolViolationError) as caught:
        harness.connect().scopes(today=TODAY)
    assert caught.value.where == "layout"
    assert "versie 1" in caught.value.advice


def test_damaged_text_is_warned_of(
    harness: MagisterHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.arm(faults.Mojibake())
    read(harness.connect().snapshot(harness.scope()))
    assert "decoded wrongly" in caplog.text


# -- login -----------------------------------------------------------------------------------------


@pytest.mark.assumed("a token that is no longer good is refused with a text about it")
def test_a_token_that_expired_is_renewed_once(
    harness: MagisterHarness, sandbox: MagisterSandbox
) -> None:
    connector = harness.connect()
    connector.scopes(today=TODAY)
    sandbox.magister.expire_tokens()
    assert keys(read(connector.snapshot(harness.scope()))) == harness.truth(harness.scope())
    assert asked(sandbox).count("Login") == 2


def test_a_token_that_is_never_good_stops_the_source(
    harness: MagisterHarness, sandbox: MagisterSandbox
) -> None:
    harness.arm(faults.ExpiredToken(count=None))
    with pytest.raises(AuthenticationError):
        read(harness.connect().snapshot(harness.scope()))
    assert asked(sandbox).count("Login") == 2


def test_inline_the_password_is_the_token_and_nobody_logs_in(
    harness: MagisterHarness, sandbox: MagisterSandbox
) -> None:
    connector = harness.connect(token_mode="inline")
    assert keys(read(connector.snapshot(harness.scope()))) == harness.truth(harness.scope())
    assert "Login" not in asked(sandbox)
    assert {call.token for call in sandbox.calls} == {"inline"}
    with pytest.raises(AuthenticationError):
        harness.connect(token_mode="inline", password="x").scopes(today=TODAY)


def test_wrong_credentials_stop_the_source(harness: MagisterHarness) -> None:
    secret = harness.sandbox.account.password.strip()
    connector = harness.connect(password=secret)  # trimmed is not the same secret
    with pytest.raises(AuthenticationError):
        connector.scopes(today=TODAY)
    assert [r.layer for r in connector.check() if not r.ok] == [Layer.LOGIN]
