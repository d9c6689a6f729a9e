"""Bearer tokens of people: which there are, and ending one. Nobody is shown a token itself again."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from app.administration.changes import Actor, Draw, Plan
from app.administration.finding import find_person
from app.administration.registry import Registry
from app.administration.retiring import revoke_token
from app.administration.state import PersonToken, State
from app.errors import NotFound
from app.identity.keys import parse_client_key
from app.identity.roles import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownToken:
    """What may be shown of a token at any time; `status` is active, expired or revoked."""

    token_id: str
    email: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    status: str

    @property
    def last_day(self) -> dt.date | None:
        """The last day (UTC) on which it works."""
        return None if self.expires_at is None else (self.expires_at - dt.timedelta(microseconds=1)).date()


def shown_tokens(state: State, *, email: str | None = None) -> Sequence[ShownToken]:
    """What may be shown of every token, of one person where asked. Raises NotFound."""
    person = None if email is None else find_person(state, email)
    emails = {each.id: each.email for each in state.people}
    found = [
        ShownToken(
            token_id=each.id,
            email=emails[each.person_id],
            created_at=_moment(each.created_us),
            expires_at=None if each.expires_us is None else _moment(each.expires_us),
            status=_status(each, state.now_us),
        )
        for each in state.tokens
        if person is None or each.person_id == person.id
    ]
    return sorted(found, key=lambda each: (each.email, each.created_at, each.token_id))


async def end_token(registry: Registry, actor: Actor, *, token: str, person_id: str | None = None) -> bool:
    """End a token at once, everywhere, with the sessions opened with it; whether it had not been ended before.

    People end their own; those of others take whoever manages keys. With `person_id` it has to be theirs. Raises
    NotFound, NotPermitted.
    """
    token_id = parse_client_key(token) or token

    def decide(state: State) -> tuple[Plan, bool]:
        found = next((each for each in state.tokens if each.id == token_id), None)
        if found is None or person_id not in {None, found.person_id}:
            raise NotFound("There is no such token; `bursar token list` shows all.")
        is_own = actor.kind == "person" and actor.principal == found.person_id
        actor.require(Act.SEE_SELF if is_own else Act.MANAGE_KEYS)
        if found.revoked_us is not None:
            return Plan(), False
        owner = next(each for each in state.people if each.id == found.person_id)
        draw = Draw()
        revoke_token(draw, owner, found, state.now_us)
        return draw.plan(), True

    return await registry.change(actor, decide)


def _status(token: PersonToken, now_us: int) -> str:
    if token.revoked_us is not None:
        return "revoked"
    return "expired" if token.expires_us is not None and token.expires_us <= now_us else "active"


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)
