"""A school that had a tracking application before it had a hub, as the helpdesk brings it over.

1,000 pupils stand in the core, with ordinary errors, and Somtoday knows the same pupils. None is
doubled: everybody is recognised, or waits in a case for a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import config.clock
from fixtures.school.plan import WIDE, plan_school
from tests.support.kern import KERN, TOKEN, TOKEN_NAME, source_toml
from tests.support.legacy_school import LegacySchool, legacy_school
from tests.support.lines import KOPPELING, SECRET, new_line
from tests.support.shell import Shell

NEW = 7
"""Pupils of whom the application had no row."""


def brought_over(
    folder: Path, patch: pytest.MonkeyPatch, *, rows: int, url: str | None
) -> Iterator[tuple[Shell, LegacySchool]]:
    """An installation whose core held that many pupils before the hub came."""
    pupils = rows - rows // 50 + NEW
    plan = plan_school(pupils, rights=(WIDE,))
    more = source_toml(tenant="demo")
    patch.setenv(TOKEN_NAME, TOKEN)
    with new_line(folder / "installatie", plan=plan, url=url, more=more) as line:
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        patch.setattr(config.clock, "SystemClock", lambda: line.clock)
        legacy = legacy_school(line.school, rows=rows)
        with line.hub.store.work() as work:
            legacy.stand(work, line.hub.koppeling(KERN).tenant_id)
        legacy.write_file(line.folder / "nummers.jsonl")
        yield Shell(line), legacy


@pytest.fixture
def thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Shell, LegacySchool]]:
    yield from brought_over(tmp_path, monkeypatch, rows=1_000, url=None)


@pytest.fixture
def hundred(
    ready_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Shell, LegacySchool]]:
    yield from brought_over(tmp_path, monkeypatch, rows=100, url=ready_url)


def adopt(shell: Shell, *options: str, stdin: str = "") -> list[str]:
    file = str(shell.line.folder / "nummers.jsonl")
    said = shell(
        *("adopt", "--source", KERN, "--school", "99XX", "--numbers-of", KOPPELING),
        *("--file", file, *options),
        stdin=stdin,
    )
    assert said.code in {0, 1}, said.err
    return said.out.splitlines()


def leerlingen(shell: Shell) -> int:
    return int(shell.line.query("SELECT COUNT(*) FROM leerling")[0][0])


def linked(shell: Shell) -> dict[str, int]:
    """Somtoday's key → core id."""
    return dict(
        shell.line.query(
            "SELECT l.source_key, l.core_id FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE k.name = ? AND l.entity = 'leerling'",
            KOPPELING,
        )
    )


def in_doubt(shell: Shell) -> dict[str, set[int]]:
    """Somtoday's key → whom its open case names."""
    rows = shell.line.query(
        "SELECT z.source_key, z.detail FROM zaak z JOIN koppeling k ON k.id = z.koppeling_id "
        "WHERE k.name = ? AND z.entity = 'leerling' AND z.state = 'open'",
        KOPPELING,
    )
    return {key: {c["core_id"] for c in json.loads(detail)} for key, detail in rows}


def nobody_is_doubled(shell: Shell, legacy: LegacySchool, *, rows: int) -> None:
    """Each pupil of Somtoday is his own row, or in a case that names it, or really new."""
    known, doubts = linked(shell), in_doubt(shell)
    own: dict[str, set[int]] = {}
    for pupil in legacy.rows:
        own.setdefault(pupil.uuid, set()).add(pupil.core_id)
    wrong = {
        uuid: known[uuid] for uuid in known.keys() & own.keys() if known[uuid] not in own[uuid]
    }
    assert wrong == {}
    assert own.keys() <= known.keys() | doubts.keys()
    unnamed = [uuid for uuid in own.keys() - known.keys() if not own[uuid] & doubts[uuid]]
    assert unnamed == []
    new = known.keys() - own.keys()
    assert leerlingen(shell) == rows + len(new)
    assert len(new) + len(doubts.keys() - own.keys()) == NEW


def test_a_thousand_existing_pupils_with_ordinary_errors_end_with_none_doubled(
    thousand: tuple[Shell, LegacySchool],
) -> None:
    shell, legacy = thousand
    adopt(shell, "--yes")
    assert leerlingen(shell) == 1_000
    assert shell.sync().code in {0, 1}
    nobody_is_doubled(shell, legacy, rows=1_000)
    doubts = in_doubt(shell)
    certain = [p for p in legacy.pupils if not p.errors and p.uuid not in doubts]
    twins = {p.uuid for p in legacy.twice}
    clear = [p for p in legacy.pupils if not p.errors and p.uuid not in twins]
    assert len(certain) >= len(clear)
    for pupil in legacy.pupils:
        if "typing error in the name" in pupil.errors or "old e-mail address" in pupil.errors:
            assert linked(shell)[pupil.uuid] == pupil.core_id


def test_nothing_is_written_before_a_person_has_seen_it(
    hundred: tuple[Shell, LegacySchool],
) -> None:
    shell, legacy = hundred
    before = shell.everything()
    shown = adopt(shell, "--dry-run")
    refused = adopt(shell, stdin="n\n")
    assert shell.everything() == before
    assert refused[-1].strip() == "Er is niets overgenomen."
    assert any("geen geboortedatum" in line for line in shown)
    done = adopt(shell, stdin="y\n")
    assert any(line.startswith("Overgenomen als kern") for line in done)
    assert leerlingen(shell) == len(legacy.rows)


def test_the_first_sync_shows_who_is_recognised_new_and_in_doubt_before_anything_is_applied(
    hundred: tuple[Shell, LegacySchool],
) -> None:
    shell, legacy = hundred
    adopt(shell, "--yes")
    rows = len(legacy.rows)
    report = shell.report("--plan")
    assert leerlingen(shell) == rows
    assert linked(shell) == {}
    assert set(report["situations"]) >= {"unlinked", "unmatched", "disputed"}
    assert shell("plan", "apply", str(report["plan_id"]), "--yes").code in {0, 1}
    nobody_is_doubled(shell, legacy, rows=rows)
    again = shell.report()
    assert again["applied"] == {}
    nobody_is_doubled(shell, legacy, rows=rows)


def test_a_field_says_that_it_was_adopted_and_from_where(
    hundred: tuple[Shell, LegacySchool],
) -> None:
    shell, legacy = hundred
    adopt(shell, "--yes")
    shell.sync()
    pupil = next(p for p in legacy.pupils if "typing error in the name" in p.errors)
    said = shell("explain", "leerling", "-", "--json", stdin=f"{pupil.number}\n").data
    (name,) = [f for f in said[0]["explanation"]["fields"] if f["name"] == "achternaam"]
    assert name["koppeling"] == KOPPELING
    assert {claim["koppeling"] for claim in name["claims"]} == {KERN, KOPPELING}


def test_the_documented_question_tells_whom_no_source_knows(
    hundred: tuple[Shell, LegacySchool],
) -> None:
    shell, legacy = hundred
    adopt(shell, "--yes")
    shell.sync()
    text = (Path(__file__).parents[2] / "docs/kern.md").read_text(encoding="utf-8")
    (query,) = re.findall(r"```sql\n(SELECT core_id FROM situatie.*?);\n```", text, re.DOTALL)
    found = {row[0] for row in shell.line.query(query)}
    assert found == {p.core_id for p in legacy.rows} - set(linked(shell).values())
