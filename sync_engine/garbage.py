"""Python's cyclic garbage collector during a run.

A batch of records is some hundred thousand small containers without a single cycle: at the default
threshold the collector walks them over and over, for a quarter of a first load's time. What the
process holds already (modules, models) is not walked at all meanwhile.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ALLOCATIONS: Final = 50_000


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect only every 50,000 containers: that bounds what cycles may hold as well.

    The threshold is the process's; runs in other threads share it, which does no harm.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _ALLOCATIONS), *before[1:])
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
