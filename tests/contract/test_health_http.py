"""/healthz, /readyz, /v1/health and /metrics on a real socket: who is answered, and with what."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from config.errors import ConfigurationError
from config.keyring import Keyring
from config.secret import Secret
from config.sources import Ends, Expires
from mappings.canonical.fields import Entity
from sync_engine.health import observe
from sync_engine.store.engine import Store
from tests.support.canaries import Canaries
from tests.support.hubs import Bench, bench
from tests.support.served import served
from web import health as web_health
from web.ops import application

TOKEN = "een-lang-en-geheim-teken-van-de-meting"
WITH = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def made(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Two koppelingen, of which one ran well and one has a record in quarantine."""
    found = bench(sqlite_store, tmp_path, sources=2)
    for source in found.sources.values():
        source.put(Entity.LEERLING, "l1", achternaam="Canarie", roepnaam="Noor")
    found.sync("s0")
    found.sources["s1"].put(Entity.LEERLING, "l2", achternaam="Canarie", kapot=True)
    found.sync("s1")
    yield found
    found.close()


@contextmanager
def serving(made: Bench, **options: Any) -> Iterator[str]:
    with served(application({}, routes=web_health.routes(made.hub, **options))) as url:
        yield url


def metrics(text: str) -> dict[str, list[Sample]]:
    """Name of a sample → samples; the parser refuses what is no exposition."""
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(found: dict[str, list[Sample]], name: str, **labels: str) -> float:
    (sample,) = [s for s in found[name] if labels.items() <= s.labels.items()]
    return sample.value


def test_alive_is_for_everybody_and_tells_nothing(made: Bench) -> None:
    with serving(made, token=TOKEN, public=True) as url:
        answer = httpx.get(f"{url}/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/metrics", "/v1/health"])
def test_the_rest_is_for_who_shows_the_token(made: Bench, path: str) -> None:
    with serving(made, token=TOKEN) as url:
        for headers in ({}, {"authorization": "Bearer ernaast"}, {"authorization": TOKEN}):
            answer = httpx.get(url + path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "s0" not in answer.text
        assert httpx.get(url + path, headers=WITH).status_code == 200
        assert httpx.post(url + path, headers=WITH).status_code == 405


def test_without_a_token_only_this_machine_is_answered(made: Bench) -> None:
    with serving(made) as url:
        assert httpx.get(f"{url}/metrics").status_code == 200
        for header in ({"x-forwarded-for": "203.0.113.4"}, {"via": "1.1 proxy"}):
            assert httpx.get(f"{url}/metrics", headers=header).status_code == 403
        other = {"host": "koppelhub.example"}  # another site led here by its own name
        assert httpx.get(f"{url}/metrics", headers=other).status_code == 403
    with serving(made, public=True) as url:
        assert httpx.get(f"{url}/metrics").status_code == 403


def test_the_model_as_json_is_what_the_command_says(made: Bench) -> None:
    with serving(made) as url:
        told = httpx.get(f"{url}/v1/health").json()
    assert told["state"] == "warning"
    assert [one["name"] for one in told["koppelingen"]] == ["s0", "s1"]
    assert told["koppelingen"][1]["problems"][0]["kind"] == "quarantine"


def test_the_metrics_say_how_every_koppeling_is(made: Bench) -> None:
    began = made.reports[0].started_at.timestamp()
    on = date(2026, 12, 1)
    sources = tuple(
        source.model_copy(update={"expires": (Expires(what=Ends.MANDATE, on=on, label="AVG"),)})
        for source in made.hub.settings.source[:1]
    )
    settings = made.hub.settings.model_copy(
        update={"source": (*sources, *made.hub.settings.source[1:])}
    )
    made.hub = replace(made.hub, settings=settings)
    made.later(30)
    with serving(made) as url:
        answer = httpx.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = metrics(answer.text)
    assert value(found, "koppelhub_health_state") == 1
    labels = {"source": "s0", "school": "99XX"}
    assert value(found, "koppelhub_source_state", **labels) == 1
    labels |= {"system": "memory", "tenant": "bestuur"}
    assert value(found, "koppelhub_source_info", **labels) == 1
    assert value(found, "koppelhub_last_good_run_timestamp_seconds", source="s0") == began
    assert value(found, "koppelhub_last_success_timestamp_seconds", source="s0") == began
    assert value(found, "koppelhub_last_good_run_timestamp_seconds", source="s1") == began
    assert [s.labels["source"] for s in found["koppelhub_last_success_timestamp_seconds"]] == ["s0"]
    assert value(found, "koppelhub_freshness_promised_seconds", source="s0") == 26 * 3600
    assert value(found, "koppelhub_late_seconds", source="s0") == 4 * 3600
    assert value(found, "koppelhub_source_problem", source="s0", kind="late") == 1
    assert value(found, "koppelhub_last_run_outcome", source="s1", outcome="partial") == 1
    assert len([s for s in found["koppelhub_last_run_outcome"] if s.labels["source"] == "s1"]) == 1
    assert value(found, "koppelhub_quarantine_records", source="s1") == 1
    assert value(found, "koppelhub_last_run_records", source="s0", result="created") == 1
    situation = {"source": "s0", "entity": "leerling", "situation": "linked"}
    assert value(found, "koppelhub_records", **situation) == 1
    assert value(found, "koppelhub_runs_total", source="s1", outcome="partial") == 1
    assert value(found, "koppelhub_read_records_total", source="s1") == 2
    assert value(found, "koppelhub_core_records_total", source="s0", operation="create") == 1
    ends = datetime(2026, 12, 1, 23, tzinfo=UTC).timestamp()
    assert value(found, "koppelhub_expiry_timestamp_seconds", what="mandate") == ends


def test_names_follow_the_conventions_and_labels_are_few(made: Bench) -> None:
    with serving(made) as url:
        text = httpx.get(f"{url}/metrics").text
    allowed = {
        *("source", "system", "tenant", "school", "kind", "outcome", "result", "entity"),
        *("situation", "operation", "phase", "what", "label", "version"),
    }
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"koppelhub_[a-z_]+", family.name)
        assert family.documentation
        assert not family.name.endswith(("_milliseconds", "_ms", "_minutes", "_count"))
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith(("_total", "_created"))
            assert set(sample.labels) <= allowed


