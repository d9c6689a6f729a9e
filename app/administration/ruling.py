"""Setting a rule's mode, and stating a number of the terms: what is stricter at once, what is weaker as a proposal."""

import datetime as dt

from app.administration.changes import Actor, Plan
from app.administration.loosening import RulesSet, hold_back_rules
from app.administration.policy import plan_of_mode, plan_of_value
from app.administration.registry import Registry
from app.administration.second_person import HeldBack
from app.administration.state import State
from app.identity.roles import Act
from app.ids import new_object_id


async def set_mode(registry: Registry, actor: Actor, *, rule: str, mode: str) -> RulesSet:
    """Have a rule enforce, warn or shadow; under two-person control a weaker mode becomes a proposal.

    `rule` may leave the version out. Raises InvalidParams for an unknown rule or mode, NotPermitted.
    """
    actor.require(Act.MANAGE_RULES)

    def decide(state: State) -> tuple[Plan, RulesSet]:
        return _held(registry, state, plan_of_mode(state, rule=rule, mode=mode), actor)

    return await registry.change(actor, decide)


async def state_value(
    registry: Registry, actor: Actor, *, name: str, amount: int, from_day: dt.date, source: str
) -> RulesSet:
    """State what the institution's terms say of a value from a day on.

    Under two-person control an amount that asks less becomes a proposal. Raises InvalidParams for a value that cannot be
    stated or an amount that is none, NotPermitted.
    """
    actor.require(Act.MANAGE_RULES)

    def decide(state: State) -> tuple[Plan, RulesSet]:
        plan = plan_of_value(state, name=name, amount=amount, from_day=from_day, source=source)
        return _held(registry, state, plan, actor)

    return await registry.change(actor, decide)


def _held(registry: Registry, state: State, plan: Plan, actor: Actor) -> tuple[Plan, RulesSet]:
    held = HeldBack(plan=plan)
    if registry.needs_second_person:
        held = hold_back_rules(state, plan, actor, new_id=new_object_id)
    has_changed = any(each.kind != "proposal" for each in held.plan.changes)
    return held.plan, RulesSet(has_changed=has_changed, waiting=held.waiting)
