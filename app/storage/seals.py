"""The keys of sealed questions over SQL: made when they are first needed, kept at hand, and opened for readers."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app import exact_json
from app.audit.entries import KeptQuestion
from app.audit.questions import QuestionKeys, open_question, tag, tagging_key
from app.clock import Clock
from app.errors import AuditUnavailable, BadSetting, BursarError, Conflict, NotFound
from app.ids import new_entry_id
from app.provider.naming import plain
from app.sealing import MasterKey, aad, new_data_key, unwrap, wrap
from app.storage.engines import Database
from app.storage.prepared import Prepared
from app.storage.seal_files import SealKeyFile
from app.storage.searching import FoundEntry, find_entry, find_entry_at
from app.storage.tables import (
    BlindKeyRow,
    EntryRow,
    SealedQuestionRow,
    SealKeyRow,
    WrappingRow,
    table,
)

_MOST_KEPT: Final = 10_000
_MADE_WITHIN_S: Final = 5.0
_seal, _blind, _wrapping = (table(row) for row in (SealKeyRow, BlindKeyRow, WrappingRow))
_entry, _question = table(EntryRow), table(SealedQuestionRow)
_FIND = Prepared(
    sa.select(_seal.c.kid, _seal.c.wrapped, _seal.c.kek, _blind.c.wrapped, _blind.c.kek).where(
        _seal.c.person == sa.bindparam("person"),
        _seal.c.month == sa.bindparam("month"),
        _blind.c.month == _seal.c.month,
    )
)


class SqlSeals:
    """See `app.audit.questions.Seals`. `start` before use."""

    def __init__(self, *, database: Database, file: SealKeyFile, clock: Clock) -> None:
        self._database = database
        self._file = file
        self._clock = clock
        self._kept: dict[str, QuestionKeys] = {}
        self._making = asyncio.Lock()

    async def start(self) -> None:
        """Have a key that wraps all others, the one that the database names. Raises BadSetting."""
        await self._database.write(lambda conn: adopt(conn, self._database.now_us(conn), self._file))

    async def keys_for(self, person: str) -> QuestionKeys:
        """The person's keys of this month, durable before they are used. Raises Unavailable."""
        now = self._clock.now()
        month = f"{now.year:04}-{now.month:02}"
        kept = self._kept.get(person)
        if kept is not None and kept.month == month:
            return kept
        try:
            async with asyncio.timeout(_MADE_WITHIN_S):
                return await self._looked_up(person, month)
        except TimeoutError as error:
            raise AuditUnavailable(
                "audit_unavailable: the database does not answer. Try again in a few seconds."
            ) from error

    def forget(self) -> None:
        """Look keys up anew: one may have been destroyed."""
        self._kept.clear()

    async def tags(self, kind: str, value: str, *, since_us: int | None, until_us: int | None) -> list[str]:
        """What an identifier may stand under in entries of these times."""

        def work(conn: Connection) -> list[str]:
            rows = all_keys(conn)
            # A day to each side: a question is sealed a moment before its entry has its time.
            low = "" if since_us is None else month_of(since_us - _DAY_US)
            high = "9" if until_us is None else month_of(until_us + _DAY_US)
            blinds = {row["month"]: row for row in rows if "kid" not in row and low <= row["month"] <= high}
            kept = {month: unwrap_blind(self._file.key(row["kek"]), row) for month, row in blinds.items()}
            return [
                tag(
                    tagging_key(unwrap_seal(self._file.key(row["kek"]), row), kept[row["month"]]),
                    kind,
                    plain(kind, value),
                )
                for row in rows
                if "kid" in row and row["month"] in kept
            ]

        return await self._database.read(work)

    async def question(self, entry_id: str) -> tuple[FoundEntry, str]:
        """An entry with its question in the clear.

        Raises NotFound where there is no such entry or question, Conflict where its key was destroyed, SealBroken.
        """
        return await self._database.read(lambda conn: read_question(conn, self._file, entry_id))

    async def _looked_up(self, person: str, month: str) -> QuestionKeys:
        async with self._making:
            kept = self._kept.get(person)
            if kept is None or kept.month != month:
                kept = await self._load(person, month)
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[person] = kept
        return kept

    async def _load(self, person: str, month: str) -> QuestionKeys:
        wanted = {"person": person, "month": month}
        rows = await self._database.read(lambda conn: _FIND.rows(conn, wanted))
        if not rows:
            await self._database.write(lambda conn: self._make(conn, person, month))
            rows = await self._database.read(lambda conn: _FIND.rows(conn, wanted))
        if not rows:
            raise AuditUnavailable("audit_unavailable: the keys of questions are being replaced. Try again.")
        kid, wrapped, kek, wrapped_blind, blind_kek = rows[0]
        key = unwrap(self._file.key(kek), bytes(wrapped), _seal_aad(kid, person, month))
        blind = unwrap(self._file.key(blind_kek), bytes(wrapped_blind), _blind_aad(month))
        return QuestionKeys.of(kid=kid, month=month, key=key, blind=blind)

    def _make(self, conn: Connection, person: str, month: str) -> None:
        now_us = self._database.now_us(conn)
        kek = current(conn, self._file)
        # Two processes may meet here; the row of the wrapping key lets one in at a time.
        stands = _FIND.rows(conn, {"person": person, "month": month})
        if stands:
            return
        row = {"person": person, "month": month, "kek": kek.fingerprint, "created_us": now_us}
        if conn.execute(sa.select(_seal.c.kid).filter_by(person=person, month=month)).first() is None:
            kid = new_entry_id()
            wrapped = wrap(kek, new_data_key(), _seal_aad(kid, person, month))
            conn.execute(sa.insert(_seal).values(kid=kid, wrapped=wrapped, **row))
        if conn.execute(sa.select(_blind.c.month).filter_by(month=month)).first() is None:
            wrapped = wrap(kek, new_data_key(), _blind_aad(month))
            del row["person"]
            conn.execute(sa.insert(_blind).values(wrapped=wrapped, **row))


