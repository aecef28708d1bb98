"""A BRIN of which two boards have vestigingen: neither is told of the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.alerts import Alerts
from config.errors import ConfigurationError
from config.operators import Role
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from sync_engine.alerts import notices
from sync_engine.alerts.delivery import deliver
from sync_engine.alerts.post import at_each_board, post_report, post_reports
from sync_engine.alerts.weekly import weekly
from sync_engine.enrolment import NewSource, link_source
from sync_engine.onboarding import ways
from sync_engine.store.engine import Store
from tests.support.boards import NEW, OLD, Boards, boards, fill
from tests.support.mailbox import mailbox
from tests.support.memory import MemorySource
from tests.unit.sync_engine.test_alerts import BASE

MONDAY = datetime(2026, 11, 30, 6, 30, tzinfo=UTC)  # half past seven at school
CONTACTS = {OLD: "oud@school.example", NEW: "nieuw@school.example"}


@pytest.fixture
def board(sqlite_store: Store, tmp_path: Path) -> Iterator[Boards]:
    """99XX01 with two pupils at the old board, 99XX02 with one at the new one; both read."""
    sources = {name: MemorySource(tuple(Entity)) for name in ("s0", "s1")}
    fill(sources["s0"], "noord", vestiging="99XX01", pupils={"a": 1, "b": None}, staff={})
    fill(sources["s1"], "zuid", vestiging="99XX02", pupils={"c": None}, staff={})
    with ExitStack() as stack:
        made = stack.enter_context(boards(sqlite_store, tmp_path, {"s0": OLD, "s1": NEW}, sources))
        made.nights()
        yield made


def of_school(board: Boards, port: int = 1) -> None:
    """Each board has a contact for the school."""
    settings = board.made.hub.settings
    tenants = tuple(
        tenant.model_copy(
            update={
                "school": tuple(
                    one.model_copy(update={"contact": CONTACTS[tenant.name]})
                    if one.brin.reveal() == "99XX"
                    else one
                    for one in tenant.school
                )
            }
        )
        for tenant in settings.tenant
    )
    mail = {**BASE["mail"], "port": port}
    changed = {"tenant": tenants, "alerts": Alerts.model_validate(BASE | {"mail": mail})}
    board.made.hub = replace(board.made.hub, settings=settings.model_copy(update=changed))


def test_who_acts_for_one_board_sees_no_steps_of_the_other(board: Boards) -> None:
    hub = board.made.hub
    desk = replace(hub, actor=Actor("petra", Role.HELPDESK, frozenset({OLD})))
    assert [way.source for way in ways(desk, school="99XX")] == ["s0"]
    assert [way.source for way in ways(hub, school="99XX")] == ["s0", "s1"]


def test_each_board_gets_a_report_of_its_own_part(board: Boards) -> None:
    made = board.made
    made.clock.set(MONDAY)
    with mailbox() as box:
        of_school(board, box.port)
        assert post_reports(made.hub) == 2
        assert post_reports(made.hub) == 0
        assert deliver(made.hub).sent == 2
    texts = dict(zip((to for (to,), _ in box.letters), box.texts, strict=True))
    assert set(texts) == set(CONTACTS.values())
    for (tenant, address), own, other, pupils in zip(
        CONTACTS.items(), ("s0", "s1"), ("s1", "s0"), ("2 leerlingen", "1 leerling"), strict=True
    ):
        assert own in texts[address], tenant
        assert other not in texts[address], tenant
        assert f"leveren {pupils}." in texts[address], tenant


def test_a_report_of_both_together_goes_to_neither(board: Boards) -> None:
    of_school(board)
    hub = board.made.hub
    with pytest.raises(ConfigurationError):
        post_report(hub, weekly(hub, "99XX"))
    for each in at_each_board(hub, "99XX"):
        assert post_report(each, weekly(each, "99XX"))
    with hub.store.work() as work:
        told = [one.document for one in notices.waiting(work)]
    assert sorted(document["tenant"] for document in told) == [NEW, OLD]


def test_a_koppeling_is_given_to_neither_unasked(board: Boards) -> None:
    new = NewSource("som", "somtoday", "99XX02", {}, {})
    with pytest.raises(ConfigurationError, match="more than one tenant: oud, nieuw"):
        link_source(board.made.hub, new, None)
