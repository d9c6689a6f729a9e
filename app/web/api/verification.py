"""The whole log verified now, in a process of its own, with its progress."""

import datetime as dt
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from app.errors import NotFound
from app.storage.verifying import Seen
from app.web.api.desk import AtDesk, Desk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.shapes import example

router = APIRouter(prefix="/api/v1/audit/verification", tags=["audit"], route_class=GuardedRoute)


class VerificationShape(BaseModel):
    """How far a verification is, or what it came to; `report` is what `bursar audit verify --json` says.

    `state` is `under_way`, `holds`, `broken` (look at `report`), or `broken_off`: start it again.
    """

    model_config = example(
        id="5f0c1e9a7b3d2486ac90",
        state="under_way",
        started_by="dpo@example.edu",
        started_at="2026-11-23T06:00:00Z",
        entries_done=40_000,
        entries=1_204_512,
        ended_at=None,
        report=None,
    )
    id: str
    state: str
    started_by: str
    started_at: dt.datetime
    entries_done: int
    entries: int
    ended_at: dt.datetime | None
    report: dict[str, Any] | None


@router.get("", summary="The newest verification", responses=refusals(404))
async def get_verification(desk: AtDesk) -> VerificationShape:
    """How far the verification is that was started last, on whichever replica."""
    return await _newest(desk)


@router.post("", status_code=202, summary="Verify the log", responses=refusals(409))
async def start_verification(desk: AtDesk, who: Who) -> VerificationShape:
    """Begin to check every entry, hash, signature, charge and limit of the log; one at a time. Ask again how far it is."""
    await desk.verifier.start(who.person)
    return await _newest(desk)


async def _newest(desk: Desk) -> VerificationShape:
    seen = await desk.verifier.newest()
    if seen is None:
        raise NotFound("The log has not been verified yet: POST here to begin.", rule="sight")
    emails = {each.id: each.email for each in (await desk.registry.state()).people}
    return VerificationShape(
        id=seen.id,
        state=_state(seen),
        started_by=emails.get(seen.started_by, seen.started_by),
        started_at=_moment(seen.started_us),
        entries_done=seen.done,
        entries=seen.whole,
        ended_at=None if seen.ended_us is None else _moment(seen.ended_us),
        report=None if seen.report is None else dict(seen.report),
    )


def _state(seen: Seen) -> str:
    if seen.is_under_way:
        return "under_way"
    if seen.report is None:
        return "broken_off"
    return "holds" if seen.report.get("verified") else "broken"


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)
