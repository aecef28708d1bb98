"""The settings of one installation: one TOML file, an optional overlay, then the environment.

The file is `--config`, else `$KOPPELHUB_CONFIG`, else `./koppelhub.toml`; the fragments that stand
beside it (fragments.py) are laid over it, then the file that `$KOPPELHUB_OVERLAY` names.
`KOPPELHUB_DATABASE__URL` and the like win from all.
Unknown keys are errors, and every error names file, key and rule, never the value.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import (
    Discriminator,
    PrivateAttr,
    SecretStr,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from config import fragments
from config.alerts import Alerts
from config.clock import AMSTERDAM, zone
from config.errors import ConfigurationError
from config.frozen import Frozen
from config.guards import BRIN_LENGTH, yielding
from config.herinrichting import AnnouncedHerinrichting, clash
from config.nearest import choice, nearest, school_advice
from config.operators import Operator
from config.policies import Freshness, Policy, default_values
from config.politeness import Politeness
from config.scheduling import Blackout, Scheduling
from config.secret import Secret
from config.sources import REFERENCE, TEXT, Source, Tenant, shape
from config.telemetry import Telemetry
from config.toml import anchored, laid_over, read_tables
from config.watch import Watch
from config.web import Web
from sector.identifiers import Brin, InvalidIdentifierError, Vestigingsnummer

PREFIX: Final = "KOPPELHUB_"
PGN_ROLES: Final = frozenset({"bsn", "onderwijsnummer"})
"""Roles of the canonical schema that hold a persoonsgebonden nummer."""

_URL_USER: Final = re.compile(r"//[^/@]*@")
Layer = tuple[str, dict[str, Any]]
Named = TypeVar("Named", Tenant, Source)


class Database(Frozen):
    """Where the core tracking database is.

    Attributes:
        url: an SQLAlchemy address, or a reference to one where it holds a password.
    """

    url: Annotated[
        Annotated[Secret, Tag(REFERENCE)] | Annotated[SecretStr, Tag(TEXT)],
        Discriminator(shape),
    ]

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: Secret | SecretStr) -> Secret | SecretStr:
        if isinstance(url, SecretStr):
            _check_url(url.get_secret_value())
        return url

    def resolve(self, env: Mapping[str, str] | None = None) -> str:
        """The address, with its password where it has one.

        Raises: ConfigurationError if the secret is not there, or names another kind of database.
        """
        if isinstance(self.url, SecretStr):
            return self.url.get_secret_value()
        url = self.url.resolve(env)
        try:
            _check_url(url)
        except ValueError as exc:
            message = f"database.url: {exc}"
            raise ConfigurationError(message) from None
        return url

    def shown(self, env: Mapping[str, str] | None = None) -> str:
        """The address for people: without user, password and parameters.

        Raises: ConfigurationError as `resolve` does.
        """
        return _URL_USER.sub("//", self.resolve(env).partition("?")[0])


def _check_url(url: str) -> None:
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        message = "must start with sqlite:///, postgresql:// or postgresql+psycopg://"
        raise ValueError(message)


class Keys(Frozen):
    """Where the key file is."""

    file: Path


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on lines are written."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Logging(Frozen):
    """What is logged, and how."""

    level: LogLevel
    format: LogFormat


class Settings(BaseSettings):
    """All settings of one installation; made by `load`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix=PREFIX
    )

    database: Database
    keys: Keys
    logging: Logging
    policy: Policy
    alerts: Alerts
    scheduling: Scheduling
    politeness: Politeness
    health: Watch
    telemetry: Telemetry
    web: Web
    timezone: str = AMSTERDAM
    production: bool = False
    acknowledged: frozenset[str] = frozenset()
    tenant: tuple[Tenant, ...] = ()
    source: tuple[Source, ...] = ()
    operator: tuple[Operator, ...] = ()
    herinrichting: tuple[AnnouncedHerinrichting, ...] = ()
    _origin: Path | None = PrivateAttr(default=None)
    _overlay: Path | None = PrivateAttr(default=None)
    _stamp: fragments.Stamp = PrivateAttr(default=())

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            zone(name)
        except ConfigurationError:
            message = "this machine knows no time zone of that name"
            raise ValueError(message) from None
        return name

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        tenants = {tenant.name: tenant for tenant in self.tenant}
        if len(tenants) != len(self.tenant):
            message = "tenant: two have the same name"
            raise ValueError(message)
        if len({source.name for source in self.source}) != len(self.source):
            message = "source: two have the same name"
            raise ValueError(message)
        for source in self.source:
            tenant = tenants.get(source.tenant)
            if tenant is None:
                message = f"source[{source.name}].tenant: there is no tenant of that name"
                raise ValueError(message)
            brins = {school.brin for school in tenant.school}
            if any(number.brin not in brins for number in source.vestigingen or ()):
                message = f"source[{source.name}].vestigingen: one is of no school of its tenant"
                raise ValueError(message)
            others = {s.name for s in self.source if s.tenant == source.tenant} - {source.name}
            if source.keys_of is not None and source.keys_of not in others:
                message = f"source[{source.name}].keys_of: its tenant has no other such koppeling"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _operators_agree(self) -> Self:
        if len({operator.name for operator in self.operator}) != len(self.operator):
            message = "operator: two have the same name"
            raise ValueError(message)
        for operator in self.operator:
            where = f"operator[{operator.name}]"
            self._known_tenants(f"{where}.tenants", operator.tenants)
            for place, grant in enumerate(operator.grant):
                self._known_tenants(f"{where}.grant[{place}].tenants", grant.tenants)
                self._known_schools(f"{where}.grant[{place}].schools", grant.schools)
        return self

    def _known_tenants(self, key: str, names: Iterable[str] | None) -> None:
        """Raises: ValueError, which names the nearest, if one is of no tenant."""
        known = [tenant.name for tenant in self.tenant]
        for name in names or ():
            if name not in known:
                message = f"{key}: there is no tenant of that name{_near(name, known)}"
                raise ValueError(message)

    def _known_schools(self, key: str, numbers: Iterable[str] | None) -> None:
        """Raises: ValueError, which names the nearest, if one is of no school of a tenant."""
        brins = self._brins()
        for number in numbers or ():
            if number[:BRIN_LENGTH] not in brins:
                places = [n.reveal() for s in self.source for n in s.vestigingen or ()]
                near = _near(number, [*brins, *places])
                message = f"{key}: is of no school of a tenant{near}"
                raise ValueError(message)

    def _brins(self) -> set[str]:
        """BRINs of every school; one that changed its number is known by the old one too."""
        brins = {school.brin.reveal() for tenant in self.tenant for school in tenant.school}
        return brins | {
            change.number[:BRIN_LENGTH] for each in self.herinrichting for change in each.nummer
        }

    @model_validator(mode="after")
    def _alerts_name_tenants(self) -> Self:
        tenants = {tenant.name for tenant in self.tenant}
        for rule in self.alerts.rule:
            if not tenants.issuperset(rule.tenants or ()):
                message = f"alerts.rule[{rule.name}].tenants: there is no tenant of that name"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _authority_names_sources(self) -> Self:
        known = {source.name for source in self.source}
        for key, names in self.policy.authority.order.items():
            if not known.issuperset(names):
                message = f"policy.authority.order.{key}: names a koppeling that there is not"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _policy_names_what_there_is(self) -> Self:
        guards, sources = self.policy.guards, {source.name for source in self.source}
        for table, named in (
            ("guards", set(guards.sources)),
            ("correlation", set(self.policy.correlation.sources)),
        ):
            for name in sorted(named - sources):
                message = f"policy.{table}.sources.{name}: there is no koppeling of that name"
                raise ValueError(message)
        brins = self._brins()
        for name in guards.schools:
            kind = Brin if len(name) == BRIN_LENGTH else Vestigingsnummer
            try:
                known = kind(name).reveal() == name and name[:BRIN_LENGTH] in brins
            except InvalidIdentifierError:
                known = False
            if not known:
                message = (
                    f"policy.guards.schools.{name}: is no BRIN or vestigingsnummer of a tenant"
                )
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _herinrichtingen_agree(self) -> Self:
        tenants = {tenant.name: tenant for tenant in self.tenant}
        if len({each.name for each in self.herinrichting}) != len(self.herinrichting):
            message = "herinrichting: two have the same name"
            raise ValueError(message)
        for each in self.herinrichting:
            tenant = tenants.get(each.tenant)
            if tenant is None:
                message = f"herinrichting[{each.name}].tenant: there is no tenant of that name"
                raise ValueError(message)
            if each.naar is not None and each.naar not in tenants:
                message = f"herinrichting[{each.name}].naar: there is no tenant of that name"
                raise ValueError(message)
            brins = {school.brin.reveal() for school in tenant.school}
            for change in each.nummer:
                if change.becomes[:BRIN_LENGTH] not in brins:
                    message = (
                        f"herinrichting[{each.name}].nummer[{change.number}]: leads to no school "
                        "of its tenant; name the new BRIN under tenant.school"
                    )
                    raise ValueError(message)
        for name in tenants:
            mine = [each for each in self.herinrichting if each.tenant == name]
            if problem := clash((each.name, change) for each in mine for change in each.nummer):
                raise ValueError(problem)
        return self

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        env: Mapping[str, str] | None = None,
        *,
        draft: Mapping[Path, dict[str, Any]] | None = None,
    ) -> Settings:
        """Read the settings.

        Args:
            path: the file; without it `$KOPPELHUB_CONFIG`, else `./koppelhub.toml`.
            env: the environment; that of the process by default.
            draft: fragments as they are about to be written.

        Raises: ConfigurationError, which names file, line or key, and the rule.
        """
        env = os.environ if env is None else env
        main = path or Path(env.get(f"{PREFIX}CONFIG") or "koppelhub.toml")
        overlay = Path(named) if (named := env.get(f"{PREFIX}OVERLAY")) else None
        stamp = fragments.stamp(main, *filter(None, (overlay,)))  # before they are read
        layers = [(str(main), read_tables(main)), *fragments.layers(main, draft=draft)]
        if overlay is not None:
            layers.append((str(overlay), read_tables(overlay)))
        layers.append(("environment", _from_environment(env)))
        tables = _defaults(main)
        explicit: dict[str, Any] = {}
        for _, layer in layers:
            explicit = laid_over(explicit, layer)
        guards = tables["policy"]["guards"]
        tables["policy"]["guards"] = yielding(guards, _table(explicit, "policy", "guards"))
        for _, layer in layers:
            tables = laid_over(tables, layer)
        try:
            settings = cls.model_validate(tables)
        except ValidationError as exc:
            raise _explained(exc, tables, layers) from None
        settings._origin, settings._overlay, settings._stamp = main, overlay, stamp
        return settings

    @property
    def origin(self) -> Path | None:
        """The file that they were read from."""
        return self._origin

    @property
    def stamp(self) -> fragments.Stamp:
        """What the files of the configuration were when they were read."""
        return self._stamp

    def stamp_now(self) -> fragments.Stamp:
        """What they are now; as it was, where they were not read from files."""
        if self._origin is None:
            return self._stamp
        return fragments.stamp(self._origin, *filter(None, (self._overlay,)))

    def find_tenant(self, name: str) -> Tenant:
        """The tenant of that name. Raises: ConfigurationError if there is none."""
        return _named(self.tenant, name, "tenant")

    def find_source(self, name: str) -> Source:
        """The koppeling of that name. Raises: ConfigurationError if there is none."""
        return _named(self.source, name, "source")

    def policy_of(self, source: Source) -> Policy:
        """The policy for the runs of one koppeling."""
        if source.unmatched is None:
            return self.policy
        reactions = self.policy.reactions
        entities = {
            name: other.model_copy(update={"unmatched": None})
            for name, other in reactions.entities.items()
        }
        own = {"unmatched": source.unmatched, "entities": entities}
        return self.policy.model_copy(update={"reactions": reactions.model_copy(update=own)})

    def same_keys(self, source: Source) -> frozenset[str]:
        """The koppelingen whose persons have the keys of this one's, whichever of them says so."""
        named = {other.name for other in self.source if other.keys_of == source.name}
        return frozenset(named if source.keys_of is None else {*named, source.keys_of})

    def sources_of(self, school: str) -> tuple[Source, ...]:
        """The koppelingen that serve a BRIN or vestigingsnummer.

        Raises: ConfigurationError if no tenant has that school.
        """
        wanted = school.strip().upper()
        tenants = {
            tenant.name
            for tenant in self.tenant
            if any(s.brin.reveal() == wanted[:4] for s in tenant.school)
        }
        if not tenants:
            raise ConfigurationError(
                "there is no school with that BRIN or vestigingsnummer",
                advice=school_advice(wanted),
            )
        return tuple(
            source
            for source in self.source
            if source.tenant in tenants
            and (
                source.vestigingen is None
                or any(number.reveal().startswith(wanted) for number in source.vestigingen)
            )
        )

    def drop_for(self, source: Source, *, special: Iterable[str] = ()) -> frozenset[str]:
        """What must not be asked of a source, or is dropped at intake.

        Without a purpose for persoonsgebonden nummers that is also every field that holds one, and
        the canonical roles `bsn` and `onderwijsnummer`, which no mapping may then fill.

        Args:
            source: the koppeling.
            special: the source's own fields (`leerling.BSN`) that hold such a number, from the
                connector's manifest.
        """
        if source.pgn_allowed:
            return source.drop
        return source.drop | PGN_ROLES | frozenset(special)

    def freshness_of(self, source: Source) -> Freshness:
        """How fresh the data of a koppeling must be."""
        return source.freshness or self.policy.freshness

    def blackout_of(self, source: Source) -> tuple[Blackout, ...]:
        """When a koppeling begins nothing by itself: its own windows, or those of all."""
        return self.scheduling.blackout if source.blackout is None else source.blackout

    def unacknowledged(self, assumptions: Iterable[str]) -> tuple[str, ...]:
        """The assumptions that must still be acknowledged before production may start."""
        if not self.production:
            return ()
        return tuple(sorted(set(assumptions) - self.acknowledged))


