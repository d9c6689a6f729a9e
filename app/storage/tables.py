"""The rows of the database, the same for SQLite and PostgreSQL.

Instants are whole microseconds since 1970 UTC in columns that end in `_us`, since SQLite keeps no time
zone; days are ISO dates. A row that people retire stays, with `retired_us` set, because entries of the
log point at it.
"""

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel


def table(row: type[SQLModel]) -> Table:
    """The table of a row class, for statements written in SQLAlchemy Core."""
    return SQLModel.metadata.tables[str(row.__tablename__)]


def _big(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(BigInteger, nullable=nullable))


def _index() -> Any:
    # In SQLite an INTEGER primary key is the row's own address; any other type needs an index beside it,
    # and so a page more for each commit to write.
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Field(sa_column=Column(kind, primary_key=True, nullable=False, autoincrement=False))


def _bytes(*, primary_key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_column=Column(LargeBinary, primary_key=primary_key, nullable=nullable))


def _text(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(Text, nullable=nullable))


def _json() -> Any:
    return Field(sa_column=Column(JSON, nullable=False))


class HeadRow(SQLModel, table=True):
    """The one row that orders everything: whoever holds its lock appends.

    `revision` counts changes of the directory (people, projects, keys, terms, limits), so that a
    decision made on an older one can be refused inside the transaction that would log it.
    """

    __tablename__ = "head"
    id: int = Field(primary_key=True)
    size: int = _big()
    frontier: bytes = _bytes()
    last_ts_us: int = _big()
    revision: int = _big()
    origin: str = Field(max_length=200)
    checkpoint: bytes = _bytes()
    """The signed note over this size and its root; empty until the first entry."""
    min_index: int = _big()
    """Entries before this one were pruned: their leaves are empty, and their hashes stay."""


class EntryRow(SQLModel, table=True):
    """One leaf of the audit tree: the very bytes that were hashed, and their hash."""

    __tablename__ = "entry"
    ix: int = _index()
    id: str = Field(max_length=32, unique=True)
    type: str = Field(max_length=16)
    ts_us: int = _big()
    leaf: bytes = _bytes()
    leaf_hash: bytes = _bytes()
    __table_args__ = (Index("ix_entry_type", "type", "ix"),)


def _found_by(name: str, *columns: str, where: str | None = None) -> Index:
    # Each ends in ix, so that a filter is one range of it in the log's own order.
    condition = text(where or f"{name} IS NOT NULL")
    return Index(
        f"ix_entry_fact_{name}",
        *(columns or (name, "ix")),
        sqlite_where=condition,
        postgresql_where=condition,
    )


class FactRow(SQLModel, table=True):
    """What one entry can be found by, derived from its leaf: see `app.audit.facts`."""

    __tablename__ = "entry_fact"
    ix: int = _index()
    person: str | None = _text(nullable=True)
    project: str | None = _text(nullable=True)
    key_id: str | None = _text(nullable=True)
    credential: str | None = _text(nullable=True)
    op: str | None = _text(nullable=True)
    verdict: str | None = _text(nullable=True)
    rule: str | None = _text(nullable=True)
    code: str | None = _text(nullable=True)
    requests: int | None = _big(nullable=True)
    records: int | None = _big(nullable=True)
    cache: str | None = _text(nullable=True)
    upstream_log_id: str | None = _text(nullable=True)
    __table_args__ = (
        _found_by("person"),
        _found_by("project"),
        _found_by("key_id"),
        _found_by("credential"),
        _found_by("op"),
        # What was allowed is nearly everything, and found by walking back from the end.
        _found_by("verdict", where="verdict <> 'allowed'"),
        _found_by("rule"),
        _found_by("code"),
        # A range of amounts has no order by ix; what cost anything at all has.
        _found_by("requests", "ix", where="requests > 0"),
        _found_by("records", "ix", where="records > 0"),
        _found_by("cache"),
        _found_by("upstream_log_id"),
    )


class AboutRow(SQLModel, table=True):
    """That the question of entry `ix` names what `tag` is the keyed hash of."""

    __tablename__ = "entry_about"
    tag: str = Field(primary_key=True, max_length=200)
    ix: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False, index=True))
    __table_args__ = {"sqlite_with_rowid": False}


class RunRow(SQLModel, table=True):
    """One run of one process that serves: when it last wrote a heartbeat, and when it last looked for one.

    Both by the database's clock; gone once the process has stopped, or has not looked for a day.
    """

    __tablename__ = "run"
    boot: str = Field(primary_key=True, max_length=32)
    replica: str = Field(max_length=64)
    seen_us: int = _big()
    beat_us: int = _big()


