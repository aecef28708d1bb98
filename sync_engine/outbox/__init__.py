"""Outward: what targets should have of the core, as messages that are delivered and confirmed."""
