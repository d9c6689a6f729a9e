"""What bodies and answers of the research endpoints look like in the OpenAPI document.

More spellings are understood than stand here (ids as text or numbers, dates with hyphens, forms for JSON), and
unknown keys are passed on.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from app.provider.endpoint import BodyKey, Endpoint
from app.provider.lookups import MOST_IDS
from app.provider.questions import CONDITION_FIELDS, GROUPS, OPERATIONS, VIDEO_LENGTHS
from app.provider.regions import REGION_CODES

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer", "format": "int64"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
_NAME: Final[Schema] = {**STRING, "minLength": 1, "pattern": r"\S"}
_DAY: Final[Schema] = {**STRING, "pattern": "^20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"}
_DIGITS: Final[Schema] = {**STRING, "pattern": "^[0-9]{1,19}$"}
_ID: Final[Schema] = {
    "type": ["integer", "string"],
    "format": "int64",
    "minimum": 1,
    "maximum": 2**63 - 1,
    "pattern": "^[1-9][0-9]{0,18}$",
}
_TASK_ID: Final[Schema] = {**_ID, "format": "uint64", "maximum": 2**64 - 1}


def reference(name: str) -> Schema:
    """A schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _range(name: str) -> Schema:
    days = {"type": "object", "required": ["min", "max"], "properties": {"min": _DAY, "max": _DAY}}
    return {"type": "object", "required": [name], "properties": {name: days}}


_KEYS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "query": reference("VideoConditions"),
        "start_date": _DAY,
        "end_date": _DAY,
        "is_random": {"type": ["boolean", "string"], "enum": [True, False, "true", "false"]},
        "username": _NAME,
        "video_id": _ID,
        "comment_id": _ID,
        "playlist_id": _ID,
        "shop_name": _NAME,
        "shop_id": _ID,
        "product_id": _ID,
        "task_id": _TASK_ID,
        "file_data": {**STRING, "pattern": r"[0-9]", "description": f"At most {MOST_IDS} ids, one a line."},
        "category": {**STRING, "enum": ["video", "comment", "user"]},
        "search_term": {**_NAME, "maxLength": 50},
        "search_type": {**STRING, "enum": ["exact_phrase", "fuzzy_phrase"]},
        "ad_id": _ID,
    }
)
"""By the key's name; `filters` differs from endpoint to endpoint."""


def shape_of(key: BodyKey) -> Schema:
    """What a documented key of a request's body may be."""
    if key.name == "filters":
        spans = [name for name in dict(key.example or {}) if name.endswith("_date_range")]  # type: ignore[call-overload]
        schema = _range(spans[0])
    else:
        schema = _KEYS[key.name]
    if "$ref" in schema:
        return schema
    told: Schema = {**schema, "description": key.about}
    if key.example is not None:
        told["example"] = key.example
    return told


def body_of(endpoint: Endpoint) -> Schema:
    """The whole body that an endpoint is asked with."""
    properties: Schema = {key.name: shape_of(key) for key in endpoint.keys}
    if endpoint.paging is not None:
        properties[endpoint.paging.size_key] = {
            **INTEGER,
            "minimum": 1,
            "maximum": endpoint.paging.most,
            "default": endpoint.paging.default,
            "description": "Records a page.",
        }
        if endpoint.paging.cursor_key is not None:
            properties[endpoint.paging.cursor_key] = {
                **INTEGER,
                "minimum": endpoint.paging.first,
                "maximum": 2**63 - 1,
                "description": "Where the page begins; the last answer says where the next one does.",
            }
    if endpoint.has_search_id:
        properties["search_id"] = {
            **STRING,
            "pattern": "^[0-9]{0,19}$",
            "description": "As the last answer had it; empty on a first page.",
        }
    required = [key.name for key in endpoint.keys if key.is_required]
    if required:
        return {"type": "object", "properties": properties, "required": required}
    # Where every key may be left out, exactly one of them is wanted.
    one = [{"required": [key.name]} for key in endpoint.keys]
    return {"type": "object", "properties": properties, "oneOf": one}


