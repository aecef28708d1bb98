"""Stories of families: a guardian shared by siblings, and what becomes of it."""

from __future__ import annotations

from fixtures.school.persons import address
from tests.support.story import Row, Story


def relations(story: Story, key: str) -> dict[str, Row]:
    """Hub key of each verzorger of a pupil → the relation, ended ones too."""
    from sync_engine.hubkeys import hub_key

    rows = story.rows("verzorger_relatie", "leerling_id = ?", story.core_id(key))
    return {hub_key(row["verzorger_id"]): row for row in rows}


def test_a_guardian_of_siblings_stops_being_that_of_one(story: Story) -> None:
    """The parents of two children separate: one child moves out with another guardian."""
    elder, younger = story.child(10), story.child(11)
    stays, moves = (story.hub_key(story.number(child)) for child in (elder, younger))
    father = story.school.verzorgers_of(elder)[0]
    key = story.key_of(story.uuid(father), "verzorger")
    assert key is not None
    assert key in relations(story, stays).keys() & relations(story, moves).keys()  # one guardian
    family = relations(story, stays)
    count = len(story.rows("verzorger"))
    home = story.told(stays, "adres")["value"]

    story.changes.cut_verzorger(father, younger)
    story.changes.add_verzorger(younger)
    story.changes.patch(story.uuid(younger), adres=address(77))
    story.night()

    assert len(story.rows("verzorger")) == count + 1
    assert relations(story, stays) == family  # nothing of the other child is touched
    now = relations(story, moves)
    ended = {who for who, row in now.items() if row["geldig_tot"] is not None}
    assert ended == {key}  # kept, with its last day
    assert len(now) == len(family) + 1
    assert story.row("verzorger", key)["geldig_tot"] is None  # he still has a child here
    assert story.told(stays, "adres")["value"] == home
    assert story.told(moves, "adres")["value"]["straat"] == address(77)["straat"]
    assert [was["straat"] for was in story.before(moves, "adres")] == [home["straat"]]
    story.calm()


def test_a_guardian_who_moves_moves_for_all_children(story: Story) -> None:
    """The guardian's own address changes: it is one record, whatever the number of children."""
    child = story.child(10)
    guardian = story.school.verzorgers_of(child)[0]
    key = story.key_of(story.uuid(guardian), "verzorger")
    assert key is not None
    story.changes.patch(story.uuid(guardian), adres=address(78), adres_geheim=False)
    assert story.night()["applied"] == {"verzorger.change": 1}
    (place,) = story.rows("adres", "eigenaar_id = ?", story.core_id(key))
    assert place["straat"] == address(78)["straat"]
    story.calm()
