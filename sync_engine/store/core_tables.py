"""The core tracking database: one table per entity, the contract that other programs read.

Every table opens with the columns of `CoreRow`. `id` is the hub's own number of the record, unique
over all entities and never used again; periods are half-open (`geldig_tot` is the first day after).
Names, dates and addresses are plain; identifiers are encrypted in `identificatie`. References are
the `id` of another core record. Lists are JSON. docs/core-database.md describes each column.
"""

from datetime import date

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from sync_engine.store.values import Number


class CoreRow(SQLModel):
    """What every core record has."""

    id: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    tenant_id: int = Field(index=True)
    geldig_van: date | None = None
    geldig_tot: date | None = None
    tot_afgeleid: bool = False
    run_id: int


class BevoegdGezag(CoreRow, table=True):
    """The legal body that runs instellingen."""

    __tablename__ = "bevoegd_gezag"

    naam: str
    nummer: str | None = None


class Instelling(CoreRow, table=True):
    """A school organisation."""

    __tablename__ = "instelling"

    naam: str
    afkorting: str | None = None
    brin: str | None = None
    brins: str | None = None


class Vestiging(CoreRow, table=True):
    """A location of an instelling."""

    __tablename__ = "vestiging"

    naam: str
    afkorting: str | None = None
    vestigingsnummer: str | None = None
    brins: str | None = None
    instelling_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    digideliveryid: str | None = None


class Schooljaar(CoreRow, table=True):
    """1 August to 31 July."""

    __tablename__ = "schooljaar"

    naam: str


class Opleiding(CoreRow, table=True):
    """A programme."""

    __tablename__ = "opleiding"

    naam: str
    afkorting: str | None = None
    code: str | None = None
    landelijke_naam: str | None = None
    profiel: str | None = None
    profielnaam: str | None = None
    leerjaren: str | None = None
    vanaf_schooljaar: str | None = None
    tot_schooljaar: str | None = None
    vestiging_id: int | None = Field(default=None, sa_type=BigInteger, index=True)


class Vak(CoreRow, table=True):
    """A subject."""

    __tablename__ = "vak"

    naam: str
    afkorting: str | None = None
    code: str | None = None
    vestiging_id: int | None = Field(default=None, sa_type=BigInteger, index=True)


class Medewerker(CoreRow, table=True):
    """A member of staff."""

    __tablename__ = "medewerker"
    __table_args__ = (Index("ix_medewerker_geboortedatum", "tenant_id", "geboortedatum"),)

    achternaam: str
    voorvoegsel: str | None = None
    roepnaam: str | None = None
    voorletters: str | None = None
    geslacht: str | None = None
    geboortedatum: date | None = None
    afkorting: str | None = None
    functie: str | None = None
    is_docent: bool | None = None
    gebruikersnaam: str | None = None
    telefoon_geheim: bool | None = None
    adres_geheim: bool | None = None
    hoofdvestiging_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    reden_uit_dienst: str | None = None


class Leerling(CoreRow, table=True):
    """A pupil."""

    __tablename__ = "leerling"
    __table_args__ = (Index("ix_leerling_geboortedatum", "tenant_id", "geboortedatum"),)

    achternaam: str
    voorvoegsel: str | None = None
    roepnaam: str | None = None
    voornamen: str | None = None
    voorletters: str | None = None
    geslacht: str | None = None
    geboortedatum: date | None = None
    geboorteplaats: str | None = None
    geboorteland: str | None = None
    telefoon_geheim: bool | None = None
    adres_geheim: bool | None = None
    gebruikersnaam: str | None = None
    contact_via_email: bool | None = None
    herkomst_brin: str | None = None
    herkomst_naam: str | None = None
    onderwijs_sinds: date | None = None


class Verzorger(CoreRow, table=True):
    """A parent or guardian."""

    __tablename__ = "verzorger"

    achternaam: str
    voorvoegsel: str | None = None
    voorletters: str | None = None
    roepnaam: str | None = None
    geslacht: str | None = None
    gebruikersnaam: str | None = None
    telefoon_geheim: bool | None = None
    mobiel_werk_geheim: bool | None = None
    adres_geheim: bool | None = None
    contact_via_email: bool | None = None


class Groep(CoreRow, table=True):
    """A stamgroep or lesgroep of one schooljaar; members are Groepsdeelname rows."""

    __tablename__ = "groep"

    naam: str = Field(index=True)
    soort: str
    omschrijving: str | None = None
    schooljaar: str | None = None
    leerjaar: int | None = None
    onderwijssoort: str | None = None
    vestiging_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    vak_id: int | None = Field(default=None, sa_type=BigInteger, index=True)


class Inschrijving(CoreRow, table=True):
    """A placement of a leerling."""

    __tablename__ = "inschrijving"

    leerling_id: int = Field(sa_type=BigInteger, index=True)
    vestiging_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    opleiding_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    stamgroep_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    mentor_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    schooljaar: str | None = None
    leerjaar: int | None = None
    kenmerken: str | None = None


