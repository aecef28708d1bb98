"""The inbox over HTTP, on a real socket: who may send what, and what is answered."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.errors import ConfigurationError
from connectors.kern.endpoint import LARGEST_BYTES, MOST_MESSAGES
from console.inbox import endpoints
from fixtures.school.keys import synthetic_bsn
from sync_engine.options import Kind
from sync_engine.store.engine import Store
from tests.support.kern import KERN, PGN, TOKEN, TOKEN_NAME, KernBench, closing_bench, kern_bench
from tests.support.served import served
from web.app import application
from web.server import Address, listen, server

HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}


class Caller:
    """The application that calls."""

    def __init__(self, kern: KernBench, url: str) -> None:
        self.kern, self.url = kern, url
        self.path = f"{url}/v1/inbox/{KERN}"

    def send(self, *messages: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        body = json.dumps({"messages": list(messages)})
        return self.post(body.encode(), headers=headers)

    def post(self, body: bytes, *, headers: dict[str, str] | None = None) -> httpx.Response:
        given = HEADERS if headers is None else headers
        return httpx.post(self.path, content=body, headers=given, verify=False)  # noqa: S501 - no TLS here

    def states(self, *messages: Any) -> list[str]:
        return [result["state"] for result in self.send(*messages).json()["results"]]


@contextmanager
def serving(kern: KernBench, *, body_seconds: float = 30.0) -> Iterator[Caller]:
    """The server in a thread, on a free port."""
    app = application(endpoints(kern.bench.hub, KERN), body_seconds=body_seconds)
    with served(app) as url:
        yield Caller(kern, url)


@pytest.fixture
def kern(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KernBench]:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(sqlite_store, tmp_path)) as made:
        yield made


@pytest.fixture
def caller(kern: KernBench) -> Iterator[Caller]:
    with serving(kern) as made:
        yield made


@pytest.fixture
def of_both(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    """On each database."""
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    with closing_bench(kern_bench(store, tmp_path)) as made, serving(made) as caller:
        yield caller


def put(number: str = "m1", key: str = "l1", **record: Any) -> dict[str, Any]:
    told = {"achternaam": "Voorbeeld"} | record
    return {"id": number, "resource": "leerling", "key": key, "action": "put", "record": told}


# -- messages --------------------------------------------------------------------------------------


def test_what_is_sent_is_in_the_core_after_the_next_run(of_both: Caller) -> None:
    answer = of_both.send(put(), put("m2", "l2", achternaam="Tweede"))
    assert answer.status_code == 200
    assert answer.json() == {
        "results": [{"id": "m1", "state": "accepted"}, {"id": "m2", "state": "accepted"}]
    }
    of_both.kern.bench.sync(KERN, kind=Kind.DELTA)
    assert of_both.kern.pupils() == {"l1": ("Voorbeeld", True), "l2": ("Tweede", True)}


def test_sending_everything_once_more_has_no_effect(of_both: Caller) -> None:
    assert of_both.states(put()) == ["accepted"]
    respelled = {"resource": "leerling", **put()}
    assert of_both.states(respelled) == ["known"]
    assert len(of_both.kern.inbox.claims("leerling", after="", limit=9)) == 1


def test_other_content_under_a_known_id_is_refused_and_the_rest_is_taken(caller: Caller) -> None:
    caller.send(put())
    answer = caller.send(put(achternaam="Anders"), put("m2", "l2"))
    assert answer.status_code == 422
    assert [r["state"] for r in answer.json()["results"]] == ["conflict", "accepted"]


def test_a_deletion_closes_the_record(of_both: Caller) -> None:
    of_both.send(put(), put("m2", "l2"))
    of_both.kern.bench.sync(KERN, kind=Kind.DELTA)
    of_both.send({"id": "m3", "resource": "leerling", "key": "l1", "action": "delete"})
    of_both.kern.bench.sync(KERN, kind=Kind.DELTA)
    assert of_both.kern.pupils() == {"l1": ("Voorbeeld", False), "l2": ("Voorbeeld", True)}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (put(geboortedatum="31-12-2012"), "geboortedatum"),
        (put(achternaam=None), "achternaam"),
        (put(kleur="GEHEIM"), "kleur"),
        (put(telefoon_geheim="GEHEIM"), "telefoon_geheim"),
        (put(key=""), "key"),
        (put(key="x" * 201), "key"),
        (put("m\n1"), "id"),
        (put() | {"resource": "GEHEIM"}, "resource"),
        (put() | {"action": "GEHEIM"}, "action"),
        (put() | {"record": "GEHEIM"}, "record"),
        (put() | {"action": "delete"}, "record"),
        (put() | {"kleur": 1}, "kleur"),
        ({"id": 1}, "id"),
        ("GEHEIM", "$"),
    ],
)
def test_a_message_that_breaks_a_rule_is_named_by_field_and_never_by_value(
    caller: Caller, message: Any, field: str
) -> None:
    answer = caller.send(message, put("m9", "l9"))
    assert answer.status_code == 422
    broken, good = answer.json()["results"]
    assert broken["state"] == "invalid"
    assert [problem["field"] for problem in broken["problems"]] == [field]
    assert "GEHEIM" not in answer.text
    assert good["state"] == "accepted"


@pytest.mark.parametrize(("more", "kept"), [("", False), (PGN, True)])
def test_a_bsn_is_cut_off_before_it_is_kept_unless_a_purpose_is_configured(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, *, kept: bool
) -> None:
    monkeypatch.setenv(TOKEN_NAME, TOKEN)
    bsn = synthetic_bsn(5)
    with (
        closing_bench(kern_bench(sqlite_store, tmp_path, options=more)) as made,
        serving(made) as caller,
    ):
        assert caller.states(put(bsn=bsn)) == ["accepted"]
        (claim,) = made.inbox.find("leerling", ["l1"])
        assert claim.body is not None
        assert (bsn.encode() in claim.body) is kept
        made.bench.sync(KERN)
        assert set(made.bench.identifiers().values()) == ({bsn} if kept else set())


# -- who and how -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN]
)
def test_nobody_gets_in_without_the_token(caller: Caller, given: str) -> None:
    answer = caller.send(put(), headers=HEADERS | {"authorization": given})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert caller.kern.inbox.position() == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"geen json", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"messages": []}', 400),
        (b'{"messages": {}}', 400),
        (b'{"messages": [1], "meer": 1}', 400),
        (b'{"messages": [' + b"1," * MOST_MESSAGES + b"1]}", 400),
        (b"[" * 100_000, 400),
        (b" " * (LARGEST_BYTES + 1), 413),
    ],
)
def test_a_call_that_cannot_be_read_is_refused_whole(
    caller: Caller, body: bytes, status: int
) -> None:
    answer = caller.post(body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_only_json_is_read_and_only_by_post(caller: Caller) -> None:
    assert caller.post(b"x", headers=HEADERS | {"content-type": "text/plain"}).status_code == 415
    answer = httpx.get(caller.path, headers=HEADERS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert httpx.post(f"{caller.url}/v1/inbox/anders", headers=HEADERS).status_code == 404


def test_a_body_in_parts_that_never_ends_is_not_read_to_its_end(caller: Caller) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(LARGEST_BYTES // 100_000 + 2):
            yield b" " * 100_000

    try:
        answer = httpx.post(caller.path, content=endless(), headers=HEADERS)
    except httpx.TransportError:
        return  # the server hung up while we were still sending
    assert answer.status_code == 413


def test_a_caller_that_sends_too_slowly_is_told_and_let_go(kern: KernBench) -> None:
    with serving(kern, body_seconds=0.05) as caller:
        host, port = caller.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as line:
            head = "\r\n".join(f"{name}: {value}" for name, value in HEADERS.items())
            line.sendall(
                f"POST /v1/inbox/{KERN} HTTP/1.1\r\nhost: x\r\n{head}\r\n"
                "content-length: 100\r\n\r\n{".encode()
            )
            answer = line.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_somebody_can_see_that_it_is_there_without_a_token(caller: Caller) -> None:
    assert httpx.get(f"{caller.url}/healthz").json() == {"status": "ok"}


def test_calls_at_the_same_time_are_all_taken_once(of_both: Caller) -> None:
    def send(number: int) -> None:
        for _ in range(2):
            of_both.send(*(put(f"m{number}-{n}", f"l{n}") for n in range(20)))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 60
    assert len(of_both.kern.inbox.claims("leerling", after="", limit=99)) == 20
    assert of_both.kern.bench.query("SELECT COUNT(*) FROM inbox") == [(120,)]


# -- the server ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])  # noqa: S104 - refused
def test_a_token_never_goes_over_a_network_without_tls(kern: KernBench, host: str) -> None:
    app = application(endpoints(kern.bench.hub, KERN))
    with pytest.raises(ConfigurationError, match="TLS") as caught:
        server(app, Address(host=host))
    assert caught.value.advice


def test_a_port_that_is_taken_is_told(caller: Caller) -> None:
    port = int(caller.url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"port {port}") as caught:
        listen(Address(port=port))
    assert caught.value.advice


def test_a_koppeling_without_a_token_is_not_served(
    kern: KernBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_NAME)
    with pytest.raises(ConfigurationError, match=TOKEN_NAME):
        endpoints(kern.bench.hub, KERN)


def test_with_a_certificate_it_is_served_over_tls(kern: KernBench, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    address = Address(port=0, certificate=certificate, key=key)
    running = server(application(endpoints(kern.bench.hub, KERN)), address)
    with listen(address) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        trusted = ssl.create_default_context(cafile=certificate)
        url = f"https://localhost:{port}/v1/inbox/{KERN}"
        answer = httpx.post(url, json={"messages": [put()]}, headers=HEADERS, verify=trusted)
        running.should_exit = True
        thread.join(timeout=10)
    assert answer.json() == {"results": [{"id": "m1", "state": "accepted"}]}


def test_a_certificate_without_its_own_key_is_told(kern: KernBench, tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path)
    app = application(endpoints(kern.bench.hub, KERN))
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        server(app, Address(certificate=certificate, key=certificate))
    assert caught.value.advice


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.pem", folder / "tls.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
