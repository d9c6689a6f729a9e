"""The first schema: log, ledger, directory and held answers.

Revision 0001, after none.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, length: int, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable, primary_key=primary_key)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _binary(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _long_text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    _log()
    _ledger()
    _people_and_terms()
    _credentials_and_projects()
    _keys()
    _held()
    _guard_entries()
    _begin_log()


def _log() -> None:
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), primary_key=True),
        _number("size"),
        _binary("frontier"),
        _number("last_ts_us"),
        _number("revision"),
    )
    op.create_table(
        "entry",
        # In SQLite an INTEGER primary key is the row's own address, without an index beside it.
        sa.Column(
            "ix",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            primary_key=True,
            autoincrement=False,
        ),
        _text("id", 32),
        _text("type", 16),
        _number("ts_us"),
        _binary("leaf"),
        _binary("leaf_hash"),
        sa.UniqueConstraint("id"),
    )


def _ledger() -> None:
    op.create_table(
        "counter",
        _text("scope_kind", 16, primary_key=True),
        _text("scope_id", 64, primary_key=True),
        _text("dimension", 24, primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        _number("used"),
        _number("reserved"),
        sa.CheckConstraint("used >= 0 AND reserved >= 0", name="counter_not_negative"),
    )
    op.create_table(
        "reservation",
        _text("id", 32, primary_key=True),
        _number("intent_ix"),
        _number("lease_until_us"),
        sa.Column("takings", sa.JSON(), nullable=False),
        sa.Column("entry", sa.JSON(), nullable=False),
    )
    op.create_index("ix_reservation_lease_until_us", "reservation", ["lease_until_us"])
    op.create_table(
        "quota_limit",
        _text("scope_kind", 16, primary_key=True),
        _text("scope_id", 64, primary_key=True),
        _text("dimension", 24, primary_key=True),
        _text("window", 16, primary_key=True),
        _number("amount"),
    )


def _people_and_terms() -> None:
    op.create_table(
        "person",
        _text("id", 32, primary_key=True),
        _text("email", 320),
        _long_text("name"),
        sa.Column("roles", sa.JSON(), nullable=False),
        _number("created_us"),
        _number("retired_us", nullable=True),
        sa.UniqueConstraint("email"),
    )
    op.create_table(
        "terms",
        _text("version", 64, primary_key=True),
        _long_text("title"),
        _long_text("text"),
        _text("text_sha256", 64),
        sa.Column("in_force_from", sa.Date(), nullable=False),
        _number("created_us"),
        _number("retired_us", nullable=True),
    )
    op.create_table(
        "acceptance",
        _text("person_id", 32, primary_key=True),
        _text("version", 64, primary_key=True),
        _number("accepted_us"),
        _text("how", 16),
        _long_text("evidence_name", nullable=True),
        _text("evidence_sha256", 64, nullable=True),
    )


def _credentials_and_projects() -> None:
    op.create_table(
        "credential",
        _text("id", 32, primary_key=True),
        _text("name", 100),
        _long_text("base_url"),
        _binary("wrapped_key"),
        _binary("sealed_client_key"),
        _binary("sealed_client_secret"),
        _binary("secret_digest"),
        sa.Column("roster_limit", sa.Integer(), nullable=False),
        sa.Column("permission", sa.JSON(), nullable=False),
        _number("created_us"),
        _number("retired_us", nullable=True),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "project",
        _text("id", 32, primary_key=True),
        _text("name", 100),
        _text("credential_id", 32),
        _long_text("approval_reference"),
        sa.Column("approved_from", sa.Date(), nullable=False),
        sa.Column("approved_until", sa.Date(), nullable=False),
        _text("lead_id", 32, nullable=True),
        _text("cache_scope", 16),
        sa.Column("allow", sa.JSON(), nullable=False),
        _binary("wrapped_data_key"),
        _number("created_us"),
        _number("retired_us", nullable=True),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"]),
        sa.ForeignKeyConstraint(["lead_id"], ["person.id"]),
        sa.UniqueConstraint("name"),
    )
    op.create_index("ix_project_credential_id", "project", ["credential_id"])


def _keys() -> None:
    op.create_table(
        "membership",
        _text("id", 32, primary_key=True),
        _text("project_id", 32),
        _text("person_id", 32),
        sa.Column("from_day", sa.Date(), nullable=True),
        sa.Column("until_day", sa.Date(), nullable=True),
        _number("created_us"),
        _number("retired_us", nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.UniqueConstraint("project_id", "person_id"),
    )
    op.create_index("ix_membership_project_id", "membership", ["project_id"])
    op.create_index("ix_membership_person_id", "membership", ["person_id"])
    op.create_table(
        "api_key",
        _text("id", 32, primary_key=True),
        _text("membership_id", 32),
        _binary("client_secret_digest"),
        _binary("api_key_digest"),
        _binary("old_client_secret_digest", nullable=True),
        _binary("old_api_key_digest", nullable=True),
        _number("old_until_us", nullable=True),
        _number("created_us"),
        _number("expires_us", nullable=True),
        _number("revoked_us", nullable=True),
        sa.ForeignKeyConstraint(["membership_id"], ["membership.id"]),
    )
    op.create_index("ix_api_key_membership_id", "api_key", ["membership_id"])
    op.create_table(
        "person_token",
        _text("id", 32, primary_key=True),
        _text("person_id", 32),
        _binary("digest"),
        _number("created_us"),
        _number("expires_us", nullable=True),
        _number("revoked_us", nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
    )
    op.create_index("ix_person_token_person_id", "person_token", ["person_id"])


def _held() -> None:
    op.create_table(
        "held_page",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        _text("scope", 64),
        _text("endpoint", 64),
        _binary("sealed"),
        sa.Column("records", sa.Integer(), nullable=False),
        _number("fetched_us"),
        _number("expires_us"),
    )
    op.create_index("ix_held_page_scope", "held_page", ["scope"])
    op.create_index("ix_held_page_expires_us", "held_page", ["expires_us"])
    op.create_table(
        "search",
        _text("id", 20, primary_key=True),
        _text("scope", 64),
        _text("credential_id", 32),
        _binary("question_digest"),
        _text("upstream_id", 64),
        _number("created_us"),
        _number("expires_us"),
    )
    op.create_index("ix_search_expires_us", "search", ["expires_us"])


def _guard_entries() -> None:
    """Make the database itself refuse to change or drop an entry."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER entry_no_{verb.lower()} BEFORE {verb} ON entry "
                "BEGIN SELECT RAISE(ABORT, 'entries of the log are never changed'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION entry_is_final() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'entries of the log are never changed'; END $$"
    )
    op.execute(
        "CREATE TRIGGER entry_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final()"
    )


def _begin_log() -> None:
    """Insert the head of an empty log: no leaves, so a frontier of its size and a sum alone."""
    size = (0).to_bytes(8, "big")
    head = sa.table(
        "head",
        sa.column("id", sa.Integer()),
        sa.column("size", sa.BigInteger()),
        sa.column("frontier", sa.LargeBinary()),
        sa.column("last_ts_us", sa.BigInteger()),
        sa.column("revision", sa.BigInteger()),
    )
    op.execute(
        sa.insert(head).values(
            id=1, size=0, frontier=size + hashlib.sha256(size).digest(), last_ts_us=0, revision=1
        )
    )
