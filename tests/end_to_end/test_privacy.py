"""Nothing of a person leaves by a log, an error, a report or a table of the hub's own.

One story is played through the command line, with everything that may go wrong in it, at debug
level, with text logs and with JSON logs: a first load, a day of changes, misbehaviours, records in
quarantine, doubtful matches, held plans, refused logins, and errors injected deep in parsing,
mapping, planning and applying that carry a person's values in their texts. The canaries are what
the core holds afterwards: they were really processed. tests/support/canaries.py says in which forms
they are looked for, and which are too short or too common to count.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from sqlmodel import SQLModel

import cli
import config.clock
from config import logs
from connectors.somtoday.connector import SomtodayConnector
from fixtures.sandbox import faults
from fixtures.sandbox.messages import Exchange
from fixtures.school.changes import Changes
from fixtures.school.day import Day
from fixtures.school.plan import NARROW, Rights, plan_school
from mappings.canonical.fields import Entity
from mappings.somtoday import MAPPING
from sync_engine import planning
from sync_engine.plan import Planner
from tests.support.canaries import Canaries
from tests.support.coredump import core_dump
from tests.support.lines import KOPPELING, SECRET, Line, new_line
from tests.support.postgres import PostgresServer

PGN = """
[[source.pgn]]
purpose = "rod"
legal_basis = "WVO 2020, artikel 8.1"
agreed_on = 2026-08-01
"""
# What the source sends in a place where it does not belong; it must not be shown either.
STRAY: dict[str, str | dict[str, object]] = {
    "achternaam": {"naam": "Kanarievogel-Zonderling"},
    "geboortedatum": "31-02-2011-Kanariedag",
    "eckid": "https://ketenid.nl/pilot/kanarie-0123456789abcdef",
    "BSN": "123456780",
    "emailadres": "geen adres: kanarie-zonder-apenstaart",
}
OPEN_RIGHTS = Rights({"leerlingen": frozenset({"bankgegevens"})})
CORE = frozenset(map(str, Entity)) | {
    "contactgegeven",
    "adres",
    "groepsdeelname",
    "identificatie",
}
LOUD = ("sqlalchemy", "sqlalchemy.engine", "httpx", "httpcore", "psycopg", "asyncio", "koppelhub")


@dataclass
class Spoken:
    """What one command said."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def shows_persons(self) -> bool:
        """Whether showing persons is what the command is for."""
        return self.arguments[0] == "explain" or self.arguments[:2] == ("plan", "show")


@dataclass
class Story:
    """Everything that was said, and what was processed."""

    line: Line
    said: list[Spoken] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def tell(self, *arguments: str) -> Spoken:
        """One command of the installation, as `koppelhub` runs it, at debug level."""
        given = list(arguments)
        if arguments[0] not in {"init", "exit-codes"} and arguments != ("connectors",):
            given += ["--config", str(self.line.folder / "koppelhub.toml")]
            if arguments[0] not in {"doctor", "db"}:
                given.append("--debug")
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = cli._main(given)
        self.said.append(Spoken(arguments, code, out.getvalue(), err.getvalue()))
        return self.said[-1]

    def canaries(self) -> Canaries:
        """Every value of a person in the core, and every secret."""
        dump = core_dump(self.line.hub)
        names = {"leerling": (4, 6, 7, 10, 11, 15), "medewerker": (4, 6, 10, 13)}
        names |= {"verzorger": (4, 7, 9), "contactgegeven": (2,), "adres": (2, 5, 6)}
        found = {
            str(row[place])
            for table, places in names.items()
            for row in dump[table]
            for place in places
            if row[place] is not None
        }
        found |= {value.decode() for _, _, value in dump["identificatie"]}
        found |= self.secrets | _leaves(STRAY)
        public = [row[4] for table in ("vestiging", "instelling") for row in dump[table]]
        return Canaries(found, [*public, *_vocabulary(dump)])


def _leaves(value: object) -> set[str]:
    if isinstance(value, dict):
        return {leaf for item in value.values() for leaf in _leaves(item)}
    return {str(value)}


