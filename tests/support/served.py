"""An ASGI application on a real socket of loopback, served as `koppelhub` serves it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from web.server import Address, listen, server


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve it in a thread; its address."""
    address = Address(port=0)
    running = server(app, address)
    with listen(address) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            running.should_exit = True
            thread.join(timeout=10)
    assert not thread.is_alive()
