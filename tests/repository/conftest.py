"""These tests ask git what is committed."""

import pytest

from tests.conftest import require
from tests.repository.committed import has_history


@pytest.fixture(autouse=True)
def clone() -> None:
    require(has_history(), "git, or the history of this copy,")