def _vocabulary(dump: dict[str, set[tuple[Any, ...]]]) -> Iterator[str]:
    """Names of what is no person: a vak may be called as somebody is."""
    for table in ("vak", "opleiding", "groep"):
        yield from (str(row[4]) for row in dump[table])


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """The whole story, played once per database."""
    url, drop = None, None
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        drop = server.create(upgraded=True)
        url = server.url(drop)
    folder = tmp_path_factory.mktemp("privacy") / "hub"
    plan = plan_school(44, rights=(OPEN_RIGHTS, NARROW))
    more = PGN
    line = new_line(folder, plan=plan, url=url)
    text = (folder / "koppelhub.toml").read_text(encoding="utf-8")
    text = text.replace("# Which koppeling is believed", more + "\n# Which koppeling is believed")
    (folder / "koppelhub.toml").write_text(text, encoding="utf-8")
    told = Story(line)
    with pytest.MonkeyPatch.context() as patch, line:
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        patch.setattr(config.clock, "SystemClock", lambda: line.clock)
        line.sandbox.observer = lambda exchange: _note_token(told, exchange)
        told.secrets.add(line.sandbox.credentials.client_secret.strip())
        with _echoing(patch):
            _play(told, patch)
        yield told
    if drop is not None:
        server.drop(drop)


def _note_token(story: Story, exchange: Exchange) -> None:
    if exchange.path.endswith("/token") and exchange.status == 200:
        story.secrets.add(json.loads(exchange.body)["access_token"])


