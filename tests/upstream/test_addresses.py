"""Where the platform's name leads; names that resolve differently on two machines are in the journeys."""

import pytest

from app.upstream.addresses import find_loops

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("base_url", "public_url"),
    [
        ("https://127.0.0.1", "https://127.0.0.1:443"),
        ("http://127.0.0.1:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
async def test_a_platform_at_our_own_address_is_a_problem(base_url: str, public_url: str) -> None:
    (finding,) = await find_loops({"main": base_url}, public_url)
    assert (finding.severity, finding.code) == ("problem", "calls_itself")
    assert "credential main" in finding.what


@pytest.mark.parametrize(
    ("base_url", "public_url"),
    [
        ("http://127.0.0.1:8081", "http://127.0.0.1:8080"),
        ("http://localhost:8081", "https://127.0.0.1"),
        ("https://192.0.2.1", "https://198.51.100.1"),
    ],
)
async def test_a_simulator_beside_us_and_a_platform_elsewhere_are_none(
    base_url: str, public_url: str
) -> None:
    assert await find_loops({"main": base_url}, public_url) == []
