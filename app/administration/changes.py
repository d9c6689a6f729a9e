"""What one act comes to: changes as people and the log see them, and the records that make them true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.administration.notices import Notice
from app.administration.state import Identity, Record, StatedValue
from app.audit.calls import versioned
from app.audit.entries import Draft, Value
from app.errors import NotPermitted
from app.identity.roles import Act, may
from app.quota.limits import StoredLimit

_WHOLE: Final = frozenset(
    {
        *("added", "retired", "restored", "dropped", "issued", "rotated", "revoked", "accepted", "recorded"),
        *("frozen", "unfrozen", "requested", "granted", "refused", "withdrawn"),
        *("proposed", "confirmed", "superseded"),
    }
)
"""What can happen to an object as a whole; any other `what` names an attribute that was set."""

Dropped = StoredLimit | StatedValue | Identity
"""What ends without a trace in its table; everything else is retired and stays."""

_MOST_LOGGED_CHARS: Final = 1_000
_GROUNDS: Final = {"cli": "local-operator", "job": "duty", "provider": "identity-provider"}
"""Why whoever acts may: roles where nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a local operator (kind cli, principal `os:<uid>`), a person (kind person, their id), a duty of the
    program's own (kind job), or the institution's identity provider (kind provider).
    """

    kind: str
    principal: str
    roles: frozenset[str] = frozenset()

    def may(self, act: Act) -> bool:
        """Whether they may; whoever can run commands here holds the master key, and may do everything."""
        return self.kind == "cli" or may(self.roles, act)

    def require(self, act: Act) -> None:
        """Return if they may; raises NotPermitted."""
        if not self.may(act):
            raise NotPermitted(f"Your roles do not cover this ({act}). Ask an administrator.", rule="roles")


def grounds_of(actor: Actor) -> str:
    """The rule by which they may act."""
    return _GROUNDS.get(actor.kind, "roles")


def local_operator(uid: int) -> Actor:
    """Whoever runs a command on this machine, as the operating system knows them."""
    return Actor(kind="cli", principal=f"os:{uid}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. Never holds a secret; `before` and `after` may name people, `logged` never does.

    `object` is what people call it, `object_id` what the log does; `what` is an attribute, or what
    happened to the object as a whole. Without `logged` the log says what `before` and `after` say.
    """

    kind: str
    object: str
    object_id: str
    what: str
    before: Value = None
    after: Value = None
    logged: Mapping[str, Value] | None = None

    def shown(self) -> dict[str, Value]:
        """The change as `--json` and the API give it."""
        return {
            "kind": self.kind,
            "object": self.object,
            "what": self.what,
            "before": self.before,
            "after": self.after,
        }

    def entry(self, actor: Actor) -> Draft:
        """The change as the log keeps it."""
        verb = self.what if self.what in _WHOLE else "set"
        said = self.logged if self.logged is not None else {"before": self.before, "after": self.after}
        fields: dict[str, Value] = {
            "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
            "op": f"{self.kind}.{verb}",
            "object": {"kind": self.kind, "id": self.object_id},
            "what": self.what,
            "decision": {"verdict": "allowed", "rule": versioned(grounds_of(actor))},
        }
        fields |= {name: _bounded(value) for name, value in said.items() if value is not None}
        return Draft(type="admin", fields=fields)


def _bounded(value: Value) -> Value:
    # An entry is at most 16 KiB; a list of a thousand conditions is told by its length alone.
    if len(str(value)) <= _MOST_LOGGED_CHARS:
        return value
    return {"items": len(value)} if isinstance(value, (Sequence, Mapping)) else "long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The keys of a person's questions are to be destroyed: of one month (2026-05), or of all."""

    person: str
    month: str | None
    proposal: str
    proposed_by: str
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """The content of entries before a moment is to be deleted."""

    before_us: int
    proposal: str
    proposed_by: str
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that one transaction writes: records in their new form, those that end, and why."""

    changes: Sequence[Change] = ()
    puts: Sequence[Record] = ()
    dropped: Sequence[Dropped] = ()
    notices: Sequence[Notice] = ()
    """What people are to be told of it."""
    upkeep: Erasure | Pruning | None = None
    """What is done to the log itself, as two people agreed."""
    invalidates: bool = True
    """Whether decisions that were taken before it are to be taken anew."""


@dataclass(slots=True)
class Draw:
    """A plan in the making; the last form of a record is the one that is written."""

    changes: list[Change] = field(default_factory=list)
    puts: list[Record] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    """Ids of what has been ended, since a membership may go with its person and with its project."""

    def plan(self) -> Plan:
        """What has been drawn so far."""
        return Plan(changes=tuple(self.changes), puts=tuple(self.puts), dropped=tuple(self.dropped))
