"""That no endpoint which a client can ask is left out."""

import importlib
import re
from pathlib import Path

import pytest

from app.provider.endpoints import ENDPOINTS
from tests.clients.cast import FOLLOW_UPS, R
from tests.clients.nyu import NYU
from tests.clients.r import SCRIPT
from tests.clients.rtk import RESEARCHTIKPY
from tests.clients.wrapper import WRAPPER

_PATH = re.compile(r"/v2/research/([a-z_/]+?)/(?=[?\"'])")


_PACKAGES = {
    "tiktok_research_api": WRAPPER,
    "tiktok_research_api_helper": NYU,
    "researchtikpy": RESEARCHTIKPY,
}


@pytest.mark.parametrize("package", _PACKAGES)
def test_every_endpoint_in_a_clients_source_has_an_act(package: str) -> None:
    origin = importlib.import_module(package).__file__
    assert origin is not None
    sources = [path.read_text("utf-8") for path in Path(origin).parent.rglob("*.py")]
    known = {name for source in sources for name in _PATH.findall(source)}
    assert known
    assert set(_PACKAGES[package].acts.values()) == known


def test_the_r_script_knows_every_endpoint_that_bursar_serves() -> None:
    text = SCRIPT.read_text("utf-8")
    assert {name for name in ENDPOINTS if f'"{name}"' not in text} == set()
    assert {*R.acts, *FOLLOW_UPS} == set(ENDPOINTS)
