"""Secrets: references that are resolved late and show nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.errors import ConfigurationError
from config.secret import Secret

CANARY = "zeer-geheim-7731"


def test_a_secret_comes_from_the_environment_as_it_is() -> None:
    assert Secret(env="TOKEN").resolve({"TOKEN": f" {CANARY}\t "}) == f" {CANARY}\t "


def test_a_secret_comes_from_the_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPPELHUB_TEST_SECRET", CANARY)
    assert Secret(env="KOPPELHUB_TEST_SECRET").resolve() == CANARY
    with pytest.raises(ConfigurationError):
        Secret(env="KOPPELHUB_TEST_SECRET").resolve({})


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_in_a_file_loses_only_its_line_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f" {CANARY} \n{end}".encode() if end else f" {CANARY} ".encode())
    expected = f" {CANARY} \n" if end else f" {CANARY} "
    assert Secret(file=path).resolve({}) == expected


def test_a_secret_that_is_missing_or_unreadable_is_a_configuration_error(tmp_path: Path) -> None:
    empty, binary, large = tmp_path / "empty", tmp_path / "binary", tmp_path / "large"
    empty.touch()
    binary.write_bytes(b"\xff\xfe" + CANARY.encode())
    large.write_text(CANARY * 6000)
    for secret in [
        Secret(env="NOT_SET"),
        Secret(file=tmp_path / "nowhere"),
        Secret(file=tmp_path),
        Secret(file=empty),
        Secret(file=binary),
        Secret(file=large),
    ]:
        with pytest.raises(ConfigurationError) as caught:
            secret.resolve({})
        assert CANARY not in str(caught.value)
        assert caught.value.advice


@pytest.mark.parametrize("value", [{}, {"env": "A", "file": "b"}, {"env": "A B"}, {"vault": "x"}])
def test_a_reference_names_one_place(value: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Secret.model_validate(value)
