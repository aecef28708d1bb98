"""`koppelhub serve` and `koppelhub worker`: processes that go on until they are asked to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType
from typing import Final

from config.errors import ConfigurationError, KoppelhubError
from config.web import is_loopback
from connectors.called import Endpoint
from console.inbox import endpoint
from console.output import Output
from sync_engine.expiry import remember_server
from sync_engine.hub import Hub
from sync_engine.outcome import ExitCode
from sync_engine.schedule.service import LAST_SECONDS, Service
from web.ops import installation
from web.pages.desk import House
from web.server import Address, listen, server

_log = logging.getLogger(__name__)
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


def serve(out: Output, hub: Hub, address: Address) -> None:
    """Plan, on SQLite run, and answer, until SIGINT or SIGTERM.

    A second signal ends the process at once, as does a run that does not end: what they leave is
    finished by the next process.

    Raises: ConfigurationError if an address or a schedule cannot be had; RunActiveError if another
        process serves this SQLite database.
    """
    remember_server(hub, address.certificate)
    service = Service(hub)
    house = House(service.current, dispatcher=service.dispatcher)
    running = server(installation(hub, _endpoints(hub), house=house), address)
    if hub.settings.web.public_url is None and not is_loopback(address.host):
        _log.warning("no page is answered beyond this machine: [web] public_url is not set")
    with (
        listen(address) as listening,
        hearing(lambda: setattr(running, "should_exit", True)),
        service,
    ):
        host, port = listening.getsockname()[:2]
        where = f"[{host}]" if ":" in host else host
        out.line(f"{address.scheme}://{where}:{port}/")
        sys.stdout.flush()  # who started it may wait for this line
        running.run(sockets=[listening])
        out.line("Er begint niets meer; lopende runs eindigen bij hun volgende bladzijde.")
        end_at_once_when_asked_again()
    if not service.ended_well:
        end_now()
    out.line("Gestopt.")


def work(out: Output, hub: Hub, *, concurrency: int) -> None:
    """Carry out what is queued, until SIGINT or SIGTERM; the bounds are those of `serve`.

    Raises: ConfigurationError on SQLite; StoreError if the queue cannot be used.
    """
    if hub.store.path is not None:
        raise ConfigurationError(
            "workers need PostgreSQL",
            advice="Op SQLite draait `koppelhub serve` de runs zelf; een worker is er niet nodig.",
        )
    from sync_engine.schedule.workers import Worker

    worker = Worker(hub, concurrency=concurrency)
    out.line(f"worker: {concurrency} runs tegelijk")
    sys.stdout.flush()
    late = Timer(LAST_SECONDS.total_seconds(), end_now)
    late.daemon = True

    def stopping() -> None:
        out.line("Er begint niets meer; lopende runs eindigen bij hun volgende bladzijde.")
        end_at_once_when_asked_again()
        late.start()

    worker.work(stopping=stopping)
    late.cancel()
    out.line("Gestopt.")


@contextmanager
def hearing(told: Callable[[], None]) -> Iterator[None]:
    """Take SIGINT and SIGTERM as a wish to stop.

    Uvicorn hears them itself while it serves, and sends them again afterwards: that does no harm.
    """

    def heard(number: int, frame: FrameType | None) -> None:
        told()

    before = {number: signal.signal(number, heard) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once_when_asked_again() -> None:
    """From now on a signal ends the process at once."""
    for number in _STOPS:
        signal.signal(number, lambda *_: end_now())


def end_now() -> None:
    """End without waiting for threads that do not end."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(ExitCode.PARTIAL)


def _endpoints(hub: Hub) -> dict[str, Endpoint]:
    """What answers calls; a koppeling that cannot be served does not stop the others."""
    found = {}
    for source in hub.sources():
        try:
            made = endpoint(hub, source)
        except KoppelhubError as error:
            _log.error("the inbox of %s is not served: %s", source.name, error)
            continue
        if made is not None:
            found[source.name] = made
    return found
