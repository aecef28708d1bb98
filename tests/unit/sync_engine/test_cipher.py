from __future__ import annotations

import traceback
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from config.keyring import Keyring
from sync_engine.errors import StoreError
from sync_engine.store import cipher as cipher_module
from sync_engine.store import keys as stored_keys
from sync_engine.store.cipher import TenantCipher, new_tenant_key, rewrap, unwrap
from sync_engine.store.engine import Store

NOW = datetime(2026, 8, 1, tzinfo=UTC)
RING = Keyring({"k1": b"1" * 32}, "k1")
OTHER_RING = Keyring({"k1": b"2" * 32}, "k1")
BOTH_RINGS = Keyring({"k1": b"1" * 32, "k2": b"3" * 32}, "k2")
ROW = new_tenant_key(1, 1, masters=RING)
NEXT_ROW = new_tenant_key(1, 2, masters=RING)
SALT = bytes(range(16))
PLAIN = b"bsn 111222333"


@pytest.fixture
def cipher() -> TenantCipher:
    return TenantCipher(1, [ROW], masters=RING)


def _rotated() -> TenantCipher:
    return TenantCipher(1, [replace(ROW, active=False), NEXT_ROW], masters=RING)


@given(st.binary(max_size=2000), st.binary(max_size=40), st.booleans())
def test_what_was_encrypted_comes_back(plain: bytes, context: bytes, compress: bool) -> None:
    person = TenantCipher(1, [ROW], masters=RING).person(SALT)
    blob = person.encrypt(plain, context, compress=compress)
    assert person.decrypt(blob, context) == plain


def test_two_encryptions_of_one_value_differ(cipher: TenantCipher) -> None:
    person = cipher.person(SALT)
    assert len({person.encrypt(PLAIN, b"c") for _ in range(50)}) == 50


@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(place: int, change: int) -> None:
    person = TenantCipher(1, [ROW], masters=RING).person(SALT)
    blob = bytearray(person.encrypt(PLAIN * 9, b"raw|7", compress=True))
    blob[place % len(blob)] ^= change
    with pytest.raises(StoreError, match=r"^raw\|7: "):
        person.decrypt(bytes(blob), b"raw|7")


@pytest.mark.parametrize("length", [0, 1, 3, 15, 30])
def test_a_shortened_blob_is_noticed(cipher: TenantCipher, length: int) -> None:
    person = cipher.person(SALT)
    with pytest.raises(StoreError):
        person.decrypt(person.encrypt(PLAIN, b"c")[:length], b"c")


def test_a_blob_cannot_be_moved_to_another_place_or_person(cipher: TenantCipher) -> None:
    blob = cipher.person(SALT).encrypt(PLAIN, b"raw|1")
    with pytest.raises(StoreError):
        cipher.person(SALT).decrypt(blob, b"raw|2")
    with pytest.raises(StoreError):
        cipher.person(SALT[::-1]).decrypt(blob, b"raw|1")


def test_an_erased_salt_makes_it_unreadable(cipher: TenantCipher) -> None:
    blob = cipher.person(SALT).encrypt(PLAIN, b"raw|1")
    with pytest.raises(StoreError) as caught:
        cipher.person(b"")
    assert "gewist" in caught.value.advice
    for guess in (bytes(16), b"\xff" * 16):
        with pytest.raises(StoreError):
            cipher.person(guess).decrypt(blob, b"raw|1")


def test_a_blob_of_another_tenant_does_not_open() -> None:
    other = TenantCipher(2, [new_tenant_key(2, 1, masters=RING)], masters=RING)
    mine = TenantCipher(1, [ROW], masters=RING)
    with pytest.raises(StoreError):
        other.person(SALT).decrypt(mine.person(SALT).encrypt(PLAIN, b"c"), b"c")
    assert other.index("bsn", "111222333") != mine.index("bsn", "111222333")
    assert other.fingerprint(SALT)(PLAIN) != mine.fingerprint(SALT)(PLAIN)


