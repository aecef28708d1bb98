"""What ends on a day: what the configuration says, and what the hub can see by itself.

By itself it sees the certificates in files that koppelingen name, and the one that `serve` shows to
others. No system of today says when a credential ends; that stands in the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from config.clock import zone
from config.sources import Ends, Source
from connectors.base import Manifest
from sync_engine.condition import Expiry
from sync_engine.hub import Hub
from sync_engine.store.values import instant
from sync_engine.store.work import Work

_LARGEST_BYTES: Final = 1_000_000
_SERVER: Final = "server"


def of_source(hub: Hub, source: Source, manifest: Manifest | None) -> tuple[Expiry, ...]:
    """Everything of a koppeling that ends, the first first; without a manifest as configured."""
    where = zone(hub.settings.timezone)
    found = [
        Expiry(
            str(one.what),
            one.label,
            datetime.combine(one.on + timedelta(days=1), time(), where).astimezone(UTC),
            source.name,
        )
        for one in source.expires
    ]
    found += () if manifest is None else _certificates(source, manifest)
    return tuple(sorted(found, key=lambda expiry: expiry.at))


def _certificates(source: Source, manifest: Manifest) -> Iterator[Expiry]:
    """The certificates that a koppeling shows; where one cannot be read, its runs say so."""
    for setting in manifest.settings:
        option = source.options.get(setting.name)
        if setting.certificate and isinstance(option, str):
            end = certificate_end(Path(option))
            if end is not None:
                yield Expiry(str(Ends.CERTIFICATE), setting.name, end, source.name)


def certificate_end(path: Path) -> datetime | None:
    """The first instant at which the first certificate of a PEM file is not valid; None if none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _end(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _end(path: Path, changed: int, size: int) -> datetime | None:
    """Read once for each time that the file was written."""
    from cryptography import x509  # here: who has no certificates need not load it

    if size > _LARGEST_BYTES:
        return None
    try:
        first = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return None
    return first.not_valid_after_utc + timedelta(seconds=1)  # it is valid through that second


# -- what a process shows to others ----------------------------------------------------------------


def remember_server(hub: Hub, certificate: Path | None) -> None:
    """Write down when the certificate ends that this installation is served with.

    Others compute health too, and do not know what the server was started with.
    Raises: StoreError.
    """
    end = None if certificate is None else certificate_end(certificate)
    with hub.store.work() as work, work.transaction():
        work.execute("DELETE FROM known_expiry WHERE label = ?", (_SERVER,))
        if end is not None:
            work.execute(
                "INSERT INTO known_expiry (what, label, at) VALUES (?, ?, ?)",
                (str(Ends.CERTIFICATE), _SERVER, end),
            )


def of_installation(work: Work) -> tuple[Expiry, ...]:
    """What ends of the installation itself, the first first."""
    return tuple(
        Expiry(what, label, instant(at))
        for what, label, at in work.execute(
            "SELECT what, label, at FROM known_expiry ORDER BY at, what, label"
        )
    )
