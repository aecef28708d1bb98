"""Adoption: what stood in the core before any source becomes shadows that keep their ids.

The records of a school that no source is linked to become records of the koppeling that owns them
(the tracking application), each under its own id as key. Their form is made from their rows, so
that folding gives back exactly those rows: nothing that stands there changes. What an adopted
record says is believed after everything that a source says, and keeps nobody from being closed.
From then on a new source that delivers the same pupil links to him, or opens a case, and makes no
second one.

A run like any other: it is planned and applied whole, and a dry run shows the same. First it is
settled who is to be kept apart, then everything gets its name (the link), then its claim: one that
is killed leaves nothing that a later run could take for a new record, and may be done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Final

import msgspec

from config.errors import ConfigurationError
from connectors import registry
from connectors.base import Keeps, Scope
from mappings.canonical.fields import Entity
from sync_engine import correlate, runs
from sync_engine.adoptable import Adoptables, Found
from sync_engine.adoption_file import Lines
from sync_engine.audit import note
from sync_engine.candidates import HIGHEST, TAKEN, clashing, find_candidates
from sync_engine.context import Context, ScopeRow
from sync_engine.doubles import Doubles
from sync_engine.find import hub_key
from sync_engine.hub import Hub
from sync_engine.linking import dropped_fields
from sync_engine.nodes import KEY_COLUMNS
from sync_engine.options import Kind, Options, Progress
from sync_engine.outcome import ReadingReport, RunReport
from sync_engine.reading import keep_reading
from sync_engine.received import Batch, ShadowRow, write
from sync_engine.scopes import open_scope

_NO_BIRTH_DATE: Final = "geen geboortedatum: een bron herkent deze leerling niet vanzelf"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One record that a person should look at; hub keys, fields and rules, never a value."""

    entity: str
    key: str
    reason: str


