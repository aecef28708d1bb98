"""A mail server on a socket of its own: real SMTP, with STARTTLS, TLS and a login where asked."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "hub", "geheim-wachtwoord"


@dataclass
class Mailbox:
    """What came in, and what is said to who sends.

    Attributes:
        port: where it listens on loopback.
        letters: (envelope addresses, message), in the order in which they came.
        says: what the server says to a letter instead of taking it; empty takes it.
        refuses: addresses that it does not know.
        puts_off: addresses that it takes nothing for now.
        forgets: closes the connection after a letter came in, without an answer.
    """

    port: int = 0
    letters: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    says: str = ""
    refuses: set[str] = field(default_factory=set)
    puts_off: set[str] = field(default_factory=set)
    forgets: bool = False
    over_tls: bool = False
    logins: int = 0

    @property
    def ids(self) -> list[str]:
        """Message-IDs, in the order in which they came."""
        return [str(message["Message-ID"]) for _, message in self.letters]

    @property
    def texts(self) -> list[str]:
        """Bodies, in the order in which they came."""
        return [message.get_content().replace("\r\n", "\n") for _, message in self.letters]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 unknown"
        if address in self.puts_off:
            return "451 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.says:
            return self.says
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        transport = server.transport
        self.over_tls = transport is not None and bool(transport.get_extra_info("ssl_object"))
        self.letters.append((list(envelope.rcpt_tos), message))
        if self.forgets and isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        return "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        """Whether the login is right."""
        self.logins += 1
        good = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=data == good, handled=False)


@contextmanager
def mailbox(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: bool = False,
) -> Iterator[Mailbox]:
    """A server that listens until the end of the block."""
    box = Mailbox()
    loop = asyncio.new_event_loop()

    def made() -> SMTP:
        return SMTP(
            box,
            hostname="sandbox",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=box.authenticate if login else None,
            auth_required=login,
            auth_require_tls=login,
            loop=loop,
        )

    listening = socket.create_server(("127.0.0.1", 0))
    box.port = listening.getsockname()[1]
    server = loop.run_until_complete(loop.create_server(made, sock=listening, ssl=tls))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)
