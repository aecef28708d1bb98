"""Traces of runs, their steps and what they ask of systems; only where somebody collects them.

Without a collector there is no tracer at all, and a step costs nothing: the tracer of
`opentelemetry-api` that does nothing takes microseconds for each span, and its import a tenth of a
second. Spans hold names of the configuration, words of our own and counts: no person, no key, and
of an address the host alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from config.errors import ConfigurationError
from config.telemetry import Telemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Told = Mapping[str, str | int]
"""Attributes: names with dots, and words of our own or counts."""

_SECONDS: Final = 5
"""How long a collector may take to accept spans."""


class Tracing:
    """Makes spans and hands them to a collector, in a thread of its own.

    Args:
        provider: of OpenTelemetry's SDK.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        self._provider = provider
        self._tracer = provider.get_tracer("koppelhub", version("koppelhub"))
        self._kinds = {False: SpanKind.INTERNAL, True: SpanKind.CLIENT}
        self._wrong = StatusCode.ERROR

    @contextmanager
    def span(self, name: str, told: Told, *, client: bool = False) -> Iterator[Span]:
        """A span around what happens within; an error is told by its class alone.

        Args:
            name: few different ones.
            told: its attributes.
            client: it asks another system.
        """
        with self._tracer.start_as_current_span(
            name,
            kind=self._kinds[client],
            attributes=dict(told),
            record_exception=False,  # it would hold the text and the traceback
            set_status_on_exception=False,
        ) as made:
            span = Span(made.set_attribute)
            try:
                yield span
            except BaseException as error:
                made.set_attribute("error.type", type(error).__name__)
                made.set_status(self._wrong)
                raise
            if span.went_wrong:
                made.set_status(self._wrong)

    def close(self) -> None:
        """Hand over what is left; who collects has a few seconds for it."""
        self._provider.shutdown()


class Span:
    """What may be told of something that is under way."""

    def __init__(self, tell: _Tell) -> None:
        self._tell = tell
        self.went_wrong = False

    def tell(self, told: Told) -> None:
        """More of it."""
        for key, value in told.items():
            self._tell(key, value)


if TYPE_CHECKING:
    from collections.abc import Callable

    _Tell = Callable[[str, str | int], None]


def _silent(_: str, __: str | int) -> None:
    """Nobody listens."""


_NOBODY: Final = Span(_silent)


def step(
    tracing: Tracing | None, name: str, told: Told | None = None, *, client: bool = False
) -> AbstractContextManager[Span]:
    """A span where there is a tracer; arguments as of `Tracing.span`."""
    if tracing is None:
        return nullcontext(_NOBODY)
    return tracing.span(name, told or {}, client=client)


def tracing_of(settings: Telemetry, env: Mapping[str, str] | None = None) -> Tracing | None:
    """The tracer that the configuration or the environment asks for.

    Raises: ConfigurationError if it is asked for and not installed.
    """
    if not settings.exports(os.environ if env is None else env):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ConfigurationError(
            "traces are asked for, and OpenTelemetry's exporter is not installed",
            advice="Installeer koppelhub met het extra `traces` (pip install 'koppelhub[traces]'), "
            "of haal [telemetry] en OTEL_EXPORTER_OTLP_ENDPOINT weg.",
        ) from None
    where = None if settings.endpoint is None else f"{settings.endpoint}/v1/traces"
    return exported_by(OTLPSpanExporter(endpoint=where, timeout=_SECONDS), settings)


def exported_by(exporter: SpanExporter, settings: Telemetry) -> Tracing:
    """A tracer whose spans go to an exporter, some at a time."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    told = {"service.name": settings.service, "service.version": version("koppelhub")}
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.share)),
        resource=Resource.create(told),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)
