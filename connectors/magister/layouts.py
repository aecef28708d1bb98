"""Our own lists (*layouts*), which the school installs in Decibel: one table for all.

The check, the delivery contract and the installation sheet (`docs/magister-layouts.md`) read it. A
column's `source` is an expression over the tables of section 6.1; where no public list definition
confirms one, it is our guess and marked so on the sheet.
Spec: magister.md, sections 6 and 6.1 (the lists ASSUMED, the tables CONFIRMED where not guessed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CONTRACT_VERSIE: Final = "1"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        source: the SQL expression behind it.
        required: the list cannot do without it.
        guessed: no public list definition confirms the expression.
    """

    name: str
    source: str
    required: bool = False
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One list.

    Attributes:
        per: what one row is about, in Dutch.
        key: the columns without which a row says nothing.
        tables: the SQL behind the columns.
        purpose: what it is for, in Dutch.
        note: what the list author must look at, in Dutch.
    """

    name: str
    per: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    tables: str
    purpose: str
    note: str = ""

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in the order of the sheet."""
        return tuple(column.name for column in self.columns)

    @property
    def sql(self) -> str:
        """The text of the list."""
        listed = ",\n".join(f"  {column.source} as {column.name}" for column in self.columns)
        return f"select\n{listed}\n{self.tables}"


def _must(name: str, source: str, *, guessed: bool = False) -> Column:
    return Column(name, source, required=True, guessed=guessed)


def _may(name: str, source: str) -> Column:
    return Column(name, source)


def _guess(name: str, source: str) -> Column:
    return Column(name, source, guessed=True)


def _iso(expression: str) -> str:
    return f"CONVERT(varchar(10), {expression}, 23)"


_OPEN: Final = "p.deinde >= CONVERT(date, GETDATE())"
"""Periods that end in the future: this schooljaar, and the next as soon as it is there."""

VERSIE: Final = Layout(
    "presentis-versie",
    "de lijstenset",
    ("contract_versie",),
    (
        _must("contract_versie", f"'{CONTRACT_VERSIE}'"),
        _must("gegenereerd_op", "CONVERT(varchar(19), GETDATE(), 126)"),
    ),
    "",
    "zegt welke versie van deze lijsten is geïnstalleerd",
)

LESPERIODEN: Final = Layout(
    "presentis-lesperioden",
    "lesperiode",
    ("lesperiode",),
    (
        _must("lesperiode", "p.lesperiode"),
        _must("omschrijving", "p.omschr_k"),
        _must("begindatum", _iso("p.dbegin")),
        _must("einddatum", _iso("p.deinde")),
    ),
    f"from sis_blpe p\nwhere {_OPEN}",
    "het huidige en het volgende schooljaar",
)

VESTIGINGEN: Final = Layout(
    "presentis-vestigingen",
    "administratieve eenheid",
    ("locatie_id",),
    (
        _must("locatie_id", "b.idBlok"),
        _must("locatie_code", "b.c_lokatie"),
        _must("omschrijving", "b.omschr"),
        _guess("brin", "b.brin"),
        _guess("nevenvestiging", "b.nevenvestiging"),
    ),
    "from sis_blok b",
    "de locaties van de school",
)

