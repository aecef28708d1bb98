"""Alerts in the store: told once, delivered at least once, nothing lost, whoever dies."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.alerts import Alerts
from config.clock import Clock
from config.settings import Settings
from connectors.errors import RequestRefusedError, SourceUnavailableError
from mappings.canonical.fields import Entity
from sync_engine.alerts import ledger, notices
from sync_engine.alerts.delivery import Delivered, deliver
from sync_engine.alerts.notices import Notice, NoticeState
from sync_engine.alerts.watch import Watched, watch, watch_and_tell
from sync_engine.condition import Problem, State, Trouble
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.schedule.duties import DUTIES, duty_of
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from sync_engine.store.work import Work
from tests.support.health import health_of
from tests.support.hookside import SECRET, hookside
from tests.support.hubs import Bench, bench
from tests.support.mailbox import mailbox
from tests.support.memory import MemorySource

DAY = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MAIL = {"name": "ops", "kind": "mail", "to": ["ops@school.example"]}
BASE: dict[str, Any] = {
    "settle": "0s",
    "group_from": 3,
    "give_up": "3d",
    "quiet": {"from": "22:00", "to": "07:00", "weekend": False, "critical": "pass"},
    "remind": {"warning": "24h", "critical": "4h"},
    "mail": {
        "host": "127.0.0.1",
        "port": 1,
        "security": "none",
        "timeout": "2s",
        "sender": "hub@hub.example",
    },
    "report": {"send": True, "day": "mon", "at": "07:30"},
    "channel": [MAIL],
}


@dataclass
class Desk:
    """A hub whose health a test sets, and what was sent of it.

    Attributes:
        troubles: koppeling → its troubles.
        out: ids that were sent, each time that they were.
        down: raised instead of sending.
    """

    bench: Bench
    troubles: dict[str, Sequence[str]] = field(default_factory=dict)
    hubs_own: list[Problem] = field(default_factory=list)
    out: list[Notice] = field(default_factory=list)
    down: Exception | None = None

    @property
    def hub(self) -> Hub:
        return self.bench.hub

    def configure(self, **over: Any) -> None:
        """Other settings of alerts."""
        alerts = Alerts.model_validate(BASE | over)
        settings = self.hub.settings.model_copy(update={"alerts": alerts})
        self.bench.hub = replace(self.hub, settings=settings)

    def look(self, *, later: timedelta = timedelta()) -> Watched:
        """One look, and what is due is sent."""
        self.bench.clock.advance(later)
        return watch_and_tell(self.hub, find=self.find, sender=self.send)

    def find(self, hub: Hub) -> Any:
        return health_of(hub.clock.now(), self.troubles, hub=self.hubs_own)

    def send(self, _: Settings, __: Clock, notice: Notice) -> str:
        if self.down is not None:
            raise self.down
        self.out.append(notice)
        return ""

    def told(self) -> list[str]:
        """Events that were sent, each once however often: `opened koppeling a`."""
        once = {notice.id: notice for notice in self.out}
        return [
            f"{event['kind']} {event['subject']}"
            for notice in once.values()
            for event in notice.document["events"]
        ]

    def listed(self) -> list[Notice]:
        with self.hub.store.work() as work:
            return notices.recent(work, limit=100, undelivered=False)


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[Desk]:
    made = bench(store, tmp_path)
    made.clock.set(DAY)
    found = Desk(made)
    found.configure()
    yield found
    made.close()


def test_an_incident_is_told_once_and_its_recovery_once(desk: Desk) -> None:
    desk.troubles = {"a": ("warning",)}
    assert desk.look().events == {"opened": 1}
    assert desk.look(later=5 * MINUTE).events == {}
    desk.troubles = {"a": ()}
    assert desk.look(later=5 * MINUTE).events == {"recovered": 1}
    desk.look(later=HOUR)
    assert desk.told() == ["opened koppeling a", "recovered koppeling a"]
    assert len(desk.out) == 2
    assert [notice.state for notice in desk.listed()] == [NoticeState.SENT] * 2


def test_what_comes_back_is_another_incident(desk: Desk) -> None:
    for troubles in (("warning",), (), ("warning",), ()):
        desk.troubles = {"a": troubles}
        desk.look(later=HOUR)
    assert desk.told() == ["opened koppeling a", "recovered koppeling a"] * 2
    with desk.hub.store.work() as work:
        assert len(ledger.ended(work, limit=10)) == 2
        assert ledger.going_on(work) == []


def test_an_incident_is_read_back_as_it_was_written(desk: Desk) -> None:
    desk.configure(settle="10m")
    desk.troubles = {"a": ("warning", "held"), "b": ("critical",)}
    down = Problem(Trouble.WORKERS, State.CRITICAL, "geen workers", "koppelhub health", DAY, 2)
    desk.hubs_own = [down]
    for minutes in (0, 10, 5):
        desk.look(later=minutes * MINUTE)
    with desk.hub.store.work() as work:
        before = ledger.going_on(work)
        desk.look()
        assert ledger.going_on(work) == before
    assert {(str(i.cause), i.subject, i.told) for i in before} == {
        ("reading", "koppeling a", State.WARNING),
        ("held", "koppeling a", State.WARNING),
        ("reading", "koppeling b", State.CRITICAL),
        ("installation", "hub", State.CRITICAL),
    }


def test_while_the_mail_server_is_down_nothing_is_lost_and_order_is_kept(desk: Desk) -> None:
    desk.down = SourceUnavailableError("SMTP send: ConnectionRefusedError")
    desk.troubles = {"a": ("warning",)}
    assert desk.look().delivered.waiting == 1
    desk.troubles = {"a": ()}
    assert desk.look(later=HOUR).delivered.waiting == 2
    assert [(n.state, n.error) for n in desk.listed()] == [
        (NoticeState.PENDING, ""),
        (NoticeState.PENDING, "SMTP send: ConnectionRefusedError"),
    ]
    desk.down = None
    desk.look(later=2 * HOUR)
    assert desk.told() == ["opened koppeling a", "recovered koppeling a"]
    assert len(desk.out) == 2


def test_attempts_come_less_and_less_often_and_are_given_up_visibly(desk: Desk) -> None:
    desk.down = SourceUnavailableError("SMTP send: TimeoutError")
    desk.troubles = {"a": ("warning",)}
    for _ in range(20):  # an hour
        desk.look(later=3 * MINUTE)
    (notice,) = desk.listed()
    assert 4 <= notice.attempts <= 6
    desk.look(later=timedelta(days=3))
    assert [n.state for n in desk.listed() if n.id == notice.id] == [NoticeState.FAILED]
    desk.down = None
    desk.look(later=HOUR)
    assert notice.id not in [n.id for n in desk.out]
    with desk.hub.store.work() as work, work.transaction():
        assert notices.try_again(work, desk.hub.clock.now()) == 1
    desk.look()
    assert notice.id in [n.id for n in desk.out]


def test_a_message_that_is_refused_holds_up_no_other(desk: Desk) -> None:
    desk.down = RequestRefusedError("POST alert: status 413", code="413")
    desk.troubles = {"a": ("warning",)}
    desk.look()
    desk.down = None
    desk.troubles = {"a": ("warning",), "b": ("warning",)}
    desk.look(later=timedelta(seconds=10))
    assert desk.told() == ["opened koppeling b"]
    desk.look(later=2 * MINUTE)
    assert desk.told() == ["opened koppeling b", "opened koppeling a"]


def test_a_channel_that_is_gone_drops_its_messages_and_says_so(desk: Desk) -> None:
    desk.down = SourceUnavailableError("SMTP send: TimeoutError")
    desk.troubles = {"a": ("warning",)}
    desk.look()
    desk.configure(channel=[MAIL | {"name": "other"}])
    deliver(desk.hub)  # the real sender: it asks the configuration
    desk.bench.clock.advance(HOUR)
    deliver(desk.hub)
    (notice,) = desk.listed()
    assert notice.state is NoticeState.DROPPED
    assert "ops" in notice.error


def test_incidents_of_a_rule_that_is_gone_end_without_a_word(desk: Desk) -> None:
    desk.troubles = {"a": ("warning",)}
    desk.look()
    desk.configure(rule=[{"name": "nieuw", "from": "critical"}])
    assert desk.look(later=HOUR).events == {}
    with desk.hub.store.work() as work:
        (over,) = ledger.ended(work, limit=10)
    assert str(over.ending) == "dropped"


def test_each_rule_tells_its_own_channels(desk: Desk) -> None:
    channels = [MAIL, MAIL | {"name": "baas"}]
    rules = [
        {"name": "alles", "channels": ["ops"]},
        {"name": "ernstig", "from": "critical", "channels": ["ops", "baas"]},
    ]
    desk.configure(channel=channels, rule=rules)
    desk.troubles = {"a": ("warning",), "b": ("critical",)}
    desk.look()
    told = sorted((n.channel, n.document["rule"], len(n.document["events"])) for n in desk.out)
    assert told == [("baas", "ernstig", 1), ("ops", "alles", 2), ("ops", "ernstig", 1)]


def test_old_incidents_and_messages_go_and_what_is_undelivered_stays(desk: Desk) -> None:
    for troubles in (("warning",), ()):
        desk.troubles = {"a": troubles}
        desk.look(later=HOUR)
    desk.down = SourceUnavailableError("SMTP send: TimeoutError")
    desk.troubles = {"b": ("warning",)}
    desk.look()
    desk.look(later=desk.hub.settings.policy.retention.run + HOUR)
    with desk.hub.store.work() as work:
        assert ledger.ended(work, limit=10) == []
    assert NoticeState.SENT not in {notice.state for notice in desk.listed()}
    assert NoticeState.FAILED in {notice.state for notice in desk.listed()}


def test_a_message_that_was_given_up_long_ago_hides_none_of_today(desk: Desk) -> None:
    desk.down = SourceUnavailableError("SMTP send: TimeoutError")
    for troubles in (("warning",), ()):
        desk.troubles = {"a": troubles}
        desk.look(later=timedelta(days=3))
    desk.look(later=desk.hub.settings.policy.retention.run + HOUR)
    assert [n.state for n in desk.listed()] == [NoticeState.FAILED] * 2
    desk.down = None
    desk.troubles = {"b": ("critical",)}
    desk.look()
    assert desk.told() == ["opened koppeling b"]


def test_another_process_that_looks_or_delivers_is_not_disturbed(desk: Desk) -> None:
    desk.troubles = {"a": ("warning",)}
    with lease(desk.hub.store, "alerts watch"), pytest.raises(RunActiveError):
        desk.look()
    with lease(desk.hub.store, "alerts deliver"), pytest.raises(RunActiveError):
        desk.look()
    assert desk.out == []
    desk.look()
    assert desk.told() == ["opened koppeling a"]


def test_two_processes_at_once_tell_one_thing_once(desk: Desk) -> None:
    desk.troubles = {"a": ("warning",)}
    gate = threading.Barrier(4)
    errors: list[BaseException] = []

    def process() -> None:
        gate.wait()
        for _ in range(5):
            try:
                desk.look()
            except RunActiveError:
                continue
            except BaseException as error:  # noqa: BLE001 - told by the test
                errors.append(error)

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.look()
    assert errors == []
    assert len(desk.out) == 1


# -- killed anywhere -------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Ends the process at the so-manieth statement or sending."""

    def __init__(self, patch: pytest.MonkeyPatch, desk: Desk) -> None:
        self.left: int | None = None
        with desk.hub.store.work() as any_work:
            kind = type(any_work)
        plain, send = kind.execute, desk.send

        def execute(work: Work, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
            self.burn(f"before {sql[:20]}", unless=sql.startswith("ROLLBACK"))
            done = plain(work, sql, params)
            self.burn(f"after {sql[:20]}", unless=sql.startswith(("ROLLBACK", "COMMIT")))
            return done

        def sending(settings: Settings, clock: Clock, notice: Notice) -> str:
            self.burn("before it is sent")
            told = send(settings, clock, notice)
            self.burn("after it is sent")
            return told

        patch.setattr(kind, "execute", execute)
        self.sender = sending

    def burn(self, _: str, *, unless: bool = False) -> None:
        if self.left is None or unless:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Killed


def test_killed_at_any_statement_each_event_is_told_and_none_twice_under_two_ids(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole story (opened, worse, over), killed once at every place in turn."""
    desk.configure(quiet=BASE["quiet"] | {"to": "22:00"})
    fuse = Fuse(monkeypatch, desk)
    story: list[Sequence[str]] = [("warning",), ("warning", "critical"), ()]
    stride = 3 if desk.hub.store.path is not None else 23  # of a slower database a few places
    place, killed = 0, True
    while killed:
        killed = False
        desk.out.clear()
        name = f"k{place}"
        fuse.left = place
        for troubles in story:
            desk.troubles = {name: troubles}
            desk.bench.clock.advance(HOUR)
            try:
                watch_and_tell(desk.hub, find=desk.find, sender=fuse.sender)
            except Killed:
                killed = True
                desk.bench.clock.advance(HOUR)
                watch_and_tell(desk.hub, find=desk.find, sender=fuse.sender)
        fuse.left = None
        desk.look(later=2 * HOUR)
        wanted = ["opened", "worsened", "recovered"]
        assert desk.told() == [f"{kind} koppeling {name}" for kind in wanted], place
        assert len(desk.out) <= 4, place
        place += stride
    assert place > 60


# -- the real ways out -----------------------------------------------------------------------------


def test_mail_and_webhook_say_the_same_and_each_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with mailbox() as box, hookside() as side:
        monkeypatch.setenv("HOOK_URL", side.url)
        hook = {"name": "chat", "kind": "webhook", "url": {"env": "HOOK_URL"}}
        desk.configure(
            mail=BASE["mail"] | {"port": box.port},
            channel=[MAIL, hook | {"secret": {"env": "HOOK_SECRET"}}],
        )
        web = desk.hub.settings.web.model_copy(update={"public_url": "https://hub.example"})
        settings = desk.hub.settings.model_copy(update={"web": web})
        desk.bench.hub = replace(desk.hub, settings=settings)
        desk.troubles = {"s0": ("warning",)}
        assert watch_and_tell(desk.hub, find=desk.find).delivered == Delivered(sent=2)
        assert watch_and_tell(desk.hub, find=desk.find).delivered == Delivered()
    ((addresses, letter),) = box.letters
    ((number, document),) = side.taken
    assert addresses == ["ops@school.example"]
    assert letter["Subject"] == f"[Koppelhub] {document['title']}"
    assert letter.get_content().replace("\r\n", "\n") == document["text"]
    assert "s0 (School): warning van s0" in document["text"]
    assert "https://hub.example\n" in document["text"]
    assert document["id"] == number
    assert number not in str(letter["Message-ID"])  # each channel has messages of its own
    assert document["events"][0]["signs"][0]["trouble"] == "failed"


def test_who_is_put_off_by_the_mail_server_gets_it_later_and_nobody_twice(desk: Desk) -> None:
    everybody = [f"{name}@school.example" for name in ("een", "twee", "drie")]
    with mailbox() as box:
        mail = BASE["mail"] | {"port": box.port}
        desk.configure(mail=mail, channel=[MAIL | {"to": everybody}])
        box.puts_off = set(everybody[1:])
        desk.troubles = {"a": ("warning",)}
        watch_and_tell(desk.hub, find=desk.find)
        (notice,) = desk.listed()
        assert (notice.state, notice.error) == (
            NoticeState.REFUSED,
            "mail: 2 of 3 addresses are to be tried again",
        )
        box.puts_off = {everybody[2]}
        for _ in range(2):
            desk.bench.clock.advance(5 * MINUTE)
            watch_and_tell(desk.hub, find=desk.find)
            box.puts_off = set()
        (notice,) = desk.listed()
        assert notice.state is NoticeState.SENT
    assert [to for to, _ in box.letters] == [[one] for one in everybody]
    assert len(set(box.ids)) == 1


def test_a_secret_that_is_not_there_is_told_and_the_message_waits(desk: Desk) -> None:
    hook = {"name": "chat", "kind": "webhook", "url": "https://chat.example/x"}
    desk.configure(channel=[hook | {"secret": {"env": "NIET_GEZET"}}])
    desk.troubles = {"a": ("warning",)}
    done = watch_and_tell(desk.hub, find=desk.find).delivered
    assert (done.sent, done.waiting) == (0, 1)
    assert "NIET_GEZET" in done.error


def test_personal_data_that_slipped_into_a_text_is_masked(desk: Desk) -> None:
    text = "mislukt bij 999999990, jan@thuis.example en 0612345678"
    desk.hubs_own = [Problem(Trouble.DATABASE, State.CRITICAL, text, "koppelhub health", None)]
    watch(desk.hub, find=desk.find)
    (notice,) = desk.listed()
    for secret in ("999999990", "jan@thuis", "0612345678"):
        assert secret not in str(notice)


# -- on the health of a real hub -------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 4])
def test_a_source_that_answers_nothing_or_half_is_told(
    store: Store, tmp_path: Path, left: int
) -> None:
    source = MemorySource((Entity.LEERLING,))
    made = bench(store, tmp_path, sources={"s0": source})
    made.clock.set(DAY)
    desk = Desk(made)
    desk.configure()
    for number in range(12):
        source.put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}")
    made.sync()
    assert watch_and_tell(desk.hub, sender=desk.send).going_on == 0
    for number in range(left, 12):
        source.remove(Entity.LEERLING, f"l{number}")
    made.later(1)
    made.sync()
    watch_and_tell(desk.hub, sender=desk.send)
    assert "opened koppeling s0" in desk.told()
    causes = {e["cause"] for notice in desk.out for e in notice.document["events"]}
    assert "short" in causes
    made.close()


def test_the_clock_looks_and_sends_by_itself(desk: Desk) -> None:
    assert {"alerts", "reports"} <= {duty.name for duty in DUTIES if duty.light}
    for name in ("alerts", "reports"):
        duty_of(name).carry_out(desk.hub)  # of s0 nothing was ever read; the mail server is down
    (notice,) = desk.listed()
    assert (notice.state, notice.attempts) == (NoticeState.PENDING, 1)
    assert "s0" in notice.title


# -- the page --------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"


def test_the_settings_on_the_page_load(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    path = tmp_path / "koppelhub.toml"
    path.write_text("\n".join(blocks), encoding="utf-8")
    alerts = Settings.load(path, env={}).alerts
    assert [rule.name for rule in alerts.rules()] == ["wachtdienst", "overdag"]


def test_every_key_of_the_document_is_on_the_page(desk: Desk) -> None:
    desk.troubles = {"a": ("warning",)}
    desk.look()
    document = desk.out[0].document
    (event,) = document["events"]
    page = PAGE.read_text("utf-8")
    names = [*document, *(f"events[].{key}" for key in event), *event["signs"][0]]
    assert [name for name in names if f"`{name}`" not in page] == []
