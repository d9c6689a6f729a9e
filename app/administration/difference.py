"""What has to change so that the directory is what a state file asks for.

Given state, file and mint this is a computation: it asks neither database nor clock. Retired objects that the file names
again come back as the same rows, since the log points at them; with limits that the file names, and no others. People alone
do not: an address may be given to somebody else, so whoever comes back has to be called that.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from app.administration.accounts import account_of, require_own_account
from app.administration.changes import Change, Draw, Plan
from app.administration.credentials import SealedCredential
from app.administration.desired import DesiredMember, DesiredProject, LimitKey, malformed
from app.administration.facing import (
    acceptance_face,
    credential_face,
    differences,
    membership_face,
    person_face,
    project_face,
    retirement,
    terms_face,
)
from app.administration.floors import after, check_floors
from app.administration.minting import Mint
from app.administration.naming import former, require_new, require_new_address, require_visible
from app.administration.policy import rule_modes, stated_values
from app.administration.renewing import is_shared_anew, renewed
from app.administration.retiring import (
    retire_credential,
    retire_membership,
    retire_person,
    retire_project,
    retire_terms,
)
from app.administration.rosters import check_rosters
from app.administration.state import (
    Acceptance,
    Credential,
    Membership,
    Person,
    Project,
    Proposal,
    Record,
    State,
    TermsVersion,
    slot_of,
)
from app.administration.wanted import Wanted, WantedAcceptance, WantedCredential, WantedPerson, WantedTerms
from app.quota.arithmetic import ScopeKind
from app.quota.limits import EACH_MEMBER, FLOOR, StoredLimit

_Named = TypeVar("_Named", Credential, Person, TermsVersion, Project)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What to change, and what the file does not name: `left` is (kind, object) of what stays as it is.

    `waiting` are raises that the file asks for and that a second person has to confirm.
    """

    plan: Plan
    left: Sequence[tuple[str, str]]
    waiting: Sequence[Proposal] = ()


def difference(
    state: State, wanted: Wanted, mint: Mint, *, prune: bool = False, prune_members: bool = False
) -> Difference:
    """The changes that lead from `state` to `wanted`, in the order in which they are made.

    With `prune` objects that a section of the file does not name are retired; a section that is absent
    from the file is not spoken about. With `prune_members` only members are, of the projects that it names.
    Raises InvalidParams, naming the place, for what cannot be.
    """
    comparison = _Comparison(state=state, mint=mint, prune=prune, prune_members=prune or prune_members)
    for credential in wanted.credentials or ():
        comparison.credential(credential)
    comparison.accounts()
    for terms in wanted.terms or ():
        comparison.terms_version(terms)
    for person in wanted.people or ():
        comparison.person(person)
    for project in wanted.projects or ():
        comparison.project(project)
    comparison.absent(wanted)
    for policy in (rule_modes, stated_values):
        comparison.left += policy(comparison.draw, state, wanted, prune=prune)
    check_rosters(
        credentials=comparison.credentials.values(),
        projects=comparison.projects.values(),
        memberships=comparison.memberships.values(),
        today=state.now.date(),
    )
    draw = comparison.draw
    check_floors(
        credentials=comparison.credentials.values(),
        projects=comparison.projects.values(),
        limits=after(state.limits, puts=draw.puts, dropped=draw.dropped),
    )
    return Difference(plan=comparison.draw.plan(), left=tuple(comparison.left))


