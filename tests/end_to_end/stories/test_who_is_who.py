"""Stories of who is who: swapped twins, numbers that change, and one child in two records."""

from __future__ import annotations

from fixtures.school.keys import synthetic_bsn
from sector.identifiers import elfproef
from sync_engine.hubkeys import hub_key
from tests.support.coredump import differences
from tests.support.lines import KOPPELING
from tests.support.story import Story

CORRECT, LATER = synthetic_bsn(4_000_001), synthetic_bsn(4_000_002)
ONDERWIJSNUMMER = next(
    text for text in (f"1{number:08d}" for number in range(100)) if elfproef(text) == 5
)


def pupils(story: Story) -> int:
    """How many pupils there are in the core."""
    return len(story.rows("leerling"))


def test_swapped_twins_are_a_case_and_nothing_changes(both: Story) -> None:
    """An administrator typed the one twin's data in the other's record, and the reverse."""
    story = both
    diederik, daan = story.child(10), story.child(11)
    key, other = (story.hub_key(story.number(child)) for child in (diederik, daan))
    before = story.core()

    story.mistakes.swap(diederik, daan)
    report = story.night()
    assert (report["cases"], report["applied"]) == (2, {})
    assert story.told(key, "roepnaam")["value"] == "Diederik"
    assert {case["source_key"] for case in story.cases()} == {
        story.uuid(child) for child in (diederik, daan)
    }
    shown = story.types("case", "show", str(story.cases()[0]["id"])).out
    assert key in shown
    assert other in shown
    story.calm()

    story.mistakes.swap(diederik, daan)  # the school puts it right
    assert story.night()["applied"] == {}
    assert story.cases() == []
    assert differences(before, story.core()) == {}
    story.calm()


def test_two_whose_numbers_differ_do_not_become_one_by_a_wrong_key(story: Story) -> None:
    """Twins were swapped, and who decides the case types the key of the brother."""
    diederik, daan = story.child(10), story.child(11)
    key, other = (story.hub_key(story.number(child)) for child in (diederik, daan))
    count = pupils(story)
    story.mistakes.swap(diederik, daan)
    story.night()
    case = next(c for c in story.cases() if c["source_key"] == story.uuid(diederik))

    wrong = ("case", "link", str(case["id"]), "--to", other, "--why", "x", "--yes")
    for typed in (wrong, ("case", "merge", key, other, "--yes")):
        said = story.shell(*typed)
        assert said.code == 4, said
        assert {key, other} <= set(said.err.split())
        assert "eck_id" in said.err
        assert "Diederik" not in said.err
    nobody, runs = hub_key(999_999), len(story.asks("runs"))
    for typed in ((*wrong[:4], nobody, *wrong[5:]), ("case", "merge", key, nobody, "--yes")):
        said = story.shell(*typed)
        assert (said.code, "there is no leerling with that key" in said.err) == (2, True)
    assert len(story.asks("runs")) == runs  # what cannot be begins no run
    assert pupils(story) == count
    assert len(story.cases()) == 2
    story.types(*wrong[:-1], "--numbers-differ", stdin="j\n")  # a person may insist
    assert pupils(story) == count - 1


def test_the_helpdesk_lets_an_exchange_stand_that_was_meant(story: Story) -> None:
    """The records had been the wrong way round since they were made; now they are right."""
    diederik, daan = story.child(10), story.child(11)
    key = story.hub_key(story.number(diederik))
    story.mistakes.swap(diederik, daan)
    story.night()
    case = next(c for c in story.cases() if c["source_key"] == story.uuid(diederik))
    (words,) = story.offered(case["id"])
    story.types(*words, "--why", "zo bedoeld volgens de school", stdin="j\n")
    story.night()
    assert story.cases() == []
    assert story.row("leerling", key)["roepnaam"] == "Daan"
    story.calm()


