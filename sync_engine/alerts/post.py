"""Sending the weekly reports: each school's contact gets one a week, whoever asks how often.

Two boards may have vestigingen of one BRIN: each has a contact of its own, who reads of its own
koppelingen only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from config.alerts import Weekday
from config.clock import zone
from config.errors import ConfigurationError, KoppelhubError
from sync_engine.alerts import notices
from sync_engine.alerts.letter import letter
from sync_engine.alerts.senders import mail_server
from sync_engine.alerts.weekly import Weekly, week_of, weekly
from sync_engine.audit import note_within
from sync_engine.health import health
from sync_engine.hub import Hub

_LATE: Final = timedelta(hours=48)
"""How long after its hour a report is still written; later it waits for the next week."""
_log = logging.getLogger(__name__)


def post_report(hub: Hub, report: Weekly) -> bool:
    """Write a report to be sent to the contact of its school; false where this week's is.

    Args:
        hub: with an actor who may act for one board of this school, as of `at_each_board`.
        report: of what he may see.

    Raises: ConfigurationError if the school has no contact, or several boards have it, or no mail
        server is configured.
    """
    school = report.school[:4]
    boards = [name for name, brin in _schools(hub) if brin == school]
    if len(boards) != 1:
        raise ConfigurationError(
            f"school {school} is of {len(boards)} boards: a report is of one",
            advice="Laat het versturen door iemand die voor een van deze besturen werkt.",
        )
    (board,) = boards
    if (board, school) not in _schools(hub, with_contact=True):
        raise ConfigurationError(
            f"tenant.school[{school}].contact: is required to send the report",
            advice='Zet contact = "naam@school.nl" bij deze school in koppelhub.toml.',
        )
    mail_server(hub.settings)
    document = letter(report, zone=hub.settings.timezone) | {"tenant": board}
    number = _number(hub, board, report.school, report.week)
    with hub.store.work() as work, work.transaction():
        posted = notices.post(
            work,
            number,
            kind=notices.REPORT,
            channel=school,
            title=document["title"],
            document=document,
            at=hub.clock.now(),
        )
        if posted:
            subject, why = f"school {report.school}", f"week {report.week}"
            operator = hub.actor.name
            note_within(
                hub, work, operator=operator, action="report send", subject=subject, why=why
            )
    return posted


def post_reports(hub: Hub) -> int:
    """Write the reports whose hour has come, of every school that has a contact; how many.

    A school whose report cannot be made is told in the log, and stops no other.
    """
    now, config = hub.clock.now(), hub.settings.alerts.report
    if not config.send or hub.settings.alerts.mail.host is None:
        return 0
    due = _due(now, config.day, config.at, hub.settings.timezone)
    if not due <= now < due + _LATE:
        return 0
    week = week_of(due, hub.settings.timezone)
    waiting = _not_posted(hub, _schools(hub, with_contact=True), week)
    found = health(hub) if waiting else None
    count = 0
    for board, school in waiting:
        own = _at(hub, board)
        try:
            count += post_report(own, replace(weekly(own, school, found=found), week=week))
        except KoppelhubError as error:
            _log.warning("weekly report: a school has none this week: %s", error)
    return count


def _due(now: datetime, day: Weekday, at: str, zone_name: str) -> datetime:
    """The last time, up to now, at which reports were due."""
    local = now.astimezone(zone(zone_name))
    hour, minute = (int(part) for part in at.split(":"))
    back = (local.weekday() - list(Weekday).index(day)) % 7
    due = (local - timedelta(days=back)).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return due if due <= local else due - timedelta(days=7)


def at_each_board(hub: Hub, school: str) -> Iterator[Hub]:
    """The hub as who acts for one board uses it, for each of his boards that has this school."""
    for board, brin in _schools(hub):
        if brin == school.strip().upper()[:4]:
            yield _at(hub, board)


def _at(hub: Hub, board: str) -> Hub:
    if hub.actor.is_limited and board not in (hub.actor.tenants or ()):
        return hub  # he acts for some schools of it, and for no more than that
    return replace(hub, actor=replace(hub.actor, tenants=frozenset({board}), schools=frozenset()))


def _schools(hub: Hub, *, with_contact: bool = False) -> list[tuple[str, str]]:
    """(board, BRIN) of every school that the actor may act for."""
    return [
        (tenant.name, school.brin.reveal())
        for tenant, school in hub.own_schools()
        if school.contact is not None or not with_contact
    ]


def _number(hub: Hub, board: str, school: str, week: str) -> str:
    return notices.notice_id(hub.keyring.active_id, "weekly", board, school, week)


def _not_posted(hub: Hub, schools: Sequence[tuple[str, str]], week: str) -> list[tuple[str, str]]:
    """The schools whose report of this week is not written yet."""
    numbers = {_number(hub, board, school, week): (board, school) for board, school in schools}
    with hub.store.work() as work:
        known = {
            row[0]
            for row in work.execute(
                f"SELECT id FROM notification WHERE {work.many('id')}",
                (work.values(list(numbers)),),
            )
        }
    return [school for number, school in numbers.items() if number not in known]
