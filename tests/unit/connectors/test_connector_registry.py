"""Connectors are found through entry points, and a broken one hinders no other."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from config.errors import ConfigurationError
from connectors.base import Link
from connectors.registry import GROUP, factory, find

SOMTODAY = EntryPoint("somtoday", "connectors.somtoday.connector:SOMTODAY", GROUP)


def test_our_own_connector_is_installed_as_anothers_would_be() -> None:
    assert factory("somtoday").manifest.system == "somtoday"


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (EntryPoint("weg", "geen.module:X", GROUP), "ModuleNotFoundError"),
        (EntryPoint("weg", "connectors.base:Weg", GROUP), "AttributeError"),
        (EntryPoint("weg", "connectors.base:Manifest", GROUP), "no connector factory"),
        (EntryPoint("weg", "connectors.somtoday.connector:SOMTODAY", GROUP), "another system"),
    ],
)
def test_a_broken_entry_point_breaks_no_other(point: EntryPoint, reason: str) -> None:
    found = find([point, SOMTODAY])
    assert list(found.installed) == ["somtoday"]
    assert reason in found.broken["weg"]
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        factory("weg", found=found)
    assert caught.value.advice


def test_an_unknown_system_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="somtoday") as caught:
        factory("magisterium", found=find([SOMTODAY]))
    assert "somtoday" in caught.value.advice


def test_what_a_connector_is_given_shows_no_secret() -> None:
    assert "geheim" not in repr(Link("las", {"client_secret": "geheim"}))
