"""One person, project, membership or version of the terms as it shall be, given what is.

Each is a `Wish`: made of the very state that is changed, put as a state file would put it, and carried out by
`acts.apply_state`. Whatever a wish does not speak about stays as it is, whoever changed it a moment ago.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.administration.acts import Wish
from app.administration.desired import check_email
from app.administration.drafting import person_as_it_is, project_as_it_is, terms_wanted, wanted_of
from app.administration.state import Membership, Person, Project, State, TermsVersion
from app.administration.wanted import Wanted
from app.errors import Conflict, InvalidParams, NotFound


def new_person(content: Mapping[str, Any]) -> Wish:
    """A person who is not there yet. Raises Conflict where they are."""
    email = address(str(content["email"]))

    def wish(state: State) -> Wanted:
        if state.person(email) is not None:
            raise Conflict(f"There is a person {email} already; change them instead.")
        return wanted_of({"people": [content]})

    return wish


def had_before(state: State, email: str) -> Person | None:
    """Whoever left and had this address, while nobody else has it."""
    wanted = email.strip().lower()
    return next((each for each in state.people if each.email == wanted and each.retired_us is not None), None)


def listed_people(contents: Sequence[Mapping[str, Any]]) -> Wish:
    """People as a list has them, those who are there already changed to that."""
    wanted = wanted_of({"people": list(contents)})
    return lambda _state: wanted


def changed_person(person_id: str, changes: Mapping[str, Any]) -> Wish:
    """A person with another name or other roles. Raises NotFound."""

    def wish(state: State) -> Wanted:
        now = person_as_it_is(the_person(state, person_id))
        return wanted_of({"people": [{**now, **changes}]})

    return wish


def new_project(content: Mapping[str, Any]) -> Wish:
    """A project that is not there yet. Raises Conflict where it is."""
    return new_projects([content])


def new_projects(contents: Sequence[Mapping[str, Any]]) -> Wish:
    """Projects that are not there yet, all or none. Raises Conflict where one is."""

    def wish(state: State) -> Wanted:
        for content in contents:
            if state.project(str(content["name"])) is not None:
                raise Conflict(f"There is a project {content['name']} already; change it instead.")
        return wanted_of({"projects": list(contents)})

    return wish


def changed_project(project_id: str, changes: Mapping[str, Any]) -> Wish:
    """A project with other attributes; members and limits stay, unless `changes` names them. Raises NotFound."""

    def wish(state: State) -> Wanted:
        now = project_as_it_is(state, the_project(state, project_id))
        return wanted_of({"projects": [{**now, **changes}]})

    return wish


def new_member(project_id: str, person_id: str, days: Mapping[str, Any]) -> Wish:
    """A project with that person in it, who is not yet. Raises Conflict where they are, and NotFound."""

    def wish(state: State) -> Wanted:
        project, person = the_project(state, project_id), the_person(state, person_id)
        if state.membership(project, person) is not None:
            raise Conflict(f"{person.email} is a member of {project.name} already; change that instead.")
        return with_member(project_id, person_id, days)(state)

    return wish


def with_member(project_id: str, person_id: str, days: Mapping[str, Any]) -> Wish:
    """A project with that person in it from and until these days; their limits stay. Raises NotFound."""

    def wish(state: State) -> Wanted:
        now = project_as_it_is(state, the_project(state, project_id))
        email = the_person(state, person_id).email
        old: Mapping[str, Any] = next((each for each in now["members"] if each["email"] == email), {})
        others = [each for each in now["members"] if each["email"] != email]
        member = {"limits": old.get("limits", {}), **days, "email": email}
        return wanted_of({"projects": [{**now, "members": [*others, member]}]})

    return wish


def without_member(project_id: str, person_id: str) -> Wish:
    """A project without that person; carry it out with `prune_members`. Raises NotFound for who is no member."""

    def wish(state: State) -> Wanted:
        project = the_project(state, project_id)
        now, email = project_as_it_is(state, project), the_person(state, person_id).email
        the_membership(state, project_id, person_id)
        if project.lead_id == person_id:
            raise Conflict(f"{email} leads {project.name}; give that to somebody else first.")
        others = [each for each in now["members"] if each["email"] != email]
        return wanted_of({"projects": [{**now, "members": others}]})

    return wish


def new_terms(content: Mapping[str, Any], text: str) -> Wish:
    """A version of the terms that is not there yet. Raises Conflict where it is."""

    def wish(state: State) -> Wanted:
        version = str(content["version"])
        if any(each.version == version and each.retired_us is None for each in state.terms):
            raise Conflict(f"There is a version {version} already; change it, or give the new text another.")
        return terms_wanted(content, text)

    return wish


def changed_terms(version: str, changes: Mapping[str, Any], text: str | None) -> Wish:
    """A version of the terms with other attributes, or another text if nobody accepted it. Raises NotFound."""

    def wish(state: State) -> Wanted:
        old = the_terms(state, version)
        now = {
            "version": old.version,
            "title": old.title,
            "source": old.source or None,
            "in_force_from": old.in_force_from,
            "grace_days": old.grace_days,
        }
        wanted = terms_wanted({**now, **changes}, old.text if text is None else text)
        if text is not None:
            return wanted
        # To the letter: what was accepted has a hash.
        kept = [replace(each, text=old.text, text_sha256=old.text_sha256) for each in wanted.terms or ()]
        return replace(wanted, terms=kept)

    return wish


def address(email: str) -> str:
    """The address in lower case. Raises InvalidParams for what is none."""
    try:
        return check_email(email)
    except ValueError as error:
        raise InvalidParams(f"{error}.", rule="request") from error


def the_person(state: State, person_id: str) -> Person:
    """The person of that id. Raises NotFound."""
    found = next((each for each in state.people if each.id == person_id and each.retired_us is None), None)
    if found is None:
        raise NotFound("There is no such person, or they have been retired.")
    return found


def the_project(state: State, project_id: str) -> Project:
    """The project of that id. Raises NotFound."""
    found = next((each for each in state.projects if each.id == project_id and each.retired_us is None), None)
    if found is None:
        raise NotFound("There is no such project, or it has been retired.")
    return found


def the_membership(state: State, project_id: str, person_id: str) -> Membership:
    """That person's place in that project. Raises NotFound."""
    for each in state.memberships:
        if (each.project_id, each.person_id, each.retired_us) == (project_id, person_id, None):
            return each
    raise NotFound("That person is no member of this project.")


def the_terms(state: State, version: str) -> TermsVersion:
    """The terms of that version. Raises NotFound."""
    found = next((each for each in state.terms if each.version == version and each.retired_us is None), None)
    if found is None:
        raise NotFound(f"There are no terms of version {version!a}, or they have been withdrawn.")
    return found
