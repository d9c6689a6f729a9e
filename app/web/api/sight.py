"""What somebody may see of the directory.

Administrators and compliance see all. Whoever leads a project sees it whole. Everyone else sees
themselves, the projects that they belong to, and their own keys; what they may not see does not exist
for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.administration.shown import require_scope
from app.administration.state import Key, Membership, Person, Project, State, TermsVersion
from app.errors import NotFound
from app.identity.roles import Act
from app.quota.arithmetic import ScopeKind
from app.quota.limits import EACH_MEMBER, FLOOR, StoredLimit
from app.web.api.visitors import Visitor


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One state of the directory through the eyes of one visitor; retired objects are left out."""

    state: State
    visitor: Visitor

    @cached_property
    def sees_all(self) -> bool:
        """Whether nothing of the directory is hidden; never with a project's key."""
        return self.visitor.may(Act.SEE_ALL) and not self.visitor.with_key

    @cached_property
    def led(self) -> frozenset[str]:
        """Ids of the projects that the visitor leads."""
        mine = (each for each in self.state.projects if each.lead_id == self.visitor.person)
        return frozenset(each.id for each in mine if each.retired_us is None)

    @cached_property
    def own_memberships(self) -> tuple[Membership, ...]:
        """The visitor's own places in projects that go on."""
        going_on = {each.id for each in self.state.projects if each.retired_us is None}
        return tuple(
            each
            for each in self.state.memberships
            if each.retired_us is None
            and each.person_id == self.visitor.person
            and each.project_id in going_on
        )

    @cached_property
    def projects(self) -> Mapping[str, Project]:
        """Projects by id."""
        mine = self.led | {each.project_id for each in self.own_memberships}
        return {
            each.id: each
            for each in self.state.projects
            if each.retired_us is None and (self.sees_all or each.id in mine)
        }

    @cached_property
    def memberships(self) -> Mapping[str, Membership]:
        """Memberships by id: all of a project for whoever leads it, otherwise one's own."""
        own = {each.id for each in self.own_memberships}
        return {
            each.id: each
            for each in self.state.memberships
            if each.retired_us is None
            and each.project_id in self.projects
            and (self.sees_all or each.project_id in self.led or each.id in own)
        }

    @cached_property
    def people(self) -> Mapping[str, Person]:
        """People by id: oneself, and the members of the projects that one leads."""
        known = {each.person_id for each in self.memberships.values()} | {self.visitor.person}
        return {
            each.id: each
            for each in self.state.people
            if each.retired_us is None and (self.sees_all or each.id in known)
        }

    @cached_property
    def keys(self) -> Mapping[str, Key]:
        """Keys by id, revoked ones included, of the memberships in sight; all of them for whoever sees all."""
        return {
            each.id: each
            for each in self.state.keys
            if self.sees_all or each.membership_id in self.memberships
        }

    @cached_property
    def terms(self) -> Mapping[str, TermsVersion]:
        """Versions of the terms that have not been withdrawn; these are everybody's."""
        return {each.version: each for each in self.state.terms if each.retired_us is None}

    @cached_property
    def limits(self) -> Mapping[str, StoredLimit]:
        """Limits by `scope dimension/window`, those above one's own included, since they bind as well."""
        labels = self._scope_labels
        found = {}
        for each in self.state.limits:
            label = labels.get((each.scope_kind, each.scope_id))
            if label is not None:
                window = f"/{each.window}" if each.window else ""
                found[f"{label} {each.dimension}{window}"] = each
        return found

    def scope_label(self, limit: StoredLimit) -> str:
        """Whose limit it is, as people write it: `project:elections`."""
        return self._scope_labels[limit.scope_kind, limit.scope_id]

    def require_scope(self, scope: str) -> None:
        """Return where limits of that scope may be seen; raises NotFound and InvalidParams."""
        require_scope(self.state, scope)
        if scope not in self._scope_labels.values():
            raise NotFound(f"There is no {scope!a} that you could see.", rule="sight")

    def project(self, name: str) -> Project:
        """The project of that name or id; raises NotFound."""
        named = (each for each in self.projects.values() if each.name == name)
        found = next(named, None) or self.projects.get(name)
        if found is None:
            raise NotFound(f"There is no project {name!a} that you could see.", rule="sight")
        return found

    def person(self, email: str) -> Person:
        """The person of that address or id; raises NotFound."""
        wanted = email.strip().lower()
        addressed = (each for each in self.people.values() if each.email == wanted)
        found = next(addressed, None) or self.people.get(wanted)
        if found is None:
            raise NotFound(f"There is no person {wanted!a} that you could see.", rule="sight")
        return found

    def membership(self, project: str, person: str) -> Membership:
        """That person's place in that project; raises NotFound."""
        wanted = (self.project(project).id, self.person(person).id)
        found = (each for each in self.memberships.values() if (each.project_id, each.person_id) == wanted)
        place = next(found, None)
        if place is None:
            raise NotFound(f"{person!a} is no member of {project!a} whom you could see.", rule="sight")
        return place

    def terms_version(self, version: str) -> TermsVersion:
        """That version of the terms; raises NotFound."""
        found = self.terms.get(version)
        if found is None:
            raise NotFound(f"There are no terms of version {version!a}.", rule="sight")
        return found

    def me(self) -> Person:
        """The visitor; raises NotFound when they were retired this very moment."""
        found = self.people.get(self.visitor.person)
        if found is None:
            raise NotFound("You are not in the directory any more.", rule="sight")
        return found

    @cached_property
    def _scope_labels(self) -> Mapping[tuple[str, str], str]:
        names = {each.id: each.email for each in self.state.people}
        credentials = {each.credential_id for each in self.projects.values()}
        labels = {
            (ScopeKind.CREDENTIAL.value, each.id): f"credential:{each.name}"
            for each in self.state.credentials
            if each.retired_us is None and (self.sees_all or each.id in credentials)
        }
        for project in self.projects.values():
            labels[ScopeKind.PROJECT.value, project.id] = f"project:{project.name}"
            labels[EACH_MEMBER, project.id] = f"{EACH_MEMBER}:{project.name}"
            labels[FLOOR, project.id] = f"{FLOOR}:{project.name}"
        for place in self.memberships.values():
            name = f"{self.projects[place.project_id].name}/{names[place.person_id]}"
            labels[ScopeKind.MEMBER.value, place.id] = f"member:{name}"
        for key in self.keys.values():
            labels[ScopeKind.KEY.value, key.id] = f"key:{key.id}"
        return labels