class FurtherAboutRow(SQLModel, table=True):
    """As `AboutRow`, of what a question names beyond the tags that found room in its entry."""

    __tablename__ = "entry_about_more"
    tag: str = Field(primary_key=True, max_length=200)
    ix: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False, index=True))
    __table_args__ = {"sqlite_with_rowid": False}


class SealedQuestionRow(SQLModel, table=True):
    """The ciphertext of a question that is too long for its entry, which has its digest."""

    __tablename__ = "sealed_question"
    ix: int = _index()
    nonce: bytes = _bytes()
    ct: bytes = _bytes()


class SealKeyRow(SQLModel, table=True):
    """What one person's questions of one month are sealed with, wrapped by the key of `seal.key`.

    Without its row, a question that names this `kid` is gone for good.
    """

    __tablename__ = "seal_key"
    kid: str = Field(primary_key=True, max_length=32)
    person: str = Field(max_length=64)
    month: str = Field(max_length=7)
    wrapped: bytes = _bytes()
    kek: str = Field(max_length=32)
    created_us: int = _big()
    __table_args__ = (UniqueConstraint("person", "month"),)


class BlindKeyRow(SQLModel, table=True):
    """What the tags of one month are made with, wrapped by the key of `seal.key`."""

    __tablename__ = "blind_key"
    month: str = Field(primary_key=True, max_length=7)
    wrapped: bytes = _bytes()
    kek: str = Field(max_length=32)
    created_us: int = _big()


class WrappingRow(SQLModel, table=True):
    """One row: which key of `seal.key` wraps all of them now, by its fingerprint."""

    __tablename__ = "key_wrapping"
    id: int = Field(primary_key=True)
    kek: str = Field(max_length=32)
    since_us: int = _big()


class TreeNodeRow(SQLModel, table=True):
    """The root of a complete subtree of 2^level leaves, for levels 8, 16, ...; `ix` counts from the left."""

    __tablename__ = "tree_node"
    level: int = Field(primary_key=True)
    ix: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    hash: bytes = _bytes()


class EpochRow(SQLModel, table=True):
    """An epoch of the log after its first, as the entry `ix` that began it tells; see `app.audit.epochs`."""

    __tablename__ = "epoch"
    number: int = Field(primary_key=True)
    origin: str = Field(max_length=200)
    ix: int = _big()
    agreed: int = _big()
    known: int = _big()
    beyond: dict[str, int] = _json()


class AnchorRow(SQLModel, table=True):
    """What a channel outside has been given last of the log, and how the last try ended.

    `problem` is why the last try failed, None where it did not.
    """

    __tablename__ = "anchor"
    channel: str = Field(primary_key=True, max_length=16)
    origin: str = Field(max_length=200)
    size: int = _big()
    done_us: int = _big()
    tried_us: int = _big()
    problem: str | None = Field(default=None, max_length=200)


class CounterRow(SQLModel, table=True):
    """What one scope used of one dimension on one UTC day; months and lifetimes are sums over days."""

    __tablename__ = "counter"
    __table_args__ = (CheckConstraint("used >= 0 AND reserved >= 0", name="counter_not_negative"),)
    scope_kind: str = Field(primary_key=True, max_length=16)
    scope_id: str = Field(primary_key=True, max_length=64)
    dimension: str = Field(primary_key=True, max_length=24)
    day: dt.date = Field(primary_key=True)
    used: int = _big()
    reserved: int = _big()


class AnswersGivenRow(SQLModel, table=True):
    """Answers with records of one UTC day, by how they were come by: added up from entries, in their transaction."""

    __tablename__ = "answers_given"
    project_id: str = Field(primary_key=True, max_length=64)
    day: dt.date = Field(primary_key=True)
    kind: str = Field(primary_key=True, max_length=16)
    answers: int = _big()
    records: int = _big()


class ReservationRow(SQLModel, table=True):
    """Amounts promised to a call in flight; gone once it is settled, or reaped after its lease.

    `takings` is a list of `[scope_kind, scope_id, dimension, day, amount]`.
    """

    __tablename__ = "reservation"
    id: str = Field(primary_key=True, max_length=32)
    intent_ix: int = _big()
    lease_until_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    takings: list[Any] = _json()
    entry: dict[str, Any] = _json()


