"""How many people may use a credential, changed without a state file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.administration.changes import Actor, Plan
from app.administration.desired import require_permission
from app.administration.facing import credential_face, differences
from app.administration.finding import find_credential
from app.administration.minting import Mint
from app.administration.registry import Registry
from app.administration.rosters import check_rosters
from app.administration.second_person import HeldBack, hold_back
from app.administration.state import Proposal, State
from app.errors import InvalidParams
from app.identity.roles import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterSet:
    """Whether anything changed; `waiting` is for a second person to confirm."""

    has_changed: bool
    waiting: Sequence[Proposal] = ()


async def set_roster(
    registry: Registry,
    mint: Mint,
    actor: Actor,
    *,
    name: str,
    roster_limit: int,
    permission: Mapping[str, Any] | None = None,
) -> RosterSet:
    """Have so many people use a credential; a permission that was recorded before stays where none is given.

    Under two-person control a raise becomes a proposal. Raises NotFound, NotPermitted, and InvalidParams for more than
    ten without a permission and for fewer than there are.
    """
    actor.require(Act.MANAGE_DIRECTORY)

    def decide(state: State) -> tuple[Plan, RosterSet]:
        old = find_credential(state, name)
        granted = dict(old.permission if permission is None else permission)
        try:
            require_permission(roster_limit, is_given=bool(granted))
        except ValueError as error:
            raise InvalidParams(f"{error}.", rule="request") from error
        new = replace(old, roster_limit=roster_limit, permission=granted)
        changes = differences("credential", name, old.id, credential_face(old), credential_face(new))
        if not changes:
            return Plan(), RosterSet(has_changed=False)
        others = [each for each in state.credentials if each.id != old.id]
        check_rosters(
            credentials=[*others, new],
            projects=state.projects,
            memberships=state.memberships,
            today=state.now.date(),
        )
        held = HeldBack(plan=Plan(changes=changes, puts=(new,)))
        if registry.needs_second_person:
            held = hold_back(state, held.plan, actor, new_id=mint.object_id)
        has_changed = any(each.kind == "credential" for each in held.plan.changes)
        return held.plan, RosterSet(has_changed=has_changed, waiting=held.waiting)

    return await registry.change(actor, decide)
