"""Sending the weekly reports: each school's contact gets one a week, whoever asks how often."""

from __future__ import annotations

import logging
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

    Raises: ConfigurationError if the school has no contact, or no mail server is configured.
    """
    school = report.school[:4]
    if not _has_contact(hub, school):
        raise ConfigurationError(
            f"tenant.school[{school}].contact: is required to send the report",
            advice='Zet contact = "naam@school.nl" bij deze school in koppelhub.toml.',
        )
    mail_server(hub.settings)
    document = letter(report, zone=hub.settings.timezone)
    number = notices.notice_id(hub.keyring.active_id, "weekly", report.school, report.week)
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
    schools = [
        school.brin.reveal()
        for tenant in hub.settings.tenant
        for school in tenant.school
        if school.contact is not None
    ]
    week = week_of(due, hub.settings.timezone)
    waiting = _not_posted(hub, schools, week)
    found = health(hub) if waiting else None
    count = 0
    for school in waiting:
        try:
            count += post_report(hub, replace(weekly(hub, school, found=found), week=week))
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


def _not_posted(hub: Hub, schools: list[str], week: str) -> list[str]:
    """The schools whose report of this week is not written yet."""
    numbers = {
        notices.notice_id(hub.keyring.active_id, "weekly", school, week): school
        for school in schools
    }
    with hub.store.work() as work:
        known = {
            row[0]
            for row in work.execute(
                f"SELECT id FROM notification WHERE {work.many('id')}",
                (work.values(list(numbers)),),
            )
        }
    return [school for number, school in numbers.items() if number not in known]


def _has_contact(hub: Hub, brin: str) -> bool:
    return any(
        school.contact is not None and school.brin.reveal() == brin
        for tenant in hub.settings.tenant
        for school in tenant.school
    )