LEERLINGEN: Final = Layout(
    "presentis-leerlingen",
    "aanmelding",
    ("leer_id", "aanmelding_id", "lesperiode"),
    (
        _must("leer_id", "l.idLeer"),
        _must("stamnr", "l.stamnr"),
        _may("roepnaam", "l.roepnaam"),
        _may("voornamen", "l.voornamen"),
        _may("voorletters", "l.voorlett"),
        _may("tussenvoegsel", "l.tussenvoeg"),
        _must("achternaam", "l.achternaam"),
        _may("geslacht", "l.geslacht"),
        _may("geboortedatum", _iso("l.geb_datum")),
        _may("email", "l.email"),
        _may("mobiel", "l.gsm"),
        _may("login", "u.login_naam"),
        _must("aanmelding_id", "a.idAanm"),
        _must("lesperiode", "a.lesperiode"),
        _must("begindatum", _iso("a.dBegin")),
        _must("einddatum", _iso("a.dEinde")),
        _may("vertrekdatum", _iso("a.dVertrek")),
        _may("klas_id", "a.idBgrp"),
        _may("klas", "g.groep"),
        _may("studie_id", "a.idStud"),
        _may("studie", "s.studie"),
        _may("leerjaar", "f.leerjaar"),
        _may("locatie_id", "s.idBlok"),
        _guess("pro_indicatie", "a.pro_indicatie"),
        _guess("ilt_code", "s.iltberek"),
        _may("mentor1_pers_id", "a.idPers_mentor1"),
        _may("mentor2_pers_id", "a.idPers_mentor2"),
    ),
    "from sis_leer l\n"
    "join sis_aanm a on a.idleer = l.idLeer\n"
    "join sis_blpe p on p.idblpe = a.idblpe\n"
    "left join sis_bgrp g on g.idBgrp = a.idBgrp\n"
    "left join sis_stud s on s.idStud = a.idStud\n"
    "left join sis_blfa f on f.idBlfa = s.idBlfa\n"
    "left join sis_gebr u on u.idLeer = l.idLeer\n"
    f"where {_OPEN}",
    "leerlingen met hun aanmeldingen",
)
"""Its optional column `eckid` has no expression: no table is known to hold an ECK iD."""

EXTRA_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"presentis-leerlingen": ("eckid",)}
"""Columns that are read where a school can deliver them, and that no sheet asks for."""

VERZORGERS: Final = Layout(
    "presentis-verzorgers",
    "leerling en verzorger",
    ("verzorger_id", "leer_id"),
    (
        _must("leer_id", "l.idLeer"),
        _must("verzorger_id", "o.idoudr"),
        _may("volgnummer", "case when o.idoudr = l.idoudr1 then 1 else 2 end"),
        _guess("relatie", "o.relatie"),
        _guess("voorletters", "o.voorlett"),
        _guess("tussenvoegsel", "o.tussenvoeg"),
        _must("achternaam", "o.achternaam", guessed=True),
        _may("email", "o.email"),
        _guess("telefoon", "o.telefoon"),
        _guess("mobiel", "o.gsm"),
        _guess("geheim", "o.geheim"),
        _guess("gezag", "o.gezag"),
    ),
    "from sis_leer l\njoin sis_oudr o on o.idoudr in (l.idoudr1, l.idoudr2)\n"
    "where exists (select 1 from sis_aanm a join sis_blpe p on p.idblpe = a.idblpe\n"
    f"  where a.idleer = l.idLeer and {_OPEN})",
    "verzorgers met hun kinderen",
    "`idoudr2` (de tweede verzorger) is een aanname: kijk na hoe de school die vastlegt.",
)

MEDEWERKERS: Final = Layout(
    "presentis-medewerkers",
    "medewerker",
    ("pers_id",),
    (
        _must("pers_id", "m.idPers"),
        _must("stamnr", "m.stamnr"),
        _may("code", "m.doc_code"),
        _may("roepnaam", "m.roepnaam"),
        _may("voorletters", "m.voorlett"),
        _may("tussenvoegsel", "m.tussenvoeg"),
        _must("achternaam", "m.achternaam"),
        _may("email_werk", "m.E_Mailwerk"),
        _guess("login", "m.login_naam"),
        _guess("datum_in", _iso("m.datum_in")),
        _may("datum_uit", _iso("m.dvertrek")),
        _guess("locatie_id", "m.idBlok"),
    ),
    "from sis_pers m\nwhere m.dvertrek is null or m.dvertrek >= CONVERT(date, GETDATE())",
    "medewerkers",
)

