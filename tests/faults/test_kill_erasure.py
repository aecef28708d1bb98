"""Who erases a person, killed with SIGKILL: he is there, or gone, and who comes next ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.erasure import acts
from sync_engine.erasure.listing import list_path, read_list
from sync_engine.hub import Hub
from sync_engine.store.engine import Store
from sync_engine.store.work import Row, Work
from tests.faults.test_kill_upkeep import KEEPS_ON, die, killed
from tests.support.hubs import Bench, bench

PLACES = (1, 4, 30, 80, 130, 180, 230, 280, 10_000)
"""Of the statements that write; an erasure has some hundreds."""
ON_SERVER = (4, 60, 130, 10_000)
"""Where all of it is one transaction of a server: the list, its beginning, halfway."""
OF_TRAILS = frozenset({"audit", "audit_anchor"})


def dying_at(hub: Hub, core_id: int, place: int) -> Callable[[], None]:
    """Erase a pupil in a process that dies at so many statements that write."""

    def act() -> None:
        with Store.open(hub.store.url.render_as_string(hide_password=False)) as store:
            with store.work() as work:
                kind = type(work)
            plain, left = kind.execute, [place]

            def execute(work: Work, sql: str, params: Sequence[object] = ()) -> list[Row]:
                if sql.startswith(KEEPS_ON):
                    left[0] -= 1
                    if left[0] == 0:
                        die()
                return plain(work, sql, params)

            kind.execute = execute  # type: ignore[assignment,method-assign] # the process dies of it
            erase(replace(hub, store=store), core_id)

    return act


def erase(hub: Hub, core_id: int) -> None:
    wanted: Any = {"operator": "test", "why": "test", "despite_retention": True}
    acts.erase(hub, Entity.LEERLING, core_id, **wanted)


def school(made: Bench) -> int:
    source = made.sources["s0"]
    for number in range(3):
        key = f"l{number}"
        source.put(
            Entity.LEERLING, key, achternaam=f"Jansen{number}", bsn=synthetic_bsn(number + 1)
        )
        source.put(Entity.INSCHRIJVING, f"i{number}", leerling=key)
        source.put(Entity.VERZORGER, f"o{number}", achternaam="Ouder")
        source.put(Entity.VERZORGER_RELATIE, f"r{number}", verzorger=f"o{number}", leerling=key)
    made.sync()
    return made.core(Entity.LEERLING, "l1")


def test_killed_anywhere_the_person_is_there_or_gone(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    try:
        core_id = school(made)
        path = list_path(made.hub.settings.keys.file)
        whole = made.dump(without=OF_TRAILS)
        made.close()
        died, places = 0, ON_SERVER if store.path is None else PLACES
        for place in places:
            path.unlink(missing_ok=True)
            if not killed(dying_at(made.hub, core_id, place)):
                break
            died += 1
            assert made.dump(without=OF_TRAILS) == whole
            made.close()
        assert died > len(places) // 2
        assert not made.query("SELECT 1 FROM leerling WHERE id = ?", core_id)
    finally:
        made.close()


def test_what_was_broken_off_is_ended_by_the_next_run(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    try:
        core_id = school(made)
        path = list_path(made.hub.settings.keys.file)
        made.close()
        assert killed(dying_at(made.hub, core_id, 12))
        assert len(read_list(path).erased) == 1
        assert made.query("SELECT COUNT(*) FROM leerling") == [(3,)]
        report = made.sync()
        assert report.suppressed > 0
        assert made.query("SELECT COUNT(*) FROM leerling") == [(2,)]
        assert made.query("SELECT COUNT(*) FROM verzorger") == [(2,)]
        assert len(acts.list_erasures(made.hub)) == 1
    finally:
        made.close()
