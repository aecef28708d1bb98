"""`koppelhub replay`: a mapping is mended, and what Somtoday said last is mapped again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from connectors.base import DeliveryContract, Parsed, Scope, SourceRecord
from connectors.somtoday.connector import SOMTODAY, SomtodayConnector
from fixtures.sandbox import faults
from fixtures.school.day import Day
from mappings.canonical.personen import Leerling
from mappings.mapping import DescribedRow, Mapped
from mappings.somtoday import MAPPING
from sync_engine.hub import Hub
from sync_engine.store.locks import lease
from tests.support.coredump import core_dump, differences
from tests.support.lines import KOPPELING
from tests.support.shell import Shell


class Mended:
    """The mapping of Somtoday with one change: the usual name of a leerling in capitals."""

    system = MAPPING.system
    version = f"{MAPPING.version}-mended"
    strengths = MAPPING.strengths

    def map(
        self, resource: str, record: SourceRecord, *, contract: DeliveryContract, scope: Scope
    ) -> Mapped:
        mapped = MAPPING.map(resource, record, contract=contract, scope=scope)
        records = [
            msgspec.structs.replace(made, roepnaam=made.roepnaam.upper())
            if isinstance(made, Leerling) and isinstance(made.roepnaam, str)
            else made
            for made in mapped.records
        ]
        return Mapped(records, mapped.problems, mapped.silent, mapped.silent_keys)

    def describe(self) -> Sequence[DescribedRow]:
        return MAPPING.describe()


def mend(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Hub, "mapping", lambda *_: Mended())


def names(made: Shell) -> list[str]:
    rows = made.line.query("SELECT roepnaam FROM leerling WHERE roepnaam IS NOT NULL")
    return [row[0] for row in rows]


def test_a_school_is_mapped_again_without_a_single_question_to_the_source(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.of_source("sync")
    Day(shell.line.school).one_day()
    shell.line.later(days=1)
    shell.of_source("sync")
    mend(monkeypatch)
    shell.line.sandbox.forget_requests()
    before = shell.everything()
    dry = shell.of_source("replay", "--dry-run", "--json")
    assert shell.everything() == before
    said = shell.of_source("replay", stdin="n\n")
    assert (said.code, shell.everything() == before) == (0, True)
    assert "wijzigt leerling" in said.out  # what it would do, and nothing of it done
    done = shell.of_source("replay", "--json", "--yes")
    assert not shell.line.sandbox.requests
    assert (dry.code, done.code) == (0, 0)
    assert done.data["steps"] == dry.data["steps"]
    assert set(done.data["applied"]) == {"leerling.change"}
    assert done.data["applied"]["leerling.change"] >= len(names(shell))
    assert all(name == name.upper() for name in names(shell))
    assert {r["state"] for r in done.data["readings"]} == {"replayed"}
    assert shell.of_source("replay", "--json", "--yes").data["steps"] == {}
    core = core_dump(shell.line.hub)
    read = shell.of_source("sync", "--json").data
    assert (read["outcome"], read["steps"]) == ("done", {})
    assert differences(core_dump(shell.line.hub), core) == {}


def test_a_planned_replay_waits_for_a_person(quick: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    quick.of_source("sync")
    mend(monkeypatch)
    planned = quick.of_source("replay", "--plan", "--json")
    assert (planned.code, planned.data["outcome"]) == (3, "held")
    assert not any(name == name.upper() for name in names(quick))
    assert quick("plan", "apply", str(planned.data["plan_id"]), "--yes").code == 0
    assert all(name == name.upper() for name in names(quick))


def test_what_broke_a_rule_is_mended_by_the_next_night_though_the_source_is_down(
    quick: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = quick.line
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    line.sandbox.misbehave(faults.WrongValue(path=path, at=1, field="achternaam", value=[1]))
    broken = quick.of_source("sync", "--json").data
    assert broken["quarantine"] == 1
    line.sandbox.behave()
    (key,) = line.query("SELECT source_key FROM quarantine")[0]
    mend(monkeypatch)

    def lenient(self: SomtodayConnector, resource: str, body: bytes) -> Parsed:
        values = msgspec.json.decode(body)
        if isinstance(values.get("achternaam"), list):
            values["achternaam"] = "Hersteld"
        return SOMTODAY.parse(resource, msgspec.json.encode(values))

    monkeypatch.setattr(SomtodayConnector, "parse", lenient)
    line.sandbox.misbehave(faults.ServerError(path="leerling", count=None))
    line.later(days=1)
    night = quick.of_source("sync", "--json").data
    assert night["quarantine"] == 0
    found = line.query(
        "SELECT c.achternaam FROM leerling c JOIN link l ON l.core_id = c.id "
        "WHERE l.source_key = ?",
        key,
    )
    assert found == [("Hersteld",)]


def test_entity_since_and_what_is_left_out_are_told(
    quick: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.of_source("sync")
    mend(monkeypatch)
    quick.line.query(
        "UPDATE source_record SET salt = NULL WHERE id = "
        "(SELECT MIN(record_id) FROM shadow WHERE entity = 'leerling')"
    )
    later = (quick.line.clock.now() + timedelta(days=1)).date().isoformat()
    none = quick.of_source("replay", "--since", later, "--json", "--yes")
    assert (none.code, none.data["steps"]) == (0, {})
    groups = quick.of_source("replay", "--entity", "stamgroep", "--json", "--yes").data
    assert ({r["resource"] for r in groups["readings"]}, groups["steps"]) == ({"stamgroep"}, {})
    done = quick.of_source("replay", "--entity", "leerling", "--yes")
    assert done.code == 0
    assert "overgeslagen, gewist: 1" in done.out
    listed = quick("runs", "--json").data
    assert listed[0]["kind"] == "replay"
    assert listed[0]["read"] > 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--since", "gisteren"), 64),
        (("--dry-run", "--plan"), 64),
        (("--entity", "toverstaf"), 2),
        ((), 2),  # nothing was ever received
    ],
)
def test_what_cannot_be_replayed_is_said(options: tuple[str, ...], code: int, quick: Shell) -> None:
    said = quick.of_source("replay", *options)
    assert said.code == code
    assert "Traceback" not in said.err + said.out
    assert said.err + said.out


def test_a_replay_takes_the_lease_of_its_koppeling(
    quick: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.of_source("sync")
    row = quick.line.hub.koppeling(KOPPELING)
    with (
        quick.line.hub.store.work() as work,
        lease(quick.line.hub.store, f"koppeling-{row.id}", on=work),
    ):
        assert quick.of_source("replay").code == 75
