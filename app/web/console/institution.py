"""Signing in by the institution's identity provider: out to its pages, and back with a code."""

import re
from typing import Final

import orjson
from starlette.responses import RedirectResponse, Response

from app.administration.joining import Joining, person_of
from app.errors import NotFound, SignInRefused
from app.identity.institution import is_state
from app.upstream.oidc import CALLBACK
from app.web.console.cookies import PATH, give, give_ticket, take_ticket_back, ticket_in
from app.web.console.doors import SIGN_IN, OpenPage, Visit, idled, note_sign_in, provider_of
from app.web.console.forms import KeptForm
from app.web.console.reauthentication import go_on_after
from app.web.console.signing import (
    inside,
    kept_in,
    open_session,
    require_safe_ground,
    show_sign_in,
    show_waiting,
    source_of,
)

_OP: Final = "console/sign-in-institution"
_WORD: Final = re.compile(r"[a-z_]{1,40}")
_MOST_CODE_CHARS: Final = 4_096


async def go_to_institution(visit: Visit) -> Response:
    """Off to the provider, with a ticket for coming back."""
    note_sign_in(visit, _OP)
    require_safe_ground(visit)
    provider = provider_of(visit)
    secret = await visit.desk.sign_ins.begin(inside(visit.asked("onward")))
    response = RedirectResponse(await provider.address(secret), status_code=303)
    give_ticket(response, visit.ground, secret)
    return response


async def go_with_a_form(visit: Visit) -> Response:
    """The same while a form waits, for whose session has idled."""
    kept, ended = kept_in(visit), await idled(visit, visit.given.get("kept-token"))
    if kept is None or ended is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    note_sign_in(visit, _OP)
    require_safe_ground(visit)
    provider = provider_of(visit)
    waiting = {"form": kept.told(), "ended": ended.id, "person": ended.person}
    secret = await visit.desk.sign_ins.begin(inside(visit.given.get("onward")), kept=orjson.dumps(waiting))
    # Not a redirect: browsers let no form lead to another site, which the policy of these pages forbids.
    response = visit.render("again.html", address=await provider.address(secret))
    give_ticket(response, visit.ground, secret)
    return response


async def come_back(visit: Visit) -> Response:
    """A session for whom the provider vouches for, if they are known here."""
    note_sign_in(visit, _OP)
    require_safe_ground(visit)
    provider, source = provider_of(visit), source_of(visit)
    visit.desk.throttle.begin(source)
    secret = ticket_in(visit.request, visit.ground)
    is_asked_for = secret is not None and is_state(secret, visit.asked("state"))
    under_way = await visit.desk.sign_ins.take(secret) if secret is not None and is_asked_for else None
    if secret is None or under_way is None:
        raise SignInRefused(
            "This answer belongs to no sign-in that is under way in this browser: it was used before, came too "
            "late, or was begun elsewhere. Sign in once more.",
            rule="oidc-state",
        )
    code = visit.asked("code")
    if not 0 < len(code) <= _MOST_CODE_CHARS:
        raise _not_signed_in(visit.asked("error"))
    issuer = visit.request.query_params.get("iss")
    waiting = None if under_way.kept is None else orjson.loads(under_way.kept)
    is_proof = waiting is not None and "session" in waiting
    since_s = under_way.began_us / 1_000_000 if is_proof else None
    proven = await provider.redeem(secret, code=code, issuer=issuer, since_s=since_s)
    settings = visit.desk.installation.settings
    joining = Joining(by_email=settings.oidc_join_by_email, role_of_group=settings.role_of_group)
    person = await person_of(visit.desk.registry, proven, joining)
    visit.desk.forget()
    found = await visit.desk.sessions.account(person.email)
    if found is None:
        raise NotFound("You were just removed here. Ask an administrator.")
    visit.desk.throttle.succeed(source)
    if is_proof:
        response = await go_on_after(visit, under_way, found[0])
    elif waiting is not None and waiting["person"] == found[0].person:
        form = KeptForm.of_told(waiting["form"])
        response = await show_waiting(visit, found[0], form, ended=waiting["ended"])
    else:
        # A redirect in answer to a page of the provider's would go without the new cookie, which is for our pages alone.
        response = visit.render("again.html", address=under_way.onward)
        give(response, visit.ground, await open_session(visit, found[0], token=None))
    take_ticket_back(response, visit.ground)
    return response


def _not_signed_in(error: str) -> SignInRefused:
    word = f" ({error})" if _WORD.fullmatch(error) else ""
    return SignInRefused(
        f"Your institution did not sign you in{word}. Try again, or ask its help desk.", rule="oidc-code"
    )


PAGES: Final = (
    OpenPage(method="GET", path="/sign-in/institution", answer=go_to_institution, back=show_sign_in),
    OpenPage(method="POST", path="/sign-in/institution", answer=go_with_a_form, back=show_sign_in),
    OpenPage(method="GET", path=CALLBACK.removeprefix(PATH), answer=come_back, back=show_sign_in),
)
