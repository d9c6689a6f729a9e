"""The content of old entries can be emptied, by two people's word in the log, and nothing else of them.

Revision 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_BESIDE = ("entry_fact", "entry_about", "entry_about_more", "sealed_question")
_LEAST_DAYS = 180
"""No content younger than six months goes, whoever asks; the program counts calendar months."""
_SAME = ("ix", "id", "type", "ts_us", "leaf_hash")

# Called once the entry that says so is written, in the same transaction.
_PRUNE = """
CREATE FUNCTION audit_prune(new_min bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema} AS $$
DECLARE
  old_min bigint;
  said bytea;
  newest bigint;
BEGIN
  SELECT min_index INTO STRICT old_min FROM {schema}.head FOR UPDATE;
  SELECT ts_us INTO newest FROM {schema}.entry WHERE ix = new_min - 1;
  IF new_min <= old_min OR newest IS NULL
    OR newest > extract(epoch FROM clock_timestamp() - interval '{days} days') * 1000000 THEN
    RAISE EXCEPTION 'entries before % are not to be pruned', new_min;
  END IF;
  SELECT leaf INTO said FROM {schema}.entry WHERE type = 'prune' AND length(leaf) > 0 ORDER BY ix DESC LIMIT 1;
  IF said IS NULL
    OR (convert_from(said, 'UTF8')::jsonb #>> '{prune,min_index}')::bigint IS DISTINCT FROM new_min THEN
    RAISE EXCEPTION 'no entry of the log says that entries before % are to be pruned', new_min;
  END IF;
  UPDATE {schema}.head SET min_index = new_min;
  RETURN new_min;
END $$
"""
_EMPTY = """
CREATE FUNCTION audit_empty(most int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema} AS $$
DECLARE
  low bigint := 0;
  ending bigint;
  high bigint;
  middle bigint;
  is_empty boolean;
BEGIN
  SELECT min_index INTO STRICT ending FROM {schema}.head;
  high := ending;
  WHILE low < high LOOP
    middle := (low + high) / 2;
    SELECT length(leaf) = 0 INTO STRICT is_empty FROM {schema}.entry WHERE ix = middle;
    IF is_empty THEN low := middle + 1; ELSE high := middle; END IF;
  END LOOP;
  high := least(low + most, ending);
  UPDATE {schema}.entry SET leaf = '' WHERE ix >= low AND ix < high;
  DELETE FROM {schema}.entry_fact WHERE ix >= low AND ix < high;
  DELETE FROM {schema}.entry_about WHERE ix >= low AND ix < high;
  DELETE FROM {schema}.entry_about_more WHERE ix >= low AND ix < high;
  DELETE FROM {schema}.sealed_question WHERE ix >= low AND ix < high;
  RETURN high - low;
END $$
"""
_IS_EMPTIED = """
CREATE FUNCTION entry_is_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.ix, NEW.id, NEW.type, NEW.ts_us, NEW.leaf_hash) IS DISTINCT FROM
     (OLD.ix, OLD.id, OLD.type, OLD.ts_us, OLD.leaf_hash)
    OR length(NEW.leaf) > 0 OR OLD.ix >= (SELECT min_index FROM {schema}.head) THEN
    RAISE EXCEPTION 'entries of the log are never changed';
  END IF;
  RETURN NEW;
END $$
"""
_IS_PRUNED = """
CREATE FUNCTION entry_is_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.ix >= (SELECT min_index FROM {schema}.head) THEN
    RAISE EXCEPTION 'entries of the log are never changed';
  END IF;
  RETURN OLD;
END $$
"""
_GUARD_ENTRY = """
CREATE TRIGGER entry_is_final BEFORE DELETE OR TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final()
"""
_GUARD_CONTENT = """
CREATE TRIGGER entry_is_emptied BEFORE UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION entry_is_emptied()
"""
_GUARD_BESIDE = """
CREATE TRIGGER {name}_is_final BEFORE UPDATE OR TRUNCATE ON {name}
FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final()
"""
_GUARD_ROWS_BESIDE = """
CREATE TRIGGER {name}_is_pruned BEFORE DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION entry_is_pruned()
"""

_SQLITE_CONTENT = """
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
WHEN NOT ({same} AND length(NEW.leaf) = 0 AND OLD.ix < (SELECT min_index FROM head))
BEGIN SELECT RAISE(ABORT, 'entries of the log are never changed'); END
"""
_SQLITE_BESIDE = """
CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name} WHEN OLD.ix >= (SELECT min_index FROM head)
BEGIN SELECT RAISE(ABORT, 'entries of the log are never changed'); END
"""
_SQLITE_HEAD = """
CREATE TRIGGER head_min_index BEFORE UPDATE OF min_index ON head WHEN NOT (
  NEW.min_index > OLD.min_index
  AND EXISTS (
    SELECT 1 FROM entry WHERE type = 'prune' AND length(leaf) > 0
    AND json_extract(CAST(leaf AS TEXT), '$.prune.min_index') = NEW.min_index
  )
  AND coalesce(
    (SELECT ts_us FROM entry WHERE ix = NEW.min_index - 1)
    <= (CAST(strftime('%s', 'now') AS INTEGER) - {days} * 86400) * 1000000, 0
  )
)
BEGIN SELECT RAISE(ABORT, 'entries of the log are not to be pruned so'); END
"""


def upgrade() -> None:
    # Found by index when content goes; the tables of tags are ordered by tag.
    op.create_index("ix_entry_about_ix", "entry_about", ["ix"])
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _on_sqlite()


def _on_postgresql() -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    for statement in (_PRUNE, _EMPTY, _IS_EMPTIED, _IS_PRUNED):
        _run(statement, schema=schema, days=str(_LEAST_DAYS))
    for function in ("audit_prune", "audit_empty"):
        _run("REVOKE ALL ON FUNCTION {name} FROM PUBLIC", name=function)
    _run("DROP TRIGGER entry_is_final ON entry")
    _run(_GUARD_ENTRY)
    _run(_GUARD_CONTENT)
    for name in _BESIDE:
        for statement in ("DROP TRIGGER {name}_is_final ON {name}", _GUARD_BESIDE, _GUARD_ROWS_BESIDE):
            _run(statement, name=name)


def _on_sqlite() -> None:
    _run("DROP TRIGGER entry_no_update")
    _run(_SQLITE_CONTENT, same=" AND ".join(f"NEW.{name} IS OLD.{name}" for name in _SAME))
    for name in _BESIDE:
        _run("DROP TRIGGER {name}_no_delete", name=name)
        _run(_SQLITE_BESIDE, name=name)
    _run(_SQLITE_HEAD, days=str(_LEAST_DAYS))


def _run(statement: str, **values: str) -> None:
    for name, value in values.items():
        statement = statement.replace("{" + name + "}", value)
    op.get_bind().exec_driver_sql(statement)
