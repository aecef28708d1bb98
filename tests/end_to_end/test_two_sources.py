"""Two administrations of different systems about the same pupils, each over its own socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.clock import Clock, FixedClock
from config.policies import Authority
from config.settings import Settings
from config.sources import Source
from connectors.base import Connector, Link
from console.setup import initialise
from fixtures.sandbox import faults
from fixtures.sandbox.reference import ReferenceSandbox
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.pages import Pages
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from koppelhub_referentie.connector import REFERENTIE
from koppelhub_referentie.mapping import MAPPING
from mappings import registry as mappings
from mappings.mapping import Mapping
from sync_engine import linking
from sync_engine.explain import Explanation, FieldReason
from sync_engine.history import explain_leerling
from sync_engine.hub import Hub
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.runs import Kind, Options, run
from sync_engine.store.work import Row
from tests.support.coredump import core_dump, differences
from tests.support.template import sqlite_template

START = datetime(2026, 11, 2, 1, 15, tzinfo=UTC)
SHARED = 5
ISSUED = 900_000  # numbers of the Referentiebron; Somtoday has others
LAS, BRON = "las", "bron"

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
name = "las"
system = "somtoday"
tenant = "bestuur"
resources = ["instelling", "vestiging", "leerling"]
[source.options]
api_base = "API_BASE"
token_url = "TOKEN_URL"
organisation = "ORGANISATION"
client_id = "CLIENT_ID"
client_secret = { env = "LAS_SECRET" }
per_second = 0
[[source]]
name = "bron"
system = "referentie"
tenant = "bestuur"
resources = ["leerling"]
[policy.authority.order]
"*" = ["las", "bron"]
"leerling.roepnaam" = ["bron", "las"]
"""

Pupil = dict[str, Any]


@dataclass
class Two:
    """One hub, two sources, and the pupils that Somtoday shows and that have an ECK iD."""

    hub: Hub
    clock: FixedClock
    somtoday: SomtodaySandbox
    reference: ReferenceSandbox
    pupils: list[Pupil]

    def sync(self, *names: str, kind: Kind = Kind.FULL) -> RunReport:
        """Run the koppelingen one after another; the report of the last."""
        reports = [run(self.hub, name, Options(kind=kind)) for name in names]
        return reports[-1]

    def night(self) -> None:
        """Let a day go by."""
        self.clock.advance(timedelta(days=1))

    def query(self, sql: str, *params: object) -> list[Row]:
        """Rows of the database."""
        with self.hub.store.work() as work:
            return work.execute(sql, params)

    def explain(self, key: str) -> Explanation:
        """The one pupil with this leerlingnummer."""
        ((_, found),) = explain_leerling(self.hub, key, field=None, operator="proef")
        return found

    def put(self, number: int, **fields: object) -> None:
        """What the Referentiebron says of a pupil that it shares with Somtoday."""
        pupil = self.pupils[number]
        said = {
            "achternaam": f"Anders{number}",
            "roepnaam": f"Roep{number}",
            "geboortedatum": pupil["geboortedatum"],
            "leerlingnummer": f"{ISSUED + number}",
            "eck_id": pupil["eckid"],
            **fields,
        }
        self.reference.reference.put("leerling", f"r{number}", **said)


def field(explanation: Explanation, name: str) -> FieldReason:
    """One field of an explanation."""
    return next(reason for reason in explanation.fields if reason.name == name)


def claims(reason: FieldReason) -> dict[str, tuple[str, object]]:
    """Koppeling → state and value of what it claims."""
    return {claim.koppeling: (claim.state, claim.value) for claim in reason.claims}


Maker = Callable[[str], Two]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """Makes hubs over the same two sources."""
    school = School(plan_school(40))
    opened: list[Hub] = []
    clock = FixedClock(START)
    with SomtodaySandbox(school) as somtoday, ReferenceSandbox() as reference:
        monkeypatch.setenv("LAS_SECRET", somtoday.credentials.client_secret)

        def build(name: str) -> Two:
            hub = _hub(tmp_path / name, somtoday, reference, clock=clock)
            opened.append(hub)
            return Two(hub, clock, somtoday, reference, _pupils(school))

        yield build
    for hub in opened:
        hub.close()


@pytest.fixture
def two(make: Maker) -> Two:
    """Both have been read once: Somtoday first, then what the other says of five of its pupils."""
    made = make("hub")
    for number in range(SHARED):
        made.put(number)
    assert made.sync(LAS).outcome is Outcome.DONE
    assert made.sync(BRON).outcome is Outcome.DONE
    made.night()
    return made


