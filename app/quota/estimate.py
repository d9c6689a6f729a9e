"""What a question will cost before it is asked, from what is known without spending: pure.

A price is a range: the low and the high are meant to hold in nine of ten cases for every basis but the
default. Positions are places in the list of hits: an index goes on by the page size, however many records
came back, so positions decide the requests and the share of them that brings a record decides the records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from app.provider.spans import INDEX_DELAY_S, Span
from app.quota.densities import Amount, by_days, by_density, stretch_of, stretches_of
from app.quota.tallies import Crawl, Tally

DEFAULT_FILL: Final = Amount(0.2, 0.4, 1.0)
"""Records a position where nothing is known: the facts plan 20 to 60 % (a recorded page of 100 had 27), and a
page can be full."""

DEFAULT_A_DAY: Final = Amount(0.0, 33.0, 3_333.0)
"""Positions a day where nothing is known; an assumption of Bursar's own. The likely price of a window of 30 days
is then 10 full pages, the high one the 1,000 that are all requests of a day."""

LONGEST_LIST: Final = 5_000
"""Positions of a list whose end is documented nowhere; an assumption of Bursar's own."""

FEWEST_FOR_HISTORY: Final = 4
"""Questions of a project that must have been asked before they say something about the next."""

_LOST_A_WEEK: Final = 0.06
"""Share of videos that vanish in a week, at most (facts, section 8.2: 3 to 6 %)."""
_SLACK: Final = 0.03
_PAGES_VARY: Final = 0.6
"""How much the share of records differs from page to page, as a part of what it would if positions were drawn all
or nothing; measured with the simulator's short pages."""


class Basis(StrEnum):
    """What a price rests on, from the surest to the least sure."""

    HELD = "held"
    ONE_CALL = "one call"
    SAME_QUESTION = "same question"
    PROFILE = "held profile"
    OTHER_DATES = "same conditions other dates"
    HISTORY = "project history"
    DEFAULT = "default"


class Confidence(StrEnum):
    """How sure a price is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Range:
    """A whole number that is not known exactly."""

    low: int
    likely: int
    high: int

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)


FREE: Final = Range(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The pages of a question that are held, from the first on without a gap."""

    pages: int = 0
    positions: int = 0
    records: int = 0
    is_complete: bool = False
    oldest_s: int | None = None
    at_us: int = 0
    """When the last of them was fetched."""
    until_us: int | None = None
    """When the first of them may no longer be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as its price depends on it."""

    span: Span | None
    size: int | None
    """Records a page; None for what a single call answers."""
    most_records: int
    """What a single call can bring."""
    reach: int | None
    """Positions that can be walked to at most, where that is known."""
    expected: int | None = None
    """How many there are, where a held profile says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known about a question: held pages, and tallies of itself, of its kin and of the whole scope."""

    held: Held
    same: Tally | None
    kin: Sequence[Tally]
    history: Sequence[Tally]
    now_us: int

    @property
    def now_s(self) -> float:
        """Unix seconds."""
        return self.now_us / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What is still to be bought, what is held already, and what that rests on."""

    requests: Range
    records: Range
    held: Held
    basis: Basis

    @property
    def confidence(self) -> Confidence:
        """How sure it is: by its basis, and by how far apart low and high are."""
        return confidence_of(self.basis, self.requests)


def price(asked: Asked, known: Known) -> Price:
    """The price of one question, which is within the platform's bounds."""
    held = known.held
    if held.is_complete:
        return Price(requests=FREE, records=FREE, held=held, basis=Basis.HELD)
    if asked.size is None:
        records = Range(0, asked.most_records, asked.most_records)
        return Price(requests=Range(1, 1, 1), records=records, held=held, basis=Basis.ONE_CALL)
    if asked.span is not None and asked.span.seconds[0] >= known.now_s:
        # None of its days has come, so there is nothing to find, and one call to hear so.
        return Price(requests=Range(1, 1, 1), records=FREE, held=held, basis=Basis.ONE_CALL)
    positions, basis = _positions(asked, known, asked.size)
    if asked.reach is not None:
        positions = positions.at_most(asked.reach)
    requests = _requests(positions, asked.size, known)
    records = _records(positions, asked.size, requests, known)
    return Price(requests=requests, records=records, held=held, basis=basis)


def confidence_of(basis: Basis, requests: Range) -> Confidence:
    """How sure a price with this basis and this range is."""
    match basis:
        case Basis.HELD | Basis.ONE_CALL:
            return Confidence.HIGH
        case Basis.SAME_QUESTION | Basis.PROFILE | Basis.OTHER_DATES:
            if requests.high <= 1.3 * requests.low + 1:
                return Confidence.HIGH
            return Confidence.MEDIUM if requests.high <= 3 * requests.low + 2 else Confidence.LOW
        case Basis.HISTORY | Basis.DEFAULT:
            return Confidence.LOW


