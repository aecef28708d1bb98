"""How much a person of one source looks like one of the core. Pure; never links by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from config.correlation import Scale
from mappings.normalise import match_form
from sync_engine.fold import Json

_SIMILAR = 0.85


@dataclass(frozen=True, slots=True)
class Candidate:
    """A core record that looks like the source record; `agrees` names the parts that agree."""

    core_id: int
    score: float
    agrees: tuple[str, ...]


def score_person(
    form: Mapping[str, Json],
    person: Sequence[object],
    scale: Scale,
    *,
    dated: bool = True,
) -> Candidate | None:
    """Weigh names, birth date and postcode.

    Args:
        form: the canonical form of the source record.
        person: (core id, achternaam, roepnaam, voornamen, postcode, and where it is known the
            voorvoegsel) with the same birth date; None where there is none.
        scale: weights per part, and the score from which a person is asked.
        dated: False where one of both has no birth date; then it does not count.

    Returns: the candidate where the score reaches `case_at`, else None. The score is the share of
        the weight of the parts that both sides have, 0 to 1.
    """
    core_id, achternaam, roepnaam, voornamen, postcode, *more = person
    adres = form.get("adres")
    pairs = (
        ("geboortedatum", 1.0 if dated else None),
        (
            "achternaam",
            _surname(form, achternaam=achternaam, voorvoegsel=more[0] if more else None),
        ),
        ("roepnaam", _best(form, roepnaam=roepnaam, voornamen=voornamen)),
        ("postcode", _alike(adres.get("postcode") if isinstance(adres, dict) else None, postcode)),
    )
    total = gained = 0.0
    agrees = []
    for part, similarity in pairs:
        weight = scale.weights.get(part, 0.0)
        if similarity is None or weight <= 0:
            continue
        total += weight
        gained += weight * similarity
        if similarity >= _SIMILAR:
            agrees.append(part)
    score = gained / total if total else 0.0
    if not scale.is_case(score) or not isinstance(core_id, int):
        return None
    return Candidate(core_id, score, tuple(agrees))


def _surname(form: Mapping[str, Json], *, achternaam: object, voorvoegsel: object) -> float | None:
    """Surnames; where they differ also whole, for one side may have put the tussenvoegsel in it."""
    plain = _alike(form.get("achternaam"), achternaam)
    if plain is None or plain == 1.0 or not (form.get("voorvoegsel") or voorvoegsel):
        return plain
    sides = ((form.get("voorvoegsel"), form.get("achternaam")), (voorvoegsel, achternaam))
    one, other = (" ".join(str(part) for part in side if part) for side in sides)
    whole = _alike(one, other)
    return plain if whole != 1.0 else whole


def _best(form: Mapping[str, Json], *, roepnaam: object, voornamen: object) -> float | None:
    """Of the two first names the one that agrees best; None where no side can be compared."""
    pairs = ((form.get("roepnaam"), roepnaam), (form.get("voornamen"), voornamen))
    known = [score for one, other in pairs if (score := _alike(one, other)) is not None]
    return max(known, default=None)


def _alike(one: object, other: object) -> float | None:
    """1 for equal in match form, the similarity above the threshold, 0 below; None: not known."""
    if not one or not other:
        return None
    left, right = match_form(str(one)), match_form(str(other))
    if not left or not right:  # nothing but punctuation: nothing to compare
        return None
    if left == right:
        return 1.0
    ratio = SequenceMatcher(None, left, right).ratio()
    return ratio if ratio >= _SIMILAR else 0.0
