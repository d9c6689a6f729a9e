"""Records of the directory as the API shows them."""

import datetime as dt

from app.administration.keys import IssuedKey, ShownKey
from app.administration.reusing import spelled_out
from app.administration.state import Membership, Person, Project, TermsVersion
from app.web.api.me_shapes import AcceptedShape, OwnProjectShape, TermsStateShape
from app.web.api.people_shapes import PersonShape
from app.web.api.project_shapes import ApprovalShape, MemberShape, ProjectShape
from app.web.api.shapes import IssuedKeyShape, KeyShape, ReuseShape
from app.web.api.sight import Sight
from app.web.api.terms_shapes import TermsShape, TermsTextShape


def person_shape(person: Person) -> PersonShape:
    """A person."""
    return PersonShape(id=person.id, email=person.email, name=person.name, roles=sorted(person.roles))


def project_shape(sight: Sight, project: Project) -> ProjectShape:
    """A project with those of its members who are in sight."""
    state = sight.state
    emails = {each.id: each.email for each in state.people}
    return ProjectShape(
        id=project.id,
        name=project.name,
        credential=next(each.name for each in state.credentials if each.id == project.credential_id),
        approval=approval_shape(project),
        lead=emails.get(project.lead_id or ""),
        members=member_shapes(sight, project),
        cache_scope=project.cache_scope,
        allow=dict(project.allow),
        reuse=ReuseShape.model_validate(spelled_out(project)),
    )


def member_shapes(sight: Sight, project: Project) -> list[MemberShape]:
    """The members of a project who are in sight, by address."""
    emails = {each.id: each.email for each in sight.state.people}
    found = [
        MemberShape(person=emails[each.person_id], from_day=each.from_day, until_day=each.until_day)
        for each in sight.memberships.values()
        if each.project_id == project.id
    ]
    return sorted(found, key=lambda each: each.person)


def own_project_shape(sight: Sight, place: Membership) -> OwnProjectShape:
    """One of the visitor's places, with its project."""
    project = sight.projects[place.project_id]
    return OwnProjectShape(
        name=project.name,
        is_lead=project.id in sight.led,
        frozen_since=_frozen_since(sight, project),
        approval=approval_shape(project),
        from_day=place.from_day,
        until_day=place.until_day,
    )


def _frozen_since(sight: Sight, project: Project) -> dt.datetime | None:
    """When the project, or the credential under it, was stopped; the earlier where both were."""
    found = (sight.state.freeze_of(each) for each in (project.id, project.credential_id))
    moments = [each.created_us for each in found if each is not None]
    return dt.datetime.fromtimestamp(min(moments) / 1_000_000, dt.UTC) if moments else None


def key_shape(key: ShownKey) -> KeyShape:
    """A key without its secrets."""
    return KeyShape(
        id=key.key_id,
        client_key=key.client_key,
        project=key.project,
        person=key.email,
        created_at=key.created_at,
        expires_at=key.expires_at,
        old_until=key.old_until,
        status=key.status,
    )


def issued_key_shape(key: IssuedKey) -> IssuedKeyShape:
    """A key with its fresh secrets, this once."""
    return IssuedKeyShape(
        id=key.key_id,
        client_key=key.client_key,
        client_secret=key.client_secret,
        api_key=key.api_key,
        expires_at=key.expires_at,
        old_until=key.old_until,
    )


def terms_shape(terms: TermsVersion) -> TermsShape:
    """A version of the terms without its text."""
    return TermsShape(
        version=terms.version,
        title=terms.title,
        source=terms.source or None,
        in_force_from=terms.in_force_from,
        grace_days=terms.grace_days,
        accept_by=terms.dates.accept_by if terms.grace_days else None,
        text_sha256=terms.text_sha256,
    )


def terms_text_shape(terms: TermsVersion) -> TermsTextShape:
    """A version of the terms with its text."""
    return TermsTextShape(**terms_shape(terms).model_dump(), text=terms.text)


def accepted_shape(sight: Sight, terms: TermsVersion) -> AcceptedShape:
    """A version of the terms, and what the visitor said to it."""
    said = (
        each
        for each in sight.state.acceptances
        if each.person_id == sight.visitor.person and each.version == terms.version
    )
    acceptance = next(said, None)
    return AcceptedShape(
        version=terms.version,
        title=terms.title,
        text_sha256=terms.text_sha256,
        in_force_from=terms.in_force_from,
        is_in_force=terms == sight.state.terms_at(sight.state.now.date()),
        accepted_at=None if acceptance is None else _moment(acceptance.accepted_us),
        how=None if acceptance is None else acceptance.how,
    )


def terms_state_shape(sight: Sight) -> TermsStateShape:
    """Whether the visitor may call under the terms in force, and where to accept them if not."""
    today = sight.state.now.date()
    terms = sight.state.terms_of(sight.visitor.person)
    current, pending = terms.version_at(today), terms.pending(today)
    return TermsStateShape(
        in_force=None if current is None else current.version,
        is_accepted=pending is None,
        may_call=terms.may_call(today),
        accept_at=None if pending is None else f"/api/v1/me/terms/{pending.version}/acceptance",
        accept_by=terms.accept_by(today),
    )


def approval_shape(project: Project) -> ApprovalShape:
    """What the platform approved of a project."""
    return ApprovalShape(
        reference=project.approval_reference,
        from_day=project.approved_from,
        until_day=project.approved_until,
    )


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)
