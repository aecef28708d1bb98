"""The connector names scopes, asks what it should, and cuts what must not come in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import respx

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import ConnectorFactory, DataClass, Layer, Link, Scope
from connectors.errors import RequestRefusedError
from connectors.somtoday.connector import SOMTODAY, SomtodayConnector

BASE = "https://api.example/rest/v1"
TOKEN_URL = "https://inloggen.example/oauth2/token"
ORGANISATION = "5a1d6a1e-0000-4000-8000-000000000001"
HAVEN = "0b6f3f0e-7f2c-4c1d-9d55-2f4e8d1a1001"
DUIN = "0b6f3f0e-7f2c-4c1d-9d55-2f4e8d1a1002"
PUPIL = "aa000000-0000-4000-8000-000000000001"
NOVEMBER, JUNE = date(2026, 11, 23), date(2027, 6, 1)

VESTIGINGEN = {
    "vestigingen": [
        {"uuid": HAVEN, "naam": "De Haven", "brins": ["99XX01"]},
        {"uuid": DUIN, "naam": "Het Duin", "brins": ["99XX02"]},
    ],
    "veldpermissies": {"uuid": True, "naam": True, "brins": True},
}
PUPILS = {
    "leerlingen": [
        {"uuid": PUPIL, "BSN": "123456782", "debiteurGegevens": {"iban": "NL00"}, "roepnaam": "N"}
    ],
    "veldpermissies": {"uuid": True, "BSN": True, "roepnaam": True},
}


def connect(
    *, resources: tuple[str, ...] = (), drop: frozenset[str] = frozenset(), **more: str
) -> SomtodayConnector:
    options = {
        "api_base": BASE,
        "token_url": TOKEN_URL,
        "organisation": ORGANISATION,
        "client_id": "client",
        "client_secret": "secret",
        "per_second": "0",
        **more,
    }
    link = Link("proef", options, resources=resources, drop=drop)
    return SOMTODAY.connect(link, clock=FixedClock(datetime(2026, 11, 23, tzinfo=UTC)))


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as made:
        made.post(TOKEN_URL).respond(200, json={"access_token": "t", "expires_in": 3600})
        made.get(f"{BASE}/connect/vestiging").respond(200, json=VESTIGINGEN)
        yield made


def once(body: dict[str, Any], key: str) -> Any:
    """Answers a list at offset 0, and an empty one behind it."""

    def respond(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("offset", "0"))
        return httpx.Response(200, json={**body, key: body[key][start:]})

    return respond


def pupils(vestiging: str = HAVEN, peil: str = "HUIDIG") -> Scope:
    return Scope("leerling", f"{vestiging}/{peil}")


def test_scopes_are_resource_by_location_by_year(router: respx.MockRouter) -> None:
    connector = connect(resources=("leerling", "vak", "vestiging"))
    found = [(s.resource, s.key, s.rank, s.schooljaar) for s in connector.scopes(today=JUNE)]
    assert found == [
        ("vestiging", "organisatie", 0, None),
        ("vak", HAVEN, 0, None),
        ("vak", DUIN, 0, None),
        ("leerling", f"{HAVEN}/HUIDIG", 0, 2026),
        ("leerling", f"{HAVEN}/VOLGEND", 1, 2027),
        ("leerling", f"{DUIN}/HUIDIG", 0, 2026),
        ("leerling", f"{DUIN}/VOLGEND", 1, 2027),
    ]


def test_a_scope_names_the_schools_that_it_belongs_to(router: respx.MockRouter) -> None:
    scopes = connect(resources=("vak", "vestiging")).scopes(today=NOVEMBER)
    assert [s.brins for s in scopes] == [
        ("99XX01", "99XX", "99XX02"),
        ("99XX01", "99XX"),
        ("99XX02", "99XX"),
    ]


def test_every_scope_says_whose_numbers_stand_in_it(router: respx.MockRouter) -> None:
    for name in ("", "magister"):
        scopes = connect(numbers_of=name).scopes(today=JUNE)
        assert {scope.numbers_of for scope in scopes} == {name}


def test_resources_are_read_in_the_order_of_the_manifest(router: respx.MockRouter) -> None:
    scopes = connect().scopes(today=NOVEMBER)
    assert list(dict.fromkeys(s.resource for s in scopes)) == [
        "instelling",
        "vestiging",
        "opleiding",
        "vak",
        "medewerker",
        "leerling",
        "ouderVerzorger",
        "stamgroep",
        "lesgroep",
    ]


def test_an_unknown_resource_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="kantine"):
        connect(resources=("kantine",))


@pytest.mark.parametrize("named", [HAVEN.upper(), "99xx01"])
def test_only_linked_locations_are_read(router: respx.MockRouter, named: str) -> None:
    connector = connect(resources=("vak", "vestiging"), vestigingen=named)
    scopes = connector.scopes(today=NOVEMBER)
    assert [s.key for s in scopes] == ["organisatie", HAVEN]
    assert [page.keys for page in connector.snapshot(scopes[0])] == [[HAVEN]]


def test_a_linked_location_that_is_not_listed_is_still_asked(router: respx.MockRouter) -> None:
    connector = connect(resources=("vak",), vestigingen=PUPIL)
    assert [s.key for s in connector.scopes(today=NOVEMBER)] == [PUPIL]


def test_a_linked_brin_that_is_not_listed_is_a_wrong_setting(router: respx.MockRouter) -> None:
    with pytest.raises(ConfigurationError, match="vestigingen"):
        connect(vestigingen="11AA00").scopes(today=NOVEMBER)


def test_a_hostile_location_key_never_reaches_a_path(router: respx.MockRouter) -> None:
    hostile = {**VESTIGINGEN, "vestigingen": [{"uuid": "../../x", "naam": "?"}]}
    router.get(f"{BASE}/connect/vestiging").respond(200, json=hostile)
    assert connect(resources=("vak",)).scopes(today=NOVEMBER) == []
    with pytest.raises(ConfigurationError):
        connect().snapshot(Scope("vak", "../../x"))


def test_the_year_and_the_permissions_are_asked(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling")
    route.mock(side_effect=once(PUPILS, "leerlingen"))
    list(connect().snapshot(pupils()))
    assert dict(route.calls[0].request.url.params) == {
        "offset": "0",
        "amount": "100",
        "veldpermissies": "true",
        "peilschooljaar": "HUIDIG",
    }


def test_what_must_be_dropped_leaves_the_connector_nowhere(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling")
    route.mock(side_effect=once(PUPILS, "leerlingen"))
    reading = connect(drop=frozenset({"leerling.BSN"})).snapshot(pupils())
    pages = list(reading)
    assert pages[0].bodies == [f'{{"uuid":"{PUPIL}","roepnaam":"N"}}'.encode()]
    assert reading.contract.delivers("roepnaam")
    assert not reading.contract.delivers("BSN")


def test_bank_data_is_cut_though_nobody_asked_for_it(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling")
    route.mock(side_effect=once(PUPILS, "leerlingen"))
    pages = list(connect().snapshot(pupils()))
    assert b"iban" not in pages[0].bodies[0]
    assert b"BSN" in pages[0].bodies[0]


def test_a_refused_location_is_not_asked_again_in_this_run(router: respx.MockRouter) -> None:
    route = router.get(url__startswith=f"{BASE}/connect/vestiging/{HAVEN}/").respond(401)
    connector = connect()
    for scope in (pupils(), Scope("lesgroep", f"{HAVEN}/HUIDIG")):
        with pytest.raises(RequestRefusedError) as caught:
            list(connector.snapshot(scope))
        assert caught.value.code == "401"
        assert "vestiging" in caught.value.advice
    assert route.call_count == 2  # once, and once more with a new token


def test_a_refused_next_year_leaves_this_year_readable(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling")

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("peilschooljaar") == "VOLGEND":
            return httpx.Response(401)
        answer: httpx.Response = once(PUPILS, "leerlingen")(request)
        return answer

    route.mock(side_effect=respond)
    connector = connect()
    with pytest.raises(RequestRefusedError):
        list(connector.snapshot(pupils(peil="VOLGEND")))
    reading = connector.snapshot(pupils())
    assert [page.keys for page in reading] == [[PUPIL]]
    assert reading.completeness.complete


def test_the_organisation_is_picked_from_the_public_list(router: respx.MockRouter) -> None:
    everyone = [{"uuid": DUIN, "naam": "Ander"}, {"uuid": ORGANISATION.upper(), "naam": "Wij"}]
    router.get(f"{BASE}/connect/instelling").respond(200, json={"instellingen": everyone})
    reading = connect().snapshot(Scope("instelling", "organisatie"))
    assert [page.keys for page in reading] == [[ORGANISATION.upper()]]
    assert reading.contract.delivers("naam")


def test_lookup_asks_by_key_and_says_under_which_contract(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling").respond(200, json=PUPILS)
    reading = connect(drop=frozenset({"leerling.BSN"})).lookup(pupils(), keys=[PUPIL, DUIN])
    (page,) = list(reading)
    assert page.keys == [PUPIL]
    assert b"BSN" not in page.bodies[0]
    assert reading.contract.delivers("roepnaam")
    assert not reading.contract.delivers("BSN")
    assert not reading.completeness.complete
    assert list(route.calls[0].request.url.params.multi_items()) == [
        ("uuid", PUPIL),
        ("uuid", DUIN),
        ("veldpermissies", "true"),
        ("peilschooljaar", "HUIDIG"),
        ("amount", "2"),
    ]


def test_many_keys_are_asked_in_few_calls(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling").respond(200, json=PUPILS)
    many = [f"aa000000-0000-4000-8000-{n:012d}" for n in range(1, 121)]
    pages = list(connect().lookup(pupils(), keys=many))
    assert route.call_count == 3
    assert [len(page.keys) for page in pages] == [1, 0, 0]


def test_lookup_of_another_record_than_asked_is_empty(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling").respond(200, json=PUPILS)
    assert [page.keys for page in connect().lookup(pupils(), keys=[DUIN])] == [[]]


def test_lookup_of_what_is_no_key_asks_nothing(router: respx.MockRouter) -> None:
    assert list(connect().lookup(pupils(), keys=["../account"])) == []
    assert router.calls.call_count == 0


def test_lookup_of_a_location_takes_no_amount(router: respx.MockRouter) -> None:
    scope = Scope("vestiging", "organisatie")
    assert [page.keys for page in connect().lookup(scope, keys=[DUIN])] == [[DUIN]]
    assert set(router.calls.last.request.url.params) == {"uuid", "veldpermissies"}


def test_lookup_of_a_dossier_that_is_not_shown_is_left_out(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling/{PUPIL}/voortgangsdossier").respond(404)
    reading = connect().lookup(Scope("voortgangsdossier", f"{HAVEN}/HUIDIG"), keys=[PUPIL])
    assert [page.keys for page in reading] == [[]]
    assert not reading.completeness.complete


def test_the_factory_is_what_an_entry_point_must_name() -> None:
    factory: ConnectorFactory = SOMTODAY
    assert factory.manifest.system == "somtoday"


def test_a_dossier_is_read_for_each_pupil(router: respx.MockRouter) -> None:
    route = router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling")
    route.mock(side_effect=once(PUPILS, "leerlingen"))
    dossier = {"voortgangsdossiers": [], "veldpermissies": {"vakuuid": True}}
    router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling/{PUPIL}/voortgangsdossier").respond(
        200, json=dossier
    )
    connector = connect(resources=("voortgangsdossier",))
    (first, _) = connector.scopes(today=JUNE)
    reading = connector.snapshot(first)
    (page,) = list(reading)
    assert page.keys == [PUPIL]
    assert connector.parse("voortgangsdossier", page.bodies[0]).problems == ()
    assert reading.completeness.complete


def layers(connector: SomtodayConnector) -> list[tuple[Layer, bool]]:
    results = connector.check()
    assert all(result.ok or result.advice for result in results)
    return [(result.layer, result.ok) for result in results]


def test_check_proves_every_layer_and_reads_no_pupil(router: respx.MockRouter) -> None:
    route = router.get(url__regex=rf"{BASE}/connect/vestiging/.*/leerling")
    route.respond(200, json={"leerlingen": [], "veldpermissies": {"uuid": True}})
    found = layers(connect())
    assert found == [
        (Layer.NETWORK, True),
        (Layer.TLS, True),
        (Layer.LOGIN, True),
        (Layer.RIGHTS, True),
        (Layer.SHAPE, True),
    ]
    asked = {call.request.url.params["uuid"] for call in route.calls}
    assert asked == {"00000000-0000-0000-0000-000000000000"}


@pytest.mark.parametrize(
    ("token", "failing"),
    [
        (httpx.Response(401), Layer.LOGIN),
        (httpx.Response(503), Layer.NETWORK),
        (httpx.Response(200, text="<html>"), Layer.SHAPE),
        (httpx.ConnectError("x"), Layer.NETWORK),
    ],
)
def test_check_stops_at_the_layer_that_fails(
    router: respx.MockRouter, token: Any, failing: Layer
) -> None:
    router.post(TOKEN_URL).mock(side_effect=lambda _request: _answer(token))
    assert layers(connect())[-1] == (failing, False)


def _answer(given: Any) -> httpx.Response:
    if isinstance(given, Exception):
        raise given
    return httpx.Response(given.status_code, content=given.content, headers=given.headers)


def test_check_names_the_location_that_refuses(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/connect/vestiging/{HAVEN}/leerling").respond(
        200, json={"leerlingen": [], "veldpermissies": {"uuid": True}}
    )
    router.get(f"{BASE}/connect/vestiging/{DUIN}/leerling").respond(401)
    last = connect().check()[-1]
    assert (last.layer, last.ok) == (Layer.RIGHTS, False)
    assert DUIN in last.message
    assert HAVEN not in last.message


def test_check_finds_an_answer_without_field_permissions(router: respx.MockRouter) -> None:
    router.get(f"{BASE}/connect/vestiging").respond(200, json={"vestigingen": []})
    assert layers(connect())[-1] == (Layer.SHAPE, False)


def test_the_manifest_classes_personal_numbers_as_special() -> None:
    manifest = SOMTODAY.manifest
    special = {
        (resource.name, name)
        for resource in manifest.resources
        for name, kind in resource.fields.items()
        if kind is DataClass.SPECIAL
    }
    assert special == {("leerling", "BSN"), ("medewerker", "bsn")}
    assert not any("debiteur" in n for r in manifest.resources for n in r.fields)
    assert len({a.name for a in manifest.assumptions}) == len(manifest.assumptions)


def test_only_the_secret_is_a_secret() -> None:
    assert [s.name for s in SOMTODAY.manifest.settings if s.secret] == ["client_secret"]
