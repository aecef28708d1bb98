"""Logs: context on every line, and canaries that never come out, whoever logs them."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from config import logs
from config.errors import ConfigurationError
from sector.identifiers import Bsn

NUMBER = "999990019"
CANARY = "Jansen-Canarie"
own = logging.getLogger("connectors.test")
other = logging.getLogger("library.of.others")


@dataclass
class Person:
    """A value with a telling repr."""

    naam: str = CANARY


class Log:
    """What was written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    """JSON at debug level."""
    written = Log()
    logs.setup(json=True, level=logging.DEBUG, stream=written.stream)
    yield written
    logs.reset()


@pytest.fixture
def text_log() -> Iterator[Log]:
    """Text at info level."""
    written = Log()
    logs.setup(stream=written.stream)
    yield written
    logs.reset()


def test_every_line_has_the_context(log: Log) -> None:
    with logs.bound(run_id="r1", koppeling="som"):
        own.info("one")
        with logs.bound(entity="leerling", koppeling=None):
            own.info("two")
        own.info("three")
    own.info("four")
    shown = [(line["run_id"], line["koppeling"], line["entity"]) for line in log.lines]
    assert shown == [
        ("r1", "som", None),
        ("r1", None, "leerling"),
        ("r1", "som", None),
        (None, None, None),
    ]


def test_the_context_can_be_taken_into_a_thread(log: Log) -> None:
    def work(fields: dict[str, str]) -> None:
        own.info("without")
        with logs.bound(**fields):
            own.info("with")

    with logs.bound(run_id="r1"):
        thread = threading.Thread(target=work, args=(logs.current(),))
        thread.start()
        thread.join()
    assert [line["run_id"] for line in log.lines] == [None, "r1"]


def test_a_json_line_is_whole(log: Log) -> None:
    own.warning("read %d of %s\npages", 3, "som", extra={"size_bytes": 12, "person": Person()})
    [line] = log.lines
    assert line["level"] == "WARNING"
    assert line["logger"] == "connectors.test"
    assert line["message"] == "read 3 of som\npages"
    assert line["size_bytes"] == 12
    assert line["person"] == "<Person>"
    assert line["time"].endswith("+00:00")


def test_a_text_line_is_one_line_with_the_run(text_log: Log) -> None:
    own.debug("not shown")
    with logs.bound(run_id="r1"):
        own.info("first\nsecond", extra={"count": 3})
        own.error("failed", exc_info=ConfigurationError("keys.file: is missing"))
    first, second = text_log.text.splitlines()
    assert (
        "INFO     connectors.test: first\\nsecond [run_id=r1 koppeling=- entity=- count=3]" in first
    )
    assert "run_id=r1" in second
    assert "ConfigurationError: keys.file: is missing" in second


@pytest.mark.parametrize("logger", [own, other])
def test_arguments_show_nothing_personal(log: Log, logger: logging.Logger) -> None:
    logger.info("%s %r %s", Person(), {"naam": CANARY}, Bsn(NUMBER))
    logger.info("%(a)s %(b)s", {"a": Person(), "b": NUMBER})
    logger.info("%s %s", NUMBER, int(NUMBER))
    logger.info("jan@school.example %s", f"https://api.example/x?naam={CANARY}")
    logger.info("%s", ValueError(CANARY))
    logger.info(Person())
    logger.info("number %d", CANARY)
    logger.info("%s %s", CANARY.encode())
    assert len(log.lines) == 8
    assert CANARY not in log.text
    assert NUMBER not in log.text
    assert "jan@" not in log.text


def test_of_another_library_only_numbers_are_shown(log: Log) -> None:
    other.warning("retry %d of %s", 3, CANARY)
    own.warning("scope %s", "leerling/HUIDIG")
    assert [line["message"] for line in log.lines] == ["retry 3 of …", "scope leerling/HUIDIG"]


@pytest.mark.parametrize("name", ["httpcore.http11", "sqlalchemy.engine.Engine", "asyncio", "zeep"])
def test_libraries_that_log_content_are_muted_even_when_made_to_talk(log: Log, name: str) -> None:
    logger = logging.getLogger(name)
    logger.info(f"body {CANARY}")  # noqa: G004 - as these libraries do
    assert log.text == ""
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        logger.debug(f"body {CANARY}")  # noqa: G004 - as these libraries do
    finally:
        logger.setLevel(level)
    assert log.lines[0]["message"].startswith("(not shown")


def test_a_real_request_at_debug_level_shows_no_query(log: Log) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"naam": CANARY}))
    with httpx.Client(transport=transport) as client:
        client.get("https://api.example/leerling", params={"naam": CANARY})
    assert CANARY not in log.text


