"""The hub by what its configuration says now: what a process that goes on asks again and again.

Commands write fragments while `koppelhub serve` and workers run. Whoever begins something asks
here for the hub, and uses that one until it is done. What is not sound is told once, and changes
nothing.
"""

from __future__ import annotations

import logging
from threading import Lock

from config.errors import KoppelhubError
from config.fragments import Stamp
from config.settings import Settings
from sync_engine.hub import Hub

_log = logging.getLogger(__name__)


class Current:
    """The hub of one process. Safe to share between threads.

    The database, the keys, who may sign in and where is listened stay as they were when it started.

    Args:
        hub: as it was opened.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._refused: Stamp | None = None
        self._lock = Lock()

    def hub(self) -> Hub:
        """The hub as its files say now; where they are not sound, as they said last."""
        with self._lock:
            now = self._hub.settings.stamp_now()
            if now not in {self._hub.settings.stamp, self._refused}:
                self._renew(now)
            return self._hub

    def _renew(self, stamp: Stamp) -> None:
        known = self._hub.settings
        try:
            read = Settings.load(known.origin)
            kept = {"database": known.database, "keys": known.keys}
            self._hub = self._hub.under(read.model_copy(update=kept))
        except KoppelhubError as error:
            if getattr(error, "retryable", False) is not True:
                self._refused = stamp
            _log.error("the configuration as it is now is not used: %s", error)
            return
        self._refused = None
        _log.info("the configuration was read again")
