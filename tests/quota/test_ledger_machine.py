"""The ledger against a plain model, in sequences that nobody would think of."""

import pytest
from hypothesis import HealthCheck, settings

from tests.quota.ledger_machine import LedgerMachine

_PACE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(_PACE, max_examples=40, stateful_step_count=50)


class FullMachine(LedgerMachine):
    """The same at full size."""


TestFullLedgerMachine = pytest.mark.long(pytest.mark.timeout(10_800)(FullMachine.TestCase))
TestFullLedgerMachine.settings = settings(_PACE, max_examples=2_000, stateful_step_count=100)
