"""docs/helpdesk.md, followed by somebody who has read nothing else.

Every command that the page shows is typed as it stands there, but for numbers of plans, runs, cases
and decisions, which are those of this school; and what it answers is what the page promises.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.sandbox.faults import ImpossibleDate
from tests.support.coredump import differences
from tests.support.shell import Said
from tests.support.story import Story

PAGE = Path(__file__).parents[3] / "docs" / "helpdesk.md"
_BIRTH = "geboortedatum"
SOUGHT = "den Oudendijk 03-02-2014\n"

# What is typed → what the answer says, in this order, of the school that `troubled` makes.
LOOKS: dict[str, str] = {
    "todo": r"plannen die wachten 1.*open zaken 1.*koppelhub plan show PLAN.*koppelhub case show",
    "plan list": r"PLAN +somtoday-demo +vastgehouden.*contactgegeven/email",
    "plan show 12 --field email": r"email: 100\d+@leerling.voorbeeld.example -> -",
    "plan show 12 --held": r"Plan PLAN .*wacht op een mens: \d\d\n.*vastgehouden: contactgegeven",
    "runs": r"PLANRUN +somtoday-demo +full +vastgehouden.*UNDONE +somtoday-demo +full +klaar",
    "run show 34": r"Run UNDONE van somtoday-demo \(full\): klaar.*leerling +2 +2",
    "refused list": r"leerling +\S+ +K-\S+ +gewijzigd +\d+ \(undo\)",
    "explain leerling --find -": r"leerling K-150\n.*achternaam +Oudendijk +somtoday-demo",
    "explain leerling --find - --field achternaam": r"achternaam: verandert als somtoday-demo",
    "explain leerling --find - --field roepnaam": r"Noa +vastgezet \(1\)",
    "explain verzorger K-2NB": r"verzorger K-2NB\n.*adres ",
    "state leerling --find -": r"P1A +K-\S+ +leerling.*verzorger_relatie K-\S+: verzorger ",
    "state leerling --find - --on 2026-10-01": r"K-150 op 2026-10-01\n.*P1A .*2027-07-31",
    "state leerling --find - --as-known 2026-10-01": r"De hub kende dit record toen niet",
    "history leerling --find -": r"gemaakt .*run 1, .*vastgezet \(pin 1\).*: wacht op de school",
    "audit show --subject K-150": r"pin +K-150",
    "audit verify": r"Het logboek is heel",
    "case list": r"CASE +sleutels spreken elkaar tegen",
    "case show 7": r"Kandidaat K-\S+ .*gelijk.*koppelhub case link CASE --to K-",
    "case decisions": r"DECISION +link .*dubbel",
    "quarantine list --school 99XX": r"geboortedatum +waarschuwing.*Verbeter in Somtoday",
    "connectors check": r"network +goed.*shape +goed",
    "diff --source somtoday-demo --school 99XX": r"leerling +0 +\d\d +0 .*email",
    "diff --source somtoday-demo --school 99XX --csv verschil.csv": r"Kern en somtoday-demo",
    "pin list --idle": r"1 +leerling K-150 .*roepnaam +Noa +somtoday-demo: Noa",
    "explain leerling K-150": r"leerling K-150\n.*achternaam +Oudendijk",
    # Somtoday delivers ECK iDs: what a school is told for which the hub obtains none; with such a
    # koppeling the same commands are typed in tests/end_to_end/test_eckid.py
    "eckid status --school 99XX": r'met een ECK iD van de administratie.*system = "eckid"',
    "eckid replacements": "Er is niets voorgesteld",
    'erase leerling --find - --why "verzoek van de ouders" --dry-run': (
        r"leerling K-150 van .*: zou gewist worden.*leerling +1.*Verzorgers .*: somtoday-demo"
    ),
    "erase list": "Er is niemand gewist",
}

# What else is typed → what it shows and asks, answered with `n`; of a resync, what it read.
ACTS: dict[str, str] = {
    'plan refuse 12 --why "school heeft de adressen per ongeluk gewist"': "Plan PLAN weigeren?",
    'plan refuse 12 --why "school: lijst was leeg door een storing"': "Plan PLAN weigeren?",
    'plan refuse 12 --why "Somtoday is teruggezet uit een backup"': "Plan PLAN weigeren?",
    "plan approve 12": r"email: .* -> -.*Plan PLAN toepassen\?",
    "run undo 34": r"Run UNDONE ongedaan maken\?",
    'run undo 34 --why "tweeling verwisseld in Somtoday"': r"Run UNDONE ongedaan maken\?",
    'run undo 34 --why "Somtoday is teruggezet uit een backup"': r"Run UNDONE ongedaan maken\?",
    'case merge K-150 K-Z92 --why "dubbel ingevoerd volgens de school"': "gaat op in K-150",
    'case merge K-150 K-Z92 --why "verhuisd naar de andere vestiging, nieuw nummer"': "gaat op in",
    'case link 7 --to K-150 --why "school: hetzelfde kind"': r"Zaak CASE zo beslissen\?",
    'case create 7 --why "school: een ander kind"': r"Zaak CASE zo beslissen\?",
    'case ignore 7 --why "testleerling"': r"Zaak CASE zo beslissen\?",
    "case note 7": "Genoteerd bij zaak CASE",
    'case lift 5 --why "toch twee kinderen"': r"nieuw leerling.*Besluit DECISION terugnemen\?",
    'pin set leerling K-150 roepnaam --why "wacht op de school" --until 2026-12-01': "vastzetten",
    "pin lift 3": r"wacht op de school.*Dit losmaken\?",
    "refused lift --source somtoday-demo --run 36": r"nu .*, wordt .*Dit weer laten meetellen\?",
    "quarantine retry --source somtoday-demo": "Er staat niets in quarantaine",
    "resync leerling --find -": r"alleen hij en zijn verzorgers.*leerling +2 +2 +1 .*vastgehouden",
    "resync groep P1A": r"leerling +2 +2 +\d\d +0 ",
    "resync school 99XX02": r"lesgroep +1 +1 +\d.*vastgehouden",
    "eckid obtain --school 99XX": r"docs/eckid-school\.md",
    'eckid replace K-150 --why "BSN na onderwijsnummer"': "er valt niets te vervangen",
    "eckid approve K-150": "koppelhub eckid replacements",
    'erase leerling K-150 --why "verzoek van de ouders" --despite-retention': (
        r"zou gewist worden.*Er is niets gewist.*Deze persoon voorgoed wissen"
    ),
}


def page(*, looks: bool) -> list[str]:
    """The commands of the page that only look, or the others, as they stand there."""
    text = PAGE.read_text(encoding="utf-8")
    typed = dict.fromkeys(re.findall(r"^(?:\$ )?koppelhub (.*)$", text, re.MULTILINE))
    return [line for line in typed if (line in LOOKS) is looks]


@pytest.fixture
def troubled(story: Story) -> tuple[Story, dict[str, str]]:
    """A school in which something of everything waits; and what numbers there are here."""
    doubled = story.mistakes.enrol_again(story.child(3), 0, without=("eckid", "leerlingnummer"))
    story.night()
    one, other = (story.key_of(story.uuid(child)) for child in (story.child(3), doubled))
    story.types("case", "merge", str(one), str(other), "--why", "dubbel ingevoerd", "--yes")
    story.changes.patch(story.uuid(story.child(5)), roepnaam="Verkeerd")
    undone = story.night()["run_id"]
    story.types("run", "undo", str(undone), "--why", "verkeerd", "--yes")
    story.types(
        *("pin", "set", "leerling", "K-150", "roepnaam", "--why", "wacht op de school"),
        *("--until", "2026-12-01"),
        stdin="Noa\nj\n",
    )
    story.changes.patch(story.uuid(story.child(4)), roepnaam="Noa")
    mixed = story.mistakes.enrol_again(story.child(8), 0)  # the ECK iD is this child's
    other_child = story.mistakes.shown(story.child(9))
    story.changes.patch(
        story.uuid(mixed), **{name: other_child[name] for name in ("leerlingnummer", _BIRTH)}
    )
    story.line.sandbox.misbehave(ImpossibleDate(path="/leerling", at=12, field="geboortedatum"))
    for place in range(6, 20):
        story.changes.patch(story.uuid(story.child(place)), emailadres=None)
        story.changes.patch(story.uuid(story.child(place, 1)), emailadres=None)
    held = story.night()
    story.line.sandbox.behave()
    assert held["outcome"] == "held"
    numbers = {
        "PLAN": held["plan_id"],
        "PLANRUN": held["run_id"],
        "UNDONE": undone,
        "CASE": story.cases()[0]["id"],
        "DECISION": 1,
        "PIN": 1,
        "REFUSED": story.asks("refused", "list")[0]["run_id"],
    }
    return story, {name: str(number) for name, number in numbers.items()}


_OURS = {"plan": "PLAN", "run": "UNDONE", "case": "CASE", "case lift": "DECISION", "pin": "PIN"}


def typed(told: tuple[Story, dict[str, str]], line: str, tmp_path: Path, *, stdin: str) -> Said:
    """One line of the page, with the numbers that this school has."""
    story, ours = told
    words = shlex.split(line)
    if len(words) > 2 and words[2].isdigit():
        words[2] = ours[_OURS.get(" ".join(words[:2]), _OURS[words[0]])]
    if "--run" in words:
        words[-1] = ours["REFUSED"]
    words = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
    return story.shell(*words, stdin=stdin)


def told_here(every: dict[str, str], ours: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What is typed, and what is answered with the numbers of this school."""
    for line, expected in every.items():
        for name in sorted(ours, key=len, reverse=True):
            expected = expected.replace(name, ours[name])
        yield line, expected


