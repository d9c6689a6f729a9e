"""What became of limits: each change out of its entry of the log, under names that people know."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.administration.shown import scope_names
from app.administration.state import State

LIMIT_SET: Final = "limit.set"
"""The operation of an entry that tells of a limit that was set, changed or ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """One change of one limit; `before` is None where there was none, `after` where it ended.

    `scope` is written as `bursar limit list` does, `by` is an address, or the account of the machine.
    """

    entry: str
    at: dt.datetime
    scope: str
    key: str
    before: int | None
    after: int | None
    by: str

    def shown(self) -> dict[str, Any]:
        """The change as the API and `--json` give it."""
        return {
            "entry": self.entry,
            "at": self.at,
            "scope": self.scope,
            "key": self.key,
            "before": self.before,
            "after": self.after,
            "by": self.by,
        }


class LimitChanges:
    """Reads changes out of entries; what was retired keeps its name."""

    def __init__(self, state: State) -> None:
        self._scopes = scope_names(state)
        self._emails = {each.id: each.email for each in state.people}

    def told_by(self, entry: Mapping[str, Any]) -> LimitChange | None:
        """The change that an entry tells; None of one whose content was pruned."""
        changed, actor = entry.get("object"), entry.get("actor")
        if not isinstance(changed, dict) or not isinstance(actor, dict):
            return None
        kind, scope_id, by = str(entry.get("scope_kind")), str(changed.get("id")), str(actor.get("principal"))
        return LimitChange(
            entry=str(entry["id"]),
            at=dt.datetime.fromtimestamp(entry["ts_us"] / 1_000_000, dt.UTC),
            scope=self._scopes.get((kind, scope_id), f"{kind}:{scope_id}"),
            key=str(entry.get("what")),
            before=entry.get("before"),
            after=entry.get("after"),
            by=self._emails.get(by, by),
        )
