"""How a command that failed says why: one paragraph with advice, and its exit code."""

from __future__ import annotations

import sys

from typer.exceptions import TyperException

from config.errors import KoppelhubError
from config.redaction import describe_text
from console.output import Output
from sync_engine.errors import RunActiveError, SyncError
from sync_engine.outcome import ExitCode


def tell(error: str, advice: str, *, code: int, json: bool) -> int:
    """Say why a command failed: to people on standard error, to scripts as one JSON object."""
    if json:
        Output(json=True).data({"error": error, "advice": advice, "code": int(code)})
    else:
        sys.stderr.write(f"{error}\n{advice}\n")
    return int(code)


def explain_usage(error: TyperException, *, json: bool) -> int:
    """Say what is wrong with a command line."""
    show = getattr(error, "show", None)  # Typer's usage errors have it; the base has not
    if json:
        text = error.format_message()
        return tell(text, "Zie dezelfde opdracht met --help.", code=ExitCode.USAGE, json=True)
    if show is not None:
        show()
    return ExitCode.USAGE


def explain_failure(error: Exception, *, debug: bool, json: bool = False) -> int:
    """Say what went wrong, in one paragraph; with `debug` the traceback goes before it."""
    if debug:
        sys.stderr.write(describe_text(error) + "\n")
    if not isinstance(error, KoppelhubError):
        return tell(
            f"Onverwachte fout ({type(error).__name__}). Er is niets half gedaan.",
            "Draai hetzelfde met --debug en geef dat aan de beheerder van Koppelhub.",
            code=ExitCode.FAILED,
            json=json,
        )
    code = ExitCode.FAILED
    if _may_pass(error):
        code = ExitCode.LATER
    elif isinstance(error, SyncError) and error.refused:
        code = ExitCode.REFUSED
    text = str(error) if json else f"Fout: {error}"
    return tell(text, error.advice, code=code, json=json)


def _may_pass(error: Exception) -> bool:
    """Whether the same command may succeed later, with nothing changed."""
    return isinstance(error, RunActiveError) or getattr(error, "retryable", False) is True