@dataclass(slots=True)
class AdoptionReport:
    """What was, or would be, adopted.

    Attributes:
        run: the run.
        adopted: entity → records whose content is a claim now.
        made: entity → records that the file brought and that did not stand in the core.
        linked: entity → records whose id is known now, and whose content no claim can say.
        doubts: what a person should look at.
        placeless: records that lead to no school, and were left alone.
    """

    koppeling: str
    schools: tuple[str, ...]
    numbers_of: str
    dry: bool
    run: RunReport | None = None
    adopted: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    linked: Counter[str] = field(default_factory=Counter)
    doubts: list[Doubt] = field(default_factory=list)
    placeless: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to adopt."""
        return not (self.adopted or self.made or self.linked)


def adopt(
    hub: Hub,
    koppeling: str,
    schools: Sequence[str],
    *,
    operator: str,
    numbers_of: str = "",
    lines: Lines | None = None,
    dry: bool = False,
    progress: Progress | None = None,
) -> AdoptionReport:
    """Adopt the records of some schools; or say what would be adopted.

    Args:
        hub: of the koppeling.
        koppeling: of the application that the records are of.
        schools: BRINs or vestigingsnummers, checked.
        operator: who asks for it.
        numbers_of: koppeling that issued the leerlingnummers; empty is the application itself.
        lines: what the application says besides its rows.
        dry: write nothing.
        progress: told what goes on.

    Raises: ConfigurationError if that koppeling is no application's, or the numbers are of none of
        the same tenant; RunActiveError.
    """
    source = hub.settings.find_source(koppeling)
    manifest = registry.factory(source.system).manifest
    if Keeps.INBOX not in manifest.keeps:
        raise ConfigurationError(
            f"source[{koppeling}] is no application of the school's own",
            advice="Noem met --source de koppeling van systeem kern (docs/kern.md).",
        )
    if numbers_of and hub.settings.find_source(numbers_of).tenant != source.tenant:
        raise ConfigurationError(
            f"source[{numbers_of}] is of another tenant",
            advice="Noem met --numbers-of een koppeling van hetzelfde bestuur.",
        )
    report = AdoptionReport(koppeling, tuple(schools), numbers_of, dry)
    known = hub.settings.find_tenant(source.tenant).school
    adoption = _Adoption(
        hub,
        report,
        lines or Lines(),
        whole=len(known) == 1 and known[0].brin.reveal() in schools,
        drop=_dropped(dropped_fields(hub.settings, source, manifest)),
        operator=operator,
    )
    if not dry:
        with hub.store.work() as work:
            subject = f"{koppeling}: {' '.join(schools)}"
            note(hub, work, operator=operator, action="adopt", subject=subject)
    options = Options(kind=Kind.ADOPT, brins=tuple(schools), dry=dry, operator=operator)
    report.run = runs.run(hub, koppeling, options, progress=progress, receive=adoption.receive)
    return report


def _dropped(names: frozenset[str]) -> dict[Entity, frozenset[str]]:
    """Entity → its fields that are not read."""
    roles = frozenset(name for name in names if "." not in name)
    return {
        entity: roles | {n.partition(".")[2] for n in names if n.partition(".")[0] == entity}
        for entity in Entity
    }


class _Adoption:
    """Takes in what is adopted, in the place of reading a source."""

    def __init__(
        self,
        hub: Hub,
        report: AdoptionReport,
        lines: Lines,
        *,
        whole: bool,
        drop: Mapping[Entity, frozenset[str]],
        operator: str,
    ) -> None:
        self.hub, self.report, self.lines, self.whole = hub, report, lines, whole
        self.drop, self.operator = drop, operator
        self.context: Context
        self._told: set[Doubt] = set()

    def receive(self, context: Context, run: RunReport) -> None:
        """Find, judge and write; the plan that follows folds it."""
        self.context = context
        correlate.prepare(context)
        context.adopting = True
        self._choose()
        adoptables = Adoptables(
            context, self.lines, issuer=self._issuer(), drop=self.drop, doubted=self._doubt
        )
        doubles = self._look(adoptables)
        found = doubles.find()
        for double in found:
            self._doubt(double.entity, double.core_id, double.told)
        if not context.dry:  # before anything that they keep apart
            doubles.keep(found, operator=self.operator)
            self._name()
        for entity in Entity:
            self._write(entity, adoptables, run)

    def _issuer(self) -> int:
        """The koppeling that issued the numbers."""
        for number, name in self.context.koppelingen.items():
            if name == self.report.numbers_of:
                return number
        return self.context.koppeling.id

    # -- who ---------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Fill `w_candidate`, and `w_adopted` with the names that they get."""
        context, work, report = self.context, self.context.work, self.report
        work.temp_table(
            "w_adopted",
            "koppeling_id INTEGER, entity TEXT, source_key TEXT, core_id BIGINT, run_id INTEGER, "
            "PRIMARY KEY (entity, source_key)",
        )
        report.placeless = find_candidates(context, report.schools, whole=self.whole)
        self._take_lines()
        refused = clashing(context) | self._named_otherwise()
        for (entity, core_id), reason in sorted(refused.items()):
            self._doubt(entity, core_id, reason)
            work.execute(
                "DELETE FROM w_candidate WHERE entity = ? AND core_id = ?", (entity, core_id)
            )
        work.execute(
            "INSERT INTO w_adopted SELECT ?, entity, CAST(core_id AS TEXT), core_id, ? "
            "FROM w_candidate",
            (context.koppeling.id, context.run_id),
        )

    def _named_otherwise(self) -> dict[tuple[str, int], str]:
        """Candidates whose id the application has used as the key of another record."""
        rows = self.context.work.execute(
            "SELECT c.entity, c.core_id FROM w_candidate c JOIN link l ON l.koppeling_id = ? "
            "AND l.entity = c.entity AND l.source_key = CAST(c.core_id AS TEXT) "
            "AND l.core_id <> c.core_id",
            (self.context.koppeling.id,),
        )
        return dict.fromkeys(rows, "de applicatie noemt een ander record zo")

    def _take_lines(self) -> None:
        """Records of the file that do not stand in the core are candidates too."""
        work = self.context.work
        for line, reason in self.lines.broken.items():
            self.report.doubts.append(Doubt("", f"regel {line}", reason))
        for (entity, core_id), record in list(self.lines.records.items()):
            known = work.execute(
                "SELECT 1 FROM w_candidate WHERE entity = ? AND core_id = ?", (str(entity), core_id)
            )
            if known:
                continue
            reason = self._taken(entity, core_id)
            if reason:
                self._doubt(entity, core_id, f"regel {record.line}: {reason}")
                del self.lines.records[entity, core_id]
            else:
                work.execute(
                    "INSERT INTO w_candidate (entity, core_id) VALUES (?, ?)",
                    (str(entity), core_id),
                )

    def _taken(self, entity: Entity, core_id: int) -> str:
        """Why a record of the file cannot have this id, or ''."""
        work = self.context.work
        if not 0 < core_id < HIGHEST:
            return "het id is geen getal vanaf 1"
        taken = TAKEN.format(core="?", entity="?")
        if work.execute(f"SELECT 1 WHERE {taken}", (core_id, str(entity))):
            return "het id is al van een bron"
        if work.execute(f"SELECT 1 FROM {entity} WHERE id = ?", (core_id,)):
            return "het record is niet van deze school"
        ((highest,),) = work.execute(
            "SELECT COALESCE(MAX(next), 0) FROM id_block WHERE name = 'core'"
        )
        if core_id < highest and any(
            work.execute(f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1", (core_id,))
            for table, column in (("step", "core_id"), ("former_link", "core_id"))
        ):
            return "het id is gebruikt door een record dat er niet meer is"
        return ""

    # -- what --------------------------------------------------------------------------------------

    def _doubt(self, entity: str, core_id: int, reason: str) -> None:
        """Tell it once: what is judged is judged twice, before anything is written and then."""
        doubt = Doubt(str(entity), hub_key(abs(core_id)), reason)
        if doubt not in self._told:
            self._told.add(doubt)
            self.report.doubts.append(doubt)

    def _look(self, adoptables: Adoptables) -> Doubles:
        """Everything once, before anything is written."""
        doubles = Doubles(self.context)
        for entity in Entity:
            for batch in adoptables.of(entity):
                keys: list[tuple[object, ...]] = []
                for found in batch:
                    self._count(entity, found)
                    keys += doubles.add(entity, found.core_id, found.form, found.keys)
                doubles.load(keys)
        return doubles

    def _count(self, entity: Entity, found: Found) -> None:
        report = self.report
        counts = report.made if found.is_new else report.linked if found.lost else report.adopted
        counts[str(entity)] += 1
        if found.lost:
            named = ", ".join(dict.fromkeys("/".join(n.split("/")[:2]) for n in found.lost))
            reason = f"blijft zoals het is; past in geen claim: {named}"
            self._doubt(entity, found.core_id, reason)
        if entity is Entity.LEERLING and found.form.get("geboortedatum") is None:
            self._doubt(entity, found.core_id, _NO_BIRTH_DATE)

    # -- writing -----------------------------------------------------------------------------------

    def _write(self, entity: Entity, adoptables: Adoptables, run: RunReport) -> None:
        """Shadows with their links; of what no claim can say the link and the keys alone."""
        scope: ScopeRow | None = None
        reading = ReadingReport(str(entity), "adoptie", "adopted")
        for batch in adoptables.of(entity):
            claims = [found for found in batch if not found.lost]
            if claims and scope is None:
                scope = self._scope(entity)
            if claims and scope is not None:
                self._shadows(entity, scope, claims)
                reading.read += len(claims)
                reading.added += len(claims)
            self._keys(entity, [found for found in batch if found.lost])
        if scope is not None:
            run.readings.append(reading)
            if not self.context.dry:
                keep_reading(self.hub, self.context, scope, reading)

    def _scope(self, entity: Entity) -> ScopeRow:
        """A scope of this run alone: it is never read, and ends as it begins."""
        context, report = self.context, self.report
        key = f"adoptie/{context.run_id}"
        named = Scope(
            str(entity), key, brins=report.schools, label=key, numbers_of=report.numbers_of
        )
        row = open_scope(context, named)
        context.adopted_scopes.add(row.id)
        if not context.dry:
            with context.work.transaction():
                context.work.execute(
                    "UPDATE scope SET adopted = true, ended_run = ? WHERE id = ?",
                    (context.run_id, row.id),
                )
        return row

    def _shadows(self, entity: Entity, scope: ScopeRow, claims: Sequence[Found]) -> None:
        context = self.context
        batch = Batch()
        records = context.ids.take("source_record", len(claims))
        shadows = context.ids.take("shadow", len(claims))
        fingerprint = context.cipher.fingerprint(b"form")
        for record_id, number, found in zip(records, shadows, claims, strict=True):
            key, salt = str(found.core_id), token_bytes(16)
            form = msgspec.json.encode({**found.form, "key": key}, order="sorted")
            digest = fingerprint(form)
            sealed = context.cipher.person(salt).encrypt(form, b"shadow|%d" % number)
            batch.new_records.append((record_id, scope.id, key, digest, salt, None, False))
            batch.new_shadows.append(
                ShadowRow.first(
                    context,
                    number,
                    scope_id=scope.id,
                    record=(record_id, salt),
                    identity=(str(entity), key),
                    form=(sealed, digest),
                    situation="linked",
                )
            )
        write(context, scope.id, batch)

    def _keys(self, entity: Entity, named: Sequence[Found]) -> None:
        """Exact keys of records without a claim: a source recognises them all the same."""
        own, work = self.context.koppeling.id, self.context.work
        if self.context.dry or not named:
            return
        rows = [
            (digest, own, str(found.core_id), str(entity), kind, found.core_id)
            for found in named
            for kind, digest in found.keys
        ]
        with work.transaction():
            work.insert_new("match_key", KEY_COLUMNS, rows)

    def _name(self) -> None:
        """Links, in one statement: of what is adopted, and of what that refers to."""
        with self.context.work.transaction():
            self.context.work.execute(
                "INSERT INTO link (koppeling_id, entity, source_key, core_id, rule, run_id) "
                "SELECT koppeling_id, entity, source_key, core_id, 'adopted', run_id "
                "FROM w_adopted WHERE true ON CONFLICT DO NOTHING"
            )
