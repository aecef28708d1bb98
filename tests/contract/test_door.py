"""The door over a real socket: who gets in, what a session is, and what no page may do."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from config import logs
from sync_engine import accounts
from sync_engine.store.engine import Store
from tests.support.door import WORDS, Browser, House, configured, house, operators
from tests.support.served import served

HTTPS = {"host": "koppelhub.school.example"}
"""What a browser calls the installation behind its proxy."""


@pytest.fixture(scope="module")
def _home(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all tests that need no other."""
    folder = tmp_path_factory.mktemp("huis")
    shutil.copyfile(_sqlite_template, folder / "hub.db")
    with Store.open(f"sqlite:///{folder / 'hub.db'}") as store, house(store, folder) as made:
        yield made


@pytest.fixture
def home(_home: House) -> House:
    _home.begin()
    return _home


@pytest.fixture
def secure(sqlite_store: Store, tmp_path: Path) -> Iterator[House]:
    """The same, called over TLS by a name of its own."""
    with house(sqlite_store, tmp_path, public_url="https://koppelhub.school.example") as made:
        yield made


def is_in(browser: Browser) -> bool:
    return browser.get("/").status_code == 200


def test_who_signs_in_is_known_with_his_role_and_tenants(store: Store, tmp_path: Path) -> None:
    with house(store, tmp_path) as home:
        browser = home.browser()
        came = browser.sign_in("desk", after="/school/99XX?wat=1")
        assert (came.status_code, came.headers["location"]) == (303, "/school/99XX?wat=1")
        told = browser.get("/school/99XX").json()
        assert (told["name"], told["role"], told["tenants"]) == ("desk", "helpdesk", ["bestuur"])
        assert told["origin"] == "127.0.0.1"
        out = browser.post("/uitloggen", {"_csrf": browser.token("/")})
        assert (out.status_code, out.headers["location"]) == (303, "/inloggen")
        assert not is_in(browser)
        assert home.trail() == [
            ("desk", "sign-in", "via local", "127.0.0.1"),
            ("desk", "sign-out", "session", "127.0.0.1"),
        ]


def test_who_is_not_signed_in_is_sent_to_the_form_and_back(home: House) -> None:
    browser = home.browser()
    sent = browser.get("/school/99XX?wat=1&en=2")
    assert sent.status_code == 303
    assert sent.headers["location"] == "/inloggen?next=/school/99XX%3Fwat%3D1%26en%3D2"
    form = browser.get(sent.headers["location"])
    assert 'name="next" value="/school/99XX?wat=1&amp;en=2"' in form.text
    assert browser.get("/").headers["location"] == "/inloggen"


