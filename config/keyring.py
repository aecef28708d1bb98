"""The key file: master keys by id, and the keys that are derived from them by purpose.

The file is JSON with mode 0600. Only `init` and `demo` create one; every other process loads it or
refuses to start. Keys never appear in `repr`, in errors or in a pickle.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.errors import ConfigurationError

KEY_SIZE_BYTES: Final = 32
_MAX_SIZE_BYTES: Final = 1_000_000
_VERSION: Final = 1
_INFO: Final = b"koppelhub/"


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    active: str
    keys: dict[str, bytes]  # base64 in the file

    def __repr__(self) -> str:
        return "<_KeyFile>"


class Keyring:
    """Master keys by id; immutable.

    Args:
        keys: 32 random bytes by key id.
        active: id of the key that new values are encrypted with.
        path: the file that it was read from, where there is one.

    Raises: ConfigurationError if a key has another size or the active one is missing.
    """

    __slots__ = ("_active", "_derive", "_keys", "_path")

    def __init__(self, keys: Mapping[str, bytes], active: str, *, path: Path | None = None) -> None:
        where = str(path) if path else "keyring"
        if active not in keys:
            msg = f"{where}: active: names no key of this file"
            raise ConfigurationError(msg, advice=_MENDED)
        if any(len(key) != KEY_SIZE_BYTES for key in keys.values()):
            msg = f"{where}: keys: each must be 32 bytes"
            raise ConfigurationError(msg, advice=_MENDED)
        self._keys = MappingProxyType(dict(keys))
        self._active = active
        self._path = path
        self._derive = lru_cache(maxsize=256)(self._derived)

    @classmethod
    def create(cls, path: Path) -> Keyring:
        """Make a file with one new key; for `init` and `demo` only.

        Raises: ConfigurationError if there is a file already, or it cannot be written.
        """
        key_id = _new_id()
        ring = cls({key_id: secrets.token_bytes(KEY_SIZE_BYTES)}, key_id, path=path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, ring._encoded())
        except FileExistsError as exc:
            msg = f"{path}: there is a key file already; it is never overwritten"
            raise ConfigurationError(
                msg,
                advice="Er is al een sleutelbestand. Gebruik dat, of kies een andere plaats: "
                "wie het weggooit, kan de versleutelde gegevens nooit meer lezen.",
            ) from exc
        except OSError as exc:
            _refuse(path, "cannot be written", exc)
        return ring

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read the key file.

        Raises: ConfigurationError if it is missing, malformed, or readable by group or others.
        """
        try:
            body = _read(path)
        except FileNotFoundError as exc:
            msg = f"{path}: the key file is missing"
            raise ConfigurationError(
                msg,
                advice="Maak eenmalig sleutels met `koppelhub init`. Bestaat de database al, zet "
                "dan het sleutelbestand uit de back-up terug: zonder is zij niet te lezen.",
            ) from exc
        except OSError as exc:
            _refuse(path, "cannot be read", exc)
        try:
            file = msgspec.json.decode(body, type=_KeyFile)
        except msgspec.MsgspecError as exc:
            msg = f"{path}: is not a key file"
            raise ConfigurationError(msg, advice=_MENDED) from exc
        if file.version != _VERSION:
            msg = f"{path}: version: this release reads version {_VERSION} only"
            raise ConfigurationError(msg, advice=_MENDED)
        return cls(file.keys, file.active, path=path)

    @property
    def active_id(self) -> str:
        """Id of the key that new values are encrypted with."""
        return self._active

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, oldest first."""
        return tuple(self._keys)

    def key(self, key_id: str) -> bytes:
        """The master key of that id: 32 bytes.

        Raises: ConfigurationError if this file does not hold it.
        """
        try:
            return self._keys[key_id]
        except KeyError as exc:
            msg = f"{self._path or 'keyring'}: holds no key with id {key_id}"
            raise ConfigurationError(
                msg,
                advice="De database gebruikt een sleutel die niet in dit sleutelbestand staat. "
                "Zet het juiste sleutelbestand terug.",
            ) from exc

    def derive(self, purpose: str, *, key_id: str | None = None) -> bytes:
        """A key of 32 bytes for one purpose (`tenant-key-wrap`, `blind-index`): HKDF-SHA256.

        Keys of different purposes tell nothing about each other or about the master key.

        Raises: ConfigurationError if this file does not hold the master key.
        """
        return self._derive(purpose, key_id or self._active)

    def check_value(self, key_id: str) -> str:
        """What the database keeps to recognise a key by: 32 hex digits that do not reveal it.

        Raises: ConfigurationError if this file does not hold the key.
        """
        return self.derive("check-value", key_id=key_id)[:16].hex()

    def rotate(self) -> Keyring:
        """Add a new active key to the file and keep the old ones; returns the new ring.

        The file is replaced as a whole: a process that is killed leaves the old one or the new one.

        Raises: ConfigurationError if the file cannot be written or is being rotated already.
        """
        if self._path is None:
            raise ConfigurationError("this keyring has no file to rotate")
        path = self._path
        draft = path.with_name(path.name + ".rotating")
        try:
            _write(draft, b"")
        except FileExistsError as exc:
            msg = f"{draft}: a rotation is under way, or was broken off"
            raise ConfigurationError(
                msg,
                advice=f"Loopt er geen andere rotatie? Verwijder dan {draft.name} en probeer weer.",
            ) from exc
        except OSError as exc:
            _refuse(draft, "cannot be written", exc)
        try:
            current = Keyring.load(path)
            key_id = _new_id()
            keys = {**current._keys, key_id: secrets.token_bytes(KEY_SIZE_BYTES)}
            ring = Keyring(keys, key_id, path=path)
            _replace(draft, path, body=ring._encoded())
        except OSError as exc:
            draft.unlink(missing_ok=True)
            _refuse(path, "cannot be replaced", exc)
        except ConfigurationError:
            draft.unlink(missing_ok=True)
            raise
        return ring

    def _derived(self, purpose: str, key_id: str) -> bytes:
        info = _INFO + purpose.encode()
        return HKDF(algorithm=SHA256(), length=KEY_SIZE_BYTES, salt=None, info=info).derive(
            self.key(key_id)
        )

    def _encoded(self) -> bytes:
        file = _KeyFile(version=_VERSION, active=self._active, keys=dict(self._keys))
        return msgspec.json.format(msgspec.json.encode(file)) + b"\n"

    def __repr__(self) -> str:
        return f"<Keyring {len(self._keys)} keys, active {self._active}>"

    def __reduce__(self) -> NoReturn:
        message = "a keyring is not pickled; load it from its file"
        raise TypeError(message)


_MENDED: Final = (
    "Het sleutelbestand is beschadigd. Zet het terug uit de back-up; maak geen nieuw bestand "
    "zolang er een database bij hoort."
)


def _new_id() -> str:
    return "k" + secrets.token_hex(4)


def _refuse(path: Path, rule: str, error: OSError) -> NoReturn:
    msg = f"{path}: {rule} ({error.strerror})"
    raise ConfigurationError(
        msg,
        advice="Controleer de plaats en de rechten van het sleutelbestand in de instellingen.",
    ) from error


def _read(path: Path) -> bytes:
    """The file's bytes, after its mode was seen to be private. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            msg = f"{path}: is not a file"
            raise ConfigurationError(msg, advice=_MENDED)
        if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(status.st_mode)
            msg = f"{path}: group or others may use this key file (mode {mode:04o}; must be 0600)"
            raise ConfigurationError(
                msg,
                advice=f"Maak het sleutelbestand privé: chmod 600 {path}",
            )
        return file.read(_MAX_SIZE_BYTES)


def _write(path: Path, body: bytes) -> None:
    """Make a new file with mode 0600 and bring it to the disk. Raises: OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _replace(draft: Path, path: Path, *, body: bytes) -> None:
    """Fill the draft and put it in the place of the file, in one step. Raises: OSError."""
    with draft.open("r+b") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
