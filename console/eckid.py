"""How ECK iDs are shown: who has one, why others have none, and what is to be done, by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from console.arguments import COMMAND
from console.output import Output
from sync_engine.outcome import ExitCode
from sync_engine.pseudonyms import Missing
from sync_engine.replacing import State

if TYPE_CHECKING:
    from config.sources import Source
    from sync_engine.hub import Hub
    from sync_engine.pseudonyms import PlaceStanding, PlaceVerified, SchoolStanding
    from sync_engine.replacing import Replacement

WITHOUT_PGN: Final = "niet verkrijgbaar: geen PGN"

MISSING: Final = {
    Missing.KOPPELING: "Voor deze school haalt de hub geen ECK iD's op: er is geen koppeling van "
    'system = "eckid". Vraag ops die te maken (docs/eckid-school.md, Inrichten).',
    Missing.PURPOSE: "De koppeling die ECK iD's ophaalt mag het PGN niet gebruiken: zet er een "
    '[[source.pgn]] met purpose = "eckid" bij, met grondslag en dag van de afspraak.',
    Missing.TELLER: "Geen administratie van deze school mag het PGN voor het ECK iD leveren: zet "
    'bij die koppeling een [[source.pgn]] met purpose = "eckid", en laat een school op Magister de '
    "lijst presentis-pgn maken.",
    Missing.VESTIGING: "Er zijn leerlingen zonder vestiging; van hen wordt geen ECK iD opgehaald. "
    "Laat de administratie de vestiging bij hun inschrijving leveren.",
    Missing.READ: "De kern kent nog geen vestiging van deze school: lees eerst de administratie.",
    Missing.UNKNOWN: "Een koppeling die ECK iD's ophaalt noemt vestigingen die de kern niet kent; "
    "kijk haar `vestigingen` na",
    Missing.UNSERVED: "Op deze vestigingen haalt geen koppeling ECK iD's op, en er zijn leerlingen "
    "zonder: zet ze bij `vestigingen` van de koppeling van hun sector",
    Missing.PGN: "Van niemand van deze school heeft de kern een PGN. Lees eerst de administratie "
    "opnieuw, nu zij het mag leveren: `koppelhub sync --source NAAM`. Helpt dat niet: maakt de "
    "beheerder bij Magister de lijst presentis-pgn, en deelt hij bij Somtoday het veld BSN?",
}
"""What is missing → what to do, and who."""

_ADVICE: Final = {
    "without_pgn": f"{WITHOUT_PGN}. Voor de beheerder van de school: vul bij deze leerlingen het "
    "BSN of onderwijsnummer in het administratiesysteem in, en laat het aan de hub leveren.",
    "changed": "PGN veranderd sinds het ECK iD werd verkregen: kijk in de zaak of het dezelfde "
    "leerling is, en stel dan voor `koppelhub eckid replace SLEUTEL --why REDEN`.",
    "refused": "geweigerd door de Nummervoorziening: laat de school het PGN nakijken; helpt dat "
    "niet, meld het bij ops.",
    "waiting": "wacht op antwoord van de Nummervoorziening: de volgende run haalt het op.",
    "lacking": "nog niet aangevraagd: dat doet de volgende run, of nu `koppelhub eckid obtain "
    "--school SCHOOL`.",
}
"""Why somebody has none → what to do."""

COLUMNS: Final = (
    *("koppeling", "vestiging", "wie", "aantal", "geleverd", "verkregen", "wacht", "ontbreekt"),
    *("geen PGN", "PGN anders", "verschilt", "geweigerd"),
)

_STATES: Final = {
    State.PROPOSED: "voorgesteld",
    State.APPROVED: "goedgekeurd",
    State.DONE: "uitgevoerd",
    State.WITHDRAWN: "ingetrokken",
    State.REFUSED: "niet uitgevoerd",
    State.ALARM: "alarm",
}
_NEXT: Final = {
    State.PROPOSED: "Een collega keurt dit goed met `koppelhub eckid approve {key}`.",
    State.APPROVED: "De eerste run op of na {on} voert dit uit, of `koppelhub eckid approve {key}` "
    "op die dag.",
    State.DONE: "De leerling houdt zijn ECK iD onder het nieuwe PGN; de zaak sluit bij de "
    "volgende run.",
    State.WITHDRAWN: "De hub heeft niets gewijzigd.",
}
_ALONE: Final = (
    "De bron levert beide nummers bij deze ene leerling: één persoon is genoeg. Voer het uit met "
    "`koppelhub eckid approve {key}`."
)


def note_school(hub: Hub, school: str, *, operator: str, keys: Sequence[str] = ()) -> None:
    """Put in the audit trail that a person looks at a school, or at some of its pupils."""
    from sync_engine.audit import note

    subject = school.strip().upper()
    with hub.store.work() as work:
        note(
            hub,
            work,
            operator=operator,
            action=COMMAND.get(),
            subject=subject,
            why=", ".join(keys),
        )


# -- how a school stands ---------------------------------------------------------------------------


def show_standing(out: Output, found: SchoolStanding) -> None:
    """Per koppeling and vestiging the counts; below it what to do about what is not zero."""
    lines = [(place, _todo_of(found, place)) for place in found.places]
    told = [asdict(place) | {"todo": each} for place, each in lines]
    missing = [{"what": str(one), "advice": _advice(found, one)} for one in found.missing]
    if out.data(asdict(found) | {"places": told, "missing": missing}):
        return
    out.line(
        f"{found.school}: {found.leerlingen} leerlingen, {found.delivered} met een ECK iD van de "
        f"administratie, {found.without} zonder enig ECK iD"
    )
    if found.nowhere:
        out.line(f"Leerlingen zonder vestiging: {found.nowhere}")
    out.table(COLUMNS, [_row(place) for place in found.places])
    for place, each in lines:
        for line in each:
            out.line(f"{place.name}: {line}")
    for one in missing:
        out.line(one["advice"])


def _todo_of(found: SchoolStanding, place: PlaceStanding) -> list[str]:
    """What is to be done at one vestiging; no school is to mend what the koppeling lacks."""
    if {Missing.PURPOSE, Missing.TELLER, Missing.PGN}.isdisjoint(found.missing):
        return todo(place)
    return todo(replace(place, standing=replace(place.standing, without_pgn=0)))


def _advice(found: SchoolStanding, one: Missing) -> str:
    names = {Missing.UNKNOWN: found.unknown, Missing.UNSERVED: found.unserved}.get(one, ())
    return f"{MISSING[one]}: {', '.join(names)}." if names else MISSING[one]


def _row(place: PlaceStanding) -> tuple[object, ...]:
    told = place.standing
    return (
        *(place.koppeling, f"{place.place} {place.name}", place.resource, told.persons),
        *(place.delivered, told.obtained, told.waiting, told.lacking, told.without_pgn),
        *(told.changed, place.differing, told.refused),
    )


def todo(place: PlaceStanding) -> list[str]:
    """What is to be done at one vestiging, and how many it is about (Dutch)."""
    found = [
        f"{count} {text.replace('SCHOOL', place.place)}"
        for name, text in _ADVICE.items()
        if (count := getattr(place.standing, name))
    ]
    if place.differing:
        found.append(
            f"{place.differing} met een ander ECK iD van de administratie dan de hub verkreeg: "
            f"`koppelhub case list --kind pseudonym --school {place.place}`."
        )
    return found


def show_verified(out: Output, found: Sequence[PlaceVerified]) -> None:
    """What asking again gave, and of whom it is another."""
    if out.data(found):
        return
    for one in found:
        told = one.found
        counts = f"{told.asked} nagevraagd, {told.equal} gelijk"
        out.line(f"{one.place} {one.name} ({one.koppeling}): {counts}")
        if told.different:
            out.line(f"  anders: {', '.join(told.different)}")
            out.line("  Er is niets gewijzigd. Meld dit bij ops: het hoort nooit te veranderen.")
        if told.refused:
            out.line(f"  geweigerd: {', '.join(told.refused)}")


# -- replacements ----------------------------------------------------------------------------------


def chosen(hub: Hub, source: str | None, school: str | None) -> list[Source]:
    """The koppelingen of a person's choice that obtain pseudonyms. Raises: ConfigurationError."""
    from sync_engine.pseudonyms import obtaining

    if source is not None:
        return [hub.source(source)]
    if school is not None:
        return obtaining(hub, school)
    return [one for one in hub.sources() if hub.manifest(one).adds]


