"""Announced herinrichtingen: what the configuration may say of numbers that change."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.settings import Settings, example

_BASE = """
[[tenant]]
name = "bestuur"
title = "Stichting"
school = [{ brin = "99XX", name = "Oud" }, { brin = "99YY", name = "Nieuw" }]
[[tenant]]
name = "buren"
title = "Buren"
school = [{ brin = "99ZZ", name = "Elders" }]
"""


def _announced(*numbers: str, name: str = "fusie", tenant: str = "bestuur") -> str:
    listed = ", ".join(numbers)
    return (
        f'[[herinrichting]]\nname = "{name}"\ntenant = "{tenant}"\non = 2027-08-01\n'
        f"nummer = [{listed}]\n"
    )


def _load(folder: Path, *more: str) -> Settings:
    path = folder / "koppelhub.toml"
    path.write_text(_BASE + "".join(more), encoding="utf-8")
    return Settings.load(path, env={})


def test_numbers_that_change_are_read_in_capitals_with_their_day(tmp_path: Path) -> None:
    moved, joined = '{ from = "99xx01", to = "99yy03" }', '{ from = "99XX", into = "99YY" }'
    anew = '{ from = "99XX02", source = "som-oud" }'
    (told,) = _load(tmp_path, _announced(moved, joined, anew)).herinrichting
    assert (told.name, told.on) == ("fusie", date(2027, 8, 1))
    assert [(c.number, c.becomes, c.source) for c in told.nummer] == [
        ("99XX01", "99YY03", None),
        ("99XX", "99YY", None),
        ("99XX02", "99XX02", "som-oud"),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (_announced(), "herinrichting[fusie].nummer: names no number"),
        (_announced('{ from = "99X" }'), "nummer[0].from: must be two digits and two letters"),
        (_announced('{ from = "99XX01", to = "99YY" }'), "from a BRIN to a vestigingsnummer"),
        (_announced('{ from = "99XX01", to = "99XX01" }'), "the number that it is"),
        (_announced('{ from = "99XX01", into = "99YY03" }'), "into is for a BRIN"),
        (_announced('{ from = "99XX", to = "99YY", into = "99YY" }'), "both to and into"),
        (_announced('{ from = "99XX01", to = "99ZZ01" }'), "leads to no school of its tenant"),
        (_announced('{ from = "99XX01", naar = "99YY01" }'), "unknown key"),
        (_announced('{ from = "99XX01" }', tenant="niemand"), "there is no tenant of that name"),
        (_announced('{ from = "99XX01" }') * 2, "two have the same name"),
        (
            _announced('{ from = "99XX01", to = "99YY01" }', '{ from = "99XX01", to = "99YY02" }'),
            "(overlap)",
        ),
        (
            _announced('{ from = "99XX01", to = "99YY01" }')
            + _announced('{ from = "99XX02", to = "99YY01" }', name="nog-een"),
            "herinrichting[nog-een].nummer[99XX02].to: is the new number of another school",
        ),
        (
            _announced('{ from = "99XX01", to = "99YY01" }', '{ from = "99YY01", to = "99YY02" }'),
            "(chain)",
        ),
        (
            _announced('{ from = "99XX01", to = "99YY01" }', '{ from = "99YY01", to = "99XX01" }'),
            "(cycle)",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_key_and_rule(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, more)
    assert said in str(caught.value)
    assert caught.value.advice


def test_a_threshold_may_go_on_naming_the_old_number(tmp_path: Path) -> None:
    """The old BRIN is not among the schools of the tenant any more."""
    more = _announced('{ from = "99AB01", to = "99YY03" }')
    threshold = "[policy.guards.schools.99AB01.close]\nnumber = 3\n"
    assert "99AB01" in _load(tmp_path, more, threshold).policy.guards.schools
    with pytest.raises(ConfigurationError, match="99AC01"):
        _load(tmp_path, more, threshold.replace("99AB", "99AC"))


def test_the_one_of_the_example_is_understood(tmp_path: Path) -> None:
    lines = [line.removeprefix("#   ") for line in example().splitlines() if line[:4] == "#   "]
    (told,) = _load(tmp_path, "\n".join(lines).replace('"demo"', '"bestuur"')).herinrichting
    assert (told.nummer[0].becomes, told.nummer[0].source) == ("99XX03", "somtoday-oud")


def _going(*lines: str, tenant: str = "bestuur") -> str:
    return (
        f'[[herinrichting]]\nname = "overgang"\ntenant = "{tenant}"\non = 2027-08-01\n'
        + "".join(f"{line}\n" for line in lines)
    )


_PART = '{ koppeling = "som", vestigingen = ["99xx01"], to = "som-nieuw" }'


def test_koppelingen_that_go_to_another_tenant_are_named_whole_or_in_part(tmp_path: Path) -> None:
    (told,) = _load(
        tmp_path, _going('naar = "buren"', 'koppelingen = ["noord"]', f"deel = [{_PART}]")
    ).herinrichting
    assert told.going == ("noord", "som-nieuw")
    assert told.deel[0].vestigingen == ("99XX01",)
    assert told.moves("som-nieuw", between=frozenset({"buren", "bestuur"}))
    assert not told.moves("som", between=frozenset({"buren", "bestuur"}))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "nummer: is required"),
        (['koppelingen = ["noord"]'], "write naar, the tenant that they go to"),
        (['naar = "buren"'], "koppelingen: is required with naar"),
        (['naar = "elders"', 'koppelingen = ["noord"]'], "naar: there is no tenant of that name"),
        (['naar = "bestuur"', 'koppelingen = ["noord"]'], "naar: is the tenant that they are of"),
        (['naar = "buren"', 'koppelingen = ["noord", "noord"]'], "names a koppeling twice"),
        (['naar = "buren"', 'koppelingen = ["som"]', f"deel = [{_PART}]"], "a koppeling twice"),
        (['naar = "buren"', f"deel = [{_PART.replace('99xx01', '99XX')}]"], "vestigingsnummers"),
        (
            ['naar = "buren"', 'koppelingen = ["a"]', 'nummer = [{ from = "99XX01" }]'],
            "nummer: does not go with naar",
        ),
    ],
)
def test_what_goes_to_another_tenant_is_refused_by_key_and_rule(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, _going(*lines))
    assert said in str(caught.value)
