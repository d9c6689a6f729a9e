"""Nobody who is signed in takes their own administration away: they could not take it back.

Whoever runs commands on the machine can, and can give it back; so can the institution's groups. That the last
administrator goes has to be written in a state file: a command about one person does not do it in passing.
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


def require_other_administrator(state: State, person: Person) -> None:
    """Return if somebody else administers, or that person does not; raises Conflict."""
    if [each.id for each in state.people if _administers(each)] == [person.id]:
        raise Conflict("This is the last administrator; make somebody else one first.")


def _administers(person: Person) -> bool:
    return Role.ADMIN in person.roles and person.retired_us is None