def test_every_look_answers_what_the_page_says_and_changes_nothing(
    troubled: tuple[Story, dict[str, str]], tmp_path: Path
) -> None:
    story, ours = troubled
    before = story.core()
    assert set(page(looks=True)) == set(LOOKS)
    for line, expected in told_here(LOOKS, ours):
        said = typed(troubled, line, tmp_path, stdin=SOUGHT)
        code = 1 if line.startswith(("diff", "eckid status")) else 0
        assert said.code == code, f"{line}: {said.out}{said.err}"
        assert re.search(expected, said.out, re.DOTALL), f"{line}:\n{said.out}"
    assert differences(before, story.core()) == {}
    file = (tmp_path / "verschil.csv").read_text(encoding="utf-8-sig")
    assert file.count(";email;") >= 20


def test_every_act_shows_what_it_does_and_with_no_nothing_changes(
    troubled: tuple[Story, dict[str, str]], tmp_path: Path
) -> None:
    story, ours = troubled
    before = story.core()
    assert set(page(looks=False)) == set(ACTS)
    for line, expected in told_here(ACTS, ours):
        stdin = SOUGHT if "--find" in line else "Noa\nn\n" if line.startswith("pin set") else "n\n"
        said = typed(troubled, line, tmp_path, stdin=stdin)
        told = said.out + said.err
        # what waits of the koppeling waits still, whoever is read again
        code = 3 if line.startswith("resync") else 2 if line.startswith("eckid") else 0
        assert said.code == code, f"{line}: {told}"
        assert re.search(expected, told, re.DOTALL), f"{line}:\n{told}"
    assert differences(before, story.core()) == {}


def test_the_example_of_the_page_is_what_is_seen(story: Story) -> None:
    text = PAGE.read_text(encoding="utf-8")
    command, sought, *expected = re.findall(r"```\n\$ (.*?)```", text, re.DOTALL)[0].splitlines()
    story.night()
    said = story.shell(*shlex.split(command)[1:], stdin=f"{sought}\n")
    seen = {" ".join(line.split()) for line in said.out.splitlines()}
    for line in expected:
        assert " ".join(line.split()) in seen
