"""Somtoday's own records, typed: fields as Somtoday names them, in snake_case.

No field of a read answer is marked required in the description: only the key of a record is
demanded here, and the reference in an item of a list, without which the item says nothing.
`None` is absent or null; whether that means *empty* or *not delivered* is in the delivery contract
of the scope, and in `dropped`.
Spec: somtoday.md, section 6 (CONFIRMED); texts of dates and years as section 4.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.protocols.parsing import Day, SourceModel, Text, Uuid, Whole

Geslacht = Literal["MAN", "VROUW", "ONBEKEND"]
Toewijzing = Literal["Plaatsing", "EersteMentorStamgroep", "TweedeMentorStamgroep"]


class Instelling(SourceModel):
    """The organisation of the token. Spec: section 3.1."""

    uuid: Uuid
    naam: Text | None = None
    afkorting: Text | None = None
    brins: tuple[Text, ...] | None = None


class ExternalIdentifier(SourceModel):
    """A BRIN6 with its delivery address. Spec: section 6.1."""

    brinnr: Text | None = None
    digideliveryid: Text | None = None


class Vestiging(SourceModel):
    """A location; `brins` are BRIN6. Spec: section 6.1."""

    uuid: Uuid
    naam: Text | None = None
    afkorting: Text | None = None
    brins: tuple[Text, ...] | None = None
    externalidentifiers: tuple[ExternalIdentifier, ...] | None = None


class VestigingReferentie(SourceModel):
    """A location, as other records refer to it."""

    uuid: Uuid
    naam: Text | None = None


class Adres(SourceModel):
    """An address; `huisnummer` may hold the suffix. Spec: section 6.9."""

    postcode: Text | None = None
    straat: Text | None = None
    huisnummer: Text | None = None
    huisnummer_toevoeging: Text | None = None
    huisnummer_zonder_toevoeging: Text | None = None
    woonplaats: Text | None = None
    land: Text | None = None
    buitenlands_adres: Text | None = None


class Mentor(SourceModel):
    """A mentor of a placement or home group."""

    medewerker_uuid: Uuid
    toewijzing: Toewijzing | None = None


class LeerlingVestiging(SourceModel):
    """A pupil, as groups refer to one."""

    uuid: Uuid
    vestiging: VestigingReferentie | None = None


class Stamgroep(SourceModel):
    """A home group; nested in a placement it has no `leerlingen`. Spec: section 6.4."""

    uuid: Uuid
    omschrijving: Text | None = None
    leerjaar: Whole | None = None
    onderwijssoort: Text | None = None
    naam: Text | None = None
    leerlingen: tuple[LeerlingVestiging, ...] | None = None
    mentoren: tuple[Mentor, ...] | None = None


class Opleiding(SourceModel):
    """A programme; `code` is national. Spec: section 6.6."""

    uuid: Uuid
    afkorting: Text | None = None
    naam: Text | None = None
    code: Text | None = None
    landelijke_naam: Text | None = None
    profielafkorting: Text | None = None
    profielnaam: Text | None = None
    leerjaren: tuple[Whole, ...] | None = None
    vanafschooljaar: Text | None = None
    totschooljaar: Text | None = None


class Plaatsing(SourceModel):
    """An enrolment; both days are inclusive, `schooljaar` is `2026/2027`. Spec: section 6.3."""

    uuid: Uuid | None = None
    schooljaar: Text | None = None
    startdatum: Day | None = None
    einddatum: Day | None = None
    leerjaar: Whole | None = None
    opleiding: Opleiding | None = None
    stamgroep: Stamgroep | None = None
    mentoren: tuple[Mentor, ...] | None = None
    digi_delivery_id: Text | None = Field(default=None, alias="digiDeliveryId")
    opleidingskenmerken: tuple[Text, ...] | None = None


class LosPlaatsing(Plaatsing):
    """An enrolment as a record of its own: there its key is demanded."""

    uuid: Uuid


class Vakkeuze(SourceModel):
    """A subject choice; `uuid` is often missing, both days are inclusive. Spec: section 6.6."""

    uuid: Uuid | None = None
    begindatum: Day | None = None
    einddatum: Day | None = None
    landelijke_vakcode: Text | None = None
    landelijke_vaknaam: Text | None = None
    school_vaknaam: Text | None = None
    school_vakafkorting: Text | None = None
    niveau: Text | None = None
    leerjaar: Whole | None = None
    onderwijssoort: Text | None = None
    opleiding: Text | None = None
    vestiging: VestigingReferentie | None = None


class LesgroepReferentie(SourceModel):
    """A teaching group, as persons refer to it."""

    uuid: Uuid
    naam: Text | None = None
    vestiging: VestigingReferentie | None = None


class OuderVerzorgerReferentie(SourceModel):
    """A guardian, as a pupil refers to one; `volgnummer` 1 is the first contact."""

    uuid: Uuid
    volgnummer: Whole | None = None


class Leerling(SourceModel):
    """A pupil; `achternaam` is without prefix. Bank data is never read. Spec: section 6.2."""

    uuid: Uuid
    eckid: Text | None = None
    leerlingnummer: Whole | None = None
    bsn: Text | None = Field(default=None, alias="BSN")
    roepnaam: Text | None = None
    voornamen: Text | None = None
    voorletters: Text | None = None
    voorvoegsel: Text | None = None
    achternaam: Text | None = None
    geslacht: Geslacht | None = None
    geboortedatum: Day | None = None
    geboorteplaats: Text | None = None
    geboorteland: Text | None = None
    emailadres: Text | None = None
    mobielnummer: Text | None = None
    telefoonnummer: Text | None = None
    telefoonnummer_geheim: bool | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None
    verzorgers: tuple[OuderVerzorgerReferentie, ...] | None = None
    vestiging: VestigingReferentie | None = None
    plaatsingen: tuple[Plaatsing, ...] | None = None
    lesgroepen: tuple[LesgroepReferentie, ...] | None = None
    vakkeuzes: tuple[Vakkeuze, ...] | None = None
    gebruikersnaam: Text | None = None
    edu_person_real_id: Text | None = Field(default=None, alias="eduPersonRealId")
    parnassys_leerling_nummer: Whole | None = Field(default=None, alias="parnassysLeerlingNummer")
    is_actief: bool | None = Field(default=None, alias="isActief")
    school_van_herkomst_brin: Text | None = Field(default=None, alias="schoolVanHerkomstBrin")
    school_van_herkomst_naam: Text | None = Field(default=None, alias="schoolVanHerkomstNaam")
    advies_school_van_herkomst: Text | None = Field(default=None, alias="adviesSchoolVanHerkomst")
    onderwijs_sinds: Day | None = Field(default=None, alias="onderwijsSinds")
    wenst_contact_via_email: bool | None = Field(default=None, alias="wenstContactViaEMail")


class Lesgroep(SourceModel):
    """A teaching group; `docenten` are UUIDs in no order, `vak` an abbreviation. Section 6.5."""

    uuid: Uuid
    naam: Text | None = None
    schooljaar: Text | None = None
    leerjaar: Whole | None = None
    onderwijssoort: Text | None = None
    vestiging: VestigingReferentie | None = None
    leerlingen: tuple[LeerlingVestiging, ...] | None = None
    docenten: tuple[Uuid, ...] | None = None
    vak: Text | None = None
    vaknaam: Text | None = None
    vakuuid: Uuid | None = None
    landelijke_vakcode: Text | None = None
    vakkeuzes: tuple[Vakkeuze, ...] | None = None


class LeerlingReferentie(SourceModel):
    """A pupil, as a guardian refers to one."""

    uuid: Uuid
    relatiesoort: Text | None = None
    ouderlijk_gezag: bool | None = None
    mag_post_ontvangen: bool | None = None


class OuderVerzorger(SourceModel):
    """A guardian, shared by siblings; has no first name. Spec: section 6.7.

    `telefoonnummer` is the first known of home, mobile and work; the `uitgebreid…` ones are exact.
    """

    uuid: Uuid
    geslacht: Geslacht | None = None
    voorletters: Text | None = None
    voorvoegsel: Text | None = None
    achternaam: Text | None = None
    gebruikersnaam: Text | None = None
    emailadres: Text | None = None
    telefoonnummer: Text | None = None
    telefoonnummer_geheim: bool | None = None
    uitgebreid_telefoonnummer: Text | None = Field(default=None, alias="uitgebreidTelefoonnummer")
    uitgebreid_mobiel_nummer: Text | None = Field(default=None, alias="uitgebreidMobielNummer")
    uitgebreid_mobiel_werk_nummer: Text | None = Field(
        default=None, alias="uitgebreidMobielWerkNummer"
    )
    mobielwerknummer_geheim: bool | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None
    leerlingen_van_vestiging: tuple[Uuid, ...] | None = None
    relatie_tot_leerlingen: tuple[LeerlingReferentie, ...] | None = None
    wenst_contact_via_email: bool | None = Field(default=None, alias="wenstContactViaEMail")


class Medewerker(SourceModel):
    """A member of staff; `medewerkernummer` begins with the word "Medewerker ". Section 6.8."""

    uuid: Uuid
    eckid: Text | None = None
    bsn: Text | None = None
    roepnaam: Text | None = None
    voorletters: Text | None = None
    voorvoegsel: Text | None = None
    achternaam: Text | None = None
    geslacht: Geslacht | None = None
    geboortedatum: Day | None = None
    adres: Adres | None = None
    adres_geheim: bool | None = None
    emailadres: Text | None = None
    werk_telefoonnummer: Text | None = None
    prive_telefoonnummer: Text | None = None
    privetelefoonnummer_geheim: bool | None = None
    medewerkernummer: Text | None = None
    externnummer: Whole | None = None
    afkorting: Text | None = None
    gebruikersnaam: Text | None = None
    functie: Text | None = None
    is_docent: bool | None = None
    lesgroepen: tuple[LesgroepReferentie, ...] | None = None
    vestiging: VestigingReferentie | None = None
    hoofdvestiging: VestigingReferentie | None = None
    datum_in_dienst: Day | None = None
    datum_uit_dienst: Day | None = None
    reden_uit_dienst: Text | None = None
    edu_person_real_id: Text | None = Field(default=None, alias="eduPersonRealId")


class Vak(SourceModel):
    """A subject, defined by the location itself. Spec: section 6.6."""

    uuid: Uuid
    afkorting: Text | None = None
    naam: Text | None = None


class Poging(SourceModel):
    """One attempt at a test; marks are texts. Spec: section 6.11."""

    resultaat: Text | None = None
    resultaat_alternatief: Text | None = None
    poging: Whole | None = None


class Deeltoets(SourceModel):
    """A part of a composed test."""

    uuid: Uuid
    omschrijving: Text | None = None
    code: Text | None = None
    weging: Whole | None = None
    geldend_resultaat: Text | None = None
    geldend_resultaat_alternatief: Text | None = None
    pogingen: tuple[Poging, ...] | None = None


class DossierResultaat(SourceModel):
    """A test and its result; marks are texts (`7,2`, `V`)."""

    uuid: Uuid
    omschrijving: Text | None = None
    code: Text | None = None
    toets_type: Literal["TOETS", "SAMENGESTELDETOETS"] | None = Field(
        default=None, alias="toetsType"
    )
    weging: Whole | None = None
    geldend_resultaat: Text | None = None
    geldend_resultaat_alternatief: Text | None = None
    pogingen: tuple[Poging, ...] | None = None
    deeltoetsen: tuple[Deeltoets, ...] | None = None


class VoortgangsdossierPeriode(SourceModel):
    """One period of one subject; averages are texts."""

    periode: Whole | None = None
    periodegemiddelde: Text | None = None
    periodegemiddelde_alternatief: Text | None = None
    rapportgemiddelde: Text | None = None
    rapportgemiddelde_alternatief: Text | None = None
    resultaten: tuple[DossierResultaat, ...] | None = None


class Vakdossier(SourceModel):
    """One subject of a progress file (`VoortgangsDossier` in the description)."""

    vakuuid: Uuid | None = None
    vaknaam: Text | None = None
    niveau: Text | None = None
    leerjaar: Whole | None = None
    omschrijving_standaard: Text | None = None
    omschrijving_alternatief: Text | None = None
    periodes: tuple[VoortgangsdossierPeriode, ...] | None = None


class Voortgangsdossier(SourceModel):
    """The progress file of one pupil: the answer, with the pupil's key that the path held.

    `leerling_uuid` is put in by the connector; the answer itself does not name the pupil.
    """

    leerling_uuid: Uuid
    voortgangsdossiers: tuple[Vakdossier, ...]


class SeDeel(SourceModel):
    """The school exam part of one subject."""

    se_eindcijfer: Text | None = None
    se_resultaten: tuple[DossierResultaat, ...] | None = None


class DeelExamen(SourceModel):
    """A part of a central exam."""

    naam: Text | None = None
    geldend_resultaat: Text | None = None
    variant: Text | None = None


class CeResultaat(SourceModel):
    """One result of a central exam."""

    tijdvak: Text | None = None
    geldend_resultaat: Text | None = None
    variant: Text | None = None
    deelexamens: tuple[DeelExamen, ...] | None = None


class CeDeel(SourceModel):
    """The central exam part of one subject."""

    ce_eindcijfer: Text | None = None
    ce_resultaten: tuple[CeResultaat, ...] | None = None


class Examenvakdossier(SourceModel):
    """One subject of an exam file (`ExamenDossier` in the description)."""

    vak_uuid: Uuid | None = Field(default=None, alias="vakUUID")
    vak_naam: Text | None = Field(default=None, alias="vakNaam")
    niveau: Text | None = None
    lichting: Text | None = None
    eindcijfer: Text | None = None
    se_resultaten: SeDeel | None = None
    ce_resultaten: CeDeel | None = None


class Examendossier(SourceModel):
    """The exam file of one pupil, with the pupil's key as in `Voortgangsdossier`."""

    leerling_uuid: Uuid
    examendossiers: tuple[Examenvakdossier, ...]
