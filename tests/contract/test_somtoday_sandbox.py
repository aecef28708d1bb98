"""The Somtoday sandbox against the published description and the rules of specs/somtoday.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fixtures.sandbox.somtoday import Credentials, SomtodaySandbox
from fixtures.school.changes import Changes
from fixtures.school.day import Day
from fixtures.school.files import PageFiles
from fixtures.school.pages import COLLECTIONS
from fixtures.school.plan import WIDE, Rights, Shape, plan_school
from fixtures.school.school import School
from tests.contract.conftest import SandboxMaker

LISTS = ("leerling", "plaatsing", "stamgroep/", "lesgroep/", "ouderVerzorger/", "medewerker")


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A bare client: no retries, no redirects."""

    def __init__(self, sandbox: SomtodaySandbox, school: School | None = None) -> None:
        self.sandbox = sandbox
        self.school = school or sandbox.school
        self.http = httpx.Client(timeout=5, headers={"Accept": "application/json"})

    def token(self, **overrides: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.credentials.client_id,
            "client_secret": self.sandbox.credentials.client_secret,
        } | overrides
        return self.http.post(
            self.sandbox.token_url, params={"organisation": self.school.uuid}, data=form
        )

    def login(self) -> Client:
        self.http.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"
        return self

    def get(self, path: str, *, vestiging: int | None = 0, **params: object) -> httpx.Response:
        place = "" if vestiging is None else f"/{self.school.vestiging_uuid(vestiging)}/"
        base = f"{self.sandbox.api_base}/connect"
        url = f"{base}/{path}" if vestiging is None else f"{base}/vestiging{place}{path}"
        return self.http.get(url, params={k: str(v) for k, v in params.items()})

    def all(
        self, path: str, *, amount: int = 100, vestiging: int = 0, **params: object
    ) -> list[Any]:
        found: list[Any] = []
        while True:
            answer = self.get(
                path, vestiging=vestiging, amount=amount, offset=len(found), **params
            ).json()
            records = next(value for value in answer.values() if isinstance(value, list))
            if not records:
                return found
            found += records


@pytest.fixture
def school() -> School:
    return School(plan_school(430))


@pytest.fixture
def client(checked_sandbox: SandboxMaker, school: School) -> Iterator[Client]:
    made = Client(checked_sandbox(school)).login()
    yield made
    made.http.close()


@pytest.fixture
def loose(request: pytest.FixtureRequest, school: School) -> Iterator[Client]:
    """A client whose requests are not judged: they are wrong on purpose."""
    request.node.add_marker("asks_wrongly")
    with SomtodaySandbox(school) as sandbox:
        made = Client(sandbox).login()
        yield made
        made.http.close()


# -- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("peil", [None, "HUIDIG", "VOLGEND"])
@pytest.mark.parametrize("vestiging", [0, 1])
def test_every_list_of_every_year_fits_the_description(
    client: Client, vestiging: int, peil: str | None
) -> None:
    params = {} if peil is None else {"peilschooljaar": peil}
    for path in LISTS:
        first = client.get(
            path, vestiging=vestiging, amount=50, veldpermissies="true", **params
        ).json()
        assert first[COLLECTIONS[path.rstrip("/")]]
        assert first["veldpermissies"]["uuid"] is True


def test_organisation_subjects_accounts_and_dossiers_fit_the_description(client: Client) -> None:
    assert len(client.get("instelling", vestiging=None).json()["instellingen"]) == 1
    both = client.get("vestiging", vestiging=None, veldpermissies="true").json()["vestigingen"]
    assert [v["brins"] for v in both] == [["99XX01"], ["99XX02"]]
    for path in ("vak", "opleiding", "leerling/account", "medewerker/account"):
        assert client.get(path, amount=20, veldpermissies="true").status_code == 200
    guardians = client.get("ouderVerzorger/account", amount=20).json()["accounts"]
    assert {account["usertype"] for account in guardians} == {"VERZORGER"}
    grades = set()
    for vestiging in (0, 1):
        for leerling in client.get("leerling", vestiging=vestiging, amount=100).json()[
            "leerlingen"
        ]:
            path = f"leerling/{leerling['uuid']}/voortgangsdossier"
            answer = client.get(path, vestiging=vestiging, veldpermissies="true").json()
            for dossier in answer["voortgangsdossiers"]:
                for period in dossier["periodes"]:
                    grades |= {r["geldend_resultaat"] for r in period["resultaten"]}
    assert {"7,2", "V", "7.5"} <= grades
    last_year = client.all("leerling", vestiging=1)[-1]
    examen = client.get(f"leerling/{last_year['uuid']}/examendossier", vestiging=1)
    assert examen.status_code == 200


