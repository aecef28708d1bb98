"""The part of the demo in which a school on Magister gets its ECK iDs.

A small school, a number facility over real mutual TLS, and hashes at their real cost: about a
second of a core for each pupil. The hub reads Magister, hashes the numbers that it may read for
this purpose, and asks; the second time nobody is hashed or asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from config.clock import Clock
from fixtures.sandbox.eckid import EckIdSandbox
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.school.plan import Shape, plan_school
from fixtures.school.school import School
from sector.identifiers import Schooljaar

BRIN: Final = "97XX"
LAS: Final = "magister-demo"
ECKID: Final = "eckid-demo"
_PUPILS: Final = 5
_SECRET: Final = "magister.secret"  # noqa: S105 - the name of a file
_SALT: Final = "eckid.salt"

_CONFIGURATION: Final = """
# Een tweede bestuur, met een school op Magister. De hub verkrijgt haar ECK iD's zelf.
[[tenant]]
name = "demo-magister"
title = "Stichting Magistervoorbeeld"

[[tenant.school]]
brin = "{brin}"
name = "Het Magistervoorbeeld"

[[source]]
name = "{las}"
system = "magister"
tenant = "demo-magister"
schedule = "30 2 * * *"

[[source.pgn]]
purpose = "eckid"
legal_basis = "WVO 2020, pseudonimisering"
agreed_on = 2026-08-01

[source.options]
base_url = "{base_url}"
username = "{username}"
password = {{ file = "{secret}" }}

[[source]]
name = "{eckid}"
system = "eckid"
tenant = "demo-magister"
schedule = "0 3 * * *"

[[source.pgn]]
purpose = "eckid"
legal_basis = "WVO 2020, pseudonimisering"
agreed_on = 2026-08-01

[source.options]
salt = {{ file = "{salt}" }}
batch_from = "2"  # al bij twee leerlingen een batch, zoals bij een hele school
{options}
"""


@dataclass(frozen=True, slots=True)
class MagisterSchool:
    """The school, and the facility that it asks."""

    magister: MagisterSandbox
    facility: EckIdSandbox

    @property
    def configuration(self) -> str:
        """What is added to the configuration of the demo."""
        told = self.facility.options
        options = "\n".join(f'{name} = "{told[name]}"' for name in told if name != "salt")
        return _CONFIGURATION.format(
            brin=BRIN,
            las=LAS,
            eckid=ECKID,
            base_url=self.magister.base_url,
            username=self.magister.account.user,
            secret=_SECRET,
            salt=_SALT,
            options=options,
        )

    @property
    def asked(self) -> tuple[int, int]:
        """How many persons the facility was asked for, and how often in all."""
        hpgns = self.facility.facility.counts.hpgns
        return len(hpgns), sum(hpgns.values())

    def install(self, directory: Path) -> None:
        """Write the secrets beside the configuration."""
        for name, secret in (
            (_SECRET, self.magister.account.password),
            (_SALT, self.facility.options["salt"]),
        ):
            (directory / name).touch(mode=0o600)
            (directory / name).write_text(secret, encoding="utf-8")


@contextmanager
def magister_school(folder: Path, *, today: date, clock: Clock) -> Iterator[MagisterSchool]:
    """A school on Magister and a number facility, on the clock of the demo.

    Args:
        folder: where the certificates are written.
        today: the day that the school is in.
        clock: of the demo.
    """
    year = Schooljaar.of(today).first_year
    plan = plan_school(_PUPILS, 2, shapes=(Shape.PRO,), year=year, today=today, brin=BRIN)
    with (
        MagisterSandbox(School(plan)) as magister,
        EckIdSandbox(folder, schools=(f"00000007000{BRIN}00000",), now=clock.now) as facility,
    ):
        yield MagisterSchool(magister, facility)
