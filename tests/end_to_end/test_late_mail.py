"""A koppeling that is late is told by mail, once, and so is that it is read again: all of it real.

Planner, duties, runs, health, watch and mail are those of `koppelhub serve`; the administration and
the mail server are on sockets of this machine. Only the time is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.sandbox.somtoday import SomtodaySandbox
from sync_engine.schedule.heartbeat import Heartbeat, ProcessKind
from sync_engine.schedule.planner import Planner
from tests.support.clockwork import Hands
from tests.support.lines import KOPPELING, SECRET, Line, new_line
from tests.support.mailbox import Mailbox, mailbox

EVENING = datetime(2026, 11, 2, 19, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


@pytest.fixture
def line(tmp_path: Path, box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    more = (
        f'\n[alerts.mail]\nhost = "127.0.0.1"\nport = {box.port}\nsecurity = "none"\n'
        'sender = "hub@hub.example"\n[[alerts.channel]]\nname = "ops"\nkind = "mail"\n'
        'to = ["ops@school.example"]\n[scheduling]\njitter = "0s"\n'
    )
    monkeypatch.setenv(SECRET, "set below")
    made = new_line(tmp_path, pupils=4, more=more)
    monkeypatch.setenv(SECRET, made.sandbox.credentials.client_secret)
    made.clock.set(EVENING)
    yield made
    made.close()


class Serving:
    """What `koppelhub serve` does beside its pages, hour by hour."""

    def __init__(self, line: Line) -> None:
        self.line, self.hands, self.light = line, Hands(), Hands()
        self.planner = Planner(line.hub, self.hands, light=self.light)
        self.heart = Heartbeat(line.hub.store, line.clock, kind=ProcessKind.SERVE, label="serve")

    def until(self, day: int, hour: int) -> None:
        """Let the hours go by until that one, of UTC."""
        end = datetime(2026, 11, day, hour, tzinfo=UTC)
        while self.line.clock.now() < end:
            self.line.clock.advance(HOUR)
            self.heart.beat()
            self.planner.tick()
            self.hands.work(self.line.hub)
            self.light.work(self.line.hub)


def late(line: Line) -> bool:
    """Whether the run of this night was not a good one."""
    return bool(line.query("SELECT state FROM run ORDER BY id DESC LIMIT 1")[0][0] == "failed")


def test_a_source_that_is_down_is_one_mail_and_another_when_it_is_back(
    line: Line, box: Mailbox
) -> None:
    line.sync()
    serving = Serving(line)
    serving.until(3, 6)
    assert line.query("SELECT DISTINCT state FROM run") == [("done",)]
    assert box.texts == []
    port = int(line.sandbox.api_base.split(":")[2].partition("/")[0])
    line.sandbox.stop()
    serving.until(4, 20)  # the night went by without it, and all that is tried after it
    assert late(line)
    (letter,) = box.letters
    to, message = letter
    assert to == ["ops@school.example"]
    assert KOPPELING in box.texts[0]
    assert "laat" in box.texts[0]
    again = SomtodaySandbox(line.school, credentials=line.sandbox.credentials, port=port)
    line.sandbox = again.start()
    again.now = line.clock.now
    serving.until(5, 12)
    assert not late(line)
    assert len(box.letters) == 2
    assert str(box.letters[1][1]["Subject"]) != str(message["Subject"])
    assert KOPPELING in box.texts[1]
    serving.until(6, 12)
    assert len(set(box.ids)) == len(box.ids) == 2
