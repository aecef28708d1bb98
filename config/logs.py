"""Structured logs on the standard library: context on every line, nothing personal on any.

`setup` is called once, at the edge of a process. From then on every log record of the process,
also those of other libraries, is made harmless when it is made, before any handler sees it:
arguments that are not plain show their type only, exceptions of others their class and code
locations only.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO

import msgspec

from config.redaction import Plain, describe, describe_text, redact, shown

ROOMS: Final = frozenset(
    {"cli", "web", "sync_engine", "oso", "mappings", "connectors", "config", "sector", "fixtures"}
    | {"koppelhub", "__main__", "alembic"}
)
"""Loggers whose text arguments are shown, redacted; of all others only numbers are."""

MUTED: Final = frozenset(
    {"httpx", "httpcore", "hpack", "sqlalchemy", "urllib3", "asyncio", "zeep", "psycopg"}
    | {"apscheduler", "procrastinate"}
)
"""Libraries that log addresses, headers, bodies or parameters; nothing below a warning is shown."""

_context: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("log_context", default=())
_ALWAYS: Final = ("run_id", "koppeling", "entity")
_NOT_SHOWN: Final = "(not shown: this library may log content)"
_log = logging.getLogger("koppelhub")


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Put `run_id`, `koppeling`, `entity` or more on every line that is logged inside.

    Holds for the thread that enters it; a field that is None is taken away. A new thread starts
    without: enter it there again with `**current()`.
    """
    merged = {**dict(_context.get()), **{k: redact(v) for k, v in fields.items() if v is not None}}
    kept = tuple((k, v) for k, v in merged.items() if fields.get(k, v) is not None)
    token = _context.set(kept)
    try:
        yield
    finally:
        _context.reset(token)


def current() -> dict[str, str]:
    """The fields that are on every line here and now."""
    return dict(_context.get())


class SafeRecord(logging.LogRecord):
    """A log record that is made harmless when it is made: no handler can show more."""

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
        **_: object,
    ) -> None:
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        message = _message(name or "", level or 0, msg, args)
        super().__init__(name, level, pathname, lineno, message, None, None, func, None)
        self.hub_context = current()
        self.hub_error = describe(error) if error is not None else None
        self.exc_text = describe_text(error) if error is not None else None

    def getMessage(self) -> str:  # noqa: N802 - the name of the standard library
        """The message, which is whole already."""
        return str(self.msg)


def _message(name: str, level: int, msg: object, args: Any) -> str:
    room = name.partition(".")[0]
    if room in MUTED and level < logging.WARNING:
        return _NOT_SHOWN
    if not isinstance(msg, str):
        return str(shown(msg))
    text: str = msg
    if args:
        veil = shown if room in ROOMS else _veiled
        safe: Any = (
            {key: veil(value) for key, value in args.items()}
            if isinstance(args, Mapping)
            else tuple(veil(value) for value in args)
        )
        try:
            text = msg % safe
        except (TypeError, ValueError, KeyError):
            text = f"{msg} (its arguments do not fit)"
    return redact(text)


def _veiled(value: object) -> Plain:
    """What is shown of an argument that another library logs: numbers, and the kind of the rest."""
    return "…" if isinstance(value, str | bytes) else shown(value)


_STANDARD: Final = frozenset(vars(SafeRecord("", 0, "", 0, "", None, None))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn's second form of the same message, for a terminal
}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Everything that a line says, harmless, in the order in which it is written."""
    safe = record if isinstance(record, SafeRecord) else None
    on_line: dict[str, str | None] = dict.fromkeys(_ALWAYS)
    on_line |= safe.hub_context if safe else {}
    extra = {k: shown(v) for k, v in vars(record).items() if k not in _STANDARD}
    fields: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        **on_line,
        "message": redact(str(record.msg)),  # again: a filter may have changed it
        **{(f"extra_{k}" if k in on_line else k): v for k, v in extra.items()},
    }
    if safe and safe.hub_error is not None:
        fields["error"] = safe.hub_error
    return fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return msgspec.json.encode(_fields(record)).decode()


class TextFormatter(logging.Formatter):
    """One line for people: time, level, logger, message, then `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; what was on more lines is joined."""
        fields = _fields(record)
        fields.pop("error", None)
        head = [str(fields.pop(key)) for key in ("time", "level", "logger", "message")]
        pairs = [f"{key}={'-' if value is None else value}" for key, value in fields.items()]
        line = f"{head[0]} {head[1]:<8} {head[2]}: {head[3]} [{' '.join(pairs)}]"
        if isinstance(record, SafeRecord) and record.exc_text:
            line = f"{line} {record.exc_text}"
        return "\\n".join(line.splitlines())


class _Handler(logging.StreamHandler[Any]):
    """Writes to the stream that it was given, else to what standard error is at that moment."""

    def __init__(self, stream: TextIO | None) -> None:
        logging.Handler.__init__(self)
        self._given = stream

    @property
    def stream(self) -> TextIO:
        return self._given or sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        self._given = value

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say that a line was lost, without its message or arguments."""
        kind = getattr(sys.exc_info()[0], "__name__", "an error")
        try:
            sys.stderr.write(f"a log line of {record.name} was lost: {kind}\n")
        except (OSError, ValueError):  # standard error is closed: there is nobody left to tell
            return


def setup(
    *, json: bool = False, level: int | str = logging.INFO, stream: TextIO | None = None
) -> None:
    """Log to a stream from now on, and make every record of this process harmless.

    May be called again, to change it. `reset` takes it back.

    Args:
        json: one JSON object a line instead of text.
        level: from which level on; `DEBUG` shows no content either.
        stream: where to; standard error by default.
    """
    logging.setLogRecordFactory(SafeRecord)
    handler = _Handler(stream)
    handler.setFormatter(JsonFormatter() if json else TextFormatter())
    root = logging.getLogger()
    _remove_handlers(root)
    root.addHandler(handler)
    root.setLevel(level)
    for name in MUTED:
        logging.getLogger(name).setLevel(logging.WARNING)


def reset() -> None:
    """Take back what `setup` did: for tests, and for programs that embed the hub."""
    root = logging.getLogger()
    _remove_handlers(root)
    root.setLevel(logging.WARNING)
    logging.setLogRecordFactory(logging.LogRecord)
    for name in MUTED:
        logging.getLogger(name).setLevel(logging.NOTSET)


def _remove_handlers(root: logging.Logger) -> None:
    for handler in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(handler)
        handler.close()


def install_excepthook() -> None:
    """Log uncaught exceptions, of threads too, and warnings by the same rules.

    Python itself would print their texts and values. Call it after anything that sets hooks of its
    own; Typer does at each call, so the command line catches at its edge as well.
    """
    logging.setLogRecordFactory(SafeRecord)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    warnings.showwarning = _warned


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    _log.critical("uncaught exception", exc_info=(kind, error, traceback))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is not None:
        _log.error("exception where none can be raised", exc_info=args.exc_value)


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    place = "/".join(PurePath(filename).parts[-3:])
    _log.warning("%s at %s:%s", category.__name__, place, lineno)
