"""What was decided in the Somtoday mapping and no single row shows; part of its documentation."""

from __future__ import annotations

from typing import Final

NOTES: Final = (
    "Somtoday's days are inclusive; `geldig_tot` and every other end is the first day after.",
    "A secret address is left out by Somtoday (section 6.9). The absent address then counts as "
    "*not delivered*: what is stored stays, hidden by the strong flag `adres_geheim`, and is not "
    "renewed. Where the flag itself cannot be read, the address is not taken at all. For telephone "
    "numbers the same is assumed.",
    "A secret flag that is in the record counts, whatever the field permissions say.",
    "`telefoon` of a verzorger is the home number (`uitgebreidTelefoonnummer`) where the school "
    "shares it; else `telefoonnummer`, the first known of home, mobile and work, unless the work "
    "number is secret.",
    "A telephone number that cannot be read as one is kept as it was written.",
    "An inschrijving is known by the UUID of the plaatsing; without one, by leerling and first "
    "day. Where that is missing too, nothing is said of the inschrijvingen of that leerling.",
    "`GET plaatsing` does not say whose a plaatsing is; the leerling's own record does.",
    "`mentor` of an inschrijving is the mentor of the plaatsing itself; the mentors of a stamgroep "
    "stand at the groep.",
    "A stamgroep is known by its UUID and schooljaar (`<uuid>/2026`): whether Somtoday keeps the "
    "UUID over the years is not documented, and a groep belongs to one schooljaar.",
    "`leerlingen_van_vestiging` makes no relations: it does not say which, and the leerling's own "
    "`verzorgers` hold the same pairs.",
    "A result is known by leerling and UUID. Its attempts (`soort` `poging`) and parts "
    "(`deeltoets`) refer to it. No toets is made: nothing says which results are of one test.",
    "A list that is not shared, or broke a rule, makes its record silent: nothing is closed for "
    "being absent from it.",
    "Not mapped: `lesgroepen` and `vakkeuzes` of a person (the groups hold their members), "
    "`eduPersonRealId`, `parnassysLeerlingNummer`, `isActief`, `externnummer`, `vestiging` of a "
    "person, alternative marks, parts of a central exam, `lichting`.",
)
