"""`check` of a Magister koppeling, layer by layer; and where its credentials may not be."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from connectors.base import CheckResult, Layer
from connectors.errors import ConnectorError
from connectors.magister.connector import MagisterConnector
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.tls import Certificates, serve_with
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.suite import read
from tests.support.canaries import Canaries
from tests.support.magister import LEERLINGEN, TODAY, MagisterHarness


@pytest.fixture
def harness(magister: MagisterHarness) -> MagisterHarness:
    return magister


@pytest.fixture
def sandbox(magister: MagisterHarness) -> MagisterSandbox:
    return magister.sandbox


def failing(results: Iterable[CheckResult]) -> CheckResult:
    """The one layer that fails; it is the last that is told."""
    listed = list(results)
    assert [r.ok for r in listed] == [True] * (len(listed) - 1) + [False]
    return listed[-1]


@pytest.mark.parametrize(
    ("fault", "layer", "said"),
    [
        (faults.Reset(count=None), Layer.NETWORK, "8800"),
        (faults.ServerError(count=None), Layer.NETWORK, ""),
        (faults.NoRight(), Layer.RIGHTS, "presentis-leerlingen"),
        (faults.GeneralFailure(), Layer.RIGHTS, "presentis-leerlingen"),
        (faults.MissingColumn(column="achternaam"), Layer.LAYOUT, "achternaam"),
        (faults.GeneralFailure(code="EConvertError"), Layer.LAYOUT, "F9"),
        (faults.HtmlPage(), Layer.SHAPE, "foutpagina"),
        (faults.ZeroRows(), Layer.DATA, "F9"),
        (faults.ChangedRow(at=0, change={"klas": "Zo\u00c3\u00ab"}), Layer.DATA, "encoding"),
    ],
)
def test_check_names_the_layer_and_the_sentence_for_the_school(
    harness: MagisterHarness, fault: AnyFault, layer: Layer, said: str
) -> None:
    harness.arm(fault)
    found = failing(harness.connect().check())
    assert found.layer is layer
    if not isinstance(fault, faults.Reset):  # the connection was made, so nothing is closed
        assert said in found.advice


def test_check_tells_all_that_a_layer_lacks_at_once(harness: MagisterHarness) -> None:
    for name in ("presentis-vakken", "presentis-verzorgers"):
        harness.sandbox.magister.deny(name)
    found = failing(harness.connect().check())
    assert "presentis-vakken" in found.advice
    assert "presentis-verzorgers" in found.advice


def test_check_finds_lists_of_another_version(harness: MagisterHarness) -> None:
    harness.sandbox.administration.contract = "2"
    assert failing(harness.connect().check()).layer is Layer.LAYOUT


@pytest.mark.parametrize("mode", ["layouts", "functions"])
@pytest.mark.parametrize("form", ["csv", "xml"])
def test_check_reads_the_head_of_a_list_and_no_more(
    harness: MagisterHarness, mode: str, form: str
) -> None:
    query = LEERLINGEN if mode == "layouts" else "GetActiveStudents"
    harness.arm(faults.HugeBody(count=None, size_bytes=5_000_000), query)  # more than we read
    assert [r for r in harness.connect(mode=mode, format=form).check() if not r.ok] == []


def test_an_address_without_a_web_service_is_no_right_that_lacks(harness: MagisterHarness) -> None:
    connector = harness.connect(base_url=harness.sandbox.base_url.replace("/doc", "/elders"))
    assert failing(connector.check()).layer is Layer.NETWORK


def test_a_port_that_is_closed_is_the_allow_list(harness: MagisterHarness) -> None:
    with MagisterSandbox(School(plan_school(50))) as gone:
        address = gone.base_url
    found = failing(harness.connect(base_url=address).check())
    assert found.layer is Layer.NETWORK
    assert "8800" in found.advice
    assert "allow-list" in found.advice


def test_a_handshake_that_never_comes_is_the_allow_list_too(harness: MagisterHarness) -> None:
    """A hosting may let the connection be made, and close it: no handshake, and no certificate."""

    def hang_up(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, args=(listener,))
        thread.start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/doc"
        found = failing(harness.connect(base_url=address).check())
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert found.layer is Layer.NETWORK
    assert "allow-list" in found.advice


class OverTls:
    """A private authority, sandboxes with certificates of it, and connectors to them."""

    def __init__(self, folder: Path) -> None:
        self.certificates = Certificates(folder)
        self.bundle = str(self.certificates.authority)
        self._sandboxes: list[MagisterSandbox] = []
        self._connectors: list[MagisterConnector] = []

    def serve(
        self,
        newest: ssl.TLSVersion | None = None,
        *,
        expired: bool = False,
        elsewhere: bool = False,
    ) -> MagisterSandbox:
        certificate = self.certificates.server(expired=expired, elsewhere=elsewhere)
        tls = serve_with(certificate, newest=newest)
        sandbox = MagisterSandbox(School(plan_school(50)), tls=tls).start()
        self._sandboxes.append(sandbox)
        return sandbox

    def check(self, sandbox: MagisterSandbox, **options: str) -> Sequence[CheckResult]:
        connector = MagisterHarness(sandbox).connect(options=options)
        self._connectors.append(connector)
        return connector.check()

    def stop(self) -> None:
        for connector in self._connectors:
            connector.close()
        for sandbox in self._sandboxes:
            sandbox.stop()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[OverTls]:
    made = OverTls(tmp_path)
    yield made
    made.stop()


def test_a_private_authority_is_trusted_where_it_is_named(tls: OverTls) -> None:
    sandbox = tls.serve()
    found = failing(tls.check(sandbox))
    assert found.layer is Layer.TLS
    assert "ca_bundle" in found.advice
    assert [r.layer for r in tls.check(sandbox, ca_bundle=tls.bundle) if not r.ok] == []


@pytest.mark.parametrize("wrong", ["expired", "elsewhere"])
def test_a_certificate_that_is_not_right_is_not_trusted(tls: OverTls, wrong: str) -> None:
    found = failing(
        tls.check(
            tls.serve(expired=wrong == "expired", elsewhere=wrong == "elsewhere"),
            ca_bundle=tls.bundle,
        )
    )
    assert found.layer is Layer.TLS
    assert "certificaat" in found.advice


def test_a_server_that_speaks_old_tls_only_is_told_apart(tls: OverTls) -> None:
    old = tls.serve(newest=ssl.TLSVersion.TLSv1_1)
    found = failing(tls.check(old, ca_bundle=tls.bundle))
    assert found.layer is Layer.TLS
    assert "TLS 1.2" in found.advice


# -- no credential leaks -------------------------------------------------------------------------


def chain_of(error: BaseException) -> list[BaseException]:
    """An exception and all that stands behind it, shown or not."""
    found = [error]
    for link in found:
        following = (link.__cause__, link.__context__)
        found.extend(one for one in following if one is not None and one not in found)
    return found


_SECRET_FAULTS = [
    faults.ServerError(count=None),
    faults.Reset(count=None),
    faults.CutBody(count=None),
    faults.NotFound(count=None),
    faults.Unauthorized(count=None),
    faults.LoginRefused(count=None),
    faults.GeneralFailure(count=None),
    faults.HtmlPage(count=None),
    faults.Redirect(count=None),
    faults.RateLimited(retry_after=86400, count=None),
]


@pytest.mark.parametrize("token_mode", ["login", "inline"])
@pytest.mark.parametrize("fault", _SECRET_FAULTS, ids=lambda fault: type(fault).__name__)
def test_credentials_are_in_no_log_error_or_repr(
    harness: MagisterHarness,
    sandbox: MagisterSandbox,
    fault: AnyFault,
    token_mode: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)  # of every library, though nothing mutes them here
    connector = harness.connect(token_mode=token_mode)
    harness.arm(fault, "")
    shown = [repr(connector), repr(connector._transport), repr(connector._options)]
    reading = connector.snapshot(harness.scope())
    for ask in (lambda: connector.scopes(today=TODAY), lambda: read(reading)):
        with pytest.raises(ConnectorError) as caught:
            ask()
        shown.append(f"{caught.value.advice} {vars(caught.value)}")
        shown += [f"{link!r} {vars(link)}" for link in chain_of(caught.value)]
    shown += [repr(result) for result in connector.check()]
    shown += [f"{r.getMessage()} {r.args!r}" for r in caplog.records]
    shown += [repr(recorded) for recorded in sandbox.requests]
    assert any(r.name.startswith("httpcore") for r in caplog.records)
    account = sandbox.account
    secrets = Canaries([account.password, *connector._transport._token.split()])
    assert secrets.found_in("\n".join(shown)) == []
