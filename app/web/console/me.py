"""What a researcher looks in for: what is left, their keys, the terms, and asking for more."""

import datetime as dt
from typing import Final

from starlette.responses import Response

from app.administration.acts import accept_terms
from app.administration.asking import MOST_PURPOSE_CHARS, ask_for_more, shown_requests, withdraw_request
from app.administration.keys import IssuedKey, ShownKey, issue_key, revoke_key, rotate_key, shown_keys
from app.administration.state import slot_of
from app.administration.tokens import end_token, shown_tokens
from app.administration.usage import usage
from app.administration.wording import key_said, limit_said, scope_said
from app.errors import InvalidParams, NotFound
from app.identity.roles import Act
from app.quota.arithmetic import ScopeKind, parse_limit_key
from app.quota.limits import EACH_MEMBER, raised_by
from app.web.api.me import heard_in
from app.web.api.sight import Sight
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.keys import unless_made_since
from app.web.console.meters import by_scope, meters

SELF: Final = frozenset({Act.SEE_SELF})
OWN_KEYS: Final = frozenset({Act.MANAGE_OWN_KEYS})
ASKING: Final = frozenset({Act.ASK_FOR_MORE})
_OVERLAPS: Final = (
    (0, "stop at once"),
    (3_600, "go on for an hour"),
    (86_400, "go on for a day"),
    (604_800, "go on for 7 days"),
)
_DAYS_OF_INDEXING: Final = 4
"""The platform's index lags behind by a few days; an example asks for what is surely there."""


async def show_me(turn: Turn) -> Response:
    """What is left today, and what there is to do first."""
    sight = await turn.sight()
    me = sight.me()
    used = await usage(turn.desk.registry, email=me.email)
    today = sight.state.now.date()
    places = {each.project_id: each for each in sight.own_memberships}
    projects = [each for each in sight.projects.values() if each.id in places or each.id in sight.led]
    settings = turn.desk.installation.settings
    muted = await turn.desk.muted.of(turn.who.person)
    return turn.render(
        "me.html",
        me=me,
        groups=by_scope(meters(used), email=me.email),
        projects=sorted(projects, key=lambda each: each.name),
        pending=sight.state.terms_of(me.id).pending(today),
        led=sight.led,
        is_member=bool(places),
        may_call=sight.state.terms_of(me.id).may_call(today),
        keys=[each for each in _own_keys(turn, sight) if each.status == "active"],
        tokens=[each for each in shown_tokens(sight.state, email=me.email) if each.status == "active"],
        heard=[(each, each.kind not in muted) for each in heard_in(sight)],
        mail_is_sent=settings.smtp_url is not None,
        today=today,
        gateway=settings.public_url,
        example_from=today - dt.timedelta(days=_DAYS_OF_INDEXING + 6),
        example_until=today - dt.timedelta(days=_DAYS_OF_INDEXING),
    )


async def choose_my_notices(turn: Turn) -> Response:
    """Have mail of what is ticked, and of nothing else that could be."""
    kinds = [each.kind for each in heard_in(await turn.sight())]
    ticked = turn.given.many("notice")
    await turn.desk.muted.choose(
        turn.who.person, among=kinds, muted=[each for each in kinds if each not in ticked]
    )
    return turn.go(f"{PATH}/me", "saved")


async def revoke_my_token(turn: Turn) -> Response:
    """End a token of one's own."""
    await end_token(turn.desk.registry, turn.who.actor, token=turn.in_path("id"), person_id=turn.who.person)
    turn.desk.forget()
    return turn.go(f"{PATH}/me", "token-revoked")


async def show_my_keys(turn: Turn) -> Response:
    """One's keys, without secrets."""
    return await _keys_page(turn, None)


async def issue_my_key(turn: Turn) -> Response:
    """A fresh key, with its secrets on this page alone."""
    sight = await turn.sight()
    project = sight.project(turn.given.text("project", "The project", most=100))
    email = sight.me().email
    issued = await issue_key(
        unless_made_since(turn, project.name, email),
        turn.desk.mint,
        turn.who.actor,
        project=project.name,
        email=email,
        expires=turn.given.day_or_none("expires", "The last day"),
    )
    turn.desk.forget()
    return await _keys_page(turn, issued)


