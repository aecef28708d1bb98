"""Names what a run does to its database, and dies at one of those places.

Nothing in the engine knows of it: the one connection that does everything is wrapped, in the child
process only. A boundary is named after the step that asked, the kind of statement and the table:
`before apply: INSERT leerling`.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from sync_engine.store.postgres import PostgresWork
from sync_engine.store.sqlite import SqliteWork

_STATEMENT = re.compile(
    r"\s*(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE|LOAD|INSERT_NEW)\s+(?P<table>[a-z_]+)", re.IGNORECASE
)
_TEMPORARY = ("w_", "p_", "v_", "temp", "pg_temp")
_WRAPPED = ("execute", "rows", "load", "insert_new")


def name_of(sql: str) -> str:
    """Kind of statement, and the table where one of the database itself is written.

    What only reads, or writes a temporary table, is told apart by its kind: to the database one
    such statement is as another.
    """
    kind = sql.split(maxsplit=1)[0].upper()
    found = _STATEMENT.match(sql)
    if found is None:
        return kind
    temporary = found["table"].startswith(_TEMPORARY)
    return f"{kind} temporary" if temporary else f"{kind} {found['table']}"


class Boundaries:
    """Counts the boundaries that a run reaches, and keeps their order.

    Args:
        kill: the boundary to die at, and at which of its occurrences (1 is the first).
    """

    def __init__(self, kill: tuple[str, int] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.order: list[str] = []
        self._kill = kill
        self._load = ""

    def reach(self, name: str) -> None:
        """The run stands at this place now."""
        self.counts[name] += 1
        self.order.append(name)
        if self._kill == (name, self.counts[name]):
            os.killpg(os.getpgid(0), signal.SIGKILL)

    def install(self) -> None:
        """Wrap every connection of this process, for good."""
        for kind in (SqliteWork, PostgresWork):
            for method in _WRAPPED:
                setattr(kind, method, self._wrapped(getattr(kind, method), method))

    def _wrapped(self, original: Callable[..., Any], method: str) -> Callable[..., Any]:
        def wrapper(work: object, what: str, *rest: Any) -> Any:
            sql = what if method in {"execute", "rows"} else f"{method.upper()} {what}"
            statement = name_of(sql)
            place = f"{_step(sys._getframe(1))}: {self._load}{statement}"
            self.reach(f"before {place}")
            if method in {"load", "insert_new"}:
                self._load = f"{statement} > "  # its own statements
            try:
                result = original(work, what, *rest)
            finally:
                if method in {"load", "insert_new"}:
                    self._load = ""
            self.reach(f"after {place}")
            return result

        return wrapper


def _step(frame: FrameType | None) -> str:
    """The module of the engine that asked, the store's own left out."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("sync_engine.") and not name.startswith("sync_engine.store."):
            return name.rpartition(".")[2]
        if name.startswith("sync_engine.store.keys"):
            return "keys"
        frame = frame.f_back
    return "store"