class FlightRow(SQLModel, table=True):
    """A call to the platform by what it fetches: under way until `until_us`, or landed then.

    `reservation` is that of the call, `landed_ix` where its outcome stands.
    """

    __tablename__ = "flight"
    key: str = Field(primary_key=True, max_length=64)
    reservation: str = Field(index=True, max_length=32)
    until_us: int = _big()
    landed_ix: int | None = _big(nullable=True)


class CredentialRow(SQLModel, table=True):
    """An upstream key and secret, sealed, and pinned to one host by the seal's associated data."""

    __tablename__ = "credential"
    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(unique=True, max_length=100)
    base_url: str = _text()
    wrapped_key: bytes = _bytes()
    sealed_client_key: bytes = _bytes()
    sealed_client_secret: bytes = _bytes()
    secret_digest: bytes = _bytes()
    roster_limit: int
    permission: dict[str, Any] = _json()
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)
    held_era: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """How often its projects have begun anew to share what is held."""


class PersonRow(SQLModel, table=True):
    """A human being; the log names them by `id`, which says nothing about them."""

    __tablename__ = "person"
    id: str = Field(primary_key=True, max_length=32)
    email: str = Field(unique=True, max_length=320)
    name: str = _text()
    roles: list[str] = _json()
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)


class TermsRow(SQLModel, table=True):
    """One version of the platform's terms, with its text and the day it comes into force."""

    __tablename__ = "terms"
    version: str = Field(primary_key=True, max_length=64)
    title: str = _text()
    text: str = _text()
    text_sha256: str = Field(max_length=64)
    source: str = _text()
    in_force_from: dt.date
    grace_days: int
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)


class AcceptanceRow(SQLModel, table=True):
    """That a person accepted a version of the terms: by themselves, or recorded with evidence."""

    __tablename__ = "acceptance"
    person_id: str = Field(primary_key=True, max_length=32)
    version: str = Field(primary_key=True, max_length=64)
    accepted_us: int = _big()
    how: str = Field(max_length=16)
    evidence_name: str | None = _text(nullable=True)
    evidence_sha256: str | None = Field(default=None, max_length=64)


class ProjectRow(SQLModel, table=True):
    """One approved proposal under one credential.

    `allow` is `{endpoints: [...] | absent, fields: {endpoint: [...]}, conditions: {name: [...]},
    dates: {from, until}, max_span_days}`, each absent where the proposal sets no bound.
    """

    __tablename__ = "project"
    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(unique=True, max_length=100)
    credential_id: str = Field(foreign_key="credential.id", index=True, max_length=32)
    approval_reference: str = _text()
    approved_from: dt.date
    approved_until: dt.date
    lead_id: str | None = Field(default=None, foreign_key="person.id", max_length=32)
    cache_scope: str = Field(max_length=16)
    allow: dict[str, Any] = _json()
    reuse: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False, server_default="{}"))
    """When held answers may be used, as far as that was chosen."""
    wrapped_data_key: bytes = _bytes()
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)
    held_era: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """How often it has begun anew, with nothing held."""


class RuleModeRow(SQLModel, table=True):
    """A rule that is not enforced as it is written: its id with version, and warn or shadow."""

    __tablename__ = "rule_mode"
    rule: str = Field(primary_key=True, max_length=64)
    mode: str = Field(max_length=16)
    set_us: int = _big()


class StatedValueRow(SQLModel, table=True):
    """What an administrator states that the institution's terms say, from a day on, and where."""

    __tablename__ = "stated_value"
    name: str = Field(primary_key=True, max_length=64)
    from_day: dt.date = Field(primary_key=True)
    amount: int
    source: str = _text()
    stated_us: int = _big()


class ProposalRow(SQLModel, table=True):
    """A raise of a credential's limit or roster that one person asked for and another decides."""

    __tablename__ = "proposal"
    id: str = Field(primary_key=True, max_length=32)
    credential_id: str = Field(max_length=32)
    what: str = Field(max_length=64)
    before: int = _big()
    after: int | None = _big(nullable=True)
    permission: dict[str, Any] = _json()
    proposed_by: str = Field(max_length=64)
    proposed_us: int = _big()
    outcome: str = Field(max_length=16)
    decided_by: str | None = Field(default=None, max_length=64)
    decided_us: int | None = _big(nullable=True)


class MembershipRow(SQLModel, table=True):
    """A person in a project, from one day to another, both included; open ended where None."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("project_id", "person_id"),)
    id: str = Field(primary_key=True, max_length=32)
    project_id: str = Field(foreign_key="project.id", index=True, max_length=32)
    person_id: str = Field(foreign_key="person.id", index=True, max_length=32)
    from_day: dt.date | None = None
    until_day: dt.date | None = None
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)


class KeyRow(SQLModel, table=True):
    """One membership's key: keyed digests of a client secret and an API key, never these themselves.

    After a rotation the `old_` digests go on working until `old_until_us`.
    """

    __tablename__ = "api_key"
    id: str = Field(primary_key=True, max_length=32)
    membership_id: str = Field(foreign_key="membership.id", index=True, max_length=32)
    client_secret_digest: bytes = _bytes()
    api_key_digest: bytes = _bytes()
    old_client_secret_digest: bytes | None = _bytes(nullable=True)
    old_api_key_digest: bytes | None = _bytes(nullable=True)
    old_until_us: int | None = _big(nullable=True)
    created_us: int = _big()
    expires_us: int | None = _big(nullable=True)
    revoked_us: int | None = _big(nullable=True)


class PersonTokenRow(SQLModel, table=True):
    """A bearer token for `/api/v1` with its person's roles."""

    __tablename__ = "person_token"
    id: str = Field(primary_key=True, max_length=32)
    person_id: str = Field(foreign_key="person.id", index=True, max_length=32)
    digest: bytes = _bytes()
    created_us: int = _big()
    expires_us: int | None = _big(nullable=True)
    revoked_us: int | None = _big(nullable=True)


class PasswordRow(SQLModel, table=True):
    """A local account: the hash of its password, and the digest of a code that sets it once, until then."""

    __tablename__ = "person_password"
    person_id: str = Field(primary_key=True, foreign_key="person.id", max_length=32)
    hash: str | None = _text(nullable=True)
    code_digest: bytes | None = _bytes(nullable=True)
    code_until_us: int | None = _big(nullable=True)
    set_us: int | None = _big(nullable=True)


class IdentityRow(SQLModel, table=True):
    """Whom the institution's identity provider knows a person as."""

    __tablename__ = "person_identity"
    issuer: str = Field(primary_key=True, max_length=400)
    subject: str = Field(primary_key=True, max_length=255)
    person_id: str = Field(foreign_key="person.id", index=True, max_length=32)
    linked_us: int = _big()


class SignInRow(SQLModel, table=True):
    """A sign-in under way at the institution's provider; `digest` is of the secret that the browser holds.

    `onward` is the page to go to in the end; `kept` is a form that waits for it, sealed under a key that comes of
    the secret. The row goes when its answer comes, so no answer counts twice.
    """

    __tablename__ = "console_sign_in"
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    onward: str = _text()
    kept: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    began_us: int = _big()


class SessionRow(SQLModel, table=True):
    """Somebody who is signed in with a browser; `digest` is of the secret that the browser holds.

    `token_id` is the token that was used to sign in, where it was one: the session ends with it.
    """

    __tablename__ = "console_session"
    id: str = Field(primary_key=True, max_length=32)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    person_id: str = Field(foreign_key="person.id", index=True, max_length=32)
    token_id: str | None = Field(default=None, foreign_key="person_token.id", max_length=32)
    began_us: int = _big()
    seen_us: int = _big()


class RepeatRow(SQLModel, table=True):
    """What a request with an idempotency key asked for, as a digest, and its answer, sealed."""

    __tablename__ = "api_repeat"
    id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    request: bytes = _bytes()
    began_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    status: int | None = _big(nullable=True)
    sealed: bytes | None = _bytes(nullable=True)


class SavedSearchRow(SQLModel, table=True):
    """A search of the log that somebody keeps; `query` is that of the page's address."""

    __tablename__ = "saved_search"
    id: str = Field(primary_key=True, max_length=32)
    person_id: str = Field(foreign_key="person.id", index=True, max_length=32)
    name: str = Field(max_length=100)
    query: str = _text()
    saved_us: int = _big()


class VerificationRow(SQLModel, table=True):
    """That somebody had the whole log verified: how far it is, and in the end the report, as JSON."""

    __tablename__ = "verification"
    id: str = Field(primary_key=True, max_length=32)
    started_by: str = Field(max_length=32)
    started_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    seen_us: int = _big()
    done: int = _big()
    whole: int = _big()
    ended_us: int | None = _big(nullable=True)
    report: str | None = _text(nullable=True)


class ExportRow(SQLModel, table=True):
    """An export of the log that somebody began in the console; `wanted` is the filter, with tags for names, as JSON."""

    __tablename__ = "log_export"
    id: str = Field(primary_key=True, max_length=32)
    person_id: str = Field(foreign_key="person.id", index=True, max_length=32)
    form: str = Field(max_length=8)
    wanted: str = _text()
    begun_us: int = _big()
    seen_us: int | None = _big(nullable=True)
    done: int = _big()
    whole: int = _big()
    ended_us: int | None = _big(nullable=True)
    sha256: str | None = Field(default=None, max_length=64)


class LimitRow(SQLModel, table=True):
    """An amount for a scope, dimension and window.

    `scope_kind` is credential, project, member, key, or `each_member`: a project's limit for every
    member, which a limit of that member itself replaces. `window` is empty for `concurrent`.
    """

    __tablename__ = "quota_limit"
    scope_kind: str = Field(primary_key=True, max_length=16)
    scope_id: str = Field(primary_key=True, max_length=64)
    dimension: str = Field(primary_key=True, max_length=24)
    window: str = Field(primary_key=True, max_length=16)
    amount: int = _big()


class HeldPageRow(SQLModel, table=True):
    """An answer that may be served again, sealed under its project's data key.

    `size` is how many bytes that is, None in a row of a release that did not count them.
    """

    __tablename__ = "held_page"
    key: bytes = _bytes(primary_key=True)
    scope: str = Field(index=True, max_length=64)
    endpoint: str = Field(max_length=64)
    sealed: bytes = _bytes()
    records: int
    fetched_us: int = _big()
    expires_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    size: int | None = Field(default=None, sa_column=Column(BigInteger))
    __table_args__ = (Index("ix_held_page_age", "scope", "fetched_us", "records", "endpoint", "size"),)


class PageTagsRow(SQLModel, table=True):
    """Whom and what a held page is about: keyed hashes, one after the other; gone with the page."""

    __tablename__ = "held_page_tags"
    key: bytes = Field(
        sa_column=Column(
            LargeBinary, ForeignKey("held_page.key", ondelete="CASCADE"), primary_key=True, nullable=False
        )
    )
    scope: str = Field(index=True, max_length=64)
    tags: bytes = _bytes()


class GoneRow(SQLModel, table=True):
    """What the platform lately said that it has no longer: keyed hashes of a scope, one after the other."""

    __tablename__ = "lately_gone"
    id: str = Field(primary_key=True, max_length=32)
    scope: str = Field(max_length=64)
    tags: bytes = _bytes()
    told_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))


class ProvenFieldRow(SQLModel, table=True):
    """A field that a credential was given at an endpoint the last time, or for which a call was refused."""

    __tablename__ = "proven_field"
    credential_id: str = Field(primary_key=True, max_length=32)
    endpoint: str = Field(primary_key=True, max_length=64)
    field: str = Field(primary_key=True, max_length=64)
    is_refused: bool


class SearchRow(SQLModel, table=True):
    """What stands behind a search id of Bursar's own: the platform's, and the question it belongs to."""

    __tablename__ = "search"
    id: str = Field(primary_key=True, max_length=20)
    scope: str = Field(max_length=64)
    credential_id: str = Field(max_length=32)
    question_digest: bytes = _bytes()
    upstream_id: str = _text()
    created_us: int = _big()
    expires_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    seam: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """The place from which on the search took the place of one that the platform has forgotten."""
    shift: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    """How many fewer records the platform counts before such a place than the client's cursor does."""


class RaiseRow(SQLModel, table=True):
    """An amount on top of a limit, from one moment to another; it ends by itself."""

    __tablename__ = "quota_raise"
    id: str = Field(primary_key=True, max_length=32)
    scope_kind: str = Field(max_length=16)
    scope_id: str = Field(index=True, max_length=64)
    dimension: str = Field(max_length=24)
    window: str = Field(max_length=16)
    amount: int = _big()
    from_us: int = _big()
    until_us: int = _big()
    reason: str = _text()
    granted_by: str = Field(max_length=64)
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)


class MirrorRow(SQLModel, table=True):
    """That the platform called a credential's day used up: what Bursar had counted, and when it asks again.

    `family` is the platform's counter; one row each, of the last day on which it said so.
    """

    __tablename__ = "platform_mirror"
    credential_id: str = Field(primary_key=True, max_length=32)
    family: str = Field(primary_key=True, max_length=16)
    day: dt.date
    said_us: int = _big()
    counted_calls: int = _big()
    counted_records: int = _big()
    probes: int
    next_probe_us: int = _big()


