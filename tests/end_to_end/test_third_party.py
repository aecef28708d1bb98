"""Another package brings a system: installed for real, used by the command, no file changed.

The package is built and installed by pip, without a network, into a folder that only some of the
processes here see. What the hub knows of it, it knows through the two entry points alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.setup import initialise
from fixtures.sandbox.reference import ReferenceSandbox

TOKEN = "geheim-van-de-bron"
EXAMPLE = Path(__file__).parents[2] / "examples" / "koppelhub-referentie"
TUTORIAL = Path(__file__).parents[2] / "docs" / "adding-a-connector.md"
COMMAND = Path(sys.executable).with_name("koppelhub")

_TENANT = """
[database]
url = "sqlite:///koppelhub.db"
[keys]
file = "koppelhub.keys"
[[tenant]]
name = "bestuur"
title = "Bestuur"
[[tenant.school]]
brin = "99XX"
name = "School"
"""

_SETTINGS = (
    _TENANT
    + """
[[source]]
name = "bron"
system = "referentie"
tenant = "bestuur"
[source.options]
base_url = "BASE"
token = { env = "REFERENTIE_TOKEN" }
"""
)

_SOMTODAY = """
[[source]]
name = "las"
system = "somtoday"
tenant = "bestuur"
[source.options]
api_base = "http://127.0.0.1:9/rest/v1"
token_url = "http://127.0.0.1:9/token"
organisation = "00000000-0000-4000-8000-000000000001"
client_id = "koppelhub"
client_secret = { env = "REFERENTIE_TOKEN" }
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built and installed into a folder of its own."""
    source = tmp_path_factory.mktemp("source") / "package"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run(  # noqa: S603 - our own interpreter and folders
        [*pip, *offline, str(source)], check=True, capture_output=True, timeout=120
    )
    return target


class Command:
    """The installed command, in a folder, with or without the other package.

    Args:
        folder: the installation.
        package: where the other package is installed.
    """

    def __init__(self, folder: Path, package: Path) -> None:
        self.folder = folder
        self.package = package

    def run(
        self, *arguments: str, with_package: bool = True, token: str = TOKEN
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        env |= {"REFERENTIE_TOKEN": token, "NO_COLOR": "1"}
        if with_package:
            env["PYTHONPATH"] = str(self.package)
        return subprocess.run(  # noqa: S603 - our own command
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env=env,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What it prints with `--json`, having ended with that code."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def sandbox() -> Iterator[ReferenceSandbox]:
    with ReferenceSandbox(TOKEN) as running:
        put = running.reference.put
        for number in range(4):
            name = {"achternaam": f"Naam{number}", "leerlingnummer": f"10{number}"}
            put("leerling", f"l{number}", **name)
        put("groep", "g", naam="1a", soort="stamgroep", leerlingen=["l0", "l1"])
        yield running


@pytest.fixture
def koppelhub(tmp_path: Path, package: Path, sandbox: ReferenceSandbox) -> Command:
    """An installation with one koppeling of the other package's system."""
    folder = tmp_path / "installatie"
    initialise(folder, configuration=_SETTINGS.replace("BASE", sandbox.url))
    return Command(folder, package)


def test_the_package_brings_its_own_files_and_nothing_else(package: Path) -> None:
    names = {path.name for path in package.iterdir()}
    assert names == {"koppelhub_referentie", "koppelhub_referentie-1.0.0.dist-info"}


def test_the_command_knows_the_system_as_soon_as_it_is_installed(koppelhub: Command) -> None:
    listed = koppelhub.run("connectors", "--json")
    assert listed.returncode == 0, listed.stderr
    assert '"referentie"' in listed.stdout
    assert '"somtoday"' in listed.stdout
    assert "delta" in listed.stdout
    without = koppelhub.run("connectors", "--json", with_package=False)
    assert without.returncode == 0, without.stderr
    assert '"referentie"' not in without.stdout


def test_check_proves_its_layers(koppelhub: Command) -> None:
    done = koppelhub.run("connectors", "check", "--source", "bron")
    assert done.returncode == 0, done.stdout + done.stderr
    refused = koppelhub.run("connectors", "check", "--source", "bron", token="een ander")
    assert refused.returncode != 0
    assert "login" in refused.stdout
    assert "een ander" not in refused.stdout + refused.stderr


