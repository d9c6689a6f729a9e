"""A fresh simulator for each test."""

import pytest

from tests.simulator.caller import Caller


@pytest.fixture
def caller() -> Caller:
    return Caller()
