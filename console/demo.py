"""The demo: a synthetic school, a real Somtoday server on loopback, and the five nights until now.

A second school, on Magister, gets its ECK iDs (demo_eckid.py).

Only the clock is made up: it says that it is night, and the next night. Everything else is what
runs in production: HTTP and OAuth2, the connector, the mapping, the engine, the database. The last
night is last night, so that the plan that it leaves can be approved or refused by who looks on.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

from config import logs
from config.clock import AMSTERDAM, Clock, FixedClock, local_date
from config.errors import ConfigurationError
from config.settings import Settings, example
from console.demo_eckid import BRIN, ECKID, LAS, MagisterSchool, magister_school
from console.eckid import show_standing
from console.lives import show_explanation
from console.output import Output
from console.setup import initialise
from console.views import show_report, show_steps
from fixtures.sandbox.eckid import EckIdSandbox
from fixtures.sandbox.faults import TruncatedJson
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.sandbox.oidc import IssuerSandbox, Person
from fixtures.sandbox.server import serve
from fixtures.sandbox.somtoday import SomtodaySandbox
from fixtures.sandbox.uwlr import UwlrSandbox
from fixtures.school.changes import Changes
from fixtures.school.day import Change, Day
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from mappings.canonical.fields import Entity
from sector.identifiers import Schooljaar
from sync_engine.find import hub_key
from sync_engine.history import explain_leerling
from sync_engine.hub import Hub
from sync_engine.outcome import ExitCode, Outcome, RunReport
from sync_engine.plans import Chosen, StepView, read_plan
from sync_engine.pseudonyms import standing
from sync_engine.runs import Options, run

SOURCE = "somtoday-demo"
_MARK = ".koppelhub-demo"
_RUNS_AT = time(2, 15)  # in Amsterdam
_NIGHTS = 5
_DAYS = ("Maandag", "Dinsdag", "Woensdag", "Donderdag", "Vrijdag", "Zaterdag", "Zondag")
_SHOWN = 12
_LOG = "koppelhub.log"
_PKI = "nummervoorziening"


@dataclass(slots=True)
class Act:
    """One act of the demo, as `--json` prints it."""

    title: str
    report: RunReport | None = None
    changes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Stage:
    """Everything that the acts share."""

    out: Output
    hub: Hub
    clock: FixedClock
    nights: list[datetime]
    school: School
    sandbox: SomtodaySandbox
    second: MagisterSchool | None
    acts: list[Act] = field(default_factory=list)

    def act(self, title: str, *lines: str) -> Act:
        """Begin an act: a heading and what is about to happen."""
        self.acts.append(Act(title))
        self.out.title(title)
        if not self.out.json:
            for line in lines:
                self.out.line(line)
        return self.acts[-1]

    def night(self, number: int, title: str, *lines: str) -> None:
        """Begin the act of one night, the first is 0."""
        self.clock.set(self.nights[number])
        self.act(f"{self.day(number)}nacht: {title}", *lines)

    def day(self, number: int) -> str:
        """The day of the week of that night."""
        return _DAYS[local_date(self.nights[number]).weekday()]

    def sync(self, source: str = SOURCE) -> RunReport:
        """One run, shown."""
        with self.out.progress() as progress:
            report = run(self.hub, source, Options(operator="demo"), progress=progress)
        self.acts[-1].report = report
        if not self.out.json:
            show_report(self.out, report)
        return report

    def steps(self, report: RunReport, *entities: Entity) -> None:
        """What a run changed, for some entities."""
        if self.out.json or report.plan_id is None:
            return
        shown: list[StepView] = []
        for entity in entities:
            plan = read_plan(
                self.hub, report.plan_id, chosen=Chosen(entity), limit=_SHOWN, operator="demo"
            )
            shown += [step for step in plan.steps if step.op != "create"]
        show_steps(self.out, shown[:_SHOWN])


def play(
    out: Output, directory: Path, *, pupils: int, clock: Clock, eckid: bool = True
) -> ExitCode:
    """Play the demo in a directory of its own. The code is 0 when every act ended as it should.

    Args:
        out: where it is told.
        directory: its own.
        pupils: of the school.
        clock: what time it really is.
        eckid: whether a second school, on Magister, gets its ECK iDs.

    Raises: ConfigurationError if something else stands in that directory.
    """
    _clear(directory)
    nights = _nights(clock.now())
    school = _school(pupils, nights=nights)
    made_up = FixedClock(nights[0])
    directory.mkdir(parents=True, mode=0o700)
    (directory / _MARK).touch()
    with SomtodaySandbox(school) as sandbox, ExitStack() as ends:
        second = None
        if eckid:
            folder, today = directory / _PKI, local_date(nights[0])
            second = ends.enter_context(magister_school(folder, today=today, clock=made_up))
        settings = _install(directory, sandbox, second)
        _log_beside(directory, ends)
        hub = Hub.open(settings, made_up)
        try:
            stage = _Stage(out, hub, made_up, nights, school, sandbox, second)
            good = _acts(stage, directory)
        finally:
            hub.close()
    out.data(stage.acts)
    return ExitCode.DONE if good else ExitCode.FAILED


def _log_beside(directory: Path, ends: ExitStack) -> None:
    """Log to a file: what the hub logs of a broken page is no part of the story."""
    stream = ends.enter_context((directory / _LOG).open("x", encoding="utf-8"))
    logs.setup(stream=stream)
    ends.callback(logs.reset)


def _nights(now: datetime) -> list[datetime]:
    """The last nights that are over, oldest first."""
    last = local_date(now)
    if _night_of(last) > now:
        last -= timedelta(days=1)
    return [_night_of(last - timedelta(days=back)) for back in reversed(range(_NIGHTS))]


def _night_of(day: date) -> datetime:
    return datetime.combine(day, _RUNS_AT, ZoneInfo(AMSTERDAM)).astimezone(UTC)


def _school(pupils: int, *, nights: list[datetime], seed: int = 1) -> School:
    """A school as it is on the day of the first night."""
    year = Schooljaar.of(local_date(nights[0])).first_year
    return School(plan_school(pupils, seed, year=year, today=local_date(nights[0])))


_PEOPLE: Final = (
    Person("beheer@school.example", "beheer", ("koppelhub",)),
    Person("balie@school.example", "balie", ("koppelhub",)),
    Person("buiten@school.example", "buiten"),
)
"""Who can sign in at the sandbox's issuer."""
_PAGES_PORT: Final = 8770


