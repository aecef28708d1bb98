"""The core tracking database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    _adres()
    _advies()
    _bevoegd_gezag()
    _contactgegeven()
    _groep()
    _groepsdeelname()
    _identificatie()
    _inschrijving()
    _instelling()
    _leerling()
    _medewerker()
    _opleiding()
    _schooljaar()
    _toets()
    _toetsresultaat()
    _uitstroom()
    _vak()
    _verzorger()
    _verzorger_relatie()
    _vestiging()


def _adres() -> None:
    op.create_table(
        "adres",
        sa.Column("eigenaar_id", sa.BigInteger(), nullable=False),
        sa.Column("soort", sa.String(), nullable=False),
        sa.Column("straat", sa.String(), nullable=True),
        sa.Column("huisnummer", sa.String(), nullable=True),
        sa.Column("toevoeging", sa.String(), nullable=True),
        sa.Column("postcode", sa.String(), nullable=True),
        sa.Column("woonplaats", sa.String(), nullable=True),
        sa.Column("land", sa.String(), nullable=True),
        sa.Column("regels", sa.String(), nullable=True),
        sa.Column("geheim", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("eigenaar_id", "soort"),
    )


def _advies() -> None:
    op.create_table(
        "advies",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("leerling_id", sa.BigInteger(), nullable=False),
        sa.Column("soort", sa.String(), nullable=True),
        sa.Column("advies", sa.String(), nullable=True),
        sa.Column("datum", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_advies_leerling_id", "advies", ["leerling_id"], unique=False)
    op.create_index("ix_advies_tenant_id", "advies", ["tenant_id"], unique=False)


def _bevoegd_gezag() -> None:
    op.create_table(
        "bevoegd_gezag",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.Column("nummer", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bevoegd_gezag_tenant_id", "bevoegd_gezag", ["tenant_id"], unique=False)


def _contactgegeven() -> None:
    op.create_table(
        "contactgegeven",
        sa.Column("eigenaar_id", sa.BigInteger(), nullable=False),
        sa.Column("soort", sa.String(), nullable=False),
        sa.Column("waarde", sa.String(), nullable=False),
        sa.Column("geheim", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("eigenaar_id", "soort"),
    )


def _groep() -> None:
    op.create_table(
        "groep",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.Column("soort", sa.String(), nullable=False),
        sa.Column("omschrijving", sa.String(), nullable=True),
        sa.Column("schooljaar", sa.String(), nullable=True),
        sa.Column("leerjaar", sa.Integer(), nullable=True),
        sa.Column("onderwijssoort", sa.String(), nullable=True),
        sa.Column("vestiging_id", sa.BigInteger(), nullable=True),
        sa.Column("vak_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_groep_naam", "groep", ["naam"], unique=False)
    op.create_index("ix_groep_tenant_id", "groep", ["tenant_id"], unique=False)
    op.create_index("ix_groep_vak_id", "groep", ["vak_id"], unique=False)
    op.create_index("ix_groep_vestiging_id", "groep", ["vestiging_id"], unique=False)


def _groepsdeelname() -> None:
    op.create_table(
        "groepsdeelname",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("groep_id", sa.BigInteger(), nullable=False),
        sa.Column("rol", sa.String(), nullable=False),
        sa.Column("persoon_id", sa.BigInteger(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("beeindigd", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_groepsdeelname_groep_id", "groepsdeelname", ["groep_id"], unique=False)
    op.create_index("ix_groepsdeelname_persoon_id", "groepsdeelname", ["persoon_id"], unique=False)


def _identificatie() -> None:
    op.create_table(
        "identificatie",
        sa.Column("eigenaar_id", sa.BigInteger(), nullable=False),
        sa.Column("soort", sa.String(), nullable=False),
        sa.Column("uitgever", sa.Integer(), nullable=False),
        sa.Column("waarde", sa.LargeBinary(), nullable=False),
        sa.Column("blindindex", sa.LargeBinary(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("eigenaar_id", "soort", "uitgever"),
    )
    op.create_index("ix_identificatie_blindindex", "identificatie", ["blindindex"], unique=False)


def _inschrijving() -> None:
    op.create_table(
        "inschrijving",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("leerling_id", sa.BigInteger(), nullable=False),
        sa.Column("vestiging_id", sa.BigInteger(), nullable=True),
        sa.Column("opleiding_id", sa.BigInteger(), nullable=True),
        sa.Column("stamgroep_id", sa.BigInteger(), nullable=True),
        sa.Column("mentor_id", sa.BigInteger(), nullable=True),
        sa.Column("schooljaar", sa.String(), nullable=True),
        sa.Column("leerjaar", sa.Integer(), nullable=True),
        sa.Column("kenmerken", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_inschrijving_leerling_id", "inschrijving", ["leerling_id"], unique=False)
    op.create_index("ix_inschrijving_mentor_id", "inschrijving", ["mentor_id"], unique=False)
    op.create_index("ix_inschrijving_opleiding_id", "inschrijving", ["opleiding_id"], unique=False)
    op.create_index("ix_inschrijving_stamgroep_id", "inschrijving", ["stamgroep_id"], unique=False)
    op.create_index("ix_inschrijving_tenant_id", "inschrijving", ["tenant_id"], unique=False)
    op.create_index("ix_inschrijving_vestiging_id", "inschrijving", ["vestiging_id"], unique=False)


def _instelling() -> None:
    op.create_table(
        "instelling",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.Column("afkorting", sa.String(), nullable=True),
        sa.Column("brin", sa.String(), nullable=True),
        sa.Column("brins", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_instelling_tenant_id", "instelling", ["tenant_id"], unique=False)


def _leerling() -> None:
    op.create_table(
        "leerling",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("achternaam", sa.String(), nullable=False),
        sa.Column("voorvoegsel", sa.String(), nullable=True),
        sa.Column("roepnaam", sa.String(), nullable=True),
        sa.Column("voornamen", sa.String(), nullable=True),
        sa.Column("voorletters", sa.String(), nullable=True),
        sa.Column("geslacht", sa.String(), nullable=True),
        sa.Column("geboortedatum", sa.Date(), nullable=True),
        sa.Column("geboorteplaats", sa.String(), nullable=True),
        sa.Column("geboorteland", sa.String(), nullable=True),
        sa.Column("telefoon_geheim", sa.Boolean(), nullable=True),
        sa.Column("adres_geheim", sa.Boolean(), nullable=True),
        sa.Column("gebruikersnaam", sa.String(), nullable=True),
        sa.Column("contact_via_email", sa.Boolean(), nullable=True),
        sa.Column("herkomst_brin", sa.String(), nullable=True),
        sa.Column("herkomst_naam", sa.String(), nullable=True),
        sa.Column("onderwijs_sinds", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_leerling_geboortedatum", "leerling", ["tenant_id", "geboortedatum"], unique=False
    )
    op.create_index("ix_leerling_tenant_id", "leerling", ["tenant_id"], unique=False)


def _medewerker() -> None:
    op.create_table(
        "medewerker",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("achternaam", sa.String(), nullable=False),
        sa.Column("voorvoegsel", sa.String(), nullable=True),
        sa.Column("roepnaam", sa.String(), nullable=True),
        sa.Column("voorletters", sa.String(), nullable=True),
        sa.Column("geslacht", sa.String(), nullable=True),
        sa.Column("geboortedatum", sa.Date(), nullable=True),
        sa.Column("afkorting", sa.String(), nullable=True),
        sa.Column("functie", sa.String(), nullable=True),
        sa.Column("is_docent", sa.Boolean(), nullable=True),
        sa.Column("gebruikersnaam", sa.String(), nullable=True),
        sa.Column("telefoon_geheim", sa.Boolean(), nullable=True),
        sa.Column("adres_geheim", sa.Boolean(), nullable=True),
        sa.Column("hoofdvestiging_id", sa.BigInteger(), nullable=True),
        sa.Column("reden_uit_dienst", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_medewerker_hoofdvestiging_id", "medewerker", ["hoofdvestiging_id"], unique=False
    )
    op.create_index("ix_medewerker_tenant_id", "medewerker", ["tenant_id"], unique=False)


def _opleiding() -> None:
    op.create_table(
        "opleiding",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.Column("afkorting", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("landelijke_naam", sa.String(), nullable=True),
        sa.Column("profiel", sa.String(), nullable=True),
        sa.Column("profielnaam", sa.String(), nullable=True),
        sa.Column("leerjaren", sa.String(), nullable=True),
        sa.Column("vanaf_schooljaar", sa.String(), nullable=True),
        sa.Column("tot_schooljaar", sa.String(), nullable=True),
        sa.Column("vestiging_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_opleiding_tenant_id", "opleiding", ["tenant_id"], unique=False)
    op.create_index("ix_opleiding_vestiging_id", "opleiding", ["vestiging_id"], unique=False)


def _schooljaar() -> None:
    op.create_table(
        "schooljaar",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_schooljaar_tenant_id", "schooljaar", ["tenant_id"], unique=False)


def _toets() -> None:
    op.create_table(
        "toets",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("soort", sa.String(), nullable=True),
        sa.Column("vak_id", sa.BigInteger(), nullable=True),
        sa.Column("weging", sa.Integer(), nullable=True),
        sa.Column("bovenliggend_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_toets_bovenliggend_id", "toets", ["bovenliggend_id"], unique=False)
    op.create_index("ix_toets_tenant_id", "toets", ["tenant_id"], unique=False)
    op.create_index("ix_toets_vak_id", "toets", ["vak_id"], unique=False)


def _toetsresultaat() -> None:
    op.create_table(
        "toetsresultaat",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("leerling_id", sa.BigInteger(), nullable=False),
        sa.Column("toets_id", sa.BigInteger(), nullable=True),
        sa.Column("vak_id", sa.BigInteger(), nullable=True),
        sa.Column("omschrijving", sa.String(), nullable=True),
        sa.Column("schooljaar", sa.String(), nullable=True),
        sa.Column("periode", sa.Integer(), nullable=True),
        sa.Column("leerjaar", sa.Integer(), nullable=True),
        sa.Column("soort", sa.String(), nullable=True),
        sa.Column("poging", sa.Integer(), nullable=True),
        sa.Column("resultaat", sa.String(), nullable=True),
        sa.Column("getal", sa.Float(), nullable=True),
        sa.Column("weging", sa.Integer(), nullable=True),
        sa.Column("referentiekader", sa.String(), nullable=True),
        sa.Column("niveau", sa.String(), nullable=True),
        sa.Column("geldend", sa.Boolean(), nullable=True),
        sa.Column("datum", sa.Date(), nullable=True),
        sa.Column("bovenliggend_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_toetsresultaat_bovenliggend_id", "toetsresultaat", ["bovenliggend_id"], unique=False
    )
    op.create_index(
        "ix_toetsresultaat_leerling_id", "toetsresultaat", ["leerling_id"], unique=False
    )
    op.create_index("ix_toetsresultaat_tenant_id", "toetsresultaat", ["tenant_id"], unique=False)
    op.create_index("ix_toetsresultaat_toets_id", "toetsresultaat", ["toets_id"], unique=False)
    op.create_index("ix_toetsresultaat_vak_id", "toetsresultaat", ["vak_id"], unique=False)


def _uitstroom() -> None:
    op.create_table(
        "uitstroom",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("leerling_id", sa.BigInteger(), nullable=False),
        sa.Column("bestemming", sa.String(), nullable=True),
        sa.Column("reden", sa.String(), nullable=True),
        sa.Column("datum", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_uitstroom_leerling_id", "uitstroom", ["leerling_id"], unique=False)
    op.create_index("ix_uitstroom_tenant_id", "uitstroom", ["tenant_id"], unique=False)


def _vak() -> None:
    op.create_table(
        "vak",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.Column("afkorting", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("vestiging_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_vak_tenant_id", "vak", ["tenant_id"], unique=False)
    op.create_index("ix_vak_vestiging_id", "vak", ["vestiging_id"], unique=False)


def _verzorger() -> None:
    op.create_table(
        "verzorger",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("achternaam", sa.String(), nullable=False),
        sa.Column("voorvoegsel", sa.String(), nullable=True),
        sa.Column("voorletters", sa.String(), nullable=True),
        sa.Column("roepnaam", sa.String(), nullable=True),
        sa.Column("geslacht", sa.String(), nullable=True),
        sa.Column("gebruikersnaam", sa.String(), nullable=True),
        sa.Column("telefoon_geheim", sa.Boolean(), nullable=True),
        sa.Column("mobiel_werk_geheim", sa.Boolean(), nullable=True),
        sa.Column("adres_geheim", sa.Boolean(), nullable=True),
        sa.Column("contact_via_email", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_verzorger_tenant_id", "verzorger", ["tenant_id"], unique=False)


def _verzorger_relatie() -> None:
    op.create_table(
        "verzorger_relatie",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("verzorger_id", sa.BigInteger(), nullable=False),
        sa.Column("leerling_id", sa.BigInteger(), nullable=False),
        sa.Column("relatiesoort", sa.String(), nullable=True),
        sa.Column("volgnummer", sa.Integer(), nullable=True),
        sa.Column("ouderlijk_gezag", sa.Boolean(), nullable=True),
        sa.Column("ontvangt_post", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_verzorger_relatie_leerling_id", "verzorger_relatie", ["leerling_id"], unique=False
    )
    op.create_index(
        "ix_verzorger_relatie_tenant_id", "verzorger_relatie", ["tenant_id"], unique=False
    )
    op.create_index(
        "ix_verzorger_relatie_verzorger_id", "verzorger_relatie", ["verzorger_id"], unique=False
    )


def _vestiging() -> None:
    op.create_table(
        "vestiging",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("geldig_van", sa.Date(), nullable=True),
        sa.Column("geldig_tot", sa.Date(), nullable=True),
        sa.Column("tot_afgeleid", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("naam", sa.String(), nullable=False),
        sa.Column("afkorting", sa.String(), nullable=True),
        sa.Column("vestigingsnummer", sa.String(), nullable=True),
        sa.Column("brins", sa.String(), nullable=True),
        sa.Column("instelling_id", sa.BigInteger(), nullable=True),
        sa.Column("digideliveryid", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_vestiging_instelling_id", "vestiging", ["instelling_id"], unique=False)
    op.create_index("ix_vestiging_tenant_id", "vestiging", ["tenant_id"], unique=False)