def test_an_exception_shows_its_chain_without_values(log: Log) -> None:
    try:
        try:
            int(CANARY)
        except ValueError as exc:
            raise ConfigurationError("source: is wrong") from exc
    except ConfigurationError:
        own.exception("run failed for %s", NUMBER)
    [line] = log.lines
    assert [error["class"] for error in line["error"]] == [
        "config.errors.ConfigurationError",
        "ValueError",
    ]
    assert line["error"][0]["message"] == "source: is wrong"
    assert line["error"][0]["advice"]
    assert CANARY not in log.text
    assert NUMBER not in log.text


def test_handlers_of_others_see_no_more_than_ours(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = io.StringIO()
    handler = logging.StreamHandler(theirs)
    own.addHandler(handler)
    try:
        int(CANARY)
    except ValueError:
        own.exception("failed on %s", Person(), stack_info=True)
    finally:
        own.removeHandler(handler)
    assert "failed on <Person>" in theirs.getvalue()
    assert "ValueError" in theirs.getvalue()
    assert CANARY not in theirs.getvalue() + caplog.text
    assert all(record.args is None and record.exc_info is None for record in caplog.records)


def test_a_record_from_elsewhere_is_redacted_too(log: Log) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s %s", (NUMBER, CANARY), None)
    logging.getLogger().handle(record)
    logging.getLogger().handle(
        logging.makeLogRecord({"msg": f"mail jan@school.example {NUMBER}", "levelno": logging.INFO})
    )
    assert len(log.lines) == 2
    assert CANARY not in log.text
    assert NUMBER not in log.text


def test_a_line_that_cannot_be_written_shows_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    logs.setup(stream=stream)
    stream.close()
    try:
        own.error("lost %s", "leerling")
    finally:
        logs.reset()
    assert capsys.readouterr().err == "a log line of connectors.test was lost: ValueError\n"


def test_standard_error_is_found_when_a_line_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.setup()
    try:
        own.info("hallo")
    finally:
        logs.reset()
    assert "connectors.test: hallo" in capsys.readouterr().err


def test_setting_up_twice_writes_once_and_reset_takes_it_back(log: Log) -> None:
    again = io.StringIO()
    logs.setup(json=True, stream=again)
    own.info("once")
    assert log.text == ""
    assert again.getvalue().count("once") == 1
    logs.reset()
    assert logging.getLogRecordFactory() is logging.LogRecord
    assert logging.getLogger("httpx").level == logging.NOTSET


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our hooks, for one test."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    logs.install_excepthook()


@pytest.mark.usefixtures("hooks")
def test_an_uncaught_exception_is_logged_without_values(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        int(CANARY)
    except ValueError as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
    assert log.lines[0]["level"] == "CRITICAL"
    assert log.lines[0]["error"][0]["class"] == "ValueError"
    assert CANARY not in log.text + capsys.readouterr().err


@pytest.mark.usefixtures("hooks")
def test_an_uncaught_exception_of_a_thread_is_logged_without_values(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(error: BaseException) -> None:
        raise error

    for error in (ValueError(CANARY), SystemExit(CANARY)):
        thread = threading.Thread(target=fails, args=(error,), name=CANARY)
        thread.start()
        thread.join()
    assert [line["error"][0]["class"] for line in log.lines] == ["ValueError"]
    assert CANARY not in log.text + capsys.readouterr().err


class Falls:
    """An object that fails where nothing can be raised."""

    def __repr__(self) -> str:
        return CANARY

    def __del__(self) -> None:
        raise ValueError(CANARY)


@pytest.mark.usefixtures("hooks")
def test_an_exception_in_a_finaliser_is_logged_without_values(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    falls = Falls()
    del falls
    assert log.lines[0]["error"][0]["class"] == "ValueError"
    assert CANARY not in log.text + capsys.readouterr().err


@pytest.mark.usefixtures("hooks")
def test_a_warning_is_logged_as_its_kind_and_place(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    warnings.showwarning(UserWarning(CANARY), UserWarning, "/a/b/connectors/rest.py", 7)
    assert log.lines[0]["message"] == "UserWarning at b/connectors/rest.py:7"
    assert CANARY not in log.text + capsys.readouterr().err


@pytest.mark.usefixtures("hooks")
def test_without_setup_an_uncaught_exception_shows_nothing_either(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.install_excepthook()
    root = logging.getLogger()
    kept, root.handlers = root.handlers, []
    try:
        sys.excepthook(ValueError, ValueError(CANARY), None)
    finally:
        root.handlers = kept
        logs.reset()
    err = capsys.readouterr().err
    assert "ValueError" in err
    assert CANARY not in err


def test_a_message_stands_on_a_line_once() -> None:
    record = logging.makeLogRecord({"msg": "started", "color_message": "\x1b[36mstarted\x1b[0m"})
    assert "color_message" not in logs.JsonFormatter().format(record)
    assert "\\x1b" not in logs.TextFormatter().format(record)
