"""The simulator as an ASGI application."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.answers import ApiError, failure
from app.simulator.calls import Endpoint
from app.simulator.configuration import SimulatorConfig
from app.simulator.control import control_routes
from app.simulator.door import answer_research_call, answer_token_request
from app.simulator.endpoints import ENDPOINTS
from app.simulator.platform import Platform

TOKEN_PATH = "/v2/oauth/token/"  # noqa: S105 - a path
_Handler = Callable[[Request], Awaitable[Response]]


def create_app(config: SimulatorConfig) -> Starlette:
    """A simulator with its own data, clock and counters; the state is at `app.state.platform`."""
    platform = Platform(config)

    async def issue_token(request: Request) -> Response:
        return await answer_token_request(platform, request)

    async def not_found(_: Request, __: Exception) -> Response:
        return failure(ApiError(404, "not_found", "There is nothing at this path."), platform.clock)

    async def wrong_method(_: Request, __: Exception) -> Response:
        return failure(ApiError(405, "invalid_params", "Use POST at this path."), platform.clock)

    app = Starlette(
        routes=[
            *(Route(e.path, _research(platform, e), methods=["POST"]) for e in ENDPOINTS),
            Route(TOKEN_PATH, issue_token, methods=["POST"]),
            *control_routes(platform),
        ],
        exception_handlers={404: not_found, 405: wrong_method},
    )
    # A redirect would hide a client's missing slash.
    app.router.redirect_slashes = False
    app.state.platform = platform
    return app


def _research(platform: Platform, endpoint: Endpoint) -> _Handler:
    async def answer(request: Request) -> Response:
        return await answer_research_call(platform, endpoint, request)

    return answer
