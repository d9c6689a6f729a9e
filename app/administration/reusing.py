"""When the held answers of one project may be used: chosen without a state file, and shown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.administration.changes import Actor, Plan
from app.administration.desired import checked_reuse
from app.administration.facing import differences, project_face, reuse_as_written
from app.administration.finding import find_project
from app.administration.registry import Registry
from app.administration.state import Project, State
from app.identity.roles import Act


async def set_reuse(registry: Registry, actor: Actor, *, project: str, reuse: Mapping[str, Any]) -> bool:
    """Have a project's held answers be used so, as the state file writes it under `reuse`; whether that is new.

    What is left out is as usual from then on. Raises NotFound, InvalidParams naming the place, NotPermitted.
    """
    actor.require(Act.MANAGE_DIRECTORY)
    chosen = checked_reuse(reuse).as_stored()

    def decide(state: State) -> tuple[Plan, bool]:
        old = find_project(state, project)
        new = replace(old, reuse=chosen)
        names = {each.id: each.name for each in state.credentials}
        names |= {each.id: each.email for each in state.people}
        changes = differences("project", old.name, old.id, project_face(old, names), project_face(new, names))
        return Plan(changes=changes, puts=(new,) if changes else ()), bool(changes)

    return await registry.change(actor, decide)


def reuse_of(state: State, project: str) -> dict[str, Any]:
    """What was chosen for a project, every choice spelled out. Raises NotFound."""
    return spelled_out(find_project(state, project))


def spelled_out(project: Project) -> dict[str, Any]:
    """What was chosen for it, with what is as usual."""
    usual = {
        "cache_control": "honour",
        "stale": False,
        "lifetimes": {},
        "recent_lifetimes": {},
        "without": [],
    }
    return {**usual, **reuse_as_written(project)}
