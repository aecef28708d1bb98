"""One installation, opened: settings, store, keys and clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import msgspec
from sqlalchemy import text

from config.clock import Clock, local_date
from config.errors import ConfigurationError
from config.herinrichting import MovedPart
from config.keyring import Keyring
from config.nearest import choice, nearest, school_advice
from config.settings import Settings
from config.sources import PgnPurpose, School, Source, Tenant
from connectors import registry as connector_registry
from connectors.base import (
    Connector,
    Inbox,
    Keeps,
    Manifest,
)
from mappings import registry as mapping_registry
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from mappings.mapping import Mapping
from mappings.outward import Outward
from sector.identifiers import Brin, Identifier, InvalidIdentifierError, Vestigingsnummer
from sync_engine import herinrichtingen
from sync_engine.actor import Actor
from sync_engine.asked import asked_fields
from sync_engine.audit import note
from sync_engine.batches import StoreBatches
from sync_engine.context import KoppelingRow
from sync_engine.errors import NoRightError
from sync_engine.exchanges import Exchanges
from sync_engine.inbox import StoreInbox
from sync_engine.linking import Stores, connector
from sync_engine.people import Purpose, StorePeople
from sync_engine.politeness import StoreManners
from sync_engine.reach import Reach, lay, reach_of
from sync_engine.renumbering import Renumbering
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.engine import Store
from sync_engine.store.keys import open_tenant_cipher, verify_keys
from sync_engine.store.work import Work
from sync_engine.tracing import Tracing, tracing_of
from sync_engine.vault import StoreVault

_BRIN_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Hub:
    """Everything that a run needs that outlives it.

    Attributes:
        connect: makes the connector of a source; tests and the demo may replace it.
        find_mapping: finds the mapping of a system; tests may replace it.
        find_outward: finds what says what a system should have of the core, if anything does.
        actor: who acts; the system itself where no person does.
        tracing: where traces of runs go; None, the default, is nowhere.
    """

    settings: Settings
    store: Store
    keyring: Keyring
    clock: Clock
    connect: Callable[[Source, Clock], Connector]
    find_mapping: Callable[[str], Mapping] = mapping_registry.mapping_of
    find_outward: Callable[[str], Outward | None] = mapping_registry.outward_of
    actor: Actor = field(default_factory=Actor)
    tracing: Tracing | None = None

    def __post_init__(self) -> None:
        """Connectors of its own, and a store that shows no more than its actor may see.

        The same installation by other settings or for another actor is made by `replace`.
        """
        store = self.store.whole
        if self.actor.is_limited:
            store = store.under(self._lay)
        object.__setattr__(self, "store", store)
        if getattr(self.connect, "__func__", None) is Hub.connector:
            object.__setattr__(self, "connect", self.connector)

    def _lay(self, work: Work) -> None:
        lay(
            work,
            self.settings,
            tenants=self.actor.tenants or frozenset(),
            schools=self.actor.schools,
            on=local_date(self.clock.now(), self.settings.timezone),
            operator=self.actor.name,
        )

    @property
    def whole(self) -> Hub:
        """The same as the system uses it, for what the actor may do: his is its name.

        Whoever takes it has judged what was asked: nothing of what it reads may be shown.
        """
        return replace(self, actor=self.actor.unlimited()) if self.actor.is_limited else self

    @property
    def reach(self) -> Reach | None:
        """What the actor may act for where that is a part of some tenant; None where it is not."""
        if not self.actor.is_limited:
            return None
        with self.store.whole.work() as work:
            return reach_of(
                work,
                tenants=self.actor.tenants or frozenset(),
                schools=self.actor.schools,
                on=local_date(self.clock.now(), self.settings.timezone),
            )

    @classmethod
    def open(
        cls,
        settings: Settings,
        clock: Clock,
        *,
        connect: Callable[[Source, Clock], Connector] | None = None,
    ) -> Hub:
        """Open the database and the keys, and make tenants and koppelingen as configured.

        Raises: StoreError if the database is not as this release expects, or has other keys;
            ConfigurationError.
        """
        _check_names(settings)
        keyring = Keyring.load(settings.keys.file)
        store = Store.open(settings.database.resolve())
        try:
            verify_keys(store, keyring)
            make = connect or (lambda source, clock: hub.connector(source, clock))
            tracing = tracing_of(settings.telemetry)
            hub = cls(settings, store, keyring, clock, make, tracing=tracing)
            hub = hub if connect else replace(hub, connect=hub.connector)
            hub.mirror()
        except BaseException:
            store.close()
            raise
        return hub

    def under(self, settings: Settings) -> Hub:
        """This hub by other settings of the same installation; its rows are made as they name them.

        Raises: ConfigurationError; StoreError.
        """
        _check_names(settings)
        other = replace(self, settings=settings)
        other.mirror()
        return other

    def close(self) -> None:
        """Let the database go, and hand over the traces that are left."""
        self.store.close()
        if self.tracing is not None:
            self.tracing.close()

    def mirror(self) -> None:
        """Rows for the tenants and koppelingen that the configuration names.

        Processes may open one new database at once: what another wrote first stands.
        """
        with self.store.work() as work:
            tenants, sources = _mirrored(work)
            new = [t for t in self.settings.tenant if t.name not in tenants]
            for tenant in new:
                work.execute(
                    "INSERT INTO tenant (name, title) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                    (tenant.name, tenant.title),
                )
            if new:
                tenants, _ = _mirrored(work)
            names = {number: name for name, number in tenants.items()}
            for source in self.settings.source:
                wanted = (tenants[source.tenant], source.system)
                known = sources.get(source.name, wanted)
                if known != wanted and not self._moves(source, names[known[0]], known[1]):
                    if known[1] != source.system:
                        _check_system(source)
                    raise ConfigurationError(
                        f"source[{source.name}]: its tenant or system differs from the database",
                        advice="Geef een koppeling naar een ander systeem een nieuwe naam. Gaat "
                        f"zij van {names[known[0]]} naar een ander bestuur, kondig dat dan aan: "
                        "[[herinrichting]] met `naar` en `koppelingen`; zie docs/mergers.md.",
                    )
                if source.name not in sources:
                    work.execute(
                        "INSERT INTO koppeling (tenant_id, name, system) VALUES (?, ?, ?) "
                        "ON CONFLICT (name) DO NOTHING",
                        (wanted[0], source.name, source.system),
                    )

    def _moves(self, source: Source, tenant: str, system: str) -> bool:
        """Whether an announced herinrichting says why a koppeling stands with another tenant."""
        between = frozenset({tenant, source.tenant})
        return source.system == system and any(
            each.moves(source.name, between=between) for each in self.settings.herinrichting
        )

    def koppeling(self, name: str) -> KoppelingRow:
        """The configured koppeling of that name, to run.

        Raises: ConfigurationError if none is that the actor may act for, or it is on its way to
            another tenant.
        """
        source = self.source(name)
        with self.store.work() as work:
            ((number, system, tenant_id, tenant),) = work.execute(
                "SELECT k.id, k.system, t.id, t.name FROM koppeling k "
                "JOIN tenant t ON t.id = k.tenant_id WHERE k.name = ?",
                (name,),
            )
        if tenant != source.tenant:
            raise ConfigurationError(
                f"source[{name}]: stands with tenant {tenant} in the database",
                advice="Deze koppeling gaat naar een ander bestuur. Nog niet toegepast? "
                f'`koppelhub herinrichting apply`. Al wel? Zet bij haar tenant = "{tenant}".',
            )
        found = KoppelingRow(number, name, system, tenant_id)
        self._refuse_parted(source)
        return found

    def _refuse_parted(self, source: Source) -> None:
        """Do nothing where a koppeling reads nothing that goes, or went, to another tenant.

        Raises: ConfigurationError.
        """
        for each in self.settings.herinrichting:
            for part in each.deel:
                if source.name == part.to and not self._has_gone(part):
                    raise ConfigurationError(
                        f"source[{source.name}]: gets what herinrichting {each.name} brings it",
                        advice="Zij leest pas als dat is toegepast: "
                        f"`koppelhub herinrichting apply {each.name}`.",
                    )
                going = source.name == part.koppeling and source.includes(part.vestigingen)
                if going and self._has_gone(part):
                    raise ConfigurationError(
                        f"source[{source.name}].vestigingen: {', '.join(part.vestigingen)} went "
                        f"to {each.naar}",
                        advice="Noem bij deze koppeling alleen nog de vestigingen die blijven.",
                    )

    def _has_gone(self, part: MovedPart) -> bool:
        """Whether the koppeling that gets a part has it."""
        with self.store.whole.work() as work:
            return bool(
                work.execute(
                    "SELECT 1 FROM scope s JOIN koppeling k ON k.id = s.koppeling_id "
                    "WHERE k.name = ? LIMIT 1",
                    (part.to,),
                )
            )

    def schools(self, koppeling: str, wanted: Iterable[str]) -> tuple[str, ...]:
        """BRINs and vestigingsnummers that a person typed, as they select scopes of a koppeling.

        Raises: ConfigurationError if one is neither, is not in the configuration, or is not served
            by this koppeling.
        """
        source = self.source(koppeling)
        return tuple(dict.fromkeys(self._school(source, text) for text in wanted))

    def _school(self, source: Source, text: str) -> str:
        kind: type[Identifier] = Brin if len(text.strip()) <= _BRIN_LENGTH else Vestigingsnummer
        try:
            number = kind(text).reveal()
        except InvalidIdentifierError as exc:
            message = f"school: {exc.name}: {exc.rule}"
            known = self._numbers(self.sources())
            near = nearest(text.strip(), known)
            meant = f" Bedoelt u {' of '.join(near)}?" if near else ""
            raise ConfigurationError(message, advice=f"{school_advice(text)}{meant}") from None
        serving = self.sources_of(number)
        if source not in serving:
            names = ", ".join(s.name for s in serving) or "geen"
            raise ConfigurationError(
                f"source[{source.name}] does not serve school {number}",
                advice=f"Koppelingen van deze school: {names}.",
            )
        return number

    # -- what the actor may act for ---------------------------------------------------------------

    def sources(self) -> tuple[Source, ...]:
        """The configured koppelingen that the actor may act for."""
        allowed, reach = self.actor.tenants, self.reach
        if reach is not None:
            mine = self.settings.source
            return tuple(s for s in mine if reach.has_source(self.settings, s))
        return tuple(s for s in self.settings.source if allowed is None or s.tenant in allowed)

    def own_schools(self) -> list[tuple[Tenant, School]]:
        """The configured schools that the actor may act for, or for a part, each of its tenant."""
        allowed, reach = self.actor.tenants, self.reach
        return [
            (tenant, school)
            for tenant in self.settings.tenant
            for school in tenant.school
            if (
                (allowed is None or tenant.name in allowed)
                if reach is None
                else reach.has_school(tenant.name, school.brin.reveal())
            )
        ]

    def source(self, name: str) -> Source:
        """The koppeling of that name.

        Raises: ConfigurationError if there is none that the actor may act for; it names the nearest
            of those that he may.
        """
        mine = self.sources()
        for source in mine:
            if source.name == name:
                return source
        raise ConfigurationError(
            f"the configuration has no source {name!r}",
            advice=choice(name, (source.name for source in mine)),
        )

    def sources_of(self, school: str) -> tuple[Source, ...]:
        """The koppelingen that serve a BRIN or vestigingsnummer, of those the actor may act for.

        A school that changed its number is known by each of them.

        Raises: ConfigurationError if no school of his has that number; it names the nearest.
        """
        mine, reach = self.sources(), self.reach
        tenants = {source.tenant for source in mine}
        wanted = school.strip().upper()
        brins = {
            s.brin.reveal() for t in self.settings.tenant if t.name in tenants for s in t.school
        }
        names = [n for n in self.names_of(wanted) if n[:_BRIN_LENGTH] in brins]
        if reach is not None and not self._has_school(reach, names):
            names = []
        if not names:
            raise ConfigurationError(
                "there is no school with that BRIN or vestigingsnummer",
                advice=f"{school_advice(wanted)} {choice(wanted, self._numbers(mine))}",
            )
        serving = [source for name in names for source in self.settings.sources_of(name)]
        return tuple(s for s in mine if s in serving)

    def _has_school(self, reach: Reach, names: Iterable[str]) -> bool:
        tenants = [t for t in self.settings.tenant if t.name in reach.tenants]
        whole = {school.brin.reveal() for tenant in tenants for school in tenant.school}
        return any(reach.touches(name) or name[:_BRIN_LENGTH] in whole for name in names)

    def names_of(self, school: str) -> tuple[str, ...]:
        """Every number of a school, in the tenants that the actor may act for; its own first."""
        with self.store.work() as work:
            tenants = list(self.tenants(work))
            every = [herinrichtingen.in_force(work, [tenant]) for tenant in tenants]
        on = local_date(self.clock.now(), self.settings.timezone)
        names = [n for some in every for n in Renumbering(some, on=on).names(school)]
        return tuple(dict.fromkeys((school, *names)))

    def _numbers(self, sources: Sequence[Source]) -> list[str]:
        """BRINs and vestigingsnummers of these koppelingen, as configured and as read."""
        tenants, numbers = set(), []
        for source in sources:
            tenants.add(source.tenant)
            numbers += [number.reveal() for number in source.vestigingen or ()]
        brins = [
            s.brin.reveal() for t in self.settings.tenant if t.name in tenants for s in t.school
        ]
        with self.store.work() as work:
            for (listed,) in work.execute(
                "SELECT DISTINCT s.brins FROM scope s JOIN koppeling k ON k.id = s.koppeling_id "
                f"WHERE {work.many('k.name')}",
                (work.values([source.name for source in sources]),),
            ):
                numbers += msgspec.json.decode(listed, type=list[str])
        reach, found = self.reach, list(dict.fromkeys([*brins, *numbers]))
        return found if reach is None else [n for n in found if self._has_school(reach, [n])]

    def tenants(self, work: Work, *, only: str | None = None) -> dict[int, str]:
        """Id → name of the tenants that the actor may act for, or for a part; the past included.

        Raises: ConfigurationError if `only` names none of them; it names the nearest.
        """
        reach = self.reach
        allowed = self.actor.tenants if reach is None else reach.tenant_names(self.settings)
        mine = {
            number: name
            for number, name in work.execute("SELECT id, name FROM tenant ORDER BY id")
            if allowed is None or name in allowed
        }
        if only is None:
            return mine
        chosen = {number: name for number, name in mine.items() if name == only}
        if not chosen:
            message = f"there is no tenant {only!r}"
            raise ConfigurationError(message, advice=choice(only, mine.values()))
        return chosen

    def check_tenant(self, tenant_id: int) -> None:
        """Do nothing where the actor may act for something of this tenant. Raises: NoRightError."""
        if self.actor.tenants is None:
            return
        with self.store.work() as work:
            if tenant_id not in self.tenants(work):
                message = f"{self.actor.name} may not act for this tenant"
                raise NoRightError(message)

    # -- one tenant --------------------------------------------------------------------------------

    def koppelingen(self, tenant_id: int) -> dict[int, str]:
        """Id → name of every koppeling of a tenant, those of the past included.

        Of a record that is his the actor sees each koppeling that knows it: their names are told to
        who may see a part of the tenant too.
        """
        with self.store.whole.work() as work:
            return dict(
                work.execute("SELECT id, name FROM koppeling WHERE tenant_id = ?", (tenant_id,))
            )

    def cipher(self, tenant_id: int) -> TenantCipher:
        """The tenant's keys; made on first use.

        Raises: NoRightError if the actor may not act for this tenant.
        """
        self.check_tenant(tenant_id)
        return open_tenant_cipher(self.store, self.keyring, tenant_id, now=self.clock.now())

    def inbox(self, name: str) -> Inbox:
        """The inbox of a configured koppeling."""
        row = self.koppeling(name)
        cipher = partial(self.cipher, row.tenant_id)
        return StoreInbox(self.store, row, cipher=cipher, clock=self.clock)

    def connector(self, source: Source, clock: Clock) -> Connector:
        """The connector of a configured source, with the stores that it needs.

        Raises: ConfigurationError, as the function `connector`.
        """
        needs = connector_registry.factory(source.system).manifest.keeps
        manners = StoreManners(
            self.store,
            koppeling=source.name,
            system=source.system,
            policy=self.settings.politeness,
            probe=2 * self.settings.policy.limits.request_timeout,
            clock=clock,
        )
        return connector(
            self.settings, source, clock, stores=self.stores(source, needs), manners=manners
        )

    def stores(self, source: Source, needs: Collection[Keeps]) -> Stores:
        """What a koppeling may keep and know, of what its connector declares that it needs."""
        return Stores(
            inbox=self.inbox(source.name) if Keeps.INBOX in needs else None,
            vault=self.vault(source.name) if Keeps.VAULT in needs else None,
            batches=self.batches(source.name) if Keeps.BATCHES in needs else None,
            people=self.people(source) if Keeps.PEOPLE in needs else None,
        )

    def vault(self, name: str) -> StoreVault:
        """What the system of a configured koppeling keeps of persons."""
        row = self.koppeling(name)
        cipher = partial(self.cipher, row.tenant_id)
        return StoreVault(
            self.store,
            tenant_id=row.tenant_id,
            system=row.system,
            cipher=cipher,
            clock=self.clock,
        )

    def batches(self, name: str) -> StoreBatches:
        """What a configured koppeling asked in one message, and fetches later."""
        row = self.koppeling(name)
        cipher = partial(self.cipher, row.tenant_id)
        return StoreBatches(self.store, row, cipher=cipher, clock=self.clock)

    def exchanges(self, name: str) -> Exchanges:
        """Where each object stands with the system of a configured koppeling."""
        row = self.koppeling(name)
        cipher = partial(self.cipher, row.tenant_id)
        return Exchanges(self.store, row, cipher=cipher, clock=self.clock)

    def people(self, source: Source) -> StorePeople:
        """Who is at the schools of a koppeling's tenant.

        Their PGNs are for the ECK iD: the one purpose that any connector asks people for.
        """
        row, purpose = self.koppeling(source.name), PgnPurpose.ECKID
        names = self.koppelingen(row.tenant_id)
        numbers = {name: number for number, name in names.items()}
        tellers = tuple(
            numbers[other.name]
            for other in self.settings.source
            if other.name in numbers and other.pgn_allowed_for(purpose)
        )
        return StorePeople(
            self.store,
            row,
            purpose=Purpose(purpose, source.pgn_allowed_for(purpose), tellers),
            cipher=partial(self.cipher, row.tenant_id),
            today=self.today,
            note=partial(note, self, operator=self.actor.name, action="pgn"),
        )

    def manifest(self, source: Source) -> Manifest:
        """What the connector of a source declares; nothing is opened where it is installed.

        Raises: ConfigurationError, as `connector`, of a connector that is not.
        """
        installed = connector_registry.find().installed.get(source.system)
        if installed is not None:
            return installed.manifest
        made = self.connect(source, self.clock)
        try:
            return made.manifest
        finally:
            made.close()

    def mapping(self, system: str) -> Mapping:
        """The mapping of a system. Raises: ConfigurationError if none is installed."""
        return self.find_mapping(system)

    def mappings(self, tenant_id: int) -> dict[str, Mapping]:
        """Koppeling name → mapping, for the configured koppelingen of a tenant."""
        names = set(self.koppelingen(tenant_id).values())
        return {s.name: self.mapping(s.system) for s in self.settings.source if s.name in names}

    def today(self) -> str:
        """The local date, ISO."""
        return local_date(self.clock.now(), self.settings.timezone).isoformat()

    def count(self, table: str) -> int:
        """Rows of one of the hub's tables."""
        with self.store.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


def _check_names(settings: Settings) -> None:
    """Raises: ConfigurationError where policy names what no entity or resource has."""
    settings.policy.check_names(
        {str(entity): fields_of(entity) for entity in Entity}, resources=_resource_names()
    )
    asked_fields(settings.policy)


def _mirrored(work: Work) -> tuple[dict[str, int], dict[str, tuple[int, str]]]:
    """Tenant → id, koppeling → (tenant id, system)."""
    tenants = work.execute("SELECT name, id FROM tenant")
    sources = work.execute("SELECT name, tenant_id, system FROM koppeling")
    return {row[0]: row[1] for row in tenants}, {row[0]: (row[1], row[2]) for row in sources}


def _resource_names() -> set[str]:
    return {
        resource.name
        for factory in connector_registry.find().installed.values()
        for resource in factory.manifest.resources
    }


def _check_system(source: Source) -> None:
    """Raises: ConfigurationError, which names the nearest, of a system that is misspelt."""
    try:
        connector_registry.factory(source.system)
    except ConfigurationError as error:
        message = f"source[{source.name}].system: {error}"
        raise ConfigurationError(message, advice=error.advice) from None