def test_vakkeuzes_and_bsn_fit_the_description_where_they_are_granted(
    checked_sandbox: SandboxMaker,
) -> None:
    every = Rights({})
    client = Client(checked_sandbox(School(plan_school(60, rights=(every,))))).login()
    pupils = client.get("leerling", amount=50, veldpermissies="true").json()["leerlingen"]
    choices = [choice for pupil in pupils for choice in pupil["vakkeuzes"]]
    assert any("uuid" not in choice for choice in choices)
    assert all(pupil["BSN"].startswith("9") for pupil in pupils)
    client.http.close()


def test_singles_by_path_uuid_and_subject_agree_with_the_list(client: Client) -> None:
    for path in (*LISTS, "vak", "opleiding"):
        key = COLLECTIONS[path.rstrip("/")]
        record = client.get(path, amount=3).json()[key][-1]
        single = client.get(f"{path.rstrip('/')}/{record['uuid']}").json()[key]
        repeated = client.get(path, amount=3, uuid=record["uuid"]).json()[key]
        assert single == repeated == [record]
    account = client.get("leerling/account", amount=1).json()["accounts"][0]
    by_subject = client.get("leerling", subject=account["subject"]).json()["leerlingen"]
    assert [pupil["uuid"] for pupil in by_subject] == [account["uuid"]]


def test_all_shapes_and_a_whole_day_of_changes_fit_the_description(
    checked_sandbox: SandboxMaker,
) -> None:
    school = School(plan_school(90, shapes=(Shape.VSO, Shape.PRO, Shape.VO)))
    client = Client(checked_sandbox(school)).login()
    Day(school).one_day()
    for vestiging in range(3):
        for path in LISTS:
            client.all(path, vestiging=vestiging, peilschooljaar="HUIDIG")
    client.http.close()


def test_pages_join_into_the_whole_list_once(client: Client) -> None:
    for amount in (7, 200):
        pupils = client.all("leerling", amount=amount, peilschooljaar="HUIDIG")
        assert len({p["uuid"] for p in pupils}) == len(pupils) == 215


def test_two_vestigingen_share_different_fields(client: Client) -> None:
    here = client.get("leerling", amount=1, veldpermissies="true").json()
    there = client.get("leerling", vestiging=1, amount=100, veldpermissies="true").json()
    assert here["veldpermissies"]["eckid"] is True
    assert there["veldpermissies"]["eckid"] is False
    assert not any("eckid" in p or "mobielnummer" in p for p in there["leerlingen"])
    assert not any("BSN" in p for p in here["leerlingen"])


def test_nothing_is_null_and_empty_lists_stay(client: Client) -> None:
    body = client.get("leerling", amount=200).content
    assert b"null" not in body
    assert any(p["verzorgers"] == [] for p in json.loads(body)["leerlingen"])


def test_stored_pages_are_the_bytes_that_are_sent(
    checked_sandbox: SandboxMaker, school: School, tmp_path: Any
) -> None:
    files = PageFiles(tmp_path / "pages")
    assert files.write(school, ("leerling", "lesgroep"), amount=100) > 430
    live, stored = (Client(checked_sandbox(school, files=f)).login() for f in (None, files))
    for offset in (0, 100, 200, 300):
        extra: dict[str, Any] = {"veldpermissies": "true"} if offset == 0 else {}
        answers = [
            c.get("leerling", amount=100, offset=offset, peilschooljaar="HUIDIG", **extra)
            for c in (live, stored)
        ]
        assert answers[0].content == answers[1].content
    live.http.close()
    stored.http.close()


# -- rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "status"),
    [
        ({"client_secret": "opaque secret & +/="}, 401),
        ({"client_id": "someone"}, 401),
        ({"grant_type": "password"}, 400),
        ({"scope": "openid"}, 400),
    ],
)
def test_a_wrong_token_request_is_refused(
    loose: Client, overrides: dict[str, str], status: int
) -> None:
    answer = loose.token(**overrides)
    assert answer.status_code == status
    assert "error" in answer.json()


