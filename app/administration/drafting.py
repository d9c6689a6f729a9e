"""What forms ask for, put as a state file would put it, so that both are checked, compared and done alike."""

import csv
import datetime as dt
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.administration.desired import checked
from app.administration.difference import limit_key
from app.administration.facing import reuse_as_written
from app.administration.keys import WantedKey
from app.administration.state import Person, Project, State, TermsVersion
from app.administration.wanted import Wanted, WantedTerms, gather
from app.errors import InvalidParams
from app.identity.roles import Role
from app.quota.arithmetic import ScopeKind
from app.quota.limits import EACH_MEMBER, FLOOR

MOST_ROWS: Final = 1_000
_COLUMNS: Final = ("email", "name", "roles")
_KEY_COLUMNS: Final = ("project", "person", "expires")
_PROJECT_COLUMNS: Final = ("name", "credential", "reference", "from", "until", "lead", "members", "endpoints")


def wanted_of(content: Mapping[str, Any]) -> Wanted:
    """What a state file with this content asks for; it may name no files. Raises InvalidParams."""

    def read(place: str, _path: str) -> bytes:
        raise InvalidParams(f"{place}: a form cannot name files.", rule="request")

    return gather(checked(content), read, {})


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


def people_in(text: str) -> list[dict[str, Any]]:
    """People as lines of CSV: address, name and roles; a head line is not needed, roles are apart by blanks.

    Good: `ada@example.edu,Ada Byron,researcher lead`. Bad: a line without a name. Raises InvalidParams with the
    number of the line.
    """
    found: list[dict[str, Any]] = []
    for line, cells in _lines(text, _COLUMNS):
        if len(cells) < 2 or not cells[0] or not cells[1]:
            raise InvalidParams(f"Line {line} needs an address and a name, a comma between them.")
        roles = [each for cell in cells[2:] for each in cell.replace(";", " ").split()]
        found.append({"email": cells[0], "name": cells[1], "roles": roles or [Role.RESEARCHER.value]})
    return found


def projects_in(text: str) -> list[dict[str, Any]]:
    """Projects as lines of CSV: name, credential, reference, first and last day, lead, members, endpoints.

    A head line is not needed; members and endpoints are apart by blanks, `all` is every endpoint, the lead is a member.
    Good: `elections,main,R-2026-014,2026-01-01,2027-06-30,ada@example.edu,bob@example.edu,video/query user/info`. Bad: a
    line without endpoints. Raises InvalidParams with the number of the line.
    """
    found: list[dict[str, Any]] = []
    for line, cells in _lines(text, _PROJECT_COLUMNS):
        if len(cells) != len(_PROJECT_COLUMNS) or not cells[-1]:
            raise InvalidParams(
                f"Line {line} needs {', '.join(_PROJECT_COLUMNS)}, with commas between; the endpoints "
                "are names with blanks between, or all."
            )
        found.append(_project_in(cells, line))
    return found


def keys_in(text: str) -> list[WantedKey]:
    """Keys as lines of CSV: project, person and the last day, which may be left out; a head line is not needed.

    Good: `elections,ada@example.edu,2027-06-30`. Bad: the same project and person twice, which nobody means. Raises
    InvalidParams with the number of the line.
    """
    found: dict[tuple[str, str], WantedKey] = {}
    for line, cells in _lines(text, _KEY_COLUMNS):
        if not 2 <= len(cells) <= 3 or not cells[0] or not cells[1]:
            raise InvalidParams(f"Line {line} needs {', '.join(_KEY_COLUMNS)}, with commas between.")
        project, email = cells[0], cells[1].lower()
        if (project, email) in found:
            raise InvalidParams(f"Line {line} asks for a second key of {email} in {project}.")
        last = cells[2] if len(cells) == 3 else ""
        expires = _day(last, line) if last else None
        found[project, email] = WantedKey(project=project, email=email, expires=expires)
    return list(found.values())


def _lines(text: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines of CSV that say something, each with its number. Raises InvalidParams where they are none or too many."""
    rows = csv.reader(io.StringIO(text.replace("\r\n", "\n")), strict=True)
    count = 0
    try:
        for row in rows:
            cells = [each.strip() for each in row]
            if not any(cells) or tuple(cells[:2]) == tuple(columns[:2]):
                continue
            count += 1
            if count > MOST_ROWS:
                break
            yield rows.line_num, cells
    except csv.Error as error:
        raise InvalidParams(f"Line {rows.line_num} is no CSV: {error}.") from error
    if not 1 <= count <= MOST_ROWS:
        raise InvalidParams(f"Give 1 to {MOST_ROWS} lines, each with {', '.join(columns)}.")


def _day(text: str, line: int) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidParams(f"Line {line}: a day is written such as 2027-06-30.") from error


def _project_in(cells: Sequence[str], line: int) -> dict[str, Any]:
    name, credential, reference, first, last, lead, members, endpoints = cells
    days = {"from": _day(first, line), "until": _day(last, line)}
    lead = lead.lower()
    people = [each for each in (*members.lower().replace(";", " ").split(), lead) if each]
    return {
        "name": name,
        "credential": credential,
        "approval": {"reference": reference, **days},
        "lead": lead or None,
        "members": list(dict.fromkeys(people)),
        "allow": {} if endpoints == "all" else {"endpoints": endpoints.replace(";", " ").split()},
    }


def terms_wanted(content: Mapping[str, Any], text: str) -> Wanted:
    """A version of the terms whose text was typed rather than read from a file. Raises InvalidParams."""
    (terms,) = checked({"terms": [{**content, "text_file": "typed"}]}).terms or ()
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
