"""Limits as a table to be edited, raises, what waits for a second person, and requests for more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from app.administration import proposals
from app.administration.acts import require_limits, set_limits
from app.administration.asking import grant_request, refuse_request, shown_requests
from app.administration.conditional import Conditional
from app.administration.desired import LimitKey
from app.administration.difference import limit_key
from app.administration.durations import end_of
from app.administration.limits_past import LIMIT_SET, LimitChange, LimitChanges
from app.administration.loosening import MODE, OF_RULES, VALUE
from app.administration.proposals import shown_proposals
from app.administration.raising import end_raise, grant_raise, shown_raises
from app.administration.second_person import OPEN, ROSTER, whoever
from app.administration.shown import require_scope, scope_names
from app.administration.state import Proposal, State
from app.administration.upkeep import ERASE, PRUNE, RETENTION, UPKEEP
from app.administration.usage import usage
from app.administration.wording import COUNTED, WINDOWS, key_said, limit_said, scope_said
from app.errors import InvalidParams
from app.identity.roles import Act
from app.quota.arithmetic import parse_limit_key
from app.storage.limits_past import find_limit_changes
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn, note_refusal
from app.web.console.hints import at_the_console
from app.web.console.log_pages import before_asked
from app.web.console.meters import Meter, meters
from app.web.console.previewing import is_saving, preview
from app.web.console.projects import ALL
from app.web.console.rendering import moment
from app.web.console.told import Names
from app.web.errors import STATUS_OF_CODE

LIMITS: Final = frozenset({Act.SET_LIMITS})
DECIDE: Final = frozenset({Act.DECIDE_PROPOSALS, Act.KEEP_LOG})
_MOST_ROWS: Final = 120
_CHANGES_AT_ONCE: Final = 50
_PROPOSED: Final[Mapping[str, str]] = {
    ROSTER: "people on it",
    ERASE: "erase what was asked",
    PRUNE: "delete the content of entries",
    RETENTION: "months for which content is kept",
}
"""What proposals are about that are of no limit."""
_KINDS: Final = ("credential", "project", "each_member", "member", "key", "floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One limit, with where it stands if its window is of days."""

    scope: str
    key: str
    amount: int
    who: str
    what: str
    meter: Meter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One limit as a form wants it; `after` is None where it shall end."""

    scope: str
    key: LimitKey
    spelled: str
    before: int | None
    after: int | None


async def show_quotas(turn: Turn) -> Response:
    """Every limit, with used and reserved."""
    state = await turn.desk.registry.state()
    sought = turn.asked("q").strip().lower()
    found = [
        each for each in await _rows(turn, state) if sought in f"{each.scope} {each.who} {each.what}".lower()
    ]
    return turn.render(
        "quotas.html",
        rows=found[:_MOST_ROWS],
        count=len(found),
        sought=turn.asked("q"),
        raises=shown_raises(state),
        proposals=_waiting(turn, state),
        scopes=_scopes(state),
        counted=COUNTED,
        windows=WINDOWS,
        said=scope_said,
        key_said=key_said,
        today=state.now.date(),
    )


async def show_history(turn: Turn) -> Response:
    """Changes of limits, the newest first: of all, of one, or of those that a search finds."""
    state = await turn.desk.registry.state()
    names, changes = Names(state), LimitChanges(state)
    sought = turn.asked("q").strip().lower()
    scope, key = turn.asked("scope"), turn.asked("key")

    def meets(each: LimitChange) -> bool:
        if (scope and each.scope != scope) or (key and each.key != key):
            return False
        return sought in f"{each.scope} {scope_said(each.scope)} {_what(each.key)}".lower()

    if scope and not turn.problem:
        require_scope(state, scope)
    before = None if turn.problem else before_asked(turn)
    turn.reads_log(op=LIMIT_SET, before=before, limit=_CHANGES_AT_ONCE)
    found = await turn.desk.installation.database.read(
        lambda conn: find_limit_changes(conn, changes, meets, before=before, limit=_CHANGES_AT_ONCE)
    )
    query = {**dict(turn.request.query_params), "before": f"{found.onward}"}
    return turn.render(
        "quotas_history.html",
        changes=[
            {
                **each.shown(),
                "who": scope_said(each.scope),
                "what": _what(each.key),
                "by": names.person(each.by),
            }
            for each in found.changes
        ],
        sought=turn.asked("q"),
        one=f"{scope_said(scope)}: {_what(key)}" if scope and key else "",
        onward="" if found.onward is None else f"{turn.request.url.path}?{urlencode(query)}",
        is_first=before is None,
    )


async def change_limits(turn: Turn) -> Response:
    """Set what differs in the table, after a look at what that does."""
    state = await turn.desk.registry.state()
    rows = {(each.scope, each.key): each for each in await _rows(turn, state)}
    wishes = _wishes(turn, rows)
    for each in wishes:
        require_limits(state, scope=each.scope, seen={each.key: each.before})
    if not is_saving(turn):
        return preview(
            turn,
            back=f"{PATH}/quotas",
            title="Change limits",
            changes=[_shown(each) for each in wishes],
            warnings=_warnings(wishes, rows),
        )
    is_waiting, has_changed = False, False
    by_scope: dict[str, dict[LimitKey, Wish]] = {}
    for each in wishes:
        by_scope.setdefault(each.scope, {})[each.key] = each
    for scope, wished in by_scope.items():
        check = partial(require_limits, scope=scope, seen={key: each.before for key, each in wished.items()})
        done = await set_limits(
            Conditional(turn.desk.registry, check),
            turn.who.actor,
            scope=scope,
            amounts={key: each.after for key, each in wished.items()},
        )
        is_waiting, has_changed = is_waiting or bool(done.waiting), has_changed or done.has_changed
    turn.desk.forget()
    if is_waiting:
        return turn.go(f"{PATH}/quotas", "waiting")
    return turn.go(f"{PATH}/quotas", "saved" if has_changed else "unchanged")


async def add_raise(turn: Turn) -> Response:
    """Have a limit hold more until the end of a day."""
    scope, _, key = turn.given.text("limit", "The limit", most=500).rpartition(" ")
    await grant_raise(
        turn.desk.registry,
        turn.desk.mint,
        turn.who.actor,
        scope=scope,
        key=_parsed(key),
        amount=turn.given.number("amount", "How much more"),
        until=end_of(turn.given.day("until", "Until when")),
        reason=turn.given.text("reason", "The reason", most=500),
    )
    turn.desk.forget()
    return turn.go(f"{PATH}/quotas", "saved")


async def take_back_raise(turn: Turn) -> Response:
    """End a raise now, after a look at what that takes away."""
    raise_id = turn.in_path("id")
    if not is_saving(turn):
        holding = shown_raises(await turn.desk.registry.state())
        found = next((each for each in holding if each["id"] == raise_id), None)
        if found is not None:
            return preview(
                turn,
                back=f"{PATH}/quotas",
                title="End a raise",
                changes=[_ending(found)],
                warnings=["What was used of it stays used, so calls may be refused at once."],
            )
    await end_raise(turn.desk.registry, turn.who.actor, raise_id=raise_id)
    turn.desk.forget()
    return turn.go(f"{PATH}/quotas", "raise-ended")


async def confirm(turn: Turn) -> Response:
    """Make a proposal true, as the second person."""
    await proposals.confirm(turn.desk.registry, turn.who.actor, proposal_id=turn.in_path("id"))
    turn.desk.forget()
    return turn.go(f"{PATH}/quotas", "confirmed")


async def confirm_several(turn: Turn) -> Response:
    """Make those proposals true that are ticked, each by itself, after a look at what they do."""
    ids = turn.given.many("proposal")
    if not ids:
        raise InvalidParams("Tick what you want to confirm.", rule="request")
    state = await turn.desk.registry.state()
    said = {each.id: _proposed(turn, state, each) for each in state.proposals}
    if not is_saving(turn):
        return preview(
            turn,
            back=f"{PATH}/quotas",
            title="Confirm what others proposed",
            changes=[said[each] for each in ids if each in said],
            warnings=[
                "Each is confirmed by itself. One that cannot be stops no other, and you are told why."
            ],
        )
    found = await proposals.confirm_each(turn.desk.registry, turn.who.actor, proposal_ids=ids)
    turn.desk.forget()
    refused = [(each.id, each.refusal) for each in found if each.refusal is not None]
    if not refused:
        return turn.go(f"{PATH}/quotas", "confirmed")
    note_refusal(turn, refused[0][1])
    told = [f"Confirmed: {len(found) - len(refused)} of {len(found)}."]
    for proposal_id, refusal in refused:
        row = said.get(proposal_id)
        name = proposal_id if row is None else f"{row['object']}, {row['what']}"
        told.append(f"{name}: {at_the_console(refusal.message)}")
    response = await show_quotas(replace(turn, problem=" ".join(told)))
    response.status_code = STATUS_OF_CODE[refused[0][1].code]
    return response


async def refuse(turn: Turn) -> Response:
    """End a proposal."""
    await proposals.refuse(turn.desk.registry, turn.who.actor, proposal_id=turn.in_path("id"))
    return turn.go(f"{PATH}/quotas", "refused")


async def show_requests(turn: Turn) -> Response:
    """What people ask for, those that are open first."""
    state = await turn.desk.registry.state()
    found = sorted(shown_requests(state), key=lambda each: each.asked_at, reverse=True)
    uses = {(each.scope, each.key): each for each in await _rows(turn, state)}
    return turn.render(
        "requests.html",
        open=[each for each in reversed(found) if each.state.value == "open"],
        decided=[each for each in found if each.state.value != "open"][:100],
        uses=uses,
        said=scope_said,
        key_said=key_said,
        today=state.now.date(),
    )


async def grant(turn: Turn) -> Response:
    """Raise the limit as asked, or by another amount and until another day."""
    await grant_request(
        turn.desk.registry,
        turn.desk.mint,
        turn.who.actor,
        request=turn.in_path("id"),
        amount=turn.given.number("amount", "How much more"),
        until=turn.given.day("until", "Until when"),
    )
    turn.desk.forget()
    return turn.go(f"{PATH}/requests", "granted")


async def refuse_more(turn: Turn) -> Response:
    """Say no, and why."""
    reason = turn.given.text("reason", "The reason", most=500)
    await refuse_request(turn.desk.registry, turn.who.actor, request=turn.in_path("id"), reason=reason)
    return turn.go(f"{PATH}/requests", "refused")


async def _rows(turn: Turn, state: State) -> list[Row]:
    used = await usage(turn.desk.registry)
    found: dict[tuple[str, str], Meter] = {}
    for (scope, standing), meter in zip(used.limits, meters(used), strict=True):
        limit = standing.limit
        key = f"{limit.dimension}/{limit.window}" if limit.window else str(limit.dimension)
        found[scope, key] = meter
    names = scope_names(state)
    in_use = _in_use(state)
    rows = [
        Row(
            scope=scope,
            key=limit_key(each),
            amount=each.amount,
            who=scope_said(scope),
            what=limit_said(each.dimension, each.window),
            meter=found.get((scope, limit_key(each))),
        )
        for each in state.limits
        if (scope := names.get((each.scope_kind, each.scope_id), "")) and each.scope_id in in_use
    ]
    return sorted(rows, key=lambda each: (_KINDS.index(each.scope.partition(":")[0]), each.scope, each.key))


def _in_use(state: State) -> set[str]:
    kinds: tuple[Sequence[Any], ...] = (state.credentials, state.projects, state.memberships)
    found = {each.id for kind in kinds for each in kind if each.retired_us is None}
    return found | {each.id for each in state.keys if each.revoked_us is None}


def _scopes(state: State) -> list[str]:
    """Scopes that a new limit can be given to."""
    in_use = _in_use(state)
    names = scope_names(state)
    found = [name for (kind, scope_id), name in names.items() if scope_id in in_use and kind != "key"]
    return sorted(found, key=lambda each: (_KINDS.index(each.partition(":")[0]), each))


def _wishes(turn: Turn, rows: dict[tuple[str, str], Row]) -> list[Wish]:
    """What differs between the form and the limits as they are."""
    found: list[Wish] = []
    for name in turn.given.fields:
        marker, _, limit = name.partition(" ")
        scope, _, key = limit.rpartition(" ")
        if marker != "limit" or (scope, key) not in rows:
            continue
        was = f"was {limit}"
        # Without the hidden field the form is not of this page, and speaks about what is there now.
        seen = turn.given.number(was, "The limit") if was in turn.given.fields else rows[scope, key].amount
        said = f"{rows[scope, key].who}: {rows[scope, key].what}"
        after = turn.given.number(name, said) if turn.given.get(name).strip() else None
        if after != seen:
            # What was not touched stays, whatever a colleague has made of it.
            found.append(Wish(scope=scope, key=_parsed(key), spelled=key, before=seen, after=after))
    if turn.given.get("new_amount").strip():
        key = turn.given.text("new_dimension", "What is limited", most=40)
        window = turn.given.get("new_window")
        key = f"{key}/{window}" if window else key
        scope = turn.given.text("new_scope", "Whose limit", most=500)
        old = rows.get((scope, key))
        after = turn.given.number("new_amount", "The new limit")
        before = None if old is None else old.amount
        if after != before:
            found.append(Wish(scope=scope, key=_parsed(key), spelled=key, before=before, after=after))
    return found


def _shown(wish: Wish) -> dict[str, Any]:
    return {
        "object": scope_said(wish.scope),
        "what": limit_said(*wish.key),
        "before": "none" if wish.before is None else f"{wish.before:,}",
        "after": "no limit" if wish.after is None else f"{wish.after:,}",
    }


def _waiting(turn: Turn, state: State) -> list[dict[str, Any]]:
    """What waits for a second person, the newest first."""
    waiting = [each for each in state.proposals if each.outcome == OPEN]
    waiting.sort(key=lambda each: (-each.proposed_us, each.id))
    return [_proposed(turn, state, each) for each in waiting]


def _proposed(turn: Turn, state: State, proposal: Proposal) -> dict[str, Any]:
    """A proposal as a change that is looked at, and whether whoever looks may decide on it."""
    (shown,) = shown_proposals(state, [proposal])
    before, after = f"{proposal.before:,}", "no limit" if proposal.after is None else f"{proposal.after:,}"
    if proposal.what in {ERASE, PRUNE}:
        before, after = "", shown["about"]
    if proposal.what in OF_RULES:
        before, _, after = shown["about"].rpartition(": ")[2].partition(" -> ")
    is_of_log = proposal.what in UPKEEP
    return {
        **shown,
        "object": _object(proposal, shown),
        "what": _said(proposal),
        "before": before,
        "after": after,
        "may_decide": turn.may(Act.KEEP_LOG if is_of_log else Act.DECIDE_PROPOSALS),
        "is_own": proposal.proposed_by == whoever(turn.who.actor),
    }


def _object(proposal: Proposal, shown: Mapping[str, Any]) -> str:
    if proposal.what in OF_RULES:
        return "The terms"
    return "The log" if proposal.what in UPKEEP else scope_said(f"credential:{shown['credential']}")


def _said(proposal: Proposal) -> str:
    told = proposal.permission
    if proposal.what == MODE:
        return str(told["rule"])
    if proposal.what == VALUE:
        return f"{told['name']} from {told['from']}"
    return _PROPOSED.get(proposal.what) or key_said(proposal.what)


def _ending(raised: Mapping[str, Any]) -> dict[str, Any]:
    """The end of a raise, as a change that is looked at."""
    return {
        "object": scope_said(raised["scope"]),
        "what": key_said(raised["key"]),
        "before": f"{raised['amount']:,} more until {moment(raised['until'])} UTC",
        "after": "nothing more",
    }


def _warnings(wishes: Sequence[Wish], rows: dict[tuple[str, str], Row]) -> list[str]:
    """What a change does at once that its author may not expect."""
    found = []
    for each in wishes:
        row = rows.get((each.scope, each.spelled))
        name = f"{scope_said(each.scope)}: {limit_said(*each.key)}"
        if each.after is None:
            found.append(f"{name} is not limited at all any more; only the limits above it are left.")
        elif row is not None and row.meter is not None and each.after <= row.meter.used + row.meter.reserved:
            found.append(f"{name}: {row.meter.used:,} are used already, so calls are refused at once.")
    return found


def _what(key: str) -> str:
    """What a limit is of, in words; of a key that no limit has, the key."""
    try:
        return limit_said(*parse_limit_key(key))
    except ValueError:
        return key


def _parsed(key: str) -> LimitKey:
    try:
        return parse_limit_key(key)
    except ValueError as error:
        raise InvalidParams(f"{error}", rule="request") from error


PAGES: Final = (
    Page(
        method="GET", path="/quotas", answer=show_quotas, acts=ALL, back=show_quotas, takes=frozenset({"q"})
    ),
    Page(
        method="GET",
        path="/quotas/history",
        answer=show_history,
        acts=ALL,
        back=show_history,
        takes=frozenset({"q", "scope", "key", "before"}),
    ),
    Page(
        method="POST",
        path="/quotas",
        answer=change_limits,
        acts=LIMITS,
        back=show_quotas,
        guarded="change limits",
    ),
    Page(
        method="POST",
        path="/raises",
        answer=add_raise,
        acts=LIMITS,
        back=show_quotas,
        guarded="raise a limit for a while",
    ),
    Page(method="POST", path="/raises/{id}/end", answer=take_back_raise, acts=LIMITS, back=show_quotas),
    Page(
        method="POST",
        path="/proposals/{id}/confirmation",
        answer=confirm,
        acts=DECIDE,
        back=show_quotas,
        guarded="confirm what somebody else proposed",
    ),
    Page(
        method="POST",
        path="/proposals/confirmation",
        answer=confirm_several,
        acts=DECIDE,
        back=show_quotas,
        guarded="confirm what others proposed",
    ),
    Page(method="POST", path="/proposals/{id}/refusal", answer=refuse, acts=DECIDE, back=show_quotas),
    Page(method="GET", path="/requests", answer=show_requests, acts=ALL),
    Page(
        method="POST",
        path="/requests/{id}/grant",
        answer=grant,
        acts=LIMITS,
        back=show_requests,
        guarded="grant more of a limit",
    ),
    Page(method="POST", path="/requests/{id}/refusal", answer=refuse_more, acts=LIMITS, back=show_requests),
)
