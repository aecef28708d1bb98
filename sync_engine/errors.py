"""What can go wrong inside a run.

SyncError
├ RunActiveError               another run of this koppeling, or of this tenant, is under way
├ AlreadyDoneError             what was due then was carried out before: there is nothing to do
├ MaintenanceError             a person stopped this koppeling for a while: its source is not asked
├ ContradictedError            what a person decides contradicts what the core says for certain
├ StalePlanError               what a plan would change has changed since, or it has expired
├ OperationNotDeclaredError    the connector did not declare what was asked of it
├ NoRightError                 this person may not do this, or not for this tenant
├ AccountError                 an account is not there, is there already, or its password is refused
└ StoreError                   the database refuses or is not as this release expects
"""

from __future__ import annotations

from config.errors import KoppelhubError


class SyncError(KoppelhubError):
    """Root of this room's errors.

    Attributes:
        retryable: the same command may succeed later, without a person doing anything.
        refused: it will not succeed, however often it is tried.
    """

    retryable: bool = False
    refused: bool = False


class RunActiveError(SyncError):
    """Another run holds the lease of this koppeling, or the lock of this tenant."""

    retryable = True
    default_advice = "Er loopt al een run voor deze koppeling. Wacht tot die klaar is."


class AlreadyDoneError(SyncError):
    """What was due was carried out, by a process that could not say so any more."""

    default_advice = "Er hoeft niets te gebeuren: deze geplande run is al gedraaid."


class MaintenanceError(SyncError):
    """A person put this koppeling in maintenance: its source is not asked, whoever wants to."""

    retryable = True
    default_advice = (
        "Wacht tot het onderhoud voorbij is, of beëindig het met `koppelhub source maintenance "
        "KOPPELING end`."
    )


class ContradictedError(SyncError):
    """What a person decides contradicts what the core says for certain; he may insist."""

    refused = True


class StalePlanError(SyncError):
    """What the plan would change has changed since it was made, or the plan has expired."""

    refused = True
    default_advice = "Dit plan is verouderd. Maak een nieuw plan met `koppelhub sync --plan`."


class OperationNotDeclaredError(SyncError):
    """The connector did not declare what was asked of it."""

    refused = True
    default_advice = "Deze koppeling kan dit niet. Zie `koppelhub connectors` voor wat zij kan."


class NoRightError(SyncError):
    """This person may not do this, or not for this tenant."""

    refused = True
    default_advice = "Vraag het aan een collega met een ruimere rol, of aan de beheerder."


class AccountError(SyncError):
    """An account is not there, is there already, or its new password is refused."""

    refused = True
    default_advice = "Zie `koppelhub account list` voor de accounts die er zijn."


class StoreError(SyncError):
    """The database cannot be used as it is.

    Args:
        message: what happened, for the developer, without personal data.
        advice: what to do next, for the helpdesk, in Dutch.
        retryable: another writer is in the way, or the connection is; it may pass by itself.
    """

    default_advice = "Draai `koppelhub doctor`: dat zegt wat er met de database is en wat te doen."

    def __init__(self, message: str, *, advice: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.retryable = retryable
