"""A new installation: configuration, keys and an empty database."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from config.clock import SystemClock
from config.errors import ConfigurationError
from config.keyring import Keyring
from config.settings import Settings
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys


def initialise(directory: Path, *, configuration: str | None = None) -> dict[str, str]:
    """Make an installation in a directory. Returns what was made: name → path.

    Keys are made here (and in the demo, which uses this) and nowhere else; a file that exists is
    never overwritten.

    Raises: ConfigurationError if there is an installation already, or the directory cannot be
        written.
    """
    path = directory / "koppelhub.toml"
    text = configuration or files("config").joinpath("example.toml").read_text(encoding="utf-8")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as exc:
        raise ConfigurationError(
            f"{path if directory.is_dir() else directory} exists already",
            advice="Kies een lege map, of gebruik wat er staat met `koppelhub doctor`.",
        ) from exc
    except OSError as exc:
        raise ConfigurationError(
            f"{directory}: {type(exc).__name__}",
            advice="Kies een map waarin u mag schrijven.",
        ) from exc
    settings = Settings.load(path)
    keyring = Keyring.create(settings.keys.file)
    store = Store.open(settings.database.resolve(), create=True)
    try:
        store.upgrade()
        record_keys(store, keyring, now=SystemClock().now())
    finally:
        store.close()
    return {
        "configuratie": str(path),
        "sleutels": str(settings.keys.file),
        "database": settings.database.shown(),
    }