def because(basis: Basis, confidence: Confidence) -> str:
    """Why the price is as sure as it says, and what would make it surer."""
    match basis:
        case Basis.HELD:
            return "Everything is held and may be served again, so nothing has to be bought."
        case Basis.ONE_CALL:
            return "A single call answers this."
        case Basis.SAME_QUESTION:
            why = "This question was asked before, and how much it brought was counted."
        case Basis.PROFILE:
            why = "A held profile says how long this list is; who is private is counted there and not listed."
        case Basis.OTHER_DATES:
            why = "The same conditions were asked about other days; these days are taken to bring as much a day."
        case Basis.HISTORY:
            return (
                "Nothing like this was asked before; the range is that of your project's other questions. Fetch "
                "the first page, which costs one request, and ask again."
            )
        case Basis.DEFAULT:
            return (
                "Nothing is known about this, so the figures are a plan rather than a forecast, and may be wrong "
                "by any factor. Fetch the first page, which costs one request, and ask again."
            )
    return why if confidence is Confidence.HIGH else f"{why} The more of it is fetched, the surer this gets."


def _positions(asked: Asked, known: Known, size: int) -> tuple[Amount, Basis]:
    """How many positions the whole question has, those that are held included."""
    same = known.same
    if same is not None and same.whole is not None:
        return _as_before(asked.span, same.whole, known), Basis.SAME_QUESTION
    found = _by_what_came(asked, known) if asked.span is not None else _of_list(asked, known)
    if found is not None:
        amount, basis = found
        least = max(known.held.positions, 0 if same is None or same.last is None else same.last.positions)
        # It goes on, so there is at least one more.
        return (amount.at_least(least + 1) if least else amount), basis
    if asked.span is not None:
        days = asked.span.days_by(known.now_s)
        return DEFAULT_A_DAY.times(days), Basis.DEFAULT
    return Amount(0.0, 2.0 * size, float(asked.reach or LONGEST_LIST)), Basis.DEFAULT


def _as_before(span: Span | None, whole: Crawl, known: Known) -> Amount:
    """The same question again: what it brought, less what has vanished, more what came since."""
    at_s, now_s = whole.at_us / 1_000_000, known.now_s
    weeks = min(26.0, max(0.0, now_s - at_s) / (7 * 86_400))
    found = float(whole.positions)
    low = found * (1 - _LOST_A_WEEK) ** weeks * (1 - _SLACK)
    likely = found * (1 - _LOST_A_WEEK / 4) ** weeks
    most = found + _hidden_on_last_page(whole, known)
    if span is None:
        return Amount(low, likely, most * (1 + _SLACK))
    settled_days = span.days_by(at_s - INDEX_DELAY_S)
    came_later = span.days_by(now_s) - settled_days
    a_day = (found + 1) / max(1.0, settled_days)
    return Amount(low, likely + a_day * came_later / 2, (most + a_day * came_later * 3) * (1 + _SLACK))


def _hidden_on_last_page(whole: Crawl, known: Known) -> float:
    """Positions without a record that the last page may have had; every other page counts by its positions."""
    if whole.size is None:
        return 0.0
    # One page may well be emptier than pages are on average.
    least = 1.0 if (share := _first_share(known)) == 1 else 0.6 * (share or 0.0)
    records = whole.positions - (whole.pages - 1) * whole.size
    return min(float(whole.size), records / max(least, DEFAULT_FILL.low)) - records


def _by_what_came(asked: Asked, known: Known) -> tuple[Amount, Basis] | None:
    """By how much a day the same conditions brought, or else other questions of the project."""
    span = asked.span
    if span is None:
        return None
    own, held = stretches_of(known.same, span), known.held
    if held.oldest_s is not None:
        own += stretch_of(span, held.positions, since_s=held.oldest_s, at_s=held.at_us / 1_000_000)
    others = [
        stretch
        for tally in known.kin
        if known.same is None or tally.topic.question != known.same.topic.question
        for stretch in stretches_of(tally, tally.topic.span)
    ]
    if own or others:
        basis = Basis.SAME_QUESTION if own else Basis.OTHER_DATES
        return by_days(span, [*own, *others], known.now_s), basis
    seen = [stretch for tally in known.history for stretch in stretches_of(tally, tally.topic.span)[:1]]
    if len(seen) < FEWEST_FOR_HISTORY:
        return None
    return by_density([each.density for each in seen]).times(span.days_by(known.now_s)), Basis.HISTORY