async def rotate_my_key(turn: Turn) -> Response:
    """The same key with fresh secrets, on this page alone."""
    key = _own_key(await turn.sight(), turn)
    overlap_s = turn.given.number("overlap_s", "How long the old secrets go on")
    issued = await rotate_key(
        turn.desk.registry, turn.desk.mint, turn.who.actor, key=key, overlap_s=overlap_s
    )
    turn.desk.forget()
    return await _keys_page(turn, issued)


async def revoke_my_key(turn: Turn) -> Response:
    """End a key."""
    key = _own_key(await turn.sight(), turn)
    await revoke_key(turn.desk.registry, turn.who.actor, key=key)
    turn.desk.forget()
    return turn.go(f"{PATH}/my-keys", "revoked")


async def show_my_terms(turn: Turn) -> Response:
    """The terms in force with their text, and what was accepted when."""
    sight = await turn.sight()
    state, today = sight.state, sight.state.now.date()
    mine = state.terms_of(turn.who.person)
    accepted = {each.version: each for each in state.acceptances if each.person_id == turn.who.person}
    versions = sorted(sight.terms.values(), key=lambda each: each.in_force_from, reverse=True)
    return turn.render(
        "my_terms.html",
        current=state.terms_at(today),
        pending=mine.pending(today),
        may_call=mine.may_call(today),
        accept_by=mine.accept_by(today),
        versions=versions,
        accepted=accepted,
        today=today,
    )


async def accept_my_terms(turn: Turn) -> Response:
    """Accept the version whose text was shown."""
    version = turn.given.text("version", "The version", most=64)
    terms = (await turn.sight()).terms.get(version)
    if terms is None or terms.text_sha256 != turn.given.get("text_sha256"):
        raise NotFound("The terms have changed since this page was opened. Read them again.", rule="sight")
    if turn.given.get("agrees") != "yes":
        raise InvalidParams("Tick that you have read and accept the terms.", rule="request")
    await accept_terms(turn.desk.registry, turn.who.actor, person_id=turn.who.person, version=version)
    turn.desk.forget()
    return turn.go(f"{PATH}/my-terms", "accepted")


async def show_more(turn: Turn) -> Response:
    """What one asked for, and the form to ask."""
    sight = await turn.sight()
    me = sight.me()
    choices = _raisable(sight)
    asked = sorted(shown_requests(sight.state, email=me.email), key=lambda each: each.asked_at, reverse=True)
    until = sight.state.now.date() + dt.timedelta(days=14)
    return turn.render(
        "more.html",
        choices=choices,
        asked=asked,
        until=until,
        today=sight.state.now.date(),
        me=me,
        scope_said=scope_said,
        key_said=key_said,
        most_chars=MOST_PURPOSE_CHARS,
    )


async def ask(turn: Turn) -> Response:
    """Ask for more of a limit."""
    scope, _, key = turn.given.text("limit", "The limit", most=500).rpartition(" ")
    kind, _, name = scope.partition(":")
    try:
        wanted = parse_limit_key(key)
    except ValueError as error:
        raise InvalidParams("Choose a limit.", rule="request") from error
    await ask_for_more(
        turn.desk.registry,
        turn.desk.mint,
        turn.who.actor,
        project=name,
        for_project=kind == "project",
        key=wanted,
        amount=turn.given.number("amount", "How much more"),
        until=turn.given.day("until", "Until when"),
        # A browser sends two characters where a line ends, and counts one.
        reason=turn.given.text("reason", "What for", most=2 * MOST_PURPOSE_CHARS),
    )
    return turn.go(f"{PATH}/more", "asked")


async def withdraw(turn: Turn) -> Response:
    """Take back a request of one's own."""
    await withdraw_request(turn.desk.registry, turn.who.actor, request=turn.in_path("id"))
    return turn.go(f"{PATH}/more", "withdrawn")


def _own_keys(turn: Turn, sight: Sight) -> list[ShownKey]:
    places = {each.id for each in sight.own_memberships}
    mine = shown_keys(sight.state, turn.desk.mint, email=sight.me().email)
    return [each for each in mine if sight.keys[each.key_id].membership_id in places]


