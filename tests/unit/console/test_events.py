"""What a run noticed, told in Dutch; nothing that was written down is lost."""

from __future__ import annotations

import json

import pytest

from console.events import event_text

CHANGED = {"resource": "leerling", "scope": "Noord", "no longer": ["BSN"], "now also": []}


@pytest.mark.parametrize(
    ("kind", "detail", "told"),
    [
        (
            "contract changed",
            {**CHANGED, "version": ["14", "15"]},
            "leerling van Noord: de bron levert anders dan eerst; niet meer: BSN; "
            "versie 14 werd 15",
        ),
        (
            "schema drift",
            {"resource": "vak", "fields": ["a", "b.c"]},
            "vak: de bron levert velden die wij niet kennen: a, b.c",
        ),
        (
            "shrunk",
            {"scope": "Noord", "resource": "leerling", "missing": 40, "blocked": True},
            "leerling van Noord: 40 records ontbreken ineens; er is niets afgesloten",
        ),
        (
            "dropped field",
            {"path": "leerling.email", "rule": "must be an e-mail address", "n": 3, "keys": ["k"]},
            "leerling.email: 3 keer weggelaten: must be an e-mail address",
        ),
        ("quarantine retried", {"records": 2}, "uit de quarantaine opnieuw geprobeerd: 2 records"),
        ("unknown persons", {"records": 2}, "van 2 records kent de kern de persoon niet"),
        ("empty", {"koppeling": "som"}, "de bron van som leverde niets"),
    ],
)
def test_what_a_run_noticed_is_a_sentence(kind: str, detail: object, told: str) -> None:
    assert event_text(f"{kind}: {json.dumps(detail)}") == told


@pytest.mark.parametrize("event", ["shrunk: {}", "empty: no JSON", 'nieuw: {"a": 1}', "los"])
def test_what_is_not_understood_stands_as_it_was_written_down(event: str) -> None:
    assert event_text(event) == event.replace(": ", " ", 1)
