"""Which kinds of notice concern somebody, and so which of them they may choose not to get by mail."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from app.administration.notices import Kind
from app.identity.roles import Role

_EVERYONE: Final = frozenset(Role)
_DESK: Final = frozenset({Role.ADMIN, Role.QUOTA_ADMIN})
_WATCH: Final = frozenset({Role.ADMIN, Role.COMPLIANCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A kind of notice under the name of its event, in words, with the roles that get it by mail.

    With `by_leads` whoever leads a project gets it of that project as well.
    """

    kind: Kind
    event: str
    what: str
    roles: frozenset[Role]
    by_leads: bool = False


HEARD: Final = (
    Heard(
        kind=Kind.THRESHOLD,
        event="quota.threshold",
        what="50, 80 and 100 % of a limit are taken",
        roles=_EVERYONE,
    ),
    Heard(kind=Kind.REQUEST_MADE, event="request.made", what="somebody asks for more", roles=_DESK),
    Heard(
        kind=Kind.REQUEST_DECIDED,
        event="request.decided",
        what="what you asked for is granted or refused",
        roles=_EVERYONE,
    ),
    Heard(
        kind=Kind.APPROVAL_ENDING,
        event="approval.ending",
        what="the approval of a project ends soon",
        roles=frozenset({Role.ADMIN}),
        by_leads=True,
    ),
    Heard(
        kind=Kind.CREDENTIAL_REFUSED,
        event="credential.refused",
        what="the platform refuses a credential",
        roles=_DESK,
    ),
    Heard(
        kind=Kind.PLATFORM_SPENT,
        event="platform.spent",
        what="the platform calls a credential's day used up",
        roles=_DESK,
    ),
    Heard(kind=Kind.FROZEN, event="access.frozen", what="something is frozen", roles=_WATCH, by_leads=True),
    Heard(
        kind=Kind.UNFROZEN,
        event="access.unfrozen",
        what="what was frozen goes on",
        roles=_WATCH,
        by_leads=True,
    ),
    Heard(
        kind=Kind.VERIFICATION_FAILED,
        event="audit.verification_failed",
        what="a verification finds that the log does not hold",
        roles=_WATCH,
    ),
    Heard(
        kind=Kind.CHECKPOINT_OF_DAY,
        event="audit.checkpoint_of_day",
        what="the signed head of the log, once a day",
        roles=frozenset({Role.COMPLIANCE}),
    ),
)
"""All that go by mail, in the order in which they are shown."""


def heard_by(roles: Collection[str], *, leads: bool) -> list[Heard]:
    """What somebody of these roles gets by mail; `leads` where they lead a project."""
    return [each for each in HEARD if (leads and each.by_leads) or any(role in each.roles for role in roles)]
