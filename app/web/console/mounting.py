"""Putting the console into the application."""

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import NotFound
from app.identity.roles import Act
from app.web.api.access import LOG_ACTS, READ_LOG
from app.web.console import (
    compliance,
    held,
    institution,
    keys,
    log_desk,
    log_pages,
    me,
    people,
    projects,
    quotas,
    reauthentication,
    rules,
    signing,
    today,
    upkeep,
)
from app.web.console.cookies import PATH
from app.web.console.doors import Door, Link, NamedRoute, OpenPage, Page, Turn, Visit
from app.web.console.rendering import STATIC, static

_ALL: Final = frozenset({Act.SEE_ALL})
_SELF: Final = frozenset({Act.SEE_SELF})
_RESEARCH: Final = frozenset({Act.MANAGE_OWN_KEYS})
MENU: Final = (
    Link(path=f"{PATH}/today", label="Today", acts=_ALL),
    Link(path=f"{PATH}/projects", label="Projects", acts=_ALL),
    Link(path=f"{PATH}/people", label="People", acts=_ALL),
    Link(path=f"{PATH}/keys", label="Keys", acts=_ALL),
    Link(path=f"{PATH}/quotas", label="Quotas", acts=_ALL),
    Link(path=f"{PATH}/requests", label="Requests", acts=_ALL),
    Link(path=f"{PATH}/rules", label="Terms and rules", acts=_ALL),
    Link(path=f"{PATH}/held", label="Held answers", acts=held.HELD),
    Link(path=f"{PATH}/audit", label="Audit", acts=READ_LOG),
    Link(
        path=f"{PATH}/audit/verification",
        label="Verification",
        acts=frozenset({Act.VERIFY_LOG}),
        unless=Act.READ_LOG,
    ),
    Link(path=f"{PATH}/compliance", label="Compliance", acts=LOG_ACTS),
    Link(path=f"{PATH}/me", label="Me", acts=_SELF),
    Link(path=f"{PATH}/calls", label="My calls", acts=_RESEARCH),
    Link(path=f"{PATH}/my-keys", label="My keys", acts=_RESEARCH),
    Link(path=f"{PATH}/more", label="Ask for more", acts=frozenset({Act.ASK_FOR_MORE})),
    Link(path=f"{PATH}/my-terms", label="My terms", acts=_SELF),
)


async def go_home(turn: Turn) -> Response:
    """The page that somebody begins with."""
    return turn.go(f"{PATH}/today" if turn.may(Act.SEE_ALL) else f"{PATH}/me")


async def find_nothing(_visit: Visit) -> Response:
    """For every other path."""
    raise NotFound("There is no such page. It may have been moved, or the address is misspelt.")


PAGES: Final[tuple[Page | OpenPage, ...]] = (
    Page(method="GET", path="/", answer=go_home, acts=frozenset()),
    *signing.PAGES,
    *institution.PAGES,
    *reauthentication.PAGES,
    *me.PAGES,
    *log_pages.PAGES,
    *log_desk.PAGES,
    *today.PAGES,
    *projects.PAGES,
    *people.PAGES,
    *keys.PAGES,
    *quotas.PAGES,
    *rules.PAGES,
    *held.PAGES,
    *compliance.PAGES,
    *upkeep.PAGES,
    OpenPage(method="GET", path="/{rest:path}", answer=find_nothing),
)


def add_console(app: FastAPI) -> None:
    """Have the application answer `/console/...`."""
    app.router.routes.append(NamedRoute(PATH + "/static/{name}", _static, include_in_schema=False))
    for page in PAGES:
        app.router.routes.append(Door(page, MENU))
    app.router.routes.append(NamedRoute(PATH, _to_console, include_in_schema=False))


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return Response("There is no such file.", status_code=404, media_type="text/plain")
    headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
    return Response(static(name), media_type=STATIC[name], headers=headers)


async def _to_console(_request: Request) -> Response:
    return RedirectResponse(f"{PATH}/", status_code=303)
