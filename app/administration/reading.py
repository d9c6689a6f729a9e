"""Looks at the log from the command line, as entries of the log."""

from collections.abc import Mapping

from app.administration.changes import Actor
from app.audit.calls import versioned
from app.audit.entries import Draft, Value
from app.identity.roles import Act


def reading(actor: Actor, op: str, reads: Mapping[str, Value], *, act: Act = Act.READ_LOG) -> Draft:
    """The entry that says what of the log is about to be read; raises NotPermitted where they may not."""
    actor.require(act)
    fields: dict[str, Value] = {
        "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
        "op": op,
        "decision": {
            "verdict": "allowed",
            "rule": versioned("local-operator" if actor.kind == "cli" else "roles"),
        },
        "reads": reads,
    }
    return Draft(type="audit_read", fields=fields)
