"""The research endpoints in the OpenAPI document, from the provider's own table."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from app.provider.endpoint import BASIC_SCOPE, AnswerForm, BodyForm, Endpoint, QuotaFamily
from app.provider.endpoints import ENDPOINTS
from app.web.examples import complete_examples
from app.web.research_examples import AN_ENTRY, answered
from app.web.research_shapes import STRING, Schema, body_of, components, data_of, reference

RESEARCH_TAG, TOKEN_TAG = "research", "tokens"
TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        TOKEN_TAG: "Access tokens for the keys that Bursar issued.",
        RESEARCH_TAG: "The platform's endpoints, at the platform's paths. Errors come in the platform's envelope.",
        "me": "Whoever asks: roles, projects, keys, terms, what is left.",
        "people": "Who there is.",
        "projects": "Approved proposals and their members.",
        "credentials": "Keys and secrets that the platform issued; secrets go in and never come out.",
        "limits": "What may be spent, and what has been.",
        "terms": "The platform's terms, version by version.",
        "rules": "What is checked before a call is sent, and how strictly.",
        "keys": "Client keys, secrets and API keys; secrets are shown once.",
        "freezes": "Credentials, projects and people that are stopped at this moment.",
        "cache": "What is held, and purging it.",
        "requests": "What people ask administrators for.",
        "audit": "The log of everything.",
        "compliance": "What compliance looks at, and reports for a period.",
    }
)
"""What the parts of the document are about, in the order in which they stand."""

_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "400": (
            "`invalid_params`: malformed, or refused by a rule or by the platform. `scope_not_authorized`: not approved.",
            "invalid_params",
            "Search Id 7612400000000000001 is invalid or expired",
        ),
        "401": (
            "`access_token_invalid`: ask for a new access token.",
            "access_token_invalid",
            "The access token is invalid or has expired. Ask for a new one.",
        ),
        "403": (
            "The platform refuses, in its own words.",
            "access_denied",
            "The information cannot be returned.",
        ),
        "404": ("The platform knows no such thing, in its own words.", "not_found", "It cannot be found."),
        "405": (
            "Another method than POST.",
            "invalid_params",
            "Use POST for /v2/research/video/query/.",
        ),
        "413": ("The body is too large.", "invalid_params", "The request body is larger than 262144 bytes."),
        "429": (
            "`daily_quota_limit_exceeded`: a limit has no room until `RateLimit` says. `rate_limit_exceeded`: too fast.",
            "daily_quota_limit_exceeded",
            "Quota used up: limit project-requests-day of 300 has 0 left and this call needs 1.",
        ),
        "500": (
            "The platform failed; its code and message are passed on. The call counts as spent.",
            "internal_error",
            "Something is wrong. Please try again later.",
        ),
        "502": (
            "The platform's answer could not be read. The call counts as spent.",
            "internal_error",
            "The platform answered 502 with an unusable body: it is not JSON. Please try again later.",
        ),
        "503": (
            "The log, the database or the platform cannot be reached. Nothing was spent.",
            "internal_error",
            "audit_unavailable: the log cannot be written. Please try again later.",
        ),
        "504": (
            "The platform did not answer in time, and the call counts as spent; or `only-if-cached`, and nothing is held.",
            "internal_error",
            "The platform did not answer; the call counts as spent, since the platform may have counted it.",
        ),
        "5XX": (
            "The platform failed with this status; its code and message are passed on.",
            "internal_error",
            "Something is wrong. Please try again later.",
        ),
    }
)
"""Status -> what it means, and an example's code and message."""
_WAITING: Final = frozenset({"429", "503"})
_UNLOGGED: Final = frozenset({"503"})
"""Without a log there is no place in it."""

