"""Doors: who is at a page, whether it is theirs, and what they see where it is not."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from app.audit.entries import Value
from app.errors import (
    AccessTokenInvalid,
    BursarError,
    InvalidParams,
    Misconfigured,
    NotFound,
    NotPermitted,
    Refusal,
    Unavailable,
)
from app.identity.institution import IdentityProvider
from app.identity.roles import Act, may
from app.identity.sessions import FRESH_S, Ended, Session, form_token, is_form_token, may_be_form_token
from app.policy.rules import NOT_FROZEN
from app.web.api.desk import Desk, desk_of
from app.web.api.sight import Sight
from app.web.api.visitors import Visitor
from app.web.console import rendering
from app.web.console.cookies import PATH, Ground, ground_of, require_own_page, secret_in
from app.web.console.forms import FieldRefused, Form, KeptForm, read_form
from app.web.console.hints import at_the_console
from app.web.errors import STATUS_OF_CODE
from app.web.problems import visit_of

SIGN_IN: Final = f"{PATH}/sign-in"
_BROKEN: Final = "Something is wrong. Please try again later, and give an administrator the entry's id below."
_MISCONFIGURED: Final = "Bursar cannot serve until an administrator acts; `bursar doctor` says what is wrong."
_YEAR_S: Final = 31_536_000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A line of the menu, for those whom one of the acts is open to."""

    path: str
    label: str
    acts: frozenset[Act]
    unless: Act | None = None
    """Whoever may do that has another line, which leads there as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request by anybody: `given` is the form that was sent, `problem` why it was refused, `wrong` for which field."""

    request: Request
    desk: Desk
    ground: Ground
    nonce: str
    given: Form = field(default_factory=Form)
    problem: str = ""
    wrong: str = ""

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page for somebody who is not signed in."""
        shown = {**_always(self), "who": None, "menu": (), "form_token": "", **values}
        return HTMLResponse(rendering.page(template, shown), status_code=status)

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the page's address."""
        return self.request.query_params.get(name, default)

    def is_asked(self, name: str) -> bool:
        """Whether a parameter that is yes or left out says yes. Raises InvalidParams for anything else."""
        value = self.asked(name)
        if value not in {"", "yes"}:
            raise InvalidParams(f"{name} is yes or left out.", rule="request")
        return value == "yes"

    def in_path(self, name: str) -> str:
        """A part of the page's path."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(Visit):
    """One request by somebody who is signed in and may see the page."""

    session: Session
    secret: str = field(repr=False)
    menu: tuple[Link, ...] = ()

    @property
    def who(self) -> Visitor:
        """The person, as the use-cases want to know them."""
        operator = self.session.operator
        return Visitor(person=operator.person, roles=operator.roles, with_key=False)

    async def sight(self) -> Sight:
        """The directory as it is now, as far as they may see it."""
        return await self.desk.sight(self.who)

    def may(self, *acts: Act) -> bool:
        """Whether their roles cover any of the acts."""
        return self.who.may(*acts)

    def reads_log(self, **reads: Value) -> None:
        """Have the log say that it was read, and what of it."""
        self.request.scope["state"]["operator"] = replace(visit_of(self.request), reads=reads)

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page for them."""
        mine = tuple(
            each
            for each in self.menu
            if self.may(*each.acts) and (each.unless is None or not self.may(each.unless))
        )
        shown = {**_always(self), "who": self.session.operator, "menu": mine, "may": self.may, "Act": Act}
        shown |= {"form_token": form_token(self.secret), **values}
        return HTMLResponse(rendering.page(template, shown), status_code=status)

    def go(self, path: str, done: str = "") -> Response:
        """After a form: on to a page, which says what was done (a key of the templates' texts)."""
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{mark}done={done}" if done else path, status_code=303)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPage:
    """A page for anybody; `back` shows the form again where what was sent is refused."""

    method: str
    path: str
    answer: Callable[[Visit], Awaitable[Response]]
    back: Callable[[Visit], Awaitable[Response]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page for whoever is signed in and has a role that covers one of the acts; for everyone without acts."""

    method: str
    path: str
    answer: Callable[[Turn], Awaitable[Response]]
    acts: frozenset[Act]
    back: Callable[[Turn], Awaitable[Response]] | None = None
    guarded: str = ""
    """What is done, in words that go on from "To", where a session is not enough that somebody left open: who is
    signed in must have proved who they are within `FRESH_S`."""
    carries: bool = False
    """Whether its form carries another one along, which `back` shows with it."""
    takes: frozenset[str] = frozenset()
    """What its address may ask by, besides `done`."""


class NamedRoute(Route):
    """A route that the log knows by its template."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route."""
        match, child = super().matches(scope)
        return match, {**child, "route": self} if match is not Match.NONE else child


class Door(NamedRoute):
    """The route of one page."""

    def __init__(self, page: Page | OpenPage, menu: tuple[Link, ...]) -> None:
        async def answer(request: Request) -> Response:
            return await _answer(request, page, menu)

        super().__init__(PATH + page.path, answer, methods=[page.method], include_in_schema=False)
        self.page = page


async def _answer(request: Request, page: Page | OpenPage, menu: tuple[Link, ...]) -> Response:
    desk = desk_of(request)
    ground = ground_of(request, desk.installation.settings)
    visit = Visit(request=request, desk=desk, ground=ground, nonce=secrets.token_urlsafe(18))
    try:
        response = await _let_in(visit, page, menu)
    except Exception as error:  # noqa: BLE001 - a bug must not answer in the framework's shape
        response = _refusal(visit, error)
    response.headers.update(_headers(visit))
    return response


async def _let_in(visit: Visit, page: Page | OpenPage, menu: tuple[Link, ...]) -> Response:
    request = visit.request
    given = Form()
    if page.method == "POST":
        require_own_page(request, visit.desk.installation.settings)
        given = await read_form(request)
    if isinstance(page, OpenPage):
        return await _shown_again(replace(visit, given=given), page)
    secret = secret_in(request, visit.ground)
    session = None if secret is None else await visit.desk.sessions.find(secret)
    if secret is None or session is None:
        return await _ask_to_sign_in(replace(visit, given=given), page)
    _note(request, who=session.operator)
    turn = Turn(
        request=request,
        desk=visit.desk,
        ground=visit.ground,
        nonce=visit.nonce,
        given=given,
        session=session,
        secret=secret,
        menu=menu,
    )
    is_of_session = page.method == "GET" or is_form_token(secret, given.get("form_token"))
    if not is_of_session and not may_be_form_token(given.get("form_token")):
        raise NotPermitted("This form is not of your session. Open the page again.", rule="form-token")
    freeze = session.operator.freeze
    if freeze is not None:
        raise NotPermitted(freeze.says(), rule=NOT_FROZEN)
    if page.acts and not any(may(session.operator.roles, act) for act in page.acts):
        return _closed(turn)
    if not is_of_session:
        return await _of_another_session(turn, page)
    if page.guarded and not session.is_fresh:
        return ask_to_prove(turn, KeptForm.of(given, what=page.guarded, path=_address(request)))
    return await _shown_again(turn, page)


async def _of_another_session(turn: Turn, page: Page) -> Response:
    """The form again as it was sent, to be looked at and sent once more; nothing is done.

    A proof begins a new session, and so does signing in again: tabs that were open before have forms of the old one. That
    the form comes from a page of ours has been seen before; what goes on from here is a press of a button.
    """
    note_refusal(turn, NotPermitted("This form is of another session.", rule="form-token"))
    if page.carries and page.back is not None:
        return await page.back(turn)
    kept = KeptForm.of(turn.given, what=page.guarded, path=_address(turn.request)).from_the_start()
    return turn.render("sent_before.html", status=403, kept=kept)


async def _shown_again(visit: Any, page: Any) -> Response:
    """The page's answer; where it refuses and there is a form to go back to, that form with the reason."""
    try:
        if isinstance(page, Page):
            _require_known(visit.request, page.takes)
        response: Response = await page.answer(visit)
    except Refusal as error:
        if page.back is None:
            raise
        note_refusal(visit, error)
        wrong = error.field if isinstance(error, FieldRefused) else ""
        response = await page.back(replace(visit, problem=at_the_console(error.message), wrong=wrong))
        response.status_code = STATUS_OF_CODE[error.code]
        if error.retry_after_s is not None:
            response.headers["retry-after"] = str(error.retry_after_s)
    return response


def _require_known(request: Request, takes: frozenset[str]) -> None:
    """Raises InvalidParams for a parameter that the page would leave unread, so that nobody takes all for a part."""
    given = request.query_params
    for name in given:
        if name not in takes | {"done"}:
            known = f"It can be asked by {', '.join(sorted(takes))}." if takes else "It is asked by nothing."
            raise InvalidParams(f"This page knows no {name[:64]!a}. {known}", rule="request")
        if len(given.getlist(name)) > 1:
            raise InvalidParams(f"{name} is there more than once; give one.", rule="request")


async def _ask_to_sign_in(visit: Visit, page: Page) -> Response:
    """The form for signing in, which then leads on; the request is logged as refused.

    A form of a session that has idled waits in that page, for whoever the session was of.
    """
    request = visit.request
    if page.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        # From a link elsewhere (a message, say) browsers do not send a strict cookie. Seen from a page of
        # ours they do, so this one asks for the same address again.
        return visit.render("again.html", address=_address(request))
    _note(request, code="access_token_invalid", op="console/session")
    onward = _address(request) if page.method == "GET" else f"{PATH}/"
    has_ended = secret_in(request, visit.ground) is not None
    shown = visit.given.get("form_token")
    # Without acts: signing out, and proofs, which hold what proves somebody.
    has_form = page.method == "POST" and bool(page.acts) and await idled(visit, shown) is not None
    kept = KeptForm.of(visit.given, what=page.guarded, path=_address(request)) if has_form else None
    return replace(visit, given=Form()).render(
        "sign_in.html",
        status=401,
        onward=onward,
        has_ended=has_ended,
        has_form=has_ended and page.method == "POST",
        kept=kept,
        kept_token=shown,
    )


async def idled(visit: Visit, shown: str) -> Ended | None:
    """The session of this browser that has ended by idling, if a form with that token is of it."""
    secret = secret_in(visit.request, visit.ground)
    if secret is None or not is_form_token(secret, shown):
        return None
    return await visit.desk.sessions.ended(secret)


def ask_to_prove(turn: Turn, kept: KeptForm) -> Response:
    """The page that asks for a proof of who is signed in, while that form waits; the request counts as refused."""
    note_refusal(turn, AccessTokenInvalid("The sign-in is too old for this.", rule="reauthentication"))
    return turn.render("reauthenticate.html", status=401, kept=kept, minutes=FRESH_S // 60)


def provider_of(visit: Visit) -> IdentityProvider:
    """The institution's provider; raises NotFound where there is none."""
    provider = visit.desk.installation.identity_provider
    if provider is None:
        raise NotFound("No institution's sign-in is set up here. Sign in with a password or a token.")
    return provider


def _address(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _closed(turn: Turn) -> Response:
    error = NotPermitted("Your roles do not cover this page. Ask an administrator.", rule="roles")
    return _told(turn, error.message, STATUS_OF_CODE[error.code], error.code)


def _refusal(visit: Visit, error: Exception) -> Response:
    retry_after_s: int | None = None
    match error:
        case HTTPException():
            status, code, message = error.status_code, "invalid_params", error.detail
        case Refusal() | Unavailable():
            status, code = STATUS_OF_CODE[error.code], error.code
            message = at_the_console(error.message)
            retry_after_s = error.retry_after_s
        case Misconfigured():
            status, code, message = STATUS_OF_CODE[error.code], error.code, _MISCONFIGURED
        case BursarError():
            status, code, message = STATUS_OF_CODE[error.code], error.code, _BROKEN
        case _:
            entry = visit_of(visit.request).entry
            _log.error("a page failed", path=visit.request.scope["path"], entry=entry, exc_info=error)
            status, code, message = 500, "internal_error", _BROKEN
    response = _told(visit, message, status, code)
    if retry_after_s is not None:
        response.headers["retry-after"] = str(retry_after_s)
    return response


def _told(visit: Visit, message: str, status: int, code: str) -> Response:
    _note(visit.request, code=code)
    title = HTTPStatus(status).phrase
    entry = visit_of(visit.request).entry
    return visit.render("refused.html", status=status, title=title, message=message, entry=entry)


def _note(request: Request, **facts: Any) -> None:
    """What the request's entry in the log shall say."""
    request.scope["state"]["operator"] = replace(visit_of(request), **facts)


def note_refusal(visit: Visit, error: Refusal) -> None:
    """Have the request's entry say that it was refused, where a page of its own tells why."""
    _note(visit.request, code=error.code, rule=error.rule or None)


def note_sign_in(visit: Visit, op: str) -> None:
    """Have the request's entry be one of signing in or out."""
    _note(visit.request, op=op)


def note_who(visit: Visit, session: Session) -> None:
    """Have the request's entry name the person."""
    _note(visit.request, who=session.operator)


def _always(visit: Visit) -> Mapping[str, Any]:
    return {
        "nonce": visit.nonce,
        "given": visit.given,
        "problem": visit.problem,
        "wrong": visit.wrong,
        "done": visit.asked("done")[:40],
        "path": visit.request.url.path,
        "ground": visit.ground,
        "has_institution": visit.desk.installation.identity_provider is not None,
        "quote": quote,
    }


def _headers(visit: Visit) -> dict[str, str]:
    nonce = visit.nonce
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; "
        "form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        # A browser that says nothing of where a form comes from would send `Origin: null` with it.
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
    if visit.ground.is_https:
        headers["strict-transport-security"] = f"max-age={_YEAR_S}"
    return headers
