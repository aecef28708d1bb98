"""The judge of Somtoday's sandbox: what it sees, what a misbehaviour excuses, and that it bites."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.messages import JSON, Exchange
from fixtures.sandbox.recorder import VARIABLE, Recording
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.test_somtoday_sandbox import Client
from tests.support.judge import Court, Judge, published
from tests.support.openapi import ROOT, description_path

pytestmark = [
    pytest.mark.needs_shared_specs,
    pytest.mark.skipif(description_path() is None, reason="the published description is not here"),
]
LIST = "/rest/v1/connect/vestiging/0b6f3f0e-7f2c-4c1d-9d55-2f4e8d1a1001"


@pytest.fixture(scope="module")
def judge() -> Judge:
    made = published()
    assert made is not None
    return made


def _exchange(body: object, *met: AnyFault, path: str = "leerling", **rest: Any) -> Exchange:
    given: dict[str, Any] = {
        "parameters": (("amount", "5"),),
        "status": 200,
        "content_type": JSON,
        "body": body if isinstance(body, bytes) else json.dumps(body).encode(),
    }
    return Exchange("GET", f"{LIST}/{path}", faults=met, **(given | rest))


@pytest.mark.parametrize(
    ("path", "parameters", "complaint"),
    [
        ("leerling", (("amount", "500"),), "amount does not fit"),
        ("leerling", (("page", "1"),), "unknown parameter page"),
        ("absentie", (), "unknown path"),
    ],
)
def test_a_wrong_request_is_seen(
    judge: Judge, path: str, parameters: tuple[tuple[str, str], ...], complaint: str
) -> None:
    asked = _exchange({"leerlingen": []}, path=path, parameters=parameters)
    (problem,) = judge.request_problems(asked)
    assert complaint in problem
    with_fault = msgspec.structs.replace(faults.ServerError(), path=path)
    asked = _exchange({}, with_fault, path=path, parameters=parameters, status=500)
    assert [complaint in text for text in judge.request_problems(asked)] == [True]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"leerlingen": [{"uuid": "x"}]}, "leerlingen.0.uuid: format"),
        ({"leerlingen": [{}, {"nieuw": 1}]}, "leerlingen.1: additionalProperties nieuw"),
        ({"leerlingen": [{"roepnaam": None}]}, "leerlingen.0.roepnaam: type"),
        ({"leerlingen": 5}, "leerlingen: type"),
        ({"leerlingen": [], "next": ""}, "additionalProperties next"),
        ([], "type"),
        (b"<html>", "not JSON"),
    ],
)
def test_a_wrong_answer_is_seen(judge: Judge, body: object, complaint: str) -> None:
    assert any(complaint in problem for problem in judge.answer_problems(_exchange(body)))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"status": 418}, "status 418"),
        ({"status": 500}, "status 500"),
        ({"content_type": "text/html"}, "content type"),
    ],
)
def test_a_status_and_a_content_type_are_judged_too(
    judge: Judge, given: dict[str, Any], complaint: str
) -> None:
    exchange = _exchange({"leerlingen": []}, **given)
    (problem,) = judge.request_problems(exchange) + judge.answer_problems(exchange)
    assert complaint in problem


@pytest.mark.parametrize(
    "fault",
    [
        faults.UnknownField(),
        faults.WrongValue(at=1),
        faults.ImpossibleDate(at=1),
        faults.MixedDatetime(at=1),
        faults.WrongContentType(),
        faults.NotJson(),
        faults.TruncatedJson(),
        faults.RateLimited(),
        faults.ServerError(status=503),
        faults.Unauthorized(),
        faults.Forbidden(),
        faults.NotFound(),
        faults.Redirect(),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_misbehaviour_excuses_what_it_does_and_nothing_else(
    judge: Judge, fault: AnyFault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sandbox really answered with the fault, judged with it, without it, and spoiled."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with SomtodaySandbox(School(plan_school(50))) as sandbox:
        client = Client(sandbox).login()
        sandbox.misbehave(msgspec.structs.replace(fault, path="/leerling"))
        client.get("leerling", amount=5)
        client.http.close()
    (exchange,) = [e for e in Recording(tmp_path, "somtoday") if e.path.endswith("/leerling")]
    assert [type(met) for met in exchange.faults] == [type(fault)]
    assert _problems(judge, exchange) == []
    declared = isinstance(fault, faults.Unauthorized)  # 401 is in the description
    bare = Exchange(**(_fields(exchange) | {"faults": ()}))
    assert declared or _problems(judge, bare)
    if exchange.status != 200 or isinstance(fault, faults.NotJson | faults.TruncatedJson):
        other = Exchange(**(_fields(exchange) | {"status": 418}))
    else:
        content = json.loads(exchange.body)
        content["leerlingen"][2]["ergens"] = "anders"
        other = Exchange(**(_fields(exchange) | {"body": json.dumps(content).encode()}))
    assert len(_problems(judge, other)) == 1


def _problems(judge: Judge, exchange: Exchange) -> list[str]:
    return judge.request_problems(exchange) + judge.answer_problems(exchange)


def _fields(exchange: Exchange) -> dict[str, Any]:
    return {name: getattr(exchange, name) for name in exchange.__slots__}


# -- every test is judged ----------------------------------------------------------------------

CASE = """
import subprocess, sys
from pathlib import Path
import httpx
from fixtures.sandbox.messages import Answer
from fixtures.sandbox.somtoday import SomtodayApplication, SomtodaySandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School