_ENTRY: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "Audit-Entry": (
            "This request's place in the log.",
            'origin="bursar";index=41;size=42',
        ),
        "Audit-Leaf": ("The hash of its entry.", ":bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=:"),
    }
)
_COST: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"Bursar-Cost": ("What this call spent upstream; zeros on a hit.", "requests=1, records=100")}
)
_SERVED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "Cache-Status": ("Whether the answer was held (RFC 9211).", "bursar; hit; detail=exact"),
        "Age": ("Seconds since the data left the platform.", "0"),
    }
)
_LIMITS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "RateLimit-Policy": ("The limits that bind this call.", '"project-requests-day";q=300;w=86400'),
        "RateLimit": (
            "What is left of them, and for how many seconds.",
            '"project-requests-day";r=288;t=41000',
        ),
    }
)


def complete(document: dict[str, Any]) -> None:
    """Add to the document of Bursar's own API whatever concerns the platform's paths, and what all share."""
    document["paths"] = {**research_paths(), **document.get("paths", {})}
    shared = document.setdefault("components", {})
    shared.setdefault("schemas", {}).update(components())
    shared.setdefault("securitySchemes", {})["bearer"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "On research paths an access token or an `api_key`; elsewhere a person's own token.",
    }
    for schema in shared["schemas"].values():
        if "example" in schema:
            schema["example"] = _with_nulls(schema["example"], schema, shared["schemas"])
    for methods in document["paths"].values():
        for operation in methods.values():
            complete_examples(operation, shared["schemas"])
    used = {
        tag for methods in document["paths"].values() for each in methods.values() for tag in each["tags"]
    }
    document["tags"] = [{"name": name, "description": about} for name, about in TAGS.items() if name in used]


