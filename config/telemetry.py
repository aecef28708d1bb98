"""Where traces go; nowhere by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from config.frozen import Frozen, Share
from config.web import Address

_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Telemetry(Frozen):
    """OpenTelemetry.

    Attributes:
        endpoint: of a collector that speaks OTLP over HTTP (`/v1/traces` is put behind it); None
            for what `OTEL_EXPORTER_OTLP_ENDPOINT` says, and for no traces where that is silent.
        share: of the runs that are traced.
        service: by what name.
    """

    endpoint: Address | None = None
    share: Share
    service: Annotated[str, Field(min_length=1, max_length=80)]

    def exports(self, env: Mapping[str, str]) -> bool:
        """Whether traces are made at all."""
        if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return False
        return self.endpoint is not None or any(env.get(name) for name in _VARIABLES)
