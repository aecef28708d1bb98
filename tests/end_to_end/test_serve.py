"""`koppelhub serve` and `worker` as processes: what is due happens once, whoever is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fixtures.sandbox.faults import Hang
from tests.support.lines import SECRET, Line, new_line
from tests.support.processes import QUICK, make_due, says, started, until


@pytest.fixture
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    """An installation whose processes have the clock of this machine."""
    url = request.getfixturevalue(request.param) if hasattr(request, "param") else None
    with (
        new_line(tmp_path / "installatie", pupils=20, url=url, more=QUICK) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(SECRET, made.sandbox.credentials.client_secret)
        yield made


def test_a_due_run_happens_and_a_signal_ends_it_well(line: Line) -> None:
    make_due(line)
    with started(line, "serve", "--port", "0") as served:
        url = says(served)
        assert httpx.get(f"{url}healthz", timeout=30).status_code == 200
        page = httpx.get(url, timeout=30, follow_redirects=True)  # nobody sees a page unasked
        assert (page.status_code, page.url.path) == (200, "/inloggen")
        until(lambda: line.query("SELECT state FROM run") == [("done",)])
        assert line.query("SELECT kind FROM process_heartbeat") == [("serve",)]
        told = httpx.get(f"{url}metrics", timeout=30).text
        assert 'koppelhub_process_heartbeat_timestamp_seconds{kind="serve"}' in told
        assert 'koppelhub_runs_total{outcome="done"' in told
        (koppeling,) = httpx.get(f"{url}v1/health", timeout=30).json()["koppelingen"]
        assert koppeling["last"]["outcome"] == "done"
        served.send_signal(signal.SIGTERM)
        out, err = served.communicate(timeout=60)
    assert served.returncode == 0, err
    assert "Gestopt." in out
    assert "Traceback" not in err
    assert line.query("SELECT COUNT(*) FROM process_heartbeat") == [(0,)]
    assert line.query("SELECT outcome FROM schedule_state WHERE kind = 'full'") == [("done",)]
    ((pupils,),) = line.query("SELECT COUNT(*) FROM leerling")
    assert pupils >= 20


@pytest.mark.postgres
@pytest.mark.parametrize("line", ["postgres_url"], indirect=True)
def test_what_a_killed_worker_was_reading_another_finishes_once(line: Line) -> None:
    line.sandbox.misbehave(Hang(after=2))
    make_due(line)
    with started(line, "serve", "--port", "0") as served, started(line, "worker") as first:
        url = says(served)
        until(lambda: len(line.sandbox.requests) > 2)
        first.kill()
        with started(line, "worker", "--concurrency", "2") as second:
            runs = "SELECT state, due_at IS NOT NULL FROM run ORDER BY id"
            until(lambda: line.query(runs) == [("failed", True), ("done", True)])
            full = "SELECT outcome FROM schedule_state WHERE kind = 'full'"
            until(lambda: line.query(full) == [("done",)])
            left = "SELECT COUNT(*) FROM procrastinate.procrastinate_jobs"
            until(lambda: line.query(left) == [(0,)])
            second.send_signal(signal.SIGINT)
            out, err = second.communicate(timeout=60)
            assert (second.returncode, "Traceback" in err) == (0, False), err
            assert "Gestopt." in out
        assert httpx.get(f"{url}healthz", timeout=30).status_code == 200
        served.send_signal(signal.SIGINT)
        _, err = served.communicate(timeout=60)
    assert (served.returncode, "Traceback" in err) == (0, False), err
    assert line.query("SELECT kind FROM process_heartbeat") == [("worker",)]  # the dead one
    assert len(line.query("SELECT 1 FROM run")) == 2
