"""Doctor: what is wrong with an installation, and how to mend it; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.clock import SystemClock
from config.errors import KoppelhubError
from config.keyring import Keyring
from config.operators import Role
from config.settings import Settings
from connectors import registry
from sync_engine.accounts import list_accounts
from sync_engine.alerts.senders import check_channel
from sync_engine.batches import overdue
from sync_engine.erasure.listing import list_path, read_list
from sync_engine.errors import StoreError
from sync_engine.hub import Hub
from sync_engine.lately import lately
from sync_engine.plans import waiting_plans
from sync_engine.reorganise import list_herinrichtingen
from sync_engine.rotation import list_keys
from sync_engine.schedule.planner import check_schedules
from sync_engine.selection import koppelingen_of
from sync_engine.store.engine import Store
from sync_engine.store.keys import verify_keys

_LARGE = 20_000
"""Pupils in one SQLite file above which PostgreSQL is recommended (design.md, Storage)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `goed`, `let op` or `fout`."""

    level: str
    subject: str
    message: str
    advice: str = ""


def examine(config: Path | None) -> list[Finding]:
    """Look at everything, from configuration to koppelingen; goes on where it can."""
    findings: list[Finding] = []
    try:
        settings = Settings.load(config)
    except KoppelhubError as error:
        return [_wrong("configuratie", error)]
    findings.append(Finding("goed", "configuratie", f"{settings.origin}"))
    findings += _operators(settings)
    findings += _keys(settings)
    findings += _database(settings)
    if any(finding.level == "fout" for finding in findings):
        return findings
    hub = Hub.open(settings, SystemClock())
    try:
        findings += _size(hub)
        findings += _sign_in(hub)
        findings += _rotations(hub)
        findings += _answers(hub)
        findings += examine_erasures(hub)
        findings += _herinrichtingen(hub)
        findings += _sources(hub)
        findings += _left_out(hub)
        findings += _schedules(hub)
        findings += _alerts(settings)
        findings += _runs(hub)
    finally:
        hub.close()
    return findings


def _operators(settings: Settings) -> Iterator[Finding]:
    """Who may do what; nobody may what nobody has the role for."""
    held = {
        grant.role
        for operator in settings.operator
        for grant in operator.grants
        if grant.schools is None
    }
    if settings.operator:
        told = ", ".join(
            f"{one.name} ({'; '.join(map(str, one.grants))})" for one in settings.operator
        )
        missing = "" if Role.ADMIN in held else "niemand heeft de rol admin"
        level, advice = ("let op", _NAME_ONE) if missing else ("goed", "")
        yield Finding(level, "medewerkers", missing or told, advice)
    elif settings.production:
        yield Finding(
            "let op",
            "medewerkers",
            "de configuratie noemt niemand; in productie mag dan niemand iets",
            _NAME_ONE,
        )
    else:
        yield Finding(
            "goed", "medewerkers", "niemand genoemd: wie hier inlogt mag alles", _NAME_ONE
        )


_NAME_ONE = (
    'Neem in koppelhub.toml een tabel [[operator]] op met name = "<gebruiker>" en role = "admin".'
)


def _alerts(settings: Settings) -> Iterator[Finding]:
    """Whether somebody is told when something goes wrong, and all that this needs is there."""
    channels = settings.alerts.channel
    if not channels:
        level, advice = ("let op", _TELL_ONE) if settings.production else ("goed", "")
        yield Finding(level, "alerts", "niemand wordt gewaarschuwd: er is geen kanaal", advice)
    for channel in channels:
        try:
            check_channel(settings, channel)
        except KoppelhubError as error:
            yield _wrong(f"alerts {channel.name}", error)
        else:
            yield Finding("goed", f"alerts {channel.name}", str(channel.kind))


_TELL_ONE = "Maak een [[alerts.channel]] in koppelhub.toml, en probeer het met `alerts test`."


def _keys(settings: Settings) -> Iterator[Finding]:
    try:
        keyring = Keyring.load(settings.keys.file)
    except KoppelhubError as error:
        yield _wrong("sleutels", error)
        return
    yield Finding("goed", "sleutels", f"actieve sleutel {keyring.active_id}")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        store = Store.open(settings.database.resolve())
    except KoppelhubError as error:
        advice = error.advice
        if advice == StoreError.default_advice:  # which is to ask the doctor
            advice = _NO_DATABASE
        yield Finding("fout", "database", str(error), advice)
        return
    try:
        if never_keyed(store):
            yield Finding(
                "fout",
                "database",
                "deze lege database kent de sleutels nog niet",
                "Draai `koppelhub db upgrade`.",
            )
            return
        verify_keys(store, Keyring.load(settings.keys.file))
        yield Finding("goed", "database", settings.database.shown())
        if store.path is not None and store.path.stat().st_mode & 0o077:
            yield Finding(
                "let op",
                "database",
                "anderen kunnen dit bestand lezen",
                f"chmod 600 {store.path}",
            )
    except KoppelhubError as error:
        yield _wrong("database", error)
    finally:
        store.close()


_NO_DATABASE = (
    "Controleer `database` in de configuratie: wat daar staat is geen (hele) database van de hub. "
    "Is zij beschadigd, zet dan een back-up terug met `koppelhub db restore`."
)


def never_keyed(store: Store) -> bool:
    """Whether a database of the current schema was never given keys, and so holds nothing yet."""
    with store.work() as work:
        return not any(
            work.execute(f"SELECT 1 FROM {table} LIMIT 1")
            for table in ("key_check", "tenant_key", "tenant")
        )


def _size(hub: Hub) -> Iterator[Finding]:
    pupils = hub.count("leerling")
    yield Finding("goed", "omvang", f"{pupils} leerlingen")
    if hub.store.path is not None and pupils > _LARGE:
        yield Finding(
            "let op",
            "omvang",
            f"meer dan {_LARGE} leerlingen in één SQLite-bestand",
            "Ga over op PostgreSQL: zet database.url en draai `koppelhub db upgrade`.",
        )


def _sign_in(hub: Hub) -> Iterator[Finding]:
    """How people come to the pages, and who could not although he has an account."""
    web, subject = hub.settings.web, "inloggen"
    if web.oidc is not None:
        try:
            web.oidc.client_secret.resolve()
        except KoppelhubError as error:
            yield _wrong(subject, error)
        else:
            yield Finding("goed", subject, f"met {web.oidc.label}, bij {web.oidc.issuer}")
    if not web.local_accounts:
        return
    active = [each for each in list_accounts(hub) if each.disabled_at is None]
    without = sorted(each.name for each in active if each.role is None)
    if without:
        yield Finding(
            "let op",
            subject,
            f"accounts zonder rol: {', '.join(without)}",
            "Neem ze op als [[operator]], of zet ze uit met `koppelhub account disable NAAM`.",
        )
    elif active:
        yield Finding("goed", subject, f"{len(active)} accounts")
    elif web.oidc is None:
        yield Finding(
            "goed",
            subject,
            "niemand kan bij de pagina's: er zijn geen accounts",
            "Maak er een met `koppelhub account add NAAM`, voor wie de pagina's gebruikt.",
        )


def _rotations(hub: Hub) -> Iterator[Finding]:
    for keys in list_keys(hub, count=False):
        if keys.rotating:
            yield Finding(
                "let op",
                f"sleutel van {keys.tenant}",
                "een wisseling is begonnen en nog niet klaar",
                "Draai `koppelhub keys rotate`: dat gaat verder waar het was.",
            )


def _answers(hub: Hub) -> Iterator[Finding]:
    """Raw answers about persons that are kept longer than a day: nobody read or purged since."""
    with hub.store.work() as work:
        names = koppelingen_of(hub, work)
        for number, name in names.items():
            if overdue(work, [number], now=hub.clock.now()):
                yield Finding(
                    "let op",
                    f"koppeling {name}",
                    "er staat een antwoord over personen, of een aanvraag, langer dan dat mag",
                    "Draai `koppelhub purge`, en laat `koppelhub serve` dat elke nacht doen.",
                )


def examine_erasures(hub: Hub) -> Iterator[Finding]:
    """Whether the list beside the key file is that of this database."""
    path = list_path(hub.settings.keys.file)
    try:
        listed = read_list(path)
    except KoppelhubError as error:
        yield _wrong("wissingen", error)
        return
    with hub.store.whole.work() as work:
        rows = work.execute("SELECT DISTINCT erasure FROM suppression ORDER BY erasure")
        here = {row[0] for row in work.execute("SELECT DISTINCT tenant_id FROM koppeling")}
    known = {row[0] for row in rows}
    whole = hub.whole
    sealed = {
        (number, name)
        for number in sorted(here & listed.tenants)
        for names in listed.of(number, whole.cipher(number).suppression_key)
        for name in names
    }
    lines = [line for line in (*listed.erased, *listed.lifted) if line[0] in here]
    missed = [line for line in lines if line[1] not in known and line not in listed.lifted]
    if unlisted := known - listed.names:
        yield Finding(
            "fout",
            "wissingen",
            f"{path} kent {len(unlisted)} wissingen van deze database niet",
            "Zet de lijst terug die naast het sleutelbestand stond: zonder brengt een back-up "
            "terug wie gewist is.",
        )
    elif alien := [line for line in lines if line not in sealed]:
        yield Finding(
            "fout",
            "wissingen",
            f"{path} heeft {len(alien)} regels van een andere installatie, of veranderde",
            "Zet de lijst terug die bij dit sleutelbestand hoort; aan deze regels doet de hub "
            "niets.",
        )
    elif missed:
        yield Finding(
            "let op",
            "wissingen",
            f"{len(missed)} van de lijst zijn in deze database niet gewist",
            "Draai `koppelhub purge`: dat maakt het af.",
        )
    elif known:
        yield Finding("goed", "wissingen", f"{len(known)}, alle op de lijst")


def _herinrichtingen(hub: Hub) -> Iterator[Finding]:
    """What was announced and is past its day, or is announced otherwise than it is in force."""
    for made in list_herinrichtingen(hub):
        subject = f"herinrichting {made.name}"
        if made.state == "announced" and made.on <= hub.today():
            yield Finding(
                "let op",
                subject,
                f"haar dag was {made.on}, en zij is niet toegepast",
                f"Bekijk haar met `koppelhub herinrichting preview {made.name}`.",
            )
        elif made.state == "unconfigured":
            yield Finding(
                "let op",
                subject,
                "is toegepast, en de configuratie noemt nog het oude bestuur: "
                f"{', '.join(made.numbers)} leest niet",
                "Zet bij deze koppelingen `tenant` op het nieuwe bestuur.",
            )
        elif made.state == "differs":
            yield Finding(
                "let op",
                subject,
                "de configuratie zegt iets anders dan wat van kracht is",
                f"Draai `koppelhub run undo {made.run_id}` en pas haar opnieuw toe, of herstel de "
                "configuratie.",
            )


def _sources(hub: Hub) -> Iterator[Finding]:
    broken = registry.find().broken
    for name, why in broken.items():
        yield Finding("let op", f"connector {name}", why, "Installeer dit pakket opnieuw.")
    for source in hub.settings.source:
        try:
            made = hub.connector(source, hub.clock)
        except KoppelhubError as error:
            yield _wrong(f"koppeling {source.name}", error)
            continue
        made.close()
        yield Finding("goed", f"koppeling {source.name}", "instellingen en geheimen zijn er")


def _left_out(hub: Hub) -> Iterator[Finding]:
    """What the database knows and the configuration does not: a koppeling that left, or a mistake.

    Not of the hub's own reach: where no tenant is configured, nobody may see any.
    """
    named = {source.name for source in hub.settings.source}
    with hub.store.whole.work() as work:
        known = work.execute(
            "SELECT k.name, (SELECT COUNT(*) FROM scope s WHERE s.koppeling_id = k.id "
            "AND s.ended_run IS NULL) FROM koppeling k ORDER BY k.name"
        )
    for name, scopes in known:
        if name not in named and scopes:
            yield Finding(
                "let op",
                f"koppeling {name}",
                "staat in de database en niet in de configuratie: zij wordt niet meer gelezen",
                "Is dat niet de bedoeling, zet haar dan terug in de configuratie. Anders eindigt "
                "zij bij de volgende run van een andere koppeling van dit bestuur.",
            )
    if not named and known:
        yield Finding(
            "fout",
            "configuratie",
            "noemt geen enkele koppeling, en de database heeft er wel",
            "Controleer of dit het bestand is dat u bedoelt (--config of KOPPELHUB_CONFIG).",
        )


def _schedules(hub: Hub) -> Iterator[Finding]:
    try:
        check_schedules(hub)
    except KoppelhubError as error:
        yield _wrong("schema", error)


def _runs(hub: Hub) -> Iterator[Finding]:
    """The last whole run of each koppeling."""
    longest = hub.settings.policy.limits.run_time
    with hub.store.work() as work:
        names = koppelingen_of(hub, work)
        now = hub.clock.now()
        runs = lately(work, list(names), now=now, longest=longest)
        waiting = waiting_plans(work, list(names), now=now)
    for number, name in names.items():
        last = runs[number].last
        if last is None:
            continue
        answered = last.outcome == "held" and number not in waiting
        level = "goed" if answered or last.outcome == "done" else "let op"
        what = "held; over het plan is beslist" if answered else last.outcome
        advice = last.advice or (_LOOK.format(number=last.id) if level == "let op" else "")
        yield Finding(level, f"laatste run {name}", what, "" if answered else advice)


_LOOK = "Zie `koppelhub run show {number}`; wat op u wacht staat in `koppelhub todo`."


def _wrong(subject: str, error: KoppelhubError) -> Finding:
    return Finding("fout", subject, str(error), error.advice)