def _own_key(sight: Sight, turn: Turn) -> str:
    places = {each.id for each in sight.own_memberships}
    found = sight.keys.get(turn.in_path("id"))
    if found is None or found.membership_id not in places:
        raise NotFound("There is no such key of yours.", rule="sight")
    return found.id


async def _keys_page(turn: Turn, issued: IssuedKey | None) -> Response:
    sight = await turn.sight()
    status = {"active": 0, "expired": 1, "revoked": 2}
    keys = sorted(_own_keys(turn, sight), key=lambda each: (status[each.status], each.project, each.key_id))
    names = sorted(sight.projects[each.project_id].name for each in sight.own_memberships)
    return turn.render(
        "my_keys.html",
        keys=keys,
        projects=names,
        issued=issued,
        overlaps=_OVERLAPS,
        opened=sight.state.now_us,
        today=sight.state.now.date(),
        gateway=turn.desk.installation.settings.public_url,
    )


def _raisable(sight: Sight) -> list[tuple[str, str]]:
    """Limits that one may ask more of: one's own in each project, and those of projects that one leads.

    Each as the value of the form, `member:elections requests/day`, and as people read it, with what it holds now.
    """
    found: dict[str, str] = {}
    own = {each.id: sight.projects[each.project_id].name for each in sight.own_memberships}
    projects = {sight.projects[each.project_id].id: own[each.id] for each in sight.own_memberships}
    places = {each.project_id: each.id for each in sight.own_memberships}
    raised = raised_by(sight.state.raises, now_us=sight.state.now_us)
    for limit in sight.state.limits:
        now = limit.amount + raised.get(slot_of(limit), 0)
        if limit.scope_kind == EACH_MEMBER and limit.scope_id in places:
            own_slot = (ScopeKind.MEMBER.value, places[limit.scope_id], limit.dimension, limit.window)
            now += raised.get(own_slot, 0)
        key = f"{limit.dimension}/{limit.window}" if limit.window else str(limit.dimension)
        said = f"{limit_said(limit.dimension, limit.window)} (now {now:,})"
        if limit.scope_kind == "member" and limit.scope_id in own:
            name = own[limit.scope_id]
            found[f"member:{name} {key}"] = f"My own in {name}: {said}"
        elif limit.scope_kind == EACH_MEMBER and limit.scope_id in projects:
            name = projects[limit.scope_id]
            found.setdefault(f"member:{name} {key}", f"My own in {name}: {said}")
        elif limit.scope_kind == "project" and limit.scope_id in sight.led:
            name = sight.projects[limit.scope_id].name
            found[f"project:{name} {key}"] = f"{scope_said(f'project:{name}')}: {said}"
    return sorted(found.items())


PAGES: Final = (
    Page(method="GET", path="/me", answer=show_me, acts=SELF),
    Page(method="POST", path="/me/notices", answer=choose_my_notices, acts=SELF, back=show_me),
    Page(method="POST", path="/me/tokens/{id}/end", answer=revoke_my_token, acts=SELF, back=show_me),
    Page(method="GET", path="/my-keys", answer=show_my_keys, acts=OWN_KEYS),
    Page(
        method="POST",
        path="/my-keys",
        answer=issue_my_key,
        acts=OWN_KEYS,
        back=show_my_keys,
        guarded="make a key",
    ),
    Page(
        method="POST",
        path="/my-keys/{id}/rotation",
        answer=rotate_my_key,
        acts=OWN_KEYS,
        back=show_my_keys,
        guarded="put a new key in the place of one",
    ),
    Page(method="POST", path="/my-keys/{id}/end", answer=revoke_my_key, acts=OWN_KEYS, back=show_my_keys),
    Page(method="GET", path="/my-terms", answer=show_my_terms, acts=SELF),
    Page(
        method="POST",
        path="/my-terms",
        answer=accept_my_terms,
        acts=frozenset({Act.ACCEPT_TERMS}),
        back=show_my_terms,
    ),
    Page(method="GET", path="/more", answer=show_more, acts=ASKING),
    Page(method="POST", path="/more", answer=ask, acts=ASKING, back=show_more),
    Page(method="POST", path="/more/{id}/withdrawal", answer=withdraw, acts=ASKING, back=show_more),
)
