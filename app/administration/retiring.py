"""Ending an object, with everything that must end with it."""

from collections.abc import Mapping
from dataclasses import replace

from app.administration.changes import Change, Draw
from app.administration.facing import retirement
from app.administration.state import (
    Credential,
    Key,
    Membership,
    Password,
    Person,
    PersonToken,
    Project,
    State,
    TermsVersion,
)


def retire_credential(draw: Draw, credential: Credential, now_us: int) -> None:
    """End a credential: its data key goes, and with it the secret and what was held under it."""
    gone = replace(
        credential,
        wrapped_key=b"",
        sealed_client_key=b"",
        sealed_client_secret=b"",
        secret_digest=b"",
        retired_us=now_us,
    )
    draw.puts.append(gone)
    draw.changes.append(retirement("credential", credential.name, credential.id))


def retire_terms(draw: Draw, terms: TermsVersion, now_us: int) -> None:
    """End a version of the terms, which nobody can accept any more."""
    draw.puts.append(replace(terms, retired_us=now_us))
    draw.changes.append(retirement("terms", terms.version, terms.version))


def retire_person(draw: Draw, state: State, person: Person, now_us: int) -> None:
    """End a person's part: tokens, password, memberships and keys."""
    draw.puts.append(replace(person, retired_us=now_us))
    draw.changes.append(retirement("person", person.email, person.id))
    for token in state.tokens:
        if token.person_id == person.id and token.revoked_us is None:
            revoke_token(draw, person, token, now_us)
    if state.password_of(person.id) is not None:
        draw.puts.append(Password(person_id=person.id))
    draw.dropped.extend(state.identities_of(person.id))
    projects = {project.id: project.name for project in state.projects}
    for membership in state.memberships:
        if membership.person_id == person.id and membership.retired_us is None:
            label = f"{projects.get(membership.project_id, membership.project_id)}/{person.email}"
            retire_membership(draw, state, membership, label, now_us)


def retire_project(
    draw: Draw, state: State, project: Project, now_us: int, *, emails: Mapping[str, str]
) -> None:
    """End a project: its members, their keys, and its data key, without which nothing held can be read."""
    draw.puts.append(replace(project, wrapped_data_key=b"", retired_us=now_us))
    draw.changes.append(retirement("project", project.name, project.id))
    for membership in state.memberships:
        if membership.project_id == project.id and membership.retired_us is None:
            label = f"{project.name}/{emails.get(membership.person_id, membership.person_id)}"
            retire_membership(draw, state, membership, label, now_us)


def retire_membership(draw: Draw, state: State, membership: Membership, label: str, now_us: int) -> None:
    """End a person's part in one project, keys included: a member who comes back gets new ones."""
    if membership.id in draw.ended:
        return
    draw.ended.add(membership.id)
    draw.puts.append(replace(membership, retired_us=now_us))
    draw.changes.append(retirement("member", label, membership.id))
    for key in state.keys:
        if key.membership_id == membership.id and key.revoked_us is None:
            revoke(draw, key, now_us)


def revoke(draw: Draw, key: Key, now_us: int) -> None:
    """End a key."""
    draw.puts.append(replace(key, revoked_us=now_us, old_until_us=None))
    draw.changes.append(Change(kind="key", object=key.id, object_id=key.id, what="revoked", logged={}))


def revoke_token(draw: Draw, person: Person, token: PersonToken, now_us: int) -> None:
    """End a person's token, and with it the sessions that were opened with it."""
    draw.puts.append(replace(token, revoked_us=now_us))
    draw.changes.append(
        Change(
            kind="token",
            object=person.email,
            object_id=token.id,
            what="revoked",
            logged={"person": person.id},
        )
    )
