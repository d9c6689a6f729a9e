"""What forms ask for, put as a state file would put it, so that both are checked, compared and done alike."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from app.administration.desired import Malformed, checked
from app.administration.difference import limit_key
from app.administration.facing import reuse_as_written
from app.administration.state import Person, Project, State, TermsVersion
from app.administration.wanted import Wanted, WantedTerms, gather
from app.errors import InvalidParams
from app.quota.arithmetic import ScopeKind
from app.quota.limits import EACH_MEMBER, FLOOR


def wanted_of(content: Mapping[str, Any]) -> Wanted:
    """What a state file with this content asks for; it may name no files. Raises InvalidParams."""

    def read(place: str, _path: str) -> bytes:
        raise InvalidParams(f"{place}: a form cannot name files.", rule="request")

    try:
        desired = checked(content)
    except Malformed as error:
        is_of_one = sum(len(objects) for objects in content.values()) == 1
        raise (error.of_one() if is_of_one else error) from None
    return gather(desired, read, {})


def person_as_it_is(person: Person) -> dict[str, Any]:
    """A person as the state file would say it now, without what they accepted, which stays."""
    return {"email": person.email, "name": person.name, "roles": list(person.roles)}


def project_as_it_is(state: State, project: Project) -> dict[str, Any]:
    """A project as the state file would say it now, with members, their days and every limit."""
    emails = {each.id: each.email for each in state.people}
    credentials = {each.id: each.name for each in state.credentials}
    members = [
        {
            "email": emails[each.person_id],
            "from": each.from_day,
            "until": each.until_day,
            "limits": _limits(state, ScopeKind.MEMBER, each.id),
        }
        for each in state.memberships
        if each.project_id == project.id and each.retired_us is None
    ]
    return {
        "name": project.name,
        "credential": credentials[project.credential_id],
        "approval": {
            "reference": project.approval_reference,
            "from": project.approved_from,
            "until": project.approved_until,
        },
        "lead": emails.get(project.lead_id or ""),
        "members": members,
        "cache_scope": project.cache_scope,
        "allow": dict(project.allow),
        "reuse": reuse_as_written(project),
        "limits": _limits(state, ScopeKind.PROJECT, project.id),
        "member_limits": _limits(state, EACH_MEMBER, project.id),
        "floors": _limits(state, FLOOR, project.id),
    }


def terms_wanted(content: Mapping[str, Any], text: str) -> Wanted:
    """A version of the terms whose text was typed rather than read from a file. Raises InvalidParams."""
    try:
        (terms,) = checked({"terms": [{**content, "text_file": "typed"}]}).terms or ()
    except Malformed as error:
        raise error.of_one() from None
    plain = text.replace("\r\n", "\n").strip() + "\n"
    if not plain.strip():
        raise InvalidParams("The text is empty; nobody can accept terms without a text.")
    return Wanted(
        terms=[
            WantedTerms(
                version=terms.version,
                title=terms.title,
                text=plain,
                text_sha256=hashlib.sha256(plain.encode()).hexdigest(),
                source=terms.source or "",
                in_force_from=terms.in_force_from,
                grace_days=terms.grace_days,
            )
        ]
    )


def waiting_for(state: State, terms: TermsVersion) -> Sequence[str]:
    """Addresses of members of projects who have not accepted that version."""
    going_on = {each.id for each in state.projects if each.retired_us is None}
    members = {
        each.person_id
        for each in state.memberships
        if each.retired_us is None and each.project_id in going_on
    }
    return sorted(
        each.email
        for each in state.people
        if each.id in members and each.retired_us is None and not state.has_accepted(each.id, terms.version)
    )


def _limits(state: State, kind: str, scope_id: str) -> dict[str, int]:
    return {
        limit_key(each): each.amount
        for each in state.limits
        if (each.scope_kind, each.scope_id) == (kind, scope_id)
    }
