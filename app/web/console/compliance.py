"""Compliance: what is held and how long it may be, who has terms to accept, and a report for a period, to be printed."""

import datetime as dt
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from app.administration.durations import end_of
from app.administration.registry import EARLIER
from app.administration.state import Project, State
from app.administration.upkeep import LEAST_MONTHS, MOST_MONTHS, months_before, retention_months
from app.audit.notes import Checkpoint, text_of
from app.errors import InvalidParams
from app.policy.engine import Mode, mode_of
from app.policy.rules import NothingAfterEnd, RefreshInterval
from app.policy.values import REFRESH_INTERVAL_DAYS
from app.quota.arithmetic import Dimension, Use
from app.storage.proving import newest_note
from app.storage.reporting import Happened, HeldByAge, happened, held_by_age, pruned_before
from app.web.api.access import LOG_ACTS
from app.web.console.doors import Page, Turn
from app.web.console.meanings import act_said, kind_said
from app.web.console.told import Names, why_refused

_DAY_US: Final = 86_400_000_000
_LONGEST_DAYS: Final = 1_100
_AGES: Final = ((1, "within a day"), (3, "1 to 2 days"), (8, "3 to 7 days"), (15, "8 to 14 days"))
_DAYS_OF_REPORT: Final = frozenset({"since", "until"})
_OLDER: Final = "15 days and more"
_CALLS: Final = (Dimension.REQUESTS, Dimension.FOLLOWER_CALLS, Dimension.AD_CALLS)
_RECORDS: Final = (Dimension.RECORDS, Dimension.FOLLOWER_RECORDS, Dimension.AD_RECORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOf:
    """What is held of one scope: by age in pages, and when the oldest of it goes at the latest."""

    name: str
    ages: dict[str, int]
    pages: int
    records: int
    oldest_us: int
    gone_by_us: int | None
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days of a report, the last one outside."""

    since: dt.date
    until: dt.date

    @property
    def bounds_us(self) -> tuple[int, int]:
        """The same in microseconds."""
        first, last = (dt.datetime.combine(each, dt.time(), dt.UTC) for each in (self.since, self.until))
        return int(first.timestamp()) * 1_000_000, int(last.timestamp()) * 1_000_000

    def holds(self, moment_us: int | None) -> bool:
        """Whether something happened in it."""
        first, last = self.bounds_us
        return moment_us is not None and first <= moment_us < last


async def show_compliance(turn: Turn) -> Response:
    """The clocks, what is held, and what is outstanding."""
    state, database = await turn.desk.registry.state(), turn.desk.installation.database
    held = await database.read(lambda conn: held_by_age(conn, now_us=state.now_us))
    pruned, whole_since_us = await database.read(pruned_before)
    months = retention_months(state)
    days = _refresh_days(state)
    default = _default_period(state.now.date())
    return turn.render(
        "compliance.html",
        refresh_days=days,
        is_enforced=mode_of(RefreshInterval.id, state.policy) is Mode.ENFORCE,
        held=_held(state, held, days),
        ages=[name for _, name in _AGES] + [_OLDER],
        months=months,
        least_months=LEAST_MONTHS,
        most_months=MOST_MONTHS,
        prunable_before=months_before(state.now.date(), months),
        pruned=pruned,
        whole_since_us=whole_since_us,
        outstanding=_outstanding(state),
        terms=state.terms_at(state.now.date()),
        ending=_ending(state),
        since=turn.asked("since") or default.since,
        until=turn.asked("until") or default.until,
        today=state.now.date(),
    )


async def show_report(turn: Turn) -> Response:
    """What happened in a period, on paper."""
    state, installation = await turn.desk.registry.state(), turn.desk.installation
    period = _period(turn, state.now.date())
    since_us, until_us = period.bounds_us
    turn.reads_log(report=f"{period.since}/{period.until}")
    seen = await installation.database.read(lambda conn: happened(conn, since_us=since_us, until_us=until_us))
    held = await installation.database.read(lambda conn: held_by_age(conn, now_us=state.now_us))
    note = await installation.database.read(newest_note)
    checkpoint = Checkpoint.parse(text_of(note))
    names = Names(state)
    return turn.render(
        "report.html",
        period=period,
        now=state.now,
        by=turn.session.operator.name,
        seen=seen,
        log=checkpoint,
        root=b64encode(checkpoint.root).decode(),
        act_said=act_said,
        kind_said=kind_said,
        vkey=installation.signer.verifier(checkpoint.origin).vkey,
        projects=await _projects(turn, state, period, seen),
        refused=[
            {"rule": rule, "code": code, "count": count, "why": why_refused(names, rule, code)}
            for (rule, code), count in Counter(seen.refused).most_common()
        ],
        endpoints={name: count for name, count in seen.by_act.items() if _is_call(name)},
        changes={name: count for name, count in seen.by_act.items() if "." in name and not _is_look(name)},
        looks={name: count for name, count in seen.by_act.items() if _is_look(name)},
        sign_ins={name: count for name, count in seen.by_act.items() if _is_sign_in(name)},
        accepted=_accepted(state, names, period),
        outstanding=_outstanding(state),
        freezes=[each for each in state.freezes if period.holds(each.created_us)],
        held=_held(state, held, _refresh_days(state)),
        names=names,
    )


def _held(state: State, held: Any, days: int | None) -> list[HeldOf]:
    projects = {f"project:{each.id}": each for each in state.projects}
    credentials = {f"credential:{each.id}": f"all projects on {each.name}" for each in state.credentials}
    by_scope: dict[str, list[HeldByAge]] = {}
    for each in held:
        by_scope.setdefault(each.scope, []).append(each)
    found = []
    for scope, parts in by_scope.items():
        project = projects.get(scope)
        oldest_us = min(each.oldest_us for each in parts)
        ages = Counter[str]()
        for each in parts:
            ages[_age(each.days)] += each.pages
        found.append(
            HeldOf(
                name=credentials.get(scope, scope) if project is None else project.name,
                ages=dict(ages),
                pages=sum(each.pages for each in parts),
                records=sum(each.records for each in parts),
                oldest_us=oldest_us,
                gone_by_us=_gone_by(state, project, oldest_us, days),
                ended=project is not None and _has_ended(state, project),
            )
        )
    return sorted(found, key=lambda each: each.oldest_us)


def _gone_by(state: State, project: Project | None, oldest_us: int, days: int | None) -> int | None:
    """When the oldest page is deleted at the latest: by its age, or since its project ends."""
    ends = [] if days is None else [oldest_us + days * _DAY_US]
    if project is not None and mode_of(NothingAfterEnd.id, state.policy) is Mode.ENFORCE:
        ends.append(int(end_of(project.approved_until).timestamp()) * 1_000_000)
    return min(ends, default=None)


def _has_ended(state: State, project: Project) -> bool:
    return project.retired_us is not None or project.approved_until < state.now.date()


def _refresh_days(state: State) -> int | None:
    """The greatest age of held data, in days; None where that rule is not enforced."""
    if mode_of(RefreshInterval.id, state.policy) is not Mode.ENFORCE:
        return None
    stated = state.policy.amounts.get(REFRESH_INTERVAL_DAYS.name, ())
    return REFRESH_INTERVAL_DAYS.at(state.now.date(), stated)


def _age(days: int) -> str:
    return next((name for below, name in _AGES if days < below), _OLDER)


def _outstanding(state: State) -> list[dict[str, Any]]:
    """Members of projects who have the version in force to accept, those who cannot call first."""
    today = state.now.date()
    names = {each.id: each.name for each in state.projects if each.retired_us is None}
    places: dict[str, list[str]] = {}
    for each in state.memberships:
        if each.retired_us is None and each.project_id in names:
            places.setdefault(each.person_id, []).append(names[each.project_id])
    found = []
    for person in state.people:
        terms = state.terms_of(person.id)
        pending = terms.pending(today)
        if person.retired_us is None and person.id in places and pending is not None:
            found.append(
                {
                    "person": person,
                    "version": pending.version,
                    "since": pending.since,
                    "projects": sorted(places[person.id]),
                    "accept_by": terms.accept_by(today),
                }
            )
    return sorted(found, key=lambda each: (each["accept_by"] is not None, each["person"].email))


def _ending(state: State) -> list[Project]:
    """Projects that go on, the approval that ends first before the others."""
    going_on = [each for each in state.projects if each.retired_us is None]
    return sorted(going_on, key=lambda each: (each.approved_until, each.name))


def _accepted(state: State, names: Names, period: Period) -> list[dict[str, Any]]:
    found = [
        {
            "who": names.person(each.person_id),
            "version": each.version,
            "how": each.how,
            "at": each.accepted_us,
        }
        for each in state.acceptances
        if period.holds(each.accepted_us)
    ]
    return sorted(found, key=lambda each: (each["at"], each["who"]))


async def _projects(turn: Turn, state: State, period: Period, seen: Happened) -> list[dict[str, Any]]:
    """Every project with an approval or an entry in the period, with what it spent, from the books."""
    first_us, last_us = period.bounds_us
    concerned = [
        each
        for each in state.projects
        if each.id in seen.by_project
        or (each.created_us < last_us and (each.retired_us is None or each.retired_us >= first_us))
    ]
    uses = await turn.desk.registry.uses({each.id for each in concerned}, since=period.since)
    spent: dict[str, Counter[str]] = {}
    for (kind, scope, dimension), days in uses.items():
        if kind == "project":
            total = sum(_used(use) for day, use in days.items() if _is_within(day, period))
            spent.setdefault(scope, Counter())[dimension] += total
    emails = {each.id: each.email for each in state.people}
    found = []
    for project in concerned:
        counted = spent.get(project.id, Counter())
        members = {
            emails.get(each.person_id, each.person_id)
            for each in state.memberships
            if each.project_id == project.id
            and each.created_us < last_us
            and (each.retired_us is None or each.retired_us >= first_us)
        }
        found.append(
            {
                "project": project,
                "lead": emails.get(project.lead_id or "", ""),
                "members": sorted(members),
                "requests": sum(counted[each] for each in _CALLS),
                "records": sum(counted[each] for each in _RECORDS),
                "entries": seen.by_project.get(project.id, 0),
            }
        )
    return sorted(found, key=lambda each: each["project"].name)


def _used(use: Use) -> int:
    return use.used


def _is_within(day: dt.date, period: Period) -> bool:
    return day != EARLIER and period.since <= day < period.until


def _is_call(name: str) -> bool:
    return "." not in name and not _is_sign_in(name)


def _is_look(name: str) -> bool:
    return name.startswith("audit.")


def _is_sign_in(name: str) -> bool:
    return name.startswith(("console/", "oauth/"))


def _default_period(today: dt.date) -> Period:
    """The month before this one."""
    return Period(since=months_before(today, 1), until=today.replace(day=1))


def _period(turn: Turn, today: dt.date) -> Period:
    default = _default_period(today)
    try:
        since = dt.date.fromisoformat(turn.asked("since") or default.since.isoformat())
        until = dt.date.fromisoformat(turn.asked("until") or default.until.isoformat())
    except ValueError as error:
        raise InvalidParams("A day is written as 2027-06-30.", rule="request") from error
    if not dt.timedelta(0) < until - since <= dt.timedelta(days=_LONGEST_DAYS) or since.year < 2000:
        raise InvalidParams("A report is of one day or more, and of three years at most.", rule="request")
    return Period(since=since, until=until)


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
