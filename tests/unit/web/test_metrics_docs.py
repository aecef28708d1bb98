"""docs/health.md names every metric and every trouble; the example rules use what there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sync_engine.condition import Expiry, LastRun, Trouble
from sync_engine.lately import Lately
from sync_engine.troubles import Facts, KoppelingFacts, Process, Rules, judge
from web.metrics import exposition

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "health.md").read_text(encoding="utf-8")
RULES = ROOT / "docs" / "monitoring" / "koppelhub.rules.yml"
NOW = datetime(2026, 11, 2, 8, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Name of each sample that there can be → its labels, from an installation that has all."""
    last = LastRun(1, "full", "held", NOW, NOW, read=3, held=1)
    known = KoppelingFacts(
        "s0",
        "memory",
        "bestuur",
        ("99XX",),
        timedelta(hours=26),
        timedelta(hours=50),
        Lately(last, NOW, NOW, NOW, NOW, {"leerling.linked": 3}),
        scheduled=True,
        next_due=NOW,
        quarantine=1,
        outbox=1,
        outbox_oldest=NOW,
        expiries=(Expiry("mandate", "AVG", NOW, "s0"),),
        totals=dict.fromkeys(
            (
                *("runs.done", "run_seconds", "read", "core.create", "retries"),
                *("requests.answered", "request_seconds.wait"),
            ),
            1.0,
        ),
    )
    stopped = Process("serve", NOW - timedelta(days=1))
    facts = Facts((known,), processes=(stopped,), free_bytes=1, size_bytes=1)
    health = judge(facts, Rules((60, 30, 7), timedelta(days=7)), at=NOW)
    text = exposition(facts, health, seconds=1.0).decode()
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_is_documented_and_none_that_there_is_not(told: dict[str, set[str]]) -> None:
    documented = set(re.findall(r"`(koppelhub_[a-z_]+)", PAGE))
    assert documented == set(told)


def test_every_trouble_is_documented_with_what_to_do() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert [name for name, *_ in rows if name in set(Trouble)] == list(Trouble)
    assert all(what and act for _, what, act in rows)


def read_rules(text: str) -> list[dict[str, Any]]:
    """The rules of a file, in the part of YAML that it keeps to; what is not in it is refused."""
    found: list[dict[str, Any]] = []
    head = ["groups:", "  - name: koppelhub", "    rules:"]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[:3] == head
    inner: dict[str, Any] | None = None
    for line in lines[3:]:
        matched = re.fullmatch(r"(      - |        |          )([a-z]+):(?: (.+))?", line)
        assert matched, line
        depth, key, value = matched.groups()
        if depth == "      - ":
            found.append({})
        if depth == " " * 10:
            assert inner is not None
            assert value is not None
            inner[key] = value
        elif value is None:
            inner = found[-1][key] = {}
        else:
            # what begins so is no plain text in YAML, and what ends a plain text is not in it
            assert value[0] not in "{[&*!|>%@`'"
            assert ": " not in value or value.startswith('"')
            found[-1][key], inner = value, None
    return found


def test_the_example_rules_can_be_read_and_use_metrics_and_labels_that_there_are(
    told: dict[str, set[str]],
) -> None:
    rules = read_rules(RULES.read_text(encoding="utf-8"))
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smhd]", rule["for"])
        assert rule["labels"]["severity"] in {"warning", "critical"}
        expr = rule["expr"]
        for opening, closing in ("()", "[]", "{}"):
            assert expr.count(opening) == expr.count(closing)
        named = re.findall(r"(koppelhub_[a-z_]+)(?:\{([a-z_]+)=\"([a-z_]+)\"\})?", expr)
        assert named or expr.startswith("up{")
        labels = {"kind", "severity"} if not named else set()
        for metric, label, value in named:
            assert metric in told
            labels |= told[metric]
            assert not label or label in told[metric]
            if metric == "koppelhub_source_problem":
                assert value in set(Trouble)
        shown = re.findall(r"\$labels\.([a-z]+)", str(rule["annotations"]))
        assert set(shown) <= labels, rule["alert"]
