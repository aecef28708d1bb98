"""Accounts, failed tries and sessions in the store, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from argon2 import Parameters, PasswordHasher
from argon2.low_level import Type
from argon2.profiles import RFC_9106_LOW_MEMORY

from sync_engine import accounts, attempts, sessions
from sync_engine.actor import Actor, actor_of, named_actor
from sync_engine.errors import AccountError
from sync_engine.hub import Hub
from sync_engine.passwords import Passwords, check_password
from sync_engine.sessions import Via
from sync_engine.signing_in import SignIn, signed_in, with_password
from sync_engine.store.engine import Store
from tests.support.door import QUICK, WORDS, configured, operators
from tests.support.hubs import Bench, bench

HERE = "192.0.2.7"
ISSUER = {
    "issuer": "https://issuer.example",
    "client_id": "hub",
    "client_secret": {"env": "SECRET"},
}


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """A hub where `jan` and `piet` have an account and a role."""
    found = bench(store, tmp_path)
    found.hub = configured(found.hub, operator=operators(jan="helpdesk", piet="read"))
    for name in ("jan", "piet"):
        accounts.add(found.hub, Passwords(QUICK), name, WORDS)
    yield found
    found.close()


def at(made: Bench, address: str = HERE) -> Hub:
    return replace(made.hub, actor=Actor("?", None, frozenset(), address))


def tried(made: Bench, name: str, password: str, address: str = HERE) -> SignIn:
    return with_password(at(made, address), Passwords(QUICK), name, password, former=None)


def test_failures_of_an_account_count_from_every_address(made: Bench) -> None:
    for number in range(attempts.FREE_BY_ACCOUNT):
        assert tried(made, "jan", "verkeerd", f"192.0.2.{number}").wait is None
    waits = []
    for _ in range(12):
        wait = tried(made, "jan", WORDS, "192.0.2.99").wait
        assert wait is not None
        waits.append(wait)
        made.clock.advance(wait)
        assert tried(made, "jan", "verkeerd", "192.0.2.99").wait is None
    assert waits[:4] == [timedelta(seconds=2 * 2**n) for n in range(4)]
    assert waits[-1] == attempts.LONGEST
    made.clock.advance(attempts.LONGEST)
    assert tried(made, "jan", WORDS).token is not None  # nobody is locked out for ever
    assert tried(made, "jan", "verkeerd").wait is None
    assert tried(made, "jan", WORDS).token is not None  # and begins anew


def test_failures_from_an_address_count_for_every_account(made: Bench) -> None:
    for number in range(attempts.FREE_BY_ADDRESS):
        assert tried(made, f"iemand{number}", "verkeerd").wait is None
    assert tried(made, "jan", WORDS).wait is not None
    assert tried(made, "jan", WORDS, "192.0.2.8").token is not None
    made.clock.advance(timedelta(seconds=2))
    assert tried(made, "jan", WORDS).token is not None
    assert tried(made, "iemand", "verkeerd").wait is None
    assert tried(made, "iemand2", "verkeerd").wait is not None  # the address does not begin anew


def test_a_network_of_ipv6_is_one_address_and_mapped_ipv4_is_itself(made: Bench) -> None:
    def key(address: str) -> bytes:
        (counter,) = attempts.counters(made.hub, account=None, address=address)
        return counter.digest

    assert key("2001:db8::1") == key("2001:db8::ffff:1")
    assert key("2001:db8::1") != key("2001:db8:0:1::1")
    assert key("::ffff:192.0.2.7") == key("192.0.2.7")
    assert key("192.0.2.7") != key("192.0.2.8")


def test_failures_are_forgotten_after_a_day_and_hold_neither_name_nor_address(made: Bench) -> None:
    for _ in range(attempts.FREE_BY_ACCOUNT):
        tried(made, "jan", "verkeerd")
    held = repr(made.query("SELECT * FROM sign_in_attempt"))
    assert "jan" not in held
    assert HERE not in held
    made.clock.advance(attempts.FORGOTTEN + timedelta(seconds=1))
    assert tried(made, "piet", "verkeerd").wait is None
    assert len(made.query("SELECT * FROM sign_in_attempt")) == 2


def test_a_crowd_at_once_has_no_more_tries_than_one_after_another(made: Bench) -> None:
    crowd, passed, together = 12, [], Barrier(12)

    def one() -> None:
        counted = attempts.counters(made.hub, account="jan", address=HERE)
        together.wait()
        passed.append(attempts.attempt(made.hub, counted) is None)

    threads = [Thread(target=one) for _ in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == attempts.FREE_BY_ACCOUNT
    ((failures,),) = made.query("SELECT MAX(failures) FROM sign_in_attempt")
    assert failures == attempts.FREE_BY_ACCOUNT  # who had to wait is not counted


def test_a_wrong_password_and_an_unknown_name_cost_the_same_work(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords, work = Passwords(QUICK), []
    passwords.verify(None, "warm")
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hashed: str, password: bytes) -> bool:
        work.append(hashed.split("$")[2:4])
        return verify(self, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for name in ("jan", "niemand", "geen naam!", "x" * 5_000):
        assert with_password(at(made), passwords, name, "verkeerd", former=None) == SignIn()
    assert with_password(at(made), passwords, "jan", "x" * 5_000, former=None) == SignIn()
    assert len(work) == 5
    assert len({str(parameters) for parameters in work}) == 1


def test_a_disabled_account_opens_nothing_and_can_be_given_back(made: Bench) -> None:
    token = tried(made, "jan", WORDS).token
    assert token
    assert signed_in(made.hub, token, origin=HERE)
    assert accounts.disable(made.hub, "jan") == 1
    assert signed_in(made.hub, token, origin=HERE) is None
    assert tried(made, "jan", WORDS) == SignIn()
    assert accounts.add(made.hub, Passwords(QUICK), "jan", WORDS)
    assert tried(made, "jan", WORDS).token is not None
    listed = {each.name: each for each in accounts.list_accounts(made.hub)}
    assert (listed["jan"].role, listed["jan"].sessions, listed["piet"].sessions) == (
        "helpdesk",
        1,
        0,
    )


def test_sessions_that_are_over_are_not_kept(made: Bench) -> None:
    assert tried(made, "jan", WORDS).token
    made.clock.advance(timedelta(hours=1))
    assert tried(made, "piet", WORDS).token
    assert made.query("SELECT operator FROM web_session") == [("piet",)]


def test_a_session_of_an_issuer_needs_no_account(made: Bench) -> None:
    made.hub = configured(made.hub, oidc=ISSUER)
    with made.hub.store.work() as work, work.transaction():
        token = sessions.begin_within(made.hub, work, "jan", via=Via.OIDC, former=None)
    accounts.disable(made.hub, "piet")
    made.query("DELETE FROM account")
    found = signed_in(made.hub, token, origin=HERE)
    assert found is not None
    assert found.name == "jan"
    assert accounts.end_sessions(made.hub, "jan") == 1
    assert signed_in(made.hub, token, origin=HERE) is None


def test_who_is_not_named_may_nothing_for_nobody_where_nobody_is_named_either(made: Bench) -> None:
    nobody = configured(made.hub, operator=()).settings
    assert actor_of(nobody, "jan", origin="").role == "admin"
    assert named_actor(nobody, "jan", origin="") == Actor("jan", None, frozenset(), "")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("jan", "kort"),
        ("jan", "elf tekens!"),
        ("jan", "x" * 1_025),
        ("jan", "wachtwoord-van-JAN"),
        ("jan", " " * 20),
        ("jan", ""),
    ],
)
def test_a_password_that_is_refused_is_not_told(name: str, password: str) -> None:
    with pytest.raises(AccountError) as caught:
        check_password(name, password)
    assert caught.value.refused
    if password.strip():
        assert password not in f"{caught.value} {caught.value.advice}"


def test_what_is_long_enough_needs_no_signs_or_capitals() -> None:
    check_password("jan", "aaaaaaaaaaaa")
    check_password("jan", WORDS)


def test_accounts_that_are_there_or_not_are_told_by_name(made: Bench) -> None:
    with pytest.raises(AccountError, match="already"):
        accounts.add(made.hub, Passwords(QUICK), "jan", WORDS)
    with pytest.raises(AccountError, match="no account 'jna'") as caught:
        accounts.disable(made.hub, "jna")
    assert "jan" in caught.value.advice
    with pytest.raises(AccountError, match="no account 'jna'"):
        accounts.set_password(made.hub, Passwords(QUICK), "jna", WORDS)
    with pytest.raises(AccountError, match="name"):
        accounts.add(made.hub, Passwords(QUICK), "jan jansen", WORDS)
    assert made.query("SELECT COUNT(*) FROM audit") == [(2,)]  # of the two that are there


def test_a_hash_of_other_parameters_is_made_anew_at_the_next_sign_in(made: Bench) -> None:
    other = Passwords(Parameters(Type.ID, 19, 16, 32, time_cost=2, memory_cost=16, parallelism=1))
    assert not accounts.is_password(made.hub, other, "jan", "verkeerd wachtwoord")
    assert "m=8,t=1" in made.query("SELECT password_hash FROM account WHERE name = 'jan'")[0][0]
    assert accounts.is_password(made.hub, other, "jan", WORDS)
    assert "m=16,t=2" in made.query("SELECT password_hash FROM account WHERE name = 'jan'")[0][0]
    assert accounts.is_password(made.hub, other, "jan", WORDS)


def test_the_parameters_are_those_of_rfc_9106() -> None:
    assert (RFC_9106_LOW_MEMORY.memory_cost, RFC_9106_LOW_MEMORY.time_cost) == (65_536, 3)
    hashed = Passwords().hash(WORDS)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Passwords().verify(hashed, WORDS)
    assert not Passwords().verify("$argon2id$kapot", WORDS)


def test_one_password_however_a_keyboard_writes_it() -> None:
    made = Passwords(QUICK)
    assert made.verify(made.hash("caf\u00e9 crème br\u00fbl\u00e9e"), "cafe\u0301 crème brûlée")


def test_a_session_ends_with_the_way_by_which_it_began(made: Bench) -> None:
    local = tried(made, "jan", WORDS).token
    with made.hub.store.work() as work, work.transaction():
        other = sessions.begin_within(made.hub, work, "piet", via=Via.OIDC, former=None)
    both = configured(made.hub, oidc=ISSUER)
    assert local is not None
    for hub, known in (
        (both, ["jan", "piet"]),
        (made.hub, ["jan"]),
        (configured(both, local_accounts=False), ["piet"]),
    ):
        found = [signed_in(hub, token, origin=HERE) for token in (local, other)]
        assert [actor.name for actor in found if actor is not None] == known


@pytest.mark.parametrize("how", ["password", "disable"])
def test_who_comes_with_the_old_password_while_it_changes_is_not_let_in(
    made: Bench, how: str
) -> None:
    class Slow(Passwords):
        def verify(self, hashed: str | None, password: str) -> bool:
            known = super().verify(hashed, password)
            made.clock.advance(timedelta(milliseconds=50))
            if how == "password":
                accounts.set_password(made.hub, Passwords(QUICK), "jan", f"nieuw {WORDS}")
            else:
                accounts.disable(made.hub, "jan")
            return known

    found = with_password(at(made), Slow(QUICK), "jan", WORDS, former=None)
    assert found == SignIn()
    assert made.query("SELECT COUNT(*) FROM web_session") == [(0,)]
