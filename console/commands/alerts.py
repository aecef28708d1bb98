"""Commands on alerts, and the weekly report of a school."""

from __future__ import annotations

from typing import Annotated

import typer

from console.arguments import Config, Csv, Debug, Json, Limit, not_both, open_hub, operator_name
from console.output import Output

alerts_app = typer.Typer(help="Who is told what is wrong.", no_args_is_help=True)
report_app = typer.Typer(help="What schools are told.", no_args_is_help=True)
app = typer.Typer()
app.add_typer(alerts_app, name="alerts")
app.add_typer(report_app, name="report")


@alerts_app.command("list")
def alerts_list(
    every: Annotated[
        bool, typer.Option("--all", help="Also what is over, and what was delivered.")
    ] = False,
    limit: Limit = 200,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """List incidents, and the messages that are not delivered; code 1 where one is not."""
    from console.alerts import show_alerts
    from sync_engine.alerts import ledger, notices

    with open_hub(config, debug=debug) as hub, hub.store.work() as work:
        incidents = ledger.going_on(work)
        if every:
            incidents += ledger.ended(work, limit=limit)
        messages = notices.recent(work, limit=limit, undelivered=not every)
        zone = hub.settings.timezone
        raise typer.Exit(show_alerts(Output(json=json), incidents, messages, zone=zone))


@alerts_app.command("run")
def alerts_run(json: Json = False, config: Config = None, debug: Debug = False) -> None:
    """Look at the health once, and send what is due: what `serve` does by itself, for a timer."""
    from console.alerts import show_watched
    from sync_engine.alerts.post import post_reports
    from sync_engine.alerts.watch import watch_and_tell

    with open_hub(config, debug=debug) as hub:
        post_reports(hub)
        raise typer.Exit(show_watched(Output(json=json), watch_and_tell(hub)))


@alerts_app.command("retry")
def alerts_retry(json: Json = False, config: Config = None, debug: Debug = False) -> None:
    """Send now what could not be delivered, also what was given up."""
    from console.alerts import show_watched
    from sync_engine.alerts import ledger, notices
    from sync_engine.alerts.delivery import deliver
    from sync_engine.alerts.watch import Watched

    with open_hub(config, debug=debug) as hub:
        with hub.store.work() as work:
            with work.transaction():
                notices.try_again(work, hub.clock.now())
            going_on = len(ledger.going_on(work))
        done = Watched(going_on=going_on, delivered=deliver(hub))
        raise typer.Exit(show_watched(Output(json=json), done))


@alerts_app.command("test")
def alerts_test(
    channel: Annotated[str, typer.Option("--channel", help="Name of the channel.")],
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """Send a message that says it is a test, at once; nothing is written down."""
    from sync_engine.alerts.trial import send_trial

    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        note = send_trial(hub, channel)
    if not out.data({"channel": channel, "sent": True, "note": note}):
        out.line(f"Verstuurd naar {channel}. {note}".rstrip())


@report_app.command("weekly")
def report_weekly(
    school: Annotated[str, typer.Option("--school", help="BRIN or vestigingsnummer.")],
    csv: Csv = None,
    send: Annotated[
        bool, typer.Option("--send", help="Mail it to the school's contact, once a week.")
    ] = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    """The weekly report of a school; --csv writes the records, with the school's own numbers."""
    from console.alerts import write_lines
    from sync_engine.alerts.delivery import deliver
    from sync_engine.alerts.letter import as_data, letter
    from sync_engine.alerts.post import at_each_board, post_report
    from sync_engine.alerts.weekly import lines, weekly
    from sync_engine.audit import note
    from sync_engine.outcome import ExitCode

    not_both(json=json, csv=csv)
    out = Output(json=json)
    with open_hub(config, debug=debug) as hub:
        report = weekly(hub, school)
        with hub.store.work() as work:
            subject = f"school {report.school}"
            why = "met de nummers van de bron" if csv is not None else ""
            operator = operator_name()
            note(hub, work, operator=operator, action="report weekly", subject=subject, why=why)
            written = None if csv is None else write_lines(csv, lines(hub, work, school))
        posted = None
        if send:  # each board's own part goes to its own contact
            made = [post_report(each, weekly(each, school)) for each in at_each_board(hub, school)]
            posted = any(made)
        waiting = deliver(hub).waiting if send else 0
        text = letter(report, zone=hub.settings.timezone)["text"]
    code = ExitCode.LATER if posted and waiting else ExitCode.DONE
    data = {**as_data(report), "csv": csv, "lines": written, "sent": posted}
    if csv != "-" and not out.data(data):
        out.line(text)
        if written is not None:
            out.line(f"{written} regels in {csv}: persoonsgegevens, alleen voor deze school.")
        if posted is False:
            out.line("Dit weekbericht was deze week al verstuurd of staat klaar.")
        elif posted:
            out.line("Het wacht op de mailserver." if waiting else "Verstuurd aan de school.")
    raise typer.Exit(code)