def test_names_that_were_swapped_are_turned_back_by_the_helpdesk(story: Story) -> None:
    """Only names and birth dates went wrong, no number says so: a run is undone."""
    diederik, daan = story.child(10), story.child(11)
    key = story.hub_key(story.number(diederik))
    before = story.core()
    names = ("roepnaam", "voornamen", "voorletters", "geboortedatum", "geslacht")

    story.mistakes.swap(diederik, daan, *names)
    report = story.night()
    assert report["applied"]["leerling.change"] == 2
    assert story.row("leerling", key)["roepnaam"] == "Daan"
    assert story.told(key, "roepnaam")["run_id"] == report["run_id"]  # when, and by what
    assert story.before(key, "roepnaam") == ["Diederik"]

    story.types("run", "undo", str(report["run_id"]), "--why", "tweeling verwisseld", stdin="j\n")
    assert differences(before, story.core()) == {}
    story.calm()  # the source still has them swapped: it is not proposed again
    refused = story.asks("refused", "list")
    assert {(r["entity"], r["kind"]) for r in refused if r["key"] == key} == {("leerling", "undo")}

    story.mistakes.swap(diederik, daan, *names)  # the school puts it right
    assert story.night()["applied"] == {}
    assert story.asks("refused", "list") == []
    assert differences(before, story.core()) == {}
    story.calm()


def test_two_records_for_one_pupil_are_one_pupil_where_a_number_says_so(story: Story) -> None:
    """A pupil was entered a second time; the ECK iD is the same."""
    child = story.child(4)
    key, count = story.hub_key(story.number(child)), pupils(story)

    second = story.mistakes.enrol_again(child, 0)
    story.night()
    assert pupils(story) == count
    assert story.links(key) == sorted([story.uuid(child), story.uuid(second)])
    lists = story.groups(key)
    assert len(story.rows("klassenlijst", "leerling_id = ?", story.core_id(key))) == len(lists)
    story.calm()

    story.changes.leave(second)  # the school removes the second record
    story.nights(2)
    assert story.row("leerling", key)["geldig_tot"] is None
    assert story.groups(key) == lists
    assert len(story.enrolments(key)) == 1
    story.calm()


def test_two_records_for_one_pupil_that_nothing_joins_are_merged_by_the_helpdesk(
    story: Story,
) -> None:
    """The second record has a number of its own and no ECK iD: the pupil stands on lists twice."""
    child = story.child(4)
    key, count = story.hub_key(story.number(child)), pupils(story)
    second = story.mistakes.enrol_again(child, 0, without=("eckid",))
    story.changes.patch(story.uuid(second), leerlingnummer=777_002)
    story.night()
    assert pupils(story) == count + 1
    other = story.hub_key("777002")

    merged = ("case", "merge", key, other, "--why", "dubbel ingevoerd volgens de school")
    shown = story.types(*merged, stdin="n\n")
    assert "777002" in shown.out
    assert pupils(story) == count + 1  # shown, and nothing done
    story.types(*merged, stdin="y\n")
    assert pupils(story) == count
    assert story.hub_key("777002") == key
    assert len(story.groups(key)) == len(
        story.rows("klassenlijst", "leerling_id = ?", story.core_id(key))
    )
    assert [d["why"] for d in story.asks("case", "decisions")] == [merged[-1]]
    story.calm()  # the decision survives the runs

    story.changes.leave(second)
    story.nights(2)
    assert story.row("leerling", key)["geldig_tot"] is None
    assert story.told(key, "leerlingnummer")["value"] == story.number(child)
    story.calm()


def test_a_wrong_merge_is_taken_back_without_loss(story: Story) -> None:
    """Two pupils of one name were taken for one; the parents call."""
    one, other = story.child(3), story.child(4)
    keys = [story.hub_key(story.number(child)) for child in (one, other)]
    before = story.core()
    story.types("case", "merge", *keys, "--why", "zelfde kind", "--yes")
    story.nights(2)
    (decision,) = story.asks("case", "decisions")

    story.types("case", "lift", str(decision["act"]), "--why", "toch twee kinderen", stdin="y\n")
    assert story.hub_key(story.number(one)) != story.hub_key(story.number(other))
    assert differences(before, story.core()) == {}
    story.calm()


