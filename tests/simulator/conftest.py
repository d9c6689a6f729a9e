"""A simulator as new for each test."""

import pytest

from tests.simulator.caller import Caller


@pytest.fixture(scope="session")
def shared_caller() -> Caller:
    """One data set for all tests: it never changes."""
    return Caller()


@pytest.fixture
def caller(shared_caller: Caller) -> Caller:
    shared_caller.platform.reset()
    shared_caller.token = ""
    return shared_caller
