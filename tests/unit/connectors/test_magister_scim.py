"""Magister's user accounts: what SCIM answers mean, and when all of them were seen."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Page
from connectors.errors import (
    ConnectorError,
    ParseError,
    ProtocolViolationError,
    RequestRefusedError,
)
from connectors.magister.records import Gebruiker
from connectors.magister.scim import Schema, read_page, read_schemas, read_total, read_user
from connectors.magister.users import UserLookup, UserReading
from connectors.magister.wire import LAYOUT
from connectors.protocols.parsing import parse_model
from connectors.protocols.rest import Answer

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
EXTRA = "urn:example:magister:2.0:User"

Tree = dict[str, Any]


def answer(body: Any, *, media_type: str = "application/scim+json") -> Answer:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Answer(200, media_type, raw, "magister", "GET Users")


def attribute(name: str, *below: str, returned: str = "default") -> Tree:
    found: Tree = {"name": name, "type": "string", "returned": returned}
    if below:
        found |= {"type": "complex", "subAttributes": [attribute(part) for part in below]}
    return found


NAME = attribute("name", "formatted", "givenName", "middleName", "familyName")
USER = [attribute("userName"), NAME, attribute("active")]


def schemas(core: list[Tree] | None = None, extra: list[Tree] | None = None) -> Answer:
    held = [
        {"id": CORE, "name": "User", "attributes": USER if core is None else core},
        {"id": EXTRA, "attributes": [attribute("stamnummer")] if extra is None else extra},
    ]
    return answer({"totalResults": 2, "Resources": held})


def schema(**changes: list[Tree]) -> Schema:
    return read_schemas(schemas(**changes), number="stamnummer", prefix="middleName")


def user(number: int, **more: Any) -> Tree:
    made: Tree = {
        "schemas": [CORE, EXTRA],
        "id": f"id-{number}",
        "userName": f"gebruiker{number}",
        "name": {"givenName": "Noor", "middleName": "van der", "familyName": "Zand"},
        "active": True,
        "meta": {"lastModified": "2026-11-02T03:00:00Z"},
        EXTRA: {"stamnummer": f"0{number}"},
    }
    return {name: value for name, value in (made | more).items() if value is not ...}


def body_of(given_user: Tree) -> Tree:
    page = read_page(answer({"totalResults": 1, "Resources": [given_user]}), schema())
    decoded: Tree = msgspec.json.decode(page.users[0].body)
    return decoded


# -- discovery -------------------------------------------------------------------------------------


def test_what_the_server_has_is_delivered_and_nothing_else() -> None:
    assert schema().number == (EXTRA.lower(), "stamnummer")
    assert all(schema().contract.fields.values())
    fewer = schema(core=[attribute("userName"), attribute("name", "familyName")]).contract
    assert {name for name, delivered in fewer.fields.items() if delivered} == {
        "id",
        "userName",
        "name",
        "name.familyName",
        "leerlingnummer",
    }


def test_what_comes_on_request_only_is_not_delivered() -> None:
    asked = [attribute("userName", returned="request"), NAME, attribute("active", returned="never")]
    contract = schema(core=asked).contract
    assert not contract.delivers("userName")
    assert not contract.delivers("active")


@pytest.mark.assumed("magister-scim-number")
@pytest.mark.parametrize("name", ["stamnummer", "STAMNUMMER", f"{EXTRA}:stamnummer"])
def test_the_pupil_number_is_found_by_its_name(name: str) -> None:
    found = read_schemas(schemas(), number=name, prefix="middleName")
    assert found.number == (EXTRA.lower(), "stamnummer")


def test_a_pupil_number_may_stand_among_the_attributes_of_a_user_itself() -> None:
    found = schema(core=[*USER, attribute("stamnummer")], extra=[])
    assert found.number == ("stamnummer",)


@pytest.mark.parametrize(
    "held", [{"extra": []}, {"core": [*USER, attribute("stamnummer")]}], ids=["none", "two"]
)
def test_without_one_pupil_number_nobody_is_taken_for_a_pupil(held: dict[str, list[Tree]]) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        schema(**held)
    assert caught.value.where == LAYOUT
    assert "scim_number" in caught.value.advice


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html/>", b'{"Resources": 1}', b'{"Resources": [{"attributes": []}]}'],
)
def test_a_list_of_schemas_that_is_none_is_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolationError):
        read_schemas(answer(body), number="stamnummer", prefix="middleName")


def test_what_is_dropped_is_cut_and_not_delivered() -> None:
    drop = frozenset({"name.givenName", "userName", "id"})
    cut = read_schemas(schemas(), number="stamnummer", prefix="middleName", drop=drop)
    page = read_page(answer({"totalResults": 1, "Resources": [user(1)]}), cut)
    told = msgspec.json.decode(page.users[0].body)
    assert told.keys() == {"active", "id", "leerlingnummer", "name"}
    assert told["name"].keys() == {"familyName", "middleName"}
    delivered = {name for name, sent in cut.contract.fields.items() if sent}
    assert delivered == {"id", "leerlingnummer", "active", "name"} | {
        "name.familyName",
        "name.middleName",
    }
    whole = read_schemas(
        schemas(), number="stamnummer", prefix="middleName", drop=frozenset({"name"})
    )
    assert not whole.contract.delivers("name.familyName")


# -- users -----------------------------------------------------------------------------------------


def test_a_user_is_read_into_names_of_our_own() -> None:
    assert body_of(user(1)) == {
        "active": True,
        "id": "id-1",
        "leerlingnummer": "01",
        "name": {"familyName": "Zand", "givenName": "Noor", "middleName": "van der"},
        "userName": "gebruiker1",
    }


@pytest.mark.assumed("magister-scim-name")
def test_the_prefix_is_read_from_the_attribute_that_is_set() -> None:
    core = [attribute("userName"), attribute("name", "familyName", "tussenvoegsel")]
    found = read_schemas(schemas(core=core), number="stamnummer", prefix="tussenvoegsel")
    assert found.contract.delivers("name.middleName")
    one = user(1, name={"familyName": "Zand", "tussenvoegsel": "van"})
    page = read_page(answer({"totalResults": 1, "Resources": [one]}), found)
    told = msgspec.json.decode(page.users[0].body)["name"]
    assert told == {"familyName": "Zand", "middleName": "van"}


def test_attribute_names_have_no_case() -> None:
    shouted = {name.upper(): value for name, value in user(1).items()}
    shouted["NAME"] = {name.upper(): value for name, value in user(1)["name"].items()}
    shouted[EXTRA.upper()] = {"Stamnummer": "01"}
    assert body_of(shouted) == body_of(user(1))


def test_what_is_not_read_leaves_its_name_and_no_value() -> None:
    more = {"emails": [{"value": "noor@example.nl"}], EXTRA: {"stamnummer": "01", "bsn": "999"}}
    told = body_of(user(1, **more))
    parsed = parse_model(Gebruiker, msgspec.json.encode(told), key_field="id")
    assert set(parsed.unknown) == {"emails", "bsn"}
    assert "noor@example.nl" not in str(told)
    assert "999" not in str(told)


def test_a_name_beside_ours_takes_no_value_away() -> None:
    told = body_of(user(1, leerlingnummer="x", stamnummer="y"))
    assert told["leerlingnummer"] == "01"
    assert told["stamnummer"] is None


@pytest.mark.parametrize("number", [None, "", ...])
def test_who_has_no_number_is_no_pupil(number: Any) -> None:
    held = {} if number is ... else {"stamnummer": number}
    page = read_page(answer({"totalResults": 1, "Resources": [user(1, **{EXTRA: held})]}), schema())
    assert [one.has_number for one in page.users] == [False]


@pytest.mark.parametrize("key", [..., None, 7, "", "x" * 101, "a\nb", {"id": "x"}])
def test_an_id_that_can_be_no_key_is_none(key: Any) -> None:
    page = read_page(answer({"totalResults": 1, "Resources": [user(1, id=key)]}), schema())
    assert [one.has_key for one in page.users] == [False]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b"[]",
        {"Resources": []},
        {"totalResults": "3"},
        {"totalResults": -1},
        {"totalResults": 10**6},
        {"totalResults": 1, "Resources": ["secret"]},
        {"totalResults": 1, "Resources": {"id": "secret"}},
        b'{"totalResults": 1, "Resources": [' + b"[" * 9_000,
    ],
)
def test_a_list_that_is_none_is_a_violation_without_its_content(body: Any) -> None:
    with pytest.raises(ProtocolViolationError) as caught:
        read_page(answer(body), schema())
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "ID", "name", "givenName", EXTRA, "stamnummer", "meta", "x"])
            | st.text(max_size=4),
            below,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_any_answer_is_read_or_refused_by_an_error_of_our_own(body: bytes) -> None:
    for step in (
        lambda: read_page(answer(body), schema()),
        lambda: read_user(answer(body), schema()),
        lambda: read_schemas(answer(body), number="stamnummer", prefix="middleName"),
        lambda: read_total(answer(body)),
    ):
        with suppress(ProtocolViolationError):
            step()


@given(JSON)
def test_any_user_is_one_body_that_can_be_parsed_or_quarantined(one: Any) -> None:
    hostile = {"totalResults": 1, "Resources": [one if isinstance(one, dict) else {"id": one}]}
    for read_one in read_page(answer(hostile), schema()).users:
        told = msgspec.json.decode(read_one.body)
        assert told.get("meta") is None, "what is not read leaves no value"
        with suppress(ParseError):
            parse_model(Gebruiker, read_one.body, key_field="id")


def test_a_user_shows_nothing_of_itself() -> None:
    page = read_page(answer({"totalResults": 1, "Resources": [user(1)]}), schema())
    assert not {"id-1", "Zand", "gebruiker1", "01"} & set(re.findall(r"[\w-]+", repr(page)))


def test_html_that_calls_itself_so_is_a_violation() -> None:
    with pytest.raises(ProtocolViolationError):
        read_total(answer(b"<html/>", media_type="text/html"))


# -- a whole reading -------------------------------------------------------------------------------

Before = Callable[[int, list[Tree]], None]


class Source:
    """A list of users behind `startIndex` and `count`; `before` may change it before each call.

    Args:
        users: who there is.
        most: how many a page holds at most, whatever is asked.
        says: what an answer says otherwise.
    """

    def __init__(
        self, users: list[Tree], *, before: Before | None = None, most: int = 1000, **says: Any
    ) -> None:
        self.users = users
        self.before = before
        self.most = most
        self.says = says
        self.asked: list[int] = []

    def __call__(self, start: int, amount: int) -> Answer:
        if self.before is not None:
            self.before(len(self.asked), self.users)
        self.asked.append(start)
        some = self.users[start - 1 : start - 1 + min(amount, self.most)]
        told: Tree = {
            "totalResults": len(self.users),
            "Resources": some,
            "startIndex": start,
            "itemsPerPage": len(some),
        }
        return answer(told | self.says)


def read(source: Source, *, amount: int = 3) -> tuple[list[Page], UserReading]:
    reading = UserReading(schema, source, amount=amount)
    return list(reading), reading


def keys(pages: list[Page]) -> list[str]:
    return [key for page in pages for key in page.keys]


def people(count: int, *, staff: int = 0) -> list[Tree]:
    return [*map(user, range(count)), *(user(900 + n, **{EXTRA: ...}) for n in range(staff))]


@given(st.integers(1, 30), st.integers(0, 10), st.integers(2, 9), st.integers(2, 9))
def test_a_quiet_list_of_any_length_is_read_once_and_whole(
    pupils: int, staff: int, amount: int, most: int
) -> None:
    source = Source(people(pupils, staff=staff), most=most)
    pages, reading = read(source, amount=amount)
    assert keys(pages) == [f"id-{n}" for n in range(pupils)]
    assert reading.completeness.complete
    assert reading.others == staff


@given(st.data())
def test_a_list_that_changes_while_it_is_read_never_hides_a_pupil(data: st.DataObject) -> None:
    """Whoever was there before and after, and did not come, makes the reading incomplete."""

    def before(call: int, users: list[Tree]) -> None:
        for _ in range(data.draw(st.integers(0, 2)) if call else 0):
            at = data.draw(st.integers(0, len(users)))
            if data.draw(st.booleans()):
                users.insert(at, user(100 + call * 10 + len(users)))
            elif at < len(users):
                del users[at]

    source = Source(people(data.draw(st.integers(4, 12))), before=before)
    there = {one["id"] for one in source.users}
    pages, reading = read(source)
    stayed = there & {one["id"] for one in source.users}
    assert len(set(keys(pages))) == len(keys(pages))
    if reading.completeness.complete:
        assert set(keys(pages)) >= stayed


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"totalResults": 12}, "different users came of 12"),
        ({"startIndex": 2}, "another page"),
        ({"itemsPerPage": 1}, "another number of users"),
        ({"Resources": []}, "another number of users"),
    ],
)
def test_an_answer_that_contradicts_itself_is_not_complete(says: Tree, reason: str) -> None:
    _, reading = read(Source(people(7), **says))
    assert not reading.completeness.complete
    assert reason in reading.completeness.reason
    assert reading.completeness.advice


def test_a_list_that_shrinks_and_grows_alike_is_noticed() -> None:
    def before(call: int, users: list[Tree]) -> None:
        if call == 1:
            del users[0]
            users.append(user(50))

    _, reading = read(Source(people(7), before=before))
    assert "shifted" in reading.completeness.reason


def test_a_server_that_sends_everything_at_once_is_not_believed_blindly() -> None:
    def before(call: int, users: list[Tree]) -> None:
        if call == 0:
            users.append(dict(users[0]))

    pages, reading = read(Source(people(3), before=before), amount=10)
    assert keys(pages) == ["id-0", "id-1", "id-2"]
    assert "came twice" in reading.completeness.reason


def test_a_server_that_repeats_its_first_page_for_ever_is_left() -> None:
    source = Source([], totalResults=9, Resources=people(3), startIndex=1, itemsPerPage=3)
    pages, reading = read(source)
    assert keys(pages) == ["id-0", "id-1", "id-2"]
    assert not reading.completeness.complete
    assert len(source.asked) < 9


def test_a_total_that_grows_for_ever_ends() -> None:
    def before(_: int, users: list[Tree]) -> None:
        users.extend(user(len(users) + n) for n in range(3))

    _, reading = read(Source(people(4), before=before))
    assert "total changed" in reading.completeness.reason


@pytest.mark.parametrize(
    ("users", "reason"),
    [([], "no user is shown"), (people(0, staff=4), "no user has a pupil number")],
)
def test_nobody_is_never_everybody_gone(users: list[Tree], reason: str) -> None:
    pages, reading = read(Source(users))
    assert keys(pages) == []
    assert reading.completeness.reason == reason


def test_a_pupil_without_an_id_is_handed_over_as_rejected() -> None:
    users = people(4)
    del users[1]["id"]
    pages, reading = read(Source(users))
    assert keys(pages) == ["id-0", "id-2", "id-3"]
    assert [error.path for page in pages for error, _ in page.rejected] == ["id"]
    assert "no usable id" in reading.completeness.reason


def test_a_reading_that_breaks_off_is_not_complete() -> None:
    reading = UserReading(schema, Source(people(9)), amount=3)
    next(iter(reading))
    assert not reading.completeness.complete


def test_others_are_counted_in_the_log_and_named_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read(Source(people(2, staff=3)))
    assert "2 pupils; 3 without a pupil number" in caplog.text
    assert "gebruiker" not in caplog.text


# -- look-ups --------------------------------------------------------------------------------------


def test_a_lookup_gives_who_is_shown_and_a_pupil() -> None:
    shown = {"id-1": user(1), "id-2": user(2, **{EXTRA: ...}), "id-3": user(4)}

    def ask(key: str) -> Answer:
        if key not in shown:
            raise RequestRefusedError("no", code="404")
        return answer(shown[key])

    wanted = ["id-1", "id-1", "id-2", "id-3", "id-9"]  # twice; staff; another one came; unknown
    reading = UserLookup(schema, ask, wanted=wanted)
    assert keys(list(reading)) == ["id-1"]
    assert reading.contract.delivers("userName")
    assert not reading.completeness.complete


def test_a_lookup_that_is_refused_is_not_an_empty_one() -> None:
    def ask(_: str) -> Answer:
        raise RequestRefusedError("no", code="403")

    with pytest.raises(ConnectorError):
        list(UserLookup(schema, ask, wanted=["id-1"]))
