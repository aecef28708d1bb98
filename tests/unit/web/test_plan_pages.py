"""Plans on the page: seen record by record, approved as shown, refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable

from mappings.canonical.fields import Entity
from tests.support.hubs import Bench
from tests.support.seat import Visitor
from tests.unit.web.conftest import JAN, PETRA, Visit, held, open_pupils, trail


def shown(page: str) -> str:
    """What the form carries of the plan that the page shows."""
    return str(re.findall(r'name="shown" value="(\w+)"', page)[0])


def test_an_approved_plan_does_what_was_shown(make: Callable[..., Bench], seated: Visit) -> None:
    bench = make()
    plan = held(bench)
    desk = seated(bench)
    assert f'href="/plannen/{plan}"' in desk.sees("/plannen")
    page = desk.sees(f"/plannen/{plan}")
    assert "3 records wachten op een mens" in page
    assert page.count("leerling Kim Naam") == 3  # who it is about, not keys alone
    answer = desk.does(f"/plannen/{plan}/goedkeuren", shown=shown(page))
    assert open_pupils(bench) == 9
    assert "plan goedgekeurd" in desk.sees(answer.headers["location"])
    lines = [line for line in trail(bench) if line[1].startswith("plan")]
    assert lines == [
        ("petra", "plan show", f"plan {plan}", "10.0.0.4"),
        ("petra", "plan approve", f"plan {plan}", "10.0.0.4"),
    ]
    assert bench.query("SELECT decided_by FROM plan WHERE id = ?", plan) == [("petra",)]


def test_what_changed_since_is_not_done_and_the_new_plan_is_shown(
    one: Bench, seated: Visit
) -> None:
    bench = one
    plan = held(bench)
    desk = seated(bench)
    version = shown(desk.sees(f"/plannen/{plan}"))
    bench.sources["s0"].remove(Entity.LEERLING, "l3")
    for _ in range(2):
        bench.later()
        newer = bench.sync().plan_id
    answer = desk.does(f"/plannen/{plan}/goedkeuren", status=409, shown=version)
    assert "Er is niets gedaan" in answer.text
    assert f"<h1>Plan {newer} " in answer.text
    assert "4 records wachten op een mens" in answer.text
    assert open_pupils(bench) == 12
    desk.does(f"/plannen/{newer}/goedkeuren", shown=shown(answer.text))
    assert open_pupils(bench) == 8


def test_a_plan_is_not_decided_on_twice(one: Bench, seated: Visit) -> None:
    plan = held(one)
    desk = seated(one)
    version = shown(desk.sees(f"/plannen/{plan}"))
    desk.does(f"/plannen/{plan}/goedkeuren", shown=version)
    for what in ("goedkeuren", "weigeren"):
        again = desk.does(f"/plannen/{plan}/{what}", status=409, shown=version, why="te laat")
        assert "goedgekeurd door petra" in again.text


def test_a_refusal_needs_a_reason_and_keeps_it(one: Bench, seated: Visit) -> None:
    plan = held(one)
    desk = seated(one)
    version = shown(desk.sees(f"/plannen/{plan}"))
    for why in ("", "  ", "x"):
        answer = desk.does(f"/plannen/{plan}/weigeren", status=422, shown=version, why=why)
        assert 'aria-invalid="true"' in answer.text
    assert one.query("SELECT state FROM plan WHERE id = ?", plan) == [("held",)]
    desk.does(f"/plannen/{plan}/weigeren", shown=version, why="lijst was leeg")
    assert one.query("SELECT state, decided_by, decided_why FROM plan WHERE id = ?", plan) == [
        ("refused", "petra", "lijst was leeg")
    ]
    assert open_pupils(one) == 12
    assert ("petra", "plan refuse", f"plan {plan}", "10.0.0.4") in trail(one)
    one.later()
    assert one.sync().held == 0  # and it is not proposed again


def test_who_may_only_read_sees_it_and_decides_nothing(one: Bench, seated: Visit) -> None:
    plan = held(one)
    desk = seated(one, JAN)
    page = desk.sees(f"/plannen/{plan}")
    assert "goedkeuren</button>" not in page
    assert "/goedkeuren" not in page
    desk.seat.actor = PETRA
    version = shown(desk.sees(f"/plannen/{plan}"))
    desk.seat.actor = JAN
    answer = desk.does(f"/plannen/{plan}/goedkeuren", status=403, shown=version)
    assert "Dit mag u niet" in answer.text
    assert open_pupils(one) == 12
    assert ("jan", "refused", "command plan approve", "10.0.0.5") in trail(one)


def test_what_is_secret_is_told_as_secret(one: Bench, seated: Visit) -> None:
    source = one.sources["s0"]
    source.put(
        Entity.LEERLING, "l0", achternaam="Naam", telefoon="0612345678", telefoon_geheim=True
    )
    plan = one.sync().plan_id
    page = seated(one).sees(f"/plannen/{plan}?alles=1")
    assert "(geheim)" in page
    assert "12345678" not in page


def test_what_a_source_delivers_is_text_and_never_markup(one: Bench, seated: Visit) -> None:
    evil = "<script>alert(1)</script>"
    one.sources["s0"].put(Entity.LEERLING, "l0", achternaam=evil, roepnaam="\"'><img src=x>")
    plan = one.sync().plan_id
    page = seated(one).sees(f"/plannen/{plan}?alles=1")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_plan_is_chosen_from(one: Bench, seated: Visit) -> None:
    plan = held(one)
    desk: Visitor = seated(one)
    assert "leerling Kim" not in desk.sees(f"/plannen/{plan}?entiteit=groep")
    assert desk.sees(f"/plannen/{plan}?bewerking=close").count("leerling Kim") == 3
    desk.sees(f"/plannen/{plan}?entiteit=toverstaf&bewerking=toveren")  # is as if not asked


def test_a_plan_that_was_replaced_does_not_say_that_it_waits(one: Bench, seated: Visit) -> None:
    plan = held(one)
    one.later()
    assert one.sync().held == 3
    page = seated(one).sees(f"/plannen/{plan}")
    assert "vervangen" in page
    assert "wachten op een mens" not in page
    assert "vastgehouden</span></h1>" not in page
