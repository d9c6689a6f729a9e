"""Looking after the log: erasing, pruning, and how long entries are kept. Each proposes, and another person confirms."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.administration.proposals import shown_proposals
from app.administration.state import Proposal, State
from app.administration.upkeep import (
    LEAST_MONTHS,
    MOST_MONTHS,
    RETENTION,
    propose_erasure,
    propose_pruning,
    propose_retention,
    retention_months,
    waiting,
)
from app.ids import new_object_id
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.limit_shapes import ProposalShape
from app.web.api.shapes import Day, example

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=GuardedRoute)


class ErasureWanted(BaseModel):
    """Whose questions shall be erased, by address or id: of one month, otherwise of all."""

    model_config = example(person="ada@example.edu", month="2026-05")
    person: Annotated[str, Field(min_length=1, max_length=320)]
    month: Annotated[str | None, Field(pattern="^[0-9]{4}-[0-9]{2}$")] = None


class PruningWanted(BaseModel):
    """Before which UTC day the content of entries shall go: otherwise of all that are old enough."""

    model_config = example(before="2025-05-01")
    before: Day | None = None


class RetentionWanted(BaseModel):
    """For how many months the content of entries shall be kept."""

    model_config = example(months=18)
    months: Annotated[int, Field(strict=True, ge=LEAST_MONTHS, le=MOST_MONTHS)]


class RetentionShape(BaseModel):
    """For how many months the content of entries is kept, and what waits for a second person to change that."""

    model_config = example(months=12, waiting=[])
    months: int
    waiting: list[ProposalShape]


@router.post(
    "/erasures",
    status_code=201,
    summary="Propose to erase what somebody asked",
    responses=refusals(404, 409, 413),
)
async def ask_for_erasure(desk: AtDesk, who: Who, wanted: ErasureWanted) -> ProposalShape:
    """Once another person confirms it, the keys of their questions are destroyed. Proposed again, it is the same proposal."""
    made = await propose_erasure(
        desk.registry, who.actor, email=wanted.person, month=wanted.month, new_id=new_object_id
    )
    return await _shape(desk, made)


@router.post("/prunings", status_code=201, summary="Propose to prune the log", responses=refusals(409, 413))
async def ask_for_pruning(desk: AtDesk, who: Who, wanted: PruningWanted | None = None) -> ProposalShape:
    """Once another person confirms it, the content of entries before that day goes; hashes and tree stay."""
    before: dt.date | None = None if wanted is None else wanted.before
    made = await propose_pruning(desk.registry, who.actor, before=before, new_id=new_object_id)
    return await _shape(desk, made)


@router.get("/retention", summary="How long entries are kept", responses=refusals())
async def get_retention(desk: AtDesk) -> RetentionShape:
    """For how long the content of entries is kept, as two people agreed."""
    return _retention(await desk.registry.state())


@router.put("/retention", summary="Propose how long entries are kept", responses=refusals(409, 413))
async def ask_for_retention(desk: AtDesk, who: Who, wanted: RetentionWanted) -> RetentionShape:
    """Nothing changes yet: it is in `waiting`, in the place of what was proposed before, until another person confirms it."""
    await propose_retention(desk.registry, who.actor, months=wanted.months, new_id=new_object_id)
    return _retention(await desk.registry.state())


def _retention(state: State) -> RetentionShape:
    shown = shown_proposals(state, waiting(state, RETENTION))
    return RetentionShape(
        months=retention_months(state), waiting=[ProposalShape.model_validate(each) for each in shown]
    )


async def _shape(desk: Desk, proposal: Proposal) -> ProposalShape:
    return ProposalShape.model_validate(shown_proposals(await desk.registry.state(), [proposal])[0])
