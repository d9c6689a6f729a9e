"""Held pages and searches: compressed and sealed in the database, in the clear in this process's memory alone."""

import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.credentials import data_key_aad
from app.cache.pages import MOST_NAMING, SEARCHES_KNOWN_S, HeldPage, Holding, SearchState
from app.clock import Clock
from app.ids import SearchId, held_scope, owner_of
from app.sealing import MasterKey, SealBroken, aad, blinder, open_sealed, seal, unwrap
from app.storage.engines import Database
from app.storage.log import lock_moment
from app.storage.prepared import DIALECTS, Prepared, upsert
from app.storage.shared_reads import SharedReads
from app.storage.tables import CredentialRow, HeldPageRow, PageTagsRow, ProjectRow, SearchRow, table
from app.storage.tagged import TAG_BYTES, note_gone, tagged

_PER_PAGE_BYTES = 640
"""What a page costs in memory beside its data: 620 to 635 bytes measured (`docs/performance.md`)."""
_PACKED, _PLAIN = b"\x01", b"\x00"
"""What stands before compressed data and before other; no answer begins so."""
_LEVEL = 3
"""Of zlib: a higher one saves little and takes several times as long (`docs/performance.md`)."""


_held, _search, _tags = table(HeldPageRow), table(SearchRow), table(PageTagsRow)
_project, _credential = table(ProjectRow), table(CredentialRow)
_FIND = Prepared(
    sa.select(
        _held.c.endpoint, _held.c.sealed, _held.c.records, _held.c.fetched_us, _held.c.expires_us
    ).where(_held.c.key == sa.bindparam("key"), _held.c.scope == sa.bindparam("scope"))
)
_SEARCH = Prepared(
    sa.select(
        _search.c.credential_id,
        _search.c.question_digest,
        _search.c.upstream_id,
        _search.c.created_us,
        _search.c.expires_us,
        _search.c.seam,
        _search.c.shift,
    ).where(
        _search.c.id == sa.bindparam("id"),
        _search.c.scope == sa.bindparam("scope"),
        _search.c.expires_us > sa.bindparam("since_us"),
    )
)
_HOLD = {dialect: Prepared(upsert(dialect, _held)) for dialect in DIALECTS}
_TAG = {dialect: Prepared(upsert(dialect, _tags)) for dialect in DIALECTS}
KEEP_SEARCH = {dialect: Prepared(upsert(dialect, _search)) for dialect in DIALECTS}


def hold(conn: Connection, holdings: Sequence[Holding]) -> None:
    """Keep the pages, each with its tags."""
    dialect = conn.dialect.name
    _HOLD[dialect].run(conn, *map(page_row, holdings))
    tagged_ones = [
        {"key": each.key, "scope": each.scope, "tags": each.tags} for each in holdings if each.tags
    ]
    if tagged_ones:
        _TAG[dialect].run(conn, *tagged_ones)


def page_row(holding: Holding) -> dict[str, object]:
    """A page as its table has it."""
    return {
        "key": holding.key,
        "scope": holding.scope,
        "endpoint": holding.endpoint,
        "sealed": holding.sealed,
        "records": holding.records,
        "fetched_us": holding.fetched_us,
        "expires_us": holding.expires_us,
        "size": len(holding.sealed),
    }


def search_row(search: SearchState) -> dict[str, object]:
    """A search as its table has it."""
    return {
        "id": search.id,
        "scope": search.scope,
        "credential_id": search.credential,
        "question_digest": search.question_digest,
        "upstream_id": search.upstream_id,
        "created_us": search.began_us,
        "expires_us": search.expires_us,
        "seam": search.seam,
        "shift": search.shift,
    }


