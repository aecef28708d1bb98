"""A school on Magister: accounts over SCIM, and its ECK iDs over UWLR, where both have one key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.clock import FixedClock
from config.settings import Settings
from console.setup import initialise
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.edexml import Telling
from fixtures.school.plan import plan_school
from fixtures.school.population import Leerling
from fixtures.school.school import School
from sync_engine.hub import Hub
from sync_engine.outcome import Outcome
from sync_engine.runs import Options, run

START = datetime(2026, 11, 3, 1, 15, tzinfo=UTC)

_SETTINGS = """
[database]
url = "sqlite:///koppelhub.db"
[keys]
file = "koppelhub.keys"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
[[source]]
name = "accounts"
system = "magister"
tenant = "bestuur"
[source.options]
mode = "scim"
scim_url = "SCIM_URL"
token_url = "TOKEN_URL"
client_id = "CLIENT_ID"
client_secret = { env = "SCIM_SECRET" }
per_second = 0
[[source]]
name = "uwlr"
system = "uwlr"
tenant = "bestuur"
resources = ["school", "leerling"]
drop = ["leerling.jaargroep", "leerling.groep"]
keys_of = "accounts"
unmatched = "ignore"
[source.options]
endpoint = "ENDPOINT"
autorisatiesleutel = { env = "UWLR_SLEUTEL" }
klantcode = { env = "UWLR_KLANTCODE" }
klantnaam = "KLANTNAAM"
vestigingen = "99XX"
xsdversie = "2.3"
per_second = 0
"""


@pytest.fixture
def magister() -> Iterator[MagisterSandbox]:
    with MagisterSandbox(School(plan_school(40))) as running:
        yield running


@pytest.fixture
def uwlr(magister: MagisterSandbox) -> Iterator[UwlrSandbox]:
    """The same school; a user's id is his key, as the vendor says."""
    sandbox = UwlrSandbox(magister.school, telling=Telling(), now=lambda: START)
    sandbox.uwlr.edexml.key_of = magister.magister.scim.user_id
    with sandbox:
        yield sandbox


def test_the_eck_id_of_a_magister_school_lands_on_the_account_with_that_id(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    magister: MagisterSandbox,
    uwlr: UwlrSandbox,
) -> None:
    monkeypatch.setenv("SCIM_SECRET", magister.client.client_secret)
    monkeypatch.setenv("UWLR_SLEUTEL", uwlr.grant.sleutel)
    monkeypatch.setenv("UWLR_KLANTCODE", uwlr.grant.klantcode)
    text = _SETTINGS
    for name, value in (
        ("SCIM_URL", magister.scim_base),
        ("TOKEN_URL", magister.token_url),
        ("CLIENT_ID", magister.client.client_id),
        ("ENDPOINT", uwlr.endpoint),
        ("KLANTNAAM", uwlr.grant.klantnaam),
    ):
        text = text.replace(name, value)
    initialise(tmp_path, configuration=text)
    clock = FixedClock(START)
    hub = Hub.open(Settings.load(tmp_path / "koppelhub.toml"), clock)
    try:
        assert run(hub, "accounts", Options()).outcome is Outcome.DONE
        _check(hub, clock, uwlr)
    finally:
        hub.close()


def _check(hub: Hub, clock: FixedClock, uwlr: UwlrSandbox) -> None:
    def count(sql: str) -> int:
        with hub.store.work() as work:
            return int(work.execute(sql)[0][0])

    pupils = count("SELECT COUNT(*) FROM leerling")
    report = run(hub, "uwlr", Options())
    assert (report.outcome, report.cases) == (Outcome.DONE, 0)
    assert count("SELECT COUNT(*) FROM leerling") == pupils
    paired = (
        "SELECT COUNT(*) FROM link a JOIN link b ON a.core_id = b.core_id AND a.entity = b.entity "
        "AND a.koppeling_id < b.koppeling_id WHERE a.entity = 'leerling'"
    )
    assert count(paired) == count(f"{paired} AND a.source_key = b.source_key") == pupils
    school, edexml = uwlr.school, uwlr.uwlr.edexml
    with hub.store.work() as work:
        known = {key for (key,) in work.execute("SELECT source_key FROM link")}
    having = {
        edexml.person_key("leerling", key, uwlr.uwlr.telling)
        for v in (0, 1)
        for key in school.keys("leerling", v, peil=school.peil("HUIDIG"), offset=0, amount=999)
        if isinstance(key, Leerling) and edexml.eckid(key)
    }
    assert having & known
    owned = "SELECT COUNT(*) FROM identificatie WHERE soort = 'eck_id'"
    assert count(owned) == len(having & known)  # who left has no account any more
    clock.advance(timedelta(days=1))
    assert run(hub, "uwlr", Options()).steps == {}
