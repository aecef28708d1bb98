"""What can go wrong between a source record and the canonical schema.

RecordError
└ MappingError                 one required field cannot be mapped: quarantine
ValueError
└ RuleBrokenError              one value breaks one rule: never leaves this room
"""

from __future__ import annotations

from config.errors import RecordError


class MappingError(RecordError):
    """A required field of one record cannot be mapped; the record goes to quarantine."""


class RuleBrokenError(ValueError):
    """A value breaks a rule of the function that maps it; the table turns it into what follows.

    Args:
        rule: the rule in words, never with the value.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule
