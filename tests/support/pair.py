"""Two schools of one board under one hub, of which an operator may act for one.

Both stand in the koppeling `samen`, each in a scope of its own; the other school alone also in the
koppeling `kanarie-las`, and mine in `eigen`. One pupil is of both. Whatever is of the other school
alone has `kanarie` in its source keys and names. Of each school there is a pin, a decision, a case,
a record in quarantine, a refusal and a step of an open plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mappings.canonical.fields import Entity
from sync_engine.actor import named_actor
from sync_engine.find import hub_key
from sync_engine.hub import Hub
from sync_engine.options import Decision, Kind, Verdict
from sync_engine.pins import pin
from sync_engine.store.engine import Store
from tests.support.boards import fill
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.support.reorganised import WHOLE

MINE: Final = "99XX"
OTHER: Final = "98XX"
CANARY: Final = "kanarie"
CONFIGURATION: Final = """
[database]
url = "sqlite:///hub.db"
[keys]
file = "keys.json"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "Eigen school"
[[tenant.school]]
brin = "98XX"
name = "Andere school"
[[source]]
name = "samen"
system = "memory"
tenant = "bestuur"
[[source]]
name = "kanarie-las"
system = "memory"
tenant = "bestuur"
vestigingen = ["98XX02"]
[[source]]
name = "eigen"
system = "memory"
tenant = "bestuur"
vestigingen = ["99XX01"]
[[operator]]
name = "mies"
[[operator.grant]]
role = "helpdesk"
schools = ["99XX"]
[[operator]]
name = "moos"
[[operator.grant]]
role = "admin"
schools = ["99XX"]
[[operator]]
name = "mia"
role = "read"
tenants = ["bestuur"]
[[operator.grant]]
role = "helpdesk"
schools = ["99XX01"]
[[operator]]
name = "baas"
role = "admin"
"""


@dataclass
class Pair:
    """Both schools, as the helpdesk finds them.

    Attributes:
        mine, other: name of what there is of each school → its number.
        both: the core id of the pupil of both schools.
    """

    made: Bench
    folder: Path
    mine: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)
    both: int = 0
    known: set[str] = field(default_factory=set)

    @property
    def hub(self) -> Hub:
        """The hub as the system uses it."""
        return self.made.hub

    def seen_by(self, name: str) -> Hub:
        """The hub as an operator of the configuration uses it, to read."""
        settings = self.hub.settings
        return replace(self.hub, actor=named_actor(settings, name, origin="proef"))

    def canaries(self) -> set[str]:
        """What must never be told: the hub keys of all that is of the other school alone."""
        rows = self.made.query(
            "SELECT DISTINCT l.core_id FROM link l WHERE NOT EXISTS (SELECT 1 FROM link m "
            "JOIN shadow s ON s.koppeling_id = m.koppeling_id AND s.entity = m.entity AND "
            "s.source_key = m.source_key JOIN scope p ON p.id = s.scope_id "
            "WHERE m.core_id = l.core_id AND p.brins LIKE '%99XX%')"
        )
        return {hub_key(row[0]) for row in rows} | {CANARY}

    def leaks(self, text: str) -> list[str]:
        """The canaries that a text holds."""
        told = text.lower()
        self.known = self.known or self.canaries()
        return sorted(each for each in self.known if each.lower() in told)

    def of_other(self) -> dict[str, list[str]]:
        """Every row of the store that is of the other school alone."""
        cores = [str(row[0]) for row in self._other_cores()]
        listed = ", ".join(cores)
        found: dict[str, list[str]] = {}
        for table, where in (
            *((str(entity), f"id IN ({listed})") for entity in Entity),
            ("pin", f"core_id IN ({listed})"),
            ("link", f"core_id IN ({listed})"),
            ("identificatie", f"eigenaar_id IN ({listed})"),
            ("shadow", f"source_key LIKE '{CANARY}%'"),
            ("decision", f"source_key LIKE '{CANARY}%'"),
            ("zaak", f"source_key LIKE '{CANARY}%'"),
            ("quarantine", f"source_key LIKE '{CANARY}%'"),
            (
                "koppeling_state",
                "koppeling_id = (SELECT id FROM koppeling WHERE name = 'kanarie-las')",
            ),
        ):
            rows = self.made.query(f"SELECT * FROM {table} WHERE {where}")
            found[table] = sorted(map(repr, rows))
        return found

    def _other_cores(self) -> Sequence[tuple[Any, ...]]:
        return self.made.query(
            f"SELECT DISTINCT core_id FROM link WHERE source_key LIKE '{CANARY}%'"
        )


@contextmanager
def pair(store: Store, folder: Path) -> Iterator[Pair]:
    """Both schools, read."""
    sources = {
        "samen": MemorySource(tuple(Entity), scope_keys=tuple(_NAMES)),
        "kanarie-las": MemorySource(tuple(Entity)),
        "eigen": MemorySource(tuple(Entity)),
    }
    _fill(sources)
    made = bench(store, folder, sources=sources, configuration=CONFIGURATION)
    made.policy(guards=WHOLE)
    found = Pair(made, folder)
    try:
        _play(found)
        yield found
    finally:
        made.close()


_NAMES: Final = {"mijn": "nest", "ander": CANARY}
"""Scope of `samen` → what its keys begin with."""
_BESIDE: Final = {"mijn": "eigen", "ander": "kanarie-las"}
"""Scope of `samen` → the koppeling that has the same school."""


def _fill(sources: dict[str, MemorySource]) -> None:
    together = sources["samen"]
    pupils = {"merel": 1, "mus": None, "specht": None}
    fill(together, "nest", vestiging="99XX01", pupils=pupils, staff={"uil": 2}, scope="mijn")
    others = {f"{CANARY} geel": 3, f"{CANARY} rood": None, f"{CANARY} blauw": None}
    staff = {f"{CANARY} meester": 4}
    fill(together, CANARY, vestiging="98XX02", pupils=others, staff=staff, scope="ander")
    for scope, name in _NAMES.items():
        together.put(
            Entity.LEERLING,
            "trekvogel",
            scope,
            achternaam="Trekvogel",
            roepnaam="Tjeerd",
            geboortedatum="2012-02-02",
            leerlingnummer="777",
        )
        together.put(
            Entity.INSCHRIJVING,
            f"{name} i trekvogel",
            scope,
            leerling="trekvogel",
            vestiging=f"{name} v",
            schooljaar="2026/2027",
            geldig_van="2026-08-01",
        )
        together.put(Entity.LEERLING, f"{name} kapot", scope, kapot=True)
        beside = sources[_BESIDE[scope]]
        beside.brins["hoofd"] = together.brins[scope]
        for bird in ("kauw", "valk"):
            beside.put(Entity.LEERLING, f"{name} {bird} b", **_bird(name, bird))
    sources["kanarie-las"].put(Entity.LEERLING, f"{CANARY} ekster", **_bird("", "ekster"))


def _bird(name: str, bird: str) -> dict[str, Any]:
    day = 1 + sum(map(ord, name + bird)) % 28
    called = f"{name} {bird}".strip()
    return {"achternaam": called, "roepnaam": "Tom", "geboortedatum": f"2010-10-{day:02d}"}


def _play(found: Pair) -> None:
    made, together = found.made, found.made.sources["samen"]
    for name in ("kanarie-las", "eigen", "samen"):
        made.sync(name)
    found.both = made.core(Entity.LEERLING, "trekvogel", "samen")
    for scope, name in _NAMES.items():
        for bird in ("kauw", "valk"):
            together.put(Entity.LEERLING, f"{name} {bird}", scope, **_bird(name, bird))
    together.put(Entity.LEERLING, "nest ekster", "mijn", **_bird("", "ekster"))
    made.later()
    made.sync("samen")
    for scope, name in _NAMES.items():
        _act(found, found.mine if scope == "mijn" else found.other, name)
    _refuse(found)
    _plans(found)


def _act(found: Pair, which: dict[str, int], name: str) -> None:
    """A pin and a decision by hand."""
    made, pupil = found.made, {"nest": "merel", CANARY: f"{CANARY} geel"}[name]
    which["leerling"] = core = made.core(Entity.LEERLING, pupil, "samen")
    which["groep"] = made.core(Entity.GROEP, f"{name} g", "samen")
    which["pin"] = pin(
        made.hub,
        core,
        entity=Entity.LEERLING,
        field="roepnaam",
        value=f"Vast {pupil}",
        reason="proef",
        operator="baas",
    )
    made.sync("samen", kind=Kind.REFOLD, cores=(core,))
    decision = Decision(Verdict.IGNORE, Entity.LEERLING, f"{name} kauw")
    made.sync("samen", kind=Kind.DECIDE, decision=decision, why="proef", operator="baas")
    for what, key in (("case", f"{name} valk"), ("broken", f"{name} kapot")):
        rows = made.query("SELECT id FROM zaak WHERE source_key = ? AND state = 'open'", key)
        ((which[what],),) = rows
    rows = made.query("SELECT act FROM decision WHERE source_key = ?", f"{name} kauw")
    ((which["act"],),) = rows


def _refuse(found: Pair) -> None:
    """A change of a pupil of each school that was refused."""
    made, together = found.made, found.made.sources["samen"]
    for scope, key in (("mijn", "mus"), ("ander", f"{CANARY} rood")):
        known = together.here(Entity.LEERLING, scope)[key]
        together.put(Entity.LEERLING, key, scope, **(known | {"roepnaam": f"Nieuw {key}"}))
    report = made.sync("samen", plan_only=True)
    refused = made.sync("samen", kind=Kind.REFUSE, refused=report.plan_id, operator="baas")
    found.mine["refused"] = found.other["refused"] = refused.run_id


def _plans(found: Pair) -> None:
    """Open plans: of both schools, of mine alone, of the other alone."""
    made, sources = found.made, found.made.sources
    changed = (
        ("samen", "mijn", "specht"),
        ("samen", "ander", f"{CANARY} blauw"),
        ("eigen", "hoofd", "nest valk b"),
        ("kanarie-las", "hoofd", f"{CANARY} valk b"),
    )
    for name, scope, key in changed:
        known = sources[name].here(Entity.LEERLING, scope)[key]
        sources[name].put(Entity.LEERLING, key, scope, **(known | {"voorletters": "Q."}))
    for name, which, what in (
        ("samen", found.mine, "both"),
        ("eigen", found.mine, "plan"),
        ("kanarie-las", found.other, "plan"),
    ):
        report = made.sync(name, plan_only=True)
        assert report.plan_id is not None, report.error
        which[what] = report.plan_id
    rows = made.query("SELECT id FROM zaak WHERE source_key = 'nest ekster' AND state = 'open'")
    ((found.mine["hidden"],),) = rows
    found.mine["last"] = made.reports[2].run_id
    found.other["run"] = made.reports[0].run_id
    found.mine["run"] = made.reports[1].run_id
