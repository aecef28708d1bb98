"""docs/privacy.md says of everything that holds something of a person where it is and how long."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from config.policies import Policy, default_values
from mappings.canonical.fields import Entity
from sync_engine.batches import ANSWER_KEPT, UNANSWERED_KEPT
from sync_engine.project import has_parts
from sync_engine.sealed import Sealed, sealed_columns

PAGE = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|")]
OF_NOBODY = frozenset(
    {
        # schools, and what they teach
        *("bevoegd_gezag", "instelling", "vestiging", "schooljaar", "opleiding", "vak", "toets"),
        # runs, settings, keys
        *("tenant", "tenant_key", "key_check", "id_block", "koppeling", "scope", "contract"),
        *("source_cursor", "fold_input", "run", "reading", "event", "plan", "audit_anchor"),
        *("herinrichting", "transfer", "koppeling_state", "koppeling_total", "schedule_state"),
        *("shared_state", "process_heartbeat", "known_expiry", "incident", "notification"),
        # keys of hub and source, and keyed digests, which the text below the table speaks of
        *("source_record", "shadow", "link", "former_link", "former_member", "match_key", "alias"),
        *("core_salt", "open_reference", "refold", "counterpart", "suppression_key"),
    }
)


def test_every_table_with_something_of_a_person_is_named_with_its_period() -> None:
    """A new table fails here until the page, or the list above, knows it."""
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row)}
    assert set(SQLModel.metadata.tables) - OF_NOBODY <= named
    assert {sealed.table for sealed in sealed_columns()} <= named
    assert {str(entity) for entity in Entity if has_parts(entity)[0]} <= named


@pytest.mark.parametrize("sealed", sealed_columns(), ids=lambda sealed: sealed.name)
def test_what_is_encrypted_is_said_to_be(sealed: Sealed) -> None:
    mine = [row for row in ROWS if f"`{sealed.table}`" in row]
    assert any("eigen sleutel" in row for row in mine), sealed.table


def test_the_periods_are_those_that_the_hub_is_delivered_with() -> None:
    retention = Policy.model_validate(default_values()).retention
    told = "\n".join(ROWS)
    for period, words in (
        (retention.tombstone, "2 jaar"),
        (retention.run, "2 jaar"),
        (retention.journal, "5 jaar"),
        (retention.raw_payload, "30 dagen"),
        (retention.quarantine, "90 dagen"),
        (retention.undo, "90 dagen"),
        (retention.plan_expiry, "72 uur"),
        (retention.plan_values, "30 dagen"),
        (UNANSWERED_KEPT, "7 dagen"),
    ):
        number, unit = words.split()
        days = int(number) * {"jaar": 365.0, "dagen": 1.0, "uur": 1 / 24}[unit]
        assert period == timedelta(days=days), words
        assert words in told
    assert timedelta(hours=24) > ANSWER_KEPT
    assert "hoogstens 24 uur" in told


def test_of_eck_id_the_page_says_what_is_never_kept() -> None:
    chapter = PAGE.split("\n## ECK iD\n")[1].split("\n## ")[0]
    rows = {line.split("|")[1].strip(): line for line in chapter.splitlines() if "|" in line}
    hashed = next(line for name, line in rows.items() if name.startswith("HPGN"))
    assert "**nooit**" in hashed
    for name in ("PGN (BSN, onderwijsnummer)", "stampseudoniem", "ECK iD", "ruw antwoord daarop"):
        assert name in rows
