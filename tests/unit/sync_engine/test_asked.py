"""Fields of which policy asks a person where two sources disagree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.policies import Policy, default_values
from mappings.canonical.fields import Entity
from sync_engine import asked, pins
from sync_engine.explain import explain
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench, overlaid

ECK = f"https://ketenid.nl/pilot/{'a' * 128}"
BIRTH = ["leerling.geboortedatum"]


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two sources on each database that know one pupil, and agree; s1 is believed most."""
    found = bench(store, tmp_path, sources=2)
    found.policy(authority={"order": {"*": ["s1", "s0"]}, "ask": BIRTH})
    for name in ("s0", "s1"):
        says(found, name, "2012-03-04")
        found.sync(name)
    yield found
    found.close()


def says(made: Bench, name: str, born: str | None, **more: Any) -> None:
    made.sources[name].put(
        Entity.LEERLING, "a", **{"achternaam": "J", "eck_id": ECK, "geboortedatum": born, **more}
    )


def born(made: Bench) -> str | None:
    value: str | None = made.query("SELECT geboortedatum FROM leerling")[0][0]
    return value


def open_cases(made: Bench) -> list[tuple[str, str]]:
    return made.query("SELECT kind, rule FROM zaak WHERE state = 'open' ORDER BY id")


def test_while_sources_disagree_the_core_keeps_what_it_has_and_a_case_is_open(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    for _ in range(2):
        report = made.sync("s1")
        assert (born(made), report.steps) == ("2012-03-04", {})
        assert open_cases(made) == [("disagreement", "geboortedatum")]
    says(made, "s0", "2012-03-04", voorvoegsel="de")  # another source's run folds it too
    made.sync("s0")
    assert born(made) == "2012-03-04"
    assert open_cases(made) == [("disagreement", "geboortedatum")]


def test_other_fields_go_on_by_authority(made: Bench) -> None:
    says(made, "s1", "2012-04-03", achternaam="Anders")
    made.sync("s1")
    assert made.query("SELECT achternaam FROM leerling") == [("Anders",)]


def test_when_they_agree_again_the_case_closes_by_itself(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    made.sync("s1")
    says(made, "s0", "2012-04-03")
    made.sync("s0")
    assert (born(made), open_cases(made)) == ("2012-04-03", [])


def test_a_pin_answers_the_case(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    made.sync("s1")
    core_id = made.core(Entity.LEERLING, "a")
    person: Any = {"entity": Entity.LEERLING, "reason": "paspoort", "operator": "test"}
    pins.pin(made.hub, core_id, field="geboortedatum", value="2012-05-05", **person)
    made.sync("s0")
    assert (born(made), open_cases(made)) == ("2012-05-05", [])


def test_where_the_core_has_nothing_the_most_believed_is_taken(
    store: Store, tmp_path: Path
) -> None:
    made = bench(store, tmp_path, sources=2)
    made.policy(authority={"order": {"*": ["s1", "s0"]}, "ask": ["leerling.geboorteplaats"]})
    says(made, "s0", "2012-03-04")
    made.sync("s0")
    says(made, "s1", "2012-03-04", geboorteplaats="Goes")
    made.sync("s1")
    assert made.query("SELECT geboorteplaats FROM leerling") == [("Goes",)]
    assert open_cases(made) == []
    made.close()


def test_silence_and_emptiness_disagree_with_nobody(made: Bench) -> None:
    says(made, "s1", None)
    made.sync("s1")
    assert open_cases(made) == []


def test_who_is_gone_disagrees_with_nobody(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    made.sync("s1")
    assert open_cases(made)
    made.sources["s1"].remove(Entity.LEERLING, "a")
    made.sources["s1"].put(Entity.LEERLING, "ander", achternaam="Ander")
    made.sources["s1"].put(Entity.LEERLING, "derde", achternaam="Derde")
    made.settle("s1", rounds=4)
    assert open_cases(made) == []


def test_when_policy_asks_no_more_authority_decides_and_the_case_closes(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    made.sync("s1")
    made.policy(authority={"order": {"*": ["s1", "s0"]}})
    made.sync("s0")
    assert (born(made), open_cases(made)) == ("2012-04-03", [])


def test_a_preview_opens_no_case(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    assert made.sync("s1", dry=True).steps == {}
    assert open_cases(made) == []


def test_explain_says_what_the_core_keeps_and_that_a_person_is_asked(made: Bench) -> None:
    says(made, "s1", "2012-04-03")
    made.sync("s1")
    with made.context() as context:
        told = explain(context, Entity.LEERLING, made.core(Entity.LEERLING, "a"))
    (reason,) = (r for r in told.fields if r.name == "geboortedatum")
    assert (reason.value, reason.rule) == ("2012-03-04", "asks a person")
    assert {claim.value for claim in reason.claims} == {"2012-03-04", "2012-04-03"}


@pytest.mark.parametrize(
    "name", ["leerling.adres", "leerling.bsn", "leerling.email", "inschrijving.leerling"]
)
def test_only_a_plain_value_can_be_asked_for(name: str) -> None:
    policy = Policy.model_validate(overlaid(default_values(), {"authority": {"ask": [name]}}))
    with pytest.raises(ConfigurationError, match="only a field with one plain value"):
        asked.asked_fields(policy)


def test_a_field_that_is_not_there_is_refused_by_name() -> None:
    values = overlaid(default_values(), {"authority": {"ask": ["leerling.geboortedatm"]}})
    policy = Policy.model_validate(values)
    with pytest.raises(ConfigurationError, match=r"authority\.ask") as caught:
        policy.check_names({"leerling": ["geboortedatum"]})
    assert "leerling.geboortedatum" in caught.value.advice
