"""What people read of installed systems and of a check."""

from __future__ import annotations

import pytest

from connectors.base import CheckResult, Layer
from connectors.registry import find
from console.output import Output
from console.views import show_checks, show_connectors
from sync_engine.checks import SourceCheck
from sync_engine.outcome import ExitCode


def test_every_setting_of_a_system_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = find()
    show_connectors(Output(), found)
    text = capsys.readouterr().out
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    for factory in found.installed.values():
        for setting in factory.manifest.settings:
            assert setting.meaning in text, setting.name
    assert "ja; geheim" in lines["salt"]
    assert "nee; 500" in lines["batch_size"]


def test_what_is_well_and_worth_a_look_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    results = (
        CheckResult(Layer.NETWORK, True, "it is reached"),
        CheckResult(Layer.SHAPE, True, "another version", "Laat ops de versie nakijken."),
    )
    assert show_checks(Output(), [SourceCheck("eck", results)]) is ExitCode.DONE
    assert "Wat te doen: Laat ops de versie nakijken." in capsys.readouterr().out
