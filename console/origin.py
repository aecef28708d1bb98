"""From where a person works: machine, terminal, and the address that he came in from.

What the environment says of the address is what sshd put there; a person may put something else.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from ipaddress import ip_address


def where(env: Mapping[str, str] | None = None) -> str:
    """`balie-1 /dev/pts/3 10.0.0.4`: what of these is known, in one line.

    Args:
        env: the environment; that of the process by default.
    """
    parts = (socket.gethostname(), _terminal(), _address(os.environ if env is None else env))
    return " ".join(part for part in parts if part)


def _terminal() -> str:
    for stream in (sys.__stdin__, sys.__stderr__):
        try:
            if stream is not None and stream.isatty():
                return os.ttyname(stream.fileno())
        except (OSError, ValueError):  # closed, or a terminal without a name
            continue
    return ""


def _address(env: Mapping[str, str]) -> str:
    """The client's address of an SSH session; nothing else that may stand in the variable."""
    try:
        return str(ip_address(env.get("SSH_CONNECTION", "").split(" ")[0]))
    except ValueError:
        return ""
