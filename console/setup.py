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

    Raises: ConfigurationError if there is an installation already.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / "koppelhub.toml"
    if path.exists():
        raise ConfigurationError(
            f"{path} exists already",
            advice="Kies een lege map, of gebruik wat er staat met `koppelhub doctor`.",
        )
    text = configuration or files("config").joinpath("example.toml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
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