def _pupils(school: School) -> list[Pupil]:
    page = Pages(school).page(
        "leerling", 0, peil=school.peil("HUIDIG"), offset=0, amount=200, permissions=False
    )
    shown = msgspec.json.decode(page)["leerlingen"]
    return [
        pupil for pupil in shown if pupil.get("eckid") and pupil.get("adres") and pupil["roepnaam"]
    ]


def _hub(
    folder: Path, somtoday: SomtodaySandbox, reference: ReferenceSandbox, *, clock: FixedClock
) -> Hub:
    text = _SETTINGS
    for name, value in (
        ("API_BASE", somtoday.api_base),
        ("TOKEN_URL", somtoday.token_url),
        ("ORGANISATION", somtoday.school.uuid),
        ("CLIENT_ID", somtoday.credentials.client_id),
    ):
        text = text.replace(name, value)
    sqlite_template(folder / "koppelhub.db")
    initialise(folder, configuration=text)
    settings = Settings.load(folder / "koppelhub.toml")

    def connect(source: Source, at: Clock) -> Connector:
        if source.system != MAPPING.system:
            return linking.connector(settings, source, at)
        options = {"base_url": reference.url, "token": reference.reference.token, "limit": "3"}
        link = Link(source.name, options, source.resources, drop=frozenset({"leerling.bsn"}))
        return REFERENTIE.connect(link, clock=at)

    opened = Hub.open(settings, clock, connect=connect)

    def find_mapping(system: str) -> Mapping:
        return MAPPING if system == MAPPING.system else mappings.mapping_of(system)

    return Hub(settings, opened.store, opened.keyring, clock, connect, find_mapping)


# -- one pupil, two sources ----------------------------------------------------------------------


def test_pupils_of_one_eck_id_are_one_pupil(two: Two) -> None:
    count = len(two.query("SELECT id FROM leerling"))
    links = two.query(
        "SELECT core_id, COUNT(*) FROM link WHERE entity = 'leerling' "
        "GROUP BY core_id HAVING COUNT(*) > 1"
    )
    assert [shared for _, shared in links] == [2] * SHARED
    assert count == len(two.query("SELECT 1 FROM link WHERE entity = 'leerling'")) - SHARED


def test_each_field_follows_its_authority_and_both_claims_are_kept(two: Two) -> None:
    for number in range(SHARED):
        pupil = two.pupils[number]
        told = two.explain(str(pupil["leerlingnummer"]))
        name = field(told, "achternaam")
        assert (name.value, name.koppeling, name.rule) == (pupil["achternaam"], LAS, "authority")
        assert claims(name) == {
            LAS: ("value", pupil["achternaam"]),
            BRON: ("value", f"Anders{number}"),
        }
        called = field(told, "roepnaam")
        assert (called.value, called.koppeling) == (f"Roep{number}", BRON)
        assert claims(called) == {
            LAS: ("value", pupil["roepnaam"]),
            BRON: ("value", f"Roep{number}"),
        }
        alone = field(told, "voornamen")
        assert alone.koppeling == LAS
        assert set(claims(alone)) == {LAS}


def test_each_source_keeps_the_number_that_it_issued(two: Two) -> None:
    by_las = two.explain(str(two.pupils[0]["leerlingnummer"]))
    by_bron = two.explain(str(ISSUED))
    assert by_las.core_id == by_bron.core_id
    issued = two.query(
        "SELECT COUNT(*) FROM identificatie WHERE eigenaar_id = ? AND soort = 'leerlingnummer'",
        by_las.core_id,
    )
    assert issued == [(2,)]


def test_a_field_that_one_source_leaves_out_is_the_others(two: Two) -> None:
    two.put(0, mobiel="0612345678")
    two.sync(BRON, kind=Kind.DELTA)
    two.put(0)  # it is not delivered any more, which says nothing
    two.sync(BRON, kind=Kind.DELTA)
    mobile = claims(field(two.explain(str(ISSUED)), "mobiel"))
    assert mobile[BRON] == ("retained", "+31612345678")


