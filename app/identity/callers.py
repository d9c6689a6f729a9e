"""Who calls, and under which approval: what the rules of the terms are judged on."""

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from app.ids import CredentialId, KeyId, MembershipId, PersonId, ProjectId, held_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What the platform approved for a project; None means that the proposal sets no bound."""

    reference: str
    from_day: dt.date
    until_day: dt.date
    endpoints: frozenset[str] | None
    fields: Mapping[str, frozenset[str]]
    conditions: Mapping[str, frozenset[str]]
    dates_from: dt.date | None = None
    dates_until: dt.date | None = None
    max_span_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TermsVersion:
    """A version of the terms; whoever accepted the one before may go on for `grace_days` from `since`."""

    since: dt.date
    version: str
    grace_days: int = 0

    def is_in_grace(self, day: dt.date) -> bool:
        """Whether the version before still serves on `day`."""
        return day <= self.accept_by

    @property
    def accept_by(self) -> dt.date:
        """The last day of the grace period; the day before `since` where there is none."""
        # A version may be put off to the end of the calendar, beyond which there are no days of grace.
        days = min(self.grace_days - 1, (dt.date.max - self.since).days)
        return self.since + dt.timedelta(days=days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Every version of the terms, those to come included, and which of them one person accepted."""

    versions: tuple[TermsVersion, ...]
    accepted: frozenset[str]

    def version_at(self, day: dt.date) -> TermsVersion | None:
        """The version in force on `day`; None when no version was in force yet."""
        return max((each for each in self.versions if each.since <= day), default=None)

    def may_call(self, day: dt.date) -> bool:
        """Whether the version in force is accepted, or one before it is whose successors are all in grace."""
        begun = sorted((each for each in self.versions if each.since <= day), reverse=True)
        for each in begun:
            if each.version in self.accepted:
                return True
            if not each.is_in_grace(day):
                return False
        return not begun

    def pending(self, day: dt.date) -> TermsVersion | None:
        """The version in force where it has not been accepted, whether or not grace still allows calls."""
        version = self.version_at(day)
        return None if version is None or version.version in self.accepted else version

    def accept_by(self, day: dt.date) -> dt.date | None:
        """The last day on which calls go on by grace; None where they do not need it, or do not go on."""
        if self.pending(day) is None or not self.may_call(day):
            return None
        begun = sorted((each for each in self.versions if each.since <= day), reverse=True)
        waiting = itertools.takewhile(lambda each: each.version not in self.accepted, begun)
        return min(each.accept_by for each in waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The distinct people on a credential, each by the last day of their time; None is open."""

    limit: int
    until: tuple[dt.date | None, ...] = ()

    def people_on(self, day: dt.date) -> int:
        """How many there are whose time is not over, those who are still to come included."""
        return sum(each is None or each >= day for each in self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What administrators set: modes by rule id, and for each dated value its amounts with their first days."""

    modes: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, tuple[tuple[dt.date, int], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseChoices:
    """When held answers of a project may be used; times are seconds by endpoint, `default` standing for the others."""

    obeys_cache_control: bool = True
    """Whether `Cache-Control` of its callers counts."""
    serves_stale: bool = False
    """Whether what is held past its time is served while nothing can be fetched."""
    lifetimes: Mapping[str, int] = field(default_factory=dict)
    recent_lifetimes: Mapping[str, int] = field(default_factory=dict)
    """For questions whose days were still filling when they were asked."""
    without: frozenset[str] = frozenset()
    """Steps of reuse that its calls leave out, beside those that the installation does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """That an administrator stopped a person, a project or a credential; `ask` are addresses of who can lift it.

    Why is not in it: the reason is for administrators and compliance.
    """

    kind: str
    name: str
    since: dt.datetime
    ask: tuple[str, ...] = ()

    @property
    def of_person(self) -> bool:
        """Whether it is the person themself who was stopped."""
        return self.kind == "person"

    def says(self) -> str:
        """For whoever it stops: what was stopped, since when, and whom to ask."""
        whom = "your access has" if self.of_person else f"{self.kind} {self.name} has"
        ask = " or ".join(self.ask) or "an administrator"
        return f"{whom} been frozen since {self.since:%Y-%m-%d %H:%M} UTC. Ask {ask}; trying again does not help."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A key's membership, person, project and credential, as of one revision of the directory."""

    key: KeyId
    key_expires_us: int | None
    membership: MembershipId
    member_from: dt.date | None
    member_until: dt.date | None
    person: PersonId
    roles: frozenset[str]
    project: ProjectId
    project_name: str
    credential: CredentialId
    approval: Approval
    terms: Terms
    shared_by_credential: bool
    revision: int
    roster: Roster | None = None
    policy: Policy = Policy()
    reuse: ReuseChoices = ReuseChoices()
    freeze: Freeze | None = None
    """Of the person, else of the project, else of the credential."""
    held_era: int = 0
    """Of the credential where held answers are shared by it, else of the project."""

    @property
    def reuse_scope(self) -> str:
        """The partition of held answers that this caller may see."""
        if self.shared_by_credential:
            return held_scope("credential", self.credential, self.held_era)
        return held_scope("project", self.project, self.held_era)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key's digests and its caller; `old_` digests hold until `old_until_us`."""

    caller: Caller
    client_secret_digest: bytes
    api_key_digest: bytes
    old_client_secret_digest: bytes | None
    old_api_key_digest: bytes | None
    old_until_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person who holds a token for `/api/v1`; `project` is set where an API key of a project was used."""

    person: PersonId
    name: str
    email: str
    roles: frozenset[str]
    token: KeyId
    expires_us: int | None
    revision: int
    freeze: Freeze | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A person's token for `/api/v1`: its digest and whom it stands for."""

    operator: Operator
    digest: bytes


class Directory(Protocol):
    """Who may call. Retired, revoked and expired objects are absent, or carry the day of their end.

    Answers may come from memory: each carries the revision of the directory that it was read at, and
    the books refuse what was decided on an older one. Raises StoreUnavailable.
    """

    async def by_key(self, key: KeyId) -> KeyRecord | None:
        """The key of that id, or None when there is none that could be used."""
        ...

    async def by_token(self, token: KeyId) -> TokenRecord | None:
        """The person's token of that id, or None when there is none that could be used."""
        ...

    def forget(self) -> None:
        """Read anew from now on: the directory has changed."""
        ...
