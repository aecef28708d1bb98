from __future__ import annotations

from datetime import date
from itertools import permutations
from typing import Any

import msgspec
import pytest

from mappings.canonical.fields import Entity
from mappings.mapping import Strength
from sync_engine.fold import RETAINED, Claim, Folded, FoldRules, PinValue, Reference, fold

DAY = date(2026, 10, 5)


def claim(koppeling: str = "a", /, *, rank: int = 0, gone: bool = False, **form: Any) -> Claim:
    kept = form.pop("kept", None)
    if kept is not None:
        form[RETAINED] = kept
    return Claim(
        shadow_id=1,
        koppeling=koppeling,
        koppeling_id=ord(koppeling),
        source_key=form.pop("key", "k"),
        rank=rank,
        scope=f"leerling/{rank}",
        form=form,
        gone=gone,
        first_on=DAY,
        observed_on=DAY,
        held_until=form.pop("held", None),
        run_id=7,
        ended=form.pop("ended", False),
    )


def rules(
    order: tuple[str, ...] = (), strengths: dict[tuple[str, str], Strength] | None = None
) -> FoldRules:
    ranks = {name: place for place, name in enumerate(order)}
    return FoldRules(
        authority=lambda entity, name, koppeling: ranks.get(koppeling, len(ranks)),
        strength=lambda entity, name, koppeling: (strengths or {}).get(
            (name, koppeling), Strength.NORMAL
        ),
    )


def folded(
    *claims: Claim,
    entity: Entity = Entity.LEERLING,
    pins: dict[str, PinValue] | None = None,
    by: FoldRules | None = None,
) -> Folded:
    """The fold, which must be the same in every order of the claims."""
    results = [
        fold(entity, order, pins=pins or {}, rules=by or rules()) for order in permutations(claims)
    ]
    for other in results[1:]:
        assert (other.values, other.issued, other.closed, other.start, other.end) == (
            results[0].values,
            results[0].issued,
            results[0].closed,
            results[0].start,
            results[0].end,
        )
    return results[0]


def test_authority_says_who_is_believed() -> None:
    both = claim("a", roepnaam="Anna"), claim("b", roepnaam="Ans")
    assert folded(*both).values["roepnaam"] == "Anna"
    assert folded(*both, by=rules(("b",))).values["roepnaam"] == "Ans"


def test_the_current_scope_is_believed_before_the_next() -> None:
    both = claim(rank=1, roepnaam="later"), claim(rank=0, roepnaam="nu")
    assert folded(*both).values["roepnaam"] == "nu"


def test_a_field_that_nobody_delivers_has_no_winner() -> None:
    result = folded(claim(achternaam="Jansen"))
    assert "roepnaam" not in result.values
    assert "roepnaam" not in result.winners


def test_empty_by_the_believed_source_beats_a_value_elsewhere() -> None:
    both = claim("a", roepnaam=None), claim("b", roepnaam="Ans")
    assert folded(*both).values["roepnaam"] is None


def test_what_is_no_longer_delivered_yields_to_what_is() -> None:
    both = claim("a", roepnaam="oud", kept=["roepnaam"]), claim("b", roepnaam="nieuw")
    assert folded(*both).values["roepnaam"] == "nieuw"
    assert folded(both[0]).values["roepnaam"] == "oud"


def test_what_is_gone_yields_to_what_is_there() -> None:
    both = claim("a", gone=True, roepnaam="weg"), claim("b", roepnaam="hier")
    result = folded(*both)
    assert result.values["roepnaam"] == "hier"
    assert not result.closed


def test_what_stands_in_an_ended_scope_is_believed_last_and_closes_nobody_who_is_there() -> None:
    assert not folded(claim("a", ended=True, gone=True), claim("b", roepnaam="nu")).closed
    assert not folded(claim("a", ended=True, gone=True), claim("b", ended=True)).closed
    both = claim("a", ended=True, roepnaam="oud"), claim("b", roepnaam="nu")
    assert folded(*both).values["roepnaam"] == "nu"


def test_who_was_gone_is_not_opened_again_when_his_scope_ends() -> None:
    gone = claim("a", gone=True, roepnaam="oud")
    ended = msgspec.structs.replace(gone, ended=True)
    twice = msgspec.structs.replace(ended, shadow_id=2, koppeling="b")
    for claims in ((ended,), (ended, twice)):
        result = folded(*claims)
        assert (result.closed, result.end) == (True, folded(gone).end)
    stood = msgspec.structs.replace(ended, adopted=True, gone=False)
    assert not folded(stood).closed
    deleted = msgspec.structs.replace(stood, gone=True)  # the application itself said so
    assert folded(deleted).closed
    assert folded(deleted, claim("c", ended=True)).closed
    assert not folded(deleted, msgspec.structs.replace(stood, shadow_id=3)).closed
    assert folded(twice, claim("c", gone=True, roepnaam="nu")).closed


