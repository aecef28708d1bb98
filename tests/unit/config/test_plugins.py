"""What packages offer is found by entry point; what is broken is kept with its reason."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from config.errors import ConfigurationError
from config.plugins import Found, find

GROUP = "koppelhub.proef"
WHOLE = EntryPoint("klok", "config.clock:FixedClock", GROUP)


def _check(loaded: object, name: str) -> type | str:
    return loaded if isinstance(loaded, type) else f"{name} is no class"


def _found(*points: EntryPoint) -> Found[type]:
    return find(GROUP, "proef", check=_check, points=points)


def test_what_is_whole_is_installed_and_what_is_not_says_why() -> None:
    found = _found(
        EntryPoint("weg", "geen.module:X", GROUP),
        WHOLE,
        EntryPoint("functie", "config.clock:local_date", GROUP),
    )
    assert list(found.installed) == ["klok"]
    assert found.broken == {
        "functie": "functie is no class",
        "weg": "loading it raised ModuleNotFoundError",
    }
    assert found.of("klok").__name__ == "FixedClock"


def test_two_packages_with_one_name_break_that_name_but_the_same_twice_does_not() -> None:
    other = EntryPoint("klok", "config.clock:SystemClock", GROUP)
    assert _found(WHOLE, WHOLE).broken == {}
    assert "two packages declare a proef" in _found(WHOLE, other).broken["klok"]


@pytest.mark.parametrize(("name", "advice"), [("weg", "installeren"), ("kleur", "klok")])
def test_what_is_not_there_is_refused_with_advice(name: str, advice: str) -> None:
    found = _found(WHOLE, EntryPoint("weg", "geen.module:X", GROUP))
    with pytest.raises(ConfigurationError, match=name) as caught:
        found.of(name)
    assert advice in caught.value.advice
