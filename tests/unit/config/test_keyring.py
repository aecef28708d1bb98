"""The key file: private, complete, never overwritten, never shown."""

from __future__ import annotations

import base64
import json
import os
import pickle
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.keyring import Keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "koppelhub.keys"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def test_a_created_file_is_private_and_loads_again(path: Path) -> None:
    old = os.umask(0)
    try:
        made = Keyring.create(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = Keyring.load(path)
    assert loaded.active_id == made.active_id
    assert loaded.key(made.active_id) == made.key(made.active_id)
    assert len(made.key(made.active_id)) == 32


def test_two_files_hold_different_keys(tmp_path: Path) -> None:
    one, two = Keyring.create(tmp_path / "one"), Keyring.create(tmp_path / "two")
    assert one.key(one.active_id) != two.key(two.active_id)
    assert one.check_value(one.active_id) != two.check_value(two.active_id)


def test_a_key_file_is_never_overwritten(path: Path) -> None:
    Keyring.create(path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="never overwritten"):
        Keyring.create(path)
    assert path.read_bytes() == before


def test_a_missing_file_says_what_to_run(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing") as caught:
        Keyring.load(path)
    assert "koppelhub init" in caught.value.advice


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused(path: Path, mode: int) -> None:
    Keyring.create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="must be 0600") as caught:
        Keyring.load(path)
    assert "chmod 600" in caught.value.advice


GOOD_KEY = base64.b64encode(b"\xa7" * 32).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        '{"version": 1, "active": "a", "keys": {}}',
        '{"version": 1, "active": "b", "keys": {"a": "%s"}}' % GOOD_KEY,  # noqa: UP031
        '{"version": 1, "active": "a", "keys": {"a": "cGllcGtsZWlu"}}',
        '{"version": 1, "active": "a", "keys": {"a": "%s"}, "more": 1}' % GOOD_KEY,  # noqa: UP031
        '{"version": 2, "active": "a", "keys": {"a": "%s"}}' % GOOD_KEY,  # noqa: UP031
        '{"version": 1, "active": "a", "keys": {"a": "***"}}',
    ],
)
def test_a_malformed_file_is_refused_without_showing_a_key(path: Path, text: str) -> None:
    write(path, text)
    with pytest.raises(ConfigurationError) as caught:
        Keyring.load(path)
    error: BaseException | None = caught.value
    while error is not None:
        assert GOOD_KEY not in str(error) + repr(error)
        assert "cGllcGtsZWlu" not in str(error) + repr(error)
        error = error.__cause__
    assert "back-up" in caught.value.advice


def test_a_folder_is_not_a_key_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read|is not a file"):
        Keyring.load(tmp_path)


def test_rotation_adds_an_active_key_and_keeps_the_old_one(path: Path) -> None:
    first = Keyring.create(path)
    second = first.rotate()
    third = Keyring.load(path).rotate()
    assert len({first.active_id, second.active_id, third.active_id}) == 3
    assert third.key_ids == (first.active_id, second.active_id, third.active_id)
    assert third.key(first.active_id) == first.key(first.active_id)
    assert Keyring.load(path).active_id == third.active_id
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_rotations_lose_no_key(path: Path) -> None:
    ring = Keyring.create(path)
    one = ring.rotate()
    two = ring.rotate()
    assert two.key(one.active_id) == one.key(one.active_id)


def test_a_rotation_that_was_broken_off_is_reported(path: Path) -> None:
    ring = Keyring.create(path)
    path.with_name(path.name + ".rotating").touch()
    with pytest.raises(ConfigurationError, match="broken off"):
        ring.rotate()
    assert Keyring.load(path).key_ids == ring.key_ids


def test_a_rotation_of_a_broken_file_leaves_no_draft(path: Path) -> None:
    ring = Keyring.create(path)
    write(path, "broken")
    with pytest.raises(ConfigurationError):
        ring.rotate()
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ConfigurationError, match="no file"):
        Keyring({"a": bytes(32)}, "a").rotate()


def test_an_unknown_key_is_a_configuration_error(path: Path) -> None:
    ring = Keyring.create(path)
    with pytest.raises(ConfigurationError, match="no key with id k1"):
        ring.derive("blind-index", key_id="k1")


def test_derived_keys_differ_by_purpose_and_master_key_and_are_stable() -> None:
    ring = Keyring({"a": bytes(32), "b": b"\x01" * 32}, "a")
    derived = {
        ring.derive("one"),
        ring.derive("two"),
        ring.derive("one", key_id="b"),
        ring.key("a"),
    }
    assert len(derived) == 4
    # RFC 5869 with no salt, 32 zero bytes and this info; computed with another implementation
    assert ring.derive("one").hex() == (
        "f5e5440b20d61efea6fe6c5282272b3ace2b971a522efdaef6d3fb2acaa11264"
    )
    assert ring.derive("one") == Keyring({"a": bytes(32)}, "a").derive("one")


def test_a_keyring_never_shows_a_key(path: Path) -> None:
    ring = Keyring.create(path)
    key = ring.key(ring.active_id)
    encoded = json.loads(path.read_text())["keys"][ring.active_id]
    shown = f"{ring} {ring!r}"
    assert encoded not in shown
    assert key.hex() not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(ring)
    assert not hasattr(ring, "__dict__")
