"""Rules of the terms with their modes, and the dated values."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.administration.policy import shown_rules, shown_values
from app.administration.proposals import shown_proposals
from app.administration.ruling import set_mode
from app.administration.ruling import state_value as state_it
from app.administration.state import State
from app.errors import NotFound
from app.web.api.conditions import OnlyIf, WithTag
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import changing, reading, refusals
from app.web.api.guard import GuardedRoute
from app.web.api.rule_shapes import (
    ModeWanted,
    Rules,
    RuleSetShape,
    RuleShape,
    ValueSetShape,
    ValueShape,
    ValueWanted,
)
from app.web.api.shapes import Day

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], route_class=GuardedRoute)
RuleId = Annotated[
    str, Path(max_length=64, description="A rule's id, with its version.", examples=["named-collaborator/1"])
]

ValueName = Annotated[
    str, Path(max_length=64, description="A value's name.", examples=["refresh_interval_days"])
]
FromDay = Annotated[Day, Path(description="The first day on which it holds.", examples=["2026-03-01"])]


@router.get("", summary="Rules and dated values", responses=refusals())
async def list_rules(desk: AtDesk) -> Rules:
    """Every rule with its clause, source and mode, and every number of the terms that may change."""
    state = await desk.registry.state()
    return Rules(
        items=[RuleShape.model_validate(each) for each in shown_rules(state)],
        values=[ValueShape.model_validate(each) for each in shown_values(state)],
    )


@router.put("/values/{value}/{from_day}", summary="State a value", responses=refusals(413))
async def state_value(
    desk: AtDesk, who: Who, value: ValueName, from_day: FromDay, wanted: ValueWanted
) -> ValueSetShape:
    """What the institution's own terms say of a dated value from a day on. The change is logged.

    Under two-person control an amount that asks less of people waits until a second administrator has confirmed it.
    """
    done = await state_it(
        desk.registry, who.actor, name=value, amount=wanted.amount, from_day=from_day, source=wanted.source
    )
    desk.forget()
    state = await desk.registry.state()
    shown = next(each for each in shown_values(state) if each["name"] == value)
    return ValueSetShape.model_validate({**shown, "waiting": shown_proposals(state, done.waiting)})


@router.get("/{rule:path}", summary="One rule", responses=reading())
async def get_rule(desk: AtDesk, tagging: WithTag, rule: RuleId) -> RuleShape:
    """One rule, with or without its version."""
    found = _shown(await desk.registry.state(), rule)
    if found is None:
        raise NotFound(f"There is no rule {rule!a}.", rule="sight")
    return tagging.shown(found)


@router.put("/{rule:path}", summary="Set a rule's mode", responses=changing(413))
async def set_rule(desk: AtDesk, who: Who, only: OnlyIf, rule: RuleId, wanted: ModeWanted) -> RuleSetShape:
    """Have a rule `enforce`, `warn` or `shadow` from the next call on. The change is logged.

    Under two-person control a weaker mode waits until a second administrator has confirmed it.
    """
    registry = only.on(desk.registry, lambda state: _shown(state, rule))
    done = await set_mode(registry, who.actor, rule=rule, mode=wanted.mode)
    desk.forget()
    state = await desk.registry.state()
    name = rule.partition("/")[0]
    shown = next(each for each in shown_rules(state) if each["rule"].partition("/")[0] == name)
    now = only.shown(RuleShape.model_validate(shown))
    return RuleSetShape.model_validate({**now.model_dump(), "waiting": shown_proposals(state, done.waiting)})


def _shown(state: State, rule: str) -> RuleShape | None:
    for each in shown_rules(state):
        if rule in {each["rule"], each["rule"].partition("/")[0]}:
            return RuleShape.model_validate(each)
    return None
