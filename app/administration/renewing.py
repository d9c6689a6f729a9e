"""What begins anew where somebody comes back who was over: a data key, and the name under which answers are held.

What was held before lies under the old name until it is deleted, so that nobody's calls find or count it meanwhile.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from app.administration.changes import Change
from app.administration.minting import Mint
from app.administration.retention import key_destroyed, must_end
from app.administration.state import Project, State
from app.ids import held_scope


def renewed(state: State, old: Project | None, new: Project, mint: Mint) -> tuple[Project, list[Change]]:
    """The project as it is to be, with a fresh key where `old` was over, and what became of the key of before."""
    if old is None:
        return replace(new, wrapped_data_key=mint.wrapped_key("project", new.id)), []
    goes_on = bool(old.wrapped_data_key) and not must_end(state, old)
    if goes_on or must_end(state, new):
        return replace(new, wrapped_data_key=old.wrapped_data_key, held_era=old.held_era), []
    fresh = replace(new, wrapped_data_key=mint.wrapped_key("project", new.id), held_era=old.held_era + 1)
    return fresh, [key_destroyed(old)] if old.wrapped_data_key else []


def is_shared_anew(state: State, new: Project) -> bool:
    """Whether the project shares what is held with others of its credential, and nobody in force did before."""
    return _shares(state, new) and not any(
        _shares(state, each) and each.credential_id == new.credential_id for each in state.projects
    )


def former_scopes(state: State) -> AbstractSet[str]:
    """Where answers were held for somebody who has begun anew since: what is left there goes with the next sweep."""
    owners = (("project", state.projects), ("credential", state.credentials))
    return {
        held_scope(kind, each.id, era)
        for kind, records in owners
        for each in records
        for era in range(each.held_era)
    }


def _shares(state: State, project: Project) -> bool:
    return project.retired_us is None and project.cache_scope == "credential" and not must_end(state, project)
