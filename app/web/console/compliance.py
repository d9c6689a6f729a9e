"""Compliance: what is held and how long it may be, who has terms to accept, and a report for a period, to be printed."""

import datetime as dt
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from app.administration.reporting import (
    AGES,
    Period,
    held_of,
    outstanding,
    period_of,
    refresh_days,
    report,
    usual_period,
)
from app.administration.state import Acceptance, Project, State
from app.administration.upkeep import (
    LEAST_MONTHS,
    MOST_MONTHS,
    UPKEEP,
    months_before,
    retention_months,
    waiting,
)
from app.audit.notes import Checkpoint, text_of
from app.errors import InvalidParams
from app.storage.proving import newest_note
from app.storage.reporting import SqlCounts, pruned_before
from app.web.api.access import LOG_ACTS
from app.web.console.doors import Page, Turn
from app.web.console.meanings import act_said, kind_said
from app.web.console.told import Names, why_refused

_DAYS_OF_REPORT: Final = frozenset({"since", "until"})


async def show_compliance(turn: Turn) -> Response:
    """The clocks, what is held, and what is outstanding."""
    state, database = await turn.desk.registry.state(), turn.desk.installation.database
    held = await SqlCounts(database).held_by_age(now_us=state.now_us)
    pruned, whole_since_us = await database.read(pruned_before)
    months = retention_months(state)
    default = usual_period(state.now.date())
    return turn.render(
        "compliance.html",
        refresh_days=refresh_days(state),
        held=held_of(state, held),
        ages=AGES,
        months=months,
        least_months=LEAST_MONTHS,
        most_months=MOST_MONTHS,
        prunable_before=months_before(state.now.date(), months),
        pruned=pruned,
        whole_since_us=whole_since_us,
        waiting=[proposal for what in UPKEEP for proposal in waiting(state, what)],
        outstanding=outstanding(state),
        terms=state.terms_at(state.now.date()),
        ending=_ending(state),
        since=turn.asked("since") or default.since,
        until=turn.asked("until") or default.until,
        today=state.now.date(),
    )


async def show_report(turn: Turn) -> Response:
    """What happened in a period, on paper."""
    installation = turn.desk.installation
    period = _period(turn, (await turn.desk.registry.state()).now.date())
    turn.reads_log(report=f"{period.since}/{period.until}")
    made = await report(turn.desk.registry, SqlCounts(installation.database), period)
    note = await installation.database.read(newest_note)
    checkpoint = Checkpoint.parse(text_of(note))
    names = Names(made.state)
    return turn.render(
        "report.html",
        report=made,
        by=turn.session.operator.name,
        log=checkpoint,
        root=b64encode(checkpoint.root).decode(),
        act_said=act_said,
        kind_said=kind_said,
        vkey=installation.signer.verifier(checkpoint.origin).vkey,
        why=lambda each: why_refused(names, each.rule, each.code),
        accepted=_accepted(names, made.accepted),
        names=names,
    )


def _ending(state: State) -> list[Project]:
    """Projects that go on, the approval that ends first before the others."""
    going_on = [each for each in state.projects if each.retired_us is None]
    return sorted(going_on, key=lambda each: (each.approved_until, each.name))


def _accepted(names: Names, accepted: Sequence[Acceptance]) -> list[dict[str, Any]]:
    found = [
        {
            "who": names.person(each.person_id),
            "version": each.version,
            "how": each.how,
            "at": each.accepted_us,
        }
        for each in accepted
    ]
    return sorted(found, key=lambda each: (each["at"], each["who"]))


def _period(turn: Turn, today: dt.date) -> Period:
    usual = usual_period(today)
    try:
        since = dt.date.fromisoformat(turn.asked("since") or usual.since.isoformat())
        until = dt.date.fromisoformat(turn.asked("until") or usual.until.isoformat())
    except ValueError as error:
        raise InvalidParams("A day is written as 2027-06-30.", rule="request") from error
    return period_of(since, until)


PAGES: Final = (
    Page(
        method="GET",
        path="/compliance",
        answer=show_compliance,
        acts=LOG_ACTS,
        back=show_compliance,
        takes=_DAYS_OF_REPORT,
    ),
    Page(
        method="GET",
        path="/compliance/report",
        answer=show_report,
        acts=LOG_ACTS,
        back=show_compliance,
        takes=_DAYS_OF_REPORT,
    ),
)
