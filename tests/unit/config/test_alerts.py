"""What the configuration may say of alerts, and when it is quiet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.alerts import Alerts, Level, Quiet
from config.errors import ConfigurationError
from config.settings import Settings

TENANT = '[[tenant]]\nname = "bestuur"\ntitle = "B"\nschool = [{ brin = "99XX", name = "S" }]\n'
MAIL = '[alerts.mail]\nhost = "mail.example"\nsender = "hub@hub.example"\n'
OPS = '[[alerts.channel]]\nname = "ops"\nkind = "mail"\nto = ["ops@school.example"]\n'
HOOK = (
    '[[alerts.channel]]\nname = "chat"\nkind = "webhook"\nurl = "https://chat.example/x?y=z"\n'
    'secret = { env = "CHAT" }\n'
)


def load(folder: Path, *parts: str) -> Alerts:
    path = folder / "koppelhub.toml"
    path.write_text(TENANT + "\n".join(parts), encoding="utf-8")
    return Settings.load(path, env={}).alerts


def test_without_a_channel_nobody_is_told_and_one_rule_holds(tmp_path: Path) -> None:
    alerts = load(tmp_path)
    (rule,) = alerts.rules()
    assert (rule.troubles, rule.tenants, rule.least) == (None, None, Level.WARNING)
    assert alerts.channels_of(rule) == ()
    assert alerts.remind_after(rule, Level.CRITICAL) == timedelta(hours=4)


def test_rules_name_troubles_tenants_channels_and_reminders(tmp_path: Path) -> None:
    rule = (
        '[[alerts.rule]]\nname = "nacht"\nfrom = "critical"\ntroubles = ["late", "held"]\n'
        'tenants = ["bestuur"]\nchannels = ["chat"]\ncritical = "wait"\n'
        'remind = { critical = "0s" }\n'
    )
    alerts = load(tmp_path, MAIL, OPS, HOOK, rule)
    (made,) = alerts.rules()
    assert alerts.channels_of(made) == ("chat",)
    assert alerts.remind_after(made, Level.CRITICAL) == timedelta()
    assert alerts.remind_after(made, Level.WARNING) == timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (OPS, "alerts: mail.host: is required where a channel is of kind mail"),
        (MAIL + OPS.replace("ops@", "ops\\r\\nBcc: x@"), "alerts.channel[ops].to"),
        (MAIL + OPS + 'secret = { env = "X" }\n', "secret: is for a webhook"),
        (HOOK.replace("https://chat", "http://chat"), "alerts.channel[chat].url"),
        (HOOK.replace("https://chat", "https://jan:pw@chat"), "holds a secret"),
        (HOOK.replace('secret = { env = "CHAT" }', ""), "secret: is required of a webhook"),
        (HOOK.replace('secret = { env = "CHAT" }', 'secret = "abc"'), "holds a secret"),
        ('[[alerts.rule]]\nname = "r"\ntroubles = ["laat"]\n', "alerts.rule[r].troubles"),
        ('[[alerts.rule]]\nname = "r"\ntenants = ["ander"]\n', "alerts.rule[r].tenants"),
        ('[[alerts.rule]]\nname = "r"\nchannels = ["ander"]\n', "alerts: rule[r].channels"),
        ('[alerts.quiet]\nfrom = "24:00"\n', "alerts.quiet.from"),
        (MAIL + 'security = "none"\n', "security: none is for a server on this machine only"),
        (MAIL + 'user = "hub"\n', "user and password go together"),
        ('[alerts.mail]\nhost = "mail.example"\n', "sender: is required"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("local", "quiet"),
    [
        ("2026-11-27T21:59", False),
        ("2026-11-27T22:00", True),
        ("2026-11-28T06:59", True),
        ("2026-11-30T07:00", False),
        ("2026-11-28T12:00", True),  # a Saturday
        ("2026-07-01T21:59", False),
        ("2026-07-01T22:00", True),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(local: str, *, quiet: bool) -> None:
    hours = Quiet.model_validate(
        {"from": "22:00", "to": "07:00", "weekend": True, "critical": "pass"}
    )
    away = 2 if local[5:7] == "07" else 1
    now = datetime.fromisoformat(local).replace(tzinfo=UTC) - timedelta(hours=away)
    assert hours.at(now, "Europe/Amsterdam") is quiet


def test_equal_ends_are_no_quiet_hours() -> None:
    hours = Quiet.model_validate(
        {"from": "07:00", "to": "07:00", "weekend": False, "critical": "wait"}
    )
    assert not any(
        hours.at(datetime(2026, 11, 27, hour, tzinfo=UTC), "Europe/Amsterdam") for hour in range(24)
    )