WEAK = {("roepnaam", "a"): Strength.WEAK}


def test_a_weak_mapping_counts_only_where_nobody_else_has_a_value() -> None:
    by = rules(strengths=WEAK)
    weak = claim("a", roepnaam="afgeleid")
    assert folded(weak, claim("b", roepnaam="gezegd"), by=by).values["roepnaam"] == "gezegd"
    result = folded(weak, claim("b", roepnaam=None), by=by)
    assert result.values["roepnaam"] == "afgeleid"
    assert result.winners["roepnaam"].rule == "weak mapping fills an empty field"
    assert folded(weak, by=by).values["roepnaam"] == "afgeleid"


def test_a_pin_beats_sources_but_not_a_strong_mapping() -> None:
    pin = {"roepnaam": PinValue(3, "Pin")}
    result = folded(claim("a", roepnaam="Anna"), pins=pin)
    assert result.values["roepnaam"] == "Pin"
    assert result.winners["roepnaam"].pin_id == 3
    strong = rules(strengths={("roepnaam", "a"): Strength.STRONG})
    result = folded(claim("a", roepnaam="Anna"), pins=pin, by=strong)
    assert result.values["roepnaam"] == "Anna"


def test_a_strong_mapping_does_not_make_public_what_a_person_made_secret() -> None:
    strong = rules(strengths={("adres_geheim", "a"): Strength.STRONG})
    secret = {"adres_geheim": PinValue(3, value=True)}
    public = {"adres_geheim": PinValue(3, value=False)}
    assert folded(claim("a", adres_geheim=False), pins=secret, by=strong).values["adres_geheim"]
    assert folded(claim("a", adres_geheim=True), pins=public, by=strong).values["adres_geheim"]


def test_a_pin_may_fix_a_field_that_nobody_delivers_and_may_be_empty() -> None:
    assert folded(claim(achternaam="J"), pins={"email": PinValue(1, "x@y.example")}).values[
        "email"
    ] == ("x@y.example")
    pinned = folded(claim(roepnaam="Anna"), pins={"roepnaam": PinValue(1, None)})
    assert pinned.values["roepnaam"] is None


def test_numbers_of_one_koppeling_are_kept_per_koppeling() -> None:
    result = folded(
        claim("a", leerlingnummer="1"),
        claim("b", leerlingnummer="2"),
        claim("b", rank=1, leerlingnummer="3"),
    )
    assert result.issued == {("leerlingnummer", ord("a")): "1", ("leerlingnummer", ord("b")): "2"}


def test_members_are_the_union_of_the_believed_source_only() -> None:
    def group(koppeling: str, rank: int, *members: str) -> Claim:
        return claim(koppeling, rank=rank, naam="1A", soort="stamgroep", leerlingen=list(members))

    result = folded(
        group("a", 0, "x", "y"), group("a", 1, "z"), group("b", 0, "q"), entity=Entity.GROEP
    )
    assert result.values["leerlingen"] == [
        Reference(ord("a"), Entity.LEERLING, key) for key in ("x", "y", "z")
    ]


def test_members_delivered_as_empty_are_no_members() -> None:
    result = folded(claim(naam="1A", soort="stamgroep", leerlingen=None), entity=Entity.GROEP)
    assert result.values["leerlingen"] == []


def test_a_reference_belongs_to_the_koppeling_that_made_it() -> None:
    both = claim("a", leerling=None), claim("b", leerling="l1")
    result = folded(*both, entity=Entity.INSCHRIJVING, by=rules(("b",)))
    assert result.values["leerling"] == Reference(ord("b"), Entity.LEERLING, "l1")


PERIOD: dict[str, Any] = {"leerling": "l", "geldig_van": "2026-08-01"}


@pytest.mark.parametrize(
    ("own_end", "end", "inferred"),
    [
        (None, date(2026, 9, 12), True),
        ("2027-08-01", date(2026, 9, 12), True),
        ("2026-09-01", date(2026, 9, 1), False),
    ],
)
def test_what_is_gone_everywhere_ends_after_the_last_day_that_it_was_held(
    own_end: str | None, end: date, *, inferred: bool
) -> None:
    result = folded(
        claim("a", gone=True, held=date(2026, 9, 11), geldig_tot=own_end, **PERIOD),
        claim("b", gone=True, held=date(2026, 9, 3), geldig_tot=own_end, **PERIOD),
        entity=Entity.INSCHRIJVING,
    )
    assert result.closed
    assert (result.start, result.end, result.inferred) == (date(2026, 8, 1), end, inferred)


def test_one_source_that_still_has_it_keeps_it_open() -> None:
    result = folded(
        claim("a", gone=True, geldig_tot=None, **PERIOD),
        claim("b", geldig_tot=None, **PERIOD),
        entity=Entity.INSCHRIJVING,
    )
    assert (result.closed, result.end) == (False, None)