def data_of(endpoint: Endpoint) -> Schema:
    """What `data` holds in a success."""
    properties: Schema = {}
    if endpoint.list_key is not None:
        record = (
            INTEGER if endpoint.lists_ids else {"type": "object", "description": "As the platform gave it."}
        )
        properties[endpoint.list_key] = {"type": "array", "items": record}
    if endpoint.paging is not None and endpoint.paging.answers_cursor:
        properties["cursor"] = {**INTEGER, "minimum": 0}
    if endpoint.paging is not None and endpoint.paging.answers_has_more:
        properties["has_more"] = BOOLEAN
    data: Schema = {"type": "object", "description": "As the platform gave it."}
    if properties:
        data["required"] = list(properties)
    if endpoint.has_search_id:
        properties["search_id"] = {**STRING, "pattern": "^[0-9]{1,19}$"}
    return {**data, "properties": properties} if properties else data


_VALUES: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "create_date": _DAY,
        "username": _NAME,
        "region_code": {**STRING, "enum": sorted(REGION_CODES)},
        "video_id": _DIGITS,
        "hashtag_name": _NAME,
        "keyword": _NAME,
        "music_id": _DIGITS,
        "effect_id": _DIGITS,
        "video_length": {**STRING, "enum": sorted(VIDEO_LENGTHS)},
        "view_count": _DIGITS,
        "comment_count": _DIGITS,
    }
)
"""What a condition's values are, by its `field_name`."""


def _conditions() -> Iterator[Schema]:
    """Every kind of condition: IN takes a list, everything else one value."""
    for field in CONDITION_FIELDS:
        for operations, most in ((["IN"], {}), (sorted(OPERATIONS - {"IN"}), {"maxItems": 1})):
            values: Schema = {"type": "array", "minItems": 1, **most, "items": _VALUES[field]}
            yield {
                "type": "object",
                "required": ["field_name", "operation", "field_values"],
                "properties": {
                    "field_name": {**STRING, "enum": [field]},
                    "operation": {**STRING, "enum": operations},
                    "field_values": values,
                },
                "additionalProperties": False,
            }


def components() -> Schema:
    """The schemas that several paths share."""
    texts = {"code": STRING, "message": STRING, "log_id": {**STRING, "pattern": "^[0-9a-f]{32}$"}}
    error = {
        "type": "object",
        "required": list(texts),
        "properties": texts,
        "additionalProperties": False,
        "description": "`log_id` is the id of this request's entry in the log.",
    }
    return {
        "VideoConditions": {
            "type": "object",
            "description": "What a video must meet: all of `and`, one of `or`, none of `not`.",
            "properties": {name: {"type": "array", "items": reference("VideoCondition")} for name in GROUPS},
            "additionalProperties": False,
            "minProperties": 1,
            "example": {"and": [_CONDITION]},
        },
        "VideoCondition": {"anyOf": list(_conditions()), "example": _CONDITION},
        "PlatformError": error,
        "Refusal": {
            "type": "object",
            "required": ["data", "error"],
            "properties": {
                "data": {"type": "object", "maxProperties": 0},
                "error": reference("PlatformError"),
            },
            "additionalProperties": False,
        },
        "AccessToken": {
            "type": "object",
            "required": ["access_token", "expires_in", "token_type"],
            "properties": {
                "access_token": {**STRING, "example": "clt.3kT9vLw2QxYb"},
                "expires_in": {**INTEGER, "description": "Seconds.", "example": 7200},
                "token_type": {**STRING, "enum": ["Bearer"]},
            },
            "additionalProperties": False,
        },
        "TokenRefusal": {
            "type": "object",
            "required": ["error", "error_description", "log_id"],
            "properties": {
                "error": {**STRING, "example": "invalid_client"},
                "error_description": {**STRING, "example": "Client key or secret is incorrect."},
                "log_id": {
                    **STRING,
                    "pattern": "^[0-9a-f]{32}$",
                    "example": "8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8",
                },
            },
            "additionalProperties": False,
        },
    }


_CONDITION: Final = {"field_name": "region_code", "operation": "IN", "field_values": ["US", "IE"]}
