"""How results are shown to people; with `--json` the same result goes out whole."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from console.events import event_text, text_of
from console.output import Output, pairs
from sync_engine.cells import as_written, obtained_text
from sync_engine.hubkeys import NEW
from sync_engine.outcome import READ_WELL, ExitCode, Outcome, ReadingReport, RunReport

if TYPE_CHECKING:
    from connectors.base import Setting
    from connectors.registry import Found
    from sync_engine.checks import SourceCheck, Trial
    from sync_engine.doctor import Finding
    from sync_engine.fold import Json
    from sync_engine.history import RunDetail, RunView
    from sync_engine.plans import StepView

_OUTCOME = {
    Outcome.DONE: "klaar",
    Outcome.PARTIAL: "gedeeltelijk",
    Outcome.HELD: "vastgehouden: een mens moet kijken",
    Outcome.FAILED: "mislukt",
    Outcome.CANCELLED: "afgebroken",
}


_STATES = {
    "done": "klaar",
    "partial": "gedeeltelijk",
    "held": "vastgehouden",
    "failed": "mislukt",
    "cancelled": "afgebroken",
    "running": "bezig",
}
_FOUND = {
    "unlinked": "herkend",
    "unmatched": "nieuw",
    "disputed": "in twijfel",
    "unknown": "niet in de hub",
}
_SKIPPED = {
    "erased": "gewist",
    "keyless": "zonder bruikbare sleutel",
    "no_payload": "niets meer van bewaard",
    "no_terms": "leveringsvoorwaarden onbekend",
}


_ERASED = {
    "suppressed": "van gewiste personen, niet bewaard",
    "withheld": "verwijzing naar een gewiste persoon",
}


def show_report(out: Output, report: RunReport) -> None:
    """What one run did."""
    if out.data(report):
        return
    out.title(f"Run {report.run_id} van {report.koppeling}: {_OUTCOME[report.outcome]}")
    show_readings(out, report.readings)
    if report.outcome is Outcome.FAILED and not report.applied:
        out.line("In de kern is niets gewijzigd.")
    elif report.steps and not report.applied:
        out.line(f"Zou in de kern veranderen: {pairs(report.steps)}")
    else:
        out.line(f"In de kern: {pairs(report.applied) or 'niets te wijzigen'}")
    if report.merged:
        out.line(f"Samengevoegd met wat er al was: {pairs(report.merged)}")
    found = {_FOUND[name]: n for name, n in report.situations.items() if name in _FOUND}
    if found:
        out.line(f"Van wat nieuw of gewijzigd is: {pairs(found)}")
    for label, count in (
        ("vastgehouden", report.held),
        ("geweigerd", report.refusals),
        ("in twijfel, en zo gelaten", len(report.doubts)),
        ("wacht op een verwijzing", report.waiting),
        ("verwijzing nog niet gevonden", report.unresolved),
        (_ERASED["suppressed"], report.suppressed),
        (_ERASED["withheld"], report.withheld),
        ("in quarantaine", report.quarantine),
        ("open zaken", report.cases),
    ):
        if count:
            out.line(f"  {label}: {count}")
    for reason, count in report.skipped.items():
        out.line(f"  overgeslagen, {_SKIPPED.get(reason, reason)}: {count}")
    for hold in report.holds:
        out.line(f"  vastgehouden: {hold.reason}")
    for event in report.events:
        out.line(f"  let op: {event_text(event)}")
    if report.error:
        out.line(f"Fout: {report.error}")
        out.line(report.advice)
    if report.plan_id is not None and (report.held or report.outcome is Outcome.HELD):
        out.line(
            f"Bekijk het met `koppelhub plan show {report.plan_id}`, "
            f"keur het goed met `koppelhub plan approve {report.plan_id}`; "
            "wat er verder wacht staat in `koppelhub todo`."
        )


def show_readings(out: Output, readings: list[ReadingReport]) -> None:
    """One line per resource; scopes that were not read whole are named, with what to do."""
    sums: dict[str, list[int]] = {}
    for r in readings:
        row = sums.setdefault(r.resource, [0] * 7)
        whole = r.state in READ_WELL
        counts = (1, whole, r.read, r.added, r.changed, r.gone, r.quarantined)
        sums[r.resource] = [a + int(b) for a, b in zip(row, counts, strict=True)]
    out.table(
        ("resource", "delen", "volledig", "gelezen", "nieuw", "gewijzigd", "weg", "quarantaine"),
        [(name, *row) for name, row in sums.items()],
    )
    for r in readings:
        if r.reason:
            out.line(f"  {r.resource}, {r.scope} ({r.state}): {r.reason}. {r.advice}")


def show_steps(out: Output, steps: list[StepView]) -> None:
    """Each record with its changes; what stays empty in a new record is left out."""
    for step in steps:
        held = f", vastgehouden: {step.held_for}" if step.held_for else ""
        source = f" ({step.source})" if step.source else ""
        pinned = f", vastgezet: {', '.join(step.pinned)}" if step.pinned else ""
        what = f"{OPS.get(step.op, step.op)} {step.entity} {step.key or NEW}{source}"
        out.line(f"{what}{held}{pinned}")
        if step.op == "remove":  # all of it goes; `explain` and `history` tell what it was
            continue
        for name, (before, after) in step.changes.items():
            if step.op == "create" and after in (None, False, [], "[]"):
                continue
            out.line(f"    {told_change(step, name, before, after)}")


def told_change(step: StepView, name: str, before: Json, after: Json) -> str:
    """One changed field, as people say it."""
    kind, _, rest = name.partition("/")
    if kind == "groepsdeelname":
        role, _, number = rest.partition("/")
        return told_member(f"{role} {step.labels.get(number, number)}", before, after)
    label = rest.removesuffix("/0") or name.removesuffix("_id")
    was, now = (
        step.labels.get(str(side), cell(side)) if name.endswith("_id") else cell(side)
        for side in (before, after)
    )
    return f"{label}: {now}" if step.op == "create" else f"{label}: {was} -> {now}"


def told_member(who: str, before: Json, after: Json) -> str:
    """One change of who is in a groep, and when."""
    if isinstance(after, list) and len(after) == 4:
        return f"- {who} (t/m {_last_day(after[1])})"
    if isinstance(after, list) and before is None:
        return f"+ {who} (vanaf {after[0]})"
    if after is None:
        return f"- {who} ({_stay(before)}) verdwijnt"
    return f"~ {who}: {_stay(before)} -> {_stay(after)}"


def _stay(value: Json) -> str:
    """From when to when somebody is in a groep."""
    if not isinstance(value, list):
        return "-"
    since = f"vanaf {value[0]}" if value[0] else "zonder eerste dag"
    return f"{since} t/m {_last_day(value[1])}" if value[1] else since


OPS = {
    "create": "+ nieuw",
    "remove": "- verdwijnt",
    "change": "~ wijzigt",
    "close": "- sluit",
    "reopen": "+ heropent",
}


def show_runs(out: Output, runs: list[RunView]) -> None:
    """Runs, newest first."""
    if out.data(runs):
        return
    out.table(
        (
            *("run", "koppeling", "soort", "uitkomst", "begonnen", "gelezen", "nieuw"),
            *("gewijzigd", "vastgehouden", "plan"),
        ),
        [
            (
                *(r.id, r.koppeling, r.kind, _STATES.get(r.state, r.state)),
                *(out.moment(r.started_at), r.read, r.added, r.changed),
                *(r.held or "", r.plan_id or ""),
            )
            for r in runs
        ],
    )


def show_run(out: Output, detail: RunDetail) -> None:
    """One run, whole."""
    if out.data(detail):
        return
    run = detail.run
    out.title(f"Run {run.id} van {run.koppeling} ({run.kind}): {_STATES.get(run.state, run.state)}")
    ended = out.moment(run.finished_at) or "nog niet"
    out.line(f"begonnen {out.moment(run.started_at)}, klaar {ended}, door {detail.operator}")
    show_readings(out, detail.readings)
    for name, label in _ERASED.items():
        if detail.counts.get(name):
            out.line(f"  {label}: {detail.counts[name]}")
    for event in detail.events:
        out.line(f"  let op: {text_of(str(event['kind']), str(event['detail']))}")
    rows = [tuple(row.values()) for row in detail.quarantine]
    out.table(("resource", "bronsleutel", "veld", "regel", "sinds run"), rows)
    for plan in detail.plans:
        out.line(f"plan {plan['id']}: {plan['state']}")
    if run.error:
        out.line(f"Fout: {run.error}")
        out.line(run.advice or "")


def show_connectors(out: Output, found: Found) -> None:
    """Installed connectors and what they declare."""
    manifests = [factory.manifest for factory in found.installed.values()]
    if out.data({"connectors": manifests, "broken": found.broken}):
        return
    for manifest in manifests:
        out.title(f"{manifest.system}: {manifest.title} ({manifest.specification})")
        out.table(
            ("resource", "kan", "verdwijnen blijkt uit", "standaard"),
            [
                (
                    r.name,
                    ", ".join(sorted(r.capabilities)),
                    r.deletion,
                    "nee" if r.optional else "ja",
                )
                for r in manifest.resources
            ],
        )
        out.line(f"rechten van de school: {'; '.join(manifest.rights)}")
        if manifest.settings:
            out.table(
                ("instelling", "nodig", "betekenis"), [_setting(s) for s in manifest.settings]
            )
        out.line(f"aannames: {len(manifest.assumptions)}")
    for name, why in found.broken.items():
        out.line(f"{name}: niet bruikbaar, {why}")


def _setting(setting: Setting) -> tuple[str, str, str]:
    default = f"nee; {setting.default}" if setting.default is not None else "nee"
    needed = "ja" if setting.required else default
    return (setting.name, f"{needed}; geheim" if setting.secret else needed, setting.meaning)


def show_checks(out: Output, checks: list[SourceCheck]) -> ExitCode:
    """Layer by layer; the code is 2 when a koppeling fails."""
    good = all(result.ok for check in checks for result in check.results)
    code = ExitCode.DONE if good else ExitCode.FAILED
    if out.data(checks):
        return code
    for check in checks:
        out.title(check.koppeling)
        out.table(
            ("laag", "", "bevinding"),
            [(r.layer, "goed" if r.ok else "FOUT", r.message) for r in check.results],
        )
        for result in check.results:
            if result.advice:
                out.line(f"Wat te doen: {result.advice}")
    return code


def show_trial(out: Output, trial: Trial) -> ExitCode:
    """Each output value of a mapping on one sample; the code is 1 when the record is refused."""
    code = ExitCode.PARTIAL if trial.error else ExitCode.DONE
    if out.data(trial):
        return code
    out.table(
        ("entiteit", "veld", "uit", "functie", "sterkte", "staat", "waarde"),
        [
            (
                row.entity,
                row.target,
                " + ".join(filter(None, (row.where, *row.source))),
                row.function,
                row.strength,
                row.rule or row.state,
                cell(row.output),
            )
            for row in trial.rows
        ],
    )
    for problem in trial.problems:
        out.line(f"weggelaten: {problem}")
    if trial.error:
        out.line(f"quarantaine: {trial.error}")
    return code


def show_findings(out: Output, findings: list[Finding]) -> ExitCode:
    """What the doctor found."""
    bad = any(f.level == "fout" for f in findings)
    warn = any(f.level == "let op" for f in findings)
    code = ExitCode.FAILED if bad else ExitCode.PARTIAL if warn else ExitCode.DONE
    if not out.data(findings):
        out.table(
            ("", "onderwerp", "bevinding", "wat te doen"),
            [(f.level, f.subject, f.message, f.advice) for f in findings],
        )
    return code


def _last_day(end: Json) -> str:
    """People say the last day; the core holds the first day after."""
    return (date.fromisoformat(str(end)) - timedelta(days=1)).isoformat() if end else "-"


def cell(value: object) -> str:
    """One value in a table; a dash for none."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        if "keten" in value:
            return obtained_text(value)
        parts = as_written(value)
        shown = [str(v) for k, v in parts if v and k not in {"index", "geheim"}]
        return " ".join(shown) + (" (geheim)" if value.get("geheim") else "")
    if isinstance(value, bool):
        return "ja" if value else "nee"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value if item is not None)
    return str(value)