def serve_sandbox(
    *, port: int, ports: Mapping[str, int], pupils: int, seed: int, clock: Clock
) -> None:
    """Serve one synthetic school until interrupted, in every system, and say how to log in."""
    school = _school(pupils, nights=_nights(clock.now()), seed=seed)
    server = SomtodaySandbox(school, port)
    known = server.credentials
    oin = f"00000007000{school.plan.brin}00000"
    with (
        TemporaryDirectory(prefix="koppelhub-eckid-") as folder,
        MagisterSandbox(school, ports["magister"]) as magister,
        UwlrSandbox(school, ports["uwlr"]) as uwlr,
        IssuerSandbox(_PEOPLE, ports["issuer"]) as issuer,
        EckIdSandbox(Path(folder), ports["eckid"], schools=(oin,)) as eckid,
    ):
        salt = Path(folder, "salt")
        salt.write_text(eckid.options["salt"], encoding="utf-8")
        for host in ("localhost", "127.0.0.1"):
            issuer.issuer.redirect_uris.add(f"http://{host}:{_PAGES_PORT}/inloggen/terug")

        def announce(url: str) -> None:
            out = Output()
            out.line(f"Somtoday Connect (synthetisch) op {url}; Ctrl-C stopt.")
            out.line(f'api_base = "{server.api_base}"')
            out.line(f'token_url = "{server.token_url}"')
            out.line(f'organisation = "{server.school.uuid}"')
            out.line(f'client_id = "{known.client_id}"')
            out.line(f"client_secret, met zijn spaties: {known.client_secret!r}")
            out.line("Dat zijn de instellingen die `koppelhub init` schrijft; het geheim wacht op:")
            out.line(f"  export KOPPELHUB_DEMO_CLIENT_SECRET={shlex.quote(known.client_secret)}")
            out.line("Laat er iets gebeuren, of gaan er iets mis:")
            for path, body in (("play", '{"count": 10}'), ("faults", '{"kind": "ServerError"}')):
                out.line(f"  curl -d '{body}' {url}/_sandbox/{path}")
            out.line(f"Magister (synthetisch, dezelfde school) op {magister.url}.")
            out.line(f'base_url = "{magister.base_url}"')
            out.line(f'username = "{magister.account.user}"')
            out.line(f"password, met zijn spaties: {magister.account.password!r}")
            out.line(f"UWLR (synthetisch, dezelfde school) op {uwlr.url}.")
            out.line(f'endpoint = "{uwlr.endpoint}"')
            out.line(f'vestigingen = "{school.plan.brin}"')
            out.line(f'autorisatiesleutel = "{uwlr.grant.sleutel}"')
            out.line(f'klantcode = "{uwlr.grant.klantcode}"')
            out.line(f'klantnaam = "{uwlr.grant.klantnaam}"')
            out.line(f"OpenID Connect (synthetisch), voor `koppelhub serve` op {_PAGES_PORT}.")
            out.line(f'issuer = "{issuer.url}"')
            out.line(f'client_id = "{issuer.client.client_id}"')
            out.line(f"client_secret, met zijn spaties: {issuer.client.client_secret!r}")
            out.line(f"medewerkers: {', '.join(person.email for person in _PEOPLE)}")
            out.line(f"Nummervoorziening voor ECK iD (synthetisch) op {eckid.url}.")
            for name, value in eckid.options.items():
                told = f'{{ file = "{salt}" }}' if name == "salt" else f'"{value}"'
                out.line(f"{name} = {told}")
            out.line(f"In het bestand van salt staat: {eckid.options['salt']}")

        serve(server, announce)