def _named(items: tuple[Named, ...], name: str, kind: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    message = f"the configuration has no {kind} {name!r}"
    raise ConfigurationError(message, advice=choice(name, (item.name for item in items)))


def _near(text: str, known: Iterable[str]) -> str:
    """What was probably meant, for the end of a rule; names and numbers of schools, no persons."""
    found = nearest(text, known)
    return f"; nearest is {', '.join(found)}" if found else ""


def example() -> str:
    """The example configuration, which `init` writes and the demo uses."""
    return files("config").joinpath("example.toml").read_text(encoding="utf-8")


def _defaults(main: Path) -> dict[str, Any]:
    """The packaged settings and policies; relative paths are those beside the main file."""
    text = files("config").joinpath("defaults", "settings.toml").read_text(encoding="utf-8")
    tables: dict[str, Any] = anchored(tomllib.loads(text), main.resolve().parent)
    return {**tables, "policy": default_values()}


def _table(tables: Any, *path: str) -> dict[str, Any]:
    """The table of that name; an empty one where there is none, or something else."""
    for name in path:
        tables = tables.get(name) if isinstance(tables, dict) else None
    return tables if isinstance(tables, dict) else {}


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """What `KOPPELHUB_<KEY>__<KEY>` variables say; lists and tables as JSON."""
    source = EnvSettingsSource(Settings, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {name.lower(): value for name, value in env.items()}
    try:
        return source()
    except SettingsError:
        named = sorted(name for name in env if name.startswith(PREFIX))
        message = f"environment: one of {', '.join(named)}: is not JSON"
        raise ConfigurationError(
            message, advice="Een lijst of tabel in een omgevingsvariabele wordt als JSON gegeven."
        ) from None


_RULES: Final = {"extra_forbidden": "unknown key", "missing": "is required"}


def _explained(
    error: ValidationError, tables: dict[str, Any], layers: list[Layer]
) -> ConfigurationError:
    """One error that names file, key and rule of everything that is wrong."""
    lines = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        place = [step for step in detail["loc"] if step not in {REFERENCE, TEXT}]
        rule = _RULES.get(detail["type"], detail["msg"].removeprefix("Value error, "))
        key, where = _dotted(place, tables), _where(place, tables, layers)
        lines.append(f"{where}: {key}: {rule}" if key else f"{where}: {rule}")
    return ConfigurationError("\n".join(lines))


def _dotted(place: list[int | str], tables: Any) -> str:
    """`source[somtoday-demo].options.api_base`: items by their name, where they have one."""
    dotted = ""
    for step in place:
        tables = _step(tables, step)
        if isinstance(step, int):
            name = tables.get("name") if isinstance(tables, dict) else None
            dotted += f"[{name if isinstance(name, str) else step}]"
        else:
            dotted += f".{step}" if dotted else step
    return dotted


def _where(place: list[int | str], tables: dict[str, Any], layers: list[Layer]) -> str:
    """The topmost layer that holds a key; the main file for a key that is in none."""
    for label, layer in reversed(layers):
        merged: Any = tables
        own: Any = layer
        for step in place:
            merged = _step(merged, step)
            if isinstance(step, int) and isinstance(merged, dict) and isinstance(own, list):
                own = next((i for i in own if i.get("name") == merged.get("name")), None)
            else:
                own = _step(own, step)
        if place and own is not None:
            return label
    return layers[0][0]


def _step(tables: Any, step: int | str) -> Any:
    try:
        return tables[step]
    except (KeyError, IndexError, TypeError):
        return None
