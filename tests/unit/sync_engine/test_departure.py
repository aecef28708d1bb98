"""One school of a board leaves: what is hers alone goes, and who is elsewhere too stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.settings import Settings
from mappings.canonical.fields import Entity
from sync_engine import departure
from sync_engine.departure import leave_school
from sync_engine.errors import RunActiveError
from sync_engine.hub import Hub
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from tests.support.boards import core, fill, sound
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource
from tests.support.reorganised import WHOLE

BOARD = "bestuur"
LEAVES, STAYS = "99XX", "98XX"
PUPILS = {"a1": None, "samen": 7}
WHO: dict[str, Any] = {"operator": "jan", "why": "gaat per augustus"}


def configuration(*schools: str, **koppelingen: str) -> str:
    """The schools of the board, and koppeling → the vestiging that it reads, or nothing for all."""
    listed = "".join(f'[[tenant.school]]\nbrin = "{b}"\nname = "S"\n' for b in schools)
    sources = "".join(
        f'[[source]]\nname = "{name}"\nsystem = "memory"\ntenant = "{BOARD}"\n'
        + (f'vestigingen = ["{only}"]\n' if only else "")
        for name, only in koppelingen.items()
    )
    return (
        '[database]\nurl = "sqlite:///unused.db"\n[keys]\nfile = "keys.json"\n'
        f'[[tenant]]\nname = "{BOARD}"\ntitle = "Bestuur"\n{listed}{sources}'
    )


def sources(*, leaving: bool = True) -> dict[str, MemorySource]:
    """`a` reads the school that leaves, `b` the one that stays, `c` one of each, apart."""
    made = {name: MemorySource(tuple(Entity), scope_keys=("hoofd",)) for name in "ab"}
    made["c"] = MemorySource(tuple(Entity), scope_keys=("hier", "weg"))
    if leaving:
        # "samen" is known at both schools, by his ECK iD
        fill(
            made["a"],
            "a",
            vestiging=f"{LEAVES}11",
            pupils={"a1": None, "samen": 7},
            staff={"da": 1},
        )
        fill(made["c"], "w", vestiging=f"{LEAVES}12", pupils={"w1": None}, staff={}, scope="weg")
    fill(made["b"], "b", vestiging=f"{STAYS}21", pupils={"b1": None, "ook": 7}, staff={"db": 1})
    fill(made["c"], "h", vestiging=f"{STAYS}22", pupils={"h1": None}, staff={}, scope="hier")
    return made


def board(store: Store, folder: Path, given: dict[str, MemorySource]) -> Bench:
    text = configuration(LEAVES, STAYS, a="", b="", c="")
    made = bench(store, folder, sources=given, configuration=text)
    made.policy(guards=WHOLE)
    for _ in range(2):
        made.later(24)
        for name in given:
            report = made.sync(name)
            assert report.error == ""
    return made


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Iterator[Bench]:
    one = board(store, tmp_path, sources())
    yield one
    one.close()


@pytest.fixture
def quick(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    one = board(sqlite_store, tmp_path, sources())
    yield one
    one.close()


def without(made: Bench, text: str | None = None) -> None:
    """Ops takes the school out of the configuration."""
    path = made.hub.settings.origin
    assert path is not None
    path.write_text(text or configuration(STAYS, b="", c=f"{STAYS}22"), encoding="utf-8")
    policy = made.hub.settings.policy
    settings = Settings.load(path, env={}).model_copy(update={"policy": policy})
    made.hub = replace(made.hub, settings=settings)


def names(made: Bench) -> list[str]:
    return sorted(str(row[0]) for row in made.query("SELECT roepnaam FROM leerling"))


def test_what_is_hers_alone_goes_and_who_is_elsewhere_too_stays(made: Bench) -> None:
    assert len(names(made)) == 5
    without(made)
    before = made.dump(without=frozenset())
    preview = leave_school(made.hub, BOARD, LEAVES, dry=True, **WHO)
    assert made.dump(without=frozenset()) == before
    assert (preview.koppelingen, preview.parts, preview.together) == (["a"], ["c"], [])
    assert preview.goes["leerling"] == 2
    assert preview.stays["leerling"] == 1
    done = leave_school(made.hub, BOARD, LEAVES.lower(), **WHO)
    assert (done.goes, done.stays) == (preview.goes, preview.stays)
    assert {"leerling", "shadow", "koppeling", "tenant_key", "core_salt"} <= set(done.rows)
    assert names(made) == ["Kind b1", "Kind h1", "Kind ook"]
    assert made.query("SELECT name FROM koppeling ORDER BY name") == [("b",), ("c",)]
    assert made.query("SELECT COUNT(*) FROM tenant_key") == [(1,)]
    left = made.query("SELECT vestigingsnummer FROM vestiging ORDER BY 1")
    assert left == [(f"{STAYS}21",), (f"{STAYS}22",)]
    sound(made)
    # what is left is what the other schools say, and stays so
    made.sources["c"].scope_keys = ("hier",)
    tenant = int(made.query("SELECT id FROM tenant WHERE name = ?", BOARD)[0][0])
    told = core(made, tenant)
    for _ in range(2):
        made.later(24)
        for name in "bc":
            report = made.sync(name)
            assert (report.error, report.steps) == ("", {}), name
    assert core(made, tenant) == told
    assert leave_school(made.hub, BOARD, LEAVES, **WHO).is_empty


@pytest.mark.parametrize(
    "text",
    [
        configuration(LEAVES, STAYS, b="", c=f"{STAYS}22"),
        configuration(STAYS, a="", b="", c=f"{STAYS}22"),
        configuration(STAYS, b="", c=""),
    ],
    ids=["the school", "a koppeling of hers", "a koppeling that reads her too"],
)
def test_while_the_configuration_names_or_reads_her_nothing_goes(quick: Bench, text: str) -> None:
    without(quick, text)
    before = quick.dump(without=frozenset())
    with pytest.raises(ConfigurationError) as caught:
        leave_school(quick.hub, BOARD, LEAVES, **WHO)
    assert "configuratie" in caught.value.advice
    assert quick.dump(without=frozenset()) == before


def test_what_is_no_school_of_it_or_is_under_way_stays(quick: Bench) -> None:
    without(quick)
    before = quick.dump(without=frozenset({"tenant", "koppeling"}))
    for tenant, school in ((BOARD, "nee"), ("niemand", LEAVES)):
        with pytest.raises(ConfigurationError):
            leave_school(quick.hub, tenant, school, **WHO)
    assert leave_school(quick.hub, BOARD, "97XX", **WHO).is_empty
    (number,) = quick.query("SELECT id FROM koppeling WHERE name = 'a'")[0]
    with lease(quick.hub.store, f"koppeling-{number}"), pytest.raises(RunActiveError):
        leave_school(quick.hub, BOARD, LEAVES, **WHO)
    assert quick.dump(without=frozenset({"tenant", "koppeling"})) == before


def test_a_school_that_is_read_together_with_others_is_told_and_stays(
    sqlite_store: Store, tmp_path: Path
) -> None:
    given = sources()
    given["c"].brins["weg"] = given["c"].brins["hier"] = (f"{LEAVES}12", f"{STAYS}22")
    made = board(sqlite_store, tmp_path, given)
    without(made)
    report = leave_school(made.hub, BOARD, LEAVES, dry=True, **WHO)
    assert (report.koppelingen, report.together) == (["a"], ["c"])
    made.close()


def _killed_at(hub: Hub, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process does it, and is killed where it comes to that function."""
    child = os.fork()
    if child == 0:  # pragma: no cover - the process that dies

        def die(*_: object, **__: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(departure, place, die)
        leave_school(hub, BOARD, LEAVES, **WHO)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("place", ["transfer", "leave", "_fold_again"])
def test_killed_anywhere_the_same_command_goes_on(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    made = board(sqlite_store, tmp_path, sources())
    without(made)
    made.close()
    url = str(made.hub.store.url.render_as_string(hide_password=False))
    made.hub.store.close()
    child = replace(made.hub, store=Store.open(url))
    child.store.close()
    _killed_at(child, place, monkeypatch)
    made.hub = replace(made.hub, store=Store.open(url))
    leave_school(made.hub, BOARD, LEAVES, **WHO)
    assert names(made) == ["Kind b1", "Kind h1", "Kind ook"]
    assert made.query("SELECT name FROM koppeling ORDER BY name") == [("b",), ("c",)]
    assert made.query("SELECT COUNT(*) FROM tenant_key") == [(1,)]
    sound(made)
    for name in "bc":
        made.later(24)
        assert made.sync(name).error == ""
    made.close()
    made.hub.store.close()
