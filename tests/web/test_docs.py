import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from typing import Any

import pytest

from app.web.api.access import ACCESS
from app.web.docs import page
from tests.web.conftest import House

pytestmark = pytest.mark.anyio
VOID = {"meta"}


class Outline(HTMLParser):
    """Which elements a page has, in whether they close in order, and what they point at."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.foreign: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.open += [] if tag in VOID else [tag]
        for name, value in attrs:
            if name == "id":
                self.ids.add(str(value))
            elif name == "href":
                self.links.add(str(value))
            elif name in {"src", "style", "srcset"} or name.startswith("on"):
                self.foreign.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    parsed = Outline()
    parsed.feed(text)
    parsed.close()
    assert parsed.open == []
    return parsed


async def test_the_root_leads_to_the_documentation(shared_house: House) -> None:
    answer = await shared_house.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


async def test_the_page_documents_every_path_of_the_openapi_document(shared_house: House) -> None:
    document = (await shared_house.client.get("/openapi.json")).json()
    answer = await shared_house.client.get("/docs")
    parsed = outline(answer.text)
    operations = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
    assert parsed.ids == operations
    assert {f"#{each}" for each in operations} | {"/openapi.json"} == parsed.links
    for path in document["paths"]:
        assert f"<code>{path}</code>" in answer.text


async def test_the_page_tells_of_bodies_headers_and_parts(shared_house: House) -> None:
    document = (await shared_house.client.get("/openapi.json")).json()
    text = (await shared_house.client.get("/docs")).text
    article = text.partition('<article id="user_liked_videos">')[2].partition("</article>")[0]
    assert (
        "<td><code>username</code></td><td>string (required)</td><td>The account&#x27;s handle.</td>"
        in article
    )
    assert "<td><code>max_count</code></td><td>integer</td><td>Records a page.</td>" in article
    assert "<td><code>Cache-Status</code></td>" in article
    assert "<td>413</td><td>The body is too large." in article
    for tag in document["tags"]:
        assert tag["description"].partition("'")[0] in text


async def test_the_page_loads_nothing_and_runs_nothing(shared_house: House) -> None:
    answer = await shared_house.client.get("/docs")
    parsed = outline(answer.text)
    assert parsed.seen.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert parsed.foreign == []
    policy = dict(
        each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";")
    )
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_whatever_the_document_says_is_escaped() -> None:
    bad = "<script>alert(1)</script>\"'&`<b>`"
    operation: dict[str, Any] = {
        "tags": [bad],
        "operationId": bad,
        "summary": bad,
        "description": bad,
        "parameters": [{"name": bad, "in": bad, "description": bad, "schema": {"type": bad}}],
        "requestBody": {
            "content": {
                bad: {
                    "example": {bad: bad},
                    "schema": {"properties": {bad: {"type": bad, "description": bad}}, "required": [bad]},
                }
            }
        },
        "responses": {
            "200": {
                "description": bad,
                "content": {bad: {"schema": {"type": bad}}},
                "headers": {bad: {"description": bad}},
            }
        },
    }
    parsed = outline(
        page(
            {
                "info": {"title": bad, "summary": bad},
                "tags": [{"name": bad, "description": bad}],
                "paths": {f"/{bad}": {"get": operation}},
            }
        )
    )
    assert parsed.seen.isdisjoint({"script", "b"})
    assert parsed.ids == {bad}
    assert parsed.foreign == []


_OTHER_KINDS = [["application/jsonl", "text/csv"], ["text/plain"]]
"""Of routes whose answer is no JSON document: the log, as it is taken away, notes and proofs."""


async def test_every_route_of_the_api_documents_who_errors_and_an_answer(shared_house: House) -> None:
    paths = shared_house.app.openapi()["paths"]
    own = [each for path, methods in paths.items() if path.startswith("/api/") for each in methods.values()]
    assert len(own) == len(ACCESS)
    for operation in own:
        assert operation["security"] == [{"bearer": []}]
        assert operation["tags"]
        assert operation["summary"]
        assert operation["description"]
        assert {"400", "401", "403", "503", "default"} <= set(operation["responses"])
        assert "422" not in operation["responses"]
        for status, answer in operation["responses"].items():
            is_problem = not status.startswith(("2", "3"))
            kinds = (
                [["application/problem+json"]] if is_problem else [["application/json"], [], *_OTHER_KINDS]
            )
            assert list(answer.get("content", {})) in kinds
