"""What was decided in the Magister mapping and no single row shows; part of its documentation."""

from __future__ import annotations

from typing import Final

NOTES: Final = (
    "Persons, groepen and aanmeldingen are known by Magister's own numbers, never by name, e-mail "
    "address or name of a group. The fixed functions have no number of a person but the "
    "leerlingnummer or staff number (`stamnr:…`), SCIM has the user ids that UWLR has (a UUID as "
    "it is, else `scim:…`); each stands apart from the others, and people are found back by "
    "leerlingnummer and birth date.",
    "A groep is known by its id and lesperiode (`1234/2627`): whether Magister keeps the id over "
    "the years is not documented, and a groep belongs to one schooljaar.",
    "`einddatum` and `vertrekdatum` are taken as the last day, counted in (ASSUMED); the earlier "
    "one ends the inschrijving. Who left before his first day has an inschrijving of no days.",
    "Where vertrekdatum is not delivered or cannot be read, the end of the inschrijving is not "
    "delivered: einddatum alone would make somebody stay who has left.",
    "Person columns come from the newest aanmelding of the lesperiode that is read.",
    "A member of a groep counts where its dates hold today; for next schooljaar on its first day.",
    "Where the list of members has nobody in any klas (it may be built on lesgroepen alone), the "
    "members of klassen are not delivered.",
    "`vak` of a lesgroep is that of its members and teachers, where they all name the same one.",
    "`mentor` of an inschrijving is the first mentor of the aanmelding; `mentor2_pers_id` of an "
    "aanmelding has no place. The mentors of a klas stand at the groep.",
    "`geheim` of a verzorger or member of staff hides the address and all numbers; a number that "
    "is secret and left out is not delivered, so that what is stored stays, hidden.",
    "The marks `*` and `_` are taken off a staff code. A mark alone ends nobody: it has no date.",
    "A studie has a national code where all its aanmeldingen name the same one.",
    "Fixed functions: not delivered are verzorgers, dates and ids of aanmeldingen, studies, ECK "
    "iD, e-mail of staff, and who is in which klas as far as no lesson names its number. Mentors "
    "come by name only and are not linked. A vestiging is linked where the setting `locaties` "
    "gives its name a key. A second telephone number counts where it is a mobile one.",
    "SCIM: a user with a leerlingnummer is a leerling; nothing says who is staff, so others are "
    "not read. `active` is false for a blocked account: it ends nobody. There is no birth date, so "
    "who is known already by his leerlingnummer is a case for a person.",
    "ECK iD: only where the school's own list has it; Magister itself delivers none here.",
    "Not delivered by Magister in this release: absence and grades.",
)
