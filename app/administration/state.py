"""The directory as records: what administration looks at and what it changes.

Field names are those of the rows. `_us` is microseconds since 1970 UTC. A record with `retired_us` set is
history: it stays, since entries of the log point at it, and counts for nothing.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.administration.credentials import SealedCredential
from app.identity.callers import Policy, Terms
from app.identity.callers import TermsVersion as DatedVersion
from app.quota.arithmetic import Dimension, Window
from app.quota.limits import LimitSlot, Raise, StoredLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An upstream key and secret, sealed; `secret_digest` is empty once it is retired.

    `held_era` counts how often its projects have begun anew to share what is held.
    """

    id: str
    name: str
    base_url: str
    wrapped_key: bytes = field(repr=False)
    sealed_client_key: bytes = field(repr=False)
    sealed_client_secret: bytes = field(repr=False)
    secret_digest: bytes = field(repr=False)
    roster_limit: int
    permission: Mapping[str, Any]
    created_us: int
    retired_us: int | None = None
    held_era: int = 0

    @property
    def sealed(self) -> SealedCredential:
        """The sealed values together."""
        return SealedCredential(
            wrapped_key=self.wrapped_key,
            sealed_client_key=self.sealed_client_key,
            sealed_client_secret=self.sealed_client_secret,
            secret_digest=self.secret_digest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A human being; the log names them by `id` alone."""

    id: str
    email: str
    name: str
    roles: tuple[str, ...]
    created_us: int
    retired_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsVersion:
    """One version of the platform's terms."""

    version: str
    title: str
    text: str = field(repr=False)
    text_sha256: str
    source: str = ""
    in_force_from: dt.date
    grace_days: int = 0
    created_us: int
    retired_us: int | None = None

    @property
    def dates(self) -> DatedVersion:
        """The version as whoever judges a call wants it: its first day and its grace period."""
        return DatedVersion(since=self.in_force_from, version=self.version, grace_days=self.grace_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """That a person accepted a version; `how` is self or recorded. Never taken back."""

    person_id: str
    version: str
    accepted_us: int
    how: str
    evidence_name: str | None = None
    evidence_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One approved proposal; `wrapped_data_key` is empty once it is retired, and with it what was held.

    `held_era` counts how often it has begun anew, with another key.
    """

    id: str
    name: str
    credential_id: str
    approval_reference: str
    approved_from: dt.date
    approved_until: dt.date
    lead_id: str | None
    cache_scope: str
    allow: Mapping[str, Any]
    reuse: Mapping[str, Any] = field(default_factory=dict)
    wrapped_data_key: bytes = field(repr=False)
    created_us: int
    retired_us: int | None = None
    held_era: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMode:
    """That a rule is not enforced: `mode` is warn or shadow, or enforce again."""

    rule: str
    mode: str
    set_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedValue:
    """What the institution's own terms say of a dated value, from a day on, and where they say it."""

    name: str
    from_day: dt.date
    amount: int
    source: str
    stated_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A person in a project, both days included."""

    id: str
    project_id: str
    person_id: str
    from_day: dt.date | None
    until_day: dt.date | None
    created_us: int
    retired_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One membership's key, as digests."""

    id: str
    membership_id: str
    client_secret_digest: bytes = field(repr=False)
    api_key_digest: bytes = field(repr=False)
    old_client_secret_digest: bytes | None = field(default=None, repr=False)
    old_api_key_digest: bytes | None = field(default=None, repr=False)
    old_until_us: int | None = None
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonToken:
    """A bearer token for `/api/v1`, as a digest."""

    id: str
    person_id: str
    digest: bytes = field(repr=False)
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A local account: the hash of its password, and the digest of a code that sets it once, until then."""

    person_id: str
    hash: str | None = field(default=None, repr=False)
    code_digest: bytes | None = field(default=None, repr=False)
    code_until_us: int | None = None
    set_us: int | None = None

    @property
    def id(self) -> str:
        """One a person, so named by theirs."""
        return self.person_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom the institution's identity provider knows the person as: issuer and subject, which never change."""

    issuer: str
    subject: str = field(repr=False)
    person_id: str
    linked_us: int

    @property
    def id(self) -> str:
        """A subject means something at its issuer alone."""
        return f"{self.issuer} {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """That a credential, a project or a person was stopped; in force until `retired_us`.

    `frozen_by` and `lifted_by` are who acted: `os:<uid>`, or a person's id.
    """

    id: str
    kind: str
    object_id: str
    reason: str
    frozen_by: str
    created_us: int
    retired_us: int | None = None
    lifted_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRequest:
    """That `asked_by` wants `amount` more of a limit through `until_day`, and what became of it.

    `state` is open, granted, refused or withdrawn; `decided_by` is who acted: `os:<uid>`, or a person's id.
    """

    id: str
    scope_kind: str
    scope_id: str
    dimension: Dimension
    window: Window | None
    amount: int
    until_day: dt.date
    reason: str
    asked_by: str
    created_us: int
    state: str = "open"
    decided_us: int | None = None
    decided_by: str | None = None
    decision_reason: str | None = None
    raise_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A raise of a credential's limit or roster that waits for a second person, or did.

    `what` is roster_limit or a limit such as requests/day, `after` is None where a limit shall end.
    `proposed_by` and `decided_by` are kind and principal: `cli:os:0`, `person:<id>`. `outcome` is open,
    confirmed, refused or superseded.
    """

    id: str
    credential_id: str
    what: str
    before: int
    after: int | None
    permission: Mapping[str, Any]
    proposed_by: str
    proposed_us: int
    outcome: str
    decided_by: str | None = None
    decided_us: int | None = None


Record = (
    Credential
    | Person
    | TermsVersion
    | Acceptance
    | Project
    | Membership
    | Key
    | PersonToken
    | Password
    | Identity
    | StoredLimit
    | Raise
    | RuleMode
    | StatedValue
    | Freeze
    | QuotaRequest
    | Proposal
)


def slot_of(limit: StoredLimit) -> LimitSlot:
    """What the limit is told apart by."""
    return limit.scope_kind, limit.scope_id, limit.dimension, limit.window


def key_of(record: Record) -> tuple[object, ...]:
    """What a record is told apart by: two records with the same are the same row at two times."""
    match record:
        case TermsVersion():
            return TermsVersion, record.version
        case Acceptance():
            return Acceptance, record.person_id, record.version
        case StoredLimit():
            return StoredLimit, *slot_of(record)
        case RuleMode():
            return RuleMode, record.rule
        case StatedValue():
            return StatedValue, record.name, record.from_day
        case _:
            return type(record), record.id


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The whole directory as of one moment, retired records included."""

    now_us: int
    revision: int = 1
    credentials: Sequence[Credential] = ()
    people: Sequence[Person] = ()
    terms: Sequence[TermsVersion] = ()
    acceptances: Sequence[Acceptance] = ()
    projects: Sequence[Project] = ()
    memberships: Sequence[Membership] = ()
    keys: Sequence[Key] = ()
    tokens: Sequence[PersonToken] = ()
    passwords: Sequence[Password] = ()
    identities: Sequence[Identity] = ()
    limits: Sequence[StoredLimit] = ()
    raises: Sequence[Raise] = ()
    rule_modes: Sequence[RuleMode] = ()
    stated_values: Sequence[StatedValue] = ()
    freezes: Sequence[Freeze] = ()
    requests: Sequence[QuotaRequest] = ()
    proposals: Sequence[Proposal] = ()

    @property
    def policy(self) -> Policy:
        """Modes and stated values as the rules take them."""
        amounts: dict[str, tuple[tuple[dt.date, int], ...]] = {}
        for each in self.stated_values:
            amounts[each.name] = (*amounts.get(each.name, ()), (each.from_day, each.amount))
        return Policy(modes={each.rule: each.mode for each in self.rule_modes}, amounts=amounts)

    @property
    def now(self) -> dt.datetime:
        """The moment, in UTC."""
        return dt.datetime.fromtimestamp(self.now_us / 1_000_000, dt.UTC)

    def person(self, email: str) -> Person | None:
        """The person of that address who has not been retired."""
        wanted = email.strip().lower()
        return next((each for each in self.people if each.email == wanted and each.retired_us is None), None)

    def project(self, name: str) -> Project | None:
        """The project of that name that has not been retired."""
        return next((each for each in self.projects if each.name == name and each.retired_us is None), None)

    def membership(self, project: Project, person: Person) -> Membership | None:
        """That person's place in the project, unless it was retired."""
        return next(
            (
                each
                for each in self.memberships
                if each.project_id == project.id and each.person_id == person.id and each.retired_us is None
            ),
            None,
        )

    def freeze_of(self, object_id: str) -> Freeze | None:
        """The freeze of that object that is in force."""
        return next(
            (each for each in self.freezes if each.object_id == object_id and each.retired_us is None), None
        )

    def terms_at(self, day: dt.date) -> TermsVersion | None:
        """The version in force on that day."""
        begun = [each for each in self.terms if each.retired_us is None and each.in_force_from <= day]
        return max(begun, key=lambda each: (each.in_force_from, each.version), default=None)

    def terms_of(self, person_id: str) -> Terms:
        """Every version that has not been withdrawn, and which of them the person accepted."""
        return Terms(
            versions=tuple(each.dates for each in self.terms if each.retired_us is None),
            accepted=frozenset(each.version for each in self.acceptances if each.person_id == person_id),
        )

    def projects_by_person(self) -> dict[str, list[str]]:
        """The names of the projects in use that people are members of, by their ids."""
        names = {each.id: each.name for each in self.projects if each.retired_us is None}
        found: dict[str, list[str]] = {}
        for each in self.memberships:
            if each.retired_us is None and each.project_id in names:
                found.setdefault(each.person_id, []).append(names[each.project_id])
        return found

    def password_of(self, person_id: str) -> Password | None:
        """That person's local account, or None where they have none."""
        return next((each for each in self.passwords if each.person_id == person_id), None)

    def identities_of(self, person_id: str) -> Sequence[Identity]:
        """Whom the institution's provider knows that person as."""
        return tuple(each for each in self.identities if each.person_id == person_id)

    def has_accepted(self, person_id: str, version: str) -> bool:
        """Whether the person accepted that version."""
        return any(each.person_id == person_id and each.version == version for each in self.acceptances)