def test_who_was_wrongly_joined_is_parted_and_stays_so_for_both(story: Story) -> None:
    """Two children were taken for one by their number; the helpdesk parts them."""
    child = story.child(4)
    key, number = story.hub_key(story.number(child)), story.number(child)
    relations = ("verzorger_relatie", "leerling_id = ?", story.core_id(key))
    guardians = len(story.rows(*relations))
    assert guardians
    second = story.mistakes.enrol_again(child, 0, without=("eckid",))
    story.night()
    assert story.links(key) == sorted([story.uuid(child), story.uuid(second)])

    split = ("case", "split", "--source", KOPPELING, "--record", story.uuid(second))
    story.types(*split, "--why", "twee kinderen", "--yes")
    other = story.key_of(story.uuid(second))
    assert other not in {None, key}
    for _ in range(2):
        assert len(story.rows(*relations)) == guardians
        assert len(story.rows(*relations[:2], story.core_id(str(other)))) == guardians
        assert len(story.enrolments(key)) == len(story.enrolments(str(other))) == 1
        story.night()
    story.changes.patch(story.uuid(child), achternaam="Zomerdijk")
    assert story.night()["applied"] == {"leerling.change": 1}
    assert story.cases() == []
    tried = story.asks("correlation", "try", "--source", KOPPELING)
    assert not {story.uuid(child), story.uuid(second)} & {r["source_key"] for r in tried["records"]}
    assert story.told(key, "leerlingnummer")["value"] == number
    story.calm()


def test_a_corrected_bsn_is_the_same_pupil(bsn_story: Story) -> None:
    """The BSN had been mistyped; the school corrects it."""
    story = bsn_story
    child = story.child(4)
    key, count = story.hub_key(story.number(child)), pupils(story)
    wrong = story.told(key, "bsn")["value"]

    story.changes.patch(story.uuid(child), BSN=CORRECT)
    assert story.night()["applied"] == {"leerling.change": 1}
    assert story.hub_key(story.number(child)) == key
    assert story.told(key, "bsn")["value"] == f"…{CORRECT[-4:]}"  # shown by its end only
    assert story.before(key, "bsn") == [wrong]
    assert pupils(story) == count
    story.calm()


def test_the_bsn_of_another_pupil_is_a_case_and_changes_nothing(bsn_story: Story) -> None:
    """While correcting it, somebody typed the BSN of a classmate."""
    story = bsn_story
    child, classmate = story.child(4), story.child(6)
    key, others = (story.hub_key(story.number(pupil)) for pupil in (child, classmate))
    before = story.core()

    story.changes.patch(story.uuid(child), BSN=story.mistakes.shown(classmate)["BSN"])
    report = story.night()
    assert (report["cases"], report["applied"]) == (1, {})
    assert differences(before, story.core()) == {}
    (case,) = story.cases()
    assert (case["kind"], case["source_key"]) == ("contradiction", story.uuid(child))
    shown = story.types("case", "show", str(case["id"])).out
    assert key in shown
    assert others in shown
    assert "bekend bij" in shown
    for words in story.offered(case["id"]):  # what is offered can be typed, and asks first
        assert "Er is niets gewijzigd" in story.types(*words, stdin="n\n").out
    assert differences(before, story.core()) == {}
    story.calm()  # it stays one case
    assert [same["id"] for same in story.cases()] == [case["id"]]

    story.changes.patch(story.uuid(child), BSN=LATER)  # the school mends it
    assert story.night()["cases"] == 0
    assert story.cases() == []
    assert story.told(key, "bsn")["value"] == f"…{LATER[-4:]}"
    assert story.hub_key(story.number(classmate)) == others
    story.calm()


def test_an_onderwijsnummer_in_place_of_a_bsn_waits_for_the_bsn(bsn_story: Story) -> None:
    """A pupil comes without a BSN; the school fills in his onderwijsnummer, and later the BSN."""
    story = bsn_story
    pupil = story.changes.arrive(0, 0)
    story.changes.patch(story.uuid(pupil), BSN=ONDERWIJSNUMMER)
    report = story.night()
    (event,) = report["events"]  # told with its rule, never with the number
    assert "BSN" in event
    assert "elfproef" in event
    assert ONDERWIJSNUMMER not in event
    key = story.hub_key(story.number(pupil))
    assert story.groups(key)  # nothing else of him waits
    story.calm()

    story.changes.patch(story.uuid(pupil), BSN=CORRECT)
    assert story.night()["applied"] == {"leerling.change": 1}
    assert story.hub_key(story.number(pupil)) == key
    assert story.told(key, "bsn")["value"] == f"…{CORRECT[-4:]}"
    story.calm()
