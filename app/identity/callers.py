"""Who calls, and under which approval: what the rules of the terms are judged on."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from app.ids import CredentialId, KeyId, MembershipId, PersonId, ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What the platform approved for a project; None means that the proposal sets no bound."""

    reference: str
    from_day: dt.date
    until_day: dt.date
    endpoints: frozenset[str] | None
    fields: Mapping[str, frozenset[str]]
    conditions: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms in force at the last look, the day the next version comes in, and what was accepted."""

    in_force: tuple[tuple[str, dt.date], ...]
    accepted: frozenset[str]

    def version_at(self, day: dt.date) -> str | None:
        """The version in force on `day`; None when no version was in force yet."""
        begun = [(since, version) for version, since in self.in_force if since <= day]
        return max(begun)[1] if begun else None


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

    @property
    def reuse_scope(self) -> str:
        """The partition of held answers that this caller may see."""
        return f"credential:{self.credential}" if self.shared_by_credential else f"project:{self.project}"


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
