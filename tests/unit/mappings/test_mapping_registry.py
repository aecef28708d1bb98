"""Mappings are found by entry point; a broken one hinders nobody."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from config.errors import ConfigurationError
from mappings.registry import GROUP, find, mapping_of
from mappings.somtoday import MAPPING

OWN = EntryPoint("somtoday", "mappings.somtoday:MAPPING", GROUP)


def test_our_own_mapping_is_found_like_any_other() -> None:
    assert mapping_of("somtoday") is MAPPING


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weg", "no_such_module_at_all:MAPPING"),
        ("leeg", "mappings.somtoday:NOTHING"),
        ("geen", "mappings.errors:MappingError"),
        ("ander", "mappings.somtoday:MAPPING"),
    ],
)
def test_a_broken_entry_breaks_no_other(name: str, value: str) -> None:
    found = find([EntryPoint(name, value, GROUP), OWN])
    assert list(found.installed) == ["somtoday"]
    assert list(found.broken) == [name]
    with pytest.raises(ConfigurationError, match=name) as caught:
        mapping_of(name, found=found)
    assert "installeren" in caught.value.advice


def test_an_unknown_system_is_named_with_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="kleur") as caught:
        mapping_of("kleur", found=find([OWN]))
    assert "somtoday" in caught.value.advice


def test_the_same_entry_twice_is_one_mapping() -> None:
    found = find([OWN, OWN])
    assert list(found.installed) == ["somtoday"]
    assert not found.broken
