"""The research endpoints in the OpenAPI document, from the provider's own table."""

from collections.abc import Iterator
from typing import Any

from app.provider.endpoint import BASIC_SCOPE, AnswerForm, BodyForm, BodyKey, Endpoint, QuotaFamily
from app.provider.endpoints import ENDPOINTS

_STRING, _INTEGER, _BOOLEAN = {"type": "string"}, {"type": "integer", "format": "int64"}, {"type": "boolean"}
_REFUSALS = {
    "400": "`invalid_params` or `scope_not_authorized`: malformed, or refused by a rule; nothing was spent.",
    "401": "`access_token_invalid`: ask for a new access token.",
    "405": "Another method than POST.",
    "413": "A body of more than 256 KiB.",
    "429": "`daily_quota_limit_exceeded` or `rate_limit_exceeded`.",
    "500": "The platform failed; its code and message are passed on.",
    "502": "The platform's answer could not be read.",
    "503": "`internal_error`: the log, the database or the platform cannot be reached; nothing was spent.",
    "504": "The platform did not answer in time; the call counts as spent.",
}
_ERROR = {
    "type": "object",
    "required": ["data", "error"],
    "properties": {
        "data": {"type": "object"},
        "error": {
            "type": "object",
            "required": ["code", "message", "log_id"],
            "properties": {"code": _STRING, "message": _STRING, "log_id": _STRING},
        },
    },
}


def research_paths() -> dict[str, Any]:
    """The `paths` members for every research endpoint and for the token endpoint."""
    paths = {endpoint.path: {"post": _operation(endpoint)} for endpoint in ENDPOINTS.values()}
    return {"/v2/oauth/token/": {"post": _token_operation()}, **paths}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if endpoint.fields:
        parameters = [
            {
                "name": "fields",
                "in": "query",
                "required": True,
                "description": f"Names of fields, separated by commas: {', '.join(sorted(endpoint.fields))}.",
                "schema": _STRING,
                "example": ",".join(sorted(endpoint.fields)[:3]),
            }
        ]
    content: dict[str, Any] = {"schema": _body(endpoint)}
    if endpoint.sends is BodyForm.JSON:
        content["example"] = _example(endpoint)
    return {
        "tags": ["research"],
        "operationId": endpoint.name.replace("/", "_"),
        "summary": f"The platform's {endpoint.name}",
        "description": " ".join(_facts(endpoint)),
        "security": [{"bearer": []}],
        "parameters": parameters,
        "requestBody": {"required": True, "content": {endpoint.sends.value: content}},
        "responses": {"200": _answer(endpoint), **_refusals()},
    }


def _facts(endpoint: Endpoint) -> Iterator[str]:
    yield endpoint.about
    if endpoint.family is not QuotaFamily.MAIN:
        yield f"Draws on the platform's {endpoint.family} quota, not on the main one."
    if endpoint.scope != BASIC_SCOPE:
        yield f"The credential needs the scope `{endpoint.scope}`."
    if not endpoint.may_be_held:
        yield "Answers are never kept: each call goes to the platform."


def _body(endpoint: Endpoint) -> dict[str, Any]:
    # More spellings are understood than are documented here, and unknown keys are passed on.
    properties: dict[str, Any] = {key.name: _property(key) for key in endpoint.keys}
    if endpoint.paging is not None:
        properties[endpoint.paging.size_key] = {
            **_INTEGER,
            "minimum": 1,
            "maximum": endpoint.paging.most,
            "default": endpoint.paging.default,
        }
        if endpoint.paging.cursor_key is not None:
            properties[endpoint.paging.cursor_key] = {**_INTEGER, "minimum": endpoint.paging.first}
    if endpoint.has_search_id:
        properties["search_id"] = {**_STRING, "description": "As the last answer had it."}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [key.name for key in endpoint.keys if key.is_required]
    if required:
        schema["required"] = required
    return schema


def _property(key: BodyKey) -> dict[str, Any]:
    kinds = list(key.kinds)
    schema: dict[str, Any] = {"type": kinds if len(kinds) > 1 else kinds[0], "description": key.about}
    if key.example is not None:
        schema["example"] = key.example
    return schema


def _example(endpoint: Endpoint) -> dict[str, object]:
    example = {key.name: key.example for key in endpoint.keys if key.example is not None}
    if endpoint.paging is not None:
        example[endpoint.paging.size_key] = endpoint.paging.most
    return example


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answers is AnswerForm.FILE:
        return {"description": "The file.", "content": {endpoint.answers.value: {"schema": _STRING}}}
    return _json("Records, in the platform's shape.", _success(endpoint))


def _success(endpoint: Endpoint) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if endpoint.list_key is not None:
        items = _INTEGER if endpoint.lists_ids else {"type": "object"}
        properties[endpoint.list_key] = {"type": "array", "items": items}
    if endpoint.paging is not None and endpoint.paging.answers_cursor:
        properties["cursor"] = _INTEGER
    if endpoint.paging is not None and endpoint.paging.answers_has_more:
        properties["has_more"] = _BOOLEAN
    if endpoint.has_search_id:
        properties["search_id"] = _STRING
    data: dict[str, Any] = {"type": "object"}
    if properties:
        data |= {"properties": properties, "required": [name for name in properties if name != "search_id"]}
    return {**_ERROR, "properties": {**_ERROR["properties"], "data": data}}  # type: ignore[dict-item]


def _refusals() -> dict[str, Any]:
    return {status: _json(meaning, _ERROR) for status, meaning in _REFUSALS.items()}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _token_operation() -> dict[str, Any]:
    form = {
        "type": "object",
        "required": ["client_key", "client_secret", "grant_type"],
        "properties": {
            "client_key": _STRING,
            "client_secret": {**_STRING, "format": "password"},
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
        },
    }
    token = {
        "type": "object",
        "properties": {"access_token": _STRING, "expires_in": _INTEGER, "token_type": _STRING},
    }
    refusal = {
        "type": "object",
        "properties": {"error": _STRING, "error_description": _STRING, "log_id": _STRING},
    }
    return {
        "tags": ["research"],
        "operationId": "oauth_token",
        "summary": "An access token for a client key and secret that Bursar issued",
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {
            "200": _json("An access token, good for two hours.", token),
            "400": _json("A malformed request.", refusal),
            "401": _json("`invalid_client`: the key or the secret does not hold.", refusal),
            "500": _json("`server_error`: something is wrong.", refusal),
            "503": _json("`temporarily_unavailable`: the log or the database cannot be reached.", refusal),
        },
    }
