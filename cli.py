"""The command `koppelhub`: arguments, wiring of the rooms, printing, exit codes."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
