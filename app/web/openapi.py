"""The research endpoints in the OpenAPI document, from the provider's own table."""

from typing import Any

from app.provider.endpoints import ENDPOINTS, Endpoint

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
                "required": endpoint.needs_fields,
                "description": "Names of fields, separated by commas.",
                "schema": _STRING,
                "example": ",".join(sorted(endpoint.fields)[:3]),
            }
        ]
    return {
        "tags": ["research"],
        "operationId": endpoint.name.replace("/", "_"),
        "summary": f"The platform's {endpoint.name}",
        "security": [{"bearer": []}],
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(endpoint)}}},
        "responses": {"200": _json("Records, in the platform's shape.", _success(endpoint)), **_refusals()},
    }


def _body(endpoint: Endpoint) -> dict[str, Any]:
    # What a value may be is for the endpoint's own messages to say; unknown keys are passed on.
    properties: dict[str, Any] = {name: {} for name in sorted(endpoint.body_keys)}
    if endpoint.is_paged:
        properties["max_count"] = {**_INTEGER, "minimum": 1, "maximum": endpoint.page_max}
        properties["cursor"] = _INTEGER
    if endpoint.has_search_id:
        properties["search_id"] = _STRING
    return {"type": "object", "properties": properties}


def _success(endpoint: Endpoint) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "object"}
    if endpoint.list_key is not None:
        data["properties"] = {
            endpoint.list_key: {"type": "array", "items": {"type": "object"}},
            "cursor": _INTEGER,
            "has_more": _BOOLEAN,
        }
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
            "503": _json("The log or the database cannot be reached.", _ERROR),
        },
    }
