"""The weekly report of a school, and alerts, as they are typed and as they arrive."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.sandbox import faults
from tests.support.mailbox import Mailbox, mailbox
from tests.support.shell import Shell, paragraph

SCHOOL = "99XX"
CONTACT = "administratie@praktijkschool.example"


def broken(shell: Shell) -> None:
    """One pupil is not read, of another the ECK iD and of a third a name are left out."""
    line = shell.line
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    line.sandbox.misbehave(
        faults.WrongValue(path=path, at=1, field="achternaam", value=[1]),
        faults.WrongValue(path=path, at=2, field="roepnaam", value=42),
    )
    assert shell.sync().code == 1


def report(shell: Shell, *options: str) -> str:
    said = shell("report", "weekly", "--school", SCHOOL, *options)
    assert said.code == 0, said.err
    return said.out


@contextmanager
def with_mail(shell: Shell) -> Iterator[Mailbox]:
    """The installation with a mail server, a channel, and a contact of the school."""
    path = shell.line.folder / "koppelhub.toml"
    plain = path.read_text("utf-8")
    named = 'name = "Praktijkschool Het Voorbeeld"'
    assert named in plain
    with mailbox() as box:
        mail = (
            f'[alerts.mail]\nhost = "127.0.0.1"\nport = {box.port}\nsecurity = "none"\n'
            'sender = "hub@hub.example"\n[[alerts.channel]]\nname = "ops"\nkind = "mail"\n'
            'to = ["ops@hub.example"]\n'
            '[[alerts.rule]]\nname = "bron"\ntroubles = ["failed", "late", "never"]\n'
        )
        named_with = f'{named}\ncontact = "{CONTACT}"'
        path.write_text(plain.replace(named, named_with) + mail, encoding="utf-8")
        yield box


def persons(shell: Shell) -> set[str]:
    """What is of a person in this school: names, days of birth, numbers."""
    line = shell.line
    found = line.query("SELECT achternaam, geboortedatum FROM leerling")
    keys = line.query("SELECT source_key FROM link WHERE entity = 'leerling'")
    numbers = {str(number) for number in range(100_000, 112_000)}
    return {str(cell) for row in (*found, *keys) for cell in row if cell} | numbers


def test_a_school_is_told_in_counts_what_to_mend_and_nothing_of_a_person(quick: Shell) -> None:
    broken(quick)
    text = report(quick)
    data = quick("report", "weekly", "--school", SCHOOL, "--json").data
    assert (data["school"], data["name"]) == (SCHOOL, "Praktijkschool Het Voorbeeld")
    assert data["leerlingen"] == 39
    assert data["quarantined"] == 1
    fields = {(fault["field"], fault["rule"], fault["unread"]) for fault in data["faults"]}
    assert fields == {
        ("achternaam", "moet tekst zijn", True),
        ("roepnaam", "moet tekst zijn", False),
    }
    assert f"{data['without_eck_id']} leerlingen hebben er geen" in text
    assert "Niet leesbaar: 1 record." in text
    assert "laatst goed gelezen op 02-11-2026 02:15; op tijd" in text
    words = set(text.replace(",", " ").replace(":", " ").replace(".", " ").split())
    assert not words & persons(quick)


def test_the_counts_are_those_of_the_core(quick: Shell) -> None:
    broken(quick)
    data = quick("report", "weekly", "--school", SCHOOL, "--json").data
    (with_one,) = quick.line.query(
        "SELECT COUNT(*) FROM leerling c JOIN identificatie i ON i.eigenaar_id = c.id "
        "WHERE i.soort = 'eck_id'"
    )
    assert data["leerlingen"] - data["without_eck_id"] == with_one[0]


def test_the_file_has_the_numbers_of_the_source_and_no_name(quick: Shell, tmp_path: Path) -> None:
    broken(quick)
    path = tmp_path / "school.csv"
    assert "persoonsgegevens" in report(quick, "--csv", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    data = quick("report", "weekly", "--school", SCHOOL, "--json").data
    without = [row for row in rows if row["waarom"] == "geen ECK iD"]
    assert len(without) == data["without_eck_id"]
    for row in without[:3]:  # the number is that of the pupil, as the school knows it
        (told,) = quick("explain", "leerling", row["leerlingnummer"], "--json").data
        assert f"somtoday-demo/{row['bronrecord']}" in told["explanation"]["situation"]
    assert [row["veld"] for row in rows if row["waarom"] == "niet gelezen"] == ["achternaam"]
    names = {row[0] for row in quick.line.query("SELECT achternaam FROM leerling")}
    assert not names & set(text.replace(";", " ").split())
    noted = quick.line.query("SELECT subject, why FROM audit WHERE action = 'report weekly'")
    assert (f"school {SCHOOL}", "met de nummers van de bron") in noted


def test_the_contact_gets_it_once_a_week_whoever_asks(quick: Shell) -> None:
    broken(quick)
    with with_mail(quick) as box:
        assert "Verstuurd aan de school." in report(quick, "--send")
        assert "was deze week al verstuurd" in report(quick, "--send")
        quick.line.later(hours=7)  # Monday 09:15: the hub sends them by itself
        assert quick("alerts", "run").code == 0
        assert [addresses for addresses, _ in box.letters if CONTACT in addresses] == [[CONTACT]]
        quick.line.later(days=7)
        quick("alerts", "run")
        weekly = [message for addresses, message in box.letters if CONTACT in addresses]
    assert len(weekly) == 2
    assert str(weekly[0]["Subject"]).strip().startswith("[Koppelhub] Weekbericht Praktijkschool")
    assert not list(weekly[0].iter_attachments())
    words = set(weekly[0].get_content().replace(",", " ").split())
    assert not words & persons(quick)
    sent = quick.line.query("SELECT operator, subject, why FROM audit WHERE action = 'report send'")
    assert len(sent) == 2
    assert {row[1:] for row in sent} == {
        (f"school {SCHOOL}", "week 2026-W45"),
        (f"school {SCHOOL}", "week 2026-W46"),
    }


def test_without_a_contact_or_for_an_unknown_school_it_says_what_to_do(quick: Shell) -> None:
    quick.sync()
    said = quick("report", "weekly", "--school", SCHOOL, "--send")
    assert "contact" in paragraph(said)
    assert "99XX" in paragraph(quick("report", "weekly", "--school", "99XY"))


def test_a_source_that_is_down_is_told_and_its_recovery_too(quick: Shell) -> None:
    assert quick.sync().code == 0
    quick.line.later(hours=8)  # by day
    with with_mail(quick) as box:
        quick.line.sandbox.misbehave(faults.Unauthorized(count=None))
        assert quick.sync().code in {2, 75}
        quick("alerts", "run")
        quick.line.later(minutes=10)
        said = quick("alerts", "run", "--json").data
        assert said["events"] == {"opened": 1}
        listed = quick("alerts", "list")
        assert "somtoday-demo: de bron wordt niet of te laat gelezen" in listed.out
        assert "let op" in listed.out
        assert "niets meer sinds" not in listed.out
        quick.line.sandbox.behave()
        quick.line.later(hours=1)
        assert quick.sync().code == 0
        quick.line.later(minutes=10)
        quick("alerts", "run")
        assert "niets meer sinds" in quick("alerts", "list").out  # over, and not yet told so
        quick.line.later(minutes=10)
        quick("alerts", "run")
        subjects = [str(m["Subject"]).strip() for to, m in box.letters if to == ["ops@hub.example"]]
    assert len(subjects) == 2
    assert "somtoday-demo" in subjects[0]
    assert subjects[1].startswith("[Koppelhub] Hersteld: somtoday-demo")
    assert "Er is geen incident." in quick("alerts", "list").out
    told = quick("alerts", "list", "--all", "--json").data["notifications"]
    assert [one["state"] for one in told if one["kind"] == "alert"] == ["sent", "sent"]


def test_a_channel_is_tried_before_it_is_needed(quick: Shell) -> None:
    with with_mail(quick) as box:
        assert "Verstuurd naar ops." in quick("alerts", "test", "--channel", "ops").out
        assert "ops" in paragraph(quick("alerts", "test", "--channel", "opz"))
    assert "proefbericht" in box.texts[0]
    with pytest.raises(IndexError):
        _ = box.texts[1]
    said = quick("alerts", "test", "--channel", "ops")  # the server is gone
    assert said.code == 75
    assert "alerts.mail" in said.err


def test_the_doctor_sees_a_secret_that_is_not_there(quick: Shell) -> None:
    path = quick.line.folder / "koppelhub.toml"
    hook = 'name = "chat"\nkind = "webhook"\nurl = "https://chat.example/x"\n'
    secret = 'secret = { env = "KOPPELHUB_NIET_GEZET" }\n'
    plain = path.read_text("utf-8")
    assert "niemand wordt gewaarschuwd" in quick("doctor").out
    path.write_text(f"{plain}\n[[alerts.channel]]\n{hook}{secret}", encoding="utf-8")
    said = quick("doctor")
    assert said.code == 2
    assert "KOPPELHUB_NIET_GEZET" in said.out