def test_another_master_key_is_refused_with_advice() -> None:
    with pytest.raises(StoreError) as caught:
        TenantCipher(1, [ROW], masters=OTHER_RING)
    assert "sleutelbestand" in caught.value.advice


@pytest.mark.parametrize(
    "changed",
    [
        {"wrapped": ROW.wrapped[:-1]},
        {"wrapped": b""},
        {"wrapped": NEXT_ROW.wrapped},
        {"check_value": NEXT_ROW.check_value},
        {"version": 2},
        {"tenant_id": 2},
    ],
)
def test_a_changed_key_row_is_refused(changed: dict[str, object]) -> None:
    row = replace(ROW, **changed)  # type: ignore[arg-type] # each is a field of it
    with pytest.raises(StoreError):
        TenantCipher(row.tenant_id, [row], masters=RING)


def test_exactly_one_key_is_active() -> None:
    for rows in ([], [replace(ROW, active=False)], [ROW, NEXT_ROW]):
        with pytest.raises(StoreError, match="exactly one"):
            TenantCipher(1, rows, masters=RING)


def test_a_rotated_key_reads_the_old_and_writes_the_new(cipher: TenantCipher) -> None:
    rotated = _rotated()
    old = cipher.person(SALT).encrypt(PLAIN, b"c")
    new = rotated.person(SALT).encrypt(rotated.person(SALT).decrypt(old, b"c"), b"c")
    assert not cipher.needs_rotation(old)
    assert rotated.needs_rotation(old)
    assert not rotated.needs_rotation(new)
    assert rotated.person(SALT).decrypt(new, b"c") == PLAIN
    only_new = TenantCipher(1, [NEXT_ROW], masters=RING)
    assert only_new.person(SALT).decrypt(new, b"c") == PLAIN
    with pytest.raises(StoreError, match="unknown"):
        only_new.person(SALT).decrypt(old, b"c")


def test_rotating_encryption_leaves_indexes_and_fingerprints(cipher: TenantCipher) -> None:
    rotated = _rotated()
    assert rotated.index("bsn", "1") == cipher.index("bsn", "1")
    assert rotated.fingerprint(b"s")(b"x") == cipher.fingerprint(b"s")(b"x")
    second = TenantCipher(1, [replace(ROW, active=False), NEXT_ROW], masters=RING, index_version=2)
    assert second.index("bsn", "1") != cipher.index("bsn", "1")
    with pytest.raises(StoreError, match="no key 3"):
        TenantCipher(1, [ROW], masters=RING, index_version=3)


def test_rewrapping_keeps_the_key_under_the_new_master() -> None:
    fresh = rewrap(ROW, masters=BOTH_RINGS)
    assert fresh.master_id == "k2"
    assert unwrap(fresh, masters=BOTH_RINGS) == unwrap(ROW, masters=RING)
    only_new = Keyring({"k2": b"3" * 32}, "k2")
    assert unwrap(fresh, masters=only_new) == unwrap(ROW, masters=RING)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_an_index_is_equal_for_equal_parts_only(one: list[str], two: list[str]) -> None:
    cipher = TenantCipher(1, [ROW], masters=RING)
    assert (cipher.index("k", *one) == cipher.index("k", *two)) == (one == two)
    assert cipher.index("k", *one) != cipher.index("l", *one)
    assert len(cipher.index("k", *one)) == 16


def test_a_fingerprint_depends_on_salt_and_body(cipher: TenantCipher) -> None:
    first = cipher.fingerprint(b"a")
    assert first(b"x") == first(b"x") == cipher.fingerprint(b"a")(b"x")
    assert (
        len(
            {
                first(b"x"),
                first(b"y"),
                cipher.fingerprint(b"ax")(b""),
                cipher.fingerprint(b"")(b"ax"),
            }
        )
        == 4
    )
    assert len(first(b"x")) == 16


def test_compression_is_used_where_it_helps_only(cipher: TenantCipher) -> None:
    person = cipher.person(SALT)
    long, short = b'{"naam": "x"}' * 100, b"x"
    assert len(person.encrypt(long, b"c", compress=True)) < 100
    assert len(person.encrypt(short, b"c", compress=True)) == len(person.encrypt(short, b"c"))


