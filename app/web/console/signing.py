"""Signing in and out: with a token of one's own, or with the password of a local account."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, ParamSpec, TypeVar

from starlette.responses import RedirectResponse, Response

from app.administration.passwords import set_password, whose_code
from app.errors import AccessTokenInvalid, InvalidParams, NotFound, NotPermitted
from app.identity.callers import Operator
from app.identity.keys import parse
from app.identity.passwords import LONGEST, SHORTEST, check_password, hash_password, is_password
from app.identity.sessions import form_token
from app.ids import KeyId
from app.policy.rules import NOT_FROZEN
from app.web.console.cookies import PATH, give, take_back
from app.web.console.doors import SIGN_IN, OpenPage, Page, Turn, Visit, idled, note_sign_in, note_who
from app.web.console.forms import KeptForm

P = ParamSpec("P")
T = TypeVar("T")
_HOME: Final = f"{PATH}/"
_WRONG: Final = (
    "This address and password do not belong together. Check both, or ask an administrator for a code."
)
_INSECURE: Final = (
    "Signing in needs https, since what you enter here could be read on its way. Ask an administrator."
)
_UNREAL: Final = "*"
"""In the place of an account for tokens that name none."""


async def show_sign_in(visit: Visit) -> Response:
    """The form for signing in."""
    onward = visit.given.get("onward") or visit.asked("onward")
    kept = kept_in(visit)
    return visit.render(
        "sign_in.html",
        onward=inside(onward),
        has_ended=False,
        has_form=kept is not None,
        kept=kept,
        kept_token=visit.given.get("kept-token"),
    )


async def sign_in_with_token(visit: Visit) -> Response:
    """A session for whoever shows a token of their own."""
    note_sign_in(visit, "console/sign-in-token")
    operator = await with_token(visit)
    return await _signed_in(visit, operator, token=operator.token)


async def with_token(visit: Visit) -> Operator:
    """Whose token the form shows; raises AccessTokenInvalid, NotPermitted over http, RateLimited."""
    require_safe_ground(visit)
    token = "".join(visit.given.get("token").split())
    parsed = parse(token)
    tried = source_of(visit), f"token:{_UNREAL if parsed is None else parsed.key_id}"
    visit.desk.throttle.begin(*tried)
    try:
        client = visit.request.client
        operator = await visit.desk.identify(f"Bearer {token}", source=client.host if client else "")
    except AccessTokenInvalid as error:
        raise AccessTokenInvalid(
            "This token does not hold. Paste all of it, or ask an administrator for a new one.",
            rule="identify",
        ) from error
    if not isinstance(operator, Operator):
        raise AccessTokenInvalid(
            "This is the key of a project, which is for programs. Sign in with your own token or a password.",
            rule="identify",
        )
    visit.desk.throttle.succeed(*tried)
    return operator


async def sign_in_with_password(visit: Visit) -> Response:
    """A session for whoever knows the password of a local account."""
    note_sign_in(visit, "console/sign-in-password")
    operator = await with_password(visit, visit.given.get("email").strip().lower()[:320])
    return await _signed_in(visit, operator, token=None)


async def with_password(visit: Visit, email: str) -> Operator:
    """Whose address that is, if the form shows their password; raises AccessTokenInvalid, NotPermitted over http,
    RateLimited."""
    require_safe_ground(visit)
    password = visit.given.get("password")
    tried = source_of(visit), f"account:{email}"
    visit.desk.throttle.begin(*tried)
    found = await visit.desk.sessions.account(email)
    kept = None if found is None else found[1]
    is_right = await _in_thread(visit, is_password, kept, password)
    if found is None or not is_right:
        raise AccessTokenInvalid(_WRONG, rule="identify")
    visit.desk.throttle.succeed(*tried)
    return found[0]


async def sign_out(turn: Turn) -> Response:
    """End the session."""
    note_sign_in(turn, "console/sign-out")
    await turn.desk.sessions.end(turn.session.id)
    response = RedirectResponse(f"{SIGN_IN}?done=signed-out", status_code=303)
    take_back(response, turn.ground)
    return response


async def show_password(visit: Visit) -> Response:
    """The form that sets a password with a code."""
    return visit.render("password.html", shortest=SHORTEST, longest=LONGEST)


async def choose_password(visit: Visit) -> Response:
    """Set the password of whoever was given the code, who then signs in with it."""
    note_sign_in(visit, "console/password")
    require_safe_ground(visit)
    source = source_of(visit)
    visit.desk.throttle.begin(source)
    code, password = visit.given.get("code"), visit.given.get("password")
    registry = visit.desk.registry
    owner = whose_code(await registry.state(), code)
    if owner is None:
        raise NotFound("This code does not hold: it works once, for a day. Ask an administrator for another.")
    visit.desk.throttle.succeed(source)
    if password != visit.given.get("again"):
        raise InvalidParams("The two passwords differ.", rule="request")
    check_password(password, email=owner.email)
    hashed = await _in_thread(visit, hash_password, password)
    await set_password(registry, code=code, password=password, hashed=hashed)
    return RedirectResponse(f"{SIGN_IN}?done=password-set", status_code=303)


async def open_session(visit: Visit, operator: Operator, *, token: KeyId | None) -> str:
    """The secret of a session of that person that begins; raises NotPermitted for the frozen."""
    if operator.freeze is not None:
        raise NotPermitted(operator.freeze.says(), rule=NOT_FROZEN)
    # A session begins with a secret of its own, whatever cookie the browser came with.
    secret, session = await visit.desk.sessions.open(operator.person, token=token)
    note_who(visit, session)
    return secret


async def _signed_in(visit: Visit, operator: Operator, *, token: KeyId | None) -> Response:
    kept = kept_in(visit)
    ended = None if kept is None else await idled(visit, visit.given.get("kept-token"))
    if kept is not None and ended is not None and ended.person == operator.person:
        return await show_waiting(visit, operator, kept, ended=ended.id, token=token)
    response = RedirectResponse(inside(visit.given.get("onward")), status_code=303)
    give(response, visit.ground, await open_session(visit, operator, token=token))
    return response


async def show_waiting(
    visit: Visit, operator: Operator, kept: KeptForm, *, ended: str, token: KeyId | None = None
) -> Response:
    """The form that waited since the session of that id idled, to be looked at and sent once more by whose it was."""
    secret = await open_session(visit, operator, token=token)
    await visit.desk.sessions.end(ended)
    response = visit.render("sent_before.html", kept=kept.from_the_start(), form_token=form_token(secret))
    give(response, visit.ground, secret)
    return response


def kept_in(visit: Visit) -> KeptForm | None:
    """The form that waits for whoever signs in, if one does."""
    kept = KeptForm.carried_by(visit.given)
    return replace(kept, path=inside(kept.path)) if kept.path else None


async def go_in(_visit: Visit) -> Response:
    """The first page: the addresses that signing in sends to may stay in the browser's address bar, and hold nothing."""
    return RedirectResponse(_HOME, status_code=303)


