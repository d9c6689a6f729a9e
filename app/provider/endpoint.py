"""What an endpoint of the platform is: how it is asked, how it pages, what it answers and what it draws on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

BASIC_SCOPE = "research.data.basic"
"""Opens everything but the ads library (facts, section 1.5)."""

MOST_BODY_BYTES = 262_144
"""Bursar's own bound on a JSON body; the platform documents none."""


class CursorKind(StrEnum):
    """How an endpoint goes on to its next page."""

    NONE = "none"
    """One page, no way to go on."""
    INDEX = "index"
    """`cursor` counts records from 0 and advances by the page size, however many came back."""
    TIME = "time"
    """`cursor` is a moment, in seconds or milliseconds (the documents disagree): opaque, sent back as it came."""
    NUMBER = "page number"
    """`page_start` counts from 1; the answer says nothing of a next page, a short one is the last."""
    TOKEN = "search id"  # noqa: S105 - names a kind of cursor
    """`search_id` alone says where to go on, is opaque text and differs from page to page."""


class QuotaFamily(StrEnum):
    """Which of the platform's daily counters an endpoint draws on."""

    MAIN = "main"
    GRAPH = "graph"
    """Followers and following have their own (FAQ, 2026-09-01)."""
    ADS = "ads"
    """The ads library is a product and a scope of its own; its quota is undocumented."""


class BodyForm(StrEnum):
    """How a request's body is written."""

    JSON = "application/json"
    UPLOAD = "multipart/form-data"


class AnswerForm(StrEnum):
    """How an answer's body is written."""

    ENVELOPE = "application/json"
    FILE = "text/plain"
    """The records as lines of text, without an envelope; errors come in one all the same."""


class TaskUse(StrEnum):
    """What an endpoint has to do with the tasks of batch compliance."""

    NONE = "none"
    BEGINS = "begins one"
    NAMES = "names one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """How much an answer holds and how the next one is asked for, in the endpoint's own keys."""

    default: int
    """Records a page where the caller names no number; always sent, since the documents disagree."""
    most: int
    cursor: CursorKind = CursorKind.INDEX
    size_key: str = "max_count"

    @property
    def cursor_key(self) -> str | None:
        """The body key that says where to go on; None where none does, or the search id alone."""
        match self.cursor:
            case CursorKind.INDEX | CursorKind.TIME:
                return "cursor"
            case CursorKind.NUMBER:
                return "page_start"
            case CursorKind.NONE | CursorKind.TOKEN:
                return None
            case never:
                assert_never(never)

    @property
    def first(self) -> int:
        """The cursor of a first page."""
        return 1 if self.cursor is CursorKind.NUMBER else 0

    @property
    def answers_cursor(self) -> bool:
        """Whether an answer says where its next page starts."""
        return self.cursor in {CursorKind.INDEX, CursorKind.TIME}

    @property
    def answers_has_more(self) -> bool:
        """Whether an answer says that there is a next page."""
        return self.answers_cursor or self.cursor is CursorKind.TOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyKey:
    """One documented key of a request's body, beside paging and fields."""

    name: str
    kinds: tuple[str, ...]
    """JSON types that are understood, the documented one first."""
    about: str
    is_required: bool = True
    example: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """Where a question says which days it is about: paths of keys to the first and the last, both included."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    most_days_apart: int | None = None
    """How many days the last may be after the first; None where no bound is documented."""
    is_newest_first: bool = False
    """Whether an answer lists what is newest first, so that a part of it covers the end of the range."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One endpoint of the platform; a row is itself, so it compares and hashes by identity."""

    name: str
    """The path without `/v2/research/` and the last slash."""
    about: str
    keys: tuple[BodyKey, ...]
    normalise: Callable[[Mapping[str, object]], dict[str, object]]
    """The body without paging and fields -> the question; raises InvalidParams."""
    fields: frozenset[str] = frozenset()
    """Every name that `fields` may hold; empty where the endpoint takes none."""
    fields_in_body: bool = False
    """Whether the platform's samples name the fields in the body as well; then both are sent."""
    list_key: str | None = None
    """The key in `data` that holds the records; None where `data` is the one record."""
    list_alias: str | None = None
    """Another spelling of it in the platform's documents."""
    lists_ids: bool = False
    """Whether the records are bare ids rather than objects."""
    paging: Paging | None = None
    has_search_id: bool = False
    dates: DateRange | None = None
    """Where its question names days; None where it is not about days."""
    reach: int | None = None
    """Records of one question that can be walked to at most, where that is documented or was seen."""
    counted_by: tuple[str, str] | None = None
    """An endpoint that is asked with the same body, and its field that says how long this list is."""
    records_at_most: int = 1
    """Records that an answer without a page size can hold."""
    counts_records: bool = True
    """Whether what comes back counts as records."""
    family: QuotaFamily = QuotaFamily.MAIN
    scope: str = BASIC_SCOPE
    sends: BodyForm = BodyForm.JSON
    answers: AnswerForm = AnswerForm.ENVELOPE
    may_lack_error: bool = False
    """Whether the platform's samples show successes without the `error` object."""
    may_be_held: bool = True
    """Whether an answer may be kept and served again; not where asking was an act, or the answer tells of a moment."""
    task: TaskUse = TaskUse.NONE
    read_timeout_s: float = 60.0
    most_body_bytes: int = MOST_BODY_BYTES

    @property
    def path(self) -> str:
        """With the trailing slash."""
        return f"/v2/research/{self.name}/"

    @property
    def body_keys(self) -> frozenset[str]:
        """Names of the documented body keys beside paging."""
        return frozenset(key.name for key in self.keys)

    @property
    def cursor(self) -> CursorKind:
        """How it goes on to its next page."""
        return CursorKind.NONE if self.paging is None else self.paging.cursor

    def most_records(self, size: int | None) -> int:
        """The records that an answer to a page of `size` can cost."""
        if not self.counts_records:
            return 0
        return self.records_at_most if size is None else size
