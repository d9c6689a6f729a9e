"""Nobody who is signed in takes their own administration away: they could not take it back.

Whoever runs commands on the machine can, and can give it back; so can the institution's groups.
"""

from app.administration.changes import Actor, Plan
from app.administration.state import Person, State
from app.errors import Conflict
from app.identity.roles import Role


def require_own_administration(state: State, plan: Plan, actor: Actor) -> None:
    """Return if the plan leaves the person who acts the role of administrator; raises Conflict."""
    if actor.kind != "person":
        return
    before = next((each for each in state.people if each.id == actor.principal), None)
    after = next(
        (each for each in reversed(plan.puts) if isinstance(each, Person) and each.id == actor.principal),
        None,
    )
    if before is None or after is None or not _administers(before) or _administers(after):
        return
    raise Conflict("You would take your own administration away. Let another administrator do that.")


def _administers(person: Person) -> bool:
    return Role.ADMIN in person.roles and person.retired_us is None
