"""How results are shown to people; with `--json` the same result goes out whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.output import Output, pairs
from sync_engine.outcome import ExitCode, Outcome, RunReport

if TYPE_CHECKING:
    from connectors.registry import Found
    from sync_engine.checks import SourceCheck, Trial
    from sync_engine.doctor import Finding
    from sync_engine.explain import Explanation, FieldReason
    from sync_engine.history import PlanView, RunDetail, RunView

_OUTCOME = {
    Outcome.DONE: "klaar",
    Outcome.PARTIAL: "gedeeltelijk",
    Outcome.HELD: "vastgehouden: een mens moet kijken",
    Outcome.FAILED: "mislukt",
    Outcome.CANCELLED: "afgebroken",
}
_READING = ("resource", "deel", "staat", "gelezen", "nieuw", "gewijzigd", "weg", "quarantaine")


def show_report(out: Output, report: RunReport) -> None:
    """What one run did."""
    if out.data(report):
        return
    out.title(f"Run {report.run_id} van {report.koppeling}: {_OUTCOME[report.outcome]}")
    rows = [
        (r.resource, r.scope, r.state, r.read, r.added, r.changed, r.gone, r.quarantined)
        for r in report.readings
    ]
    out.table(_READING, rows)
    for reading in report.readings:
        if reading.reason:
            out.line(f"  {reading.resource} {reading.scope}: {reading.reason}. {reading.advice}")
    out.line(f"In de kern: {pairs(report.steps) or 'niets te wijzigen'}")
    for label, count in (
        ("vastgehouden", report.held),
        ("wacht op een verwijzing", report.waiting),
        ("verwijzing nog niet gevonden", report.unresolved),
        ("in quarantaine", report.quarantine),
        ("open zaken", report.cases),
    ):
        if count:
            out.line(f"  {label}: {count}")
    for hold in report.holds:
        out.line(f"  vastgehouden: {hold.reason}")
    for event in report.events:
        out.line(f"  let op: {event}")
    if report.error:
        out.line(f"Fout: {report.error}")
        out.line(report.advice)
    if report.plan_id is not None and (report.held or report.outcome is Outcome.HELD):
        out.line(
            f"Bekijk het met `koppelhub plan show {report.plan_id}`, "
            f"keur het goed met `koppelhub plan apply {report.plan_id}`."
        )


def show_plan(out: Output, plan: PlanView) -> None:
    """A plan, record by record."""
    if out.data(plan):
        return
    out.title(f"Plan {plan.id} van {plan.koppeling}: {plan.state}, geldig tot {plan.expires_at}")
    out.line(pairs(plan.counts) or "niets te wijzigen")
    rows: list[tuple[object, ...]] = []
    for step in plan.steps:
        first = True
        for name, (before, after) in step.changes.items():
            head = (step.entity, step.key, step.op, step.state) if first else ("", "", "", "")
            rows.append((*head, name, _cell(before), _cell(after)))
            first = False
    out.table(("entiteit", "sleutel", "stap", "staat", "veld", "was", "wordt"), rows)
    if plan.more:
        out.line(f"... en nog {plan.more}; zie --limit")


def show_runs(out: Output, runs: list[RunView]) -> None:
    """Runs, newest first."""
    if out.data(runs):
        return
    out.table(
        ("run", "koppeling", "soort", "uitkomst", "begonnen", "gelezen", "nieuw", "gewijzigd"),
        [
            (r.id, r.koppeling, r.kind, r.state, r.started_at[:16], r.read, r.added, r.changed)
            for r in runs
        ],
    )


def show_run(out: Output, detail: RunDetail) -> None:
    """One run, whole."""
    if out.data(detail):
        return
    run = detail.run
    out.title(f"Run {run.id} van {run.koppeling} ({run.kind}): {run.state}")
    out.line(f"begonnen {run.started_at}, klaar {run.finished_at}, door {detail.operator}")
    names = ("resource", "scope", "state", "read", "added", "changed", "gone", "quarantined")
    out.table(_READING, [tuple(r[n] for n in names) for r in detail.readings])
    for reading in detail.readings:
        if reading["reason"]:
            out.line(f"  {reading['resource']}: {reading['reason']}. {reading['advice']}")
    for event in detail.events:
        out.line(f"  let op: {event['kind']} {event['detail']}")
    rows = [tuple(row.values()) for row in detail.quarantine]
    out.table(("resource", "bronsleutel", "veld", "regel", "sinds run"), rows)
    for plan in detail.plans:
        out.line(f"plan {plan['id']}: {plan['state']}")
    if run.error:
        out.line(f"Fout: {run.error}")
        out.line(run.advice or "")


def show_explanation(out: Output, answers: list[tuple[str, Explanation]]) -> None:
    """Why a record is as it is."""
    if out.data([{"key": key, "explanation": explanation} for key, explanation in answers]):
        return
    for key, explanation in answers:
        out.title(f"{explanation.entity} {key}{' (afgesloten)' if explanation.closed else ''}")
        for source, situation in explanation.situation.items():
            out.line(f"  {source}: {situation}")
        out.table(
            ("veld", "waarde", "door", "regel", "run", "anderen zeggen"),
            [_reason(reason) for reason in explanation.fields],
        )
        for reason in explanation.fields:
            for change in reason.history[1:]:
                out.line(
                    f"  {reason.name}: {_cell(change.before)} werd {_cell(change.after)} "
                    f"in run {change.run_id} ({change.at[:16]})"
                )


def _reason(reason: FieldReason) -> tuple[object, ...]:
    others = [
        f"{claim.koppeling}: {_cell(claim.value)} ({claim.state})"
        for claim in reason.claims
        if claim.value != reason.value or claim.koppeling != reason.koppeling
    ]
    by = f"vastgezet ({reason.pin_id})" if reason.pin_id is not None else reason.koppeling
    return (reason.name, _cell(reason.value), by, reason.rule, reason.run_id, "; ".join(others))


def show_connectors(out: Output, found: Found) -> None:
    """Installed connectors and what they declare."""
    manifests = [factory.manifest for factory in found.factories.values()]
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
        out.line(f"aannames: {len(manifest.assumptions)}")
    for name, why in found.broken.items():
        out.line(f"{name}: niet bruikbaar, {why}")


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
            if not result.ok:
                out.line(f"Voor de school: {result.advice}")
    return code


def show_trial(out: Output, trial: Trial) -> None:
    """Each output value of a mapping on one sample."""
    if out.data(trial):
        return
    for record in trial.records:
        out.title(str(record["entity"]))
        fields = record["fields"]
        if isinstance(fields, dict):
            out.table(("veld", "waarde"), [(n, _cell(v)) for n, v in fields.items()])
    for problem in trial.problems:
        out.line(f"weggelaten: {problem}")
    if trial.error:
        out.line(f"quarantaine: {trial.error}")


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


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        shown = [f"{v}" for k, v in value.items() if v not in (None, False) and k != "index"]
        return " ".join(shown)
    if isinstance(value, list):
        return ", ".join(str(item) for item in value if item is not None)
    return str(value)
