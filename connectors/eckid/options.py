"""The settings of one ECK iD koppeling, checked."""

from __future__ import annotations

import binascii
import re
import ssl
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from connectors.base import Manifest
from connectors.eckid import capacity, environment
from connectors.eckid.environment import Omgeving
from connectors.eckid.hashing import PUBLISHED_SALT, Hasher
from connectors.protocols.settings import Given

_OIN: Final = re.compile(r"[0-9]{8}[0-9A-Z]{12}")
_LISTED: Final = re.compile(r"https?://[!-~]{1,200}/[0-9A-Za-z._-]{1,64}")
_SALT_BYTES: Final = range(8, 129)
_TEST_OIN: Final = "00000099"
_MIB: Final = 1024 * 1024
LARGEST_BATCH: Final = 5000


@dataclass(frozen=True, slots=True)
class Options:
    """What one koppeling is set to.

    Attributes:
        salt: of the environment, decoded.
        oin: of the school or board on whose behalf is asked.
        keten, sector: ids as the facility lists them: addresses that end in a GUID.
        workers: hashes at once.
        batch_from: so many persons are asked for in a batch; fewer go one by one.
        batch_size: persons in one batch at most.
        poll: time between two questions for the answer to a batch.
        docenten: whether teachers get one too.
    """

    endpoint: str
    omgeving: Omgeving
    salt: bytes = field(repr=False)
    oin: str
    keten: str
    sector: str
    tls: ssl.SSLContext | None = field(repr=False)
    workers: int
    batch_from: int
    batch_size: int
    poll: timedelta
    docenten: bool
    per_second: float

    @property
    def keten_guid(self) -> str:
        """The last part of the chain's id: what the vault names a pseudonym by."""
        return self.keten.rpartition("/")[2]

    @property
    def sector_guid(self) -> str:
        """The last part of the sector's id."""
        return self.sector.rpartition("/")[2]

    @property
    def hasher(self) -> Hasher:
        """Hashes for this environment, at the cost that the facility prescribes."""
        return Hasher(self.salt, workers=self.workers)


def read_options(
    options: Mapping[str, str], *, manifest: Manifest, tls: ssl.SSLContext | None = None
) -> Options:
    """Check the settings of a koppeling, and read the certificates that they name.

    Raises: ConfigurationError, naming the setting and the rule, never the value.
    """
    given = Given(options, manifest=manifest)
    omgeving = given.choice("omgeving", Omgeving)
    endpoint = _endpoint(given, omgeving)
    batch_size = given.number("batch_size", 1, LARGEST_BATCH)
    batch_from = given.number("batch_from", 2, LARGEST_BATCH)
    if batch_from > batch_size:
        raise given.wrong("batch_from", "must not be more than batch_size")
    return Options(
        endpoint=endpoint,
        omgeving=omgeving,
        salt=_salt(given, omgeving),
        oin=_oin(given, omgeving),
        keten=_listed(given, "keten"),
        sector=_listed(given, "sector"),
        tls=tls if tls is not None else _tls(given, endpoint),
        workers=_workers(given),
        batch_from=batch_from,
        batch_size=batch_size,
        poll=timedelta(seconds=given.number("poll_seconds", 1, 3600)),
        docenten=given.flag("docenten"),
        per_second=given.rate(),
    )


def _endpoint(given: Given, omgeving: Omgeving) -> str:
    """An https address of that environment; http on this machine alone, and only if allowed."""
    plain = given.flag("allow_plain_http")
    endpoint = given.url("endpoint", plain=False)
    known = environment.of_address(endpoint)
    if known is not None and known is not omgeving:
        raise given.wrong("endpoint", "is an address of the other environment than `omgeving`")
    if urlsplit(endpoint).scheme == "http" and not plain:
        raise given.wrong("endpoint", "must begin with https://")
    return endpoint


def _salt(given: Given, omgeving: Omgeving) -> bytes:
    """The salt, which says by its first word which environment it is of.

    Spec: eckid.md, section 2: base64 text, whose decoded bytes are the salt (CONFIRMED).
    """
    kind, colon, text = given.text("salt").strip().partition(":")
    if not colon or kind not in {one.value for one in Omgeving}:
        raise given.wrong("salt", "must be written as test:<base64> or productie:<base64>")
    if kind != omgeving:
        raise given.wrong("salt", "is of the other environment than `omgeving`")
    try:
        salt = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        salt = b""
    if len(salt) not in _SALT_BYTES:
        raise given.wrong("salt", "must be base64 of 8 to 128 bytes")
    if salt == PUBLISHED_SALT and not omgeving.is_test:
        raise given.wrong("salt", "is the one of the published examples, not of production")
    return salt


def _oin(given: Given, omgeving: Omgeving) -> str:
    """Spec: eckid.md, section 6: only its form is checked (ASSUMED)."""
    oin = given.text("oin").strip()
    if not _OIN.fullmatch(oin):
        raise given.wrong("oin", "must be 8 digits and 12 digits or capitals")
    if oin.startswith(_TEST_OIN) and not omgeving.is_test:
        raise given.wrong("oin", "is one for tests")
    return oin


def _listed(given: Given, name: str) -> str:
    """An id of a chain or sector; whether the facility lists it is seen when it is asked."""
    text = given.text(name).strip()
    if not _LISTED.fullmatch(text):
        raise given.wrong(name, "must be an id as the facility lists it: an address with a GUID")
    return text


def _tls(given: Given, endpoint: str) -> ssl.SSLContext | None:
    """Our certificate and whom we trust. Spec: eckid.md, section 5 (CONFIRMED; 1.2 ASSUMED)."""
    if urlsplit(endpoint).scheme != "https":
        return None
    if not given.text("client_certificate"):
        raise given.wrong("client_certificate", "is required: the facility admits nobody without")
    context = given.tls()
    if context is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _workers(given: Given) -> int:
    threads = given.number("hash_threads", 0, 256) or None
    memory = given.number("memory_mb", 0, 16 * 1024 * 1024) * _MIB or None
    return capacity.workers(threads=threads, memory=memory)
