"""A SQLite database of the current schema, made by the migrations once in each test process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sync_engine.store.engine import Store


def sqlite_template(target: Path) -> None:
    """Put such a database there, with the rights that `init` gives it."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.write_bytes(_upgraded())
    target.chmod(0o600)


@cache
def _upgraded() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.db"
        with Store.open(f"sqlite:///{path}", create=True) as store:
            store.upgrade()
        return path.read_bytes()  # closing the last connection moved the write-ahead log into it