def test_it_is_synchronised_whole_and_by_changes(
    koppelhub: Command, sandbox: ReferenceSandbox
) -> None:
    first = koppelhub.json("sync", "--source", "bron")
    assert first["outcome"] == "done"
    assert first["steps"] == {"groep.create": 1, "leerling.create": 4}
    again = koppelhub.json("sync", "--source", "bron")
    assert (again["outcome"], again["steps"]) == ("done", {})
    sandbox.reference.put("leerling", "l1", achternaam="Anders", leerlingnummer="101")
    sandbox.reference.remove("leerling", "l3")
    sandbox.forget_requests()
    changes = koppelhub.json("sync", "--source", "bron", "--delta")
    assert changes["steps"] == {"leerling.change": 1, "leerling.close": 1}
    assert {reading["state"] for reading in changes["readings"]} == {"delta"}
    assert all(request.path.endswith("/changes") for request in sandbox.requests)
    told = koppelhub.run("explain", "leerling", "101", "--field", "achternaam", "--json")
    assert told.returncode == 0, told.stderr
    assert "Anders" in told.stdout
    assert "bron" in told.stdout


def test_one_record_is_mapped_by_hand(koppelhub: Command) -> None:
    record = koppelhub.folder / "leerling.json"
    record.write_text('{"key": "l9", "achternaam": " de  Vries "}', encoding="utf-8")
    tried = koppelhub.run("mapping", "try", "referentie", "leerling", str(record), "--json")
    assert tried.returncode == 0, tried.stderr
    assert '"de Vries"' in tried.stdout


def test_without_the_package_the_koppeling_says_what_is_missing(koppelhub: Command) -> None:
    done = koppelhub.run("sync", "--source", "bron", with_package=False)
    assert done.returncode == 2
    assert "referentie" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert "somtoday" in done.stderr + done.stdout


def test_a_delta_is_refused_where_it_is_not_declared(koppelhub: Command) -> None:
    path = koppelhub.folder / "koppelhub.toml"
    path.write_text(path.read_text(encoding="utf-8") + _SOMTODAY, encoding="utf-8")
    refused = koppelhub.json("sync", "--source", "las", "--delta", code=4)
    assert refused["outcome"] == "failed"
    assert "does not declare delta" in refused["error"]
    assert "koppelhub connectors" in refused["advice"]


# -- the tutorial --------------------------------------------------------------------------------


def fragments() -> list[tuple[str, str]]:
    """(file, text) of every fragment of the tutorial that names its file."""
    text = TUTORIAL.read_text(encoding="utf-8")
    found = re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(name, body) for name, body in found]


@pytest.mark.parametrize(
    ("name", "text"), [f for f in fragments() if f[0] not in {"serve.py", "koppelhub.toml"}]
)
def test_the_tutorial_shows_what_the_package_holds(name: str, text: str) -> None:
    assert text in (EXAMPLE / name).read_text(encoding="utf-8")


def test_what_the_tutorial_says_can_be_done(tmp_path: Path, package: Path) -> None:
    said = dict(fragments())
    program = tmp_path / "serve.py"
    program.write_text(said["serve.py"].replace("8760", "0"), encoding="utf-8")
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-u", str(program)], stdout=subprocess.PIPE, text=True
    ) as served:
        try:
            assert served.stdout is not None
            address = served.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            text = said["koppelhub.toml"].replace("http://127.0.0.1:8760", address)
            demo = _TENANT.replace("bestuur", "demo")
            initialise(tmp_path / "hub", configuration=demo + text)
            koppelhub = Command(tmp_path / "hub", package)
            for arguments in (
                ("connectors", "check", "--source", "bron"),
                ("sync", "--source", "bron"),
                ("sync", "--source", "bron", "--delta"),
                ("explain", "leerling", "100"),
            ):
                done = koppelhub.run(*arguments, token="demo")
                assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        finally:
            served.terminate()
    assert "Voorbeeld" in done.stdout
