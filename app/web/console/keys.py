"""Keys of everybody: found, made for somebody one by one or from a list, ended."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from app.administration.conditional import Conditional, version_of
from app.administration.keys import IssuedKey, WantedKey, issue_key, issue_keys, revoke_key, shown_keys
from app.administration.lists import keys_in
from app.administration.state import State
from app.audit.sheets import cell
from app.errors import ChangedMeanwhile
from app.identity.roles import Act
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.previewing import VERSION, counted, is_saving, preview
from app.web.console.projects import ALL

_KEYS: Final = frozenset({Act.MANAGE_KEYS})
_LIST: Final = f"{PATH}/keys"
_MOST_SHOWN: Final = 500
_COLUMNS: Final = ("project", "person", "expires", "api_key", "client_key", "client_secret")


async def show_keys(turn: Turn) -> Response:
    """Every key, without secrets."""
    return await _keys_page(turn)


async def issue_any_key(turn: Turn) -> Response:
    """A key for somebody, with its secrets on this page alone."""
    project, _, email = turn.given.text("member", "For whom", most=500).rpartition(" ")
    issued = await issue_key(
        unless_made_since(turn, project, email),
        turn.desk.mint,
        turn.who.actor,
        project=project,
        email=email,
        expires=turn.given.day_or_none("expires", "The last day"),
    )
    turn.desk.forget()
    return await _keys_page(turn, issued=issued)


def unless_made_since(turn: Turn, project: str, email: str) -> Conditional:
    """The registry, where that person has been made no key in the project since the form was opened.

    A form that is sent twice, or loaded again, would make a second key and leave the first without anybody who has it.
    """
    opened = turn.given.get("opened")

    def check(state: State) -> None:
        owner, place = state.person(email), state.project(project)
        member = None if owner is None or place is None else state.membership(place, owner)
        if member is None or not opened.isdigit():
            return
        if any(each.membership_id == member.id and each.created_us > int(opened) for each in state.keys):
            raise ChangedMeanwhile(
                f"A key of {email} in {project} was made after this form was opened, perhaps by this form: look at "
                "the list. Revoke it if nobody has it. To make one more, send the form again.",
                rule="if-match",
            )

    return Conditional(turn.desk.registry, check)


async def end_any_key(turn: Turn) -> Response:
    """End somebody's key."""
    await revoke_key(turn.desk.registry, turn.who.actor, key=turn.in_path("id"))
    turn.desk.forget()
    return turn.go(_LIST, "revoked")


async def import_keys(turn: Turn) -> Response:
    """Keys for many people from a list, looked at before they are made; their secrets are on this page alone."""
    desk, actor = turn.desk, turn.who.actor
    listed = keys_in(turn.given.text("csv", "The list", most=200_000))
    wanted, wrong = listed.keys, listed.wrong
    if not is_saving(turn):
        await issue_keys(desk.registry, desk.mint, actor, wanted, wrong=wrong, is_dry_run=True)
        state = await desk.registry.state()
        return preview(
            turn,
            back=_LIST,
            title=f"Make {counted(len(wanted), 'key', 'keys')}",
            changes=[_as_change(each) for each in wanted],
            warnings=_warnings(turn, state, wanted),
            version=_version(turn, state, wanted),
        )

    def check(state: State) -> None:
        # Sent a second time, the same list would make every key again.
        if turn.given.get(VERSION) != _version(turn, state, wanted):
            raise ChangedMeanwhile(
                "Keys of these people were made or ended since you looked, so none was made. Look again.",
                rule="if-match",
            )

    issued = await issue_keys(Conditional(desk.registry, check), desk.mint, actor, wanted, wrong=wrong)
    desk.forget()
    return await _keys_page(turn, made=list(zip(wanted, issued, strict=True)))


def _as_change(wanted: WantedKey) -> dict[str, Any]:
    lasts = "as long as they are a member" if wanted.expires is None else f"through {wanted.expires}"
    return {"object": f"{wanted.email} in {wanted.project}", "what": "key", "before": "", "after": lasts}


def _working(turn: Turn, state: State, wanted: Sequence[WantedKey]) -> dict[str, str]:
    """Ids of keys that work of whom the list names, each with its owner."""
    named = {(each.project, each.email) for each in wanted}
    return {
        each.key_id: each.email
        for each in shown_keys(state, turn.desk.mint)
        if each.status == "active" and (each.project, each.email) in named
    }


def _version(turn: Turn, state: State, wanted: Sequence[WantedKey]) -> str:
    return version_of(_working(turn, state, wanted))


def _warnings(turn: Turn, state: State, wanted: Sequence[WantedKey]) -> list[str]:
    owners = sorted(set(_working(turn, state, wanted).values()))
    if not owners:
        return []
    return [f"These have a key that works already, which goes on working: {', '.join(owners)}."]


def _table(made: Sequence[tuple[WantedKey, IssuedKey]]) -> dict[str, str] | None:
    """The fresh secrets as lines of CSV, and as an address from which a browser saves them; None without any."""
    if not made:
        return None
    rows = [
        (each.project, each.email, each.expires, key.api_key, key.client_key, key.client_secret)
        for each, key in made
    ]
    lines = [",".join(map(cell, row)) for row in (_COLUMNS, *rows)]
    encoded = base64.b64encode("\r\n".join([*lines, ""]).encode()).decode()
    return {"text": "\n".join(lines), "address": f"data:text/csv;base64,{encoded}"}


async def _keys_page(
    turn: Turn, *, issued: IssuedKey | None = None, made: Sequence[tuple[WantedKey, IssuedKey]] = ()
) -> Response:
    state = await turn.desk.registry.state()
    sought, is_all = turn.asked("q").strip().lower(), not turn.problem and turn.is_asked("all")
    found = [
        each
        for each in shown_keys(state, turn.desk.mint)
        if (is_all or each.status == "active")
        and sought in f"{each.client_key} {each.project} {each.email}".lower()
    ]
    emails = {each.id: each.email for each in state.people}
    projects = {each.id: each.name for each in state.projects if each.retired_us is None}
    members: list[Any] = sorted(
        (projects[each.project_id], emails[each.person_id])
        for each in state.memberships
        if each.retired_us is None and each.project_id in projects
    )
    return turn.render(
        "keys.html",
        found=found[:_MOST_SHOWN],
        count=len(found),
        sought=turn.asked("q"),
        is_all=is_all,
        issued=issued,
        made=_table(made),
        members=members,
        opened=state.now_us,
        today=state.now.date(),
    )


PAGES: Final = (
    Page(
        method="GET",
        path="/keys",
        answer=show_keys,
        acts=ALL,
        back=show_keys,
        takes=frozenset({"q", "all"}),
    ),
    Page(
        method="POST",
        path="/keys",
        answer=issue_any_key,
        acts=_KEYS,
        back=show_keys,
        guarded="make a key for somebody",
    ),
    Page(
        method="POST",
        path="/new-keys",
        answer=import_keys,
        acts=_KEYS,
        back=show_keys,
        guarded="make keys for those of a list",
    ),
    Page(method="POST", path="/keys/{id}/end", answer=end_any_key, acts=_KEYS, back=show_keys),
)
