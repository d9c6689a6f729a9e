"""Proving once more who one is, before what gives others a way in or takes a guard away (ASVS 5.0, 7.5).

The form that was sent waits meanwhile: in the page, or, while its sender is at the institution's pages, sealed in the
database. A proof begins a new session and ends the one before, so a copied cookie is worth nothing after it.
"""

from dataclasses import replace
from typing import Final

import orjson
from starlette.responses import Response

from app.errors import NotPermitted
from app.identity.callers import Operator
from app.identity.institution import UnderWay
from app.identity.sessions import Session, form_token
from app.ids import KeyId
from app.web.console.cookies import PATH, give, give_ticket
from app.web.console.doors import Page, Turn, Visit, ask_to_prove, note_sign_in, provider_of
from app.web.console.forms import KeptForm
from app.web.console.signing import inside, open_session, require_safe_ground, with_password, with_token


async def prove_with_password(turn: Turn) -> Response:
    """Go on for whoever knows the password of the account that is signed in."""
    note_sign_in(turn, "console/reauthentication-password")
    operator = await with_password(turn, turn.session.operator.email)
    return await _proved(turn, operator, token=None)


async def prove_with_token(turn: Turn) -> Response:
    """Go on for whoever shows a token of the person who is signed in."""
    note_sign_in(turn, "console/reauthentication-token")
    operator = await with_token(turn)
    return await _proved(turn, operator, token=operator.token)


async def prove_at_institution(turn: Turn) -> Response:
    """Off to the provider, which is to ask for the proof even of somebody who is signed in there."""
    note_sign_in(turn, "console/reauthentication-institution")
    require_safe_ground(turn)
    provider = provider_of(turn)
    session = turn.session
    kept = {"form": _carried(turn).told(), "session": session.id, "person": session.operator.person}
    secret = await turn.desk.sign_ins.begin(f"{PATH}/", kept=orjson.dumps(kept))
    # Not a redirect: browsers let no form lead to another site, which the policy of these pages forbids.
    response = turn.render("again.html", address=await provider.address(secret, anew=True))
    give_ticket(response, turn.ground, secret)
    return response


async def go_on_after(visit: Visit, answer: UnderWay, operator: Operator) -> Response:
    """The form that waited, once the provider has vouched for `operator`; raises NotPermitted for another person."""
    kept = orjson.loads(answer.kept or b"{}")
    return await _go_on(
        visit, operator, KeptForm.of_told(kept["form"]), person=kept["person"], session=kept["session"]
    )


async def ask_again(turn: Turn) -> Response:
    """The page that asks for the proof, with the form that waits."""
    return ask_to_prove(turn, _carried(turn))


async def _proved(turn: Turn, operator: Operator, *, token: KeyId | None) -> Response:
    before: Session = turn.session
    return await _go_on(
        turn, operator, _carried(turn), person=before.operator.person, session=before.id, token=token
    )


async def _go_on(
    visit: Visit, operator: Operator, kept: KeptForm, *, person: str, session: str, token: KeyId | None = None
) -> Response:
    if operator.person != person:
        raise NotPermitted(
            "This proves who somebody else is. Prove that you are who is signed in, or sign out first.",
            rule="reauthentication",
        )
    secret = await open_session(visit, operator, token=token)
    await visit.desk.sessions.end(session)
    response = visit.render("reauthenticated.html", kept=kept, form_token=form_token(secret))
    give(response, visit.ground, secret)
    return response


def _carried(turn: Turn) -> KeptForm:
    kept = KeptForm.carried_by(turn.given)
    return replace(kept, path=inside(kept.path))


async def go_home(turn: Turn) -> Response:
    """The first page: the addresses that proofs are sent to stay in the browser's address bar, and hold nothing."""
    return turn.go(f"{PATH}/")


_WAYS: Final = (
    ("password", prove_with_password),
    ("token", prove_with_token),
    ("institution", prove_at_institution),
)
PAGES: Final = (
    *(
        Page(
            method="POST",
            path=f"/reauthentication/{way}",
            answer=answer,
            acts=frozenset(),
            back=ask_again,
            carries=True,
        )
        for way, answer in _WAYS
    ),
    *(
        Page(method="GET", path=f"/reauthentication/{way}", answer=go_home, acts=frozenset())
        for way, _ in _WAYS
    ),
)
