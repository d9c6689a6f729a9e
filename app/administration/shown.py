"""The directory as people and programs are shown it: names instead of ids, and nothing that is sealed."""

from typing import Any, Final

from app.administration.difference import limit_key
from app.administration.reusing import spelled_out
from app.administration.rosters import roster_sizes
from app.administration.state import State
from app.errors import InvalidParams, NotFound
from app.quota.limits import EACH_MEMBER, FLOOR

_SCOPES: Final = {
    "project": "project:NAME",
    "member": "member:PROJECT/EMAIL",
    EACH_MEMBER: f"{EACH_MEMBER}:PROJECT",
    "credential": "credential:NAME",
    "key": "key:ID",
    FLOOR: f"{FLOOR}:PROJECT",
}
"""How people write scopes, by kind."""


def shown_credentials(state: State) -> list[dict[str, Any]]:
    """Every credential in use, with the number of people on it."""
    sizes = roster_sizes(projects=state.projects, memberships=state.memberships, today=state.now.date())
    return [
        {
            "name": each.name,
            "base_url": each.base_url,
            "people": sizes.get(each.id, 0),
            "roster_limit": each.roster_limit,
            "permission": dict(each.permission) or None,
        }
        for each in sorted(state.credentials, key=lambda one: one.name)
        if each.retired_us is None
    ]


def shown_people(state: State) -> list[dict[str, Any]]:
    """Everybody, with roles, projects and the versions that they accepted."""
    names = {each.id: each.name for each in state.projects if each.retired_us is None}
    return [
        {
            "email": person.email,
            "name": person.name,
            "roles": list(person.roles),
            "projects": sorted(
                names[each.project_id]
                for each in state.memberships
                if each.person_id == person.id and each.retired_us is None and each.project_id in names
            ),
            "accepted": sorted(each.version for each in state.acceptances if each.person_id == person.id),
        }
        for person in sorted(state.people, key=lambda one: one.email)
        if person.retired_us is None
    ]


def shown_projects(state: State) -> list[dict[str, Any]]:
    """Every project, with approval and members."""
    credentials = {each.id: each.name for each in state.credentials}
    emails = {each.id: each.email for each in state.people}
    return [
        {
            "name": project.name,
            "credential": credentials[project.credential_id],
            "approval": {
                "reference": project.approval_reference,
                "from": project.approved_from.isoformat(),
                "until": project.approved_until.isoformat(),
            },
            "lead": emails.get(project.lead_id or ""),
            "members": [
                {
                    "email": emails[each.person_id],
                    "from": None if each.from_day is None else each.from_day.isoformat(),
                    "until": None if each.until_day is None else each.until_day.isoformat(),
                }
                for each in state.memberships
                if each.project_id == project.id and each.retired_us is None
            ],
            "cache_scope": project.cache_scope,
            "allow": dict(project.allow),
            "reuse": spelled_out(project),
        }
        for project in sorted(state.projects, key=lambda one: one.name)
        if project.retired_us is None
    ]


def shown_terms(state: State) -> list[dict[str, Any]]:
    """Every version, whether it is in force, and how many people accepted it.

    `accept_by` is the last day on which those who accepted only the version before may go on, and `waiting`
    are the members of projects who have not accepted the version in force.
    """
    current = state.terms_at(state.now.date())
    going_on = {each.id for each in state.projects if each.retired_us is None}
    members = {
        each.person_id
        for each in state.memberships
        if each.retired_us is None and each.project_id in going_on
    }
    emails = {each.id: each.email for each in state.people if each.retired_us is None}
    return [
        {
            "version": each.version,
            "title": each.title,
            "source": each.source or None,
            "in_force_from": each.in_force_from.isoformat(),
            "grace_days": each.grace_days,
            "accept_by": each.dates.accept_by.isoformat() if each.grace_days else None,
            "in_force": current is not None and each.version == current.version,
            "text_sha256": each.text_sha256,
            "accepted": sum(one.version == each.version for one in state.acceptances),
            "waiting": sorted(
                emails[one] for one in members if one in emails and not state.has_accepted(one, each.version)
            )
            if each == current
            else [],
        }
        for each in sorted(state.terms, key=lambda one: one.in_force_from)
        if each.retired_us is None
    ]


def shown_limits(state: State) -> list[dict[str, Any]]:
    """Every limit, under the name of its scope."""
    names = scope_names(state)
    found = [
        {
            "scope": names.get((each.scope_kind, each.scope_id), f"{each.scope_kind}:{each.scope_id}"),
            "key": limit_key(each),
            "amount": each.amount,
        }
        for each in state.limits
    ]
    return sorted(found, key=lambda one: (str(one["scope"]), str(one["key"])))


def scope_names(state: State) -> dict[tuple[str, str], str]:
    """Every scope that a limit can have, by kind and id, as people write it: `project:elections`."""
    emails = {each.id: each.email for each in state.people}
    projects = {each.id: each.name for each in state.projects}
    names = {("credential", each.id): each.name for each in state.credentials}
    names |= {(kind, id_): name for id_, name in projects.items() for kind in ("project", EACH_MEMBER, FLOOR)}
    names |= {
        ("member", each.id): f"{projects[each.project_id]}/{emails[each.person_id]}"
        for each in state.memberships
    }
    names |= {("key", each.id): each.id for each in state.keys}
    return {scope: f"{scope[0]}:{name}" for scope, name in names.items()}


def require_scope(state: State, scope: str) -> None:
    """Return where limits can be of that scope, or could before it was retired. Raises NotFound and InvalidParams."""
    if scope.partition(":")[0] not in _SCOPES:
        raise InvalidParams(
            f"{scope!a} is no scope; write one of {', '.join(_SCOPES.values())}.", rule="request"
        )
    if scope not in scope_names(state).values():
        raise NotFound(f"There is no {scope!a}, and there was none.")
