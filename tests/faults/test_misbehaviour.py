"""Every misbehaviour of a source: its exact outcome, and that the next healthy run forgets it.

Each case starts from one state (a first load), after a day of changes at the school. The hub meets
the misbehaviour while it reads the pupils of the first vestiging (or elsewhere, where the case says
so), then runs twice with a source that behaves. A second hub, from the same state and on the same
school, never meets it. What is compared is the core told by source keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, get_args

import msgspec
import pytest
from sqlmodel import SQLModel

from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault, RestFault
from fixtures.sandbox.messages import Exchange
from fixtures.school.changes import Changes
from fixtures.school.day import Day
from fixtures.school.school import School
from sync_engine.outcome import ExitCode, Outcome
from tests.support.coredump import CoreDump, core_dump, differences
from tests.support.lines import SECRET, START, Line, copy_of, new_line
from tests.support.postgres import PostgresServer

PUPILS = 60
PAGE_SIZE = 20
NEXT_DAY = START + timedelta(days=1)
QUICK = '\n[policy.limits]\nrequest_timeout = "1s"\n'

PUPILS_OF_FIRST = "leerling of the first vestiging"
FIRST = "the first vestiging"
TOKEN = "/oauth2/token"
LIST = "/connect/vestiging"
EVERYTHING = ""

GONE_ON = "Het bronsysteem antwoordt niet. De hub probeert het vanzelf opnieuw."
PATIENCE = "Het bronsysteem vraagt om later terug te komen. De hub wacht vanzelf."
UNREADABLE = "Het bronsysteem geeft een onleesbaar antwoord. Meld dit bij ops."
NO_RIGHT = "De school heeft hiervoor geen toestemming gegeven. Vraag de school dit recht."
AGAIN = "De hub leest dit onderdeel vanzelf opnieuw; er wordt niets afgesloten."
ASK_SCHOOL = "Er is niets afgesloten. Vraag de school of dit klopt."
LOGIN = "De inloggegevens van deze koppeling worden geweigerd. Laat ops ze nakijken."
NO_LOCATION = (
    "Somtoday geeft geen toegang tot deze vestiging, of niet voor dit schooljaar. Vraag de school "
    "om in Somtoday de koppeling voor deze vestiging aan te zetten of te verlengen."
)
NOT_SHOWN = "Het bronsysteem laat dit niet (meer) zien. Vraag de school of het daar nog bestaat."
ELSEWHERE = (
    "Het bronsysteem verwijst door naar een ander adres. Controleer het adres in de instellingen "
    "van deze koppeling."
)
KEYLESS = (
    "Somtoday levert een record zonder bruikbaar kenmerk. Meld dit aan Somtoday; tot dan sluit de "
    "hub in dit onderdeel niets af."
)

Bad: TypeAlias = tuple[str, str, str, str]  # resource, state, reason, advice
Effect: TypeAlias = Callable[[School], None]
Place: TypeAlias = tuple[str, str]  # path of a list, key of a pupil on it


@dataclass(frozen=True, kw_only=True)
class Case:
    """One misbehaviour, and everything that a run says and does about it.

    Attributes:
        where: which requests it meets.
        bad: readings that did not end complete.
        error, advice: of the run, where it failed as a whole.
        core: `all` (as if nothing had been wrong), `rest` (all but the pupils who stood on no page
            that came whole: those are as they were), `none` (nothing changed), or `between` (each
            field is as it was or as it will be).
        events: kinds and details of what is reported to the school.
        quarantined: records that stay in quarantine until the source behaves.
        effect: what the misbehaviour does to the school for good.
    """

    name: str
    fault: AnyFault
    where: str = PUPILS_OF_FIRST
    outcome: Outcome = Outcome.DONE
    code: ExitCode = ExitCode.DONE
    bad: tuple[Bad, ...] = ()
    error: str = ""
    advice: str = ""
    core: str = "all"
    events: tuple[str, ...] = ()
    quarantined: tuple[tuple[str, str], ...] = ()
    slept: float = 0.0
    effect: Effect | None = None


def partial(name: str, fault: AnyFault, bad: tuple[Bad, ...], **rest: Any) -> Case:
    return Case(
        name=name, fault=fault, outcome=Outcome.PARTIAL, code=ExitCode.PARTIAL, bad=bad, **rest
    )


def unread(name: str, fault: AnyFault, reason: str, advice: str, **rest: Any) -> Case:
    """The pupils of the first vestiging are not read; everything else is."""
    bad = ("leerling", "failed", f"GET leerling: {reason}", advice)
    return partial(name, fault, (bad,), core="rest", **rest)


def refused(name: str, fault: AnyFault, status: int, advice: str) -> Case:
    bad = ("leerling", "refused", f"GET leerling: status {status}", advice)
    return partial(name, fault, (bad,), core="rest")


def failed(
    name: str, fault: AnyFault, where: str, error: str, advice: str, *, code: ExitCode
) -> Case:
    """The run fails as a whole, and touches nothing."""
    return Case(
        name=name,
        fault=fault,
        where=where,
        outcome=Outcome.FAILED,
        code=code,
        error=error,
        advice=advice,
        core="none",
    )


def shaken(name: str, fault: AnyFault, reason: str, advice: str = AGAIN, **rest: Any) -> Case:
    """Read, but never the same twice: additions and changes go on, nothing may be missed."""
    return partial(name, fault, (("leerling", "incomplete", reason, advice),), **rest)


def _loses_first(school: School) -> None:
    Changes(school).set_shown("leerling", 0, position=0, shown=False)


def _narrows(school: School) -> None:
    rights = school.rights(0).without("leerlingen", frozenset({"geboorteplaats"}))
    Changes(school).set_rights(0, rights)


_LATER, _FAILED = ExitCode.LATER, ExitCode.FAILED
_SHIFTED = "a record was inserted or deleted between two pages"
_RESOURCES = (
    "opleiding",
    "vak",
    "medewerker",
    "leerling",
    "ouderVerzorger",
    "stamgroep",
    "lesgroep",
)
_YEARLY = _RESOURCES[2:]
_NOT_TRIED = tuple(
    (resource, "failed", "not tried: the system asked for patience", PATIENCE)
    for resource in ("leerling", *sorted(2 * _RESOURCES[4:], key=_RESOURCES.index))
)
"""The readings after that of the first vestiging's pupils."""

