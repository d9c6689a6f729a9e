"""What compliance looks at: the clocks, what is held, what is outstanding, and the report for a period."""

import datetime as dt
from base64 import b64encode
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from app.administration.freezing import shown_freezes
from app.administration.reporting import (
    HeldOf,
    Outstanding,
    Report,
    held_of,
    outstanding,
    period_of,
    refresh_days,
    report,
    usual_period,
)
from app.administration.upkeep import months_before, retention_months
from app.audit.notes import Checkpoint, text_of
from app.storage.proving import newest_note
from app.storage.reporting import SqlCounts, pruned_before
from app.web.api.compliance_shapes import (
    AcceptedInPeriod,
    ComplianceShape,
    HeldOfShape,
    OutstandingShape,
    ProjectUseShape,
    RefusedShape,
    ReportedLog,
    ReportShape,
)
from app.web.api.desk import AtDesk
from app.web.api.documented import refusals
from app.web.api.freezing_shapes import FreezeShape
from app.web.api.guard import GuardedRoute
from app.web.api.log import say_what_is_read
from app.web.api.shapes import Day
from app.web.api.shown import approval_shape

router = APIRouter(prefix="/api/v1/compliance", tags=["compliance"], route_class=GuardedRoute)


@router.get("", summary="Clocks and what is outstanding", responses=refusals())
async def get_compliance(desk: AtDesk) -> ComplianceShape:
    """For how long data may be held and is, how much of the log is whole, and who has terms to accept."""
    state, database = await desk.registry.state(), desk.installation.database
    held = await SqlCounts(database).held_by_age(now_us=state.now_us)
    pruned, whole_since_us = await database.read(pruned_before)
    months = retention_months(state)
    return ComplianceShape(
        refresh_days=refresh_days(state),
        retention_months=months,
        prunable_before=months_before(state.now.date(), months),
        pruned_entries=pruned,
        whole_since=None if whole_since_us is None else _moment(whole_since_us),
        held=[_held(each) for each in held_of(state, held)],
        outstanding=[_outstanding(each) for each in outstanding(state)],
    )


@router.get("/report", summary="A report for a period", responses=refusals())
async def get_report(
    request: Request,
    desk: AtDesk,
    since: Annotated[
        Day | None, Query(description="Its first UTC day; by default that of the month before this one.")
    ] = None,
    until: Annotated[
        Day | None, Query(description="The first UTC day after it; by default that of this month.")
    ] = None,
) -> ReportShape:
    """What happened in that time, by counts, and what is held and outstanding now, as the console's report says it.

    Whoever has an export of the log up to the root that is told, and the log's key, can count all of it again offline.
    """
    usual = usual_period((await desk.registry.state()).now.date())
    period = period_of(since or usual.since, until or usual.until)
    say_what_is_read(request, {"report": f"{period.since}/{period.until}"})
    made = await report(desk.registry, SqlCounts(desk.installation.database), period)
    checkpoint = Checkpoint.parse(text_of(await desk.installation.database.read(newest_note)))
    log = ReportedLog(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=b64encode(checkpoint.root).decode(),
        vkey=desk.installation.signer.verifier(checkpoint.origin).vkey,
        first=made.seen.first,
        end=made.seen.end,
    )
    return _report(made, log)


def _report(made: Report, log: ReportedLog) -> ReportShape:
    emails = {each.id: each.email for each in made.state.people}
    frozen = {each.id for each in made.freezes}
    return ReportShape(
        since=made.period.since,
        until=made.period.until,
        made_at=made.state.now,
        log=log,
        projects=[
            ProjectUseShape(
                id=each.project.id,
                name=each.project.name,
                retired=each.project.retired_us is not None,
                approval=approval_shape(each.project),
                lead=each.lead or None,
                members=list(each.members),
                requests=each.requests,
                records=each.records,
                entries=each.entries,
            )
            for each in made.projects
        ],
        entries=dict(made.seen.by_type),
        endpoints=dict(made.endpoints),
        refused=[RefusedShape.model_validate(each, from_attributes=True) for each in made.refused],
        refused_is_capped=made.seen.is_capped,
        changes=dict(made.changes),
        looks=dict(made.looks),
        sign_ins=dict(made.sign_ins),
        accepted=[
            AcceptedInPeriod(
                person=emails.get(each.person_id, each.person_id),
                version=each.version,
                accepted_at=_moment(each.accepted_us),
                how=each.how,
            )
            for each in sorted(made.accepted, key=lambda one: (one.accepted_us, one.person_id))
        ],
        freezes=[
            FreezeShape.model_validate(each, from_attributes=True)
            for each in shown_freezes(made.state, with_lifted=True)
            if each.id in frozen
        ],
        outstanding=[_outstanding(each) for each in made.outstanding],
        held=[_held(each) for each in made.held],
    )


def _held(each: HeldOf) -> HeldOfShape:
    return HeldOfShape(
        name=each.name,
        ages=dict(each.ages),
        pages=each.pages,
        records=each.records,
        oldest_at=_moment(each.oldest_us),
        gone_by=None if each.gone_by_us is None else _moment(each.gone_by_us),
        ended=each.ended,
    )


def _outstanding(each: Outstanding) -> OutstandingShape:
    return OutstandingShape(
        person=each.person.email,
        version=each.version,
        since=each.since,
        projects=list(each.projects),
        accept_by=each.accept_by,
    )


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)
