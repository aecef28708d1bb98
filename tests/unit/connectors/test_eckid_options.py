"""The settings of an ECK iD koppeling: environments that never mix, and what is refused."""

from __future__ import annotations

import ssl
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from connectors.eckid import environment
from connectors.eckid.environment import Omgeving
from connectors.eckid.hashing import PRODUCTION_COST
from connectors.eckid.manifest import MANIFEST
from connectors.eckid.options import Options, read_options
from tests.support.pki import make_pki

ID = "http://purl.edustandaard.nl/begrippenkader"
SALT = b64encode(b"zestien tekens!!").decode()
GOOD = {
    "endpoint": "https://service-s.ketenid.nl/eck/ws/201703",
    "omgeving": "test",
    "salt": f"test:{SALT}",
    "oin": "0000000700099ZZ00000",
    "keten": f"{ID}/e7ec7d3c-c235-4513-bfb6-e54e66854795",
    "sector": f"{ID}/512e4729-03a4-43a2-95ba-758071d1b725",
}
LIVE = {
    **GOOD,
    "endpoint": "https://service.ketenid.nl/eck/ws/201703",
    "omgeving": "productie",
    "salt": f"productie:{SALT}",
}
TLS = ssl.create_default_context()


def options(base: dict[str, str] = GOOD, **given: str) -> Options:
    return read_options({**base, **given}, manifest=MANIFEST, tls=TLS)


def refused(base: dict[str, str] = GOOD, **given: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_options({**base, **given}, manifest=MANIFEST, tls=TLS)
    assert caught.value.advice
    return str(caught.value)


def test_what_is_left_out_has_its_default() -> None:
    found = options()
    assert (found.omgeving, found.salt) == (Omgeving.TEST, b"zestien tekens!!")
    assert (found.batch_from, found.batch_size, found.poll) == (25, 500, timedelta(seconds=30))
    assert found.docenten is False
    assert found.workers >= 1
    assert found.keten_guid == "e7ec7d3c-c235-4513-bfb6-e54e66854795"
    assert found.sector_guid == "512e4729-03a4-43a2-95ba-758071d1b725"
    assert found.hasher.cost == PRODUCTION_COST
    assert options(LIVE).omgeving is Omgeving.PRODUCTIE


def test_nothing_secret_is_shown() -> None:
    shown = repr(options()) + repr(options().hasher)
    assert SALT not in shown
    assert "zestien" not in shown


@pytest.mark.parametrize(
    ("base", "name", "value"),
    [
        (GOOD, "salt", f"productie:{SALT}"),
        (LIVE, "salt", f"test:{SALT}"),
        (GOOD, "endpoint", "https://service.ketenid.nl/eck/ws/201703"),
        (GOOD, "endpoint", "https://SERVICE.EckID.nl./eck/ws/201703"),
        (LIVE, "endpoint", "https://service-s.ketenid.nl/eck/ws/201703"),
        (LIVE, "endpoint", "https://service-q.eckid.nl/eck/ws/201703"),
        (LIVE, "endpoint", "https://127.0.0.1:8443/eck/ws/201703"),
        (LIVE, "endpoint", "https://localhost/eck/ws/201703"),
        (LIVE, "endpoint", "https://[::1]/eck/ws/201703"),
        (LIVE, "salt", "productie:rktYml0MIp9TC9u6Ny6uqw=="),
        (LIVE, "oin", "00000099000000000000"),
    ],
)
def test_test_and_production_are_never_mixed(base: dict[str, str], name: str, value: str) -> None:
    message = refused(base, **{name: value})
    assert message.startswith(f"eckid: {name} ")
    assert value not in message


def test_an_address_that_is_not_known_is_what_the_setting_says() -> None:
    """A gateway of one's own, in front of the facility."""
    for base, kind in ((GOOD, Omgeving.TEST), (LIVE, Omgeving.PRODUCTIE)):
        found = options(base, endpoint="https://poort.voorbeeld.example/eck")
        assert found.omgeving is kind
    assert environment.of_address("https://poort.voorbeeld.example/eck") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint", ""),
        ("endpoint", "http://service-s.ketenid.nl/eck"),
        ("endpoint", "http://127.0.0.1:8000/eck"),
        ("omgeving", "acceptatie"),
        ("salt", ""),
        ("salt", SALT),
        ("salt", "test:geen base64!"),
        ("salt", "test:"),
        ("salt", "test:AAAA"),
        ("salt", f"Test:{SALT}"),
        ("oin", "99ZZ"),
        ("oin", "0000000700099zz00000"),
        ("keten", "e7ec7d3c"),
        ("keten", f"{ID}/"),
        ("sector", f"{ID}/een twee"),
        ("batch_from", "1"),
        ("batch_from", "501"),
        ("batch_size", "5001"),
        ("batch_size", "0"),
        ("poll_seconds", "0"),
        ("hash_threads", "-1"),
        ("memory_mb", "veel"),
        ("docenten", "ja"),
        ("per_second", "-1"),
        ("allow_plain_http", "misschien"),
        ("onbekend", "geheim"),
    ],
)
def test_a_wrong_setting_is_named_and_never_repeated(name: str, value: str) -> None:
    message = refused(GOOD, **{name: value})
    assert name in message
    assert len(value) < 5 or value not in message


def test_plain_http_is_for_this_machine_alone_and_must_be_allowed() -> None:
    found = options(endpoint="http://127.0.0.1:8000/eck", allow_plain_http="true")
    assert found.endpoint == "http://127.0.0.1:8000/eck"
    assert "endpoint" in refused(
        endpoint="http://poort.voorbeeld.example/eck", allow_plain_http="true"
    )


def test_threads_and_memory_bound_the_hashes_at_once() -> None:
    assert options(hash_threads="4", memory_mb="512").workers == 2
    assert options(hash_threads="1", memory_mb="100000").workers == 1
    assert options(hash_threads="8", memory_mb="100").workers == 1


def test_our_certificate_is_required_and_tls_is_new_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="client_certificate"):
        read_options(GOOD, manifest=MANIFEST)
    pki = make_pki(tmp_path)
    given = {
        "client_certificate": str(pki.client),
        "client_key": str(pki.client_key),
        "client_key_password": pki.password,
        "ca_file": str(pki.authority),
    }
    tls = read_options({**GOOD, **given}, manifest=MANIFEST).tls
    assert tls is not None
    assert tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname
    wrong = {**GOOD, **given, "client_key_password": "geheim-verkeerd"}
    with pytest.raises(ConfigurationError, match="client_certificate") as caught:
        read_options(wrong, manifest=MANIFEST)
    assert "geheim" not in str(caught.value)


def test_every_assumed_contract_is_declared_by_a_name_of_its_own() -> None:
    names = [one.name for one in MANIFEST.assumptions]
    assert len(set(names)) == len(names)
    assert all(name.startswith("eckid-") for name in names)
    assert all(one.spec.startswith("eckid.md, section") for one in MANIFEST.assumptions)


def test_the_certificate_is_one_that_health_looks_at() -> None:
    shown = {setting.name for setting in MANIFEST.settings if setting.certificate}
    secret = {setting.name for setting in MANIFEST.settings if setting.secret}
    assert shown == {"client_certificate"}
    assert secret == {"salt", "client_key_password"}
