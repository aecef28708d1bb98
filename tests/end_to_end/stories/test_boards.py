"""Stories of a school that goes to another board, as ops and the helpdesk type them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.end_to_end.stories.test_mergers import closed, kept
from tests.support.lines import KOPPELING, configuration
from tests.support.story import Story

NOORD = "somtoday-noord"
SOURCE = """
[[source]]
name = "somtoday-noord"
system = "somtoday"
tenant = "{tenant}"
[source.options]
api_base = "{sandbox.api_base}"
token_url = "{sandbox.token_url}"
organisation = "{sandbox.school.uuid}"
client_id = "{sandbox.credentials.client_id}"
client_secret = {{ env = "KOPPELHUB_NOORD_SECRET" }}
per_second = "0"
"""
OTHER_BOARD = """
[[tenant]]
name = "buren"
title = "Stichting Buren"
school = [{ brin = "99YY", name = "Noord" }]
"""
SCHOOL = """
[[tenant.school]]
brin = "99YY"
name = "Noord"
"""


def going(name: str, old: str, new: str) -> str:
    """What announces it."""
    return (
        f'[[herinrichting]]\nname = "{name}"\ntenant = "{old}"\nnaar = "{new}"\n'
        f'on = 2026-11-02\nkoppelingen = ["{NOORD}"]\n'
    )


@pytest.fixture
def noord(story: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[SomtodaySandbox]:
    """Another school of the same board, in an organisation of its own; read for two nights."""
    sandbox = SomtodaySandbox(School(replace(plan_school(16, 2, brin="99YY"), keys=77))).start()
    monkeypatch.setenv("KOPPELHUB_NOORD_SECRET", sandbox.credentials.client_secret)
    configure(story, sandbox, "demo")
    for _ in range(2):
        night(story)
    yield sandbox
    sandbox.stop()


def configure(story: Story, sandbox: SomtodaySandbox, tenant: str, *more: str) -> None:
    """What ops writes into the configuration file."""
    text = configuration(story.line.sandbox, more=SCHOOL + OTHER_BOARD)
    text += SOURCE.format(tenant=tenant, sandbox=sandbox) + "".join(more)
    (story.line.folder / "koppelhub.toml").write_text(text, encoding="utf-8")


def night(story: Story) -> list[Any]:
    """Both koppelingen; what each applied."""
    story.later(hours=24)
    found = []
    for name in (KOPPELING, NOORD):
        said = story.shell("sync", "--source", name, "--json")
        assert said.data["outcome"] == "done", said.out
        found.append(said.data["applied"])
    return found


def tenants(story: Story) -> dict[str, int]:
    """Board → its leerlingen."""
    return dict(
        story.line.query(
            "SELECT t.name, COUNT(*) FROM leerling l JOIN tenant t ON t.id = l.tenant_id "
            "GROUP BY t.name"
        )
    )


def test_a_school_goes_to_another_board_and_comes_back(
    story: Story, noord: SomtodaySandbox
) -> None:
    assert night(story) == [{}, {}]
    before, ended, there = kept(story), closed(story), tenants(story)
    configure(story, noord, "demo", going("overgang", "demo", "buren"))
    (waiting,) = story.asks("herinrichting", "list")
    assert (waiting["state"], waiting["numbers"]) == ("announced", [f"{NOORD} → buren"])
    shown = story.types("herinrichting", "preview", "overgang").out
    assert f"{NOORD} gaan van demo naar buren, vanaf 2026-11-02." in shown
    assert "gaat mee onder zijn eigen sleutel" in shown
    assert "leerling" in shown
    said = story.types("herinrichting", "apply", "overgang", stdin="n\n")
    assert "Er is niets gewijzigd." in said.out
    assert tenants(story) == there

    said = story.types("herinrichting", "apply", "overgang", "--why", "per augustus", stdin="y\n")
    assert f'Zet nu in de configuratie tenant = "buren" bij: {NOORD}.' in said.out
    (told,) = story.asks("herinrichting", "list")
    assert told["state"] == "unconfigured"
    refused = story.shell("sync", "--source", NOORD)
    assert refused.code == 2
    assert 'tenant = "buren"' in refused.err
    assert "noemt nog het oude bestuur" in story.shell("doctor").out
    again = story.shell("herinrichting", "apply", "overgang", stdin="y\n")
    assert "Dit is al toegepast." in again.err
    finish = story.shell("herinrichting", "finish", "overgang", stdin="y\n")
    assert "niets af te ronden" in finish.err

    configure(story, noord, "buren", going("overgang", "demo", "buren"))
    (told,) = story.asks("herinrichting", "list")
    assert told["state"] == "transferred"
    for _ in range(2):
        _, applied = night(story)
        assert not [step for step in applied if step.endswith((".create", ".close"))]
    assert night(story) == [{}, {}]
    assert closed(story) == ended
    counts = tenants(story)
    assert sum(counts.values()) == sum(there.values())
    assert counts["buren"] > 0
    after = kept(story)
    for name in ("leerling", "verzorger", "inschrijving", "groep", "vestiging"):
        assert after[name] == before[name], name
    assert story.cases() == []
    trail = [line for line in story.asks("audit", "show") if line["action"] == "transfer"]
    assert {line["subject"] for line in trail} == {"tenant 1", "tenant 2"}

    configure(story, noord, "demo", going("terug", "buren", "demo"))
    story.types("herinrichting", "apply", "terug", stdin="y\n")
    configure(story, noord, "demo")
    for _ in range(2):
        night(story)
    assert night(story) == [{}, {}]
    assert (tenants(story), closed(story)) == (there, ended)
    assert kept(story) == before


PART = """
[[source]]
name = "somtoday-nieuw"
system = "somtoday"
tenant = "buren"
vestigingen = ["99XX01"]
[source.options]
api_base = "{0.api_base}"
token_url = "{0.token_url}"
organisation = "{0.school.uuid}"
client_id = "{0.credentials.client_id}"
client_secret = {{ env = "KOPPELHUB_DEMO_CLIENT_SECRET" }}
per_second = "0"
[[herinrichting]]
name = "overgang"
tenant = "demo"
naar = "buren"
on = 2026-11-02
[[herinrichting.deel]]
koppeling = "somtoday-demo"
vestigingen = ["99XX01"]
to = "somtoday-nieuw"
"""


def test_one_vestiging_goes_and_the_other_stays(story: Story) -> None:
    """Both are in one Somtoday, which tells either koppeling of both vestigingen."""
    sandbox = story.line.sandbox
    story.nights(1)
    before, ended, there = kept(story), closed(story), tenants(story)
    board = OTHER_BOARD.replace("99YY", "99XX")

    def configure(*, vestigingen: str) -> None:
        text = configuration(sandbox, more=board + PART.format(sandbox))
        text = text.replace('vestigingen = "all"', f"vestigingen = {vestigingen}")
        (story.line.folder / "koppelhub.toml").write_text(text, encoding="utf-8")

    configure(vestigingen='["99XX02"]')
    shown = story.types("herinrichting", "preview", "overgang").out
    assert "somtoday-nieuw gaan van demo naar buren" in shown
    assert "Hoort bij beide besturen en wordt in elk een record" in shown
    story.types("herinrichting", "apply", "overgang", "--yes")
    configure(vestigingen='"all"')
    refused = story.shell("sync", "--source", KOPPELING)
    assert "99XX01 went to buren" in refused.err
    configure(vestigingen='["99XX02"]')
    for night in range(2):
        story.later(hours=24)
        for name in (KOPPELING, "somtoday-nieuw"):
            said = story.shell("sync", "--source", name, "--json")
            assert said.data["outcome"] == "done", said.out
            made = {k: n for k, n in said.data["applied"].items() if not k.endswith(".change")}
            assert made == ({} if night else {"vestiging.create": 1})
    counts, after = tenants(story), kept(story)
    assert (closed(story), story.cases()) == (ended, [])
    assert counts["buren"] + counts["demo"] == there["demo"] + 1  # one is of both
    for name in ("leerling", "verzorger", "inschrijving", "groep", "vestiging"):
        assert set(before[name]) <= set(after[name]), name