_DAY_US: Final = 86_400_000_000


def current(conn: Connection, file: SealKeyFile) -> MasterKey:
    """The key that wraps all others, its row locked until the transaction ends. Raises AuditUnavailable."""
    kek = conn.execute(sa.select(_wrapping.c.kek).with_for_update()).scalar_one_or_none()
    if kek is None:
        raise AuditUnavailable("audit_unavailable: there is no key for questions yet; start `bursar serve`.")
    return file.key(kek)


def settle(conn: Connection, file: SealKeyFile) -> None:
    """Have the file hold the key that the database names, while nobody can prepare another."""
    file.settle(conn.execute(sa.select(_wrapping.c.kek).with_for_update()).scalar_one())


def objection(conn: Connection, file: SealKeyFile) -> str | None:
    """Why questions can be neither sealed nor opened here; None: they can, or none was ever sealed."""
    kek = conn.execute(sa.select(_wrapping.c.kek)).scalar_one_or_none()
    try:
        if kek is not None:
            file.key(kek)
    except BursarError as error:
        return error.message.removeprefix("audit_unavailable: ")
    return None


def adopt(conn: Connection, now_us: int, file: SealKeyFile) -> None:
    """Have the file and the database agree on the key that wraps; raises BadSetting where they cannot.

    A database that was restored from before a key was destroyed gets the keys that were left then, and no other.
    """
    kek = conn.execute(sa.select(_wrapping.c.kek).with_for_update()).scalar_one_or_none()
    if kek is None:
        insert = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(_wrapping)
        first = insert.values(id=1, kek=file.create().fingerprint, since_us=now_us)
        conn.execute(first.on_conflict_do_nothing())
        kek = conn.execute(sa.select(_wrapping.c.kek).with_for_update()).scalar_one()
    _destroy_again(conn)
    left = _left_instead(kek, file)
    if left:
        replace_keys(conn, left, kek=str(left[0]["kek"]), now_us=now_us)
    else:
        file.settle(kek)


def require_seal_key(conn: Connection, file: SealKeyFile) -> None:
    """Return if `adopt` will; changes nothing. Raises BadSetting."""
    kek = conn.execute(sa.select(_wrapping.c.kek)).scalar_one_or_none()
    if kek is not None:
        _left_instead(kek, file)


def _left_instead(kek: str, file: SealKeyFile) -> list[dict[str, Any]]:
    """The keys that were left when the one that the file holds took the place of `kek`; none where it holds `kek` itself.

    Raises BadSetting where it holds neither.
    """
    try:
        file.key(kek)
    except AuditUnavailable as error:
        present = file.present()
        left = [row for row in file.kept_wrapped() if present and row["kek"] == present.fingerprint]
        if not left:
            raise BadSetting(
                f"The questions in the log are sealed under the key {kek}, which seal.key in the data directory does "
                "not hold. Restore that file from where it is kept; without it nobody can read what was asked."
            ) from error
        return left
    return []


