"""The settings of the pages: what is taken, and what is refused by its name and rule."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.operators import Role
from config.settings import Settings, example
from config.web import OperatorClaim, is_loopback

DOCS = Path(__file__).parents[3] / "docs/signing-in.md"


def load(folder: Path, more: str) -> Settings:
    path = folder / "koppelhub.toml"
    path.write_text(f"{example()}\n{more}", encoding="utf-8")
    return Settings.load(path, {})


def refused(folder: Path, more: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, more)
    return str(caught.value)


OIDC = """
[web.oidc]
issuer = "https://login.school.example/"
client_id = "koppelhub"
client_secret = { file = "oidc.secret" }
"""


def test_without_a_word_only_this_machine_is_served(tmp_path: Path) -> None:
    web = load(tmp_path, "").web
    assert (web.host, web.port, web.public_url, web.oidc) == ("127.0.0.1", 8770, None, None)
    assert web.proxies == ()
    assert web.local_accounts
    assert (web.sessions.idle, web.sessions.absolute) == (
        timedelta(minutes=30),
        timedelta(hours=12),
    )
    assert not web.is_secure


def test_the_examples_of_the_documentation_are_a_configuration(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n# koppelhub.toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 4
    text = "\n".join(blocks).replace('"bestuur"', '"demo"')
    settings = load(tmp_path, text)
    assert settings.web.oidc is not None
    assert settings.web.oidc.client_secret.file == tmp_path / "oidc.secret"
    assert settings.web.oidc.groups == {"koppelhub"}
    assert settings.web.proxies == (ip_network("127.0.0.1/32"),)
    assert settings.web.is_secure
    assert {operator.role for operator in settings.operator} == {Role.ADMIN, Role.HELPDESK}


def test_an_issuer_needs_three_things_and_has_sensible_rest(tmp_path: Path) -> None:
    oidc = load(tmp_path, OIDC).web.oidc
    assert oidc is not None
    assert oidc.issuer == "https://login.school.example"
    assert oidc.claim is OperatorClaim.EMAIL
    assert (oidc.timeout, oidc.skew) == (timedelta(seconds=10), timedelta(minutes=1))


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://koppelhub.school.example", "koppelhub.school.example"),
        ("https://koppelhub.school.example/", "koppelhub.school.example"),
        ("https://koppelhub.school.example:443", "koppelhub.school.example"),
        ("https://Koppelhub.School.example:8443", "koppelhub.school.example:8443"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("http://localhost:8770", "localhost:8770"),
    ],
)
def test_what_people_type_is_what_their_browser_says(
    tmp_path: Path, url: str, authority: str
) -> None:
    assert load(tmp_path, f'[web]\npublic_url = "{url}"').web.authority == authority


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[web]\npublic_url = "http://koppelhub.school.example"', "web.public_url: must begin"),
        ('[web]\npublic_url = "koppelhub.school.example"', "web.public_url: must be an address"),
        (
            '[web]\npublic_url = "https://jan:kanarie@hub.example"',
            "holds a secret; give a reference",
        ),
        ('[web]\npublic_url = "https://hub.example/pad"', "without a path"),
        ('[web]\npublic_url = "https://hub.example:kanarie"', "web.public_url: must be an address"),
        ('[web]\nproxies = ["kanarie"]', "web.proxies[0]: must be an address or network"),
        ('[web]\nproxies = ["10.0.0.1/8"]', "web.proxies[0]: must be an address or network"),
        ("[web]\npoort = 1", "web.poort: unknown key"),
        ('[web.sessions]\nidle = "13h"', "idle: must not be longer than absolute"),
        ('[web.sessions]\nabsolute = "30d"', "web.sessions.absolute: "),
        ('[web.sessions]\nidle = "kanarie"', "web.sessions.idle: must be a duration"),
        (OIDC.replace("https:", "http:"), "web.oidc.issuer: must begin with https"),
        (OIDC.replace('{ file = "oidc.secret" }', '"kanarie"'), "web.oidc.client_secret: "),
        (f'{OIDC}skew = "1h"', "web.oidc.skew: "),
        (f'{OIDC}claim = "sub"', "web.oidc.claim: "),
        (f'{OIDC}scopes = ["a b"]', "web.oidc.scopes[0]: "),
    ],
)
def test_what_is_wrong_is_told_by_its_name_and_never_by_its_value(
    tmp_path: Path, more: str, said: str
) -> None:
    told = refused(tmp_path, more)
    assert said in told
    assert "kanarie" not in told


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104 - it is asked about
        ("localhost.elders.example", False),
        ("", False),
    ],
)
def test_what_is_of_this_machine_alone(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected
