"""What is held, in figures, and purging it: by project, endpoint, record or account."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.administration.changes import Actor, grounds_of
from app.administration.registry import Registry
from app.administration.renewing import former_scopes
from app.administration.state import State
from app.audit.calls import versioned
from app.audit.entries import Draft, Value
from app.errors import InvalidParams, NotFound
from app.identity.roles import Act
from app.ids import held_scope, owner_of
from app.provider.endpoints import ENDPOINTS
from app.provider.naming import NO_AUTHOR, NO_RECORD, author, record


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Which pages go: those that are all of this. At least one is given."""

    project: str | None = None
    endpoint: str | None = None
    record: str | None = None
    """An id: of a video, a comment or whatever else the platform numbers."""
    author: str | None = None
    """A username."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Purged:
    """What was deleted. A record counts once for each page that it was on."""

    pages: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFigures:
    """What one scope holds of one endpoint; `sealed_bytes` are those of the pages as they are stored."""

    scope: str
    endpoint: str
    pages: int
    records: int
    sealed_bytes: int
    oldest_us: int
    newest_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """Pages that go: of these owners (None: of all), of that endpoint, and with a name of each group."""

    owners: Collection[str] | None
    endpoint: str | None
    names: Sequence[Collection[str]]


class Held(Protocol):
    """Held pages, for those who look after them. Raises StoreUnavailable."""

    async def figures(self) -> Sequence[HeldFigures]:
        """What is held, by scope and endpoint."""
        ...

    async def count(self, doomed: Doomed) -> Mapping[str, Purged]:
        """What `purge` would delete now, by scope; scopes that would lose nothing are left out."""
        ...

    async def purge(self, doomed: Doomed, actor: Actor, told: Mapping[str, Value]) -> Purged:
        """Delete those pages and log it, everywhere from the next call on; `told` goes into each entry."""
        ...


async def purge(registry: Registry, held: Held, actor: Actor, wanted: Purge) -> Purged:
    """Have pages be held no longer. Pages of which nobody can say what they are about go with any name.

    Raises NotFound for an unknown project or endpoint, InvalidParams without any choice, NotPermitted.
    """
    doomed, told = await _doomed(registry, actor, wanted)
    return await held.purge(doomed, actor, told)


async def look_before_purging(
    registry: Registry, held: Held, actor: Actor, wanted: Purge
) -> Sequence[tuple[str, Purged]]:
    """What `purge` would delete now, by scope as people know it; raises as that does."""
    doomed, _ = await _doomed(registry, actor, wanted)
    names = _scope_names(await registry.state())
    found = await held.count(doomed)
    return sorted((names.get(scope, scope), counted) for scope, counted in found.items())


async def _doomed(registry: Registry, actor: Actor, wanted: Purge) -> tuple[Doomed, dict[str, Value]]:
    """The pages that are meant, and what entries say of the choice."""
    actor.require(Act.PURGE_HELD)
    chosen = {
        name: value
        for name in ("project", "endpoint", "record", "author")
        if (value := getattr(wanted, name)) is not None
    }
    if not chosen or not all(value.strip() for value in chosen.values()):
        raise InvalidParams("Say what to purge: a project, an endpoint, a record's id or an account's name.")
    if wanted.endpoint is not None and wanted.endpoint not in ENDPOINTS:
        raise NotFound(f"There is no endpoint {wanted.endpoint!a}; they are called as in video/query.")
    told: dict[str, Value] = {"by": sorted(chosen)}
    owners: Collection[str] | None = None
    if wanted.project is not None:
        owners = _owners_of(await registry.state(), wanted.project)
    names = []
    if wanted.record is not None:
        names.append((record(wanted.record), NO_RECORD))
    if wanted.author is not None:
        names.append((author(wanted.author), NO_AUTHOR))
    if wanted.endpoint is not None:
        told["endpoint"] = wanted.endpoint
    return Doomed(owners=owners, endpoint=wanted.endpoint, names=names), told


def purged_entry(actor: Actor, scope: str, told: Mapping[str, Value], purged: Purged) -> Draft:
    """The entry; ids and names that were asked for stay out of it, since they may be somebody's."""
    return Draft(
        type="admin",
        fields={
            "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
            "op": "held.purged",
            "object": {"kind": "held", "id": owner_of(scope)},
            "decision": {"verdict": "allowed", "rule": versioned(grounds_of(actor))},
            "pages": purged.pages,
            "records": purged.records,
            **told,
        },
    )


def shown_figures(state: State, figures: Sequence[HeldFigures]) -> list[dict[str, Value]]:
    """The figures under names that people know: `project:elections`, or `credential:main` where it is shared."""
    names = _scope_names(state)
    shown: list[dict[str, Value]] = [
        {
            "scope": names.get(each.scope, each.scope),
            "endpoint": each.endpoint,
            "pages": each.pages,
            "records": each.records,
            "sealed_bytes": each.sealed_bytes,
            "oldest_at": _told(each.oldest_us),
            "newest_at": _told(each.newest_us),
        }
        for each in figures
    ]
    return sorted(shown, key=lambda each: (str(each["scope"]), str(each["endpoint"])))


def _scope_names(state: State) -> dict[str, str]:
    """How people know each place where pages are held; what was held before somebody began anew is told apart."""
    owners = (("project", state.projects), ("credential", state.credentials))
    names = {
        held_scope(kind, each.id, each.held_era): f"{kind}:{each.name}"
        for kind, records in owners
        for each in records
    }
    known_by = {owner_of(scope): name for scope, name in names.items()}
    return names | {scope: f"{known_by[owner_of(scope)]} (ended)" for scope in former_scopes(state)}


def _owners_of(state: State, name: str) -> set[str]:
    """Whose pages the project may see or might have seen: its own; with others, those that its credential's projects share."""
    project = state.project(name)
    if project is None:
        raise NotFound(f"There is no project {name!a}; `bursar project list` shows all.")
    own = {f"project:{project.id}"}
    return own | {f"credential:{project.credential_id}"} if project.cache_scope == "credential" else own


def _told(us: int) -> str:
    moment = dt.datetime.fromtimestamp(us // 1_000_000, dt.UTC)
    return moment.isoformat().replace("+00:00", "Z")
