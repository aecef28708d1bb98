"""Who may give which command: a refusal changes nothing, says why, and is noted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.lines import KOPPELING
from tests.support.shell import Shell, paragraph

As = Callable[[str], None]


@pytest.fixture
def becomes(monkeypatch: pytest.MonkeyPatch) -> As:
    """Somebody else sits down at the keyboard."""

    def become(name: str) -> None:
        monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name=name))

    return become


def configure(shell: Shell, text: str, *, production: bool = False) -> None:
    path = shell.line.folder / "koppelhub.toml"
    known = path.read_text(encoding="utf-8")
    if production:
        known = known.replace("production = false", "production = true")
    path.write_text(f"{known}\n{text}", encoding="utf-8")


ROLES = "".join(
    f'[[operator]]\nname = "{name}"\nrole = "{role}"\n'
    for name, role in (("lees", "read"), ("desk", "helpdesk"), ("baas", "admin"))
)


def test_who_may_only_read_changes_nothing_and_his_attempt_is_noted(
    shell: Shell, becomes: As
) -> None:
    configure(shell, ROLES)
    becomes("lees")
    before = shell.everything()
    said = shell.sync()
    assert said.code == 4
    assert "lees (read) may not give the command 'sync'" in paragraph(said)
    assert "rol helpdesk" in said.err
    assert shell("purge", "--yes").code == 4
    assert shell.everything() == before
    assert shell.asked() == []
    assert shell("runs").code == 0
    assert shell.line.query("SELECT operator, action, subject FROM audit ORDER BY id") == [
        ("lees", "refused", "command sync"),
        ("lees", "refused", "command purge"),
    ]


def test_each_role_may_what_it_needs_and_no_more(quick: Shell, becomes: As) -> None:
    configure(quick, ROLES)
    becomes("desk")
    assert quick.sync().code == 0
    assert quick("keys", "rotate").code == 4
    becomes("baas")
    assert quick("keys", "rotate").code == 0
    becomes("vreemd")
    said = quick("runs")
    assert said.code == 4
    assert '[[operator]] met name = "vreemd"' in said.err
    assert quick("doctor").code in {0, 1}


def test_the_environment_does_not_say_who_somebody_is(
    quick: Shell, becomes: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(quick, ROLES)
    becomes("lees")
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "baas")
    assert quick("purge", "--yes").code == 4


def test_in_production_nobody_is_known_until_the_configuration_names_him(
    quick: Shell, becomes: As
) -> None:
    assert quick("runs").code == 0
    configure(quick, "", production=True)
    becomes("jan")
    assert quick("runs").code == 4
    told = {f["subject"]: f for f in quick("doctor", "--json").data}
    assert told["medewerkers"]["level"] == "let op"
    assert "[[operator]]" in told["medewerkers"]["advice"]


OTHER = """
[[tenant]]
name = "ander"
title = "Ander bestuur"
[[tenant.school]]
brin = "98XX"
name = "Andere school"
[[operator]]
name = "elders"
role = "admin"
tenants = ["ander"]
[[operator]]
name = "baas"
role = "admin"
"""


def test_who_may_act_for_another_tenant_sees_and_changes_nothing_of_this_one(
    quick: Shell, becomes: As
) -> None:
    quick.sync()
    pupil = quick.line.query("SELECT waarde FROM contactgegeven LIMIT 1")
    assert pupil
    plan = quick.report("--plan")["plan_id"]
    configure(quick, OTHER)
    becomes("elders")
    said = quick("sync", "--source", KOPPELING)
    assert said.code == 2
    before = quick.everything()
    assert KOPPELING not in said.err.replace(f"'{KOPPELING}'", "")  # what he typed, no suggestion
    assert quick("plan", "show", str(plan)).code == 2
    assert [report["tenant"] for report in quick("purge", "--yes", "--json").data] == ["ander"]
    assert quick("keys", "--json").data[0]["tenant"] == "ander"
    assert len(quick("keys", "--json").data) == 1
    assert quick("keys", "master").code == 4
    assert quick("runs", "--json").data == []
    assert quick.everything() == before
    becomes("baas")
    assert quick("plan", "show", str(plan)).code == 0


def test_the_trail_is_written_for_a_spreadsheet_and_tells_when_it_was_tampered_with(
    quick: Shell, becomes: As, tmp_path: Path
) -> None:
    becomes("jan")
    quick("runs")
    quick("pin", "list")
    target = tmp_path / "logboek.csv"
    assert quick("audit", "show", "--limit", "1", "--csv", str(target)).code == 0
    head, *lines = target.read_text(encoding="utf-8-sig").splitlines()
    assert head == "regel;tijdstip (UTC);wie;wat;waarvan;waarom;vanaf"
    assert len(lines) > 1  # all of it, whatever --limit says
    assert {line.split(";")[2] for line in lines if "pin list" in line} == {"jan"}
    assert target.stat().st_mode & 0o777 == 0o600

    whole = quick("audit", "verify", "--json")
    assert whole.code == 0
    witness = whole.data["head"]
    assert quick("audit", "verify", "--witness", witness).code == 0
    (number,) = quick.line.query("SELECT MIN(id) FROM audit WHERE action = 'pin list'")[0]
    quick.line.query("UPDATE audit SET operator = 'piet' WHERE id = ?", number)
    broken = quick("audit", "verify")
    assert broken.code == 2
    assert f"Regel {number}: deze regel is gewijzigd" in broken.out
    told = quick("audit", "verify", "--json")
    assert (told.code, told.data["broken"]) == (2, number)
    assert quick("audit", "verify", "--witness", witness).code == 2
    quick.line.query("UPDATE audit SET operator = 'jan' WHERE id = ?", number)
    assert quick("audit", "verify").code == 0
    quick.line.query("DELETE FROM audit WHERE id = (SELECT MAX(id) FROM audit)")
    assert quick("audit", "verify").code == 2  # cut off at the end
