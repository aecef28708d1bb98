"""An ASGI application on a real socket of loopback, served as `koppelhub` serves it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from web.server import Address, listen, server


class _Prompt(uvicorn.Server):
    """Ends as soon as it is told to: uvicorn itself looks every tenth of a second, and sleeps one.

    That the hub's own server ends well is for the tests of `koppelhub serve`.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = threading.Event()
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Stop serving; from any thread."""
        self.should_exit = True
        if self._told.wait(10) and self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    async def main_loop(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._told.set()
        ticking = asyncio.create_task(super().main_loop())
        await self._end.wait()
        ticking.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for accepting in self.servers:
            accepting.close()
        for listening in sockets or ():
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.001)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve it in a thread; its address."""
    address = Address(port=0)
    running = _Prompt(server(app, address).config)
    with listen(address) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            running.end()
            thread.join(timeout=10)
    assert not thread.is_alive()
