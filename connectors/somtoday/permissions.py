"""Somtoday's field permissions → the delivery contract of a scope.

An answer's `veldpermissies` says per permission key whether a field is delivered. Its keys are not
always those of the data: this module holds the one table from data field to permission keys. A key
that is missing from the map counts as not delivered (ASSUMED). A field that has no permission key
goes with the field that it belongs to, as `_WITHOUT_OWN_KEY` says (ASSUMED).
Spec: somtoday.md, sections 3.2 and 6.8 (CONFIRMED where not marked).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.base import DeliveryContract
from connectors.protocols.parsing import SourceModel, field_paths

VERSION: Final = "14.10"

_MENTORS: Final = {
    "Plaatsing": "mentor_plaatsing",
    "EersteMentorStamgroep": "eerste_mentor_stamgroep",
    "TweedeMentorStamgroep": "tweede_mentor_stamgroep",
}
"""`toewijzing` of an entry of `mentoren[]` → the permission that governs it."""

_PLAATSING_NESTED: Final = "plaatsingVeldpermissies"
_RELATIE_NESTED: Final = "relatie_tot_leerlingen_permissies"
_PERIODE_NESTED: Final = "periodeVeldpermissies"
_CE_NESTED: Final = "ce_deelVeldpermissies"

_NESTED: Final[Mapping[tuple[str, str], str]] = {
    ("leerling", "plaatsingen"): _PLAATSING_NESTED,
    ("ouderVerzorger", "relatie_tot_leerlingen"): _RELATIE_NESTED,
    ("voortgangsdossier", "voortgangsdossiers.periodes"): _PERIODE_NESTED,
    ("examendossier", "examendossiers.ce_resultaten"): _CE_NESTED,
}
"""Fields whose parts have permissions of their own, in a map inside the map."""

_WITHOUT_OWN_KEY: Final[Mapping[tuple[str, str], str]] = {
    ("vestiging", "externalidentifiers"): "digideliveryid",
    ("leerling", "telefoonnummer_geheim"): "telefoonnummer",
    ("leerling", "adres_geheim"): "adres",
    ("ouderVerzorger", "telefoonnummer_geheim"): "telefoonnummer",
    ("ouderVerzorger", "mobielwerknummer_geheim"): "uitgebreidMobielWerkNummer",
    ("ouderVerzorger", "adres_geheim"): "adres",
    ("medewerker", "privetelefoonnummer_geheim"): "prive_telefoonnummer",
    ("medewerker", "adres_geheim"): "adres",
    ("medewerker", "datum_in_dienst"): "datumInDienst",
    ("medewerker", "datum_uit_dienst"): "datumUitDienst",
    ("medewerker", "reden_uit_dienst"): "redenUitDienst",
    ("voortgangsdossier", "voortgangsdossiers.omschrijving_standaard"): "vaknaam",
    ("voortgangsdossier", "voortgangsdossiers.omschrijving_alternatief"): "vaknaam",
    (
        "voortgangsdossier",
        "voortgangsdossiers.periodes.periodegemiddelde_alternatief",
    ): "periodegemiddelde",
    (
        "voortgangsdossier",
        "voortgangsdossiers.periodes.rapportgemiddelde_alternatief",
    ): "rapportgemiddelde",
    ("examendossier", "examendossiers.vakNaam"): "vakUUID",
    ("examendossier", "examendossiers.lichting"): "niveau",
    ("examendossier", "examendossiers.ce_resultaten"): "ce_deel",
}
"""Data fields whose permission key is spelled otherwise, or belongs to another field."""

_NEVER: Final = frozenset(
    {
        ("leerling", "plaatsingen.stamgroep.leerlingen"),
        ("leerling", "plaatsingen.stamgroep.mentoren"),
        ("plaatsing", "stamgroep.leerlingen"),
        ("plaatsing", "stamgroep.mentoren"),
    }
)
"""Not filled there, whatever is permitted. Spec: section 6.4 (CONFIRMED for leerlingen)."""

_TOPS: Final[Mapping[str, str]] = {
    "voortgangsdossier": "voortgangsdossiers",
    "examendossier": "examendossiers",
}
"""Resources whose permissions describe the items of one list, which itself always comes."""


def contract_of(
    resource: str,
    model: type[SourceModel],
    *,
    permissions: Mapping[str, Any] | None,
    drop: frozenset[str] = frozenset(),
) -> DeliveryContract:
    """The delivery contract of one scope.

    Args:
        resource: its name.
        model: the record, whose fields the contract names, dotted when nested. `mentoren` counts as
            delivered when every kind of mentor is, since a part of a list is not the list; each
            kind also stands by itself (`mentoren.EersteMentorStamgroep`).
        permissions: the answer's `veldpermissies`; None for a resource that has none
            (`instelling`), where everything is delivered.
        drop: fields of this resource that are cut at intake: not delivered.
    """
    fields: dict[str, bool] = {}
    for path in field_paths(model):
        parent = path.rpartition(".")[0]
        shut = path in drop or (resource, path) in _NEVER or not fields.get(parent, True)
        if permissions is None:
            fields[path] = not shut
        else:
            fields[path] = not shut and _permitted(resource, path, permissions=permissions)
        if path.rpartition(".")[2] == "mentoren":
            held = _level(resource, parent, permissions) if permissions is not None else None
            for toewijzing, key in _mentor_keys(resource, path).items():
                granted = held.get(key) is True if held is not None else fields[path]
                fields[f"{path}.{toewijzing}"] = not shut and granted
    return DeliveryContract(fields, VERSION)


def _mentor_keys(resource: str, path: str) -> Mapping[str, str]:
    """The permissions that govern a list of mentors: a stamgroep has none of its own placement."""
    if resource == "stamgroep" or ".stamgroep." in f".{path}":
        return {kind: key for kind, key in _MENTORS.items() if kind != "Plaatsing"}
    return _MENTORS


def _permitted(resource: str, path: str, *, permissions: Mapping[str, Any]) -> bool:
    """Whether one field, whose parents are delivered, is delivered itself."""
    top = _TOPS.get(resource)
    if path == top or path == "leerling_uuid":
        return True
    parent, _, name = path.rpartition(".")
    held = _level(resource, parent, permissions)
    if held is None:
        return True  # a part of a field that is permitted or not as a whole
    if name == "mentoren":
        return all(held.get(key) is True for key in _mentor_keys(resource, path).values())
    if (resource, path) == ("examendossier", "examendossiers.se_resultaten"):
        return held.get("se_eindcijfer") is True or held.get("se_resultaten") is True
    return held.get(_WITHOUT_OWN_KEY.get((resource, path), name)) is True


def _level(resource: str, parent: str, permissions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The map that governs the fields directly under `parent`; None where there is none."""
    if parent in {"", _TOPS.get(resource, "")}:
        return permissions
    if (resource, parent) == ("examendossier", "examendossiers.se_resultaten"):
        return permissions
    nested = _NESTED.get((resource, parent))
    if nested is None:
        return None
    held = permissions.get(nested)
    return held if isinstance(held, dict) else {}