@contextmanager
def _echoing(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Libraries log all they can, SQL too, whatever the command line asks of them."""
    setup = logs.setup

    def loud(**options: Any) -> None:
        setup(**options)
        for name in LOUD:
            logging.getLogger(name).setLevel(logging.DEBUG)

    patch.setattr(logs, "setup", loud)
    yield
    logs.reset()
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.NOTSET)


def _play(story: Story, patch: pytest.MonkeyPatch) -> None:
    """All of it on SQLite; on PostgreSQL what differs there: its driver quotes whole rows."""
    on_postgres = story.line.hub.store.path is None
    patch.setenv("KOPPELHUB_LOGGING__FORMAT", "text")
    if not on_postgres:
        for command in (["exit-codes"], ["connectors"], ["doctor"], ["connectors", "check"]):
            story.tell(*command)
        _sync(story, "--dry-run")
    _sync(story)
    patch.setenv("KOPPELHUB_LOGGING__FORMAT", "json")
    _a_day(story)
    _sync(story, "--plan")
    _look(story)
    _injected(story, patch)
    patch.setenv("KOPPELHUB_LOGGING__FORMAT", "text")
    _refused_by_the_database(story)
    if not on_postgres:
        _misbehave(story)
        _injected(story, patch)
        _doubt(story)
        _hold(story)
        _look(story)
    patch.setenv(SECRET, "een verkeerd geheim")
    story.secrets.add("een verkeerd geheim")
    _sync(story)
    story.tell("connectors", "check")
    story.tell("doctor")


def _sync(story: Story, *options: str) -> Spoken:
    return story.tell("sync", "--source", KOPPELING, *options)


def _a_day(story: Story, seed: int = 0) -> None:
    Day(story.line.school, seed).one_day()
    story.line.later(days=1)


def _look(story: Story) -> None:
    """Every command that reads, with and without JSON."""
    runs_ = story.line.query("SELECT MAX(id) FROM run")[0][0]
    plan = story.line.query("SELECT MAX(id) FROM plan")[0][0]
    number = story.line.query("SELECT gebruikersnaam FROM leerling ORDER BY id")[0][0]
    for json_ in ((), ("--json",)):
        story.tell("runs", *json_)
        story.tell("run", "show", str(runs_), *json_)
        story.tell("plan", "show", str(plan), *json_)
        story.tell("explain", "leerling", str(number), *json_)
        story.tell("doctor", *json_)
    story.tell("explain", "leerling", "bestaat niet")
    _sync(story, "--only", str(number))
    _sync(story, "--only", str(number), "--json")
    name = story.line.query("SELECT achternaam FROM leerling ORDER BY LENGTH(achternaam)")[-1][0]
    _sync(story, "--only", str(name))  # what a person types by mistake is not kept either


def _misbehave(story: Story) -> None:
    """Records with values where they do not belong, and answers that cannot be read."""
    line = story.line
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    for name, value in STRAY.items():
        line.sandbox.misbehave(faults.WrongValue(path=path, at=2, field=name, value=value))
        _sync(story)
        story.tell("run", "show", str(line.query("SELECT MAX(id) FROM run")[0][0]))
    for fault in (
        faults.UnknownField(path=path, field="Kanarievogel-Zonderling woont hier", value="x"),
        faults.TruncatedJson(path=path),
        faults.NotJson(path=path),
        faults.DuplicateRecord(path=path, count=None),
        faults.MissingField(path=path, at=1),
        faults.Unauthorized(path=path, count=None),
        faults.Redirect(path=path),
        faults.ServerError(path=path, count=None),
    ):
        line.sandbox.misbehave(fault)
        _sync(story)
        line.sandbox.behave()
        line.later(hours=1)


def _doubt(story: Story) -> None:
    """A pupil with the BSN of one and the ECK iD of another: a case for a person."""
    line = story.line
    known = sorted(core_dump(line.hub)["identificatie"])
    bsn = next(value for _, kind, value in known if kind == "bsn")
    eckid = next(value for _, kind, value in reversed(known) if kind == "eck_id")
    changes = Changes(line.school)
    twin = line.school.uuid_of("leerling", changes.arrive(0, 0))
    changes.patch(twin, BSN=bsn.decode(), eckid=eckid.decode())
    line.later(days=1)
    _sync(story)


def _hold(story: Story) -> None:
    """More closings than may go by themselves, held and then approved."""
    line = story.line
    changes = Changes(line.school)
    for position in range(3, 10):
        changes.set_shown("leerling", 0, position=position, shown=False)
        changes.set_shown("leerling", 1, position=position, shown=False)
    for _ in range(2):
        line.later(hours=8)
        _sync(story)
    held = str(line.query("SELECT MAX(id) FROM plan")[0][0])
    story.tell("plan", "approve", held, "--yes")


def _refused_by_the_database(story: Story) -> None:
    """A driver that quotes the row that it refuses, in its message or its details."""
    line = story.line
    if line.hub.store.path is None:
        made = "ALTER TABLE leerling ADD CONSTRAINT kanarie CHECK (achternaam = '') NOT VALID"
        undone = "ALTER TABLE leerling DROP CONSTRAINT kanarie"
    else:
        made = (
            "CREATE TRIGGER kanarie BEFORE INSERT ON leerling "
            "BEGIN SELECT json('{' || NEW.achternaam); END"
        )
        undone = "DROP TRIGGER kanarie"
    line.query(made)
    _a_day(story, seed=5)
    _sync(story)
    line.query(undone)
    _sync(story)


def _injected(story: Story, patch: pytest.MonkeyPatch) -> None:
    """Errors of our own making, deep in each step, with a person's values in their texts."""
    _a_day(story, seed=len(story.said))
    names = [row[0] for row in story.line.query("SELECT achternaam FROM leerling")]

    def quote_body(_self: object, _resource: str, body: bytes) -> NoReturn:
        raise ValueError(body.decode()) from KeyError(body)

    def warn_of_body(_self: object, _resource: str, body: bytes) -> NoReturn:
        warnings.warn(body.decode(), UserWarning, stacklevel=1)
        raise UnicodeDecodeError("utf-8", body, 0, 1, body.decode())

    def quote_record(*_: object, **given: object) -> NoReturn:
        error = LookupError([*map(repr, _), *given.values(), *names])
        error.add_note(", ".join(names))
        raise error

    def quote_names(*_: object, **__: object) -> NoReturn:
        raise ExceptionGroup(names[0], [ValueError(name) for name in names])

    def refuse(_self: object, request: httpx.Request, **_: object) -> NoReturn:
        raise httpx.ConnectError(f"{request.url} {request.headers} {names}", request=request)

    places: list[tuple[object, str, Callable[..., NoReturn]]] = [
        (SomtodayConnector, "parse", quote_body),
        (SomtodayConnector, "parse", warn_of_body),
        (type(MAPPING), "map", quote_record),
        (Planner, "plan", quote_names),
        (planning, "apply", quote_names),
        (httpx.Client, "send", refuse),
    ]
    for owner, name, raising in places:
        with patch.context() as injected, _hooks():
            injected.setattr(owner, name, raising)
            assert _sync(story).code in {1, 2, 75}
    _sync(story)


@contextmanager
def _hooks() -> Iterator[None]:
    """The hooks of the command itself, which pytest has its own of."""
    kept = sys.excepthook, threading.excepthook, sys.unraisablehook
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.install_excepthook()
        yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = kept


# -- what the story was ----------------------------------------------------------------------


def test_the_story_had_everything_in_it(story: Story) -> None:
    line = story.line
    errors = "".join(spoken.err for spoken in story.said)
    for shown in ("ValueError", "LookupError", "ExceptionGroup", "StoreError", "ConnectError"):
        assert shown in errors, shown
    assert "DEBUG" in errors
    assert '"level":"DEBUG"' in errors
    assert {spoken.code for spoken in story.said} >= {0, 1, 2, 3, 75}
    if line.hub.store.path is not None:
        states = {row[0] for row in line.query("SELECT state FROM run")}
        assert {"done", "partial", "held", "failed"} <= states
        assert line.query("SELECT 1 FROM zaak")
        kinds = {row[0] for row in line.query("SELECT kind FROM event")}
        assert {"schema drift", "dropped field"} <= kinds


def test_the_canaries_were_really_processed(story: Story) -> None:
    values = story.canaries().values
    assert len(values) > 400
    bsns = {value for value in values if value.isdigit() and len(value) == 9}
    assert len(bsns) > 20
    assert any(value.startswith("https://ketenid.nl") for value in values)
    assert any("@" in value for value in values)
    assert sum(value.count("-") == 2 and len(value) == 10 for value in values) > 20
    shown = "".join(spoken.out for spoken in story.said if spoken.shows_persons)
    assert len(story.canaries().found_in(shown)) > 20  # the search finds what is there


# -- where nothing of them may stand ---------------------------------------------------------


def test_no_command_shows_persons_but_those_that_are_for_it(story: Story) -> None:
    canaries = story.canaries()
    for spoken in story.said:
        if not spoken.shows_persons:
            given = {a for a in spoken.arguments if a in canaries.values}
            assert set(canaries.found_in(spoken.out)) - given == set(), spoken.arguments


def test_no_log_warning_or_traceback_holds_anything_of_a_person(story: Story) -> None:
    canaries = story.canaries()
    for spoken in story.said:
        assert canaries.found_in(spoken.err) == [], spoken.arguments


def test_no_table_of_the_hub_itself_holds_anything_of_a_person(story: Story) -> None:
    canaries = story.canaries()
    for name in SQLModel.metadata.tables:
        if name in CORE:
            continue
        text = "\n".join(
            cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)
            for row in story.line.query(f'SELECT * FROM "{name}"')
            for cell in row
        )
        assert canaries.found_in(text) == [], name


