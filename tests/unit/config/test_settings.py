"""Settings: where they come from, how they are laid over each other, and what errors say."""

from __future__ import annotations

import datetime
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from config.duration import parse_schedule
from config.errors import ConfigurationError
from config.guards import GuardKind
from config.policies import Policy
from config.settings import LogFormat, Settings, example
from config.sources import PgnPurpose
from config.toml import laid_over
from sector.identifiers import Brin, Vestigingsnummer

CANARY = "zeer-geheim-7731"

BASE = """
[[tenant]]
name = "bestuur"
title = "Stichting"
[[tenant.school]]
brin = "99XX"
name = "School"
[[source]]
name = "som"
system = "somtoday"
tenant = "bestuur"
[source.options]
api_base = "https://api.example/rest/v1"
client_secret = { env = "SOM_SECRET" }
"""

Write = Callable[..., Path]


def in_source(line: str) -> str:
    """The base with one line more in its koppeling."""
    return BASE.replace("[source.options]", f"{line}\n[source.options]")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str = BASE, name: str = "koppelhub.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def refused(path: Path, env: dict[str, str] | None = None) -> str:
    """What the error says, after it was seen to have advice and no cause that says more."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(path, env or {})
    assert caught.value.advice
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_the_example_is_a_whole_configuration(write: Write) -> None:
    settings = Settings.load(write(example()), {})
    source = settings.find_source("somtoday-demo")
    assert source.schedule == parse_schedule("15 2 * * *")
    assert source.vestigingen is None
    assert not source.pgn_allowed
    secret = {"KOPPELHUB_DEMO_CLIENT_SECRET": CANARY}
    options = source.resolve_options(secret={"client_secret"}, env=secret)
    assert options["client_secret"] == CANARY
    assert options["api_base"].startswith("http://127.0.0.1:")
    assert settings.find_tenant("demo").school[0].brin == Brin("99XX")


def test_every_commented_key_of_the_example_is_understood(write: Write) -> None:
    lines = example().splitlines()
    keys = "acknowledged|resources|drop|purpose|legal_basis|agreed_on|role|name"
    keys += "|on|basis|host|sender|kind|to = \\["
    keys += "|\\[source.agreement|\\[\\[(?:source.pgn|operator)|\\[alerts.mail|\\[\\[alerts.channel"
    opened = [line[2:] if re.match(f"# (?:{keys})", line) else line for line in lines]
    settings = Settings.load(write("\n".join(opened)), {})
    source = settings.find_source("somtoday-demo")
    assert [channel.name for channel in settings.alerts.channel] == ["ops"]
    assert source.agreement is not None
    assert source.pgn[0].agreed_on == datetime.date(2026, 8, 1)
    assert source.drop
    assert source.resources


def test_defaults_hold_where_the_file_is_silent(write: Write) -> None:
    path = write()
    settings = Settings.load(path, {})
    assert settings.timezone == "Europe/Amsterdam"
    assert settings.production is False
    assert settings.database.resolve() == f"sqlite:///{path.parent / 'koppelhub.db'}"
    assert settings.keys.file == path.parent / "koppelhub.keys"
    assert settings.policy == Policy.defaults()
    assert settings.origin == path
    assert settings.freshness_of(settings.source[0]) == settings.policy.freshness


def test_the_file_is_named_by_argument_then_environment_then_folder(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write("timezone = 'UTC'", "one.toml")
    two = write("timezone = 'Europe/Brussels'", "two.toml")
    here = write("timezone = 'Europe/Paris'")
    monkeypatch.chdir(here.parent)
    assert Settings.load(one, {"KOPPELHUB_CONFIG": str(two)}).timezone == "UTC"
    assert Settings.load(None, {"KOPPELHUB_CONFIG": str(two)}).timezone == "Europe/Brussels"
    assert Settings.load(None, {}).timezone == "Europe/Paris"


def test_a_file_that_windows_wrote_is_read(write: Write) -> None:
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert Settings.load(path, {}).source[0].name == "som"
    path.write_bytes(f"timezone = '{CANARY}\xff'".encode("latin-1"))
    assert refused(path).endswith("is not UTF-8")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist") as caught:
        Settings.load(tmp_path / "koppelhub.toml", {})
    assert "koppelhub init" in caught.value.advice


def test_an_overlay_changes_one_koppeling_and_one_policy(write: Write) -> None:
    path = write(BASE + '[[source]]\nname = "tweede"\nsystem = "kern"\ntenant = "bestuur"\n')
    overlay = write(
        """
        [policy.guards.close]
        share = 0.01
        [[source]]
        name = "som"
        schedule = "every 2h"
        [source.options]
        api_base = "http://127.0.0.1:1/rest/v1"
        client_secret = { file = "geheim" }
        """,
        "overlay.toml",
    )
    (path.parent / "geheim").write_text(CANARY + "\n")
    settings = Settings.load(path, {"KOPPELHUB_OVERLAY": str(overlay)})
    assert [source.name for source in settings.source] == ["som", "tweede"]
    options = settings.find_source("som").resolve_options(secret=["client_secret"], env={})
    assert options == {"api_base": "http://127.0.0.1:1/rest/v1", "client_secret": CANARY}
    assert settings.policy.guards.close.share == 0.01
    assert settings.policy.guards.close.floor == 5
    assert settings.policy.guards.threshold(GuardKind.EMPTY, "leerling").share == 0.2


def test_the_environment_wins(write: Write) -> None:
    env = {
        "KOPPELHUB_TIMEZONE": "UTC",
        "KOPPELHUB_DATABASE__URL": f"postgresql://hub:{CANARY}@db.example/hub?sslmode=require",
        "KOPPELHUB_LOGGING__FORMAT": "json",
        "KOPPELHUB_POLICY__GUARDS__CLOSE__SHARE": "0.2",
        "KOPPELHUB_ACKNOWLEDGED": '["one"]',
    }
    settings = Settings.load(write("timezone = 'Europe/Paris'"), env)
    assert settings.timezone == "UTC"
    assert settings.logging.format is LogFormat.JSON
    assert settings.policy.guards.close.share == 0.2
    assert settings.acknowledged == {"one"}
    assert CANARY in settings.database.resolve()
    assert settings.database.shown() == "postgresql://db.example/hub"
    assert CANARY not in repr(settings)


def test_only_the_environment_that_is_given_counts(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "KOPPELHUB_TIMEZONE", "UTC")
    assert Settings.load(write(), {}).timezone == "Europe/Amsterdam"
    assert Settings.load(write()).timezone == "UTC"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \nb = 1", "line 1"),
        ("a = 1\nb = [\n\n", "end of document"),
        ("database = { url = 'sqlite:///x', pool = 3 }", "database.pool: unknown key"),
        ("databse = {}", "databse: unknown key"),
        ("timezone = 'Europe/Rotterdam'", "timezone: this machine knows no"),
        ("production = 'misschien'", "production: "),
        ("[database]\nurl = 'mysql://db.example/hub'", "database.url: must start with sqlite"),
        ("[policy.guards.close]\nshare = 5", "policy.guards: close: a share is at most 1"),
        ("[policy.absence]\nconfirm_after = 6", "policy.absence.confirm_after: must be a duration"),
        ("[policy.authority.order]\n'*' = ['niemand']", "names a koppeling that there is not"),
        (
            "[policy.guards.sources.niemand.close]\nnumber = 3",
            "guards.sources.niemand: there is no",
        ),
        ("[policy.correlation.sources.niemand]\ncase_at = 0.9", "correlation.sources.niemand"),
        ("[[tenant]]\nname = 'a b'", "tenant[a b].name: "),
        (
            "[[tenant]]\nname = 'leeg'\ntitle = 'x'\nschool = []",
            "tenant[leeg].school: names no school",
        ),
        (in_source("schedul = 'x'"), "source[som].schedul: unknown key"),
        (in_source("keys_of = 'niemand'"), "source[som].keys_of: its tenant has no other such"),
        (in_source("keys_of = 'som'"), "source[som].keys_of: its tenant has no other such"),
        (in_source("unmatched = 'soms'"), "source[som].unmatched: "),
        (in_source("schedule = '61 2 * * *'"), "source[som].schedule: cron"),
        (
            in_source("vestigingen = []"),
            "source[som].vestigingen: names none",
        ),
        (
            in_source("vestigingen = ['98XX00']"),
            "of no school of its tenant",
        ),
        (
            BASE.replace("99XX", "9XX"),
            "tenant[bestuur].school[School].brin: BRIN",
        ),
        (BASE.replace('tenant = "bestuur"', 'tenant = "ander"'), "no tenant of that name"),
        (BASE + BASE, "two have the same name"),
        (BASE + "[[source.pgn]]\npurpose = 'cijfers'", "source[som].pgn[0].purpose: "),
    ],
)
def test_an_error_names_file_key_and_rule(write: Write, text: str, expected: str) -> None:
    path = write(text)
    message = refused(path)
    assert expected in message
    assert str(path) in message


def test_an_error_says_which_of_the_layers_is_wrong(write: Write) -> None:
    path = write()
    overlay = write('[[source]]\nname = "som"\nschedule = "nooit"\n', "overlay.toml")
    message = refused(path, {"KOPPELHUB_OVERLAY": str(overlay)})
    assert message.startswith(f"{overlay}: source[som].schedule: must be a crontab line")
    message = refused(path, {"KOPPELHUB_LOGGING__LEVEL": CANARY})
    assert message.startswith("environment: logging.level: ")
    assert CANARY not in message
    message = refused(path, {"KOPPELHUB_ACKNOWLEDGED": CANARY})
    assert "KOPPELHUB_ACKNOWLEDGED" in message
    assert CANARY not in message


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace('{ env = "SOM_SECRET" }', f'"{CANARY}"'),
        f"[database]\nurl = 'postgresql://hub:{CANARY}@db.example/hub'",
        f"[database]\nurl = 'postgresql://db.example/hub?password={CANARY}'",
        BASE + f"proxy_password = '{CANARY}'",
        BASE + f"apikey = '{CANARY}'",
        BASE + f"token = '{CANARY}'",
        f"client_secret = '{CANARY}'\n{CANARY}",
        f"timezone = '{CANARY}'",
        f"[logging]\nlevel = '{CANARY}'",
        BASE.replace("[source.options]", f"schedule = '{CANARY}'\n[source.options]"),
        BASE.replace("99XX", CANARY),
        BASE.replace('{ env = "SOM_SECRET" }', f'{{ vault = "{CANARY}" }}'),
        BASE.replace('{ env = "SOM_SECRET" }', f'["{CANARY}"]'),
    ],
)
def test_an_error_never_holds_a_value(write: Write, text: str) -> None:
    assert CANARY not in refused(write(text))


def test_a_declared_secret_must_be_a_reference(write: Write) -> None:
    source = Settings.load(write(BASE + "pin = '1234'"), {}).source[0]
    with pytest.raises(
        ConfigurationError, match=r"source\[som\]\.options\.pin: must be a ref"
    ) as c:
        source.resolve_options(secret={"pin"}, env={"SOM_SECRET": CANARY})
    assert "1234" not in str(c.value)
    with pytest.raises(ConfigurationError, match="SOM_SECRET is missing"):
        source.resolve_options(env={})


def test_numbers_and_switches_of_an_option_become_text(write: Write) -> None:
    source = Settings.load(write(BASE + "amount = 100\nvolgend = true"), {}).source[0]
    options = source.resolve_options(env={"SOM_SECRET": "x"})
    assert (options["amount"], options["volgend"]) == ("100", "true")


def test_a_database_address_may_be_a_secret(write: Write) -> None:
    settings = Settings.load(write("[database]\nurl = { env = 'HUB_DB' }"), {})
    env = {"HUB_DB": f"postgresql+psycopg://hub:{CANARY}@db.example/hub"}
    assert settings.database.resolve(env) == env["HUB_DB"]
    assert settings.database.shown(env) == "postgresql+psycopg://db.example/hub"
    with pytest.raises(ConfigurationError, match=r"database\.url: must start with") as caught:
        settings.database.resolve({"HUB_DB": f"mysql://hub:{CANARY}@db.example"})
    assert CANARY not in str(caught.value)


def test_without_a_purpose_personal_numbers_are_dropped(write: Write) -> None:
    settings = Settings.load(write(in_source('drop = ["leerling.foto"]')), {})
    source = settings.source[0]
    assert settings.drop_for(source, special=["leerling.BSN"]) == {
        "leerling.foto",
        "leerling.BSN",
        "bsn",
        "onderwijsnummer",
    }


def test_with_a_purpose_personal_numbers_are_read(write: Write) -> None:
    pgn = "[[source.pgn]]\npurpose = 'rod'\nlegal_basis = 'WVO 2020'\nagreed_on = 2026-08-01\n"
    settings = Settings.load(write(BASE + pgn), {})
    source = settings.source[0]
    assert source.pgn_allowed
    assert source.pgn_allowed_for(PgnPurpose.ROD)
    assert not source.pgn_allowed_for(PgnPurpose.OSO)
    assert settings.drop_for(source, special=["leerling.BSN"]) == frozenset()
    assert "twice" in refused(write(BASE + pgn + pgn))
    assert "legal_basis" in refused(write(BASE + pgn.replace("WVO 2020", " ")))
    assert "agreed_on" in refused(write(BASE + pgn.replace("agreed_on = 2026-08-01", "")))


def test_sources_are_selected_by_brin_and_by_vestiging(write: Write) -> None:
    path = write(
        BASE.replace("[source.options]", 'vestigingen = ["99XX01"]\n[source.options]')
        + '[[source]]\nname = "alles"\nsystem = "kern"\ntenant = "bestuur"\nvestigingen = "all"\n'
    )
    settings = Settings.load(path, {})
    assert [s.name for s in settings.sources_of("99xx")] == ["som", "alles"]
    assert [s.name for s in settings.sources_of("99XX01")] == ["som", "alles"]
    assert [s.name for s in settings.sources_of("99XX00")] == ["alles"]
    with pytest.raises(ConfigurationError, match="no school"):
        settings.sources_of("98XX")
    som, everything = settings.source
    assert som.vestigingen == (Vestigingsnummer("99XX01"),)
    assert som.includes(["99XX", "99XX01"])
    assert not som.includes(["99XX00"])
    assert everything.includes([])


def test_an_unknown_name_lists_the_known_ones(write: Write) -> None:
    settings = Settings.load(write(), {})
    with pytest.raises(ConfigurationError, match="no source 'magister'") as caught:
        settings.find_source("magister")
    assert "som" in caught.value.advice
    with pytest.raises(ConfigurationError, match="no tenant 'x'"):
        settings.find_tenant("x")


def test_production_wants_every_assumption_acknowledged(write: Write) -> None:
    names = ["b", "a", "c"]
    assert Settings.load(write(), {}).unacknowledged(names) == ()
    settings = Settings.load(write("production = true\nacknowledged = ['b']"), {})
    assert settings.unacknowledged(names) == ("a", "c")


def test_lists_without_names_are_replaced_by_an_overlay() -> None:
    below = tomllib.loads("a = [1, 2]\n[[b]]\nname = 'x'\nv = 1\n[c]\nd = 1")
    above = tomllib.loads("a = [3]\n[[b]]\nname = 'y'\n[c]\ne = 2")
    assert laid_over(below, above) == {
        "a": [3],
        "b": [{"name": "x", "v": 1}, {"name": "y"}],
        "c": {"d": 1, "e": 2},
    }
    assert below["b"] == [{"name": "x", "v": 1}]


SUMMER = datetime.date(2027, 8, 1)


@pytest.mark.parametrize(
    ("said", "leerling", "groep"),
    [
        ("", 0.4, 0.6),  # as packaged
        ("[policy.guards.close]\nshare = 0.1", 0.1, 0.1),
        ("[policy.guards.close.entities.leerling]\nshare = 0.1", 0.1, 0.6),
        (
            "[policy.guards.close]\nshare = 0.1\n"
            "[policy.guards.seasons.zomer.close.entities.leerling]\nshare = 0.3",
            0.3,
            0.1,
        ),
        ("[policy.guards.change]\nshare = 0.1", 0.4, 0.6),
    ],
)
def test_what_is_set_for_the_whole_year_goes_before_a_packaged_season(
    write: Write, said: str, leerling: float, groep: float
) -> None:
    guards = Settings.load(write(f"{BASE}\n{said}"), env={}).policy.guards
    found = [guards.threshold(GuardKind.CLOSE, e, on=SUMMER).share for e in ("leerling", "groep")]
    assert found == [leerling, groep]
    assert guards.threshold(GuardKind.CREATE, "groep", on=SUMMER).share == 2.0


def test_a_threshold_of_the_environment_goes_before_a_packaged_season_too(write: Write) -> None:
    env = {"KOPPELHUB_POLICY__GUARDS__CLOSE__SHARE": "0.1"}
    guards = Settings.load(write(), env=env).policy.guards
    assert guards.threshold(GuardKind.CLOSE, "leerling", on=SUMMER).share == 0.1


@pytest.mark.parametrize("said", ["close = 3", "close = { entities = 3 }", "seasons = 3"])
def test_guards_of_another_shape_are_refused_as_any(write: Write, said: str) -> None:
    assert "policy.guards" in refused(write(f"{BASE}\n[policy.guards]\n{said}"))
