"""Test or production: what belongs to which, so that the two are never mixed.

A pupil's number hashed with one environment's salt and sent to the other gives a pseudonym of
nobody, which no error ever tells. So a salt says what it is for, known addresses do too, and a
pseudonym of the other environment is refused when it comes in.

Spec: eckid.md, sections 4 and 5 (that the texts occur CONFIRMED; the guards ASSUMED).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from config.web import is_loopback


class Omgeving(StrEnum):
    """An environment of the number facility, as the settings name it."""

    TEST = "test"
    PRODUCTIE = "productie"

    @property
    def is_test(self) -> bool:
        """Whether its pseudonyms are those of the test environment."""
        return self is Omgeving.TEST


HOSTS: Final = {
    "service.ketenid.nl": Omgeving.PRODUCTIE,
    "service.eckid.nl": Omgeving.PRODUCTIE,
    "service-q.eckid.nl": Omgeving.TEST,  # qualification
    "service-q.ketenid.nl": Omgeving.TEST,
    "service-s.eckid.nl": Omgeving.TEST,  # sandbox
    "service-s.ketenid.nl": Omgeving.TEST,
    "service-a.eckid.nl": Omgeving.TEST,  # acceptance
    "service-a.ketenid.nl": Omgeving.TEST,
    "service-t.ketenid.nl": Omgeving.TEST,
}
"""Hosts that are known; of any other the setting `omgeving` is believed."""


def of_address(endpoint: str) -> Omgeving | None:
    """The environment that an address is known to be of; this machine is a test."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".").lower()
    return Omgeving.TEST if is_loopback(host) else HOSTS.get(host)
