"""`koppelhub sync --groep`: a class and its members, by whatever a person has in hand."""

from __future__ import annotations

import pytest

from fixtures.school.changes import Changes
from fixtures.school.overlay import Groep
from sync_engine.find import hub_key
from tests.support.coredump import core_dump, differences
from tests.support.shell import Shell

NOW = "2026/2027"


def a_group(made: Shell, kind: str = "stamgroep") -> tuple[int, str, str]:
    """Core id, name and the source's own key of a groep of this schooljaar with members."""
    core_id, name, key = made.line.query(
        "SELECT g.id, g.naam, r.source_key FROM groep g JOIN link l ON l.core_id = g.id "
        "JOIN shadow s ON s.entity = 'groep' AND s.source_key = l.source_key "
        "JOIN source_record r ON r.id = s.record_id WHERE g.soort = ? AND g.schooljaar = ? "
        "AND EXISTS (SELECT 1 FROM groepsdeelname d WHERE d.groep_id = g.id "
        "AND d.rol = 'leerling' AND NOT d.beeindigd) "
        "AND (SELECT COUNT(*) FROM groep o WHERE o.naam = g.naam AND o.schooljaar = g.schooljaar) "
        "= 1 ORDER BY g.id",
        kind,
        NOW,
    )[0]
    return core_id, name, key


def members(made: Shell, core_id: int) -> set[str]:
    rows = made.line.query(
        "SELECT l.source_key FROM groepsdeelname d JOIN link l ON l.core_id = d.persoon_id "
        "WHERE d.groep_id = ? AND d.rol = 'leerling' AND NOT d.beeindigd",
        core_id,
    )
    return {row[0] for row in rows}


@pytest.mark.parametrize("kind", ["stamgroep", "lesgroep"])
def test_a_class_is_renewed_and_only_its_members_with_it(shell: Shell, kind: str) -> None:
    shell.of_source("sync")
    line = shell.line
    core_id, name, key = a_group(shell, kind)
    inside = members(shell, core_id)
    everybody = {r[0] for r in line.query("SELECT source_key FROM link WHERE entity = 'leerling'")}
    for uuid in everybody:
        Changes(line.school).patch(uuid, roepnaam="Nieuwenaam")
    line.sandbox.forget_requests()
    said = shell.of_source("sync", "--groep", name, "--json")
    assert (said.code, said.data["outcome"], said.data["kind"]) == (0, "done", "only")
    assert said.data["steps"] == {"leerling.change": len(inside)}
    renewed = {
        row[0]
        for row in line.query(
            "SELECT l.source_key FROM leerling c JOIN link l ON l.core_id = c.id "
            "WHERE c.roepnaam = 'Nieuwenaam'"
        )
    }
    assert renewed == inside
    assert inside < everybody
    reads = [r for r in line.sandbox.requests if "/vestiging/" in r.path]
    assert {r.path.rstrip("/").rpartition("/")[2] for r in reads} >= {kind, "leerling"}
    assert all("uuid" in recorded.query_names for recorded in reads)
    assert shell.of_source("sync", "--groep", key, "--json").data["steps"] == {}


def test_who_joined_a_class_comes_along(quick: Shell) -> None:
    quick.of_source("sync")
    school = quick.line.school
    newcomer = school.uuid_of("leerling", Changes(school).arrive(0, 0))
    key = school.uuid_of("stamgroep", Groep(0, 0, school.year))
    said = quick.of_source("sync", "--groep", key, "--json").data
    assert said["applied"]["leerling.create"] == 1
    ((core_id,),) = quick.line.query(
        "SELECT core_id FROM link WHERE entity = 'groep' AND source_key LIKE ? "
        "AND core_id IN (SELECT id FROM groep WHERE schooljaar = ?)",
        f"{key}%",
        NOW,
    )
    assert newcomer in members(quick, core_id)
    assert len(quick.line.query("SELECT 1 FROM leerling")) == 41


def test_a_class_by_hub_key_name_or_standard_input(quick: Shell) -> None:
    quick.of_source("sync")
    core_id, name, key = a_group(quick)
    for arguments, stdin in (
        ((hub_key(core_id),), ""),
        ((name.lower(),), ""),
        ((key,), ""),
        (("-",), f"{name}\n"),
    ):
        said = quick.of_source("sync", "--groep", *arguments, "--json", stdin=stdin)
        assert (said.code, said.data["steps"]) == (0, {})
        assert sum(r["read"] for r in said.data["readings"] if r["resource"] == "stamgroep") >= 1
    (options,) = quick.line.query("SELECT options FROM run ORDER BY id DESC LIMIT 1")[0]
    assert '"groups":1' in options
    assert name not in options


def test_a_preview_of_a_class_writes_nothing(quick: Shell) -> None:
    quick.of_source("sync")
    line = quick.line
    core_id, name, _ = a_group(quick)
    uuid = min(members(quick, core_id))
    Changes(line.school).patch(uuid, roepnaam="Nieuwenaam")
    before = quick.everything()
    shown = quick.of_source("sync", "--groep", name, "--dry-run", "--json").data
    assert quick.everything() == before
    assert shown["steps"] == {"leerling.change": 1}


def test_an_unknown_class_names_what_comes_nearest_and_asks_the_source_nothing(
    quick: Shell,
) -> None:
    quick.of_source("sync")
    core = core_dump(quick.line.hub)
    _, name, _ = a_group(quick)
    quick.line.sandbox.forget_requests()
    unknown = quick.of_source("sync", "--groep", f"{name}x")
    assert (unknown.code, "Bedoelt u: " in unknown.err, name in unknown.err) == (2, True, True)
    assert quick.of_source("sync", "--groep", "K-123").code == 2  # mistyped
    assert not quick.line.sandbox.requests
    assert differences(core_dump(quick.line.hub), core) == {}


def test_school_selects_where_a_class_is_read(quick: Shell) -> None:
    quick.of_source("sync")
    _, name, key = a_group(quick)
    ((brins,), *_) = quick.line.query(
        "SELECT s.brins FROM source_record r JOIN scope s ON s.id = r.scope_id "
        "WHERE r.source_key = ? AND s.resource = 'stamgroep' ORDER BY s.rank",
        key,
    )
    own, other = ("99XX01", "99XX02") if "99XX01" in brins else ("99XX02", "99XX01")
    there = quick.of_source("sync", "--groep", name, "--school", own, "--json").data
    assert "stamgroep" in {r["resource"] for r in there["readings"]}
    elsewhere = quick.of_source("sync", "--groep", name, "--school", other, "--json").data
    assert "stamgroep" not in {r["resource"] for r in elsewhere["readings"]}


@pytest.mark.parametrize(
    "options", [("--only", "x"), ("--entity", "stamgroep"), ("--delta",), ("--groep", "-")]
)
def test_a_class_is_asked_for_alone(options: tuple[str, ...], quick: Shell) -> None:
    arguments = options if options[0] == "--groep" else ("--groep", "3A", *options)
    assert quick.of_source("sync", *arguments).code == 64
