"""What was probably meant by a name that is not known."""

from __future__ import annotations

from config.nearest import choice, nearest


def test_the_nearest_comes_first_whatever_its_case() -> None:
    known = ["somtoday-demo", "magister", "SOMTODAY-oud"]
    assert nearest("Somtoday-dmo", known)[0] == "somtoday-demo"
    assert nearest("xyzzy", known) == []


def test_advice_names_what_was_meant_and_what_there_is() -> None:
    assert choice("magistr", ["somtoday", "magister"]) == (
        "Bedoelt u magister? Kies een van: somtoday, magister."
    )
    assert choice("zzz", ["somtoday", "magister"]) == "Kies een van: somtoday, magister."
    assert choice("zzz", []) == "Er is er geen."


def test_a_long_list_is_not_printed_whole() -> None:
    many = [f"school-{number:03}" for number in range(300)]
    assert choice("school-2999", many).startswith("Bedoelt u school-299, ")
    assert len(choice("zzz", many)) < 250
    assert choice("zzz", many).endswith("en 288 andere.")
