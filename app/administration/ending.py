"""Ending one person, project, credential or version of the terms, without a state file."""

from app.administration.changes import Actor, Change, Draw, Plan
from app.administration.lockout import require_other_administrator
from app.administration.registry import Registry
from app.administration.retiring import retire_credential, retire_person, retire_project, retire_terms
from app.administration.state import Credential, Person, Project, State, TermsVersion
from app.errors import Conflict, NotFound
from app.identity.roles import Act


async def retire(
    registry: Registry, actor: Actor, *, kind: str, object_id: str, is_dry_run: bool = False
) -> list[Change]:
    """End a `person`, `project`, `credential` or version of the `terms`, by id, with everything that must end with it.

    What that comes to; with `is_dry_run` nothing has ended, and what would be refused is refused. Raises NotFound,
    NotPermitted, and Conflict for oneself, for the last administrator, for whoever leads a project and for a credential
    that a project uses.
    """
    actor.require(Act.MANAGE_DIRECTORY)

    def decide(state: State) -> tuple[Plan, list[Change]]:
        match _find(state, kind, object_id):
            case Person() as person:
                _require_others(state, actor, person)
            case Credential() as credential:
                _require_unused(state, credential)
            case _:
                pass
        draw = _drawn(state, kind, object_id)
        return draw.plan(), draw.changes

    if is_dry_run:
        return decide(await registry.state())[1]
    return await registry.change(actor, decide)


def what_ends(state: State, kind: str, object_id: str) -> list[Change]:
    """The changes that retiring it would come to, whether or not it may be now. Raises NotFound."""
    return _drawn(state, kind, object_id).changes


def _drawn(state: State, kind: str, object_id: str) -> Draw:
    draw = Draw()
    match _find(state, kind, object_id):
        case Person() as person:
            retire_person(draw, state, person, state.now_us)
        case Project() as project:
            emails = {each.id: each.email for each in state.people}
            retire_project(draw, state, project, state.now_us, emails=emails)
        case TermsVersion() as terms:
            retire_terms(draw, terms, state.now_us)
        case Credential() as credential:
            retire_credential(draw, credential, state.now_us)
    return draw


def _find(state: State, kind: str, object_id: str) -> Person | Project | TermsVersion | Credential:
    kinds: dict[str, dict[str, Person | Project | TermsVersion | Credential]] = {
        "credential": {each.id: each for each in state.credentials},
        "person": {each.id: each for each in state.people},
        "project": {each.id: each for each in state.projects},
        "terms": {each.version: each for each in state.terms},
    }
    found = kinds.get(kind, {}).get(object_id)
    if found is None or found.retired_us is not None:
        raise NotFound(f"There is no such {kind}, or it has been retired already.")
    return found


def _require_others(state: State, actor: Actor, person: Person) -> None:
    if person.id == actor.principal:
        raise Conflict("You would lock yourself out. Let another administrator do that.")
    led = [each.name for each in state.projects if each.lead_id == person.id and each.retired_us is None]
    if led:
        raise Conflict(f"{person.email} leads {', '.join(sorted(led))}; give that to somebody else first.")
    require_other_administrator(state, person)


def _require_unused(state: State, credential: Credential) -> None:
    used = [
        each.name for each in state.projects if each.credential_id == credential.id and not each.retired_us
    ]
    if used:
        raise Conflict(
            f"{credential.name} is used by {', '.join(sorted(used))}; give them another, or retire them first."
        )