# -- the acts --------------------------------------------------------------------------------------


def _acts(stage: _Stage, directory: Path) -> bool:
    outcomes = [_first_night(stage), _again(stage)]
    changes = _a_day(stage)
    outcomes.append(_second_night(stage, changes))
    outcomes.append(_a_bad_night(stage))
    outcomes.append(_confirmed(stage))
    if stage.second is not None:
        outcomes.append(_eck_ids(stage, stage.second))
    outcomes.append(_held(stage))
    _the_end(stage, directory)
    return all(outcomes)


def _first_night(stage: _Stage) -> bool:
    stage.night(
        0,
        "de school voor het eerst",
        "Somtoday (een synthetische school, over echte HTTP en OAuth2) wordt gelezen. Elk record",
        "wordt vertaald, herkend en in de kern gezet, alles in één transactie.",
    )
    return stage.sync().outcome is Outcome.DONE


def _again(stage: _Stage) -> bool:
    stage.act(
        "Nog een keer: er is niets veranderd",
        "Ongewijzigde records vallen af op hun vingerafdruk. Een tweede run verandert niets.",
    )
    report = stage.sync()
    return report.outcome is Outcome.DONE and not report.steps


def _a_day(stage: _Stage) -> list[Change]:
    changes = Day(stage.school).one_day()
    act = stage.act(f"{stage.day(0)} overdag: een gewone dag in Somtoday")
    act.changes = [change.description for change in changes]
    if not stage.out.json:
        for change in changes:
            stage.out.line(f"  · {change.description}")
    return changes


def _second_night(stage: _Stage, changes: list[Change]) -> bool:
    stage.night(
        1,
        "alleen wat veranderde",
        "De leerling die wegging wordt gemist maar nog niet afgesloten: één keer ontbreken is",
        "geen bewijs. Een geheim adres wist het oude adres niet, maar merkt het als geheim.",
    )
    report = stage.sync()
    stage.steps(report, Entity.LEERLING, Entity.INSCHRIJVING, Entity.GROEP)
    renamed = next(change for change in changes if change.kind == "leerling_achternaam")
    _why(stage, renamed)
    return report.outcome is Outcome.DONE


def _why(stage: _Stage, change: Change) -> None:
    if stage.out.json:
        return
    with stage.hub.store.work() as work:
        rows = work.execute(
            "SELECT core_id FROM link WHERE entity = 'leerling' AND source_key = ?", (change.uuid,)
        )
    stage.act(
        "De school belt: waarom heet deze leerling nu anders?",
        f"$ koppelhub explain leerling {hub_key(rows[0][0])} --field achternaam",
    )
    show_explanation(
        stage.out,
        explain_leerling(stage.hub, hub_key(rows[0][0]), field="achternaam", operator="demo"),
    )


def _a_bad_night(stage: _Stage) -> bool:
    stage.night(
        2,
        "Somtoday breekt een pagina af",
        "Wat wel gelezen werd telt. De leerlingen werden niet gelezen, en dat bewijst niets: geen",
        "van hen sluit af. Een verzorger die voor de tweede keer in een volledige lezing",
        "ontbreekt wel.",
    )
    stage.sandbox.misbehave(TruncatedJson(path="/leerling", count=None))
    report = stage.sync()
    stage.sandbox.behave()
    closed = [name for name in report.steps if name == "leerling.close"]
    return report.outcome is Outcome.PARTIAL and not closed


def _confirmed(stage: _Stage) -> bool:
    stage.night(
        3,
        "het ontbreken is bevestigd",
        "Voor de tweede keer ontbreekt de leerling in een volledige lezing. De hub sluit af op de",
        "laatste dag dat hij er was, en verwijdert niets.",
    )
    report = stage.sync()
    stage.steps(report, Entity.LEERLING, Entity.INSCHRIJVING)
    return report.outcome is Outcome.DONE and report.steps.get("leerling.close", 0) > 0