def _with_nulls(example: object, schema: Schema, schemas: Schema) -> object:
    """The example with what the framework took out of it: it drops whatever is null from the document."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if isinstance(example, list):
        return [_with_nulls(each, schema.get("items", {}), schemas) for each in example]
    if not isinstance(example, dict):
        return example
    properties = schema.get("properties", {})
    whole = {name: None for name in schema.get("required", ()) if name not in example}
    return {
        **{name: _with_nulls(value, properties.get(name, {}), schemas) for name, value in example.items()},
        **whole,
    }


def research_paths() -> dict[str, Any]:
    """The `paths` members for every research endpoint and for the token endpoint."""
    paths = {endpoint.path: {"post": _operation(endpoint)} for endpoint in ENDPOINTS.values()}
    return {"/v2/oauth/token/": {"post": _token_operation()}, **paths}


def _operation(endpoint: Endpoint) -> Schema:
    content: Schema = {"schema": body_of(endpoint)}
    if endpoint.sends is BodyForm.JSON:
        content["example"] = _example(endpoint)
    return {
        "tags": [RESEARCH_TAG],
        "operationId": endpoint.name.replace("/", "_"),
        "summary": f"The platform's {endpoint.name}",
        "description": " ".join(_facts(endpoint)),
        "security": [{"bearer": []}],
        "parameters": [
            *([_fields(endpoint)] if endpoint.fields else []),
            *([_CACHE_CONTROL] if endpoint.may_be_held else []),
        ],
        "requestBody": {"required": True, "content": {endpoint.sends.value: content}},
        "responses": {"200": _answer(endpoint), **_refusals(endpoint)},
    }


_CACHE_CONTROL: Final[Schema] = {
    "name": "Cache-Control",
    "in": "header",
    "required": False,
    "description": "`no-cache`: fetched anew. `max-age=N`: nothing that left the platform more than N seconds ago. "
    "`no-store`: the answer is not kept. `only-if-cached`: what is held, or 504. A project may have it ignored.",
    "schema": STRING,
    "example": "max-age=3600",
}


def _fields(endpoint: Endpoint) -> Schema:
    names = sorted(endpoint.fields)
    return {
        "name": "fields",
        "in": "query",
        "required": not endpoint.fields_in_body,
        "description": f"Names of fields, separated by commas: {', '.join(names)}.",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "minItems": 1, "items": {**STRING, "enum": names}},
        "example": names[:3],
    }


def _facts(endpoint: Endpoint) -> Iterator[str]:
    yield endpoint.about
    if endpoint.family is not QuotaFamily.MAIN:
        yield f"Draws on the platform's {endpoint.family} quota, not on the main one."
    if endpoint.scope != BASIC_SCOPE:
        yield f"The credential needs the scope `{endpoint.scope}`."
    if endpoint.fields_in_body:
        yield "`fields` may stand in the body instead of the query string."
    if not endpoint.may_be_held:
        yield "Answers are never kept: each call goes to the platform."


def _example(endpoint: Endpoint) -> dict[str, object]:
    example = {key.name: key.example for key in endpoint.keys if key.example is not None}
    if endpoint.paging is not None:
        example[endpoint.paging.size_key] = endpoint.paging.most
    return example


def _answer(endpoint: Endpoint) -> Schema:
    headers = _headers(_ENTRY, _COST, _SERVED) | _headers(_LIMITS, is_always=False)
    if endpoint.answers is AnswerForm.FILE:
        content = {endpoint.answers.value: {"schema": STRING, "example": answered(endpoint)}}
        return {"description": "The file.", "headers": headers, "content": content}
    told = {"data": data_of(endpoint), "error": reference("PlatformError")}
    success = {"type": "object", "required": list(told), "properties": told, "additionalProperties": False}
    return {**_json("Records, in the platform's shape.", success, answered(endpoint)), "headers": headers}


def _refusals(endpoint: Endpoint) -> Schema:
    answers: Schema = {}
    for status, (meaning, code, message) in _REFUSALS.items():
        told = f"{meaning} At most {endpoint.most_body_bytes} bytes." if status == "413" else meaning
        example = {"data": {}, "error": {"code": code, "message": message, "log_id": AN_ENTRY}}
        always = _COST if status in _UNLOGGED else {**_ENTRY, **_COST}
        headers = _headers(always) | (_headers(_ENTRY, is_always=False) if status in _UNLOGGED else {})
        if status in _WAITING:
            headers["Retry-After"] = _header("Seconds to wait; minutes at most.", "5", is_always=True)
        answers[status] = {**_json(told, reference("Refusal"), example), "headers": headers}
    return answers


def _headers(*groups: Mapping[str, tuple[str, str]], is_always: bool = True) -> Schema:
    return {
        name: _header(about, example, is_always=is_always)
        for group in groups
        for name, (about, example) in group.items()
    }


def _header(about: str, example: str, *, is_always: bool) -> Schema:
    return {"description": about, "required": is_always, "schema": {**STRING, "example": example}}


def _json(description: str, schema: Schema, example: object = None) -> Schema:
    content: Schema = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def _token_operation() -> Schema:
    form = {
        "type": "object",
        "required": ["client_key", "client_secret", "grant_type"],
        "properties": {
            "client_key": {**STRING, "minLength": 1},
            "client_secret": {**STRING, "format": "password", "minLength": 1},
            "grant_type": {**STRING, "enum": ["client_credentials"]},
        },
        "example": {
            "client_key": "bsr_live_3kT9vLw2QxYb",
            "client_secret": "bsr_live_3kT9vLw2QxYb_...",
            "grant_type": "client_credentials",
        },
    }
    entry = _headers(_ENTRY)
    wait = {"Retry-After": _header("Seconds to wait.", "5", is_always=True)}
    return {
        "tags": [TOKEN_TAG],
        "operationId": "oauth_token",
        "summary": "An access token for a client key and secret that Bursar issued",
        "description": "Several tokens of one key are good at once. Errors are flat, as the platform's are.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {
            "200": {
                **_json("An access token, good for two hours.", reference("AccessToken")),
                "headers": entry,
            },
            "400": {
                **_json(
                    "`invalid_request` or `unsupported_grant_type`: a malformed request.",
                    reference("TokenRefusal"),
                ),
                "headers": entry,
            },
            "401": {
                **_json("`invalid_client`: the key or the secret does not hold.", reference("TokenRefusal")),
                "headers": entry,
            },
            "500": _json("`server_error`: something is wrong.", reference("TokenRefusal")),
            "503": {
                **_json(
                    "`temporarily_unavailable`: the log or the database cannot be reached.",
                    reference("TokenRefusal"),
                ),
                "headers": wait,
            },
        },
    }