CASES = (
    # it asks for patience
    Case(name="429_seconds", fault=faults.RateLimited(after=1, retry_after=7), slept=7),
    Case(name="429_date", fault=faults.RateLimited(after=1, retry_after=7, as_date=True), slept=6),
    Case(name="429_bare", fault=faults.RateLimited(after=1, retry_after=None, count=3), slept=6),
    partial(  # and then nothing else is asked either, until it is over
        "429_an_hour",
        faults.RateLimited(after=1, retry_after=3600),
        (("leerling", "failed", "GET leerling: status 429", PATIENCE), *_NOT_TRIED),
        core="between",
    ),
    unread("429_for_ever", faults.RateLimited(count=None), "status 429", PATIENCE, slept=6),
    failed(
        "429_at_login",
        faults.RateLimited(retry_after=3600, count=None),
        TOKEN,
        "POST token: status 429",
        PATIENCE,
        code=_LATER,
    ),
    # it does not answer, or breaks off
    Case(name="500_thrice", fault=faults.ServerError(after=1, count=3), slept=6),
    Case(name="503_once", fault=faults.ServerError(after=1, status=503), slept=2),
    unread("500_for_ever", faults.ServerError(after=1, count=None), "status 500", GONE_ON, slept=6),
    failed(
        "502_everywhere",
        faults.ServerError(count=None, status=502),
        EVERYTHING,
        "POST token: status 502",
        GONE_ON,
        code=_LATER,
    ),
    failed(
        "500_at_the_list_of_locations",
        faults.ServerError(count=None),
        LIST,
        "GET vestiging: status 500",
        GONE_ON,
        code=_LATER,
    ),
    Case(name="reset_thrice", fault=faults.Reset(after=1, count=3), slept=6),
    unread("reset_for_ever", faults.Reset(after=1, count=None), "ReadError", GONE_ON, slept=6),
    Case(name="cut_thrice", fault=faults.CutBody(after=1, count=3), slept=6),
    unread("cut_for_ever", faults.CutBody(count=None), "RemoteProtocolError", GONE_ON, slept=6),
    Case(name="hangs_once", fault=faults.Hang(after=1)),
    unread("hangs_for_ever", faults.Hang(count=None), "ReadTimeout", GONE_ON),
    Case(name="drips_once", fault=faults.SlowBody(after=1)),
    unread("drips_for_ever", faults.SlowBody(count=None), "the body came too slowly", GONE_ON),
    # it refuses
    Case(name="401_once", fault=faults.Unauthorized(after=1)),
    Case(name="expired_token", fault=faults.ExpiredToken(after=1)),
    partial(
        "401_of_a_year",
        faults.Unauthorized(count=None),
        tuple(
            (resource, "refused", "GET leerling: status 401", NO_LOCATION)
            for resource in _YEARLY[1:]
        ),
        core="between",
    ),
    partial(
        "401_of_a_location",
        faults.Unauthorized(count=None),
        tuple(
            (resource, "refused", "GET opleiding: status 401", NO_LOCATION)
            for resource in _RESOURCES
        ),
        where=FIRST,
        core="between",
    ),
    failed(
        "401_at_login",
        faults.Unauthorized(count=None),
        TOKEN,
        "POST token: refused with status 401",
        LOGIN,
        code=_FAILED,
    ),
    failed(
        "401_at_the_list_of_locations",
        faults.Unauthorized(count=None),
        LIST,
        "GET vestiging: status 401",
        NO_RIGHT,
        code=_FAILED,
    ),
    refused("403", faults.Forbidden(after=1), 403, NO_RIGHT),
    refused("404", faults.NotFound(after=1), 404, NOT_SHOWN),
    unread(
        "redirect",
        faults.Redirect(after=1),
        "status 302; redirects are not followed",
        ELSEWHERE,
    ),
    # what it sends cannot be read
    unread(
        "truncated_json",
        faults.TruncatedJson(after=1),
        "the answer is not readable JSON",
        UNREADABLE,
    ),
    unread("not_json", faults.NotJson(after=1), "the answer is not readable JSON", UNREADABLE),
    unread(
        "wrong_content_type",
        faults.WrongContentType(after=1),
        "the answer is not JSON by its Content-Type",
        UNREADABLE,
    ),
    unread(
        "endless_body",
        faults.HugeBody(after=1),
        "the body is larger than 67108864 bytes",
        UNREADABLE,
    ),
    unread(
        "huge_body",
        faults.HugeBody(after=1, size_bytes=70_000_000),
        "the body is larger than 67108864 bytes",
        UNREADABLE,
    ),
    failed(
        "not_json_at_the_list_of_locations",
        faults.NotJson(count=None),
        LIST,
        "GET vestiging: the answer is not readable JSON",
        UNREADABLE,
        code=_FAILED,
    ),
    failed(
        "not_json_at_login",
        faults.NotJson(),
        TOKEN,
        "POST token: the answer is not readable JSON",
        UNREADABLE,
        code=_FAILED,
    ),
    # its pages do not fit together
    Case(name="repeated_page", fault=faults.RepeatedPage(after=1)),
    shaken("repeated_page_for_ever", faults.RepeatedPage(after=1, count=None), _SHIFTED),
    Case(name="skipped_page", fault=faults.SkippedPage(after=1)),
    Case(name="short_page", fault=faults.ShortPage(after=1, drop=3)),
    Case(name="empty_page", fault=faults.EmptyPage(after=1)),
    shaken(
        "nothing_but_empty_pages",
        faults.EmptyPage(count=None),
        "30 records are missing at once",
        ASK_SCHOOL,
        core="rest",
        events=("shrunk",),
    ),
    Case(name="duplicate_record", fault=faults.DuplicateRecord(after=1)),
    shaken("duplicate_record_for_ever", faults.DuplicateRecord(count=None), "a record came twice"),
    Case(name="record_inserted", fault=faults.RecordInserted(after=1)),
    Case(name="record_deleted", fault=faults.RecordDeleted(after=1), effect=_loses_first),
    Case(
        name="narrowed_permissions",
        fault=faults.NarrowedPermissions(after=1, keys=("geboorteplaats",)),
        effect=_narrows,
        events=("contract changed",),
    ),
    # one record is wrong
    Case(name="unknown_field", fault=faults.UnknownField(count=None), events=("schema drift",)),
    Case(
        name="wrong_optional_value",
        fault=faults.WrongValue(after=1, at=3, field="roepnaam"),
        events=("dropped field",),
    ),
    Case(
        name="impossible_date",
        fault=faults.ImpossibleDate(after=1, at=2),
        events=("dropped field",),
    ),
    Case(
        name="mixed_datetime",
        fault=faults.MixedDatetime(after=1, at=2),
        events=("dropped field",),
    ),
    partial(
        "wrong_required_value",
        faults.WrongValue(after=1, at=2, field="achternaam"),
        (),
        quarantined=(("achternaam", "must be text"),),
    ),
    partial(
        "wrong_required_value_of_a_changed_record",
        faults.WrongValue(after=1, at=5, field="achternaam"),
        (),
        quarantined=(("achternaam", "must be text"),),
        core="rest",
    ),
    partial(
        "missing_required_field",
        faults.MissingField(after=1, at=2, field="achternaam"),
        (),
        quarantined=(("achternaam", "is required and empty"),),
    ),
    Case(name="keyless_once", fault=faults.MissingField(after=1, at=3)),
    shaken(
        "keyless_for_ever",
        faults.WrongValue(field="uuid", value="x", count=None),
        "a record has no usable key",
        KEYLESS,
        quarantined=(("uuid", "is required and must be a UUID"),) * 2,
    ),
    Case(
        name="missing_optional_field",
        fault=faults.MissingField(after=1, at=3, field="voornamen"),
        core="between",
    ),
)


