"""Configuration files as plain tables: read, laid over each other, paths made absolute.

Nothing is judged here but the syntax and one rule: a secret never stands in a file as it is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from config.errors import ConfigurationError

_SECRET_NAME: Final = re.compile(
    r"(?:^|[_-])(?:secret|password|passwd|wachtwoord|passphrase|api_?key|private_?key)$|^token$",
    re.IGNORECASE,
)
_URL_PASSWORD: Final = re.compile(r"://[^/@\s]*:[^/@\s]+@|[?&]password=", re.IGNORECASE)
_SQLITE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|:memory:|$|file:)(.+)").fullmatch
_SYNTAX: Final = re.compile(r"\(at (line \d+, column \d+|end of document)\)")


def read_tables(path: Path) -> dict[str, Any]:
    """One TOML file, its relative paths made absolute from its own folder.

    Raises: ConfigurationError if it cannot be read, is not TOML (with the line), or holds a secret.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        message = f"{path}: the file does not exist"
        raise ConfigurationError(
            message,
            advice="Maak een configuratie met `koppelhub init`, of noem er een met --config.",
        ) from None
    except OSError as exc:
        message = f"{path}: cannot be read ({exc.strerror})"
        raise ConfigurationError(message) from exc
    except UnicodeDecodeError:
        message = f"{path}: is not UTF-8"
        raise ConfigurationError(message) from None
    except tomllib.TOMLDecodeError as exc:
        place = _SYNTAX.search(str(exc))
        message = f"{path}: {place[1] if place else 'somewhere'}: is not TOML"
        raise ConfigurationError(
            message, advice="Verbeter de genoemde regel; zie config/example.toml voor de vorm."
        ) from None
    refuse_literal_secrets(tables, path)
    absolute: dict[str, Any] = anchored(tables, path.resolve().parent)
    return absolute


def refuse_literal_secrets(tables: dict[str, Any], path: Path) -> None:
    """Refuse a secret that stands in the file as it is.

    Raises: ConfigurationError, which names file and key.
    """
    for key, value in _texts(tables):
        name = key.rpartition(".")[2]
        if _SECRET_NAME.search(name) or _URL_PASSWORD.search(value):
            message = f"{path}: {key}: holds a secret; give a reference to it"
            raise ConfigurationError(
                message,
                advice=f"Zet het geheim in de omgeving of in een bestand en schrijf {name} = "
                '{ env = "NAAM" } of { file = "pad" }.',
            )


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay tables over tables: tables are merged, the rest is replaced.

    Lists of tables that have a `name` are merged by it: an overlay changes one koppeling without
    repeating the others.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and not _is_reference(value):
            merged[key] = laid_over(old, value)
        elif _is_named(old) and _is_named(value):
            merged[key] = _merged_by_name(old, value)
        else:
            merged[key] = value
    return merged


def _merged_by_name(below: Any, above: Any) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = list(below)
    for table in above:
        for place, old in enumerate(merged):
            if old["name"] == table["name"]:
                merged[place] = laid_over(old, table)
                break
        else:
            merged.append(table)
    return merged


def _is_named(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value)
    )


def _is_reference(value: dict[str, Any]) -> bool:
    """Whether a table is a reference to a secret, that replaces another as a whole."""
    return len(value) == 1 and not {"env", "file"}.isdisjoint(value)


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the tables, with its dotted key."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, f"{key}[{place}]")
    elif isinstance(value, str):
        in_reference = key.endswith((".env", ".file"))
        if not in_reference:
            yield key, value


def anchored(value: Any, folder: Path) -> Any:
    """The same tables; every relative `file` and SQLite address made absolute from a folder."""
    if isinstance(value, dict):
        return {
            name: str(folder / item)
            if name == "file" and isinstance(item, str)
            else anchored(item, folder)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [anchored(item, folder) for item in value]
    if isinstance(value, str) and (match := _SQLITE(value)):
        return f"{match[1]}{folder / match[2]}"
    return value
