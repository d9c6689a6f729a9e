"""Examples of whole bodies and answers in the OpenAPI document, put together from those of their parts."""

from typing import Any, Final

from app.web.research_shapes import Schema

_MEDIA: Final = ("application/json", "application/x-www-form-urlencoded")


class NoExampleError(ValueError):
    """A schema of which nobody has given an example, and of which none can be put together."""


def complete_examples(operation: Schema, schemas: Schema) -> None:
    """Give every body and answer of an operation an example, unless it has one; raises NoExampleError."""
    for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media, content in holder.get("content", {}).items():
            if media in _MEDIA and "example" not in content:
                content["example"] = _of(content["schema"], schemas, operation["operationId"])


def _of(schema: Schema, schemas: Schema, where: str) -> Any:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _of(schemas[name], schemas, f"{where}: {name}")
    if any(name in schema for name in _SAID):
        return next(schema[name] for name in _SAID if name in schema)
    if any(name in schema for name in _FIRST):
        first = next(schema[name][0] for name in _FIRST if name in schema)
        return _of(first, schemas, where) if isinstance(first, dict) else first
    if schema.get("type") == "array":
        return [_of(schema["items"], schemas, where)]
    if "properties" in schema:
        return {name: _of(each, schemas, f"{where}.{name}") for name, each in schema["properties"].items()}
    raise NoExampleError(f"{where} has no example")


_SAID: Final = ("example", "const", "default")
_FIRST: Final = ("examples", "enum", "anyOf", "oneOf", "allOf")