def test_there_is_nobody_in_what_is_told(made: Bench) -> None:
    with serving(made) as url:
        for path in ("/metrics", "/v1/health", "/readyz"):
            text = httpx.get(url + path).text
            assert Canaries({"Canarie"}).found_in(text) == []


def test_however_many_ask_the_database_is_asked_once(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    gate = threading.Event()

    def counting(hub: Any) -> Any:
        asked.append("observe")
        assert gate.wait(10)
        return observe(hub)

    monkeypatch.setattr("web.health.observe", counting)
    with serving(made) as url, ThreadPoolExecutor(20) as pool:
        scrapes = [pool.submit(httpx.get, f"{url}/metrics") for _ in range(20)]
        assert httpx.get(f"{url}/healthz").status_code == 200  # meanwhile it is alive
        gate.set()
        assert {scrape.result().status_code for scrape in scrapes} == {200}
        assert asked == ["observe"]
        httpx.get(f"{url}/metrics")
        assert asked == ["observe"]
        made.clock.advance(timedelta(seconds=6))
        httpx.get(f"{url}/metrics")
        assert asked == ["observe", "observe"]


@pytest.mark.parametrize("part", ["database", "schema", "keys"])
def test_not_ready_names_the_part_and_nothing_else(made: Bench, part: str, tmp_path: Path) -> None:
    if part == "keys":
        other = Keyring.create(tmp_path / "andere.json")
        made.hub = replace(made.hub, keyring=other)
    if part == "schema":
        made.query("UPDATE alembic_version SET version_num = '0001'")
    if part == "database":
        path = made.hub.store.path
        assert path is not None
        made.close()
        path.rename(path.with_suffix(".weg"))
    with serving(made) as url:
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "not ready", "missing": part},
        )
        assert httpx.get(f"{url}/healthz").status_code == 200
        if part == "database":
            gone = httpx.get(f"{url}/metrics")
            assert (gone.status_code, str(tmp_path) in gone.text) == (503, False)


def test_the_token_is_a_secret_and_must_be_one(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Secret(env="KOPPELHUB_METRICS_TOKEN")
    web = made.hub.settings.web.model_copy(update={"metrics_token": token})
    settings = made.hub.settings.model_copy(update={"web": web})
    made.hub = replace(made.hub, settings=settings)
    for wrong in ("kort", "met\nregeleinde, en lang genoeg om goed te zijn"):
        monkeypatch.setenv("KOPPELHUB_METRICS_TOKEN", wrong)
        with pytest.raises(ConfigurationError, match="metrics_token") as caught:
            web_health.configured(made.hub)
        assert wrong not in str(caught.value)
    monkeypatch.setenv("KOPPELHUB_METRICS_TOKEN", TOKEN)
    with served(application({}, routes=web_health.configured(made.hub))) as url:
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/metrics", headers=WITH).status_code == 200
