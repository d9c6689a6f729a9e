"""Distinct types for ids, and the one place where they are made."""

import secrets
from typing import NewType

CredentialId = NewType("CredentialId", str)
ProjectId = NewType("ProjectId", str)
PersonId = NewType("PersonId", str)
MembershipId = NewType("MembershipId", str)
KeyId = NewType("KeyId", str)
EntryId = NewType("EntryId", str)
SearchId = NewType("SearchId", str)
"""Bursar's own search id: decimal digits inside int64, since clients parse it as an integer."""


def held_scope(kind: str, object_id: str, era: int) -> str:
    """Where answers for a `project`, or for all of a `credential`, are held: another place each time that it begins anew."""
    return f"{kind}:{object_id}.{era}" if era else f"{kind}:{object_id}"


def owner_of(scope: str) -> str:
    """Whose such a place is, in whichever era: `project:` or `credential:` and the id."""
    return scope.partition(".")[0]


def new_entry_id() -> EntryId:
    """A fresh 128-bit id as 32 hexadecimal digits; being random it also blinds the leaf hash."""
    return EntryId(secrets.token_hex(16))


def new_object_id() -> str:
    """A fresh 80-bit id as 20 hexadecimal digits, for rows that people create."""
    return secrets.token_hex(10)


def new_search_id() -> SearchId:
    """A fresh search id, drawn from [2^62, 2^63), so it is always 19 digits and inside int64."""
    return SearchId(str((1 << 62) | secrets.randbits(62)))
