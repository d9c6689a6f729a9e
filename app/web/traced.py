"""A span around each request, to which the spans of its steps belong."""

from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.provider.endpoints import endpoint_for_path
from app.tracing import Tracing
from app.web.accounted import EXEMPT
from app.web.research import METHODS, TOKEN_PATHS

_SHOWN: Final = {b"cache-status": "bursar.cache", b"bursar-cost": "bursar.cost"}
"""Headers of answers that a span tells: what was reused, and what was spent."""


class Traced:
    """ASGI middleware, outermost: times a request from its first byte read to its last one sent."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection inside of a span; probes and scrapes have none."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        with self._tracing.span(method, SpanKind.SERVER) as span:

            async def shown(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _tell(span, method, scope, message)
                await send(message)

            await self._app(scope, receive, shown)


def _tell(span: Span, method: str, scope: Scope, message: Message) -> None:
    route = _route(scope)
    status: int = message["status"]
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    )
    for name, value in message.get("headers", ()):
        if name in _SHOWN:
            span.set_attribute(_SHOWN[name], value.decode("latin-1"))
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def _route(scope: Scope) -> str:
    """The template that the path fits, which names nobody."""
    path: str = scope["path"]
    endpoint = endpoint_for_path(path)
    if endpoint is not None:
        return endpoint.path
    if path in TOKEN_PATHS:
        return "/v2/oauth/token/"
    return getattr(scope.get("route"), "path", None) or "*"
