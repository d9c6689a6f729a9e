"""The whole web application: research paths, Bursar's own API, health, metrics and documentation."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import RELEASE
from app.audit.calls import Scribe
from app.bootstrap import Installation, open_installation
from app.settings import Settings
from app.tracing import Tracing
from app.web import api, health
from app.web.accounted import Accounted, Note, is_research
from app.web.api.desk import desk_of
from app.web.console.mounting import add_console
from app.web.docs import add_docs
from app.web.measured import InstallationMetrics, look
from app.web.metrics import Metrics
from app.web.openapi import complete
from app.web.patience import Patience
from app.web.research import ResearchApi
from app.web.traced import Traced


class Door:
    """The outermost ASGI application: research paths go straight to their own, the rest to FastAPI."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._traced: Traced | None = None

    def trace(self, tracing: Tracing) -> None:
        """Put each request into a span from now on."""
        self._traced = Traced(self._hand_on, tracing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http" and scope["path"].startswith("//"):
            # A client whose base URL was given with a slash at its end.
            scope = {**scope, "path": "/" + scope["path"].lstrip("/")}
        await (self._traced or self._hand_on)(scope, receive, send)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner: ASGIApp = self.app
        if scope["type"] == "http":
            send = _while_there(send)
        if scope["type"] == "http" and getattr(self.app.state, "is_stopping", False):
            send = _closing(send)
        if scope["type"] == "http" and is_research(scope["path"]):
            inner = self.app.state.research
        await inner(scope, receive, send)


Lingering = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Runs what it is given when the process is told to stop, some time before the server hears of it."""


def create_app(settings: Settings, *, processes: int = 1, lingering: Lingering | None = None) -> Door:
    """The application, which opens its installation when it starts and closes it when it ends.

    `processes` is how many serve beside it, itself included.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_installation(settings, processes=processes) as installation:
            _furnish(app, installation)
            if installation.tracing is not None:
                door.trace(installation.tracing)

            def stop() -> None:
                app.state.is_stopping = True

            with lingering(stop) if lingering else nullcontext():
                yield
            stop()

    app = FastAPI(
        title="Bursar",
        summary="A gateway in front of a platform's research API.",
        version=RELEASE,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The framework's own spans would carry query strings, and its log records messages of errors.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    door = Door(app)
    app.add_middleware(
        Accounted,
        note=lambda: _note_of(app),
        scribe=lambda: _scribe_of(app),
    )
    app.add_route("/livez", health.livez, include_in_schema=False)
    app.add_route("/readyz", health.readyz, include_in_schema=False)
    app.add_route("/metrics", _metrics, include_in_schema=False)
    api.add_api(app)
    add_docs(app)
    add_console(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return door


def _while_there(send: Send) -> Send:
    """Answers for as long as somebody reads them: who hangs up in mid-answer is no failure of ours, and fills no log."""
    is_gone = False

    async def sent(message: Message) -> None:
        nonlocal is_gone
        if is_gone:
            return
        try:
            await send(message)
        except RuntimeError as error:
            # The event loop's own words for a connection that is closed; others are mistakes in an answer.
            if "the handler is closed" not in str(error):
                raise
            is_gone = True

    return sent


def _closing(send: Send) -> Send:
    """Answers after which the connection ends, so that its client opens the next one elsewhere."""

    async def close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return close


def _furnish(app: FastAPI, installation: Installation) -> None:
    app.state.installation = installation
    app.state.is_stopping = False
    app.state.metrics = Metrics()
    app.state.metrics.watch(installation.sharing)
    app.state.metrics.watch_notices(installation.notifier.outcomes)
    app.state.metrics.watch_log(installation.books, installation.disk)
    app.state.metrics.watch_held(installation.room)
    app.state.measured = InstallationMetrics(installation)
    app.state.metrics.watch_all(app.state.measured)
    app.state.metrics.watch_history(installation.boot, installation.anchorer, installation.clock)
    app.state.research = ResearchApi(
        gateway=installation.gateway,
        scribe=installation.scribe,
        clock=installation.clock,
        metrics=app.state.metrics,
        patience=Patience(clock=installation.clock, is_on=installation.settings.refusal_delay),
    )


def _note_of(app: FastAPI) -> Note:
    installation: Installation = app.state.installation
    return installation.gateway.note


def _scribe_of(app: FastAPI) -> Scribe:
    installation: Installation = app.state.installation
    return installation.scribe


async def _metrics(request: Request) -> Response:
    state = request.app.state
    metrics: Metrics = state.metrics
    measured: InstallationMetrics = state.measured
    measured.saw(await look(state.installation, desk_of(request).registry, is_stopping=state.is_stopping))
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        complete(document)
        app.openapi_schema = document
    return app.openapi_schema
