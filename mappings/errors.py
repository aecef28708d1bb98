"""What can go wrong between a source record and the canonical schema.

RecordError
└ MappingError                 one required field cannot be mapped: quarantine
"""

from __future__ import annotations

from config.errors import RecordError


class MappingError(RecordError):
    """A required field of one record cannot be mapped; the record goes to quarantine."""