def test_a_blob_never_unpacks_without_bounds(
    cipher: TenantCipher, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = cipher.person(SALT)
    blob = person.encrypt(b"0" * 5000, b"c", compress=True)
    monkeypatch.setattr(cipher_module, "MAX_PLAIN_SIZE_BYTES", 4999)
    with pytest.raises(StoreError, match="unpack"):
        person.decrypt(blob, b"c")
    with pytest.raises(StoreError, match="larger"):
        person.encrypt(b"0" * 5000, b"c")


@pytest.mark.parametrize("packed", [b"", b"not zstd", zstandard.compress(b"x" * 99)[:-3]])
def test_damaged_compression_is_an_error_of_ours(cipher: TenantCipher, packed: bytes) -> None:
    with pytest.raises(StoreError, match=r"^c: .*unpack"):
        cipher_module._Packer().unpack(packed, b"c")


def test_a_frame_that_hides_its_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"0" * 100)
    with pytest.raises(StoreError, match="unpack"):
        cipher_module._Packer().unpack(frame, b"c")


def test_nothing_shows_a_key_or_a_value(cipher: TenantCipher) -> None:
    person = cipher.person(SALT)
    with pytest.raises(StoreError) as caught:
        person.decrypt(person.encrypt(PLAIN, b"raw|1"), b"raw|2")
    shown = "".join(traceback.format_exception(caught.value))
    assert "111222333" not in shown + repr(cipher) + repr(person)
    assert "wrapped" not in repr(ROW)


def test_a_tenants_key_is_made_once_and_found_again(store: Store) -> None:
    with store.work() as work:
        work.execute("INSERT INTO tenant (id, name, title) VALUES (1, 'a', '')")
    first = stored_keys.open_tenant_cipher(store, RING, 1, now=NOW)
    again = stored_keys.open_tenant_cipher(store, RING, 1, now=NOW)
    blob = first.person(SALT).encrypt(PLAIN, b"c")
    assert again.person(SALT).decrypt(blob, b"c") == PLAIN
    assert stored_keys.add_tenant_key(store, RING, 1, now=NOW) == 2
    rotated = stored_keys.open_tenant_cipher(store, RING, 1, now=NOW)
    assert rotated.needs_rotation(blob)
    assert rotated.person(SALT).decrypt(blob, b"c") == PLAIN
    assert stored_keys.rewrap_tenant_keys(store, BOTH_RINGS) == 2
    assert stored_keys.rewrap_tenant_keys(store, BOTH_RINGS) == 0
    moved = stored_keys.open_tenant_cipher(store, BOTH_RINGS, 1, now=NOW)
    assert moved.person(SALT).decrypt(blob, b"c") == PLAIN
    with pytest.raises(StoreError, match="no key to rotate"):
        stored_keys.add_tenant_key(store, RING, 2, now=NOW)


def test_a_process_with_other_keys_refuses_to_start(store: Store) -> None:
    with pytest.raises(StoreError):
        stored_keys.verify_keys(store, RING)
    stored_keys.record_keys(store, RING, now=NOW)
    stored_keys.record_keys(store, RING, now=NOW)
    stored_keys.verify_keys(store, RING)
    for stranger in (OTHER_RING, Keyring({"k9": b"9" * 32}, "k9"), BOTH_RINGS):
        with pytest.raises(StoreError) as caught:
            stored_keys.verify_keys(store, stranger)
        assert "sleutelbestand" in caught.value.advice
    with pytest.raises(StoreError):
        stored_keys.record_keys(store, OTHER_RING, now=NOW)
    with pytest.raises(StoreError):
        stored_keys.record_keys(store, Keyring({"k9": b"9" * 32}, "k9"), now=NOW)
    stored_keys.record_keys(store, BOTH_RINGS, now=NOW)
    stored_keys.verify_keys(store, BOTH_RINGS)
    stored_keys.verify_keys(store, RING)
