"""Signing in at an issuer over real HTTP: who is believed, and every way in which one is not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from config.operators import Operator, Role
from fixtures.sandbox.faults import HugeBody, NotJson, Redirect, Reset, ServerError, SlowBody
from fixtures.sandbox.oidc import Client, IssuerSandbox, Lie, Person
from sync_engine.store.engine import Store
from tests.support.door import Browser, House, configured, house
from tests.support.served import served

BAAS = "baas@school.example"
DESK = "Desk@School.Example"
PEOPLE = (
    Person(BAAS, "baas", ("ict",)),
    Person(DESK.lower(), "desk"),
    Person("iemand@school.example", "iemand"),
)
OPERATORS = (
    Operator(name=BAAS, role=Role.ADMIN),
    Operator(name=DESK, role=Role.HELPDESK, tenants=("bestuur",)),
)
SECRET = "KOPPELHUB_TEST_OIDC_SECRET"


@dataclass
class Street:
    """A house and the issuer where its people sign in."""

    home: House
    sandbox: IssuerSandbox

    def leave(self, browser: Browser, who: str = "baas", *, after: str = "/") -> str:
        """From the door to the issuer and through its page; the address that leads back."""
        gone = browser.get("/inloggen/oidc", params={"next": after})
        assert gone.status_code == 303, gone.text
        self.sandbox.issuer.seated = who
        with httpx.Client(verify=False) as client:  # noqa: S501 - no TLS here
            back = client.get(gone.headers["location"])
        assert back.status_code == 303, back.text
        return str(back.headers["location"])

    def sign_in(self, who: str = "baas", *, after: str = "/") -> tuple[Browser, httpx.Response]:
        """The whole way there and back."""
        browser = self.home.browser()
        return browser, browser.get(self.leave(browser, who, after=after))


def settings(sandbox: IssuerSandbox, **more: Any) -> dict[str, Any]:
    return {
        "issuer": sandbox.url,
        "client_id": sandbox.client.client_id,
        "client_secret": {"env": SECRET},
        "timeout": timedelta(milliseconds=700),
        **more,
    }


@pytest.fixture(scope="module")
def _street(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("straat")
    shutil.copyfile(_sqlite_template, folder / "hub.db")
    with (
        pytest.MonkeyPatch.context() as patch,
        Store.open(f"sqlite:///{folder / 'hub.db'}") as store,
        IssuerSandbox(PEOPLE) as sandbox,
        house(store, folder, operator=OPERATORS, oidc=settings(sandbox)) as home,
    ):
        patch.setenv(SECRET, sandbox.client.client_secret)
        sandbox.issuer.now = home.clock.now
        sandbox.issuer.redirect_uris.add(f"{home.url}/inloggen/terug")
        yield Street(home, sandbox)


@pytest.fixture
def street(_street: Street) -> Iterator[Street]:
    """A street where everybody behaves, and the door knows nothing of the issuer any more."""
    _street.home.begin()
    _street.home.clock.advance(timedelta(hours=2))
    yield _street
    _street.sandbox.behave()
    _street.sandbox.issuer.lie = Lie.NONE


def is_in(browser: Browser) -> bool:
    return browser.get("/").status_code == 200


def test_who_the_issuer_names_is_in_with_his_role(street: Street) -> None:
    browser, came = street.sign_in("desk", after="/school/99XX")
    assert (came.status_code, came.headers["location"]) == (303, "/school/99XX")
    told = browser.get("/school/99XX").json()
    assert (told["name"], told["role"], told["tenants"]) == (DESK, "helpdesk", ["bestuur"])
    assert street.home.trail() == [(DESK, "sign-in", "via oidc", "127.0.0.1")]
    assert browser.post("/uitloggen", {"_csrf": browser.token("/")}).status_code == 303
    assert not is_in(browser)


def test_a_person_is_led_there_by_a_link_and_chooses_on_the_issuers_page(street: Street) -> None:
    browser = street.home.browser()
    page = browser.get("/inloggen?next=/school/99XX").text
    assert 'href="/inloggen/oidc?next=/school/99XX"' in page
    assert "Inloggen met schoolaccount" in page
    gone = browser.get("/inloggen/oidc?next=/school/99XX")
    street.sandbox.issuer.seated = None
    asked = dict(parse_qsl(urlsplit(gone.headers["location"]).query))
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"].split()[0] == "openid"
    shown = httpx.get(gone.headers["location"])
    assert 'value="baas"' in shown.text
    back = httpx.post(f"{street.sandbox.url}/authorize", data=asked | {"who": "baas"})
    assert browser.get(back.headers["location"]).headers["location"] == "/school/99XX"
    assert is_in(browser)


def test_nothing_secret_is_in_the_address_or_the_cookie(street: Street) -> None:
    browser = street.home.browser()
    gone = browser.get("/inloggen/oidc")
    (cookie,) = gone.headers.get_list("set-cookie")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600")
    asked = dict(parse_qsl(urlsplit(gone.headers["location"]).query))
    assert asked["nonce"] not in cookie
    assert asked["state"] not in cookie
    assert street.sandbox.client.client_secret not in gone.headers["location"]


# -- what is not believed --------------------------------------------------------------------------

UNBELIEVED = [
    *(Lie.WRONG_NONCE, Lie.NO_NONCE, Lie.WRONG_AUDIENCE, Lie.FOREIGN_PARTY, Lie.NO_PARTY),
    *(Lie.WRONG_ISSUER, Lie.WRONG_ISSUER_IN_ANSWER, Lie.EXPIRED, Lie.FROM_THE_FUTURE),
    *(Lie.NEVER_EXPIRES, Lie.NO_SUBJECT, Lie.ALG_NONE, Lie.SIGNED_WITH_SECRET),
    *(Lie.SIGNED_WITH_PUBLIC_KEY, Lie.WRONG_SIGNATURE, Lie.OTHER_KEY, Lie.UNKNOWN_KEY),
    *(Lie.CHANGED_CLAIMS, Lie.WRONG_TOKEN_HASH, Lie.NO_ID_TOKEN, Lie.NOT_A_TOKEN),
]
PARTLY = {
    Lie.UNVERIFIED_EMAIL: "niet bevestigd",
    Lie.VERIFIED_AS_TEXT: "niet bevestigd",
    Lie.NO_EMAIL: "zegt niet wie u bent",
}
UNUSABLE = [
    *(Lie.WRONG_ISSUER_IN_METADATA, Lie.ENDPOINT_WITHOUT_TLS, Lie.ONLY_HMAC),
    Lie.METADATA_OF_OTHER_TYPES,
]


def test_every_lie_of_the_sandbox_is_told_somewhere_here() -> None:
    assert set(Lie) == {*UNBELIEVED, *PARTLY, *UNUSABLE, Lie.NONE, Lie.WEAK_KEY}


@pytest.mark.parametrize("lie", UNBELIEVED)
def test_a_token_that_breaks_one_rule_lets_nobody_in(street: Street, lie: Lie) -> None:
    street.sandbox.issuer.lie = lie
    browser, came = street.sign_in()
    assert came.status_code == 403
    assert "niet bewezen wie u bent" in came.text
    assert not is_in(browser)
    assert street.home.trail() == [("?", "sign-in failed", "via oidc", "127.0.0.1")]
    street.sandbox.issuer.lie = Lie.NONE
    browser, came = street.sign_in()
    assert is_in(browser), came.text


@pytest.mark.parametrize(("lie", "said"), list(PARTLY.items()))
def test_an_address_that_is_not_verified_names_nobody(street: Street, lie: Lie, said: str) -> None:
    street.sandbox.issuer.lie = lie
    browser, came = street.sign_in()
    assert came.status_code == 403
    assert said in came.text
    assert not is_in(browser)


@pytest.mark.parametrize("lie", UNUSABLE)
def test_an_issuer_that_is_not_as_it_must_is_not_asked(street: Street, lie: Lie) -> None:
    street.sandbox.issuer.lie = lie
    browser = street.home.browser()
    there = browser.get("/inloggen/oidc")
    if there.status_code == 303:  # it shows only when a token is judged
        there = browser.get(street.leave(browser))
    assert there.status_code == 503
    assert "antwoordt nu niet" in there.text
    assert not is_in(browser)


def test_a_weak_key_is_not_believed(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        IssuerSandbox(PEOPLE) as sandbox,
        house(sqlite_store, tmp_path, operator=OPERATORS, oidc=settings(sandbox)) as home,
    ):
        monkeypatch.setenv(SECRET, sandbox.client.client_secret)
        sandbox.issuer.now = home.clock.now
        sandbox.issuer.redirect_uris.add(f"{home.url}/inloggen/terug")
        sandbox.issuer.lie = Lie.WEAK_KEY
        _, came = Street(home, sandbox).sign_in()
        assert came.status_code == 403


@pytest.mark.parametrize(
    "fault",
    [
        SlowBody(path="/keys", chunk_bytes=1, pause_seconds=0.05),
        SlowBody(path="/.well-known", chunk_bytes=1, pause_seconds=0.05),
        HugeBody(path="/.well-known"),
        HugeBody(path="/keys"),
        ServerError(path="/.well-known"),
        NotJson(path="/keys"),
        Redirect(path="/.well-known"),
        Reset(path="/keys"),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{fault.path.strip('/.')}",
)
def test_an_issuer_that_is_slow_or_huge_or_broken_is_not_waited_for(
    street: Street, fault: Any
) -> None:
    street.sandbox.misbehave(fault)
    browser = street.home.browser()
    assert browser.get("/inloggen/oidc").status_code == 503
    assert browser.get("/inloggen/oidc").status_code == 503  # a crowd does not ask again and again
    assert len(street.sandbox.requests) > 0
    street.sandbox.behave()
    street.home.clock.advance(timedelta(seconds=5))
    assert is_in(street.sign_in()[0])


@pytest.mark.parametrize(
    "fault",
    [SlowBody(path="/token", chunk_bytes=1), HugeBody(path="/token"), ServerError(path="/token")],
    ids=lambda fault: type(fault).__name__,
)
def test_a_token_that_does_not_come_counts_for_nobody(street: Street, fault: Any) -> None:
    browser = street.home.browser()
    back = street.leave(browser)
    street.sandbox.misbehave(fault)
    assert browser.get(back).status_code == 503
    assert street.home.trail() == []
    assert street.home.made.query("SELECT failures FROM sign_in_attempt") == [(0,)]


def test_a_wrong_secret_is_told_to_ops_and_not_to_who_signs_in(
    street: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SECRET, "niet-het-geheim")
    _, came = street.sign_in()
    assert came.status_code == 503
    assert "invalid_client" in caplog.text
    assert "niet-het-geheim" not in caplog.text + came.text


# -- what another brings ---------------------------------------------------------------------------


def test_an_answer_is_used_once_and_by_the_browser_that_asked(street: Street) -> None:
    victim, thief = street.home.browser(), street.home.browser()
    back = street.leave(victim)
    assert "andere browser" in thief.get(back).text  # it asked nothing
    street.leave(thief, "desk")
    assert thief.get(back).status_code == 403  # of another state
    assert not is_in(thief)
    assert victim.get(back).status_code == 303
    assert victim.get(back).status_code == 403  # the cookie is gone
    assert is_in(victim)


def test_a_code_of_another_try_does_not_go_with_this_ones_verifier(street: Street) -> None:
    victim, thief = street.home.browser(), street.home.browser()
    stolen = dict(parse_qsl(urlsplit(street.leave(victim)).query))
    own = dict(parse_qsl(urlsplit(street.leave(thief, "desk")).query))
    mixed = {"code": stolen["code"], "state": own["state"], "iss": own["iss"]}
    assert thief.get(f"/inloggen/terug?{urlencode(mixed)}").status_code == 403
    assert not is_in(thief)


@pytest.mark.parametrize("missing", ["state", "code", "iss"])
def test_an_answer_that_misses_a_part_is_refused(street: Street, missing: str) -> None:
    browser = street.home.browser()
    told = dict(parse_qsl(urlsplit(street.leave(browser)).query))
    told.pop(missing)
    assert browser.get(f"/inloggen/terug?{urlencode(told)}").status_code == 403
    assert not is_in(browser)


def test_an_answer_that_comes_too_late_is_refused(street: Street) -> None:
    browser = street.home.browser()
    back = street.leave(browser)
    street.home.clock.advance(timedelta(minutes=10))
    late = browser.get(back)
    assert late.status_code == 403
    assert "duurde te lang" in late.text


def test_who_the_issuer_does_not_let_in_is_told_so(street: Street) -> None:
    browser, came = street.sign_in("")
    assert came.status_code == 403
    assert "heeft u niet ingelogd" in came.text
    assert not is_in(browser)


def test_who_is_no_operator_is_told_so_and_named_nowhere(street: Street) -> None:
    browser, came = street.sign_in("iemand")
    assert came.status_code == 403
    assert "geeft u geen rol" in came.text
    assert not is_in(browser)
    assert street.home.trail() == [("?", "sign-in refused", "via oidc", "127.0.0.1")]
    assert "iemand@school" not in repr(street.home.made.dump(without=frozenset()))


@pytest.mark.parametrize("after", ["https://elders.example/", "//elders.example", "/\\elders"])
def test_nobody_is_sent_elsewhere_after_the_issuer(street: Street, after: str) -> None:
    _, came = street.sign_in(after=after)
    assert came.headers["location"] == "/"


def test_too_many_failures_from_an_address_must_wait(street: Street) -> None:
    street.sandbox.issuer.lie = Lie.WRONG_NONCE
    for _ in range(20):
        _, came = street.sign_in()
        assert came.status_code == 403
    street.sandbox.issuer.lie = Lie.NONE
    _, came = street.sign_in()
    assert came.status_code == 429


# -- keys, clocks and settings ---------------------------------------------------------------------


@pytest.mark.parametrize("elliptic", [False, True])
def test_a_new_key_is_believed_once_the_issuer_tells_of_it(street: Street, elliptic: bool) -> None:
    assert is_in(street.sign_in()[0])
    street.sandbox.issuer.rotate(elliptic=elliptic, keep=False)
    assert street.sign_in()[1].status_code == 403  # asked just now: not again for a minute
    street.home.clock.advance(timedelta(minutes=1))
    assert is_in(street.sign_in()[0])


def test_keys_are_not_asked_for_with_every_token_of_an_unknown_key(street: Street) -> None:
    assert is_in(street.sign_in()[0])
    street.sandbox.issuer.lie = Lie.UNKNOWN_KEY
    street.home.clock.advance(timedelta(minutes=1))
    street.sandbox.forget_requests()
    for _ in range(4):
        street.sign_in()
    asked = [request.path for request in street.sandbox.requests]
    assert asked.count("/keys") == 1


@pytest.mark.parametrize(("minutes", "status"), [(0.9, 303), (-0.9, 303), (2, 403), (-7, 403)])
def test_a_clock_may_differ_by_the_skew_and_no_more(
    street: Street, minutes: float, status: int
) -> None:
    """Tokens hold for five minutes from the issuer's now."""
    issuer, clock = street.sandbox.issuer, street.home.clock
    issuer.now = lambda: clock.now() + timedelta(minutes=minutes)
    try:
        assert street.sign_in()[1].status_code == status
    finally:
        issuer.now = clock.now


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("claim", ["email", "preferred_username"])
def test_other_ways_to_be_a_client_and_to_be_named(
    sqlite_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    claim: str,
) -> None:
    client = Client(client_id="hub: één", methods=(method,))
    monkeypatch.setenv(SECRET, client.client_secret)
    named = (Operator(name="baas", role=Role.READ), Operator(name=BAAS, role=Role.ADMIN))
    with IssuerSandbox(PEOPLE, client=client) as sandbox:
        oidc = settings(sandbox, claim=claim, groups=["ict"])
        with house(sqlite_store, tmp_path, operator=named, oidc=oidc) as home:
            sandbox.issuer.now = home.clock.now
            sandbox.issuer.redirect_uris.add(f"{home.url}/inloggen/terug")
            street = Street(home, sandbox)
            browser, came = street.sign_in()
            assert came.status_code == 303, came.text
            assert browser.get("/").json()["name"] == (BAAS if claim == "email" else "baas")
            _, came = street.sign_in("desk")
            assert came.status_code == 403
            assert "niet in een groep" in came.text


def test_an_operator_who_is_taken_out_is_out(street: Street) -> None:
    browser, _ = street.sign_in("desk")
    kept = browser.cookies()["koppelhub"]
    before = street.home.made.hub
    street.home.made.hub = configured(before, operator=OPERATORS[:1])
    try:
        with served(street.home.app()) as url:
            again = httpx.get(f"{url}/", headers={"cookie": f"koppelhub={kept}"})
            assert again.status_code == 303
    finally:
        street.home.made.hub = before
    assert not is_in(browser)
