"""Every text of templates and pages is in the English catalogue, and none is empty or fuzzy."""

from __future__ import annotations

import re

from babel.messages.catalog import Message

from sync_engine import cases, options, outcome, plans
from sync_engine.health import State, Trouble
from tests.support.catalogue import english, said, texts
from web.pages import labels

PLACE = re.compile(r"%\(\w+\)s")


def told(message: Message) -> list[str]:
    """The translation; of a plural both."""
    string = message.string
    return [string] if isinstance(string, str) else list(string or ())


def test_every_text_is_translated_and_no_translation_is_of_nothing() -> None:
    assert sorted(texts(english())) == sorted(texts(said()))


def test_no_translation_is_empty_or_fuzzy() -> None:
    for name, message in texts(english()).items():
        strings = told(message)
        assert strings, name
        assert all(strings), name
        assert not message.fuzzy, name


def test_a_translation_fills_in_the_same_places() -> None:
    for message in texts(english()).values():
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        for one, other in zip(ids, told(message), strict=True):
            assert set(PLACE.findall(one)) == set(PLACE.findall(other)), one


def test_whatever_the_engine_names_has_a_word() -> None:
    """A kind that is added to the engine needs a word here, or its page would fail."""
    assert set(labels.TROUBLES) == set(Trouble)
    assert set(labels.STATES) == set(State)
    assert set(labels.CASE_KINDS) == set(cases.KINDS)
    assert set(labels.CASE_KINDS.values()) == set(cases.KINDS.values())
    assert set(labels.RUN_KINDS) == set(options.Kind)
    assert set(labels.OUTCOMES) == set(outcome.Outcome) | {"running"}
    assert set(labels.OUTCOME_STATE) == set(labels.OUTCOMES)
    assert set(labels.PLAN_STATES) >= set(plans.STATES)
    assert set(labels.PLAN_STATE) == set(labels.PLAN_STATES)
    assert set(labels.OPS) == set(plans.OPS)
    assert set(labels.DECISIONS) == set(options.Verdict)
    assert set(labels.READING_STATE) == set(labels.READINGS)
