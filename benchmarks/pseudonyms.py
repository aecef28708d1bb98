"""A school of 2,500 whose pupils have their ECK iDs: a run without news, and one with 1% new.

The pupils stand in the core by the inbox of the tracking application. The first run, which obtains
all of them, hashes cheaply (N=16): the facility cannot see what a hash was made of. What is
measured hashes as it must, against the sandbox's facility over mutual TLS on loopback.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.installation import install
from config.clock import Clock, SystemClock
from config.settings import Settings
from config.sources import Source
from connectors.base import Action, Connector, Message
from connectors.eckid.connector import ECKID
from connectors.eckid.hashing import PRODUCTION_COST
from connectors.protocols.rest import Limits
from fixtures.sandbox.eckid import EckIdSandbox
from fixtures.school.keys import synthetic_bsn
from sync_engine.errors import StoreError
from sync_engine.hub import Hub
from sync_engine.linking import link_of
from sync_engine.options import Options
from sync_engine.runs import run
from sync_engine.store.engine import Store

PUPILS: Final = 2_500
NEW: Final = PUPILS // 100

_CHEAP: Final = 16
_BRIN, _VESTIGING = "99XX", "99XX00"
_SOURCES: Final = """
[[source]]
name = "kern"
system = "kern"
tenant = "bench"
[[source.pgn]]
purpose = "eckid"
legal_basis = "meting"
agreed_on = 2026-08-01
[[source]]
name = "eckid"
system = "eckid"
tenant = "bench"
[[source.pgn]]
purpose = "eckid"
legal_basis = "meting"
agreed_on = 2026-08-01
"""


def _messages(first: int, last: int) -> Iterator[Message]:
    if first == 0:
        yield _message("instelling", "i", naam="School", brin=_BRIN)
        yield _message("vestiging", "v", naam="School", vestigingsnummer=_VESTIGING, instelling="i")
    for number in range(first, last):
        key = f"p{number}"
        yield _message("leerling", key, achternaam=f"Naam{number}", bsn=synthetic_bsn(number))
        yield _message(
            "inschrijving", f"i{number}", leerling=key, vestiging="v", geldig_van="2026-08-01"
        )


def _message(resource: str, key: str, **fields: str) -> Message:
    body = json.dumps({"key": key, **fields}).encode()
    return Message(f"{resource}-{key}", resource, key, Action.PUT, body)


def _open(folder: Path, sandbox: EckIdSandbox, *, cost: int) -> Hub:
    settings = Settings.load(folder / "koppelhub.toml", {})
    options = {
        **sandbox.options,
        "batch_from": "100",
        "batch_size": "2500",
        "poll_seconds": "1",
        "per_second": "0",
    }

    def connect(source: Source, clock: Clock) -> Connector:
        if source.system != "eckid":
            return hub.connector(source, clock)
        link = link_of(settings, source, ECKID.manifest)
        link = replace(
            link,
            options=options,
            vault=hub.vault(source.name),
            batches=hub.batches(source.name),
            people=hub.people(source),
        )
        return ECKID.connect(link, clock=clock, limits=Limits(), cost=cost)

    hub = Hub.open(settings, SystemClock(), connect=connect)
    return hub


@contextmanager
def _facility(folder: Path) -> Iterator[EckIdSandbox]:
    sandbox = EckIdSandbox(folder / "pki")
    sandbox.facility.rules = replace(
        sandbox.facility.rules, processing=timedelta(), cool_down=timedelta()
    )
    with sandbox:
        yield sandbox


def _tell(hub: Hub, first: int, last: int) -> None:
    hub.inbox("kern").put(list(_messages(first, last)))
    report = run(hub, "kern", Options())
    assert str(report.outcome) == "done", (report.outcome, report.error, report.holds)


def prepare(root: Path) -> Path:
    """An installation with all pupils and their ECK iDs; made once for each schema."""
    folder = root / f"eckid-{PUPILS}"
    if (folder / "complete").is_file() and _is_current(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    path = install(folder)
    path.write_text(path.read_text() + _SOURCES)
    with _facility(folder) as sandbox:
        hub = _open(folder, sandbox, cost=_CHEAP)
        _tell(hub, 0, PUPILS)
        report = run(hub, "eckid", Options())
        assert str(report.outcome) == "done", (report.outcome, report.error, report.holds)
        assert len(sandbox.facility.counts.hpgns) == PUPILS
        hub.close()
    (folder / "complete").touch()
    return folder


def _is_current(folder: Path) -> bool:
    """Whether the database is of this release's schema."""
    try:
        Store.open(Settings.load(folder / "koppelhub.toml").database.resolve()).close()
    except StoreError:
        return False
    return True


def read(root: Path, name: str) -> dict[str, object]:
    """Seconds of a run without news (`eckid-same`), or after 1% came in (`eckid-new`)."""
    template, folder = prepare(root), root / "eckid-work"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    settings = folder / "koppelhub.toml"
    settings.write_text(settings.read_text().replace(str(template), str(folder)))
    new = NEW if name == "eckid-new" else 0
    with _facility(folder) as sandbox:
        hub = _open(folder, sandbox, cost=PRODUCTION_COST)
        if new:
            _tell(hub, PUPILS, PUPILS + new)
        began = perf_counter()
        report = run(hub, "eckid", Options())
        seconds = perf_counter() - began
        hub.close()
        assert str(report.outcome) == "done", (report.outcome, report.error, report.holds)
        assert len(sandbox.facility.counts.hpgns) == new, "each new one is hashed once, nobody else"
    return {"seconds": seconds, "records": PUPILS + new, "hashes": new}


READERS: Final = ("eckid-same", "eckid-new")
