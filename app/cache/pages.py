"""Held pages, and whether one may be served."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPage:
    """An answer's `data` as JSON bytes, with Bursar's own search id inside where it has one.

    `fetched_us` is when it left the platform; it may be served until `expires_us`.
    """

    key: bytes
    scope: str
    endpoint: str
    data: bytes
    records: int
    fetched_us: int
    expires_us: int

    def age_s(self, now_us: int) -> int:
        """Whole seconds since the data left the platform (RFC 9111, section 5.1)."""
        return max(0, (now_us - self.fetched_us) // 1_000_000)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The page may be served."""

    page: HeldPage


@dataclass(frozen=True, slots=True)
class Stale:
    """The page is held, but its time is over."""

    page: HeldPage


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing is held."""


def may_serve(page: HeldPage | None, *, now_us: int) -> Fresh | Stale | Missing:
    """Whether a page found under a request's key answers it."""
    if page is None:
        return Missing()
    return Fresh(page) if now_us < page.expires_us else Stale(page)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """A search id of Bursar's own and what stands behind it, kept with the outcome that brought it."""

    id: str
    scope: str
    credential: str
    question_digest: bytes
    upstream_id: str
    expires_us: int


class Pages(Protocol):
    """Held pages and searches, sealed wherever they are durable. Raises StoreUnavailable."""

    async def find(self, key: bytes, scope: str) -> HeldPage | None:
        """The page under that key; one of another scope, or one whose seal is broken, counts as absent."""
        ...

    async def seal(self, page: HeldPage) -> Holding:
        """The page in the form in which the books keep it."""
        ...

    def remember(self, page: HeldPage) -> None:
        """Have the page, which is durable by now, at hand for the next `find`."""
        ...

    async def search(self, search_id: str, scope: str) -> SearchState | None:
        """What stands behind a search id of Bursar's own; None when it is unknown, over or another's."""
        ...
