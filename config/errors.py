"""The root of every error of the hub, and the errors that all rooms share.

KoppelhubError
├ ConfigurationError           a person must change a setting; nothing was tried
├ ConnectorError               connectors/errors.py
├ RecordError                  one record: goes to quarantine, the rest goes on
│ ├ ParseError                 connectors/errors.py
│ └ MappingError               mappings/errors.py
├ OsoError                     oso/errors.py
└ SyncError                    sync_engine/errors.py

A class says what the run does next. `str(error)` is for the developer, `.advice` (Dutch) for the
helpdesk; neither ever holds personal data: keys, paths and rules, never values.
"""

from __future__ import annotations


class KoppelhubError(Exception):
    """Root of every error that the hub raises on purpose.

    Args:
        message: what happened, for the developer, without personal data.
        advice: what to do next, for the helpdesk, in Dutch.
    """

    default_advice = "Meld deze fout bij de beheerder van Koppelhub, met het runnummer."

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.advice: str = advice if advice is not None else self.default_advice


class ConfigurationError(KoppelhubError):
    """A person must change a setting; nothing was tried."""

    default_advice = "Pas de genoemde instelling aan en controleer met `koppelhub doctor`."


class RecordError(KoppelhubError):
    """One record breaks one rule; it goes to quarantine and the rest goes on.

    Args:
        path: the field, as the source names it (`plaatsingen[0].startdatum`).
        rule: the rule that it breaks, in words, without the value.
        source_key: the source's own key of the record, where it is known.
    """

    default_advice = "Laat de school dit veld in het bronsysteem verbeteren en draai opnieuw."

    def __init__(
        self, path: str, rule: str, *, source_key: str | None = None, advice: str | None = None
    ) -> None:
        super().__init__(f"{path}: {rule}", advice=advice)
        self.path = path
        self.rule = rule
        self.source_key = source_key