ANSWER = Answer(200, b'{"instellingen": [{"naam": 5}]}')

def serve():
    SomtodayApplication.answer = lambda self, request: ANSWER
    return SomtodaySandbox(School(plan_school(50)))

def ask(sandbox, query=""):
    return httpx.get(f"{sandbox.api_base}/connect/instelling{query}")

def test_wrong_answer():
    whole = SomtodayApplication.answer
    try:
        with serve() as sandbox:
            assert ask(sandbox).status_code == 200
    finally:
        SomtodayApplication.answer = whole

def test_wrong_answer_of_a_process():
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\\n"
    code += "import test_case\\nwith test_case.serve() as s: test_case.ask(s)"
    subprocess.run([sys.executable, "-c", code], check=True)

def test_wrong_request():
    with SomtodaySandbox(School(plan_school(50))) as sandbox:
        assert ask(sandbox, "?stad=Delft").status_code == 400

def test_nothing_wrong():
    with SomtodaySandbox(School(plan_school(50))) as sandbox:
        assert ask(sandbox, "?naam=x").status_code == 200
"""


def test_a_test_whose_sandbox_is_wrong_fails(tmp_path: Path) -> None:
    """In this process or another; and it is the test itself that fails, by the judge alone."""
    case = tmp_path / "test_case.py"
    case.write_text(CASE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml")]
    command += ["-p", "tests.conftest", "-p", "no:cacheprovider", "-n", "0", "-rA", str(case)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop(VARIABLE, None)
    done = subprocess.run(  # noqa: S603 -- our own command
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    judged = {
        line.split("::")[1].split()[0]
        for line in done.stdout.splitlines()
        if line.startswith("ERROR ") and "::" in line
    }
    wrong = {"test_wrong_answer", "test_wrong_answer_of_a_process", "test_wrong_request"}
    assert judged == wrong, done.stdout
    assert "instellingen.0.naam: type" in done.stdout
    assert "unknown parameter stad" in done.stdout
    assert "4 passed, 3 errors" in done.stdout


def test_equal_exchanges_are_judged_once_and_fail_every_test(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    court = Court(tmp_path, judge)
    with SomtodaySandbox(School(plan_school(50))) as sandbox:
        client = Client(sandbox)
        for _ in range(2):
            client.get("instelling", vestiging=None, stad="Delft")
            assert len(court.problems()) == 2  # what was asked, and the 400 that it got
        client.http.close()
    assert court.problems() == []
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".log"]) == 1
