"""Traces: what a collector really receives, that nobody is in it, and that off means off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.errors import ConfigurationError
from config.telemetry import Telemetry
from fixtures.sandbox.faults import RateLimited, ServerError
from sync_engine.outcome import Outcome
from sync_engine.tracing import Tracing, step, tracing_of
from tests.support.canaries import Canaries
from tests.support.coredump import core_dump
from tests.support.lines import KOPPELING, SECRET, Line, new_line


class Collector:
    """Takes OTLP over HTTP; `bodies` is what came, as it came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def spans(self) -> list[dict[str, object]]:
        """Every span: its name, parent, attributes and whether it went wrong."""
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(_plain(body)).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        told: dict[str, object] = {
                            a.key: a.value.string_value or a.value.int_value
                            for a in span.attributes
                        }
                        told |= {"name": span.name, "id": span.span_id, "wrong": span.status.code}
                        told |= {"parent": span.parent_span_id, "kind": span.kind}
                        told |= {"events": len(span.events)}
                        found.append(told)
        return found


def _plain(body: bytes) -> bytes:
    import gzip

    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Collector) -> Iterator[Line]:
    """A line whose traces are collected."""
    more = f'\n[telemetry]\nendpoint = "{collector.url}"\n'
    with new_line(tmp_path / "installatie", pupils=12, more=more) as made:
        monkeypatch.setenv(SECRET, made.sandbox.credentials.client_secret)
        yield made


def test_a_run_its_steps_and_what_it_asks_are_traced_and_nobody_is_in_it(
    line: Line, collector: Collector
) -> None:
    line.sandbox.misbehave(ServerError(path="/leerling"), RateLimited(path="/medewerker"))
    assert line.sync().outcome is Outcome.DONE
    line.sandbox.misbehave(ServerError(path="/leerling", count=None))
    failed = line.sync()
    people = Canaries(
        str(value)
        for table in ("leerling", "verzorger", "medewerker", "contactgegeven", "adres")
        for row in core_dump(line.hub)[table]
        for value in row
        if isinstance(value, str)
    )
    secret, uuids = line.sandbox.credentials.client_secret, line.school.uuid
    assert len(people.values) > 40
    line.hub.close()  # hands over what is left
    spans = collector.spans()
    first, second = [span for span in spans if span["name"] == "run full"]
    assert (first["koppelhub.source"], first["koppelhub.outcome"]) == (KOPPELING, "done")
    assert (second["koppelhub.outcome"], second["wrong"] != 0) == (
        str(failed.outcome),
        failed.outcome is Outcome.FAILED,
    )
    under = [span for span in spans if span["parent"] == first["id"]]
    assert {"read", "plan", "apply"} <= {span["name"] for span in under}
    reads = {span["id"] for span in under if span["name"] == "read"}
    asked = [span for span in spans if span["kind"] == 3]
    assert reads & {span["parent"] for span in asked}
    assert {span["server.address"] for span in asked} == {
        line.sandbox.api_base.split("/")[2],
    }
    wrong = {span.get("error.type") for span in asked if span["wrong"]}
    assert {"RateLimitedError", "SourceUnavailableError"} <= wrong
    assert all(span["events"] == 0 for span in spans)  # no exception text, no traceback
    text = "\n".join(_plain(body).decode("latin-1") for body in collector.bodies)
    assert people.found_in(text) == []
    assert Canaries([secret, uuids]).found_in(text) == []
    words = [value for span in spans for value in span.values() if isinstance(value, str)]
    assert [word for word in words if "?" in word or "/" in word] == []  # no address


def test_requests_are_counted_by_what_came_of_them(line: Line) -> None:
    line.sandbox.misbehave(ServerError(path="/leerling"), RateLimited(path="/medewerker"))
    line.sync()
    counted: dict[str, float] = dict(line.query("SELECT name, value FROM koppeling_total"))
    assert counted["requests.unanswered"] == 1
    assert counted["requests.limited"] == 1
    assert counted["retries"] == 2
    sent = len(line.sandbox.requests)
    assert sum(n for name, n in counted.items() if name.startswith("requests.")) == sent
    assert counted["request_seconds.answer"] > 0
    assert counted["runs.done"] == 1


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, sync_engine.runs, connectors.protocols.rest; "
            "print([name for name in sys.modules if name.startswith('opentelemetry')])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"
    quiet = Telemetry(share=1.0, service="koppelhub")
    assert tracing_of(quiet, {}) is None
    assert tracing_of(quiet, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
    with step(None, "run") as span:
        span.tell({"koppelhub.read": 1})  # nobody listens


def test_the_environment_turns_it_on_and_off(collector: Collector) -> None:
    quiet = Telemetry(share=1.0, service="koppelhub")
    on = tracing_of(quiet, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert isinstance(on, Tracing)
    on.close()
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SDK_DISABLED": "true"}
    assert tracing_of(quiet, asked) is None


def test_asked_for_and_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    wanted = Telemetry(share=1.0, service="koppelhub", endpoint="http://127.0.0.1:4318")
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        tracing_of(wanted, {})
    assert "koppelhub[traces]" in caught.value.advice