def _eck_ids(stage: _Stage, second: MagisterSchool) -> bool:
    stage.act(
        "Een school op Magister krijgt haar ECK iD's",
        "Magister levert geen ECK iD. Deze school legde vast dat het PGN daarvoor gebruikt mag",
        "worden. De hub leest Magister, maakt van elk PGN een hash, en vraagt met een eigen",
        "certificaat eerst de stampseudoniemen en dan de ECK iD's. Het PGN gaat nergens heen.",
    )
    read = stage.sync(LAS)
    stage.act("De Nummervoorziening wordt gevraagd (een echte hash kost bijna een seconde)")
    obtained = stage.sync(ECKID)
    found = standing(stage.hub, BRIN)
    if not stage.out.json:
        show_standing(stage.out, found)
    stage.act("Nog een keer: niemand wordt opnieuw gehasht of gevraagd")
    asked = second.asked
    again = stage.sync(ECKID)
    if not stage.out.json:
        stage.out.line(f"Personen gevraagd: {asked[0]}; keer gevraagd: {second.asked[1]}.")
    everyone = all(place.standing.obtained == asked[0] for place in found.places)
    outcomes = {report.outcome for report in (read, obtained, again)}
    return outcomes == {Outcome.DONE} and everyone and second.asked == asked and not again.steps


def _held(stage: _Stage) -> bool:
    stage.night(
        4,
        "de bron maakt ineens alle e-mailadressen leeg",
        "Dat gaat over de drempel van de school. Het plan wordt vastgehouden voor een mens.",
    )
    school, changes = stage.school, Changes(stage.school)
    peil = school.peil("HUIDIG")
    for vestiging in range(len(school.population.sizes)):
        total = school.count("leerling", vestiging, peil=peil)
        for key in school.keys("leerling", vestiging, peil=peil, offset=0, amount=total):
            changes.patch(school.uuid_of("leerling", key), emailadres=None)
    report = stage.sync()
    return report.outcome is Outcome.HELD


def _the_end(stage: _Stage, directory: Path) -> None:
    if stage.out.json:
        return
    config = directory / "koppelhub.toml"
    own = Path(sys.executable).with_name("koppelhub")
    command = "koppelhub" if shutil.which("koppelhub") or not own.is_file() else str(own)
    plan = stage.acts[-1].report.plan_id if stage.acts[-1].report else 1
    stage.out.title("En nu zelf")
    for words, what in (
        ("todo", "wat er op u wacht"),
        (f"plan show {plan}", "wat er zou wijzigen"),
        (f"plan approve {plan}", "het klopt: voer het uit, of"),
        (f"plan refuse {plan} --why 'de school vergiste zich'", "laat alles zoals het was"),
        ("runs", "wat er deze nachten gebeurde"),
        ("run show 4", "de nacht met de afgebroken pagina"),
        ("doctor", "of de installatie gezond is"),
        (f"eckid status --school {BRIN}", "wie een ECK iD heeft, en waarom iemand niet"),
    ):
        if stage.second is None and words.startswith("eckid"):
            continue
        typed = f"{shlex.quote(command)} {words} --config {shlex.quote(str(config))}"
        stage.out.line(f"  {typed}  # {what}")
    serve = f"{shlex.quote(command)} sandbox serve"
    stage.out.line(f"  {serve}  # dezelfde school, om zelf een koppeling op te richten")
    stage.out.line(
        f"De database staat in {directory / 'koppelhub.db'}, het logboek in {directory / _LOG}."
    )


_ALL_YEAR = """
# Een demo in juli of augustus vertelt hetzelfde: geen zomerstop.
[policy.absence]
freeze = false
"""


# -- the installation ------------------------------------------------------------------------------


def _clear(directory: Path) -> None:
    """An earlier demo is thrown away; anything else is left alone."""
    if not directory.exists():
        return
    if not (directory / _MARK).exists():
        raise ConfigurationError(
            f"{directory} exists and is no demo",
            advice="Geef een andere map: `koppelhub demo MAP`.",
        )
    shutil.rmtree(directory)


def _install(directory: Path, sandbox: SomtodaySandbox, second: MagisterSchool | None) -> Settings:
    """The packaged example configuration, pointed at this sandbox, the same in every season."""
    secret = directory / "somtoday.secret"
    secret.touch(mode=0o600)
    secret.write_text(sandbox.credentials.client_secret, encoding="utf-8")
    text = example()
    for before, after in (
        ("http://127.0.0.1:8765/rest/v1", sandbox.api_base),
        ("http://127.0.0.1:8765/oauth2/token", sandbox.token_url),
        ("cc918e59-d507-4109-8c1a-ff6372a15ccd", sandbox.school.uuid),
        ('client_id = "koppelhub"', f'client_id = "{sandbox.credentials.client_id}"'),
        (
            '{ env = "KOPPELHUB_DEMO_CLIENT_SECRET" }',
            '{ file = "somtoday.secret" }\nvolgend = "false"  # ook in het voorjaar niet',
        ),
    ):
        if before not in text:
            raise ConfigurationError(f"the packaged example no longer says {before}")
        text = text.replace(before, after)
    text += _ALL_YEAR
    if second is not None:
        second.install(directory)
        text += second.configuration
    initialise(directory, configuration=text)
    return Settings.load(directory / "koppelhub.toml")
