"""What must go because its project is over: the key without which nothing held for it can be read."""

import datetime as dt
from dataclasses import replace
from typing import Final

from app.administration.changes import Actor, Change, Plan
from app.administration.registry import Registry
from app.administration.state import Project, State
from app.audit.entries import Draft, Value
from app.ids import owner_of
from app.policy.engine import Mode, mode_of
from app.policy.rules import NothingAfterEnd

DUTY: Final = Actor(kind="job", principal="retention")
"""Who acts when the program does what the terms ask of it, by itself."""


async def destroy_keys_of_ended(registry: Registry) -> int:
    """How many projects had ended and still had a data key, which is destroyed on return."""

    def decide(state: State) -> tuple[Plan, int]:
        over = keys_to_destroy(state)
        changes = [key_destroyed(each) for each in over]
        puts = [replace(each, wrapped_data_key=b"") for each in over]
        return Plan(changes=changes, puts=puts), len(over)

    return await registry.change(DUTY, decide)


def keys_to_destroy(state: State) -> list[Project]:
    """Projects that are over and still have a data key, where the rule on that is enforced."""
    return [each for each in state.projects if each.wrapped_data_key and must_end(state, each)]


def key_destroyed(project: Project) -> Change:
    """That the key went, as the log tells it."""
    return Change(
        kind="project",
        object=project.name,
        object_id=project.id,
        what="data_key",
        after="destroyed",
        logged={"after": "destroyed", "rule": NothingAfterEnd.id},
    )


def must_end(state: State, project: Project) -> bool:
    """Whether nothing may be held for the project: it is over, and the rule on that is enforced."""
    is_enforced = mode_of(NothingAfterEnd.id, state.policy) is Mode.ENFORCE
    return is_enforced and is_over(project, state.now.date())


def is_over(project: Project, today: dt.date) -> bool:
    """Whether the last day of the approval has passed."""
    return project.approved_until < today


def deleted(scope: str, *, rule: str, pages: int, records: int, **more: Value) -> Draft:
    """The entry of held pages that a rule ended."""
    return Draft(
        type="admin",
        fields={
            "actor": {"kind": DUTY.kind, "principal": DUTY.principal, "roles": []},
            "op": "held.deleted",
            "object": {"kind": "held", "id": owner_of(scope)},
            "decision": {"verdict": "allowed", "rule": rule},
            "pages": pages,
            "records": records,
            **more,
        },
    )
