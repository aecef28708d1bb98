"""An installation of the hub for one benchmark: settings, keys and a database in one directory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.data import Dataset
from benchmarks.source import FilesConnector
from config.clock import SystemClock
from config.keyring import Keyring
from config.settings import Settings
from sync_engine.hub import Hub
from sync_engine.store.engine import Store
from sync_engine.store.keys import record_keys

SOURCE: Final = "somtoday-bench"
"""Name of the koppeling."""

_SETTINGS: Final = f"""
[database]
url = "sqlite:///{{folder}}/hub.db"
[keys]
file = "{{folder}}/hub.keys"
[[tenant]]
name = "bench"
title = "Stichting Meting"
[[tenant.school]]
brin = "99XX"
name = "School De Haven"
[[source]]
name = "{SOURCE}"
system = "somtoday"
tenant = "bench"
"""


def install(folder: Path) -> Path:
    """Make settings, keys and an empty database; the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "koppelhub.toml"
    path.write_text(_SETTINGS.format(folder=folder))
    settings = Settings.load(path, {})
    keyring = Keyring.create(settings.keys.file)
    with Store.open(settings.database.resolve(), create=True) as store:
        store.upgrade()
        record_keys(store, keyring, now=SystemClock().now())
    return path


def open_hub(folder: Path, data: Dataset, variant: str = "same") -> Hub:
    """The hub of an installation, reading one variant of the data."""
    settings = Settings.load(folder / "koppelhub.toml", {})
    connect = lambda source, clock: FilesConnector(data, variant)  # noqa: E731
    return Hub.open(settings, SystemClock(), connect=connect)
