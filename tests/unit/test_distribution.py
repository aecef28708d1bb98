"""The rooms stand in the root under their own names: no other distribution may own them."""

from __future__ import annotations

from importlib.metadata import entry_points, packages_distributions

import pytest

ROOMS = (
    "cli",
    "config",
    "connectors",
    "console",
    "fixtures",
    "mappings",
    "oso",
    "sector",
    "sync_engine",
    "web",
)


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_distribution_owns_a_room(room: str) -> None:
    assert set(packages_distributions().get(room, ["koppelhub"])) <= {"koppelhub"}


def test_the_command_and_the_systems_are_declared() -> None:
    scripts = {point.name: point.value for point in entry_points(group="console_scripts")}
    assert scripts["koppelhub"] == "cli:main"
    assert "somtoday" in {point.name for point in entry_points(group="koppelhub.connectors")}
    assert "somtoday" in {point.name for point in entry_points(group="koppelhub.mappings")}
