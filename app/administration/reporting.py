"""What compliance looks at: what is held and for how long, who has terms to accept, and what happened in a period."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.administration.durations import end_of
from app.administration.registry import EARLIER, Registry
from app.administration.renewing import former_scopes
from app.administration.state import Acceptance, Freeze, Person, Project, State
from app.administration.upkeep import months_before
from app.errors import InvalidParams
from app.ids import held_scope, owner_of
from app.policy.engine import Mode, mode_of
from app.policy.rules import NothingAfterEnd, RefreshInterval
from app.policy.values import REFRESH_INTERVAL_DAYS
from app.quota.arithmetic import Dimension

_DAY_US: Final = 86_400_000_000
_LONGEST_DAYS: Final = 1_100
_AGES: Final = ((1, "within a day"), (3, "1 to 2 days"), (8, "3 to 7 days"), (15, "8 to 14 days"))
_OLDER: Final = "15 days and more"
AGES: Final = (*(name for _, name in _AGES), _OLDER)
"""How held data is told apart by its age."""
_CALLS: Final = (Dimension.REQUESTS, Dimension.FOLLOWER_CALLS, Dimension.AD_CALLS)
_RECORDS: Final = (Dimension.RECORDS, Dimension.FOLLOWER_RECORDS, Dimension.AD_RECORDS)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByAge:
    """What is held of one scope and age; `days` are whole ones."""

    scope: str
    days: int
    pages: int
    records: int
    oldest_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A span of the log, its end outside."""

    first: int
    end: int
    by_type: Mapping[str, int]
    by_act: Mapping[str, int]
    """Calls by endpoint, and acts of administration and signing in by name."""
    by_project: Mapping[str, int]
    refused: Mapping[tuple[str, str], int]
    """By rule and code."""
    is_capped: bool


class Counts(Protocol):
    """What is counted for compliance, in the log and in what is held. Raises StoreUnavailable."""

    async def happened(self, *, since_us: int, until_us: int) -> Happened:
        """What the log says of the time from `since_us` to before `until_us`."""
        ...

    async def held_by_age(self, *, now_us: int) -> Sequence[HeldByAge]:
        """Everything that is held, the oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOf:
    """What is held of one scope: by age in pages, and when the oldest of it goes at the latest."""

    name: str
    ages: Mapping[str, int]
    pages: int
    records: int
    oldest_us: int
    gone_by_us: int | None
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """A member of projects who has a version of the terms to accept; without `accept_by` their calls are refused."""

    person: Person
    version: str
    since: dt.date
    projects: Sequence[str]
    accept_by: dt.date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUse:
    """A project that had an approval or an entry in a period, with what it spent, from the books."""

    project: Project
    lead: str
    members: Sequence[str]
    requests: int
    records: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """How often a rule objected, or a code was answered."""

    rule: str
    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What happened in a period, and what was held and outstanding when the report was made."""

    period: Period
    state: State
    seen: Happened
    projects: Sequence[ProjectUse]
    refused: Sequence[Refused]
    """The most frequent first."""
    endpoints: Mapping[str, int]
    changes: Mapping[str, int]
    looks: Mapping[str, int]
    sign_ins: Mapping[str, int]
    accepted: Sequence[Acceptance]
    freezes: Sequence[Freeze]
    outstanding: Sequence[Outstanding]
    held: Sequence[HeldOf]


def usual_period(today: dt.date) -> Period:
    """The month before this one."""
    return Period(since=months_before(today, 1), until=today.replace(day=1))


def period_of(since: dt.date, until: dt.date) -> Period:
    """The days from `since` to before `until`; raises InvalidParams for none and for too many."""
    if not dt.timedelta(0) < until - since <= dt.timedelta(days=_LONGEST_DAYS) or since.year < 2000:
        raise InvalidParams("A report is of one day or more, and of three years at most.", rule="request")
    return Period(since=since, until=until)


async def report(registry: Registry, counts: Counts, period: Period) -> Report:
    """What happened in that period; raises InvalidParams for one that has not begun."""
    state = await registry.state()
    if period.since > state.now.date():
        raise InvalidParams(
            f"Nothing has happened yet from {period.since} on; it lies in the future.", rule="request"
        )
    since_us, until_us = period.bounds_us
    seen = await counts.happened(since_us=since_us, until_us=until_us)
    acts = seen.by_act.items()
    return Report(
        period=period,
        state=state,
        seen=seen,
        projects=await _projects(registry, state, period, seen),
        refused=[
            Refused(rule=rule, code=code, count=count)
            for (rule, code), count in Counter(seen.refused).most_common()
        ],
        endpoints={name: count for name, count in acts if _is_call(name)},
        changes={name: count for name, count in acts if "." in name and not _is_look(name)},
        looks={name: count for name, count in acts if _is_look(name)},
        sign_ins={name: count for name, count in acts if _is_sign_in(name)},
        accepted=[each for each in state.acceptances if period.holds(each.accepted_us)],
        freezes=[each for each in state.freezes if period.holds(each.created_us)],
        outstanding=outstanding(state),
        held=held_of(state, await counts.held_by_age(now_us=state.now_us)),
    )


