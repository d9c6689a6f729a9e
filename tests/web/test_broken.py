"""A bug behind a research path: the client is told an id and nothing else, and the id leads to the line."""

import httpx
import pytest
from structlog.testing import capture_logs

from tests.web.conftest import House

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/v2/research/user/info/?fields=display_name", "/v2/oauth/token/"])
async def test_the_id_of_a_failure_stands_in_its_line(
    shared_house: House, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    for name in ("research", "note", "token"):
        monkeypatch.setattr(shared_house.installation.gateway, name, fail)
    transport = httpx.ASGITransport(app=shared_house.app.state.research)
    async with httpx.AsyncClient(transport=transport, base_url="http://bursar.test") as client:
        with capture_logs() as lines:
            answer = await client.post(path, json={"username": "sim_user_1"})
    assert answer.status_code == 500
    assert "inside" not in answer.text
    said = answer.json()
    told = said["log_id"] if "log_id" in said else said["error"]["log_id"]
    (line,) = (each for each in lines if each["event"] == "a research request failed")
    assert line["log_id"] == told