def ask_approval(out: Output, made: Replacement, *, yes: bool) -> bool:
    """Whether a person says yes to what he was shown; it cannot be undone."""
    from console.arguments import asked

    if not out.json:
        show_replacements(out, [made])
        if made.why:
            out.line(f"Reden: {made.why}")
    question = "Vervangen kan niet ongedaan worden gemaakt. Is dit dezelfde leerling?"
    return asked(out, question, yes=yes)


def code_of(made: Replacement) -> ExitCode:
    """Done or waiting for its day is well; not carried out is refused, an alarm is critical."""
    codes = {State.ALARM: ExitCode.FAILED, State.REFUSED: ExitCode.REFUSED}
    return codes.get(made.state, ExitCode.DONE)


def show_replacement(out: Output, made: Replacement) -> None:
    """What became of one."""
    if out.data(made):
        return
    out.line(f"{made.key}: {_STATES[made.state]}")
    out.line(_next(made))


def _next(made: Replacement) -> str:
    if made.advice:
        return made.advice
    text = _ALONE if made.alone and made.state is State.PROPOSED else _NEXT.get(made.state, "")
    return text.format(key=made.key, on=made.on)


def show_replacements(out: Output, found: Sequence[Replacement]) -> None:
    """A line for each."""
    if out.data(found):
        return
    if not found:
        out.line("Er is niets voorgesteld.")
    out.table(
        (
            "leerling",
            "koppeling",
            "toestand",
            "vanaf",
            "voorgesteld door",
            "goedgekeurd door",
            "reden",
        ),
        [
            (r.key, r.koppeling, _STATES[r.state], r.on, r.proposed_by, r.approved_by, r.why)
            for r in found
        ],
    )
    for one in found:
        if one.error or one.state is State.ALARM:
            out.line(f"{one.key}: {one.advice or one.error}")
