"""Mail over real SMTP: with TLS or not at all, one letter, and hostile servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    OutcomeUnknownError,
    ProtocolViolationError,
    RequestRefusedError,
    SourceUnavailableError,
)
from connectors.protocols.mail import Handed, Letter, MailServer, Security, send
from connectors.protocols.tls import trusting
from fixtures.sandbox.tls import Certificates, serve_with
from tests.support.mailbox import PASSWORD, USER, Mailbox, mailbox

LETTER = Letter(
    id="incident-7-1",
    at=datetime(2026, 11, 27, 6, 0, tzinfo=UTC),
    to=("ops@school.example", "tweede@school.example"),
    subject="Kritiek: somtoday staat stil, één koppeling",
    text="Sinds vannacht.\n.\nEen punt alleen op een regel eindigt niets; é blijft é.\n",
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


def plain(box: Mailbox) -> MailServer:
    return MailServer("127.0.0.1", box.port, Security.NONE, "hub@hub.example")


def test_a_letter_arrives_whole_and_names_its_id() -> None:
    with mailbox() as box:
        assert send(plain(box), LETTER) == Handed()
    ((addresses, message),) = box.letters
    assert addresses == list(LETTER.to)
    assert message["Message-ID"] == "<incident-7-1@hub.example>"
    assert message["Subject"] == LETTER.subject
    assert message["Date"] == "Fri, 27 Nov 2026 06:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert box.texts == [LETTER.text]


def test_starttls_with_a_login_from_a_trusted_server(certificates: Certificates) -> None:
    with mailbox(starttls=serve_with(certificates.server()), login=True) as box:
        server = MailServer(
            "localhost",
            box.port,
            Security.STARTTLS,
            "hub@hub.example",
            user=USER,
            password=PASSWORD,
            tls=trusting(certificates.authority),
        )
        send(server, LETTER)
        with pytest.raises(AuthenticationError) as refused:
            send(replace(server, password="onjuist-wachtwoord"), LETTER)
    assert box.over_tls
    assert len(box.letters) == 1
    assert "onjuist" not in f"{refused.value!r} {refused.value} {refused.value.advice}"
    assert PASSWORD not in repr(server)


def test_tls_from_the_start(certificates: Certificates) -> None:
    with mailbox(tls=serve_with(certificates.server())) as box:
        trust = trusting(certificates.authority)
        send(MailServer("localhost", box.port, Security.TLS, "a@hub.example", tls=trust), LETTER)
    assert len(box.letters) == 1
    assert box.over_tls


@pytest.mark.parametrize("kind", ["another authority", "expired", "elsewhere", "no tls at all"])
def test_without_the_tls_that_was_asked_for_nothing_is_sent(
    certificates: Certificates, tmp_path: Path, kind: str
) -> None:
    own = certificates.server(expired=kind == "expired", elsewhere=kind == "elsewhere")
    if kind == "another authority":
        own = Certificates(tmp_path).server()
    starttls = None if kind == "no tls at all" else serve_with(own)
    with mailbox(starttls=starttls) as box:
        server = replace(plain(box), security=Security.STARTTLS)
        with pytest.raises(ProtocolViolationError) as refused:
            send(replace(server, tls=trusting(certificates.authority)), LETTER)
    assert refused.value.where == "tls"
    assert box.letters == []


@pytest.mark.parametrize(
    ("says", "kind"),
    [("451 later", SourceUnavailableError), ("554 never", RequestRefusedError)],
)
def test_what_the_server_says_is_told_by_its_code_alone(
    says: str, kind: type[ConnectorError]
) -> None:
    with mailbox() as box:
        box.says = says
        with pytest.raises(kind) as refused:
            send(plain(box), LETTER)
    text = str(refused.value)
    assert says[:3] in text
    assert says[4:] not in text
    assert "school.example" not in f"{text} {refused.value.advice}"


def test_an_address_that_is_refused_does_not_stop_the_other() -> None:
    with mailbox() as box:
        box.refuses = {LETTER.to[0]}
        assert send(plain(box), LETTER) == Handed(refused=1)
        box.refuses = set(LETTER.to)
        with pytest.raises(RequestRefusedError):
            send(plain(box), LETTER)
    ((addresses, _),) = box.letters
    assert addresses == [LETTER.to[1]]


def test_an_address_that_is_put_off_is_told_apart_and_all_of_them_are_tried_later() -> None:
    with mailbox() as box:
        box.puts_off = {LETTER.to[1]}
        handed = send(plain(box), LETTER)
        assert (handed.refused, handed.later) == (0, (LETTER.to[1],))
        assert "school.example" not in repr(handed)
        box.puts_off = set(LETTER.to)
        with pytest.raises(SourceUnavailableError):
            send(plain(box), LETTER)
    assert [addresses for addresses, _ in box.letters] == [[LETTER.to[0]]]


def test_a_letter_without_an_answer_may_have_come() -> None:
    with mailbox() as box:
        box.forgets = True
        with pytest.raises(OutcomeUnknownError):
            send(plain(box), LETTER)
        box.forgets = False
        send(plain(box), LETTER)
    assert len(box.ids) == 2
    assert len(set(box.ids)) == 1


@pytest.mark.parametrize(
    "letter",
    [
        replace(LETTER, subject="Rustig\r\nBcc: ander@elders.example"),
        replace(LETTER, subject="Rustig\nBcc: ander@elders.example\u2028X: y"),
        replace(LETTER, text="Rustig\r\n.\r\nMAIL FROM:<x@elders.example>\r\n"),
    ],
)
def test_no_text_becomes_a_header_or_a_command(letter: Letter) -> None:
    with mailbox() as box:
        send(plain(box), letter)
    ((addresses, message),) = box.letters
    assert addresses == list(LETTER.to)
    assert message["Bcc"] is None
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    }


def test_an_id_or_address_with_a_line_end_is_refused() -> None:
    with mailbox() as box:
        for wrong in (replace(LETTER, id="a\r\nBcc: x"), replace(LETTER, to=("a\r\nBcc: x@y",))):
            with pytest.raises(ProtocolViolationError) as refused:
                send(plain(box), wrong)
            assert refused.value.where == "header"
    assert box.letters == []


def test_a_server_that_is_not_there_or_says_nothing_is_tried_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        server = MailServer(
            *("127.0.0.1", port, Security.NONE, "hub@hub.example"),
            timeout=timedelta(seconds=0.1),
        )
        with pytest.raises(SourceUnavailableError):
            send(server, LETTER)
    with pytest.raises(SourceUnavailableError):
        send(server, LETTER)


@contextmanager
def _chatter(line: bytes) -> Iterator[int]:
    """A server that says one line without end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(line * 100)
                except OSError:
                    pass

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join(5)


@pytest.mark.parametrize("line", [b"220-hello\r\n", b"x" * 1_000])
def test_a_server_that_talks_without_end_is_left(line: bytes) -> None:
    with _chatter(line) as port:
        server = MailServer("127.0.0.1", port, Security.NONE, "hub@hub.example")
        with pytest.raises(ConnectorError):
            send(server, LETTER)