ON_POSTGRES = (
    "500_for_ever",
    "401_of_a_location",
    "truncated_json",
    "repeated_page_for_ever",
    "missing_required_field",
    "keyless_for_ever",
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of a hub that has had its first load, and a second run that changed nothing."""
    folder = tmp_path_factory.mktemp("loaded") / "hub"
    with pytest.MonkeyPatch.context() as patch:
        line = new_line(folder, pupils=PUPILS, page_size=PAGE_SIZE)
        patch.setenv(SECRET, line.sandbox.credentials.client_secret)
        with line:
            assert line.sync().outcome is Outcome.DONE
            assert line.sync().steps == {}
        yield folder


@dataclass
class Healthy:
    """What a hub comes to that never sees a misbehaviour.

    Attributes:
        told: the pupils that it read in the night, and in which lists.
    """

    before: CoreDump
    after: CoreDump
    end: CoreDump
    steps: dict[str, int]
    told: set[Place]


@pytest.fixture(scope="module")
def healthy(
    loaded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Effect | None], Healthy]]:
    """Per lasting effect on the school: the core before, after the night, and at the end."""

    @cache
    def play(effect: Effect | None) -> Healthy:
        folder = tmp_path_factory.mktemp("healthy") / "hub"
        line = _next_day(loaded, folder, effect=effect)
        with line:
            before = core_dump(line.hub)
            pages: list[Exchange] = []
            line.sandbox.observer = pages.append
            steps = line.sync().steps
            line.sandbox.observer = None
            after = core_dump(line.hub)
            _recover(line)
            return Healthy(before, after, core_dump(line.hub), steps, _told(pages))

    yield play
    play.cache_clear()


def _next_day(loaded: Path, folder: Path, *, effect: Effect | None = None) -> Line:
    def prepare(school: School) -> None:
        Day(school).one_day()
        if effect is not None:
            effect(school)

    return copy_of(
        loaded,
        folder,
        pupils=PUPILS,
        page_size=PAGE_SIZE,
        more=QUICK,
        prepare=prepare,
        at=NEXT_DAY,
    )


def _recover(line: Line) -> None:
    """Two runs of a source that behaves, far enough apart to confirm what is missing."""
    line.later(hours=1)
    first = line.sync()
    line.later(hours=8)
    second = line.sync()
    for report in (first, second):
        assert report.outcome is Outcome.DONE, report
        assert (report.quarantine, report.held, report.error) == (0, 0, "")
    assert line.sync().steps == {}


@pytest.fixture
def line(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    made = _next_day(loaded, tmp_path / "hub")
    monkeypatch.setenv(SECRET, made.sandbox.credentials.client_secret)
    with made:
        yield made


def test_every_misbehaviour_of_the_sandbox_has_a_case() -> None:
    assert {type(case.fault) for case in CASES} == set(get_args(RestFault))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_misbehaviour_has_its_outcome_and_leaves_no_trace(
    case: Case, line: Line, healthy: Callable[[Effect | None], Healthy]
) -> None:
    well = healthy(case.effect)
    _arm(line, case)
    pages: list[Exchange] = []
    line.sandbox.observer = pages.append
    report = line.sync()
    line.sandbox.observer = None

    assert (report.outcome, report.exit_code) == (case.outcome, case.code)
    bad = [r for r in report.readings if r.state != "complete"]
    assert tuple((r.resource, r.state, r.reason, r.advice) for r in bad) == case.bad
    assert all(r.reason == "" for r in report.readings if r.state == "complete")
    assert (report.error, report.advice) == (case.error, case.advice)
    assert report.held == 0
    assert [event.partition(":")[0] for event in report.events] == list(case.events)
    assert _quarantine(line) == sorted(case.quarantined)
    assert case.slept <= line.clock.slept.total_seconds() <= 60
    assert line.sandbox.board.unmet == []
    _check_core(case, core_dump(line.hub), well, steps=report.steps, pages=pages)

    line.sandbox.behave()
    _recover(line)
    assert differences(core_dump(line.hub), well.end) == {}
    assert _quarantine(line) == []


@pytest.mark.postgres
def test_a_row_of_misbehaviours_leaves_no_trace_on_postgres_either(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [postgres_server.create(), postgres_server.create()]
    dumps = []
    for name, kinds in zip(names, ((), ON_POSTGRES), strict=True):
        url = postgres_server.url(name)
        with new_line(tmp_path / name, pupils=PUPILS, page_size=PAGE_SIZE, url=url) as made:
            monkeypatch.setenv(SECRET, made.sandbox.credentials.client_secret)
            made.sync()
            Day(made.school).one_day()
            made.later(days=1)
            for case in (case for case in CASES if case.name in kinds):
                _arm(made, case)
                report = made.sync()
                assert (report.outcome, report.exit_code) == (case.outcome, case.code)
                made.sandbox.behave()
            _recover(made)
            dumps.append(core_dump(made.hub))
        postgres_server.drop(name)
    assert differences(*dumps) == {}


def _arm(line: Line, case: Case) -> None:
    first = line.school.vestiging_uuid(0)
    path = {PUPILS_OF_FIRST: f"/{first}/leerling", FIRST: f"/{first}"}.get(case.where, case.where)
    line.sandbox.misbehave(msgspec.structs.replace(case.fault, path=path))


def _quarantine(line: Line) -> list[tuple[str, str]]:
    return sorted(line.query("SELECT path, rule FROM quarantine"))


def _check_core(
    case: Case, core: CoreDump, well: Healthy, *, steps: dict[str, int], pages: list[Exchange]
) -> None:
    """The core holds what the case says, and never anything that no source said."""
    if case.core == "none":
        assert differences(core, well.before) == {}
        assert steps == {}
    elif case.core == "all":
        assert differences(core, well.after) == {}
        assert steps == well.steps
    elif case.core == "between":
        _check_between(core, well)
    else:
        _check_but_for(well.told - _told(pages), core, well)
        assert steps
        assert "leerling.close" not in steps
        assert core["leerling"] != well.after["leerling"]


_OF_A_PUPIL = ("leerling", "inschrijving", "identificatie", "contactgegeven", "adres", "link")
"""Tables whose rows about a pupil come from the pupil's own record."""


def _told(pages: list[Exchange]) -> set[Place]:
    """The pupils who stood whole on some page, and of which list."""
    told = set()
    for page in pages:
        spoiled = {fault.at for fault in page.faults if isinstance(fault, faults.WrongValue)}
        whole = page.status == 200 and len(page.faults) == len(spoiled)
        if whole and page.path.endswith("/leerling"):
            records = msgspec.json.decode(page.body)["leerlingen"]
            told |= {(page.path, r["uuid"]) for at, r in enumerate(records) if at not in spoiled}
    return told


def _check_but_for(missed: set[Place], core: CoreDump, well: Healthy) -> None:
    """Record by record, where these pupils were not read on these lists.

    What their own records say is as it was; what others say of them is as it will be, once they are
    known themselves. A pupil of two lists, read on one: each field is as it was or as it will be.
    """
    assert missed
    rest = {key for _, key in well.told - missed}
    unread = {f"leerling:{key}" for _, key in missed if key not in rest}
    twice = {f"leerling:{key}" for _, key in missed if key in rest}
    halves = [_rows_about(twice, dump) for dump in (core, well.before, well.after)]
    _check_between(halves[0], replace(well, before=halves[1], after=halves[2]))
    expected = _but_for(unread, well)
    about = _rows_about(twice, expected)
    assert (
        differences(
            {table: rows - halves[0][table] for table, rows in core.items()},
            {table: rows - about[table] for table, rows in expected.items()},
        )
        == {}
    )


def _rows_about(pupils: set[str], dump: CoreDump) -> CoreDump:
    keys = pupils | {name.partition(":")[2] for name in pupils}
    return {table: {row for row in rows if keys & set(row)} for table, rows in dump.items()}


def _but_for(unread: set[str], well: Healthy) -> CoreDump:
    """What should stand where these pupils were read on no list at all."""
    known = {f"leerling:{key}" for entity, key, _ in well.before["link"] if entity == "leerling"}
    rows = well.before["inschrijving"] | well.after["inschrijving"]
    owned = unread | {row[0] for row in rows if unread & set(row)}
    owned |= {name.partition(":")[2] for name in owned}
    expected = {}
    for table, rows in well.after.items():
        if table in _OF_A_PUPIL:
            kept = {row for row in rows if not owned & set(row[:2])}
            expected[table] = kept | {row for row in well.before[table] if owned & set(row[:2])}
        else:
            expected[table] = {row for row in rows if not (unread - known) & set(row)}
    waiting = {row[0] for row in well.after["verzorger_relatie"] - expected["verzorger_relatie"]}
    expected["link"] -= {link for link in expected["link"] if f"{link[0]}:{link[1]}" in waiting}
    was = {row[0]: row for row in well.before["verzorger_relatie"]}
    expected["verzorger_relatie"] = {
        _ranked(row, was.get(row[0])) if unread & set(row) else row
        for row in expected["verzorger_relatie"]
    }
    return expected


def _ranked(row: tuple[Any, ...], was: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """A relation, with the one field of it that the pupil's record gives as it was."""
    names = [c.name for c in SQLModel.metadata.tables["verzorger_relatie"].columns]
    place = [name for name in names if name not in {"tenant_id", "run_id"}].index("volgnummer")
    return (*row[:place], was[place] if was else None, *row[place + 1 :])


def _check_between(core: CoreDump, well: Healthy) -> None:
    """Nothing disappears, nothing closes, and each field is as it was or as it will be.

    Of a record that is new, a field may also be empty as long as one of its sources was not read.
    """
    for table, rows in core.items():
        width = 4 if table == "groepsdeelname" else 2 if table != "link" else 3
        was, will, now = (_keyed(d[table], width) for d in (well.before, well.after, core))
        assert now.keys() >= was.keys() & will.keys(), table
        assert len(rows) == len(now)
        for key, row in now.items():
            said = [side[key] for side in (was, will) if key in side]
            assert said, (table, key)
            for place, value in enumerate(row):
                allowed = {other[place] for other in said} | {None}
                assert value in allowed, (table, key, place)


def _keyed(rows: set[tuple[Any, ...]], width: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {row[:width]: row for row in rows}
