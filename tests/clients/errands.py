"""What clients are sent for: one thing to ask about, for every endpoint."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A video query: videos of these countries with this hashtag, from one day to another (`YYYYMMDD`)."""

    regions: tuple[str, ...]
    hashtag: str
    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Everything there is on `subject`, in pages of `page`; subjects are a search, a handle or an id.

    With `search_id`, a search goes on from its second page, as after a crash.
    """

    endpoint: str
    subject: Search | str | int
    page: int = 100
    search_id: str | None = None

    @property
    def search(self) -> Search:
        assert isinstance(self.subject, Search)
        return self.subject

    @property
    def handle(self) -> str:
        assert isinstance(self.subject, str)
        return self.subject

    @property
    def number(self) -> int:
        assert isinstance(self.subject, int)
        return self.subject


ELECTION = Search(regions=("DE", "FR"), hashtag="election", start="20261001", end="20261014")
"""A search with several pages of hits in the simulator's data, in one window of at most 30 days."""
