"""The list of erasures beside the key file: what a backup of before does not know.

A restored database holds everybody who was erased since. The list tells whom to erase again: lines
of JSON, each the hub key of somebody and keyed digests of what he is recognised by; nobody reads
more in it without the database and its keys. It only grows. A line is on the disk before anything
is erased, so that no erasure is known to the database alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from pathlib import Path
from typing import Final

import msgspec

from config.errors import ConfigurationError
from sync_engine.suppression import Mark, digest

SUFFIX: Final = ".erasures"
"""Is put behind the name of the key file."""
_MAX_SIZE_BYTES: Final = 100_000_000
_PLACE: Final = (
    "Zorg dat dit bestand naast het sleutelbestand te lezen en te schrijven is: zonder zou een "
    "back-up terugbrengen wie gewist is."
)


class Erasure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: somebody was erased, or that was lifted.

    Attributes:
        erasure: its random name.
        tenant: id of the tenant.
        at: when.
        entity: what he was.
        cores: hub keys, of those who went along too.
        marks: (kind, entity, digest as hex, whether along, place in `cores`).
        lifted: this line says that it was lifted.
        seal: keyed digest of all that: it is a line of this installation, as the hub wrote it.
    """

    erasure: str
    tenant: int
    at: datetime
    entity: str = ""
    cores: tuple[str, ...] = ()
    marks: tuple[tuple[str, str, str, bool, int], ...] = ()
    lifted: bool = False
    seal: str = ""

    def sealed(self, key: bytes) -> Erasure:
        """The same line, sealed with the key of the digests of its tenant."""
        return msgspec.structs.replace(self, seal=self._seal(key))

    def is_sealed(self, key: bytes) -> bool:
        """Whether it was sealed with this key, and is as it was then."""
        return compare_digest(self.seal, self._seal(key))

    def _seal(self, key: bytes) -> str:
        plain = msgspec.json.encode(msgspec.structs.replace(self, seal=""))
        return digest(key, "lijst", plain.decode()).hex()

    def each(self) -> Iterator[tuple[Mark, str]]:
        """Every mark with the hub key of whom it tells."""
        for kind, entity, told, along, place in self.marks:
            yield Mark(kind, entity, bytes.fromhex(told), along), self.cores[place]


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list says.

    Attributes:
        erased: every erasure, by tenant and name, oldest first.
        lifted: those that were lifted; who was told by another tenant lifts it for himself alone.
    """

    erased: dict[tuple[int, str], Erasure]
    lifted: dict[tuple[int, str], Erasure]

    @property
    def names(self) -> set[str]:
        """Names of all of them, whosever they are."""
        return {name for _, name in (*self.erased, *self.lifted)}

    @property
    def tenants(self) -> set[int]:
        """Whose they are."""
        return {tenant for tenant, _ in (*self.erased, *self.lifted)}

    def of(self, tenant: int, key: bytes) -> tuple[dict[str, Erasure], set[str]]:
        """What was erased of one tenant by name, and the names of what was lifted.

        What was not sealed with its key is of another installation: it says nothing here.
        """
        erased = {
            name: line
            for (number, name), line in self.erased.items()
            if number == tenant and line.is_sealed(key)
        }
        lifted = {
            name
            for (number, name), line in self.lifted.items()
            if number == tenant and line.is_sealed(key)
        }
        return erased, lifted


def list_path(key_file: Path) -> Path:
    """Where the list of an installation is."""
    return key_file.with_name(key_file.name + SUFFIX)


def read_list(path: Path) -> Listed:
    """All of it; nothing where there is no such file.

    A last line that a kill broke off is none: nothing was erased then.
    Raises: ConfigurationError if it cannot be read, or holds anything else.
    """
    try:
        if path.stat().st_size > _MAX_SIZE_BYTES:
            message = f"{path}: is larger than such a list can be"
            raise ConfigurationError(message, advice=_PLACE)
        body = path.read_bytes()
    except FileNotFoundError:
        return Listed({}, {})
    except OSError as exc:
        message = f"{path}: {exc.strerror}"
        raise ConfigurationError(message, advice=_PLACE) from exc
    erased: dict[tuple[int, str], Erasure] = {}
    lifted: dict[tuple[int, str], Erasure] = {}
    whole, _, _ = body.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            told = msgspec.json.decode(line, type=Erasure)
        except msgspec.MsgspecError as exc:
            message = f"{path}: line {number}: is no line of a list of erasures"
            raise ConfigurationError(message, advice=_PLACE) from exc
        (lifted if told.lifted else erased)[told.tenant, told.erasure] = told
    return Listed(erased, lifted)


def add_to_list(path: Path, lines: Sequence[Erasure]) -> None:
    """Put lines behind those that stand there, and see them on the disk.

    What a kill left of a line is cut off first.
    Raises: ConfigurationError if that cannot be.
    """
    body = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    try:
        with _opened(path) as number:
            size = os.fstat(number).st_size
            os.ftruncate(number, _whole(number, size))
            os.lseek(number, 0, os.SEEK_END)
            while body:
                body = body[os.write(number, body) :]
            os.fsync(number)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        message = f"{path}: {exc.strerror}"
        raise ConfigurationError(message, advice=_PLACE) from exc


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        os.fchmod(number, 0o600)
        if os.geteuid() == 0:  # whoever may read the keys must be able to read and write it too
            owner = path.with_name(path.name.removesuffix(SUFFIX)).stat()
            os.fchown(number, owner.st_uid, owner.st_gid)
        yield number
    finally:
        os.close(number)


def _whole(number: int, size: int) -> int:
    """How much of the file is whole lines."""
    end = size
    while end:
        start = max(0, end - 4096)
        os.lseek(number, start, os.SEEK_SET)
        found = os.read(number, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