class NoticeRow(SQLModel, table=True):
    """Something that people are to be told once; `id` says what, so that it can be written again in vain.

    `taken_up_us` is when its deliveries were decided on.
    """

    __tablename__ = "notice"
    id: str = Field(primary_key=True, max_length=200)
    kind: str = Field(max_length=32)
    created_us: int = _big()
    about: dict[str, Any] = _json()
    taken_up_us: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True, index=True))


class DeliveryRow(SQLModel, table=True):
    """One notice on one channel, `target` a person's id where each recipient gets a message of their own.

    `outcome` is how the last try ended: sent, or why not. It is over once `done_us` is set.
    """

    __tablename__ = "notice_delivery"
    notice_id: str = Field(primary_key=True, max_length=200)
    channel: str = Field(primary_key=True, max_length=16)
    target: str = Field(primary_key=True, max_length=32)
    tries: int
    next_us: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    done_us: int | None = _big(nullable=True)
    outcome: str | None = Field(default=None, max_length=200)


class MutedNoticeRow(SQLModel, table=True):
    """That a person does not want a kind of notice by mail."""

    __tablename__ = "muted_notice"
    person_id: str = Field(primary_key=True, foreign_key="person.id", max_length=32)
    kind: str = Field(primary_key=True, max_length=32)


class LeaseRow(SQLModel, table=True):
    """Which process does a duty that one process at a time may do, and until when."""

    __tablename__ = "duty_lease"
    duty: str = Field(primary_key=True, max_length=32)
    owner: str = Field(max_length=64)
    until_us: int = _big()


class FreezeRow(SQLModel, table=True):
    """That a credential, a project or a person was stopped, and why; in force until it is retired.

    `kind` is credential, project or person, and `object_id` the id of its row.
    """

    __tablename__ = "freeze"
    id: str = Field(primary_key=True, max_length=32)
    kind: str = Field(max_length=16)
    object_id: str = Field(index=True, max_length=32)
    reason: str = _text()
    frozen_by: str = Field(max_length=64)
    created_us: int = _big()
    retired_us: int | None = _big(nullable=True)
    lifted_by: str | None = Field(default=None, max_length=64)


class QuotaRequestRow(SQLModel, table=True):
    """That somebody asks for more of a limit, and what became of it.

    `state` is open, granted (then `raise_id` names the raise), refused or withdrawn.
    """

    __tablename__ = "quota_request"
    id: str = Field(primary_key=True, max_length=32)
    scope_kind: str = Field(max_length=16)
    scope_id: str = Field(max_length=64)
    dimension: str = Field(max_length=24)
    window: str = Field(max_length=16)
    amount: int = _big()
    until_day: dt.date
    reason: str = _text()
    asked_by: str = Field(index=True, max_length=32)
    created_us: int = _big()
    state: str = Field(max_length=16)
    decided_us: int | None = _big(nullable=True)
    decided_by: str | None = Field(default=None, max_length=64)
    decision_reason: str | None = _text(nullable=True)
    raise_id: str | None = Field(default=None, max_length=32)


class TallyRow(SQLModel, table=True):
    """What one question has brought so far, as counts; see `app.quota.tallies`.

    `question` and `conditions` are digests keyed by the scope's data key. `place`, and what follows it, is of
    the crawl that was begun last, what begins with `whole` of the last one that reached the end.
    """

    __tablename__ = "question_tally"
    question: str = Field(primary_key=True, max_length=64)
    conditions: str = Field(index=True, max_length=64)
    scope: str = Field(max_length=64)
    endpoint: str = Field(max_length=64)
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    calls: int = _big()
    answers: int = _big()
    fields: str = _text()
    size: int | None = None
    place: int | None = _big(nullable=True)
    pages: int
    positions: int = _big()
    records: int = _big()
    oldest_s: int | None = _big(nullable=True)
    at_us: int = _big()
    whole_fields: str = _text()
    whole_size: int | None = None
    whole_pages: int
    whole_positions: int = _big()
    whole_records: int = _big()
    whole_oldest_s: int | None = _big(nullable=True)
    whole_at_us: int = _big()
    __table_args__ = (Index("ix_question_tally_history", "scope", "endpoint", "at_us"),)
