"""How upkeep is shown to people: what a purge removed, what keys encrypt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output, pairs
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from sync_engine.masters import MasterReport
    from sync_engine.purge import PurgeReport
    from sync_engine.rotation import KeyVersion, RotationReport, TenantKeys

_ROWS: Final = {
    "shadow": "bronvormen zonder record",
    "plan expired": "plannen waarvan de termijn om is (vervallen)",
    "groepsdeelname": "beëindigde groepsdeelnames",
    "raw_payload": "oude versies van ruwe bronrecords",
    "quarantine content": "inhoud van records in quarantaine (de melding blijft)",
    "quarantine": "records in quarantaine die niet meer geleverd worden",
    "plan values": "waarden van plannen die niet zijn toegepast",
    "journal": "regels van het journaal",
    "source_record": "sleutels van verdwenen bronrecords",
    "zaak_notitie": "notities bij oude gesloten zaken",
    "zaak": "oude gesloten zaken",
    "event": "meldingen van oude runs",
    "reading": "lezingen van oude runs",
    "step": "regels van oude plannen die niet zijn toegepast",
    "plan": "oude plannen",
    "run": "oude runs",
}


def show_backup(out: Output, file: Path, size_bytes: int, keys: Path) -> None:
    """Where the copy is, and what is not in it."""
    if out.data({"file": str(file), "size_bytes": size_bytes}):
        return
    out.line(f"{file}: {size_bytes / 1_000_000:.1f} MB")
    out.line(f"Bewaar {keys} apart: zonder dat bestand is de back-up niet te lezen.")


def show_purge(out: Output, reports: list[PurgeReport]) -> None:
    """What was removed, or would be."""
    if out.data(reports):
        return
    for report in reports:
        done = "zou verwijderd worden" if report.dry else "verwijderd"
        out.title(f"{report.tenant}: {done}")
        rows = [(f"{name} (met alles wat erbij hoort)", n) for name, n in report.records.items()]
        rows += [(_ROWS.get(name, name), count) for name, count in report.rows.items()]
        out.table(("wat", "aantal"), rows)
        if report.is_empty:
            out.line("niets is over zijn bewaartermijn")


def show_keys(out: Output, tenants: list[TenantKeys]) -> None:
    """Versions, and what each encrypts."""
    if out.data(tenants):
        return
    for tenant in tenants:
        out.title(tenant.tenant)
        if not tenant.versions:
            out.line("nog geen sleutel: de eerste run maakt er een")
        out.table(
            ("versie", "hoofdsleutel", "gemaakt", "rol", "versleutelt"),
            [
                (
                    v.version,
                    v.master_id,
                    out.moment(v.created_at),
                    _role(v),
                    pairs(v.values) or "niets",
                )
                for v in tenant.versions
            ],
        )
        if tenant.rotating:
            out.line("Er loopt een wisseling; `koppelhub keys rotate` gaat verder.")


def _role(version: KeyVersion) -> str:
    """What a version is for."""
    role = "actief" if version.active else "wordt leeggemaakt"
    if version.emptied_at is not None:
        role = "leeg"
    return f"{role}; indexen en vingerafdrukken" if version.indexes else role


def show_rotation(out: Output, reports: list[RotationReport]) -> ExitCode:
    """What a rotation did; the code is 1 when values do not open."""
    bad = any(report.unreadable for report in reports)
    code = ExitCode.PARTIAL if bad else ExitCode.DONE
    if out.data(reports):
        return code
    if not reports:
        out.line("Er is nog geen sleutel om te wisselen: de eerste run maakt er een.")
    for report in reports:
        began = "nieuwe sleutel" if report.began else "verder met sleutel"
        out.title(f"{report.tenant}: {began}, versie {report.version}")
        out.line(f"opnieuw versleuteld: {pairs(report.rewritten) or 'niets'}")
        for version in report.retired:
            out.line(f"versie {version} is verwijderd: niets noemt haar meer")
        if report.unreadable:
            out.line(
                f"niet te openen: {pairs(report.unreadable)}. De oude versie blijft; zet die "
                "waarden terug uit een back-up of meld dit bij de beheerder van Koppelhub."
            )
        if report.indexes != report.version:
            out.line(
                f"versie {report.indexes} blijft, alleen voor indexen en vingerafdrukken; "
                "zij versleutelt niets meer."
                if not report.unreadable
                else f"versie {report.indexes} blijft, ook voor indexen en vingerafdrukken."
            )
    return code


def show_master(out: Output, done: MasterReport, file: Path) -> None:
    """What became of the master key."""
    if out.data(done):
        return
    made = "is gemaakt" if done.made else "was al gemaakt en is nu bekend bij de database"
    out.line(f"Hoofdsleutel {done.active} {made}; {done.rewrapped} sleutels vallen er nu onder.")
    out.line(
        f"Maak nu een kopie van {file}; de oude hoofdsleutels erin blijven nodig voor back-ups."
    )
    out.line(
        "Zet het ook op elke andere machine met een worker, en start `koppelhub serve` en de "
        "workers opnieuw: wie het bestand eerder las, kan niets meer lezen."
    )