def held_of(state: State, held: Sequence[HeldByAge]) -> list[HeldOf]:
    """What is held under names that people know, the oldest first."""
    projects = {held_scope("project", each.id, each.held_era): each for each in state.projects}
    names = {f"project:{each.id}": each.name for each in state.projects}
    names |= {f"credential:{each.id}": f"all projects on {each.name}" for each in state.credentials}
    former = former_scopes(state)
    days = refresh_days(state)
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
                name=names.get(owner_of(scope), scope),
                ages=dict(ages),
                pages=sum(each.pages for each in parts),
                records=sum(each.records for each in parts),
                oldest_us=oldest_us,
                gone_by_us=state.now_us if scope in former else _gone_by(state, project, oldest_us, days),
                ended=scope in former or (project is not None and _has_ended(state, project)),
            )
        )
    return sorted(found, key=lambda each: each.oldest_us)


def refresh_days(state: State) -> int | None:
    """The greatest age of held data, in days; None where that rule is not enforced."""
    if mode_of(RefreshInterval.id, state.policy) is not Mode.ENFORCE:
        return None
    stated = state.policy.amounts.get(REFRESH_INTERVAL_DAYS.name, ())
    return REFRESH_INTERVAL_DAYS.at(state.now.date(), stated)


def outstanding(state: State) -> list[Outstanding]:
    """Members of projects who have the version in force to accept, those who cannot call first."""
    today = state.now.date()
    places = state.projects_by_person()
    found = []
    for person in state.people:
        terms = state.terms_of(person.id)
        pending = terms.pending(today)
        if person.retired_us is None and person.id in places and pending is not None:
            found.append(
                Outstanding(
                    person=person,
                    version=pending.version,
                    since=pending.since,
                    projects=sorted(places[person.id]),
                    accept_by=terms.accept_by(today),
                )
            )
    return sorted(found, key=lambda each: (each.accept_by is not None, each.person.email))


async def _projects(registry: Registry, state: State, period: Period, seen: Happened) -> list[ProjectUse]:
    first_us, last_us = period.bounds_us
    concerned = [
        each
        for each in state.projects
        if each.id in seen.by_project
        or (each.created_us < last_us and (each.retired_us is None or each.retired_us >= first_us))
    ]
    uses = await registry.uses({each.id for each in concerned}, since=period.since)
    spent: dict[str, Counter[str]] = {}
    for (kind, scope, dimension), days in uses.items():
        if kind == "project":
            total = sum(use.used for day, use in days.items() if _is_within(day, period))
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
            ProjectUse(
                project=project,
                lead=emails.get(project.lead_id or "", ""),
                members=sorted(members),
                requests=sum(counted[each] for each in _CALLS),
                records=sum(counted[each] for each in _RECORDS),
                entries=seen.by_project.get(project.id, 0),
            )
        )
    return sorted(found, key=lambda each: each.project.name)


def _gone_by(state: State, project: Project | None, oldest_us: int, days: int | None) -> int | None:
    """When the oldest page is deleted at the latest: by its age, or since its project ends."""
    ends = [] if days is None else [oldest_us + days * _DAY_US]
    if project is not None and mode_of(NothingAfterEnd.id, state.policy) is Mode.ENFORCE:
        ends.append(int(end_of(project.approved_until).timestamp()) * 1_000_000)
    return min(ends, default=None)


def _has_ended(state: State, project: Project) -> bool:
    return project.retired_us is not None or project.approved_until < state.now.date()


def _age(days: int) -> str:
    return next((name for below, name in _AGES if days < below), _OLDER)


def _is_within(day: dt.date, period: Period) -> bool:
    return day != EARLIER and period.since <= day < period.until


def _is_call(name: str) -> bool:
    return "." not in name and not _is_sign_in(name)


def _is_look(name: str) -> bool:
    return name.startswith("audit.")


def _is_sign_in(name: str) -> bool:
    return name.startswith(("console/", "oauth/"))
