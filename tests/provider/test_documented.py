"""The documentation's table of endpoints is the program's."""

import re

import pytest

from app.provider.documented import endpoints_in_markdown
from app.provider.endpoints import ENDPOINTS
from tests.repository.committed import ROOT

PAGE = (ROOT / "docs" / "endpoints.md").read_text()


def test_the_page_of_the_endpoints_holds_what_the_program_knows() -> None:
    found = re.search(r"<!-- endpoints: [^>]*-->\n(.*?)\n<!-- end of endpoints -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1] == endpoints_in_markdown(), "write it anew: ./dev python -m app.provider.documented"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_is_described_with_all_its_keys_and_fields(name: str) -> None:
    endpoint = ENDPOINTS[name]
    asked, spent, fields = (
        line for line in PAGE.splitlines() if f"`{name}`" in line or f"`{endpoint.path}`" in line
    )
    assert all(f"`{key}`" in asked for key in endpoint.body_keys)
    assert (f"`{endpoint.list_key}`" in asked) == (endpoint.list_key is not None)
    assert f"`{endpoint.scope}`" in spent
    assert all(f"`{field}`" in fields for field in endpoint.fields)