def test_where_one_source_lets_go_the_other_gives_the_value(two: Two) -> None:
    two.reference.reference.remove("leerling", "r0")
    report = two.sync(BRON, kind=Kind.DELTA)
    assert report.steps == {"leerling.change": 1}  # Somtoday still has the pupil
    pupil = two.pupils[0]
    told = two.explain(str(pupil["leerlingnummer"]))
    assert not told.closed
    called = field(told, "roepnaam")
    assert (called.value, called.koppeling) == (pupil["roepnaam"], LAS)
    assert claims(called)[BRON] == ("gone", "Roep0")


def test_a_changed_policy_refolds_what_both_have_said(two: Two) -> None:
    policy = two.hub.settings.policy
    order = policy.authority.order | {"leerling.roepnaam": (LAS, BRON)}
    authority = Authority.model_validate({"order": order})
    changed = two.hub.settings.model_copy(
        update={"policy": policy.model_copy(update={"authority": authority})}
    )
    hub = two.hub
    two.hub = Hub(changed, hub.store, hub.keyring, hub.clock, hub.connect, hub.find_mapping)
    report = two.sync(LAS)
    assert report.steps == {"leerling.change": SHARED}
    assert field(two.explain(str(ISSUED)), "roepnaam").value == two.pupils[0]["roepnaam"]


def test_the_second_runs_of_both_change_nothing(two: Two) -> None:
    before = core_dump(two.hub)
    assert two.sync(LAS).steps == {}
    assert two.sync(BRON).steps == {}
    assert two.sync(BRON, kind=Kind.DELTA).steps == {}
    assert differences(before, core_dump(two.hub)) == {}


def test_the_order_of_the_sources_does_not_matter(make: Maker) -> None:
    one, other = make("een"), make("ander")
    for number in range(SHARED):
        one.put(number)
    one.sync(LAS, BRON)
    other.sync(BRON, LAS)
    left, right = core_dump(one.hub), core_dump(other.hub)
    assert left.pop("link") != right.pop("link")  # who was new and who was recognised
    assert differences(left, right) == {}


# -- one source in trouble -----------------------------------------------------------------------


def test_a_source_that_fails_stops_only_itself(two: Two) -> None:
    before = core_dump(two.hub)
    two.reference.misbehave(faults.ServerError(count=None))
    failed = two.sync(BRON)
    assert (failed.outcome, failed.exit_code) == (Outcome.FAILED, ExitCode.LATER)
    assert failed.advice
    assert differences(before, core_dump(two.hub)) == {}
    assert two.sync(LAS).outcome is Outcome.DONE
    two.reference.behave()
    two.put(1, roepnaam="Daarna")
    two.night()
    assert two.sync(BRON).outcome is Outcome.DONE
    assert field(two.explain(str(ISSUED + 1)), "roepnaam").value == "Daarna"


# -- in doubt ------------------------------------------------------------------------------------


def test_who_only_looks_alike_is_a_case_and_nobody_new(two: Two) -> None:
    known = two.query("SELECT COUNT(*) FROM leerling")
    _lookalike(two)
    report = two.sync(BRON, kind=Kind.DELTA)
    assert report.cases == 1
    assert report.situations["disputed"] == 1
    assert two.query("SELECT COUNT(*) FROM leerling") == known
    assert _cases(two) == [("score", "alike")]
    assert two.sync(LAS).outcome is Outcome.DONE
    assert two.sync(BRON).cases == 1  # it stays one case


def test_an_exact_key_that_comes_later_settles_the_case(two: Two) -> None:
    _lookalike(two)
    two.sync(BRON, kind=Kind.DELTA)
    _lookalike(two, eck_id=two.pupils[SHARED]["eckid"])
    report = two.sync(BRON, kind=Kind.DELTA)
    assert report.cases == 0
    assert _cases(two) == []
    number = str(two.pupils[SHARED]["leerlingnummer"])
    assert set(claims(field(two.explain(number), "roepnaam"))) == {LAS, BRON}


def _lookalike(two: Two, **fields: object) -> None:
    """A pupil of the Referentiebron who looks like one of Somtoday; no key says that it is."""
    pupil = two.pupils[SHARED]
    two.reference.reference.put(
        "leerling",
        "alike",
        achternaam=pupil["achternaam"],
        roepnaam=pupil["roepnaam"],
        geboortedatum=pupil["geboortedatum"],
        adres={"postcode": pupil["adres"]["postcode"]},
        **fields,
    )


def _cases(two: Two) -> list[Row]:
    return two.query("SELECT kind, source_key FROM zaak WHERE state = 'open'")
