"""`check` of a UWLR koppeling, layer by layer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from config.clock import FixedClock
from config.errors import ConfigurationError
from connectors.base import Layer, Scope
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.uwlr import Grant
from tests.support.uwlr_harness import NOW, UwlrHarness


@pytest.fixture
def harness(uwlr: UwlrHarness) -> UwlrHarness:
    return uwlr


@pytest.mark.parametrize(
    ("fault", "layer"),
    [
        (faults.Reset(count=None), Layer.NETWORK),
        (faults.NotFound(), Layer.NETWORK),
        (faults.Unauthorized(), Layer.LOGIN),
        (faults.SoapFault(code="Client.OngeldigeKlantIdentificatie"), Layer.LOGIN),
        (faults.SoapFault(code="Client.AutorisatieOngeldig"), Layer.RIGHTS),
        (faults.SoapFault(code="Client.OngeldigBericht"), Layer.SHAPE),
        (faults.WrongNamespace(), Layer.SHAPE),
        (faults.HtmlAsXml(), Layer.SHAPE),
        (faults.Redirect(), Layer.SHAPE),
    ],
)
def test_check_names_the_layer_that_fails(
    harness: UwlrHarness, fault: AnyFault, layer: Layer
) -> None:
    harness.sandbox.misbehave(fault)
    results = harness.connect().check()
    assert [r.layer for r in results if not r.ok] == [layer]
    assert results[-1].advice
    order: list[Layer] = [one for one in Layer if one is not Layer.LAYOUT]  # UWLR has none
    assert [r.layer for r in results] == order[: order.index(layer) + 1]


def test_check_reads_no_person(harness: UwlrHarness) -> None:
    answers: list[bytes] = []
    harness.clock = FixedClock(NOW + timedelta(minutes=10))
    harness.sandbox.observer = lambda exchange: answers.append(exchange.body)
    try:
        assert all(result.ok for result in harness.connect().check())
    finally:
        harness.sandbox.observer = None
    assert b"geenwijzigingen" in answers[0]
    assert not any(b"leerling " in answer for answer in answers)


def test_check_says_that_a_school_has_nothing(harness: UwlrHarness) -> None:
    harness.clock = FixedClock(datetime(2019, 11, 2, tzinfo=UTC))
    results = harness.connect().check()
    assert [r.layer for r in results if not r.ok] == [Layer.DATA]
    assert "2019-2020" in results[-1].message


def test_check_asks_every_vestiging(harness: UwlrHarness) -> None:
    harness.sandbox.uwlr.grant = Grant(vestigingen=(0,))
    results = harness.connect(vestigingen="99XX01,99XX02").check()
    assert [r.layer for r in results if not r.ok] == [Layer.RIGHTS]


def test_a_scope_of_another_connector_is_refused(harness: UwlrHarness) -> None:
    for key in ("88BB/huidig", "99XX01/straks"):
        with pytest.raises(ConfigurationError):
            harness.connect().snapshot(Scope("leerling", key))