def test_no_file_name_holds_anything_of_a_person(story: Story) -> None:
    names = "\n".join(path.name for path in story.line.folder.rglob("*"))
    assert "koppelhub.toml" in names
    assert story.canaries().found_in(names) == []


def test_the_bytes_of_the_database_hold_no_number_no_raw_record_and_no_secret(
    story: Story,
) -> None:
    path = story.line.hub.store.path
    if path is None:
        tables = ("identificatie", "raw_payload", "shadow", "step", "quarantine", "match_key")
        data = b"".join(
            cell if isinstance(cell, bytes) else str(cell).encode()
            for table in tables
            for row in story.line.query(f"SELECT * FROM {table}")
            for cell in row
        )
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        data = b"".join(
            file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.is_file()
        )
    numbers = {value for *_, value in core_dump(story.line.hub)["identificatie"]}
    special = {n for n in numbers if n.startswith(b"https://") or len(n) == 9}
    assert len(special) > 20
    leaked = [n for n in special if n in data or n.lower() in data]
    assert leaked == []
    for secret in story.secrets:
        assert secret.encode() not in data
    for name in (b'"achternaam"', b'"geboortedatum"', b'"plaatsingen"', b'"leerlingnummer"'):
        assert name + b':"' not in data  # a raw record
        assert name + b":[" not in data  # a journal value


def test_the_process_list_shows_no_person_and_no_secret(story: Story, tmp_path: Path) -> None:
    line = story.line
    line.sandbox.behave()
    line.sandbox.misbehave(faults.Hang())
    environment = {**os.environ, SECRET: line.sandbox.credentials.client_secret}
    command = [sys.executable, "-m", "cli", "sync", "--source", KOPPELING, "--debug"]
    command += ["--config", str(line.folder / "koppelhub.toml")]
    asked = len(line.sandbox.requests)
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environment,
        cwd=Path(cli.__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_for(lambda: len(line.sandbox.requests) > asked or process.poll() is not None)
        shown = b"\n".join(
            path.read_bytes().replace(b"\0", b" ")
            for path in Path("/proc").glob(f"{process.pid}/task/*/comm")
        )
        shown += Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ")
    finally:
        line.sandbox.release()
        process.kill()
        process.communicate()
    assert b"sync" in shown
    assert story.canaries().found_in(shown.decode()) == []


def _wait_for(condition: Callable[[], bool]) -> None:
    ready = threading.Event()
    for _ in range(600):
        if condition():
            return
        ready.wait(0.02)
    pytest.fail("it did not come in time")
