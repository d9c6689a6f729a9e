"""How many distinct people a credential serves, against how many it may."""

import datetime as dt
from collections.abc import Iterable, Mapping

from app.administration.desired import malformed
from app.administration.state import Credential, Membership, Project


def roster_sizes(
    *, projects: Iterable[Project], memberships: Iterable[Membership], today: dt.date
) -> Mapping[str, int]:
    """Distinct people by credential id: members of its projects whose time is not over, the future included."""
    credential_of = {each.id: each.credential_id for each in projects if each.retired_us is None}
    people: dict[str, set[str]] = {}
    for each in memberships:
        is_over = each.retired_us is not None or (each.until_day is not None and each.until_day < today)
        if not is_over and each.project_id in credential_of:
            people.setdefault(credential_of[each.project_id], set()).add(each.person_id)
    return {credential: len(found) for credential, found in people.items()}


def check_rosters(
    *,
    credentials: Iterable[Credential],
    projects: Iterable[Project],
    memberships: Iterable[Membership],
    today: dt.date,
) -> None:
    """Return if every credential serves at most as many people as it may; raises InvalidParams."""
    sizes = roster_sizes(projects=projects, memberships=memberships, today=today)
    for each in credentials:
        size = sizes.get(each.id, 0)
        if each.retired_us is None and size > each.roster_limit:
            raise malformed(
                f"credentials ({each.name}).roster_limit",
                f"{size} people would use this credential, and {each.roster_limit} may; end memberships, or "
                "record the platform's permission and raise roster_limit",
            )
