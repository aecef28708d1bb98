"""Encryption at rest: tenant keys under the master key, person keys under the tenant key.

A tenant has a random key of 32 bytes per version, wrapped under the master key. HKDF makes four of
it: for data, for blind indexes, for fingerprints, for marks. What belongs to one person is
encrypted under a key that is derived from the data key and that person's random salt: without the
salt it can never be read again.

A blob is one byte of format (1 plain, 2 compressed with zstandard), two bytes with the version of
the tenant key, twelve bytes of nonce, and AES-256-GCM's text and tag; the first three bytes and the
context are authenticated with it. The context says where the blob stands, so that blobs cannot be
swapped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from hmac import compare_digest, digest
from os import urandom
from typing import Final, Protocol, TypeAlias

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sync_engine.errors import StoreError

Fingerprint: TypeAlias = Callable[[bytes], bytes]

SALT_SIZE_BYTES: Final = 16
MAX_PLAIN_SIZE_BYTES: Final = 64_000_000
"""No blob unpacks to more than this."""

_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12
_HEADER_SIZE: Final = 3
_TEXT_AT: Final = _HEADER_SIZE + _NONCE_SIZE
_TAG_SIZE: Final = 16
_PLAIN: Final = 1
_COMPRESSED: Final = 2
_WRAP: Final = "tenant-key-wrap"
_WRONG_KEY: Final = (
    "Het sleutelbestand hoort niet bij deze database. Zet het juiste sleutelbestand terug; "
    "zonder dat bestand zijn de versleutelde gegevens niet te lezen."
)
_TAMPERED: Final = (
    "Versleutelde gegevens in de database zijn beschadigd of verplaatst. Zet de database terug uit "
    "de back-up en meld dit bij de beheerder."
)
_ERASED: Final = "De gegevens van deze persoon zijn gewist en kunnen niet meer worden gelezen."


class MasterKeys(Protocol):
    """What the cipher needs of the keyring."""

    @property
    def active_id(self) -> str:
        """Id of the master key under which new keys are wrapped."""

    def derive(self, purpose: str, *, key_id: str | None = None) -> bytes:
        """32 bytes for one purpose, of the master key with that id."""


@dataclass(frozen=True, slots=True, repr=False)
class TenantKeyRow:
    """One version of one tenant's key, as table `tenant_key` holds it.

    Attributes:
        version: 1 to 65535; blobs name it.
        master_id: the master key that it is wrapped under.
        wrapped: nonce and AES-GCM of the key.
        check_value: 16 bytes that recognise the key and do not reveal it.
        active: new blobs are encrypted with it; of one version only.
    """

    tenant_id: int
    version: int
    master_id: str
    wrapped: bytes
    check_value: bytes
    active: bool = True


def new_tenant_key(tenant_id: int, version: int, *, masters: MasterKeys) -> TenantKeyRow:
    """A new random key, wrapped under the active master key."""
    if not 1 <= version <= 0xFFFF:
        raise StoreError("a tenant key's version must be 1 to 65535")
    return _wrapped(tenant_id, version, secrets.token_bytes(_KEY_SIZE), masters=masters)


def rewrap(row: TenantKeyRow, *, masters: MasterKeys) -> TenantKeyRow:
    """The same key under the active master key: what rotating the master key does.

    Raises: StoreError if the row cannot be unwrapped.
    """
    key = unwrap(row, masters=masters)
    fresh = _wrapped(row.tenant_id, row.version, key, masters=masters)
    return replace(fresh, active=row.active)


def unwrap(row: TenantKeyRow, *, masters: MasterKeys) -> bytes:
    """The tenant's key itself.

    Raises: StoreError if the master key is another one, or the row was changed.
    """
    wrapping = AESGCM(masters.derive(_WRAP, key_id=row.master_id))
    nonce, sealed = row.wrapped[:_NONCE_SIZE], row.wrapped[_NONCE_SIZE:]
    try:
        key = wrapping.decrypt(nonce, sealed, _where(row.tenant_id, row.version))
    except (InvalidTag, ValueError):
        key = b""
    if len(key) != _KEY_SIZE or not compare_digest(_check_value(key), row.check_value):
        message = f"tenant {row.tenant_id}: key {row.version} does not open with this master key"
        raise StoreError(message, advice=_WRONG_KEY)
    return key


def _wrapped(tenant_id: int, version: int, key: bytes, *, masters: MasterKeys) -> TenantKeyRow:
    master_id = masters.active_id
    nonce = urandom(_NONCE_SIZE)
    wrapping = AESGCM(masters.derive(_WRAP, key_id=master_id))
    sealed = wrapping.encrypt(nonce, key, _where(tenant_id, version))
    return TenantKeyRow(tenant_id, version, master_id, nonce + sealed, _check_value(key))


def _where(tenant_id: int, version: int) -> bytes:
    return b"tenant-key|%d|%d" % (tenant_id, version)


def _check_value(key: bytes) -> bytes:
    return blake2b(key=key, digest_size=16, person=b"koppelhub-check").digest()


def _derived(key: bytes, purpose: bytes) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=b"koppelhub/" + purpose)
    return hkdf.derive(key)


class TenantCipher:
    """All cryptography of one tenant. Belongs to one thread.

    Args:
        tenant_id: whose keys they are.
        rows: every version that still encrypts something, one of them active.
        masters: the keyring.
        index_version: the version that blind indexes and fingerprints are made with; the oldest,
            where it is not said. It moves only when the columns made with it have been replaced.

    Raises: StoreError if a key does not open, or none is active.
    """

    def __init__(
        self,
        tenant_id: int,
        rows: Sequence[TenantKeyRow],
        *,
        masters: MasterKeys,
        index_version: int | None = None,
    ) -> None:
        active = [row.version for row in rows if row.active]
        if len(active) != 1 or any(row.tenant_id != tenant_id for row in rows):
            message = f"tenant {tenant_id}: of its keys exactly one must be active"
            raise StoreError(message)
        keys = {row.version: unwrap(row, masters=masters) for row in rows}
        index_version = min(keys) if index_version is None else index_version
        if index_version not in keys:
            message = f"tenant {tenant_id}: there is no key {index_version} for its indexes"
            raise StoreError(message)
        self.tenant_id = tenant_id
        self.active_version = active[0]
        self._people = _PersonKeys(
            {version: _derived(key, b"data") for version, key in keys.items()},
            active=self.active_version,
        )
        self._index = blake2b(
            key=_derived(keys[index_version], b"index"), digest_size=16, person=b"koppelhub-index"
        )
        self._fingerprint_key = _derived(keys[index_version], b"fingerprint")
        self._mark_key = _derived(keys[index_version], b"mark")
        self._suppression_key = _derived(keys[index_version], b"suppression")

    def person(self, salt: bytes) -> PersonCipher:
        """The cipher of what belongs to one person.

        Raises: StoreError if the salt is not 16 bytes: an erased one is not there.
        """
        if len(salt) != SALT_SIZE_BYTES:
            raise StoreError("the salt of this person is not there", advice=_ERASED)
        return PersonCipher(salt, self._people)

    def index(self, kind: str, *parts: str) -> bytes:
        """Blind index of 16 bytes: equal for equal parts of one kind within this tenant only."""
        hasher = self._index.copy()
        for part in (kind, *parts):
            body = part.encode("utf-8", "surrogatepass")
            hasher.update(len(body).to_bytes(4, "big") + body)
        return hasher.digest()

    def mark(self, text: str) -> bytes:
        """HMAC-SHA-256 of a text: equal for equal texts within this tenant only.

        It tells that a number changed without keeping the number, also after its person is not in
        the core any more; nothing is searched by it.
        """
        return digest(self._mark_key, text.encode(), "sha256")

    @property
    def suppression_key(self) -> bytes:
        """What erased persons are recognised by: of the version that makes blind indexes.

        It is handed out, for another tenant may get it with the erasures that it is told.
        """
        return self._suppression_key

    def fingerprint(self, salt: bytes) -> Fingerprint:
        """A keyed fingerprint of 16 bytes under one salt, of any length; quick to call often."""
        base = blake2b(key=self._fingerprint_key, digest_size=16, person=b"koppelhub-print")
        base.update(len(salt).to_bytes(4, "big") + salt)
        copy = base.copy

        def fingerprint(body: bytes) -> bytes:
            hasher = copy()
            hasher.update(body)
            return hasher.digest()

        return fingerprint

    def needs_rotation(self, blob: bytes) -> bool:
        """Whether the blob was encrypted with another version than the active one."""
        return int.from_bytes(blob[1:_HEADER_SIZE], "big") != self.active_version

    def __repr__(self) -> str:
        return f"<TenantCipher of tenant {self.tenant_id}>"


class _PersonKeys:
    """What the ciphers of all persons of one tenant share; not for two threads at once.

    Attributes:
        version: the active one.
        header, packed_header: how a blob of the active version begins.
    """

    __slots__ = ("_bases", "header", "packed_header", "packer", "version")

    def __init__(self, data: Mapping[int, bytes], *, active: int) -> None:
        self._bases = {
            version: blake2b(key=key, digest_size=_KEY_SIZE, person=b"koppelhub-person")
            for version, key in data.items()
        }
        self.version = active
        self.header = bytes((_PLAIN, *active.to_bytes(2, "big")))
        self.packed_header = bytes((_COMPRESSED, *active.to_bytes(2, "big")))
        self.packer = _Packer()

    def has(self, version: int) -> bool:
        """Whether the tenant has a key of that version."""
        return version in self._bases

    def cipher(self, salt: bytes, version: int) -> AESGCM:
        """That of one person."""
        key = self._bases[version].copy()
        key.update(salt)
        return AESGCM(key.digest())


class PersonCipher:
    """Encrypts and decrypts what belongs to one person; `TenantCipher.person` makes it."""

    __slots__ = ("_active", "_keys", "_salt")

    def __init__(self, salt: bytes, keys: _PersonKeys) -> None:
        self._salt = salt
        self._keys = keys
        self._active: AESGCM | None = None

    def encrypt(self, plain: bytes, context: bytes, *, compress: bool = False) -> bytes:
        """A blob that opens with this salt, in this context only.

        Args:
            plain: what to keep secret, at most 64 MB.
            context: where it will stand (`raw|42`); no personal data, errors name it.
            compress: pack it first, where that makes it smaller.

        Raises: StoreError if it is too large.
        """
        if len(plain) > MAX_PLAIN_SIZE_BYTES:
            raise _unreadable(context, "is larger than a blob may be")
        keys = self._keys
        header = keys.header
        if compress:
            packed = keys.packer.pack(plain)
            if len(packed) < len(plain):
                header, plain = keys.packed_header, packed
        nonce = urandom(_NONCE_SIZE)
        cipher = self._active or self._of_active()
        return header + nonce + cipher.encrypt(nonce, plain, header + context)

    def decrypt(self, blob: bytes, context: bytes) -> bytes:
        """What was encrypted in this context.

        Raises: StoreError, naming the context, if the blob was changed or moved, was made with
            another salt, or with a key that this tenant no longer has.
        """
        if len(blob) < _TEXT_AT + _TAG_SIZE:
            raise _unreadable(context, "is too short")
        keys, header = self._keys, blob[:_HEADER_SIZE]
        if header == keys.header or header == keys.packed_header:
            cipher = self._active or self._of_active()
        else:
            version = int.from_bytes(header[1:], "big")
            if header[0] not in {_PLAIN, _COMPRESSED} or not keys.has(version):
                raise _unreadable(context, "is of an unknown format or key")
            cipher = keys.cipher(self._salt, version)
        try:
            plain = cipher.decrypt(blob[_HEADER_SIZE:_TEXT_AT], blob[_TEXT_AT:], header + context)
        except InvalidTag:
            plain = None
        if plain is None:
            raise _unreadable(context, "does not open")
        return plain if header[0] == _PLAIN else keys.packer.unpack(plain, context)

    def _of_active(self) -> AESGCM:
        self._active = cipher = self._keys.cipher(self._salt, self._keys.version)
        return cipher

    def __repr__(self) -> str:
        return "<PersonCipher>"


class _Packer:
    """zstandard, its contexts made once; not for two threads at once."""

    def __init__(self) -> None:
        self.pack = zstandard.ZstdCompressor(level=1).compress
        self._unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_PLAIN_SIZE_BYTES)

    def unpack(self, packed: bytes, context: bytes) -> bytes:
        """Raises: StoreError if it is damaged, or does not say a size within bounds."""
        try:
            size = zstandard.get_frame_parameters(packed).content_size
            plain = self._unpacker.decompress(packed) if size <= MAX_PLAIN_SIZE_BYTES else None
        except zstandard.ZstdError:
            plain = None
        if plain is None:
            raise _unreadable(context, "does not unpack")
        return plain


def _unreadable(context: bytes, why: str) -> StoreError:
    where = context[:100].decode("ascii", "replace")
    return StoreError(f"{where}: the encrypted value {why}", advice=_TAMPERED)