class SqlPages:
    """The pages' port over SQL, with the most recently used in memory up to `max_memory_bytes`."""

    def __init__(self, *, database: Database, master: MasterKey, clock: Clock, max_memory_bytes: int) -> None:
        self._database = database
        self._master = master
        self._clock = clock
        self._max_memory_bytes = max_memory_bytes
        self._memory: OrderedDict[bytes, HeldPage] = OrderedDict()
        self._memory_bytes = 0
        self._data_keys: dict[str, bytes] = {}
        self._reads: SharedReads[HeldPage | None] = SharedReads()
        self._round = 0
        self.sealed_bytes = 0
        """Of all pages that this process has sealed, to be held."""

    async def find(self, key: bytes, scope: str) -> HeldPage | None:
        """The page under that key; one of another scope, or one whose seal is broken, counts as absent."""
        page = self.at_hand(key, scope)
        return await self.reload(key, scope) if page is None else page

    async def reload(self, key: bytes, scope: str) -> HeldPage | None:
        """The page as it is stored now; see `Pages`."""
        since = self._round
        page = await self._load(key, scope)
        if page is not None:
            self.remember(page, since=since)
        return page

    def at_hand(self, key: bytes, scope: str) -> HeldPage | None:
        """The page as `find` gives it where that takes no look at the database; None elsewhere."""
        page = self._memory.get(key)
        # Without its key the page counts as gone, wherever it still is.
        if page is None or page.scope != scope or scope not in self._data_keys:
            return None
        self._memory.move_to_end(key)
        return page

    async def look(self, key: bytes, scope: str) -> HeldPage | None:
        """The page as `find` gives it, without having it at hand afterwards: for a look at many of them."""
        page = self._memory.get(key)
        is_at_hand = page is not None and page.scope == scope and scope in self._data_keys
        return page if is_at_hand else await self._load(key, scope)

    async def _load(self, key: bytes, scope: str) -> HeldPage | None:
        return await self._reads.read((key, scope), lambda: self._load_alone(key, scope))

    async def _load_alone(self, key: bytes, scope: str) -> HeldPage | None:
        wanted = {"key": key, "scope": scope}
        rows = await self._database.read(lambda conn: _FIND.rows(conn, wanted))
        if not rows:
            return None
        endpoint, sealed, records, fetched_us, expires_us = rows[0]
        try:
            data = _unpacked(open_sealed(await self._data_key(scope), sealed, _page_aad(key, scope)))
        except SealBroken:
            return None
        return HeldPage(
            key=key,
            scope=scope,
            endpoint=endpoint,
            data=data,
            records=records,
            fetched_us=fetched_us,
            expires_us=expires_us,
        )

    async def seal(self, page: HeldPage, names: Collection[str] = ()) -> Holding | None:
        """The page in the form in which the books keep it; see `Pages`."""
        try:
            data_key = await self._data_key(page.scope)
        except SealBroken:
            return None
        sealed = seal(data_key, _packed(page.data), _page_aad(page.key, page.scope))
        self.sealed_bytes += len(sealed)
        return Holding(
            key=page.key,
            scope=page.scope,
            endpoint=page.endpoint,
            sealed=sealed,
            records=page.records,
            fetched_us=page.fetched_us,
            expires_us=page.expires_us,
            tags=b"".join(sorted(_tags_of(names, blinder(data_key)))) if names else b"",
        )

    async def gone(self, names: Collection[str]) -> Mapping[str, Sequence[bytes]]:
        """Tags of what the platform has no longer, which is noted before what is held of it is looked for; see `Pages`."""
        scopes = await self._database.read(_scopes)
        tags = {scope: some for scope in scopes if (some := (await self.tags_of(scope, [names]))[0])}
        await self._database.write(
            lambda conn: note_gone(conn, tags, told_us=lock_moment(conn, self._database))
        )
        return await self._database.read(
            lambda conn: {scope: some for scope, some in tags.items() if tagged(conn, scope, [some])}
        )

    async def naming(self, names: Collection[str], scope: str, endpoint: str) -> AsyncIterator[HeldPage]:
        """The newest pages about any of these names; see `Pages`."""
        (tags,) = await self.tags_of(scope, [names])
        if not tags:
            return

        def newest(conn: Connection) -> Sequence[bytes]:
            some = tagged(conn, scope, [tags])
            asked = sa.select(_held.c.key).where(_held.c.key.in_(some), _held.c.endpoint == endpoint)
            return conn.execute(asked.order_by(_held.c.fetched_us.desc()).limit(MOST_NAMING)).scalars().all()

        for key in await self._database.read(newest):
            page = await self.look(key, scope)
            if page is not None:
                yield page

    async def tags_of(self, scope: str, groups: Sequence[Collection[str]]) -> list[list[bytes]]:
        """The tags of each group of names in the scope; none at all where its data key is destroyed."""
        blind = await self._blinder(scope)
        return [[] if blind is None else _tags_of(names, blind) for names in groups]

    async def blinder(self, scope: str) -> Callable[[str], str] | None:
        """Makes digests of texts that nobody can guess their way back from; see `Pages`."""
        blind = await self._blinder(scope)
        return None if blind is None else lambda text: blind(text).hex()

    async def _blinder(self, scope: str) -> Callable[[str], bytes] | None:
        try:
            return blinder(await self._data_key(scope))
        except SealBroken:
            return None

    async def keep(
        self,
        pages: Sequence[tuple[HeldPage, Collection[str]]],
        search: SearchState,
        *,
        made_of: Collection[bytes],
    ) -> bool:
        """Hold pages that were made of held ones, with their search; see `Pages`."""
        since = self._round
        sealed = [each for page, names in pages if (each := await self.seal(page, names)) is not None]
        if len(sealed) < len(pages):
            return False
        # With a lock, so that what is deleted at this moment is deleted before or after all of this.
        sources = (
            sa.select(_held.c.key).where(_held.c.key.in_(made_of)).with_for_update(read=True, key_share=True)
        )

        def write(conn: Connection) -> bool:
            if len(conn.execute(sources).all()) < len(set(made_of)):
                return False
            hold(conn, sealed)
            KEEP_SEARCH[self._database.dialect].run(conn, search_row(search))
            return True

        if not await self._database.write(write):
            return False
        for page, _ in pages:
            self.remember(page, since=since)
        return True

    @property
    def round(self) -> int:
        """Grows whenever what is at hand is forgotten; see `Pages`."""
        return self._round

    def remember(self, page: HeldPage, *, since: int) -> None:
        """Have the page, which is durable by now, at hand for the next `find`; see `Pages`."""
        self._drop(page.key)
        size = len(page.data) + _PER_PAGE_BYTES
        if size > self._max_memory_bytes or since != self._round:
            return
        self._memory[page.key] = page
        self._memory_bytes += size
        while self._memory_bytes > self._max_memory_bytes:
            self._drop(next(iter(self._memory)))

    async def search(self, search_id: str, scope: str) -> SearchState | None:
        """What stands behind a search id of Bursar's own; see `Pages`."""
        since_us = int(self._clock.now().timestamp() * 1_000_000) - SEARCHES_KNOWN_S * 1_000_000
        wanted = {"id": search_id, "scope": scope, "since_us": since_us}
        rows = await self._database.read(lambda conn: _SEARCH.rows(conn, wanted))
        if not rows:
            return None
        credential, question_digest, upstream_id, began_us, expires_us, seam, shift = rows[0]
        return SearchState(
            id=SearchId(search_id),
            scope=scope,
            credential=credential,
            question_digest=question_digest,
            upstream_id=upstream_id,
            began_us=began_us,
            expires_us=expires_us,
            seam=seam,
            shift=shift,
        )

    def forget(self) -> None:
        """Read pages and their keys anew: a project may have ended and its key with it, or pages been purged."""
        self._round += 1
        self._data_keys.clear()
        self._memory.clear()
        self._memory_bytes = 0

    def _drop(self, key: bytes) -> None:
        page = self._memory.pop(key, None)
        if page is not None:
            self._memory_bytes -= len(page.data) + _PER_PAGE_BYTES

    async def _data_key(self, scope: str) -> bytes:
        data_key = self._data_keys.get(scope)
        if data_key is None:
            kind, _, object_id = owner_of(scope).partition(":")
            wrapped = await self._database.read(lambda conn: _wrapped_key(conn, kind, object_id))
            data_key = unwrap(self._master, wrapped, data_key_aad(kind, object_id))
            self._data_keys[scope] = data_key
        return data_key


def _scopes(conn: Connection) -> Sequence[str]:
    """Every scope for which something is or may be on its way to be held."""
    return [
        held_scope(kind, object_id, era)
        for kind, owner in (("project", _project), ("credential", _credential))
        for object_id, era in conn.execute(sa.select(owner.c.id, owner.c.held_era))
    ]


def _tags_of(names: Collection[str], blind: Callable[[str], bytes]) -> list[bytes]:
    return [blind(f"held {name}")[:TAG_BYTES] for name in names]


def _packed(data: bytes) -> bytes:
    """The data as it is sealed: compressed behind a mark, unless that makes it no smaller."""
    packed = _PACKED + zlib.compress(data, _LEVEL)
    return packed if len(packed) < len(data) else _PLAIN + data


def _unpacked(packed: bytes) -> bytes:
    """The data again; an answer of an earlier release has no mark, and begins as JSON does."""
    if packed[:1] == _PACKED:
        return zlib.decompress(packed[1:])
    return packed[1:] if packed[:1] == _PLAIN else packed


def _page_aad(key: bytes, scope: str) -> bytes:
    return aad("held page", scope, key.hex())


def _wrapped_key(conn: Connection, kind: str, object_id: str) -> bytes:
    column = _project.c.wrapped_data_key if kind == "project" else _credential.c.wrapped_key
    wrapped = conn.execute(sa.select(column).where(column.table.c.id == object_id)).scalar_one_or_none()
    if wrapped is None:
        raise SealBroken(f"the {kind} whose data key is asked for does not exist")
    return bytes(wrapped)
