"""A source that suddenly sends another shape: what each drift policy does with it.

One field that nobody knows, in the second page of the pupils of the first vestiging.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fixtures.sandbox import faults
from fixtures.sandbox.messages import Exchange
from fixtures.sandbox.somtoday import Credentials
from sync_engine.outcome import ExitCode, Outcome, RunReport
from tests.support.coredump import CoreDump, core_dump, differences
from tests.support.lines import SECRET, Line, new_line
from tests.support.postgres import PostgresServer

PUPILS, PAGE_SIZE = 44, 10
DRIFT = '\n[policy.drift.entities]\nleerling = "{policy}"\n'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """An empty database on each of the two."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def _line(folder: Path, url: str | None, policy: str) -> Line:
    return new_line(
        folder, pupils=PUPILS, page_size=PAGE_SIZE, url=url, more=DRIFT.format(policy=policy)
    )


def _drifts(line: Line, *, count: int | None = None) -> None:
    path = f"/{line.school.vestiging_uuid(0)}/leerling"
    line.sandbox.misbehave(faults.UnknownField(path=path, after=1, count=count))


def _pupils(core: CoreDump) -> set[str]:
    return {key for entity, key, _ in core["link"] if entity == "leerling"}


def _of(line: Line, vestiging: int) -> set[str]:
    school = line.school
    peil = school.peil("HUIDIG")
    total = school.count("leerling", vestiging, peil=peil)
    keys = school.keys("leerling", vestiging, peil=peil, offset=0, amount=total)
    return {school.uuid_of("leerling", key) for key in keys}


def _check_recovers(line: Line, report: RunReport) -> None:
    """With a source that sends what it always sent, all of it comes in, and nothing stays."""
    assert "leerling.close" not in report.steps
    line.sandbox.behave()
    for _ in range(2):
        line.later(hours=8)
        assert line.sync().outcome is Outcome.DONE
    assert line.query("SELECT 1 FROM quarantine") == []
    assert _pupils(core_dump(line.hub)) == _of(line, 0) | _of(line, 1)
    assert line.sync().steps == {}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, Credentials().client_secret)


@pytest.mark.parametrize("policy", ["evolve", "discard_value"])
def test_what_is_known_is_read_and_the_unknown_is_reported(
    policy: str, url: str | None, tmp_path: Path
) -> None:
    with (
        _line(tmp_path / "een", url, policy) as line,
        new_line(tmp_path / "ander", pupils=PUPILS) as plain,
    ):
        plain.sync()
        _drifts(line)
        report = line.sync()
        assert (report.outcome, report.exit_code) == (Outcome.DONE, ExitCode.DONE)
        assert [event.partition(":")[0] for event in report.events] == ["schema drift"]
        assert "nieuwVeld" in report.events[0]
        assert differences(core_dump(line.hub), core_dump(plain.hub)) == {}


def test_freeze_accepts_nothing_of_that_resource_until_a_person_has_looked(
    url: str | None, tmp_path: Path
) -> None:
    with _line(tmp_path / "een", url, "freeze") as line:
        _drifts(line)
        report = line.sync()
        assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, ExitCode.PARTIAL)
        (bad,) = [r for r in report.readings if r.state != "complete"]
        assert (bad.resource, bad.state) == ("leerling", "failed")
        assert "freeze" in bad.reason
        assert bad.advice
        assert "schema drift" in [event.partition(":")[0] for event in report.events]
        assert _pupils(core_dump(line.hub)) == _of(line, 1)  # the other location goes on
        assert line.query("SELECT 1 FROM quarantine") == []
        assert line.query("SELECT 1 FROM medewerker")

        line.later(hours=8)
        again = line.sync()
        assert (again.outcome, again.steps) == (Outcome.PARTIAL, {})
        _check_recovers(line, again)


def test_freeze_leaves_what_is_known_as_it_was(url: str | None, tmp_path: Path) -> None:
    with _line(tmp_path / "een", url, "freeze") as line:
        line.sync()
        core = core_dump(line.hub)
        _drifts(line)
        for _ in range(3):
            line.later(hours=8)
            report = line.sync()
            assert (report.outcome, report.steps) == (Outcome.PARTIAL, {})
            assert differences(core_dump(line.hub), core) == {}
        _check_recovers(line, report)


def test_discard_row_sets_those_records_apart_and_stops_no_other(
    url: str | None, tmp_path: Path
) -> None:
    with _line(tmp_path / "een", url, "discard_row") as line:
        pages: list[Exchange] = []
        line.sandbox.observer = pages.append
        _drifts(line, count=1)
        report = line.sync()
        line.sandbox.observer = None
        (page,) = [page for page in pages if page.faults]
        (plain,) = [
            {record["uuid"] for record in msgspec.json.decode(other.body)["leerlingen"]}
            for other in pages
            if other.path == page.path
            and dict(other.parameters).get("offset", "0") == "0"
            and dict(other.parameters).get("peilschooljaar") == "HUIDIG"
        ]
        drifted = {r["uuid"] for r in msgspec.json.decode(page.body)["leerlingen"]} - plain
        assert drifted
        assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, ExitCode.PARTIAL)
        assert all(reading.state == "complete" for reading in report.readings)
        apart = line.query("SELECT source_key, path FROM quarantine")
        assert {key for key, _ in apart} == drifted
        assert {path for _, path in apart} == {"nieuwVeld"}
        assert _pupils(core_dump(line.hub)) == (_of(line, 0) | _of(line, 1)) - drifted
        _check_recovers(line, report)


def test_discard_row_keeps_what_is_known_of_a_record_that_drifts(
    url: str | None, tmp_path: Path
) -> None:
    """Set apart is not gone: as often as it comes so, the core keeps what it had."""
    with _line(tmp_path / "een", url, "discard_row") as line:
        line.sync()
        core = core_dump(line.hub)
        _drifts(line)
        for _ in range(3):
            line.later(hours=8)
            report = line.sync()
            assert (report.outcome, report.steps) == (Outcome.PARTIAL, {})
            assert differences(core_dump(line.hub), core) == {}
        _check_recovers(line, report)
