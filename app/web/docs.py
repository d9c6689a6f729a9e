"""The documentation of every path, as one page of our own: no script, nothing from anywhere else.

The page is rendered from the OpenAPI document, so it cannot say anything else than that does.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_STYLE: Final = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 22%, transparent); }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 5rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 3rem; text-transform: capitalize; }
nav ul { columns: 2 20rem; padding-left: 1.2rem; } nav a, p { overflow-wrap: anywhere; }
article { border-top: 1px solid var(--line); padding: .6rem 0 1.2rem; }
h3 { font-size: 1.05rem; margin: .8rem 0 .3rem; overflow-wrap: anywhere; }
code, pre { font: .88rem/1.45 ui-monospace, monospace; }
pre { padding: .7rem .9rem; border: 1px solid var(--line); border-radius: .4rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; }
td { border-top: 1px solid var(--line); }
code { overflow-wrap: anywhere; } pre code { overflow-wrap: normal; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  td { border: 0; padding: .1rem 0; overflow-wrap: anywhere; }
  tr { border-top: 1px solid var(--line); padding: .3rem 0; }
}
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
"""
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_INTRODUCTION: Final = """
<p>Research endpoints under <code>/v2/</code> answer as the platform does, for keys that Bursar issued.
Everything under <code>/api/v1/</code> is Bursar's own: send <code>Authorization: Bearer</code> with your own
token; the <code>api_key</code> of a project opens <code>/api/v1/me</code> and <code>/api/v1/estimate</code> alone. Errors there are
<code>application/problem+json</code>, and lists go on where <code>Link: rel="next"</code> points.
The same as a document for programs: <a href="/openapi.json">/openapi.json</a>.</p>
<pre>curl -H "Authorization: Bearer $TOKEN" $BURSAR/api/v1/me</pre>
"""
_MOST_NESTED: Final = 6


def add_docs(app: FastAPI) -> None:
    """Have the application serve `/docs`, and lead `/` to the console."""

    async def docs(_request: Request) -> Response:
        return Response(page(app.openapi()), media_type="text/html; charset=utf-8", headers=dict(HEADERS))

    async def root(_request: Request) -> Response:
        return RedirectResponse("/console/", status_code=303)

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/", root, include_in_schema=False)


def page(document: Mapping[str, Any]) -> str:
    """The OpenAPI document as HTML; every word of it is escaped."""
    parts: dict[str, list[str]] = {}
    index: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            anchor = escape(str(operation["operationId"]), quote=True)
            title = f'<span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code>'
            index.setdefault(tag, []).append(f'<li><a href="#{anchor}">{title}</a></li>')
            article = "".join(_operation(document, operation))
            parts.setdefault(tag, []).append(f'<article id="{anchor}"><h3>{title}</h3>{article}</article>')
    abouts = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    contents = "".join(f"<h3>{escape(tag)}</h3><ul>{''.join(links)}</ul>" for tag, links in index.items())
    sections = "".join(
        f"<section><h2>{escape(tag)}</h2><p>{_prose(abouts.get(tag, ''))}</p>{''.join(all_)}</section>"
        for tag, all_ in parts.items()
    )
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: API</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(info['title'])}</h1><p>{escape(info.get('summary', ''))}</p>{_INTRODUCTION}</header>"
        f'<nav aria-label="Paths">{contents}</nav><main>{sections}</main></body></html>'
    )


def _operation(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p><strong>{escape(operation.get('summary', ''))}.</strong> {_prose(operation.get('description', ''))}</p>"
    if operation.get("parameters"):
        yield "<h4>Parameters</h4>"
        yield _table(("name", "in", "type", "meaning"), map(_parameter, operation["parameters"]))
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h4>Body <code>{escape(media)}</code></h4>{_sample(document, content)}"
        yield from _keys(document, content.get("schema", {}))
    yield "<h4>Answers</h4>"
    rows = ((status, _prose(answer["description"])) for status, answer in operation["responses"].items())
    yield _table(("status", "meaning"), ((escape(status), meaning) for status, meaning in rows))
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for content in answer.get("content", {}).values():
                yield _sample(document, content)
            if answer.get("headers"):
                yield _table(("header", "meaning"), map(_header, answer["headers"].items()))


def _keys(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """A table of what a body may hold; nothing for a body that is no object."""
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(name)}</code>",
            escape(_kind(each) + (" (required)" if name in required else "")),
            _prose(_resolved(document, each).get("description", "")),
        )
        for name, each in schema.get("properties", {}).items()
    ]
    if rows:
        yield _table(("key", "type", "meaning"), iter(rows))


def _header(header: tuple[str, Mapping[str, Any]]) -> tuple[str, str]:
    name, told = header
    return f"<code>{escape(name)}</code>", _prose(told.get("description", ""))


def _kind(schema: Mapping[str, Any]) -> str:
    """The type or the types of a value, in the document's words."""
    if "$ref" in schema:
        return "object"
    kinds = [each.get("type", "") for each in [schema, *schema.get("anyOf", [])]]
    flat = [kind for each in kinds for kind in (each if isinstance(each, list) else [each])]
    return " or ".join(kind for kind in flat if kind not in {"", "null"})


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str, str]:
    kind = _kind(parameter.get("schema", {}))
    is_required = " (required)" if parameter.get("required") else ""
    return (
        f"<code>{escape(parameter['name'])}</code>",
        escape(parameter["in"]),
        escape(kind + is_required),
        _prose(parameter.get("description", "")),
    )


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A table of cells that have been escaped already."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _sample(document: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    sample = content.get("example", _example(document, content.get("schema", {}), 0))
    text = orjson.dumps(sample, option=orjson.OPT_INDENT_2).decode()
    return f"<pre>{escape(text)}</pre>"


def _example(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> object:
    """A value of the schema's shape: its own example where it has one, otherwise the names of its types."""
    schema = _resolved(document, schema)
    if "example" in schema or depth >= _MOST_NESTED:
        return schema.get("example")
    if "anyOf" in schema:
        return _example(document, schema["anyOf"][0], depth + 1)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: _example(document, each, depth + 1) for name, each in properties.items()}
        case "array":
            return [_example(document, schema.get("items", {}), depth + 1)]
        case kind:
            return schema.get("format", kind)


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself where it only names another."""
    if "$ref" not in schema:
        return schema
    named: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return named


def _prose(text: str) -> str:
    """Escaped text, with what stands in backquotes set as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if odd % 2 else piece for odd, piece in enumerate(pieces))
