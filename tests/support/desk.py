"""The command line over a bench: commands as a person types them, on sources in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from sync_engine.hub import Hub
from tests.support.hubs import Bench
from tests.support.shell import Said, run_cli


@dataclass
class Desk:
    """Commands on one bench."""

    bench: Bench
    patch: pytest.MonkeyPatch

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        config = str(self.bench.hub.settings.origin)
        return run_cli(*arguments, "--config", config, stdin=stdin)

    def becomes(self, name: str) -> None:
        """Somebody else sits down at the keyboard."""
        self.patch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name=name))


@contextmanager
def desk_of(bench: Bench) -> Iterator[Desk]:
    """Every hub that a command opens is the bench's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hub, "open", lambda *_, **__: bench.hub)
        patch.setattr(Hub, "close", lambda _: None)
        yield Desk(bench, patch)
