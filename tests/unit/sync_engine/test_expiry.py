"""What ends: certificates that are really read, and what the configuration says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from config.sources import Ends, Expires
from sync_engine.expiry import certificate_end, of_source, remember_server
from sync_engine.health import State, Trouble, health
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.memory import MemoryMapping
from tests.support.pki import Pki, make_pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def made(sqlite_store: Store, tmp_path: Path, pki: Pki) -> Iterator[Bench]:
    """A koppeling over UWLR that shows a certificate."""
    found = bench(sqlite_store, tmp_path, mappings=[MemoryMapping("uwlr")])
    sources = tuple(
        source.model_copy(
            update={"system": "uwlr", "options": {"client_certificate": str(pki.client)}}
        )
        for source in found.hub.settings.source
    )
    settings = found.hub.settings.model_copy(update={"source": sources})
    found.hub = replace(found.hub, settings=settings)
    yield found
    found.close()


def end_of(path: Path) -> datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def test_a_certificate_that_a_koppeling_names_is_read(made: Bench, pki: Pki) -> None:
    end = end_of(pki.client) + timedelta(seconds=1)
    made.clock.set(end - timedelta(days=59))
    (one,) = health(made.hub).koppelingen
    (expiry,) = one.expiries
    assert (expiry.what, expiry.label, expiry.at) == ("certificate", "client_certificate", end)
    told = [problem for problem in one.problems if problem.kind is Trouble.EXPIRING]
    assert [problem.state for problem in told] == [State.WARNING]
    assert str(pki.client) not in repr(one)
    made.clock.set(end)
    (one,) = health(made.hub).koppelingen
    (told_now,) = [problem for problem in one.problems if problem.kind is Trouble.EXPIRING]
    assert (told_now.state, "is verlopen" in told_now.text) == (State.CRITICAL, True)


def test_a_certificate_that_is_replaced_is_read_again(tmp_path: Path, pki: Pki) -> None:
    file = tmp_path / "wij.pem"
    file.write_bytes(pki.client.read_bytes())
    first = certificate_end(file)
    assert first is not None
    file.write_text("geen certificaat")
    os.utime(file, ns=(1, 1))
    assert certificate_end(file) is None
    file.unlink()
    assert certificate_end(file) is None


def test_the_certificate_that_is_served_with_is_known_to_every_process(
    made: Bench, pki: Pki
) -> None:
    remember_server(made.hub, pki.server)
    end = end_of(pki.server) + timedelta(seconds=1)
    made.clock.set(end - timedelta(days=6))
    (problem,) = [p for p in health(made.hub).problems if p.kind is Trouble.EXPIRING]
    assert (problem.state, "server" in problem.text) == (State.CRITICAL, True)
    remember_server(made.hub, None)
    assert health(made.hub).problems == ()


def test_the_last_day_that_the_configuration_names_is_a_day_of_the_school(made: Bench) -> None:
    (source,) = made.hub.settings.source
    told = source.model_copy(
        update={"expires": (Expires(what=Ends.CREDENTIAL, on=date(2026, 7, 31)),), "options": {}}
    )
    (expiry,) = of_source(made.hub, told, None)
    assert expiry.at == datetime(2026, 7, 31, 22, tzinfo=UTC)  # midnight in Amsterdam