class VerzorgerRelatie(CoreRow, table=True):
    """What a verzorger is to a leerling."""

    __tablename__ = "verzorger_relatie"

    verzorger_id: int = Field(sa_type=BigInteger, index=True)
    leerling_id: int = Field(sa_type=BigInteger, index=True)
    relatiesoort: str | None = None
    volgnummer: int | None = None
    ouderlijk_gezag: bool | None = None
    ontvangt_post: bool | None = None


class Advies(CoreRow, table=True):
    """A schooladvies."""

    __tablename__ = "advies"

    leerling_id: int = Field(sa_type=BigInteger, index=True)
    soort: str | None = None
    advies: str | None = None
    datum: date | None = None


class Uitstroom(CoreRow, table=True):
    """Where a leerling went."""

    __tablename__ = "uitstroom"

    leerling_id: int = Field(sa_type=BigInteger, index=True)
    bestemming: str | None = None
    reden: str | None = None
    datum: date | None = None


class Toets(CoreRow, table=True):
    """A test."""

    __tablename__ = "toets"

    naam: str | None = None
    code: str | None = None
    soort: str | None = None
    vak_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    weging: int | None = None
    bovenliggend_id: int | None = Field(default=None, sa_type=BigInteger, index=True)


class Toetsresultaat(CoreRow, table=True):
    """What a leerling got for a test."""

    __tablename__ = "toetsresultaat"

    leerling_id: int = Field(sa_type=BigInteger, index=True)
    toets_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    vak_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    omschrijving: str | None = None
    schooljaar: str | None = None
    periode: int | None = None
    leerjaar: int | None = None
    soort: str | None = None
    poging: int | None = None
    resultaat: str | None = None
    getal: float | None = None
    weging: int | None = None
    referentiekader: str | None = None
    niveau: str | None = None
    geldend: bool | None = None
    datum: date | None = None
    bovenliggend_id: int | None = Field(default=None, sa_type=BigInteger, index=True)


class Groepsdeelname(SQLModel, table=True):
    """One person in one groep for one period; closed, never deleted.

    `rol` is `leerling` (then `persoon_id` is a leerling) or `docent`, `eerste_mentor`,
    `tweede_mentor` (then it is a medewerker). `beeindigd` says that the person left the groep: the
    row is history; one who comes back gets a new row.
    """

    __tablename__ = "groepsdeelname"

    id: int | None = Field(default=None, primary_key=True)
    groep_id: int = Field(sa_type=BigInteger, index=True)
    rol: str
    persoon_id: int = Field(sa_type=BigInteger, index=True)
    geldig_van: date | None = None
    geldig_tot: date | None = None
    tot_afgeleid: bool = False
    beeindigd: bool = False
    run_id: int


class Identificatie(SQLModel, table=True):
    """One identifier of one person, encrypted; `blindindex` finds it.

    `uitgever` is the koppeling that issued it where it is only unique there (leerlingnummer,
    personeelsnummer), else 0. A number of that kind that was replaced stands in the hub's own
    `former_number`, by its blind index alone.

    Of an ECK iD that the hub obtained (`herkomst` is `verkregen`) `uitgever` is the koppeling that
    obtained it, so that those of several sectors stand side by side, and beside one that an
    administration delivers. `keten`, `sector` and the period are empty where they are not known.
    """

    __tablename__ = "identificatie"

    eigenaar_id: int = Field(sa_type=BigInteger, primary_key=True)
    soort: str = Field(primary_key=True)
    uitgever: int = Field(primary_key=True)
    waarde: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    blindindex: bytes = Field(sa_column=Column(LargeBinary, nullable=False, index=True))
    herkomst: str = Field(
        default="geleverd", sa_column_kwargs={"server_default": text("'geleverd'")}
    )
    keten: str | None = None
    sector: str | None = None
    geldig_van: date | None = None
    geldig_tot: date | None = None
    run_id: int


class Contactgegeven(SQLModel, table=True):
    """One e-mail address or telephone number of one person."""

    __tablename__ = "contactgegeven"
    __table_args__ = (Index("ix_contactgegeven_waarde", "waarde"),)

    eigenaar_id: int = Field(sa_type=BigInteger, primary_key=True)
    soort: str = Field(primary_key=True)
    waarde: str
    geheim: bool = False
    run_id: int


class Adres(SQLModel, table=True):
    """One address of one person."""

    __tablename__ = "adres"

    eigenaar_id: int = Field(sa_type=BigInteger, primary_key=True)
    soort: str = Field(primary_key=True)
    straat: str | None = None
    huisnummer: str | None = None
    toevoeging: str | None = None
    postcode: str | None = None
    woonplaats: str | None = None
    land: str | None = None
    regels: str | None = None
    geheim: bool = False
    run_id: int


class KernInbox(SQLModel, table=True):
    """The one table that another program writes: messages of the tracking application to the hub.

    One row a message. The next run of the koppeling takes it over into the encrypted inbox and
    removes the row, in the order of `id`. A row that is refused stays, with the reason in `fout`
    and without its `body`: remove it, and send the message again. docs/kern.md says what goes in
    which column.
    """

    __tablename__ = "kern_inbox"

    id: int | None = Field(default=None, primary_key=True)
    message_id: str
    koppeling: str
    resource: str
    key: str
    action: str
    body: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    fout: str | None = None
