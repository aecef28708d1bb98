"""Who receives webhooks: a server on a socket, which checks signatures by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "een geheim van de proef"


@dataclass
class Hookside:
    """What came in, and what is answered.

    Attributes:
        taken: (id, document) of what was well signed and taken, in that order.
        wrong: how many were not well signed.
        status: what is answered; 0 closes the line after the document was taken.
        paths: of every request.
    """

    url: str = ""
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    wrong: int = 0
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ids(self) -> list[str]:
        """Ids, in the order in which they came."""
        return [number for number, _ in self.taken]

    def well_signed(self, headers: Any, body: bytes) -> bool:
        """Whether the signature is that of this body, id and moment."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
        return hmac.compare_digest(f"v1,{wanted}", headers["webhook-signature"] or "")


@contextmanager
def hookside(*, tls: ssl.SSLContext | None = None) -> Iterator[Hookside]:
    """A receiver that listens until the end of the block."""
    side = Hookside()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            side.paths.append(self.path)
            if not side.well_signed(self.headers, body):
                side.wrong += 1
                self.send_response(401)
                self.end_headers()
                return
            if side.status < 300:
                side.taken.append((str(self.headers["webhook-id"]), json.loads(body)))
                side.stamps.append(int(self.headers["webhook-timestamp"]))
            if side.status == 0:
                self.close_connection = True
                return
            self.send_response(side.status)
            for name, value in side.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(side.body)))
            self.end_headers()
            self.wfile.write(side.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    side.url = f"{scheme}://localhost:{server.server_address[1]}/hook/geheim-pad?sleutel=abc"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield side
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
