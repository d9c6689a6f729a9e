"""Held pages, and whether one may be served."""

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app import exact_json
from app.cache.lifetimes import Lifetime
from app.ids import SearchId, new_search_id
from app.provider.answers import Success
from app.provider.endpoint import AnswerForm, CursorKind, Endpoint
from app.provider.spans import oldest_s
from app.query import ResearchQuery

MOST_NAMING = 10
"""Pages that are opened for one look at what is held about some names."""
SEARCHES_KNOWN_S = 16 * 86_400
"""How long a search that is over is known, so that whoever finds what is held of it can page through it: longer than
pages are held."""
TASKS_LAST_S = 30 * 86_400
"""How long a task of batch compliance can be asked for; the platform documents no end, Bursar has this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPage:
    """An answer's `data` as JSON bytes, with Bursar's own search id inside where it has one; or a file.

    `fetched_us` is when the platform was asked for it, so no later than it left there; it is kept until `expires_us`, at most.
    """

    key: bytes
    scope: str
    endpoint: str
    data: bytes
    records: int
    fetched_us: int
    expires_us: int
    _sha256: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        # What orjson gives keeps its buffer, 4 kB at the least, for as long as it lives; a copy takes what it says.
        object.__setattr__(self, "data", bytes(memoryview(self.data)))
        object.__setattr__(self, "_sha256", hashlib.sha256(self.data).hexdigest())

    @property
    def sha256(self) -> str:
        """The digest of `data` that entries cite; worked out once."""
        return self._sha256

    def age_s(self, now_us: int) -> int:
        """Whole seconds since the data left the platform (RFC 9111, section 5.1)."""
        return max(0, (now_us - self.fetched_us) // 1_000_000)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The page may be served."""

    page: HeldPage


