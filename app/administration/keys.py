"""Keys and tokens: issued, rotated with an overlap, revoked. A secret is shown once and kept as a digest."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from app.administration.changes import Actor, Change, Draw, Plan
from app.administration.durations import end_of
from app.administration.finding import find_person, find_project
from app.administration.lines import Wrong, refused
from app.administration.minting import Mint
from app.administration.registry import Registry
from app.administration.retiring import revoke
from app.administration.state import Key, Membership, Person, PersonToken, State
from app.errors import Conflict, InvalidParams, NotFound
from app.identity.keys import parse_client_key
from app.identity.roles import Act

LONGEST_OVERLAP_S: Final = 7 * 86_400
"""How long an old secret may go on working after a rotation."""

TOKEN_DAYS: Final = 90
"""Life of a person's token where no other day is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedKey:
    """A key to be made for a member of a project, good through the day `expires` (UTC).

    `line` is where it stands in the list that asks for it.
    """

    project: str
    email: str
    expires: dt.date | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key with its fresh secrets, which nobody can be told again; `repr` shows neither."""

    key_id: str
    client_key: str
    client_secret: str = field(repr=False)
    api_key: str = field(repr=False)
    expires_at: dt.datetime | None
    old_until: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A person's fresh bearer token; `repr` does not show it."""

    token: str = field(repr=False)
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """What may be shown of a key at any time; `status` is active, expired or revoked."""

    key_id: str
    client_key: str
    project: str
    email: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    old_until: dt.datetime | None
    status: str


async def issue_key(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    project: str,
    email: str,
    expires: dt.date | None = None,
) -> IssuedKey:
    """A new key of that person's membership, good through the day `expires` (UTC).

    Raises NotFound where there is no such project, person or membership; InvalidParams for a past day;
    NotPermitted.
    """

    wanted = [WantedKey(project=project, email=email, expires=expires)]
    (issued,) = await issue_keys(registry, mint, actor, wanted)
    return issued


async def issue_keys(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    wanted: Sequence[WantedKey],
    *,
    wrong: Sequence[Wrong] = (),
    is_dry_run: bool = False,
) -> Sequence[IssuedKey]:
    """New keys in that order, all or none; with `is_dry_run` they are made for nothing.

    Raises as `issue_key` does: of a list for every line at once, those that are `wrong` already included.
    """

    def decide(state: State) -> tuple[Plan, Sequence[IssuedKey]]:
        draw, issued, refusals = Draw(), [], list(wrong)
        for each in wanted:
            try:
                person, place = _member(state, each.project, each.email)
                expires_us = _end_us(state, each.expires)
            except (NotFound, InvalidParams) as error:
                if each.line is None:
                    raise
                told = type(error)(f"Line {each.line}: {error.message}", rule=error.rule)
                refusals.append(Wrong(line=each.line, refusal=told))
                continue
            _require_over_keys(actor, person)
            key_id = mint.key_id()
            secret, api_key = mint.secret(key_id), mint.secret(key_id)
            key = Key(
                id=key_id,
                membership_id=place.id,
                client_secret_digest=secret.digest,
                api_key_digest=api_key.digest,
                created_us=state.now_us,
                expires_us=expires_us,
            )
            draw.changes.append(_key_change(key, "issued", person, place, after=_iso(key.expires_us)))
            draw.puts.append(key)
            issued.append(
                IssuedKey(
                    key_id=key_id,
                    client_key=mint.client_key(key_id),
                    client_secret=secret.text,
                    api_key=api_key.text,
                    expires_at=_moment(key.expires_us),
                )
            )
        if refusals:
            raise refused(refusals)
        return draw.plan(), issued

    return decide(await registry.state())[1] if is_dry_run else await registry.change(actor, decide)


async def rotate_key(
    registry: Registry, mint: Mint, actor: Actor, *, key: str, overlap_s: int = 0
) -> IssuedKey:
    """The same key with fresh secrets; the old ones go on working for `overlap_s` seconds, at most 7 days.

    Raises InvalidParams for a longer overlap, NotFound, Conflict for a key that was revoked, NotPermitted.
    """
    if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
        raise InvalidParams(
            f"The old secret may work for 0 to {LONGEST_OVERLAP_S} seconds (7 days) more, not {overlap_s}."
        )

    def decide(state: State) -> tuple[Plan, IssuedKey]:
        old, person, place = _known_key(state, key)
        _require_over_keys(actor, person)
        if old.revoked_us is not None:
            raise Conflict("This key was revoked; issue a new one.")
        secret, api_key = mint.secret(old.id), mint.secret(old.id)
        new = replace(
            old,
            client_secret_digest=secret.digest,
            api_key_digest=api_key.digest,
            old_client_secret_digest=old.client_secret_digest if overlap_s else None,
            old_api_key_digest=old.api_key_digest if overlap_s else None,
            old_until_us=state.now_us + overlap_s * 1_000_000 if overlap_s else None,
        )
        change = _key_change(new, "rotated", person, place, after=_iso(new.old_until_us))
        issued = IssuedKey(
            key_id=new.id,
            client_key=mint.client_key(new.id),
            client_secret=secret.text,
            api_key=api_key.text,
            expires_at=_moment(new.expires_us),
            old_until=_moment(new.old_until_us),
        )
        return Plan(changes=(change,), puts=(new,)), issued

    return await registry.change(actor, decide)


