"""Who may do what, as the configuration names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.operators import Role
from config.settings import Settings

BASE = """
[[tenant]]
name = "bestuur"
title = "Stichting"
[[tenant.school]]
brin = "99XX"
name = "School"
"""

Load = Callable[[str], Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(more: str) -> Settings:
        path = tmp_path / "koppelhub.toml"
        path.write_text(BASE + more)
        return Settings.load(path, {})

    return loaded


def operator(name: str, role: str = "read", more: str = "") -> str:
    return f'[[operator]]\nname = "{name}"\nrole = "{role}"\n{more}\n'


def test_a_role_may_what_those_below_it_may() -> None:
    order = [Role.READ, Role.HELPDESK, Role.ADMIN]
    for place, role in enumerate(order):
        assert [role.includes(other) for other in order] == [n <= place for n in range(3)]


def test_operators_are_read_with_role_and_tenants(load: Load) -> None:
    settings = load(operator("jan", "helpdesk", 'tenants = ["bestuur"]') + operator("o.piet@desk"))
    assert [(o.name, o.role, o.tenants) for o in settings.operator] == [
        ("jan", Role.HELPDESK, ("bestuur",)),
        ("o.piet@desk", Role.READ, None),
    ]


def grant(text: str) -> str:
    return f'[[operator]]\nname = "jan"\n[[operator.grant]]\nrole = "read"\n{text}\n'


def test_an_operator_may_have_more_roles_each_for_some(load: Load) -> None:
    text = operator("jan", more='tenants = ["bestuur"]')
    text += '[[operator.grant]]\nrole = "helpdesk"\nschools = ["99xx", " 99XX01 "]\n'
    (one,) = load(text).operator
    assert [(g.role, g.tenants, g.schools) for g in one.grants] == [
        (Role.READ, ("bestuur",), None),
        (Role.HELPDESK, None, ("99XX", "99XX01")),
    ]
    (one,) = load(grant("")).operator
    assert [(g.role, g.tenants, g.schools) for g in one.grants] == [(Role.READ, None, None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (grant('schools = ["99XY"]'), "grant[0].schools: is of no school of a tenant; nearest is"),
        (grant('schools = ["99XY"]'), "99XX"),
        (grant('schools = ["school"]'), "grant[0].schools[0]: must be a BRIN (99XX) or"),
        (grant("schools = []"), "grant[0].schools: names none; leave the key out for all"),
        (grant('tenants = ["bestur"]'), "there is no tenant of that name; nearest is bestuur"),
        (grant('tenants = ["bestuur"]\nschools = ["99XX"]'), "names tenants and schools"),
        (grant('kleur = "rood"'), "operator[jan].grant[0].kleur: unknown key"),
        ('[[operator]]\nname = "jan"', "operator[jan]: role: is required"),
        ('[[operator]]\nname = "jan"\ntenants = ["bestuur"]', "operator[jan]: role: is required"),
        (operator("jan", "baas"), "operator[jan].role: "),
        (operator("jan", more="kleur = 1"), "operator[jan].kleur: unknown key"),
        (operator("jan") + operator("jan"), "operator: two have the same name"),
        (operator("jan", more='tenants = ["x"]'), "operator[jan].tenants: there is no tenant"),
        (operator("jan", more="tenants = []"), "operator[jan].tenants: names none"),
        (operator("system"), "operator[system].name: system is what runs without a person"),
        (operator("jan piet"), "operator[jan piet].name: "),
        ('[[operator]]\nrole = "read"', "operator[0].name: is required"),
    ],
)
def test_an_error_names_key_and_rule(text: str, said: str, load: Load) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert said in str(caught.value)
    assert "koppelhub.toml" in str(caught.value)
