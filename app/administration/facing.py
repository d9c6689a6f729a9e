"""Comparing one object as it is with the same object as it shall be, attribute by attribute."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.administration.changes import Change
from app.administration.durations import spelled
from app.administration.state import Acceptance, Credential, Membership, Person, Project, TermsVersion
from app.audit.entries import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """An object's attributes as people see them; those in `blind` the log names without their values.

    `logged` holds what the log says instead, such as a person's id for their address.
    """

    shown: Mapping[str, Value]
    blind: frozenset[str] = frozenset()
    logged: Mapping[str, Value] = field(default_factory=dict)

    def said(self, name: str) -> Value:
        """What the log says of one attribute."""
        return self.logged.get(name) if name in self.blind else self.shown.get(name)

    def said_whole(self) -> dict[str, Value]:
        """What the log says of the object as a whole."""
        said = {name: self.said(name) for name in self.shown}
        return {name: value for name, value in said.items() if value is not None}


def differences(
    kind: str, label: str, object_id: str, before: Face | None, after: Face, *, was_retired: bool = False
) -> list[Change]:
    """One change for each attribute that differs; for an object that is new or comes back, one for it all."""
    if before is None or was_retired:
        what = "added" if before is None else "restored"
        logged: Value = after.said_whole()
        return [
            Change(
                kind=kind,
                object=label,
                object_id=object_id,
                what=what,
                after=dict(after.shown),
                logged={"after": logged},
            )
        ]
    return [
        Change(
            kind=kind,
            object=label,
            object_id=object_id,
            what=name,
            before=before.shown.get(name),
            after=value,
            logged={"before": before.said(name), "after": after.said(name)},
        )
        for name, value in after.shown.items()
        if before.shown.get(name) != value
    ]


def retirement(kind: str, label: str, object_id: str) -> Change:
    """The change that ends an object."""
    return Change(kind=kind, object=label, object_id=object_id, what="retired", logged={})


def credential_face(each: Credential) -> Face:
    """A credential without its secret; that it changed is a change of its own."""
    return Face(
        shown={
            "base_url": each.base_url,
            "roster_limit": each.roster_limit,
            "permission": dict(each.permission) or None,
        }
    )


def person_face(each: Person) -> Face:
    """A person; the log learns their roles alone."""
    return Face(shown={"name": each.name, "roles": list(each.roles)}, blind=frozenset({"name"}))


def terms_face(each: TermsVersion) -> Face:
    """A version of the terms, its text by hash."""
    return Face(
        shown={
            "title": each.title,
            "text_sha256": each.text_sha256,
            "source": each.source or None,
            "in_force_from": each.in_force_from.isoformat(),
            "grace_days": each.grace_days,
        }
    )


def acceptance_face(each: Acceptance, terms: TermsVersion) -> Face:
    """An acceptance, with the hash of the very text that was accepted.

    The name of the evidence may be a person's, so the log has its hash.
    """
    on = dt.datetime.fromtimestamp(each.accepted_us / 1_000_000, dt.UTC).date()
    return Face(
        shown={
            "version": each.version,
            "text_sha256": terms.text_sha256,
            "on": on.isoformat(),
            "how": each.how,
            "evidence_name": each.evidence_name,
            "evidence_sha256": each.evidence_sha256,
        },
        blind=frozenset({"evidence_name"}),
    )


def project_face(each: Project, names: Mapping[str, str]) -> Face:
    """A project, with the names of its credential and lead by their ids; the log has the ids."""
    return Face(
        shown={
            "credential": names.get(each.credential_id, each.credential_id),
            "approval.reference": each.approval_reference,
            "approval.from": each.approved_from.isoformat(),
            "approval.until": each.approved_until.isoformat(),
            "lead": names.get(each.lead_id or ""),
            "cache_scope": each.cache_scope,
            "allow": dict(each.allow),
            "reuse": reuse_as_written(each),
        },
        blind=frozenset({"lead", "credential"}),
        logged={"lead": each.lead_id, "credential": each.credential_id},
    )


def reuse_as_written(each: Project) -> dict[str, Value]:
    """When the project's held answers may be used, as the state file writes it; the usual is left out."""
    written = dict(each.reuse)
    for name in ("lifetimes", "recent_lifetimes"):
        if name in written:
            written[name] = {endpoint: spelled(seconds) for endpoint, seconds in written[name].items()}
    return written


def membership_face(each: Membership) -> Face:
    """A person's days in a project."""
    return Face(
        shown={
            "from": None if each.from_day is None else each.from_day.isoformat(),
            "until": None if each.until_day is None else each.until_day.isoformat(),
        }
    )