GROEPEN: Final = Layout(
    "presentis-groepen",
    "klas of lesgroep",
    ("groep_id", "lesperiode"),
    (
        _must("groep_id", "g.idBgrp"),
        _must("groep", "g.groep"),
        _may("omschrijving", "g.omschr"),
        _must("is_stamklas", "g.bklas"),
        _may("locatie_id", "g.idBlok"),
        _must("lesperiode", "g.lesperiode", guessed=True),
        _may("mentor1_pers_id", "g.idPers_mentor1"),
        _may("mentor2_pers_id", "g.idPers_mentor2"),
        _may("mentor3_pers_id", "g.idPers_mentor3"),
    ),
    f"from sis_bgrp g\njoin sis_blpe p on p.lesperiode = g.lesperiode\nwhere {_OPEN}",
    "klassen en lesgroepen",
)

GROEPSLEDEN: Final = Layout(
    "presentis-groepsleden",
    "leerling en groep",
    ("groep_id", "leer_id"),
    (
        _must("groep_id", "d.idBgrp"),
        _must("leer_id", "d.idleer"),
        _may("vak_code", "d.c_vak"),
        _may("begindatum", _iso("d.dbegin")),
        _may("einddatum", _iso("d.deinde")),
    ),
    "from (\n"
    "  select v.idBgrp, v.idleer, v.c_vak, v.dbegin, v.deinde\n"
    "  from sis_lvak v where v.idBgrp is not null\n"
    "    and (v.deinde is null or v.deinde >= CONVERT(date, GETDATE()))\n"
    "  union all\n"
    "  select a.idBgrp, a.idleer, null, a.dBegin, coalesce(a.dVertrek, a.dEinde)\n"
    "  from sis_aanm a join sis_blpe p on p.idblpe = a.idblpe\n"
    f"  where a.idBgrp is not null and {_OPEN}\n"
    ") d",
    "wie in welke klas of lesgroep zit",
    "Ook de leerlingen van klassen horen erin: die staan niet in `sis_lvak`, maar bij de "
    "aanmelding.",
)

DOCENTGROEPEN: Final = Layout(
    "presentis-docentgroepen",
    "medewerker, groep en vak",
    ("groep_id", "pers_id"),
    (
        _must("groep_id", "t.idBgrp"),
        _must("pers_id", "t.idPers"),
        _may("vak_code", "t.c_vak"),
        _must("lesperiode", "t.lesperiode"),
    ),
    f"from sis_pgvk t\njoin sis_blpe p on p.lesperiode = t.lesperiode\nwhere {_OPEN}",
    "wie aan welke groep lesgeeft",
)

VAKKEN: Final = Layout(
    "presentis-vakken",
    "vak",
    ("vak_code",),
    (_must("vak_code", "k.c_vak"), _must("omschrijving", "k.omschr", guessed=True)),
    "from sis_bvak k",
    "vakken",
)

PGN: Final = Layout(
    "presentis-pgn",
    "leerling",
    ("leer_id",),
    (
        _must("leer_id", "l.idLeer"),
        _guess("bsn", "l.bsn"),
        _guess("onderwijsnummer", "l.onderwijsnummer"),
    ),
    "from sis_leer l\n"
    "where exists (select 1 from sis_aanm a join sis_blpe p on p.idblpe = a.idblpe\n"
    f"  where a.idleer = l.idLeer and {_OPEN})",
    "persoonsgebonden nummers; alleen waar met de school een doel is afgesproken",
)
"""Read only where the configuration of the koppeling names a purpose (ASSUMED list)."""

ALL: Final = (
    VERSIE,
    LESPERIODEN,
    VESTIGINGEN,
    VAKKEN,
    MEDEWERKERS,
    LEERLINGEN,
    VERZORGERS,
    GROEPEN,
    GROEPSLEDEN,
    DOCENTGROEPEN,
    PGN,
)
"""In the order in which they are asked."""

NEVER: Final = frozenset({"bsn", "onderwijsnummer", "sofinummer", "pgn"})
"""Columns whose values are cut from every list but `presentis-pgn`, whoever put them there."""


def missing_columns(layout: Layout, columns: frozenset[str]) -> tuple[str, ...]:
    """The required columns that a list lacks."""
    return tuple(name for name in layout.required if name not in columns)