def test_a_token_is_of_one_organisation() -> None:
    schools = [School(plan_school(50, seed=seed)) for seed in (1, 2)]
    with SomtodaySandbox(schools) as sandbox:
        one = Client(sandbox, schools[0]).login()
        assert one.get("leerling", amount=1).status_code == 200
        one.school = schools[1]
        assert one.get("leerling", amount=1).status_code == 401
        assert len(one.get("instelling", vestiging=None).json()["instellingen"]) == 2
        one.http.close()


def test_a_token_expires_by_the_clock(checked_sandbox: SandboxMaker, school: School) -> None:
    clock = Seconds()
    client = Client(checked_sandbox(school, clock=clock, credentials=Credentials(ttl_seconds=60)))
    client.login()
    assert client.get("vak", amount=1).status_code == 200
    clock.now = 60
    assert client.get("vak", amount=1).status_code == 401
    assert client.login().get("vak", amount=1).status_code == 200
    client.http.close()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"amount": 201},
        {"amount": 0},
        {"amount": "ten"},
        {"amount": 1, "offset": -1},
        {"amount": 1, "limit": 5},
        {"amount": 1, "peilschooljaar": "VORIG"},
        {"amount": 1, "veldpermissies": "yes"},
        {"amount": 1, "uuid": "1"},
        {"amount": 1, "stamgroep": "true"},
    ],
)
def test_a_query_outside_the_description_is_400(loose: Client, params: dict[str, Any]) -> None:
    assert loose.get("leerling", **params).status_code == 400


def test_paths_tokens_and_representations_are_checked(loose: Client) -> None:
    slashless = loose.get("lesgroep", amount=1)
    assert slashless.status_code == 302
    assert slashless.headers["location"].split("?")[0].endswith("/lesgroep/")
    assert loose.get("leerling/", amount=1).status_code == 404
    assert loose.get("ouderverzorger/", amount=1).status_code == 404
    assert loose.get("leerling/00000000-0000-4000-8000-000000000000").status_code == 404
    elsewhere = f"vestiging/{loose.school.uuid}/leerling"
    assert loose.get(elsewhere, vestiging=None, amount=1).status_code == 401
    loose.http.headers["Accept"] = "application/xml"
    assert loose.get("leerling", amount=1).status_code == 406
    del loose.http.headers["Authorization"]
    loose.http.headers["Accept"] = "*/*"
    assert loose.get("leerling", amount=1).status_code == 401
    assert loose.get("instelling", vestiging=None, brin="99XX02").json()["instellingen"]
    assert not loose.get("instelling", vestiging=None, brin="00AA").json()["instellingen"]


def test_lesgroepen_can_be_asked_by_their_tie_to_a_stamgroep(client: Client) -> None:
    every = [g["uuid"] for g in client.all("lesgroep/", vestiging=1)]
    tied, loose_ones = (
        [g["uuid"] for g in client.all("lesgroep/", vestiging=1, stamgroep=value)]
        for value in ("true", "false")
    )
    assert tied
    assert loose_ones
    assert sorted(tied + loose_ones) == sorted(every)


def test_a_pupil_who_left_is_nowhere_and_404(client: Client) -> None:
    pupils = client.get("leerling", amount=200, peilschooljaar="HUIDIG").json()["leerlingen"]
    key = client.school.key_of("leerling", pupils[30]["uuid"])
    assert key is not None
    Changes(client.school).leave(key)  # type: ignore[arg-type] # a pupil's key, by its list
    after = client.get("leerling", amount=200, peilschooljaar="HUIDIG").json()["leerlingen"]
    assert pupils[30]["uuid"] not in {p["uuid"] for p in after}
    assert client.get(f"leerling/{pupils[30]['uuid']}").status_code == 404
    members = client.get("lesgroep/", amount=200, peilschooljaar="HUIDIG").text
    assert pupils[30]["uuid"] not in members


def test_next_year_has_the_same_names_under_other_uuids(client: Client) -> None:
    now, later = (
        {g["naam"]: g["uuid"] for g in client.all("lesgroep/", peilschooljaar=peil)}
        for peil in ("HUIDIG", "VOLGEND")
    )
    assert now.keys() == later.keys()
    assert not set(now.values()) & set(later.values())
    Changes(client.school).next_schooljaar()
    assert {g["uuid"] for g in client.all("lesgroep/")} == set(later.values())


def test_the_default_plan_hides_personal_numbers() -> None:
    assert "BSN" in WIDE.of("leerlingen")
    assert "bsn" in WIDE.of("medewerkers")
