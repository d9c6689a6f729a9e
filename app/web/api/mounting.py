"""Putting the API into the application."""

from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.web.api import (
    asking,
    cache,
    calls,
    compliance,
    credentials,
    directory,
    estimates,
    exports,
    freezes,
    identities,
    keys,
    limits,
    log,
    me,
    people,
    projects,
    receipts,
    rules,
    searches,
    terms,
    tokens,
    upkeep,
    verification,
)
from app.web.api.guard import GuardedRoute
from app.web.problems import add_problem_handlers, problem_of

_ROUTERS: Final = (
    me.router,
    calls.router,
    people.router,
    tokens.router,
    identities.router,
    directory.router,
    projects.router,
    credentials.router,
    terms.router,
    limits.router,
    rules.router,
    estimates.router,
    keys.router,
    freezes.router,
    cache.router,
    asking.router,
    log.router,
    exports.router,
    receipts.router,
    verification.router,
    searches.router,
    upkeep.router,
    compliance.router,
)


def add_api(app: FastAPI) -> None:
    """Have the application answer `/api/v1/...`, and every error outside the research paths as a problem."""
    for router in _ROUTERS:
        app.include_router(router)
    add_problem_handlers(app)
    app.add_exception_handler(405, _method_not_allowed)


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    # The framework names the methods of the first route of a path alone.
    methods = {
        method
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, GuardedRoute) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }
    methods |= {"HEAD"} if "GET" in methods else set()
    if methods and isinstance(error, HTTPException):
        error = HTTPException(405, headers={"Allow": ", ".join(sorted(methods))})
    return problem_of(request, error)
