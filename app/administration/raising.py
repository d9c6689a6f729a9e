"""Raises: an amount on top of a limit for a while, which ends by itself."""

import datetime as dt
from dataclasses import replace
from typing import Final

from app.administration.acts import find_scope
from app.administration.changes import Actor, Change, Plan
from app.administration.desired import LARGEST_AMOUNT, LimitKey
from app.administration.difference import limit_key
from app.administration.minting import Mint
from app.administration.registry import Registry
from app.administration.shown import scope_names
from app.administration.state import State
from app.audit.entries import Value
from app.errors import InvalidParams, NotFound
from app.identity.roles import Act
from app.quota.arithmetic import ScopeKind
from app.quota.limits import EACH_MEMBER, FLOOR, Raise, StoredLimit

LONGEST: Final = dt.timedelta(days=366)
"""Bursar's own bound: what is to hold for longer is a limit, not a raise."""
MOST_REASON_CHARS: Final = 500


async def grant_raise(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    scope: str,
    key: LimitKey,
    amount: int,
    until: dt.datetime,
    reason: str,
) -> Raise:
    """Have a limit hold `amount` more until that moment.

    `scope` is written as for `set_limits`. A credential's limits are the platform's, so they are changed,
    never raised for a while. Raises NotFound, InvalidParams and NotPermitted.
    """
    actor.require(Act.SET_LIMITS)
    if not reason.strip() or not reason.isprintable() or len(reason) > MOST_REASON_CHARS:
        raise InvalidParams(f"Say why in one line of at most {MOST_REASON_CHARS} characters.")

    def decide(state: State) -> tuple[Plan, Raise]:
        kind, scope_id = find_scope(state, scope)
        wanted = StoredLimit(
            scope_kind=kind, scope_id=scope_id, dimension=key[0], window=key[1], amount=amount
        )
        check_raise(state, wanted, scope=scope, until=until)
        new, change = raise_of(state, mint, actor, wanted, scope=scope, until=until, reason=reason)
        return Plan(changes=(change,), puts=(new,)), new

    return await registry.change(actor, decide)


def check_raise(state: State, wanted: StoredLimit, *, scope: str, until: dt.datetime) -> None:
    """Return if a limit may hold that much more until that moment; raises InvalidParams."""
    if not 1 <= wanted.amount <= LARGEST_AMOUNT:
        raise InvalidParams(f"A raise is a whole number from 1 to {LARGEST_AMOUNT}.")
    if wanted.scope_kind in {ScopeKind.CREDENTIAL, FLOOR}:
        raise InvalidParams(f"{scope} is not raised for a while; set its limit with `bursar limit set`.")
    if not state.now < until <= state.now + LONGEST:
        raise InvalidParams(f"A raise ends in the future, at most {LONGEST.days} days from now.")
    if not _is_limited(state, wanted):
        raise InvalidParams(
            f"{scope} has no limit {limit_key(wanted)} that could be raised; `bursar limit list` shows all."
        )


def raise_of(
    state: State,
    mint: Mint,
    actor: Actor,
    wanted: StoredLimit,
    *,
    scope: str,
    until: dt.datetime,
    reason: str,
) -> tuple[Raise, Change]:
    """The raise of a limit by the amount of `wanted`, which `check_raise` has let pass, and the change that it is."""
    new = Raise(
        id=mint.object_id(),
        scope_kind=wanted.scope_kind,
        scope_id=wanted.scope_id,
        dimension=wanted.dimension,
        window=wanted.window,
        amount=wanted.amount,
        from_us=state.now_us,
        until_us=int(until.timestamp() * 1_000_000),
        reason=reason.strip(),
        granted_by=actor.principal,
        created_us=state.now_us,
    )
    said: dict[str, Value] = {
        "limit": limit_key(wanted),
        "amount": wanted.amount,
        "until": _told(new.until_us),
    }
    change = Change(
        kind="raise",
        object=scope,
        object_id=new.id,
        what="added",
        after={**said, "reason": new.reason},
        logged={"scope_kind": wanted.scope_kind, "scope": wanted.scope_id, "after": said},
    )
    return new, change


async def end_raise(registry: Registry, actor: Actor, *, raise_id: str) -> bool:
    """Have a raise end now; whether it still held or was still to come. Raises NotFound and NotPermitted."""
    actor.require(Act.SET_LIMITS)

    def decide(state: State) -> tuple[Plan, bool]:
        old = next((each for each in state.raises if each.id == raise_id), None)
        if old is None:
            raise NotFound(f"There is no raise {raise_id!a}; `bursar limit raises` shows all.")
        if old.retired_us is not None or old.until_us <= state.now_us:
            return Plan(), False
        change = Change(kind="raise", object=old.id, object_id=old.id, what="retired", logged={})
        return Plan(changes=(change,), puts=(_ended(old, state.now_us),)), True

    return await registry.change(actor, decide)


def shown_raises(state: State, *, all_of_them: bool = False) -> list[dict[str, Value]]:
    """Raises that hold or are to come, or all that ever were, the latest to end first."""
    names, emails = scope_names(state), {each.id: each.email for each in state.people}
    found = [
        each
        for each in state.raises
        if all_of_them or (each.retired_us is None and state.now_us < each.until_us)
    ]
    return [
        {
            "id": each.id,
            "scope": names.get((each.scope_kind, each.scope_id), f"{each.scope_kind}:{each.scope_id}"),
            "key": f"{each.dimension}/{each.window}" if each.window else str(each.dimension),
            "amount": each.amount,
            "from": _told(each.from_us),
            "until": _told(each.until_us),
            "ended": None if each.retired_us is None else _told(each.retired_us),
            "reason": each.reason,
            "granted_by": emails.get(each.granted_by, each.granted_by),
        }
        for each in sorted(found, key=lambda one: (-one.until_us, one.id))
    ]


def _is_limited(state: State, wanted: StoredLimit) -> bool:
    scopes = {(wanted.scope_kind, wanted.scope_id)}
    if wanted.scope_kind == ScopeKind.MEMBER:
        scopes |= {(EACH_MEMBER, each.project_id) for each in state.memberships if each.id == wanted.scope_id}
    return any(
        (each.scope_kind, each.scope_id) in scopes
        and (each.dimension, each.window) == (wanted.dimension, wanted.window)
        for each in state.limits
    )


def _ended(old: Raise, now_us: int) -> Raise:
    return replace(old, retired_us=now_us)


def _told(us: int) -> str:
    return dt.datetime.fromtimestamp(us // 1_000_000, dt.UTC).isoformat().replace("+00:00", "Z")
