"""What the limits have left, for people: the figures of the ledger, under names that people know."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.administration.finding import find_person
from app.administration.floors import floor_on, floors_beside, use_on
from app.administration.registry import Registry
from app.administration.savings import Savings
from app.administration.state import Project, State
from app.audit.entries import Value
from app.audit.facts import RECORDS, REQUESTS
from app.errors import NotFound
from app.quota.arithmetic import Limit, ScopeKind, Standing, Use, Window, kept_from, standing
from app.quota.limits import effective_limits, raised_by
from app.quota.mirror import Mirror


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Every limit made of days, as it stood on one UTC day."""

    day: dt.date
    limits: Sequence[tuple[str, Standing]]
    platform: Sequence[tuple[str, str, Mirror]] = ()
    """Credential, family and mirror of what the platform has called used up on that day."""
    savings: Sequence[Savings] = ()
    """What reuse saved each project on that day."""

    def shown(self) -> dict[str, Any]:
        """As `bursar usage --json` and the API give it."""
        return {
            "day": self.day.isoformat(),
            "limits": [_shown(scope, each) for scope, each in self.limits],
            "platform": [_reflected(*each) for each in self.platform],
            "reuse": [each.shown() for each in self.savings],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Requests to the platform and records of its answers, on all of its counters together."""

    requests: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentByMember:
    """What one member of a project spent in it, on this UTC day and in its month so far."""

    today: Spent
    month: Spent


async def spent_by_members(registry: Registry, state: State, project: Project) -> Mapping[str, SpentByMember]:
    """By membership, whether a limit is set or not: the platform's counters are kept of everybody."""
    places = [
        each.id for each in state.memberships if each.project_id == project.id and each.retired_us is None
    ]
    today = state.now.date()
    first = today.replace(day=1)
    uses = await registry.uses(places, since=first)

    def sum_of(place: str, dimensions: Iterable[str], since: dt.date) -> int:
        days = (uses.get((ScopeKind.MEMBER.value, place, each), {}) for each in dimensions)
        return sum(use.used for some in days for day, use in some.items() if since <= day <= today)

    def spent(place: str, since: dt.date) -> Spent:
        return Spent(requests=sum_of(place, REQUESTS, since), records=sum_of(place, RECORDS, since))

    return {place: SpentByMember(today=spent(place, today), month=spent(place, first)) for place in places}


async def usage(
    registry: Registry,
    *,
    project: str | None = None,
    email: str | None = None,
    day: dt.date | None = None,
) -> Usage:
    """Where the limits stand on `day` (today by default), of one project or person where asked.

    With a project or a person the limits above them are among the answer, since these bind them as well; what is left of
    a credential's day is then what floors of others do not keep from them. Limits a minute and of concurrent calls are
    not in it: what they count is over at once. Raises NotFound.
    """
    state = await registry.state()
    today = state.now.date()
    day = day or today
    # Noon, since within seconds of midnight a call counts on two days.
    moment = state.now if day == today else dt.datetime.combine(day, dt.time(12), dt.UTC)
    scoped = _limits(state, project=project, email=email)
    askers = [] if (project, email) == (None, None) else _projects(state, project=project, email=email)
    floors = {
        credential: floors_beside(state, credential, today)
        for credential in ({each.credential_id for each in askers} if day == today else ())
    }
    ids = {limit.scope.id for _, limit in scoped}.union(
        floor.scope_id for some in floors.values() for floor in some
    )
    uses = await registry.uses(ids, since=day.replace(day=1))
    open_floors = [
        floor_on(day, credential, each, uses) for credential, some in floors.items() for each in some
    ]

    def kept(limit: Limit) -> int:
        # The least of several projects, any of which may ask.
        return min((kept_from(each.id, limit, open_floors) for each in askers), default=0)

    return Usage(
        day=day,
        limits=[
            (label, standing(limit, use_on(day, limit, uses), moment, kept=kept(limit)))
            for label, limit in scoped
        ],
        platform=await _platform(registry, state, {limit.scope.id for _, limit in scoped}, day),
        savings=await _savings(registry, _projects(state, project=project, email=email), day),
    )


async def _savings(registry: Registry, projects: Sequence[Project], day: dt.date) -> list[Savings]:
    """By project, in the order of their names; requests are those that the ledger has charged."""
    ids = {each.id for each in projects}
    given, uses = await registry.answers(ids, day), await registry.uses(ids, since=day)
    return [
        Savings(
            project=each.name,
            given=given.get(each.id, {}),
            requests=sum(
                uses.get((ScopeKind.PROJECT.value, each.id, name), {}).get(day, Use()).used
                for name in REQUESTS
            ),
        )
        for each in sorted(projects, key=lambda one: one.name)
    ]


def _projects(state: State, *, project: str | None, email: str | None) -> list[Project]:
    """Those that are asked about, or that the person is in."""
    person = None if email is None else state.person(email)
    return [
        each
        for each in state.projects
        if each.retired_us is None
        and project in {None, each.name}
        and (person is None or state.membership(each, person) is not None)
    ]


async def _platform(
    registry: Registry, state: State, scope_ids: Collection[str], day: dt.date
) -> list[tuple[str, str, Mirror]]:
    names = {each.id: each.name for each in state.credentials if each.id in scope_ids}
    found = await registry.mirrors()
    return [
        (names[credential], family, mirror)
        for credential, family, mirror in found
        if credential in names and mirror.day == day
    ]


def _limits(state: State, *, project: str | None, email: str | None) -> list[tuple[str, Limit]]:
    """Every limit with the name of its scope, each once, from the widest scope to the narrowest."""
    labels: dict[Limit, str] = {}
    raised = raised_by(state.raises, now_us=state.now_us)
    for owned, names in _owners(state, project=project, email=email):
        for limit in effective_limits(
            state.limits,
            raised,
            credential=owned["credential"],
            project=owned["project"],
            membership=owned["membership"],
            key=owned["key"],
        ):
            if limit.scope.id and limit.window not in {None, Window.MINUTE}:
                labels[limit] = f"{limit.scope.kind}:{names[limit.scope.kind.value]}"
    order = {"credential": 0, "project": 1, "member": 2, "key": 3}
    return sorted(
        ((label, limit) for limit, label in labels.items()),
        key=lambda each: (order[each[1].scope.kind], each[0], each[1].dimension, each[1].window or ""),
    )


def _owners(
    state: State, *, project: str | None, email: str | None
) -> Iterable[tuple[dict[str, str], dict[str, str]]]:
    """Ids and names of credential, project, member and key, for every combination that limits may bind."""
    person = None if email is None else find_person(state, email)
    projects = [each for each in state.projects if each.retired_us is None]
    if project is not None:
        projects = [each for each in projects if each.name == project]
        if not projects:
            raise NotFound(f"There is no project {project}; `bursar project list` shows all.")
    if project is None and person is None:
        for credential in state.credentials:
            if credential.retired_us is None:
                yield _ids(credential=credential.id), {"credential": credential.name}
    for each in projects:
        yield from _owners_in(state, each, None if person is None else person.id)


def _owners_in(
    state: State, project: Project, person_id: str | None
) -> Iterable[tuple[dict[str, str], dict[str, str]]]:
    credential = next(each for each in state.credentials if each.id == project.credential_id)
    emails = {each.id: each.email for each in state.people}
    names = {"credential": credential.name, "project": project.name}
    if person_id is None:
        yield _ids(credential=credential.id, project=project.id), {**names, "member": ""}
    for place in state.memberships:
        is_asked = person_id in {None, place.person_id}
        if place.project_id != project.id or place.retired_us is not None or not is_asked:
            continue
        named = {**names, "member": f"{project.name}/{emails[place.person_id]}"}
        keys = [each.id for each in state.keys if each.membership_id == place.id and each.revoked_us is None]
        for key in keys or [""]:
            yield (
                _ids(credential=credential.id, project=project.id, membership=place.id, key=key),
                {**named, "key": key},
            )


def _ids(*, credential: str, project: str = "", membership: str = "", key: str = "") -> dict[str, str]:
    return {"credential": credential, "project": project, "membership": membership, "key": key}


def _shown(scope: str, each: Standing) -> dict[str, Value]:
    return {
        "scope": scope,
        "dimension": each.limit.dimension.value,
        "window": each.limit.window.value if each.limit.window else None,
        "limit": each.limit.amount,
        "used": each.used,
        "reserved": each.reserved,
        "left": each.left,
        "resets_at": None if each.resets_at is None else each.resets_at.isoformat().replace("+00:00", "Z"),
    }


def _reflected(credential: str, family: str, mirror: Mirror) -> dict[str, Value]:
    return {
        "credential": credential,
        "family": family,
        "said_at": _told(mirror.said_at),
        "counted": {"calls": mirror.counted_calls, "records": mirror.counted_records},
        "next_probe_at": _told(mirror.next_probe_at),
    }


def _told(moment: dt.datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