@dataclass(slots=True, kw_only=True)
class _Comparison:
    """The directory as it will be so far, by the names that people use."""

    state: State
    mint: Mint
    prune: bool
    prune_members: bool
    draw: Draw = field(default_factory=Draw)
    left: list[tuple[str, str]] = field(default_factory=list)
    changed_accounts: list[WantedCredential] = field(default_factory=list)
    credentials: dict[str, Credential] = field(init=False)
    people: dict[str, Person] = field(init=False)
    terms: dict[str, TermsVersion] = field(init=False)
    projects: dict[str, Project] = field(init=False)
    memberships: dict[tuple[str, str], Membership] = field(init=False)

    def __post_init__(self) -> None:
        self.credentials = {each.name: each for each in self.state.credentials}
        self.people = {each.email: each for each in self.state.people}
        self.terms = {each.version: each for each in self.state.terms}
        self.projects = {each.name: each for each in self.state.projects}
        self.memberships = {(each.project_id, each.person_id): each for each in self.state.memberships}

    def credential(self, wanted: WantedCredential) -> None:
        """Bring one credential to what is wanted."""
        old = self.credentials.get(wanted.name)
        require_new("credentials", wanted.name, old)
        digest = self.mint.secret_digest(wanted.client_key, wanted.client_secret)
        credential_id = old.id if old else self.mint.object_id()
        is_new_secret = old is None or old.secret_digest != digest
        sealed = self._sealed(old, wanted, credential_id, is_new_secret=is_new_secret)
        new = Credential(
            id=credential_id,
            name=wanted.name,
            base_url=wanted.base_url,
            wrapped_key=sealed.wrapped_key,
            sealed_client_key=sealed.sealed_client_key,
            sealed_client_secret=sealed.sealed_client_secret,
            secret_digest=sealed.secret_digest,
            roster_limit=wanted.roster_limit,
            permission=wanted.permission,
            created_us=old.created_us if old else self.state.now_us,
            held_era=old.held_era if old else 0,
        )
        self.credentials[new.name] = new
        if old is None or account_of(self.mint, old) != (wanted.base_url, wanted.client_key):
            self.changed_accounts.append(wanted)
        before = credential_face(old) if old else None
        was_retired = old is not None and old.retired_us is not None
        after = credential_face(new)
        self._put(new, differences("credential", new.name, new.id, before, after, was_retired=was_retired))
        if old is not None and is_new_secret and not was_retired:
            self.draw.puts.append(new)
            said = Change(
                kind="credential", object=new.name, object_id=new.id, what="client_secret", after="changed"
            )
            self.draw.changes.append(said)
        self._limits(ScopeKind.CREDENTIAL, new.id, f"credential:{new.name}", wanted.limits)

    def accounts(self) -> None:
        """Refuse a second credential of one account, once all of them are as they will be."""
        for wanted in self.changed_accounts:
            require_own_account(
                self.mint,
                self.credentials.values(),
                name=wanted.name,
                base_url=wanted.base_url,
                client_key=wanted.client_key,
            )

    def _sealed(
        self, old: Credential | None, wanted: WantedCredential, credential_id: str, *, is_new_secret: bool
    ) -> SealedCredential:
        """The seals as they are, or fresh ones where the secret or the host that they name is another."""
        if old is not None and not is_new_secret and old.base_url == wanted.base_url:
            return old.sealed
        return self.mint.seal(
            credential=credential_id,
            base_url=wanted.base_url,
            client_key=wanted.client_key,
            client_secret=wanted.client_secret,
            wrapped_key=(old.wrapped_key or None) if old else None,
        )

    def terms_version(self, wanted: WantedTerms) -> None:
        """Bring one version of the terms to what is wanted."""
        old = self.terms.get(wanted.version)
        new = TermsVersion(
            version=wanted.version,
            title=wanted.title,
            text=wanted.text,
            text_sha256=wanted.text_sha256,
            source=wanted.source,
            in_force_from=wanted.in_force_from,
            grace_days=wanted.grace_days,
            created_us=old.created_us if old else self.state.now_us,
        )
        accepted = any(each.version == new.version for each in self.state.acceptances)
        if old is not None and accepted and old.text_sha256 != new.text_sha256:
            raise malformed(
                f"terms ({new.version})",
                "this version has been accepted, so its text cannot change; give the new text a new version",
            )
        self.terms[new.version] = new
        was_retired = old is not None and old.retired_us is not None
        before = terms_face(old) if old else None
        changes = differences(
            "terms", new.version, new.version, before, terms_face(new), was_retired=was_retired
        )
        self._put(new, changes)

    def person(self, wanted: WantedPerson) -> None:
        """Bring one person, and what they accepted, to what is wanted."""
        old = self.people.get(wanted.email)
        require_new_address("people", wanted.email, old)
        if wanted.returning and old is None:
            raise malformed(f"people ({wanted.email}).returning", "nobody of this address was here before")
        if old is not None and old.retired_us is not None and not wanted.returning:
            left = former(old)
            self.people[left.email] = left
            self.draw.puts.append(left)
            old = None
        new = Person(
            id=old.id if old else self.mint.object_id(),
            email=wanted.email,
            name=wanted.name,
            roles=wanted.roles,
            created_us=old.created_us if old else self.state.now_us,
        )
        self.people[new.email] = new
        was_retired = old is not None and old.retired_us is not None
        before = person_face(old) if old else None
        self._put(
            new, differences("person", new.email, new.id, before, person_face(new), was_retired=was_retired)
        )
        for accepted in wanted.accepted:
            self._acceptance(new, accepted)

    def _acceptance(self, person: Person, wanted: WantedAcceptance) -> None:
        place = f"people ({person.email}).accepted ({wanted.version})"
        terms = self.terms.get(wanted.version)
        if terms is None or terms.retired_us is not None:
            raise malformed(place, f"there are no terms of version {wanted.version}; add them under terms")
        if wanted.on > self.state.now.date():
            raise malformed(f"{place}.on", f"{wanted.on} has not come yet")
        old = next(
            (
                each
                for each in self.state.acceptances
                if each.person_id == person.id and each.version == wanted.version
            ),
            None,
        )
        if old is not None and old.how == "self":
            return  # their own act says more than a record of it
        new = Acceptance(
            person_id=person.id,
            version=wanted.version,
            accepted_us=_midnight_us(wanted.on),
            how="recorded",
            evidence_name=wanted.evidence_name,
            evidence_sha256=wanted.evidence_sha256,
        )
        before = acceptance_face(old, terms) if old else None
        changes = differences("acceptance", person.email, person.id, before, acceptance_face(new, terms))
        self._put(new, changes)

    def project(self, wanted: DesiredProject) -> None:
        """Bring one project, its members and its limits to what is wanted."""
        place = f"projects ({wanted.name})"
        credential = self.credentials.get(wanted.credential)
        if credential is None or credential.retired_us is not None:
            raise malformed(
                f"{place}.credential", f"there is no credential {wanted.credential}; add it under credentials"
            )
        lead = None if wanted.lead is None else self._known(wanted.lead, f"{place}.lead")
        old = self.projects.get(wanted.name)
        require_new("projects", wanted.name, old)
        if old is None or old.approval_reference != wanted.approval.reference:
            require_visible(f"{place}.approval.reference", wanted.approval.reference)
        new = Project(
            id=old.id if old else self.mint.object_id(),
            name=wanted.name,
            credential_id=credential.id,
            approval_reference=wanted.approval.reference,
            approved_from=wanted.approval.from_day,
            approved_until=wanted.approval.until_day,
            lead_id=lead.id if lead else None,
            cache_scope=wanted.cache_scope,
            allow=wanted.allow.as_stored(),
            reuse=wanted.reuse.as_stored(),
            wrapped_data_key=b"",
            created_us=old.created_us if old else self.state.now_us,
        )
        new, ended = renewed(self.state, old, new, self.mint)
        if is_shared_anew(self.state, new):
            self._share_anew(credential)
        self.projects[new.name] = new
        names = {each.id: each.name for each in self.credentials.values()}
        names |= {each.id: each.email for each in self.people.values()}
        was_retired = old is not None and old.retired_us is not None
        before = project_face(old, names) if old else None
        after = project_face(new, names)
        changes = differences("project", new.name, new.id, before, after, was_retired=was_retired)
        self._put(new, [*ended, *changes])
        for kind, limits in (
            (ScopeKind.PROJECT, wanted.limits),
            (EACH_MEMBER, wanted.member_limits),
            (FLOOR, wanted.floors),
        ):
            self._limits(kind, new.id, f"{kind}:{new.name}", limits, is_back=was_retired)
        for member in wanted.members:
            self._member(new, member, f"{place}.members ({member.email})")
        self._members_left(new, {self.people[member.email].id for member in wanted.members})

    def _share_anew(self, credential: Credential) -> None:
        before = next((each for each in self.state.credentials if each.id == credential.id), None)
        if before is not None and credential.held_era == before.held_era:
            anew = replace(credential, held_era=before.held_era + 1)
            self.credentials[anew.name] = anew
            self.draw.puts.append(anew)

    def _member(self, project: Project, wanted: DesiredMember, place: str) -> None:
        person = self._known(wanted.email, place)
        if wanted.from_day and wanted.until_day and wanted.until_day < wanted.from_day:
            raise malformed(place, "until lies before from")
        old = self.memberships.get((project.id, person.id))
        new = Membership(
            id=old.id if old else self.mint.object_id(),
            project_id=project.id,
            person_id=person.id,
            from_day=wanted.from_day,
            until_day=wanted.until_day,
            created_us=old.created_us if old else self.state.now_us,
        )
        self.memberships[project.id, person.id] = new
        label = f"{project.name}/{person.email}"
        was_retired = old is not None and old.retired_us is not None
        before = membership_face(old) if old else None
        changes = differences("member", label, new.id, before, membership_face(new), was_retired=was_retired)
        self._put(new, [_naming(change, project, person) for change in changes])
        self._limits(ScopeKind.MEMBER, new.id, f"member:{label}", wanted.limits, is_back=was_retired)

    def _members_left(self, project: Project, named: set[str]) -> None:
        emails = {each.id: each.email for each in self.people.values()}
        for slot, membership in list(self.memberships.items()):
            if slot[0] != project.id or slot[1] in named or membership.retired_us is not None:
                continue
            label = f"{project.name}/{emails[slot[1]]}"
            if self.prune_members:
                retire_membership(self.draw, self.state, membership, label, self.state.now_us)
                self.memberships[slot] = replace(membership, retired_us=self.state.now_us)
            else:
                self.left.append(("member", label))

    def _limits(
        self,
        kind: str,
        scope_id: str,
        label: str,
        wanted: Mapping[LimitKey, int],
        *,
        is_back: bool = False,
    ) -> None:
        """Bring limits to what is wanted; of what comes back, limits and raises of before do not."""
        present = {slot_of(each): each for each in self.state.limits if slot_of(each)[:2] == (kind, scope_id)}
        for (dimension, window), amount in wanted.items():
            limit = StoredLimit(
                scope_kind=str(kind), scope_id=scope_id, dimension=dimension, window=window, amount=amount
            )
            old = present.pop(slot_of(limit), None)
            if old != limit:
                self.draw.puts.append(limit)
                self.draw.changes.append(limit_change(label, limit, old.amount if old else None, amount))
        if is_back:
            self._end_raises(kind, scope_id)
        for limit in present.values():
            if self.prune or is_back:
                self.draw.dropped.append(limit)
                self.draw.changes.append(limit_change(label, limit, limit.amount, None))
            else:
                self.left.append(("limit", f"{label} {limit_key(limit)}"))

    def _end_raises(self, kind: str, scope_id: str) -> None:
        for each in self.state.raises:
            still_holds = each.retired_us is None and each.until_us > self.state.now_us
            if still_holds and (each.scope_kind, each.scope_id) == (kind, scope_id):
                self.draw.puts.append(replace(each, retired_us=self.state.now_us))
                self.draw.changes.append(retirement("raise", each.id, each.id))

    def absent(self, wanted: Wanted) -> None:
        """Leave or retire what the sections of the file do not name, users of a thing before the thing."""
        now_us = self.state.now_us
        emails = {each.id: each.email for each in self.people.values()}
        if wanted.projects is not None:
            for project in self._not_named(self.projects, {each.name for each in wanted.projects}, "project"):
                retire_project(self.draw, self.state, project, now_us, emails=emails)
                self.projects[project.name] = replace(project, retired_us=now_us)
        if wanted.people is not None:
            for person in self._not_named(self.people, {each.email for each in wanted.people}, "person"):
                self._refuse_lead(person)
                retire_person(self.draw, self.state, person, now_us)
        if wanted.terms is not None:
            for terms in self._not_named(self.terms, {each.version for each in wanted.terms}, "terms"):
                retire_terms(self.draw, terms, now_us)
        if wanted.credentials is not None:
            named = {each.name for each in wanted.credentials}
            for credential in self._not_named(self.credentials, named, "credential"):
                self._refuse_used(credential)
                retire_credential(self.draw, credential, now_us)

    def _not_named(self, present: Mapping[str, _Named], named: set[str], kind: str) -> list[_Named]:
        absent = [
            (name, each) for name, each in present.items() if name not in named and each.retired_us is None
        ]
        if self.prune:
            return [each for _, each in absent]
        self.left += [(kind, name) for name, _ in absent]
        return []

    def _refuse_lead(self, person: Person) -> None:
        for project in self.projects.values():
            if project.lead_id == person.id and project.retired_us is None:
                raise malformed(
                    "people", f"{person.email} leads project {project.name}; name another lead before"
                )

    def _refuse_used(self, credential: Credential) -> None:
        for project in self.projects.values():
            if project.credential_id == credential.id and project.retired_us is None:
                raise malformed("credentials", f"{credential.name} is used by project {project.name}")

    def _known(self, email: str, place: str) -> Person:
        person = self.people.get(email)
        if person is None or person.retired_us is not None:
            raise malformed(place, f"{email} is not known; add them under people")
        return person

    def _put(self, new: Record, changes: Sequence[Change]) -> None:
        if changes:
            self.draw.puts.append(new)
            self.draw.changes += changes


def limit_key(limit: StoredLimit) -> str:
    """How the state file writes what is limited: `requests/day`, `concurrent`."""
    return f"{limit.dimension}/{limit.window}" if limit.window else str(limit.dimension)


def limit_change(label: str, limit: StoredLimit, before: int | None, after: int | None) -> Change:
    """The change of one limit; `label` names its scope for people, the log has its id."""
    return Change(
        kind="limit",
        object=label,
        object_id=limit.scope_id,
        what=limit_key(limit),
        before=before,
        after=after,
        logged={"scope_kind": limit.scope_kind, "before": before, "after": after},
    )


def _naming(change: Change, project: Project, person: Person) -> Change:
    """The change with whom it concerns, so that the log needs no other table to be read."""
    return replace(change, logged={**(change.logged or {}), "project": project.id, "person": person.id})


def _midnight_us(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) * 1_000_000