async def revoke_key(registry: Registry, actor: Actor, *, key: str) -> bool:
    """End a key at once, everywhere; whether it still worked. Raises NotFound, NotPermitted."""

    def decide(state: State) -> tuple[Plan, bool]:
        known, person, _ = _known_key(state, key)
        _require_over_keys(actor, person)
        if known.revoked_us is not None:
            return Plan(), False
        draw = Draw()
        revoke(draw, known, state.now_us)
        return draw.plan(), True

    return await registry.change(actor, decide)


async def issue_token(
    registry: Registry, mint: Mint, actor: Actor, *, email: str, expires: dt.date | None = None
) -> IssuedToken:
    """A bearer token for `/api/v1` with that person's roles, good through `expires` or for 90 days.

    Raises NotFound, InvalidParams for a past day, NotPermitted.
    """
    actor.require(Act.MANAGE_KEYS)

    def decide(state: State) -> tuple[Plan, IssuedToken]:
        person = find_person(state, email)
        last_day = expires or state.now.date() + dt.timedelta(days=TOKEN_DAYS)
        token_id = mint.key_id()
        secret = mint.secret(token_id)
        token = PersonToken(
            id=token_id,
            person_id=person.id,
            digest=secret.digest,
            created_us=state.now_us,
            expires_us=_end_us(state, last_day),
        )
        expires_at = end_of(last_day)
        change = Change(
            kind="token",
            object=person.email,
            object_id=token_id,
            what="issued",
            after=expires_at.isoformat(),
            logged={"person": person.id, "after": expires_at.isoformat()},
        )
        return Plan(changes=(change,), puts=(token,)), IssuedToken(token=secret.text, expires_at=expires_at)

    return await registry.change(actor, decide)


def shown_keys(
    state: State, mint: Mint, *, project: str | None = None, email: str | None = None
) -> Sequence[ShownKey]:
    """What may be shown of every key, of one project or person where asked. Raises NotFound."""
    only_project = None if project is None else find_project(state, project).id
    only_person = None if email is None else find_person(state, email).id
    places = {each.id: each for each in state.memberships}
    projects = {each.id: each.name for each in state.projects}
    emails = {each.id: each.email for each in state.people}
    shown = []
    for key in state.keys:
        place = places[key.membership_id]
        if only_project not in {None, place.project_id} or only_person not in {None, place.person_id}:
            continue
        shown.append(
            ShownKey(
                key_id=key.id,
                client_key=mint.client_key(key.id),
                project=projects[place.project_id],
                email=emails[place.person_id],
                created_at=dt.datetime.fromtimestamp(key.created_us / 1_000_000, dt.UTC),
                expires_at=_moment(key.expires_us),
                old_until=_moment(key.old_until_us),
                status=_status(key, state.now_us),
            )
        )
    return sorted(shown, key=lambda each: (each.project, each.email, each.created_at))


def shown_key(state: State, mint: Mint, *, key: str) -> ShownKey:
    """What may be shown of one key, by its id or its client_key. Raises NotFound."""
    known, _, _ = _known_key(state, key)
    return next(each for each in shown_keys(state, mint) if each.key_id == known.id)


def _status(key: Key, now_us: int) -> str:
    if key.revoked_us is not None:
        return "revoked"
    return "expired" if key.expires_us is not None and key.expires_us <= now_us else "active"


def _require_over_keys(actor: Actor, owner: Person) -> None:
    is_own = actor.kind == "person" and actor.principal == owner.id
    actor.require(Act.MANAGE_OWN_KEYS if is_own and not actor.may(Act.MANAGE_KEYS) else Act.MANAGE_KEYS)


def _key_change(key: Key, what: str, person: Person, place: Membership, *, after: str | None) -> Change:
    logged = {"member": place.id, "person": person.id, "project": place.project_id, "after": after}
    return Change(kind="key", object=key.id, object_id=key.id, what=what, after=after, logged=logged)


def _known_key(state: State, text: str) -> tuple[Key, Person, Membership]:
    key_id = parse_client_key(text) or text
    key = next((each for each in state.keys if each.id == key_id), None)
    if key is None:
        raise NotFound("There is no such key; `bursar key list` shows all.")
    place = next(each for each in state.memberships if each.id == key.membership_id)
    return key, next(each for each in state.people if each.id == place.person_id), place


def _member(state: State, project: str, email: str) -> tuple[Person, Membership]:
    found, person = find_project(state, project), find_person(state, email)
    place = state.membership(found, person)
    if place is None:
        raise NotFound(f"{person.email} is no member of project {found.name}; add them first.")
    return person, place


def _end_us(state: State, day: dt.date | None) -> int | None:
    if day is None:
        return None
    if day < state.now.date():
        raise InvalidParams(f"{day} is over; give a day from today on.")
    return int(end_of(day).timestamp()) * 1_000_000


def _moment(us: int | None) -> dt.datetime | None:
    return None if us is None else dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)


def _iso(us: int | None) -> str | None:
    moment = _moment(us)
    return None if moment is None else moment.isoformat()