def test_a_former_session_cookie_opens_nothing_after_signing_out(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    kept = browser.cookies()["koppelhub"]
    browser.post("/uitloggen", {"_csrf": browser.token("/")})
    thief = home.browser(cookie=f"koppelhub={kept}")
    assert thief.get("/").status_code == 303


def test_a_cookie_that_somebody_else_chose_is_never_a_session(home: House) -> None:
    for chosen in ("abc", "A" * 43, "x" * 3_000):
        browser = home.browser()
        browser.client.cookies.set("koppelhub", chosen, domain="127.0.0.1")
        assert not is_in(browser)
        browser.client.cookies.set("koppelhub", chosen, domain="127.0.0.1")
        browser.sign_in()
        assert browser.cookies()["koppelhub"] != chosen
    raw = [(b"cookie", "koppelhub=\xe9\x80".encode("latin-1"))]
    assert httpx.get(home.url, headers=raw).status_code == 303


def test_signing_in_again_ends_the_session_before(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    first = browser.cookies()["koppelhub"]
    fields = {"_csrf": browser.token("/"), "naam": "baas", "wachtwoord": WORDS}
    assert browser.post("/inloggen", fields).status_code == 303
    assert is_in(browser)
    assert browser.cookies()["koppelhub"] != first
    thief = home.browser(cookie=f"koppelhub={first}")
    assert not is_in(thief)


def test_the_store_holds_no_token_and_no_password(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    held = repr([home.made.query(f"SELECT * FROM {t}") for t in ("web_session", "account")])
    assert browser.cookies()["koppelhub"] not in held
    assert WORDS not in held
    assert "$argon2id$" in held


# -- how long a session holds ----------------------------------------------------------------------


def test_a_session_ends_after_its_idle_time_and_not_before(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    for _ in range(5):
        home.clock.advance(timedelta(minutes=29))
        assert is_in(browser)
    home.clock.advance(timedelta(minutes=30))
    assert not is_in(browser)


def test_a_session_ends_after_its_absolute_time_whatever_one_does(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    for _ in range(12 * 3 - 1):
        home.clock.advance(timedelta(minutes=20))
        assert is_in(browser)
    home.clock.advance(timedelta(minutes=20))
    assert not is_in(browser)


def test_a_page_that_renews_itself_keeps_nobody_signed_in(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    itself = {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"}
    for _ in range(2):
        home.clock.advance(timedelta(minutes=14))
        assert browser.get("/", headers=itself).status_code == 200
    home.clock.advance(timedelta(minutes=1))
    assert browser.get("/", headers=itself | {"sec-fetch-user": "?1"}).status_code == 200
    for _ in range(2):
        home.clock.advance(timedelta(minutes=15))
        last = browser.get("/", headers=itself)
    assert last.status_code == 303


@pytest.mark.parametrize("how", ["end-sessions", "everybody", "disable", "password"])
def test_another_process_signs_somebody_out(home: House, how: str) -> None:
    browser, bystander = home.browser(), home.browser()
    browser.sign_in("desk")
    bystander.sign_in("baas")
    match how:
        case "end-sessions":
            assert accounts.end_sessions(home.hub, "desk") == 1
        case "everybody":
            assert accounts.end_sessions(home.hub, None) == 2
        case "disable":
            assert accounts.disable(home.hub, "desk") == 1
        case _:
            assert accounts.set_password(home.hub, home.passwords, "desk", WORDS) == 1
    assert not is_in(browser)
    assert is_in(bystander) is (how != "everybody")


def test_an_account_that_is_disabled_beside_the_door_opens_no_session(home: House) -> None:
    browser = home.browser()
    browser.sign_in("desk")
    home.made.query("UPDATE account SET disabled_at = changed_at WHERE name = 'desk'")
    assert not is_in(browser)


def test_who_loses_his_role_is_out_everywhere_and_the_trail_says_so(
    sqlite_store: Store, tmp_path: Path
) -> None:
    with house(sqlite_store, tmp_path) as home:
        browser = home.browser()
        browser.sign_in("desk")
        kept = browser.cookies()["koppelhub"]
        home.made.hub = configured(home.hub, operator=operators(baas="admin"))
        with served(home.app()) as url:
            again = httpx.get(f"{url}/", headers={"cookie": f"koppelhub={kept}"})
            assert again.status_code == 303
        assert home.made.query("SELECT COUNT(*) FROM web_session") == [(0,)]
        assert home.trail()[-1][:2] == ("desk", "sign-in ended")


# -- changes ---------------------------------------------------------------------------------------


def test_a_change_with_the_token_of_the_page_is_made(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    assert browser.change("een").status_code == 200
    token = browser.token("/")
    for _ in range(2):  # a page may be sent twice: the token is of the session
        assert browser.post("/wijzig", {"_csrf": token, "wat": "twee"}).status_code == 200
    header = {"x-csrf-token": token}
    assert browser.client.request("DELETE", "/wijzig", headers=header).status_code == 200
    assert home.changed == ["een", "twee", "twee", "None"]


def test_a_change_without_a_token_of_this_session_is_refused(home: House) -> None:
    browser, other = home.browser(), home.browser()
    browser.sign_in()
    other.sign_in("desk")
    theirs, ours = other.token("/"), browser.token("/")
    before = home.browser().token()
    for fields in (
        {"wat": "x"},
        {"wat": "x", "_csrf": ""},
        {"wat": "x", "_csrf": "é"},
        {"wat": "x", "_csrf": theirs},
        {"wat": "x", "_csrf": before},
        {"wat": "x", "_csrf": ours[:-6] + "AAAAA="},
    ):
        refused = browser.post("/wijzig", fields)
        assert refused.status_code == 403, fields
        assert "Er is niets gewijzigd" in refused.text
    twice = f"_csrf={ours}&_csrf={ours}&wat=x"
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/wijzig", content=twice, headers=form).status_code == 403
    for method in ("PUT", "DELETE", "POST"):
        assert browser.client.request(method, "/wijzig").status_code in {403, 415}
    assert browser.client.request("PATCH", "/uitloggen").status_code in {403, 415}
    assert home.changed == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elders.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_what_another_site_asks_is_refused_even_with_the_token(
    home: House, headers: dict[str, str]
) -> None:
    browser = home.browser()
    browser.sign_in()
    assert browser.change(headers=headers).status_code == 403
    assert home.browser().sign_in(headers=headers).status_code == 403
    assert home.changed == []
    good = {"origin": home.url, "sec-fetch-site": "same-origin"}
    assert browser.change(headers=good).status_code == 200


def test_a_form_that_is_too_large_or_of_another_kind_is_not_read(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    token = browser.token("/")
    large = browser.post("/wijzig", {"_csrf": token, "wat": "x" * 300_000})
    assert large.status_code == 413
    many = "&".join(f"f{n}=1" for n in range(3_000)) + f"&_csrf={token}"
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/wijzig", content=many, headers=form).status_code == 413
    assert browser.client.post("/wijzig", json={"_csrf": token}).status_code == 415

    def pieces() -> Iterator[bytes]:
        yield b"_csrf="
        for _ in range(60):
            yield b"x" * 10_000

    endless = browser.client.post("/wijzig", content=pieces(), headers=form)
    assert endless.status_code == 413
    assert home.changed == []


def test_who_shows_his_token_in_a_header_sends_no_more_than_another(home: House) -> None:
    stranger = home.browser()
    headers = {"x-csrf-token": stranger.token()}
    headers["content-type"] = "application/x-www-form-urlencoded"
    large = f"naam=baas&wachtwoord={'x' * 300_000}"
    assert stranger.client.post("/inloggen", content=large, headers=headers).status_code == 413
    small = f"naam=baas&wachtwoord={WORDS.replace(' ', '+')}"
    assert stranger.client.post("/inloggen", content=small, headers=headers).status_code == 303


def test_a_change_after_the_session_ended_says_so_and_changes_nothing(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    token = browser.token("/")
    home.clock.advance(timedelta(hours=13))
    late = browser.post("/wijzig", {"_csrf": token, "wat": "x"})
    assert late.status_code == 403
    assert "niet meer ingelogd" in late.text
    assert home.changed == []


def test_the_form_of_sign_in_has_a_token_of_its_own(home: House) -> None:
    browser, other = home.browser(), home.browser()
    fields = {"naam": "baas", "wachtwoord": WORDS, "next": "/"}
    assert browser.post("/inloggen", fields).status_code == 403
    theirs = other.token()
    browser.token()
    assert browser.post("/inloggen", fields | {"_csrf": theirs}).status_code == 403
    browser.client.cookies.set("koppelhub-voor", "gekozen", domain="127.0.0.1")
    assert browser.post("/inloggen", fields | {"_csrf": theirs}).status_code == 403
    mine = other.token()
    home.clock.advance(timedelta(hours=2))
    assert other.post("/inloggen", fields | {"_csrf": mine}).status_code == 403
    assert other.sign_in().status_code == 303


# -- what goes wrong at the form -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["baas", "wie is dat", "", "x" * 5_000, "nul\0teken", "Baas", WORDS]
)
def test_a_wrong_name_or_password_tells_nothing_of_which(home: House, name: str) -> None:
    refused = home.browser().sign_in(name, "niet dit wachtwoord")
    assert refused.status_code == 403
    assert "horen niet bij elkaar" in refused.text
    assert refused.text.count("value=") == 2  # nothing that was typed comes back
    who = "baas" if name == "baas" else "?"
    assert home.trail() == [(who, "sign-in failed", "via local", "127.0.0.1")]
    assert "set-cookie" not in refused.headers


def test_a_password_in_the_field_of_the_name_is_written_nowhere(home: House) -> None:
    secret = "kanarie-in-het-verkeerde-veld"
    home.browser().sign_in(secret, secret)
    everything = repr(home.made.dump(without=frozenset()))
    assert "sign-in failed" in everything
    assert secret not in everything


def test_who_has_no_role_is_told_so_and_has_no_session(home: House) -> None:
    browser = home.browser()
    refused = browser.sign_in("niemand")
    assert refused.status_code == 403
    assert "geeft u geen rol" in refused.text
    assert "koppelhub" not in browser.cookies()
    assert home.trail() == [("niemand", "sign-in refused", "via local", "127.0.0.1")]


@pytest.mark.parametrize(
    "after",
    [
        "https://elders.example/",
        "//elders.example",
        "/\\elders.example",
        "\\\\elders.example",
        "/\t/elders.example",
        "javascript:alert(1)",
        "elders",
        "/" + "x" * 3_000,
    ],
)
def test_nobody_is_sent_elsewhere(home: House, after: str) -> None:
    browser = home.browser()
    assert browser.sign_in(after=after).headers["location"] == "/"
    sent = browser.get("/inloggen", params={"next": after})
    assert sent.headers["location"] == "/"


def test_too_many_tries_of_an_account_must_wait_and_nobody_is_locked_out(home: House) -> None:
    browser = home.browser()
    for _ in range(6):
        last = browser.sign_in("baas", "niet dit wachtwoord")
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) <= 3
    right = browser.sign_in("baas")
    assert right.status_code == 429  # not even looked at
    assert "probeer het dan opnieuw" in right.text
    assert browser.sign_in("desk").status_code == 303
    home.clock.advance(timedelta(seconds=3))
    assert home.browser().sign_in("baas").status_code == 303


def test_a_crowd_at_the_form_keeps_no_page_waiting(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, begun, go = home.browser(), threading.Semaphore(0), threading.Event()
    inside.sign_in()

    def slow(hashed: str | None, password: str) -> bool:
        begun.release()
        return not go.wait(20)

    monkeypatch.setattr(home.passwords, "verify", slow)
    crowd = [home.browser() for _ in range(45)]  # more than the server has threads
    tokens = [browser.token() for browser in crowd]
    senders = [
        threading.Thread(
            target=browser.post,
            args=("/inloggen", {"_csrf": token, "naam": f"n{number}", "wachtwoord": "x"}),
        )
        for number, (browser, token) in enumerate(zip(crowd, tokens, strict=True))
    ]
    for sender in senders:
        sender.start()
    try:
        for _ in range(4):
            assert begun.acquire(timeout=20)
        assert is_in(inside)
        assert not begun.acquire(timeout=0.05)  # no fifth password is looked at meanwhile
    finally:
        go.set()
        for sender in senders:
            sender.join()


# -- what every answer says ------------------------------------------------------------------------


def test_every_answer_forbids_what_a_page_never_needs(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    for path in ("/", "/inloggen", "/weg", "/static/koppelhub.css", "/healthz"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "strict-transport-security" not in headers
    assert browser.get("/").headers["cache-control"] == "no-store"
    assert "immutable" in browser.get("/static/koppelhub.css").headers["cache-control"]


def test_the_pages_of_the_door_hold_no_script_and_no_style_of_their_own(home: House) -> None:
    browser = home.browser()
    wrong = browser.sign_in("baas", "x" * 20).text
    refused = browser.post("/wijzig", {}).text
    for text in (browser.get("/inloggen").text, wrong, refused):
        assert "<script" not in text
        assert " style=" not in text
        assert "<style" not in text
        assert " on" not in text.replace(" one", "").replace(" op", "") or "onclick" not in text


def test_cookies_on_loopback_are_kept_from_scripts(home: House) -> None:
    browser = home.browser()
    form = browser.get("/inloggen")
    before = form.headers["set-cookie"]
    assert before.startswith("koppelhub-voor=")
    assert "; Path=/; HttpOnly; SameSite=Strict; Max-Age=7200" in before
    (session, dropped) = browser.sign_in().headers.get_list("set-cookie")
    assert session.startswith("koppelhub=")
    assert session.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert "Max-Age=0" in dropped


def test_cookies_over_tls_are_of_this_host_alone(secure: House) -> None:
    form = httpx.get(f"{secure.url}/inloggen", headers=HTTPS)
    before = form.headers["set-cookie"]
    assert before.startswith("__Host-koppelhub-voor=")
    assert "; Secure" in before
    assert form.headers["strict-transport-security"] == "max-age=31536000"
    token = form.text.partition('name="_csrf" value="')[2].partition('"')[0]
    sent = httpx.post(
        f"{secure.url}/inloggen",
        data={"_csrf": token, "naam": "baas", "wachtwoord": WORDS},
        headers=HTTPS
        | {"cookie": before.partition(";")[0], "origin": "https://koppelhub.school.example"},
    )
    session = sent.headers.get_list("set-cookie")[0]
    assert session.startswith("__Host-koppelhub=")
    assert session.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    value = session.partition(";")[0]
    assert httpx.get(secure.url, headers=HTTPS | {"cookie": value}).status_code == 200
    plain = value.removeprefix("__Host-")  # as a page without TLS could have set it
    assert httpx.get(secure.url, headers=HTTPS | {"cookie": plain}).status_code == 303


@pytest.mark.parametrize(
    "host", ["elders.example", "127.0.0.1.elders.example", "localhost.elders.example:80", "", "[::"]
)
def test_another_name_than_ours_is_not_answered(home: House, host: str) -> None:
    answer = httpx.get(f"{home.url}/inloggen", headers={"host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers
    if host:
        assert host not in answer.text


def test_the_names_of_this_machine_are_answered(home: House) -> None:
    for host in ("localhost:8770", "127.0.0.1", "[::1]:8770", "LOCALHOST"):
        assert httpx.get(f"{home.url}/inloggen", headers={"host": host}).status_code == 200


def test_only_the_public_name_is_answered_where_there_is_one(secure: House) -> None:
    assert httpx.get(f"{secure.url}/inloggen").status_code == 421
    other = {"host": "koppelhub.school.example:8443"}
    assert httpx.get(f"{secure.url}/inloggen", headers=other).status_code == 421
    assert httpx.get(f"{secure.url}/inloggen", headers=HTTPS).status_code == 200
    assert httpx.get(f"{secure.url}/healthz").status_code == 200


def test_what_other_systems_call_needs_no_session(home: House) -> None:
    assert httpx.get(f"{home.url}/healthz").text == "open"
    assert httpx.post(f"{home.url}/v1/inbox/kern").text == "open"
    assert httpx.get(f"{home.url}/healthzz").status_code == 303


def test_an_address_is_believed_from_our_own_proxies_only(
    sqlite_store: Store, tmp_path: Path
) -> None:
    forged = {"x-forwarded-for": "9.9.9.9, 203.0.113.7"}
    with house(sqlite_store, tmp_path) as home:
        browser = home.browser(**forged)
        browser.sign_in()
        assert browser.get("/").json()["origin"] == "127.0.0.1"
        home.made.hub = configured(home.hub, proxies=["127.0.0.0/8"])
        with served(home.app()) as url:
            behind = home.browser(at=url, **forged)
            behind.sign_in()
            assert behind.get("/").json()["origin"] == "203.0.113.7"
            strange = home.browser(at=url, **{"x-forwarded-for": "<script>, 127.0.0.1"})
            strange.sign_in()
            assert strange.get("/").json()["origin"] == "127.0.0.1"


def test_where_accounts_are_off_no_password_opens_anything(
    sqlite_store: Store, tmp_path: Path
) -> None:
    with house(sqlite_store, tmp_path, local_accounts=False) as home:
        browser = home.browser()
        assert "nog geen manier" in browser.get("/inloggen").text
        header = {"x-csrf-token": "x"}
        fields = {"naam": "baas", "wachtwoord": WORDS}
        assert browser.post("/inloggen", fields, headers=header).status_code == 403
        assert not is_in(browser)


def test_the_database_being_away_lets_nobody_in(home: House) -> None:
    browser = home.browser()
    browser.sign_in()
    home.made.query("ALTER TABLE web_session RENAME TO web_session_weg")
    away = browser.get("/")
    assert away.status_code == 503
    assert "Probeer het" in away.text
    home.made.query("ALTER TABLE web_session_weg RENAME TO web_session")
    assert is_in(browser)


def test_a_page_that_fails_tells_nothing_and_is_logged_without_values(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    browser = home.browser()
    browser.sign_in()
    logs.setup(stream=io.StringIO())
    try:
        failed = browser.get("/stuk?wie=Kanarie")
    finally:
        logs.reset()
    assert failed.status_code == 500
    assert "ging iets mis" in failed.text
    assert "default-src 'none'" in failed.headers["content-security-policy"]
    assert "a page failed" in caplog.text
    assert "LookupError" in caplog.text
    assert "Kanarie" not in caplog.text
    assert "Traceback" not in caplog.text


def test_the_pages_speak_english_to_who_asks_for_it(home: House) -> None:
    english = home.browser(**{"accept-language": "en-GB,en;q=0.8"})
    assert "Sign in" in english.get("/inloggen").text
    assert "do not belong together" in english.sign_in("baas", "x" * 20).text
    assert '<html lang="en">' in english.get("/inloggen").text


def test_an_actor_is_never_everybody_on_a_page(sqlite_store: Store, tmp_path: Path) -> None:
    """Where nobody is named, who is at the keyboard may everything; who comes in by a page not."""
    with house(sqlite_store, tmp_path, operator=()) as home:
        assert "geen rol" in home.browser().sign_in("baas").text
        assert replace(home.hub).actor.name == "system"


NEW = "water lucht vuur aarde"


def test_somebody_gives_himself_another_password_and_signs_in_again(home: House) -> None:
    browser, elsewhere = home.browser(), home.browser()
    browser.sign_in("desk")
    elsewhere.sign_in("desk")
    fields = {"_csrf": browser.token("/"), "oud": WORDS, "nieuw": NEW, "nogmaals": NEW}
    answer = browser.post("/wachtwoord", fields)
    assert answer.headers["location"] == "/inloggen?gewijzigd=1"
    assert "is gewijzigd" in browser.get("/inloggen?gewijzigd=1").text
    assert not is_in(browser)
    assert not is_in(elsewhere)
    assert browser.sign_in("desk").status_code == 403
    assert browser.sign_in("desk", NEW).status_code == 303
    noted = home.made.query("SELECT operator FROM audit WHERE action = 'account password'")
    assert ("desk",) in noted
    accounts.set_password(home.hub, home.passwords, "desk", WORDS)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"oud": "iets anders dan het is"}, 403),
        ({"nogmaals": "iets anders dan het is"}, 409),
        ({"nieuw": "kort", "nogmaals": "kort"}, 409),
        ({"_csrf": ""}, 403),
    ],
)
def test_what_is_no_good_change_of_a_password_changes_nothing(
    home: House, fields: dict[str, str], status: int
) -> None:
    browser = home.browser()
    browser.sign_in("desk")
    sent = {"_csrf": browser.token("/"), "oud": WORDS, "nieuw": NEW, "nogmaals": NEW}
    assert browser.post("/wachtwoord", sent | fields).status_code == status
    assert is_in(browser)
    assert accounts.is_password(home.hub, home.passwords, "desk", WORDS)


def test_a_former_password_is_guessed_at_no_more_often_than_at_the_door(home: House) -> None:
    browser = home.browser()
    browser.sign_in("desk")
    sent = {"oud": "iets anders dan het is", "nieuw": NEW, "nogmaals": NEW}
    codes = [
        browser.post("/wachtwoord", sent | {"_csrf": browser.token("/")}).status_code
        for _ in range(12)
    ]
    assert codes[0] == 403
    assert codes[-1] == 429


def test_who_is_not_in_cannot_change_a_password(home: House) -> None:
    browser = home.browser()
    assert browser.get("/wachtwoord").headers["location"].startswith("/inloggen")
    sent = {"_csrf": browser.token(), "oud": WORDS, "nieuw": NEW, "nogmaals": NEW}
    assert browser.post("/wachtwoord", sent).status_code == 403


def test_the_chosen_language_is_kept_for_tls_where_a_proxy_speaks_it(
    home: House, secure: House
) -> None:
    plain = home.browser().get("/taal/en").headers["set-cookie"]
    proxied = httpx.get(f"{secure.url}/taal/en", headers=HTTPS).headers["set-cookie"]
    assert ("Secure" in plain, "Secure" in proxied) == (False, True)
