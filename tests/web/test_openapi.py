"""The OpenAPI document is whole, agrees with itself, and shows nothing that it would not take."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.openapi import from_dict

from app.provider.endpoints import ENDPOINTS
from app.settings import Settings
from app.web.errors import STATUS_OF_CODE
from app.web.examples import NoExampleError, complete_examples
from app.web.factory import create_app
from app.web.openapi import TAGS

DOCUMENT: dict[str, Any] = json.loads(json.dumps(create_app(Settings()).app.openapi()))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
WRONG: list[object] = [
    {},
    [],
    "",
    {"query": {}},
    {"username": ""},
    {"video_id": 0},
    {"filters": {}},
    {"task_id": -1},
    {"search_term": "x" * 51},
]
"""No endpoint takes any of these."""
RESEARCH = [label for label in OPERATIONS if "/v2/research/" in label]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The media of the request and of every answer, by where they stand."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"body {media}", content
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            yield f"{status} {media}", content


def assert_valid(value: object, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(value)


def test_the_document_is_a_valid_one() -> None:
    from_dict(DOCUMENT).validate()
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


def test_every_part_of_it_is_described() -> None:
    used = {tag for operation in OPERATIONS.values() for tag in operation["tags"]}
    assert {tag["name"] for tag in DOCUMENT["tags"]} == used
    assert used <= set(TAGS)
    assert [tag["name"] for tag in DOCUMENT["tags"]] == [name for name in TAGS if name in used]


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_says_what_it_does_and_who_may(label: str) -> None:
    operation = OPERATIONS[label]
    assert operation["summary"]
    assert operation["description"]
    assert operation["security"] == ([] if label.endswith("/oauth/token/") else [{"bearer": []}])
    assert "422" not in operation["responses"]
    assert all(answer["description"] for answer in operation["responses"].values())


CREATING = [
    label
    for label, operation in OPERATIONS.items()
    if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
]


@pytest.mark.parametrize("label", CREATING)
def test_what_takes_an_idempotency_key_tells_that_it_may_have_been_used_for_something_else(
    label: str,
) -> None:
    assert "409" in OPERATIONS[label]["responses"]


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_example_is_one_of_what_it_stands_for(label: str) -> None:
    operation = OPERATIONS[label]
    for _, content in contents(operation):
        if "example" in content:
            assert_valid(content["example"], content["schema"])
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            assert_valid(parameter["example"], parameter["schema"])


def test_every_shared_schema_takes_its_own_example() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        if "example" in schema:
            assert_valid(schema["example"], schema)


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_shows_what_to_send_and_what_comes_back(label: str) -> None:
    operation = OPERATIONS[label]
    assert operation["operationId"]
    assert len(operation["tags"]) >= 1
    assert len(operation["summary"]) <= 70
    succeeded = [status for status in operation["responses"] if status.startswith("2")]
    assert succeeded
    for place, content in contents(operation):
        # What is in a form of many parts is a file.
        assert "example" in content or place == "body multipart/form-data", place
    without = [
        status
        for status in succeeded
        if status != "204" and not operation["responses"][status].get("content")
    ]
    assert not without


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "/api/v1/" in label])
def test_an_operation_of_our_own_shows_each_problem_as_it_is_told(label: str) -> None:
    responses = OPERATIONS[label]["responses"]
    assert {"400", "401", "403", "503", "default"} <= set(responses)
    for status, answer in responses.items():
        if status in {"304", "default"} or status.startswith("2"):
            continue
        ((media, content),) = answer["content"].items()
        example = content["example"]
        assert media == "application/problem+json"
        assert example["status"] == int(status)
        assert example["title"] == HTTPStatus(int(status)).phrase
        assert example["type"] == f"urn:bursar:problem:{example['code']}"
        assert f"`{example['code']}`" in answer["description"]
        if status not in {"413", "415"}:
            assert STATUS_OF_CODE[example["code"]] == int(status)
    takes_body = "requestBody" in OPERATIONS[label]
    assert ("413" in responses) == ("415" in responses) == takes_body
    assert ("304" in responses) <= ("ETag" in responses.get("200", {}).get("headers", {}))
    sends_tag = any(each["name"] == "If-Match" for each in OPERATIONS[label].get("parameters", ()))
    assert ("412" in responses) == sends_tag or label == "PUT /api/v1/limits"


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "/api/v1/" in label])
def test_every_parameter_of_our_own_is_described(label: str) -> None:
    found = OPERATIONS[label].get("parameters", ())
    assert [each["name"] for each in found if not each.get("description")] == []


def test_what_has_no_example_is_no_document() -> None:
    operation = {"operationId": "ask", "responses": {"200": {"content": {"application/json": {}}}}}
    content = operation["responses"]["200"]["content"]["application/json"]  # type: ignore[index]
    content["schema"] = {"type": "object", "properties": {"name": {"type": "string"}}}
    with pytest.raises(NoExampleError, match=r"^ask\.name has no example$"):
        complete_examples(operation, {})
    content["schema"]["properties"]["name"]["example"] = "Ada"
    complete_examples(operation, {})
    assert content["example"] == {"name": "Ada"}


@pytest.mark.parametrize("label", RESEARCH)
def test_a_research_operation_documents_its_keys_its_errors_and_its_headers(label: str) -> None:
    operation = OPERATIONS[label]
    endpoint = ENDPOINTS[label.removeprefix("POST /v2/research/").rstrip("/")]
    ((media, body),) = operation["requestBody"]["content"].items()
    assert media == endpoint.sends.value
    assert endpoint.body_keys <= set(body["schema"]["properties"])
    assert endpoint.sends.value != "application/json" or "example" in body
    assert {"200", "400", "401", "403", "404", "405", "413", "429"} <= set(operation["responses"])
    assert {"500", "502", "503", "504", "5XX"} <= set(operation["responses"])
    ((_, success),) = operation["responses"]["200"]["content"].items()
    assert endpoint.list_key is None or success["example"]["data"][endpoint.list_key]
    for status, answer in operation["responses"].items():
        assert {"Bursar-Cost", "Audit-Entry"} <= set(answer["headers"])
        assert ("Retry-After" in answer["headers"]) == (status in {"429", "503"})
        if status != "200":
            assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


@pytest.mark.parametrize("label", RESEARCH)
def test_a_wrong_body_is_not_one_of_the_documented_ones(label: str) -> None:
    ((_, body),) = OPERATIONS[label]["requestBody"]["content"].items()
    for wrong in WRONG:
        with pytest.raises(jsonschema_rs.ValidationError):
            assert_valid(wrong, body["schema"])