def inside(onward: str) -> str:
    """The address if it is of a page here, otherwise the first page."""
    is_inside = onward.startswith(_HOME) and onward.isascii() and onward.isprintable() and "\\" not in onward
    is_inside = is_inside and "//" not in onward and not onward.startswith(SIGN_IN)
    return onward if is_inside else _HOME


def require_safe_ground(visit: Visit) -> None:
    """Return where a secret is safe on its way; raises NotPermitted."""
    if not visit.ground.may_sign_in:
        raise NotPermitted(_INSECURE, rule="https")


def source_of(visit: Visit) -> str:
    """Where the request comes from, as the throttle counts it."""
    client = visit.request.client
    return f"source:{client.host if client else ''}"


async def _in_thread(visit: Visit, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    async with visit.desk.hashing:
        return await asyncio.to_thread(work, *args, **kwargs)


PAGES: Final = (
    OpenPage(method="GET", path="/sign-in", answer=show_sign_in),
    OpenPage(method="POST", path="/sign-in/token", answer=sign_in_with_token, back=show_sign_in),
    OpenPage(method="POST", path="/sign-in/password", answer=sign_in_with_password, back=show_sign_in),
    OpenPage(method="GET", path="/sign-in/token", answer=go_in),
    OpenPage(method="GET", path="/sign-in/password", answer=go_in),
    OpenPage(method="GET", path="/password", answer=show_password),
    OpenPage(method="POST", path="/password", answer=choose_password, back=show_password),
    Page(method="POST", path="/sign-out", answer=sign_out, acts=frozenset()),
)
