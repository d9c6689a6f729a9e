"""The directory over SQL, kept in memory for as long as its revision stands.

Nobody polls: the books read the revision under the head's lock, refuse what was decided on an older
one, and make this forget. So a revocation counts for the first call that is logged after it.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.identity.callers import (
    Approval,
    Caller,
    Freeze,
    KeyRecord,
    Operator,
    Policy,
    ReuseChoices,
    Roster,
    Terms,
    TermsVersion,
    TokenRecord,
)
from app.identity.roles import Role
from app.ids import CredentialId, KeyId, MembershipId, PersonId, ProjectId
from app.storage.engines import Database
from app.storage.shared_reads import SharedReads
from app.storage.tables import (
    AcceptanceRow,
    CredentialRow,
    FreezeRow,
    HeadRow,
    KeyRow,
    MembershipRow,
    PersonRow,
    PersonTokenRow,
    ProjectRow,
    RuleModeRow,
    StatedValueRow,
    TermsRow,
    table,
)

R = TypeVar("R")

_MOST_KEPT = 10_000


_head, _key, _member = table(HeadRow), table(KeyRow), table(MembershipRow)
_person, _project, _credential = table(PersonRow), table(ProjectRow), table(CredentialRow)
_terms, _acceptance, _token = table(TermsRow), table(AcceptanceRow), table(PersonTokenRow)
_mode, _value = table(RuleModeRow), table(StatedValueRow)
_freeze = table(FreezeRow)

_OF_PROJECT = (
    _project.c.id.label("project_id"),
    _project.c.name.label("project_name"),
    _project.c.credential_id,
    _credential.c.name.label("credential_name"),
    _project.c.approval_reference,
    _project.c.approved_from,
    _project.c.approved_until,
    _project.c.allow,
    _project.c.cache_scope,
    _project.c.reuse,
    sa.case(
        (_project.c.cache_scope == "credential", _credential.c.held_era), else_=_project.c.held_era
    ).label("held_era"),
    _credential.c.roster_limit,
)
_BY_KEY = (
    sa.select(
        _key,
        _member.c.id.label("member_id"),
        _member.c.from_day,
        _member.c.until_day,
        _person.c.id.label("person_id"),
        _person.c.roles,
        *_OF_PROJECT,
    )
    .join(_member, _member.c.id == _key.c.membership_id)
    .join(_person, _person.c.id == _member.c.person_id)
    .join(_project, _project.c.id == _member.c.project_id)
    .join(_credential, _credential.c.id == _project.c.credential_id)
    .where(
        _key.c.id == sa.bindparam("id"),
        *(
            column.is_(None)
            for column in (
                _key.c.revoked_us,
                _member.c.retired_us,
                _person.c.retired_us,
                _project.c.retired_us,
                _credential.c.retired_us,
            )
        ),
    )
)
_BY_TOKEN = (
    sa.select(
        _token.c.id,
        _token.c.digest,
        _token.c.expires_us,
        _person.c.id.label("person_id"),
        _person.c.name,
        _person.c.email,
        _person.c.roles,
    )
    .join(_person, _person.c.id == _token.c.person_id)
    .where(_token.c.id == sa.bindparam("id"), _token.c.revoked_us.is_(None), _person.c.retired_us.is_(None))
)
_BY_PLACE = (
    sa.select(
        sa.literal("").label("id"),
        sa.null().label("expires_us"),
        sa.func.coalesce(_member.c.id, "").label("member_id"),
        _member.c.from_day,
        _member.c.until_day,
        sa.func.coalesce(_person.c.id, "").label("person_id"),
        _person.c.roles,
        *_OF_PROJECT,
    )
    .select_from(_project)
    .join(_credential, _credential.c.id == _project.c.credential_id)
    .outerjoin(
        _member,
        sa.and_(
            _member.c.project_id == _project.c.id,
            _member.c.person_id == sa.bindparam("person"),
            _member.c.retired_us.is_(None),
        ),
    )
    .outerjoin(_person, _person.c.id == _member.c.person_id)
    .where(
        _project.c.id == sa.bindparam("project"),
        _project.c.retired_us.is_(None),
        _credential.c.retired_us.is_(None),
    )
)
_REVISION = sa.select(_head.c.revision)
_TERMS = sa.select(_terms.c.version, _terms.c.in_force_from, _terms.c.grace_days).where(
    _terms.c.retired_us.is_(None)
)
_ACCEPTED = sa.select(_acceptance.c.version).where(_acceptance.c.person_id == sa.bindparam("person"))
_MODES = sa.select(_mode.c.rule, _mode.c.mode)
_VALUES = sa.select(_value.c.name, _value.c.from_day, _value.c.amount).order_by(_value.c.from_day)
_PLACES = (
    sa.select(_member.c.person_id, _member.c.until_day)
    .join(_project, _project.c.id == _member.c.project_id)
    .where(
        _project.c.credential_id == sa.bindparam("credential"),
        _project.c.retired_us.is_(None),
        _member.c.retired_us.is_(None),
    )
)
_FREEZES = sa.select(_freeze.c.object_id, _freeze.c.created_us).where(
    _freeze.c.retired_us.is_(None), _freeze.c.object_id.in_(sa.bindparam("ids", expanding=True))
)
_PEOPLE = (
    sa.select(_person.c.email, _person.c.roles)
    .where(_person.c.retired_us.is_(None))
    .order_by(_person.c.email)
)
_MOST_ASKED = 3


class _Memory(Generic[R]):
    """Records by id, all of one revision."""

    def __init__(self) -> None:
        self._records: dict[KeyId, R] = {}
        self._revision = -1

    def get(self, key: KeyId) -> R | None:
        return self._records.get(key)

    def keep(self, key: KeyId, record: R, revision: int) -> None:
        if revision != self._revision or len(self._records) >= _MOST_KEPT:
            self._records.clear()
            self._revision = revision
        self._records[key] = record

    def clear(self) -> None:
        self._records.clear()


class SqlDirectory:
    """The directory's port over SQL. Ids that nobody has are not kept, so a flood of them fills nothing."""

    def __init__(self, database: Database, *, also_forget: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._also_forget = also_forget
        self._keys = _Memory[KeyRecord]()
        self._tokens = _Memory[TokenRecord]()
        self._reads: SharedReads[KeyRecord | None] = SharedReads()
        self._seen = -1

    async def by_key(self, key: KeyId) -> KeyRecord | None:
        """The key of that id, or None when there is none that could be used."""
        record = self._keys.get(key)
        if record is None:
            record = await self._reads.read(
                key, lambda: self._database.read(lambda conn: _load_key(conn, key))
            )
            if record is not None:
                self._see(record.caller.revision)
                self._keys.keep(key, record, record.caller.revision)
        return record

    async def by_token(self, token: KeyId) -> TokenRecord | None:
        """The person's token of that id, or None when there is none that could be used."""
        record = self._tokens.get(token)
        if record is None:
            record = await self._database.read(lambda conn: _load_token(conn, token))
            if record is not None:
                self._tokens.keep(token, record, record.operator.revision)
        return record

    async def caller_in(self, project: str, person: str | None) -> Caller | None:
        """Whoever that person is in the project, with no key; None when they are not in it.

        Without a person it is somebody whom no rule about persons touches.
        """
        return await self._database.read(lambda conn: _load_place(conn, project, person))

    def _see(self, revision: int) -> None:
        """Have the others forget what they know of an older directory: who is read now is judged on this one."""
        if revision > self._seen:
            if self._seen >= 0:
                self._also_forget()
            self._seen = revision

    def forget(self) -> None:
        """Read anew from now on: the directory has changed."""
        self._keys.clear()
        self._tokens.clear()
        self._also_forget()


def _load_key(conn: Connection, key: KeyId) -> KeyRecord | None:
    row = conn.execute(_BY_KEY, {"id": key}).mappings().one_or_none()
    if row is None:
        return None
    return KeyRecord(
        caller=_caller(conn, row),
        client_secret_digest=row["client_secret_digest"],
        api_key_digest=row["api_key_digest"],
        old_client_secret_digest=row["old_client_secret_digest"],
        old_api_key_digest=row["old_api_key_digest"],
        old_until_us=row["old_until_us"],
    )


def _load_place(conn: Connection, project: str, person: str | None) -> Caller | None:
    row = conn.execute(_BY_PLACE, {"project": project, "person": person or ""}).mappings().one_or_none()
    if row is None or (person is not None and not row["member_id"]):
        return None
    caller = _caller(conn, row)
    if person is not None:
        return caller
    everything = frozenset(each.version for each in caller.terms.versions)
    return replace(caller, terms=replace(caller.terms, accepted=everything))


def _caller(conn: Connection, row: sa.RowMapping) -> Caller:
    accepted = conn.execute(_ACCEPTED, {"person": row["person_id"]}).scalars().all()
    return Caller(
        key=KeyId(row["id"]),
        key_expires_us=row["expires_us"],
        membership=MembershipId(row["member_id"]),
        member_from=row["from_day"],
        member_until=row["until_day"],
        person=PersonId(row["person_id"]),
        roles=frozenset(row["roles"] or ()),
        project=ProjectId(row["project_id"]),
        project_name=row["project_name"],
        credential=CredentialId(row["credential_id"]),
        approval=_approval(row),
        terms=Terms(
            versions=tuple(
                TermsVersion(since=since, version=version, grace_days=grace_days)
                for version, since, grace_days in conn.execute(_TERMS)
            ),
            accepted=frozenset(accepted),
        ),
        shared_by_credential=row["cache_scope"] == "credential",
        held_era=row["held_era"],
        revision=conn.execute(_REVISION).scalar_one(),
        roster=_roster(conn, row["credential_id"], limit=row["roster_limit"]),
        policy=read_policy(conn),
        reuse=reuse_choices(row["reuse"]),
        freeze=find_freeze(
            conn,
            ("person", row["person_id"], ""),
            ("project", row["project_id"], row["project_name"]),
            ("credential", row["credential_id"], row["credential_name"]),
        ),
    )


def find_freeze(conn: Connection, *objects: tuple[str, str, str]) -> Freeze | None:
    """The freeze of the first of these objects (kind, id, name) that has one."""
    found = conn.execute(_FREEZES, {"ids": [object_id for _, object_id, _ in objects]}).all()
    since = {row.object_id: row.created_us for row in found}
    frozen = next((each for each in objects if each[1] in since), None)
    if frozen is None:
        return None
    kind, object_id, name = frozen
    admins = [row.email for row in conn.execute(_PEOPLE) if Role.ADMIN in row.roles]
    return Freeze(
        kind=kind,
        name=name,
        since=dt.datetime.fromtimestamp(since[object_id] / 1_000_000, dt.UTC),
        ask=tuple(admins[:_MOST_ASKED]),
    )


def _roster(conn: Connection, credential: str, *, limit: int) -> Roster:
    ends: dict[str, dt.date | None] = {}
    for person, until in conn.execute(_PLACES, {"credential": credential}):
        known = ends.get(person, until)
        # Whoever is in several projects counts once, until the last of them ends.
        ends[person] = None if known is None or until is None else max(known, until)
    return Roster(limit=limit, until=tuple(ends.values()))


def read_policy(conn: Connection) -> Policy:
    """Modes and stated values."""
    amounts: dict[str, tuple[tuple[dt.date, int], ...]] = {}
    for name, from_day, amount in conn.execute(_VALUES):
        amounts[name] = (*amounts.get(name, ()), (from_day, amount))
    return Policy(modes={rule: mode for rule, mode in conn.execute(_MODES)}, amounts=amounts)  # noqa: C416


def _approval(row: sa.RowMapping) -> Approval:
    allow = row["allow"]
    endpoints, dates = allow.get("endpoints"), allow.get("dates", {})
    return Approval(
        reference=row["approval_reference"],
        from_day=row["approved_from"],
        until_day=row["approved_until"],
        endpoints=None if endpoints is None else frozenset(endpoints),
        fields={name: frozenset(fields) for name, fields in allow.get("fields", {}).items()},
        conditions={name: frozenset(values) for name, values in allow.get("conditions", {}).items()},
        dates_from=_day(dates.get("from")),
        dates_until=_day(dates.get("until")),
        max_span_days=allow.get("max_span_days"),
    )


def reuse_choices(chosen: Mapping[str, Any]) -> ReuseChoices:
    """What a project chose, as it is stored."""
    return ReuseChoices(
        obeys_cache_control=chosen.get("cache_control") != "ignore",
        serves_stale=chosen.get("stale") is True,
        lifetimes=chosen.get("lifetimes", {}),
        recent_lifetimes=chosen.get("recent_lifetimes", {}),
        without=frozenset(chosen.get("without", ())),
    )


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _load_token(conn: Connection, token: KeyId) -> TokenRecord | None:
    row = conn.execute(_BY_TOKEN, {"id": token}).mappings().one_or_none()
    if row is None:
        return None
    operator = Operator(
        person=PersonId(row["person_id"]),
        name=row["name"],
        email=row["email"],
        roles=frozenset(row["roles"]),
        token=KeyId(row["id"]),
        expires_us=row["expires_us"],
        revision=conn.execute(_REVISION).scalar_one(),
        freeze=find_freeze(conn, ("person", row["person_id"], "")),
    )
    return TokenRecord(operator=operator, digest=row["digest"])
