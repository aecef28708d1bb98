"""Fragments: parts of the configuration in files of their own, that commands write.

Beside `koppelhub.toml` stands the folder `koppelhub.d`; every `*.toml` in it is laid over the main
file, in the order of the names. A command writes a whole file or none, only when the whole
configuration is sound with it, and never a secret.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from config.errors import ConfigurationError
from config.toml import anchored, read_tables, refuse_literal_secrets

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}").fullmatch
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_HEAD: Final = "# Written by koppelhub; a person may change it.\n"

Tables = dict[str, Any]
Layer = tuple[str, Tables]
Stamp = tuple[tuple[str, int, int, int], ...]
"""Of each file: its path, when it was written, its size and its number on the disk."""


def folder_of(main: Path) -> Path:
    """Where the fragments of a configuration file stand."""
    return main.with_name(f"{main.stem}.d")


def layers(main: Path, *, draft: Mapping[Path, Tables] | None = None) -> list[Layer]:
    """The fragments of a configuration file, in their order.

    Args:
        main: the file that they belong to.
        draft: what stands in some of them instead of what is written.

    Raises: ConfigurationError as `read_tables`.
    """
    draft = draft or {}
    folder = folder_of(main)
    files = set(folder.glob("*.toml")) if folder.is_dir() else set()
    return [
        (str(file), draft[file] if file in draft else read_tables(file))
        for file in sorted(files | set(draft))
    ]


def stamp(main: Path, *others: Path) -> Stamp:
    """What changes whenever one of the files of a configuration does, comes, or goes."""
    folder = folder_of(main)
    found = []
    for file in (main, *others, *(sorted(folder.glob("*.toml")) if folder.is_dir() else ())):
        try:
            seen = file.stat()
        except OSError:  # it went meanwhile, or never was: that is told when it is read
            continue
        found.append((str(file), seen.st_mtime_ns, seen.st_size, seen.st_ino))
    return tuple(found)


def change(
    main: Path,
    name: str,
    edit: Callable[[Tables], Tables],
    *,
    check: Callable[[Mapping[Path, Tables]], object],
) -> Path:
    """Change one fragment, or make it, and say where it stands.

    Args:
        main: the configuration file.
        name: of the fragment, without its ending.
        edit: makes the tables that are to stand there of those that do.
        check: raises where the whole configuration is not sound with them.

    Raises: ConfigurationError if it is not, a secret stands in it, or it cannot be written.
    """
    if _NAME(name) is None:
        raise ConfigurationError(f"{name!r} is no name of a file of settings")
    file = folder_of(main) / f"{name}.toml"
    with _locked(file.parent):
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        made = to_toml(edit(tomllib.loads(text)))
        tables = tomllib.loads(made)
        refuse_literal_secrets(tables, file)
        check({file: anchored(tables, file.parent.resolve())})
        _replace(file, _HEAD + made)
    return file


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among those who write fragments of this configuration."""
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise _not_written(folder, exc) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(file: Path, text: str) -> None:
    """The whole file or the one that was there; also when the machine stops."""
    draft = file.with_suffix(".new")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        descriptor = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise _not_written(file, exc) from None


def _not_written(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: cannot be written ({error.strerror})",
        advice="Draai deze opdracht als een gebruiker die in de map van de configuratie mag "
        "schrijven.",
    )


# -- writing TOML ----------------------------------------------------------------------------------


def to_toml(tables: Mapping[str, Any]) -> str:
    """Tables as TOML: plain values first, then tables, then lists of tables."""
    return "".join(_lines(tables, ())).lstrip("\n")


def _lines(tables: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for key, value in tables.items():
        if not _is_section(value):
            yield f"{_key(key)} = {_value(value)}\n"
    for key, value in tables.items():
        here = (*path, key)
        name = ".".join(map(_key, here))
        if _is_tables(value):
            for item in value:
                yield f"\n[[{name}]]\n"
                yield from _lines(item, here)
        elif _is_section(value):
            yield f"\n[{name}]\n"
            yield from _lines(value, here)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _is_section(value: object) -> bool:
    """Whether a value has a heading of its own; a reference to a secret has not."""
    if isinstance(value, dict):
        return not (len(value) == 1 and not {"env", "file"}.isdisjoint(value))
    return _is_tables(value)


def _key(name: str) -> str:
    return name if _BARE(name) else _text(name)


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case date():
            return value.isoformat()
        case str():
            return _text(value)
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
            return f"{{ {inner} }}"
        case _:
            message = f"a {type(value).__name__} has no place in a configuration"
            raise TypeError(message)


def _text(text: str) -> str:
    """A text as JSON writes it, which TOML reads, but for one sign."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