@dataclass(frozen=True, slots=True)
class Stale:
    """The page is held, but its time is over: it may be served where nothing can be fetched."""

    page: HeldPage


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing is held."""


def may_serve(page: HeldPage | None, lifetime: Lifetime | None, *, now_us: int) -> Fresh | Stale | Missing:
    """Whether a page found under a request's key answers it; without a lifetime, whatever is kept still does."""
    if page is None or now_us >= page.expires_us:
        return Missing()
    is_fresh = lifetime is None or now_us < lifetime.until_us(page.fetched_us)
    return Fresh(page) if is_fresh else Stale(page)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An answer to keep beside the outcome that brought it, in the same transaction."""

    key: bytes
    scope: str
    endpoint: str
    sealed: bytes
    records: int
    fetched_us: int
    expires_us: int
    tags: bytes = b""
    """Keyed hashes of what the page is about, of `TAG_BYTES` each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """A search id of Bursar's own and what stands behind it, kept with the outcome that brought it.

    `began_us` is when the platform first gave `upstream_id`; from `expires_us` on it is not asked for it any more. Where that search took the place of one that was
    forgotten, it stands behind the places from `seam` on, and the platform counts `shift` fewer records before them.
    """

    id: SearchId
    scope: str
    credential: str
    question_digest: bytes
    upstream_id: str
    began_us: int
    expires_us: int
    seam: int = 0
    shift: int = 0

    @property
    def is_made(self) -> bool:
        """Whether the platform has no search behind it: it was made of what is held, or is a single page of the platform's."""
        return self.upstream_id == ""

    def is_over(self, now_us: int) -> bool:
        """Whether the platform has forgotten it by now: what is held of it can be paged all the same."""
        return now_us >= self.expires_us

    def reaches(self, place: int) -> bool:
        """Whether the platform can be asked for what the client counts as this place."""
        return not self.is_made and place >= self.seam

    def has_seam_at(self, place: int) -> bool:
        """Whether the page from there on begins with records that stand before it."""
        return self.shift != 0 and place == self.seam


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a held page says of itself and of the next one, without its records.

    `oldest_s` is when its last record was created, where it can be told.
    """

    records: int
    cursor: int | None
    has_more: bool
    search_id: str | None
    oldest_s: int | None
    fetched_us: int
    expires_us: int


def outline_of(page: HeldPage, endpoint: Endpoint) -> Outline:
    """The outline of a page of `endpoint`."""
    data = exact_json.loads(page.data) if endpoint.answers is AnswerForm.ENVELOPE else {}
    data = data if isinstance(data, dict) else {}
    cursor, search_id = data.get("cursor"), data.get("search_id")
    return Outline(
        records=page.records,
        cursor=cursor if isinstance(cursor, int) else None,
        has_more=data.get("has_more") is True,
        search_id=search_id if isinstance(search_id, str) else None,
        oldest_s=oldest_s(endpoint, data),
        fetched_us=page.fetched_us,
        expires_us=page.expires_us,
    )


class Pages(Protocol):
    """Held pages and searches, sealed wherever they are durable. Raises StoreUnavailable."""

    async def find(self, key: bytes, scope: str) -> HeldPage | None:
        """The page under that key; one of another scope, or one whose seal is broken, counts as absent."""
        ...

    async def reload(self, key: bytes, scope: str) -> HeldPage | None:
        """The page as it is stored now: another process may have fetched it since this one had it at hand."""
        ...

    def at_hand(self, key: bytes, scope: str) -> HeldPage | None:
        """The page as `find` gives it where that takes no look at the database; None elsewhere."""
        ...

    async def look(self, key: bytes, scope: str) -> HeldPage | None:
        """The page as `find` gives it, without having it at hand afterwards: for a look at many of them."""
        ...

    async def seal(self, page: HeldPage, names: Collection[str] = ()) -> Holding | None:
        """The page in the form in which the books keep it; None where its scope's data key is destroyed.

        `names` say whom and what it is about (`app.provider.naming`), so that it is found when one of them is gone.
        """
        ...

    async def gone(self, names: Collection[str]) -> Mapping[str, Sequence[bytes]]:
        """The tags of these names, which the platform has no longer, in every scope that holds a page about one of them.

        From now on no page about one is held that the platform was asked for before.
        """
        ...

    def naming(self, names: Collection[str], scope: str, endpoint: str) -> AsyncIterator[HeldPage]:
        """Pages of that endpoint and scope that are about any of these names, the newest first.

        There are at most `MOST_NAMING` of them, since each is opened to be looked at.
        """
        ...

    async def blinder(self, scope: str) -> Callable[[str], str] | None:
        """Makes 64 hexadecimal digits of any text, always the same of the same text inside the scope.

        They are keyed by the scope's data key, so nobody can guess their way back to the text, and with that
        key they lose their meaning. None where that key is destroyed.
        """
        ...

    async def keep(
        self,
        pages: Sequence[tuple[HeldPage, Collection[str]]],
        search: SearchState,
        *,
        made_of: Collection[bytes],
    ) -> bool:
        """Hold pages, with the names in them, that were made of the held ones under the keys `made_of`.

        `search` is what they are continued by. False where none can be held, as one of those is no longer.
        """
        ...

    @property
    def round(self) -> int:
        """Grows whenever what is at hand is forgotten, since a page may be held no longer."""
        ...

    def remember(self, page: HeldPage, *, since: int) -> None:
        """Have the page, which is durable by now, at hand for the next `find`.

        `since` is the `round` before what it is made of was read; if that is over, nothing is remembered.
        """
        ...

    async def search(self, search_id: str, scope: str) -> SearchState | None:
        """What stands behind a search id of Bursar's own, also when that is over; None when it is unknown or another's."""
        ...


def is_reusable(endpoint: Endpoint, query: ResearchQuery) -> bool:
    """Whether the same question may be answered twice with the same records; a random sample may not."""
    # Quotes inside a JSON string are escaped, so this can only be a key.
    return endpoint.may_be_held and '"is_random":true' not in query.question


def page_of(
    success: Success,
    *,
    key: bytes,
    scope: str,
    endpoint: str,
    search_id: str | None,
    fetched_us: int,
    expires_us: int,
) -> HeldPage:
    """The page that a successful call brought, with `search_id` (Bursar's own) in place of the platform's."""
    data = success.data
    if search_id is not None and (success.search_id is not None or success.has_more):
        data = {**data, "search_id": search_id}
    return HeldPage(
        key=key,
        scope=scope,
        endpoint=endpoint,
        data=exact_json.dumps(data) if success.file is None else success.file,
        records=success.records,
        fetched_us=fetched_us,
        expires_us=expires_us,
    )


def search_behind(
    success: Success,
    *,
    known: SearchState | None,
    endpoint: Endpoint,
    query: ResearchQuery,
    scope: str,
    credential: str,
    now_us: int,
    expires_us: int,
) -> SearchState | None:
    """What a client's search id will stand for after this call; None for a search without one.

    A search keeps its id for the client even where the platform changes its own between pages. Where the id
    alone says which page is meant, each page has one of its own: under a shared one, a page that is held
    would be taken for the next.
    """
    is_place = endpoint.cursor is CursorKind.TOKEN
    upstream_id = success.search_id
    if upstream_id is None and is_place and success.has_more and known is not None:
        upstream_id = known.upstream_id
    if upstream_id is None:
        return None if is_place else known
    return SearchState(
        id=new_search_id() if known is None or is_place else known.id,
        scope=scope,
        credential=credential,
        question_digest=query.question_digest,
        upstream_id=upstream_id,
        began_us=now_us if known is None or known.upstream_id != upstream_id else known.began_us,
        expires_us=expires_us,
        seam=0 if known is None else known.seam,
        shift=0 if known is None else known.shift,
    )


def task_behind(
    success: Success, *, query: ResearchQuery, scope: str, credential: str, now_us: int
) -> SearchState | None:
    """Whose the task is that this call began: only the same scope may ask for it later."""
    if success.task_id is None:
        return None
    return SearchState(
        id=SearchId(success.task_id),
        scope=scope,
        credential=credential,
        question_digest=query.question_digest,
        upstream_id=success.task_id,
        began_us=now_us,
        expires_us=now_us + TASKS_LAST_S * 1_000_000,
    )
