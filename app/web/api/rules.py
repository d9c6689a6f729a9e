"""Rules of the terms with their modes, and the dated values."""

from typing import Annotated

from fastapi import APIRouter, Path

from app.administration.policy import set_mode, shown_rules, shown_values
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.shapes import ModeWanted, Rules, RuleShape, ValueShape

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], route_class=GuardedRoute)
RuleId = Annotated[
    str, Path(max_length=64, description="A rule's id, with its version.", examples=["named-collaborator/1"])
]


@router.get("", summary="Rules and dated values", responses=refusals())
async def list_rules(desk: AtDesk) -> Rules:
    """Every rule with its clause, source and mode, and every number of the terms that may change."""
    state = await desk.registry.state()
    return Rules(
        items=[RuleShape.model_validate(each) for each in shown_rules(state)],
        values=[ValueShape.model_validate(each) for each in shown_values(state)],
    )


@router.put("/{rule:path}", summary="Set a rule's mode", responses=refusals(413))
async def set_rule(desk: AtDesk, who: Who, rule: RuleId, wanted: ModeWanted) -> RuleShape:
    """Have a rule `enforce`, `warn` or `shadow` from the next call on. The change is logged."""
    await set_mode(desk.registry, who.actor, rule=rule, mode=wanted.mode)
    desk.forget()
    shown = shown_rules(await desk.registry.state())
    name = rule.partition("/")[0]
    return RuleShape.model_validate(next(each for each in shown if each["rule"].partition("/")[0] == name))
