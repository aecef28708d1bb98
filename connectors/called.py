"""Called: what a connector is whose system asks us, instead of being asked (`kern`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from connectors.base import ConnectorFactory, Link


@dataclass(frozen=True, slots=True)
class Request:
    """What another system asks of us over HTTP.

    Attributes:
        headers: by name in lower case.
    """

    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What we answer; names fields and rules, never a value."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Endpoint(Protocol):
    """Request bytes → answer bytes for one koppeling, without sockets. Shared between threads."""

    @property
    def largest_bytes(self) -> int:
        """The largest body that it reads."""

    def admit(self, request: Request) -> Answer | None:
        """Judge method and headers before the body is read: the refusal, or None."""

    def answer(self, request: Request) -> Answer:
        """Do what is asked; judges the request again."""


class CalledFactory(ConnectorFactory, Protocol):
    """A connector whose system calls us."""

    def endpoint(self, link: Link) -> Endpoint:
        """What answers the calls for one koppeling.

        Raises: ConfigurationError if a setting misses or breaks its rule.
        """
