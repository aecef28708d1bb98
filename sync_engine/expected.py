"""What a source will most likely say next: the records of a scope, in the order of their arrival.

A source lists its records in much the same order each night, and that is the order in which they
stand in the store. Reading on where the source reads on touches each page of the store once; asking
for every key apart touches one at random for each, which is slow as soon as the store is larger
than its cache. Where the source keeps no order, every key is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from sync_engine.context import BATCH
from sync_engine.store.work import Row, Work

COLUMNS: Final = "source_key, id, raw_fp, missing_since, gone"
"""Of every row that is found."""

_LEFT: Final = 2 * BATCH
"""Rows that were passed over and are kept, for a source that keeps its order by and large."""
_TRIES: Final = 4 * BATCH
"""Records after which a source that keeps no order at all is known as such."""


class Expected:
    """Finds the source records of one scope by their keys.

    Args:
        work: the store.
        scope_id: of the scope.
        ordered: the reading goes through the whole scope; a delta or a look-up does not.
    """

    def __init__(self, work: Work, scope_id: int, *, ordered: bool) -> None:
        self._work = work
        self._scope_id = scope_id
        self._window: dict[str, Row] = {}  # in the order of their numbers
        self._read = 0  # the number up to which the store was read
        self._met = 0  # the highest number that the source came to
        self._top: int | None = None  # the last one that stood there before this reading
        self._gives_up = not ordered
        self._hits = 0
        self._strays = 0

    def find(self, keys: Sequence[str]) -> dict[str, Row]:
        """Source key → its row (COLUMNS), of those that are known."""
        if self._gives_up:
            return self.ask(keys)
        self._read_on(len(keys))
        window = self._window
        found = {key: window.pop(key) for key in dict.fromkeys(keys) if key in window}
        self._hits += len(found)
        self._met = max((row[1] for row in found.values()), default=self._met)
        strangers = [key for key in keys if key not in found]
        if strangers:
            strays = self.ask(strangers)
            self._strays += len(strays)
            found |= strays
        if self._strays > max(self._hits, _TRIES):
            self._gives_up = True
            window.clear()
        return found

    def ask(self, keys: Sequence[str]) -> dict[str, Row]:
        """The same by the keys alone, with all that this run wrote."""
        work = self._work
        rows = work.execute(
            f"SELECT {COLUMNS} FROM v_record WHERE scope_id = ? AND {work.many('source_key')}",
            (self._scope_id, work.values(keys)),
        )
        return {row[0]: row for row in rows}

    def _read_on(self, wanted: int) -> None:
        """Have as many rows as keys are asked for that lie beyond what the source came to."""
        if self._top is None:
            rows = self._work.execute(
                "SELECT MAX(id) FROM source_record WHERE scope_id = ?", (self._scope_id,)
            )
            self._top = rows[0][0] or 0
        window, met = self._window, self._met
        ahead = sum(1 for row in window.values() if row[1] > met)
        surplus = len(window) - ahead - _LEFT
        for key in list(islice(window, max(surplus, 0))):
            del window[key]  # it did not come; if it still does, it is asked for
        while ahead < wanted and self._read < self._top:
            rows = self._work.execute(
                f"SELECT {COLUMNS} FROM source_record WHERE scope_id = ? AND id > ? AND id <= ? "
                f"ORDER BY id LIMIT {BATCH}",
                (self._scope_id, self._read, self._top),
            )
            if not rows:
                return
            window.update((row[0], row) for row in rows)
            self._read = rows[-1][1]
            ahead += len(rows)