def _destroy_again(conn: Connection) -> None:
    """Drop keys that the log says were destroyed, should a restored table have brought them back."""
    kids: set[str] = set()
    months: set[str] = set()
    for (leaf,) in conn.execute(sa.select(_entry.c.leaf).where(_entry.c.type == "key")).all():
        entry = exact_json.loads(bytes(leaf)) if leaf else None
        destroyed = entry.get("destroyed") if isinstance(entry, dict) else None
        if isinstance(destroyed, dict):
            kids |= {str(each) for each in destroyed.get("kids", ())}
            months |= {str(each) for each in destroyed.get("months", ())}
    there = {row.kid for row in conn.execute(sa.select(_seal.c.kid))} & kids
    for kid in there:
        conn.execute(sa.delete(_seal).where(_seal.c.kid == kid))
    for month in months:
        conn.execute(sa.delete(_blind).where(_blind.c.month == month))


def replace_keys(conn: Connection, rows: list[dict[str, Any]], *, kek: str, now_us: int) -> None:
    """Have these keys and no others, wrapped by `kek`."""
    conn.execute(sa.delete(_seal))
    conn.execute(sa.delete(_blind))
    of_people = [row for row in rows if "kid" in row]
    of_months = [row for row in rows if "kid" not in row]
    for target, some in ((_seal, of_people), (_blind, of_months)):
        if some:
            conn.execute(sa.insert(target), some)
    conn.execute(sa.update(_wrapping).values(kek=kek, since_us=now_us))


def unwrap_seal(kek: MasterKey, row: Mapping[str, Any]) -> bytes:
    """The key of one person and month."""
    return unwrap(kek, bytes(row["wrapped"]), _seal_aad(row["kid"], row["person"], row["month"]))


def unwrap_blind(kek: MasterKey, row: Mapping[str, Any]) -> bytes:
    """The key of one month's tags."""
    return unwrap(kek, bytes(row["wrapped"]), _blind_aad(row["month"]))


def rewrapped(row: Mapping[str, Any], old: MasterKey, new: MasterKey) -> dict[str, Any]:
    """The row with its key under another wrapping."""
    if "kid" in row:
        wrapped = wrap(new, unwrap_seal(old, row), _seal_aad(row["kid"], row["person"], row["month"]))
    else:
        wrapped = wrap(new, unwrap_blind(old, row), _blind_aad(row["month"]))
    return {**row, "wrapped": wrapped, "kek": new.fingerprint}


def all_keys(conn: Connection) -> list[dict[str, Any]]:
    """Every key there is, wrapped."""
    return [dict(row) for each in (_seal, _blind) for row in conn.execute(sa.select(each)).mappings()]


def read_question(conn: Connection, file: SealKeyFile, entry_id: str) -> tuple[FoundEntry, str]:
    """An entry with its question in the clear; raises what `SqlSeals.question` does.

    An outcome does not repeat its question, so that of its intent is opened.
    """
    found = find_entry(conn, entry_id)
    if found is None:
        raise NotFound("There is no such entry.")
    intent = found.entry.get("intent_ix")
    holder = found if not isinstance(intent, int) else find_entry_at(conn, intent)
    sealed = None if holder is None else holder.entry.get("sealed")
    if holder is None or not isinstance(sealed, dict):
        raise NotFound("This entry holds no question.")
    row = conn.execute(sa.select(_seal).where(_seal.c.kid == sealed["kid"])).mappings().one_or_none()
    if row is None:
        raise Conflict("The key of this question was destroyed; nobody can read it any more.")
    kept = conn.execute(sa.select(_question).where(_question.c.ix == holder.index)).one_or_none()
    beside = None if kept is None else KeptQuestion(nonce=bytes(kept.nonce), ct=bytes(kept.ct))
    return found, open_question(unwrap_seal(file.key(row["kek"]), dict(row)), holder.entry, beside)


def _seal_aad(kid: str, person: str, month: str) -> bytes:
    return aad("seal key", kid, person, month)


def _blind_aad(month: str) -> bytes:
    return aad("blind key", month)


def month_of(ts_us: int) -> str:
    """The calendar month of a time, in UTC, such as 2026-05."""
    return f"{dt.datetime.fromtimestamp(ts_us / 1_000_000, dt.UTC):%Y-%m}"