def _of_list(asked: Asked, known: Known) -> tuple[Amount, Basis] | None:
    """By how long a list is that is not about days: what a profile says of it, or other lists of the project."""
    most = float(asked.reach or LONGEST_LIST)
    is_begun = known.same is not None and known.same.last is not None
    if asked.expected is not None:
        # Private accounts are left out of lists, and counted in profiles (facts, section 2.8).
        expected = float(asked.expected)
        return Amount(expected * 0.5, expected * 0.95, expected * 1.05 + 1), Basis.PROFILE
    lengths = [float(each.whole.positions) for each in known.history if each.whole is not None]
    if len(lengths) >= FEWEST_FOR_HISTORY:
        amount = by_density(lengths)
        return (Amount(amount.low, amount.likely, most) if is_begun else amount), Basis.HISTORY
    if known.same is not None and known.same.last is not None:
        begun = float(known.same.last.positions)
        return Amount(begun + 1, begun * 2, max(most, begun * 3)), Basis.SAME_QUESTION
    return None


def _requests(positions: Amount, size: int, known: Known) -> Range:
    """Pages that are still to be fetched, and calls that fail on the way as often as they did before."""
    pages = [max(1, max(1, ceil(each / size - 1e-9)) - known.held.pages) for each in positions]
    calls = sum(tally.calls for tally in known.history)
    answers = sum(tally.answers for tally in known.history)
    # Ten calls that went well are added, so that one failure among few says little.
    failing = max(0.0, (calls - answers) / (calls + 10))
    low, likely, high = pages
    if failing == 0:
        return Range(low, likely, high)
    more = high / (1 - failing)
    return Range(low, round(likely / (1 - failing)), ceil(more + 2 * (more * failing) ** 0.5))


def _records(positions: Amount, size: int, requests: Range, known: Known) -> Range:
    """Records that the positions still to be fetched will bring."""
    whole = None if known.same is None else known.same.whole
    if whole is not None:
        low, likely, high = _records_as_before(positions, whole, known)
    else:
        fill = _fill(known, requests)
        low, likely, high = (each * share for each, share in zip(_open(positions, known), fill, strict=True))
    return Range(
        max(0, int(low)),
        min(max(0, round(likely)), requests.likely * size),
        min(max(0, ceil(high)), requests.high * size),
    )


def _records_as_before(positions: Amount, whole: Crawl, known: Known) -> Amount:
    """As many as the same question brought, if pages come short as they do in this project."""
    share = _first_share(known)
    apart = 0.5 if share is None else 2 * _PAGES_VARY * ((1 - share) / share * 2 / whole.pages) ** 0.5
    found, before = float(whole.positions), float(whole.records)
    low, likely, high = (before * each / max(1.0, found) - known.held.records for each in positions)
    return Amount(low - before * apart - 2, likely, high + before * apart + 2)


def _fill(known: Known, requests: Range) -> Amount:
    """The share of positions that bring a record: of this question, else of its kin, else of the scope."""
    for group in _groups(known):
        found = _share(group)
        if found is not None:
            share, pages = found
            # Whole pages come short together, so what varies is pages rather than positions.
            varies = 2 * _PAGES_VARY * (share * (1 - share)) ** 0.5
            spread = varies * (pages**-0.5 + max(1, requests.low) ** -0.5)
            return Amount(max(0.0, share - spread), share, min(1.0, share + spread))
    return DEFAULT_FILL


def _first_share(known: Known) -> float | None:
    found = (_share(group) for group in _groups(known))
    return next((each[0] for each in found if each is not None), None)


def _groups(known: Known) -> tuple[Sequence[Tally], ...]:
    return ([] if known.same is None else [known.same], known.kin, known.history)


def _share(group: Sequence[Tally]) -> tuple[float, int] | None:
    """The share of positions that brought a record, and on how many pages; a last page says nothing of it."""
    pages = positions = records = 0
    for tally in group:
        crawl = tally.last or tally.whole
        if crawl is None or crawl.size is None:
            continue
        full_pages = crawl.pages - 1 if crawl.is_whole else crawl.pages
        on_last_page = crawl.positions - full_pages * crawl.size if crawl.is_whole else 0
        pages += full_pages
        positions += full_pages * crawl.size
        records += crawl.records - on_last_page
    return (min(1.0, max(0.01, records / positions)), pages) if positions else None


def _open(positions: Amount, known: Known) -> Amount:
    """The positions that are still to be fetched."""
    low, likely, high = (max(0.0, each - known.held.positions) for each in positions)
    return Amount(low, likely, high)
