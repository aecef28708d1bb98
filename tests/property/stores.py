"""Stores for the state machine: fresh ones on both databases, and one that dies in mid-run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sync_engine.store.engine import Store
from sync_engine.store.work import Work
from tests.support.postgres import PostgresServer


class Killed(BaseException):
    """The process is no more."""


class DoomedStore:
    """A store whose connections die at the n-th statement, and everything after it with them."""

    def __init__(self, store: Store, statements: int) -> None:
        self._store = store
        self._left = statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @property
    def whole(self) -> DoomedStore:
        """Itself: a hub takes the whole of its store, which must go on dying."""
        return self

    def work(self) -> Work:
        work = self._store.work()
        for name in ("execute", "rows", "_load"):
            setattr(work, name, self._counted(getattr(work, name)))
        return work

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Killed
            return call(*args, **kwargs)

        return counted


@contextmanager
def on_sqlite(template: Path) -> Iterator[Store]:
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-property-"))
    path = folder / "hub.db"
    shutil.copyfile(template, path)
    path.chmod(0o600)
    with Store.open(f"sqlite:///{path}") as store:
        yield store
    shutil.rmtree(folder)


@contextmanager
def on_postgres(server: PostgresServer) -> Iterator[Store]:
    with server.ready_store() as store:
        yield store
