"""The decisions of the ledger, pure: what may be taken, when a window ends, what a caller is told.

Use is kept as one row for each scope, dimension and UTC day. A month or a lifetime is the sum of its days,
so no reset ever happens, and editing a limit's amount cannot touch what was used.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from math import ceil
from types import MappingProxyType
from typing import Final

MIDNIGHT_MARGIN: Final = timedelta(seconds=5)
"""A call sent this close to midnight UTC may count on either day upstream, so it counts on both here."""

LONGEST_RETRY_AFTER_S: Final = 300
"""At least one client sleeps for as long as it is told to, so hours are never said."""

_DAY_S: Final = 86_400
_LARGEST_FIELD_INTEGER: Final = 999_999_999_999_999  # RFC 9651, section 3.3.1


class Dimension(StrEnum):
    """What is counted; followers and following, and the ads library, have buckets of their own upstream."""

    REQUESTS = "requests"
    RECORDS = "records"
    FOLLOWER_CALLS = "follower_calls"
    FOLLOWER_RECORDS = "follower_records"
    AD_CALLS = "ad_calls"
    AD_RECORDS = "ad_records"
    DELIVERED = "delivered"
    CALLS = "calls"
    CONCURRENT = "concurrent"


class Window(StrEnum):
    """How long a limit counts: a rolling minute, a UTC day, a calendar month in UTC, or for ever."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"
    PROJECT = "project"


class ScopeKind(StrEnum):
    """Whose limit it is, from the widest to the narrowest; a member is one person in one project."""

    CREDENTIAL = "credential"
    PROJECT = "project"
    MEMBER = "member"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Scope:
    """One credential, project, member or key; `id` is that object's id."""

    kind: ScopeKind
    id: str


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` of the dimension in the window; `concurrent` counts what is running, without one."""

    scope: Scope
    dimension: Dimension
    window: Window | None
    amount: int


@dataclass(frozen=True, slots=True)
class Use:
    """What has been charged for good, and what is promised to calls that have not been settled."""

    used: int = 0
    reserved: int = 0

    @property
    def taken(self) -> int:
        """Both together: what nobody else can have."""
        return self.used + self.reserved


@dataclass(frozen=True, slots=True)
class Want:
    """What one call asks of every limit that its scope has on this dimension."""

    scope: Scope
    dimension: Dimension
    amount: int

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("A call cannot want less than nothing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one more call could take of a limit; never below 0, though a limit may be overdrawn."""

    limit: Limit
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Every want fits every limit: now take them all, before the lock is let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """Nothing was taken, because at least `limit` had too little.

    Of several that ran out it is the one that comes back last, since waiting for another is in vain.
    `others` are the remaining limits that the call touches, those that ran out as well included. `kept` is
    what the limit has beyond `left`, for the floors of other projects.
    """

    limit: Limit
    wanted: int
    left: int
    others: tuple[Room, ...]
    kept: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a limit is now, as people and headers are told; `resets_at` is None for a lifetime's limit."""

    limit: Limit
    used: int
    reserved: int
    left: int
    resets_at: datetime | None


def parse_limit_key(text: str) -> tuple[Dimension, Window | None]:
    """The dimension and window that a key of the state file names.

    Good: `requests/day`, `concurrent`. Bad: `requests`, `concurrent/day`, `request/daily`. Raises ValueError
    with a message that says what would be right.
    """
    name, slash, window_name = text.partition("/")
    dimensions = {dimension.value: dimension for dimension in Dimension}
    windows = {window.value: window for window in Window}
    if name not in dimensions:
        raise ValueError(f"{text!r} is no limit: what is counted must be one of {', '.join(dimensions)}.")
    if dimensions[name] is Dimension.CONCURRENT:
        if slash:
            raise ValueError(f"{text!r} is no limit: 'concurrent' stands alone, without a window.")
        return Dimension.CONCURRENT, None
    if window_name not in windows:
        raise ValueError(f"{text!r} is no limit: write {name}/ and then one of {', '.join(windows)}.")
    return dimensions[name], windows[window_name]


def days_at(now: datetime) -> tuple[date, ...]:
    """The UTC days that a call sent at `now` may count on upstream: two within 5 s of midnight, else one."""
    moment = _in_utc(now)
    # A microsecond more, so that the margin is closed on both sides of midnight.
    earliest = (moment - MIDNIGHT_MARGIN - timedelta(microseconds=1)).date()
    latest = (moment + MIDNIGHT_MARGIN).date()
    return (earliest,) if earliest == latest else (earliest, latest)


def counts_until(days: Sequence[date]) -> datetime:
    """The moment from which a call that is sent may count on a day beside `days`."""
    return _midnight(max(days) + timedelta(days=1)) - MIDNIGHT_MARGIN


def first_day(window: Window | None, now: datetime) -> date | None:
    """The first UTC day whose row belongs to the window at `now`; None: all rows do.

    Raises ValueError for windows that are not made of days.
    """
    return _first_day_of(window, _in_utc(now).date())


def resets_at(window: Window | None, now: datetime) -> datetime | None:
    """When what is taken at `now` has left the window, at the latest; None if time does not free it."""
    today = _in_utc(now).date()
    match window:
        case Window.MINUTE:
            return _in_utc(now) + timedelta(minutes=1)
        case Window.DAY:
            return _midnight(today + timedelta(days=1))
        case Window.MONTH:
            return _midnight(_next_month(today))
        case Window.PROJECT | None:
            return None


def use_at(window: Window, rows: Mapping[date, Use], days: Sequence[date]) -> Use:
    """What counts against a limit for a call on `days`, from the daily rows of its scope and dimension.

    Where the days fall in two windows, it is the fuller one: the call has to fit both.
    """
    sums = [_sum_of(window, rows, day) for day in days]
    return sums[0] if len(sums) == 1 else max(sums, key=lambda use: (use.taken, use.used))


def times_counted(window: Window | None, days: Sequence[date]) -> int:
    """How often one call on `days` counts in the window: twice at midnight, unless that ends the window.

    Each of the call's days gets a row of the full amount, so a sum over both holds it twice.
    """
    match window:
        case Window.MONTH:
            return max(Counter((day.year, day.month) for day in days).values())
        case Window.PROJECT:
            return len(days)
        case Window.MINUTE | Window.DAY | None:
            return 1


@dataclass(frozen=True, slots=True)
class Floor:
    """What a project may use of its credential's day whatever others do, and what it has used of it."""

    credential: str
    project: str
    dimension: Dimension
    amount: int
    use: Use

    @property
    def open(self) -> int:
        """What is still kept for it."""
        return max(0, self.amount - self.use.taken)


def kept_from(project: str, limit: Limit, floors: Iterable[Floor]) -> int:
    """How much of the limit a call of `project` must leave for the floors of others.

    Floors are shares of a credential's day; no other limit knows them.
    """
    if limit.scope.kind is not ScopeKind.CREDENTIAL or limit.window is not Window.DAY:
        return 0
    return sum(
        floor.open
        for floor in floors
        if floor.credential == limit.scope.id
        and floor.project != project
        and floor.dimension is limit.dimension
    )


_NOTHING_KEPT: Final[Mapping[Limit, int]] = MappingProxyType({})


def decide(
    limits: Sequence[Limit],
    uses: Mapping[Limit, Use],
    wants: Sequence[Want],
    *,
    days: Sequence[date],
    kept: Mapping[Limit, int] = _NOTHING_KEPT,
) -> Granted | Exhausted:
    """Whether all wants fit all limits of their scopes together, for a call that counts on `days`.

    `uses` has an entry for every limit that a want touches (a missing one is a KeyError: not knowing is not
    the same as unused), read under the lock that the taking will use; `use_at` defines it. Wants for the
    same scope and dimension add up. Those without a limit are free. The order of the limits does not matter.
    `kept` is what the call must leave of a limit (`kept_from`).
    """
    sums = _sums(wants)
    wanted = {limit: sums[slot] for limit in limits if (slot := (limit.scope, limit.dimension)) in sums}
    rooms = [room(limit, uses[limit], days=days, kept=kept.get(limit, 0)) for limit in wanted]
    short = [each.limit for each, amount in zip(rooms, wanted.values(), strict=True) if each.left < amount]
    if not short:
        return Granted()
    last = max(short, key=_by_return)
    rooms.sort(key=lambda each: _by_return(each.limit))
    return Exhausted(
        limit=last,
        wanted=wanted[last],
        left=next(each.left for each in rooms if each.limit == last),
        others=tuple(each for each in rooms if each.limit != last),
        kept=min(kept.get(last, 0), max(0, last.amount - uses[last].taken)),
    )


def room(limit: Limit, use: Use, *, days: Sequence[date], kept: int = 0) -> Room:
    """What one more call on `days` could take of the limit, leaving `kept` to others."""
    return Room(
        limit=limit, left=max(0, limit.amount - use.taken - kept) // times_counted(limit.window, days)
    )


def fetch_size(asked: int, rooms: Collection[Room], *, page_max: int = 100) -> int:
    """Records to fetch for a call that asked for `asked`: a full page if every limit has room for it.

    Never fewer than asked, which `decide` then refuses if it does not fit. `page_max` is the platform's
    largest page.
    """
    return max(asked, min([page_max, *(each.left for each in rooms)]))


def thresholds_crossed(
    limit: Limit, *, before: Use, after: Use, percents: Sequence[int] = (50, 80, 100)
) -> tuple[int, ...]:
    """The shares of the limit, in percent, that `after` has reached and `before` had not: warn once each."""
    marks = [(percent, percent * limit.amount) for percent in percents]
    return tuple(percent for percent, mark in marks if 100 * before.taken < mark <= 100 * after.taken)


def standing(limit: Limit, use: Use, now: datetime, *, kept: int = 0) -> Standing:
    """Where the limit is at `now`, given what counts against it and what others keep of it (`kept_from`)."""
    return Standing(
        limit=limit,
        used=use.used,
        reserved=use.reserved,
        left=max(0, limit.amount - use.taken - kept),
        resets_at=resets_at(limit.window, now),
    )


def limit_name(limit: Limit) -> str:
    """`project-requests-day`: what the limit is called in headers, without whose it is."""
    parts = [limit.scope.kind, limit.dimension, *([limit.window] if limit.window else [])]
    return "-".join(parts)


def ratelimit_headers(standings: Sequence[Standing], now: datetime) -> tuple[str, str]:
    """The values of `RateLimit-Policy` and `RateLimit`, one item a limit; two empty strings: send neither.

    Form: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4: q and r are amounts, w and t seconds;
    w is left out for lifetimes, and concurrency has the draft's own unit. Of limits with the same name the
    one with the least left is shown.
    """
    tightest: dict[str, Standing] = {}
    for each in sorted(standings, key=lambda found: (found.left, found.limit.amount)):
        tightest.setdefault(limit_name(each.limit), each)
    shown = sorted(tightest.items(), key=lambda item: _by_scope(item[1].limit))
    policies = [f'"{name}"{_policy_parameters(each.limit, now)}' for name, each in shown]
    states = [f'"{name}";r={_field_integer(each.left)}{_reset_parameter(each, now)}' for name, each in shown]
    return ", ".join(policies), ", ".join(states)


def retry_after_s(exhausted: Exhausted, now: datetime, *, frees_in_s: float | None = None) -> int:
    """Seconds to tell the caller to wait: at most 300 for budgets, 1 to 60 for short windows.

    `frees_in_s` is when the rolling minute next lets go of something, where the limiter knows it.
    """
    match exhausted.limit.window:
        case None:
            return 1
        case Window.MINUTE:
            return min(60, max(1, ceil(60 if frees_in_s is None else frees_in_s)))
        case Window.PROJECT:
            return LONGEST_RETRY_AFTER_S
        case Window.DAY | Window.MONTH as window:
            return min(LONGEST_RETRY_AFTER_S, max(1, ceil((_counts_anew(window, now) - now).total_seconds())))


def _counts_anew(window: Window, now: datetime) -> datetime:
    """The first moment at which a call counts in the next window alone, and no longer in the full one."""
    margin = MIDNIGHT_MARGIN + timedelta(microseconds=1)
    days = days_at(now)
    if len(days) > 1 and _first_day_of(window, days[0]) != _first_day_of(window, days[1]):
        return _midnight(days[1]) + margin
    ends = resets_at(window, now)
    return now if ends is None else ends + margin


def _sums(wants: Sequence[Want]) -> dict[tuple[Scope, Dimension], int]:
    sums: dict[tuple[Scope, Dimension], int] = {}
    for want in wants:
        key = want.scope, want.dimension
        sums[key] = sums.get(key, 0) + want.amount
    return sums


_UNUSED: Final = Use()
_WINDOW_ORDER: Final = {None: 0, Window.MINUTE: 1, Window.DAY: 2, Window.MONTH: 3, Window.PROJECT: 4}
_SCOPE_ORDER: Final = {kind: place for place, kind in enumerate(ScopeKind)}
_DIMENSION_ORDER: Final = {dimension: place for place, dimension in enumerate(Dimension)}


def _by_return(limit: Limit) -> tuple[object, ...]:
    """Sorts by when a limit comes back; ties go to the wider scope, then to the smaller amount."""
    scope = limit.scope
    wider_last = -_SCOPE_ORDER[scope.kind]
    return (
        _WINDOW_ORDER[limit.window],
        wider_last,
        -_DIMENSION_ORDER[limit.dimension],
        scope.id,
        -limit.amount,
    )


def _by_scope(limit: Limit) -> tuple[int, int, int]:
    return _SCOPE_ORDER[limit.scope.kind], _DIMENSION_ORDER[limit.dimension], _WINDOW_ORDER[limit.window]


def _policy_parameters(limit: Limit, now: datetime) -> str:
    quota = f";q={_field_integer(limit.amount)}"
    match limit.window:
        case None:
            return f'{quota};qu="concurrent-requests"'
        case Window.MINUTE:
            return f"{quota};w=60"
        case Window.DAY:
            return f"{quota};w={_DAY_S}"
        case Window.MONTH:
            start = _in_utc(now).date().replace(day=1)
            return f"{quota};w={(_next_month(start) - start).days * _DAY_S}"
        case Window.PROJECT:
            return quota


def _reset_parameter(each: Standing, now: datetime) -> str:
    if each.resets_at is None:
        return ""
    return f";t={max(0, ceil((each.resets_at - now).total_seconds()))}"


def _field_integer(amount: int) -> int:
    return max(0, min(amount, _LARGEST_FIELD_INTEGER))


def _first_day_of(window: Window | None, day: date) -> date | None:
    match window:
        case Window.DAY:
            return day
        case Window.MONTH:
            return day.replace(day=1)
        case Window.PROJECT:
            return None
        case Window.MINUTE | None:
            raise ValueError("A minute and a concurrency limit are not made of days.")


def _sum_of(window: Window, rows: Mapping[date, Use], day: date) -> Use:
    """What the rows hold of the window that `day` lies in."""
    if window is Window.DAY:
        return rows.get(day, _UNUSED)
    start = _first_day_of(window, day)
    end = None if start is None else _next_month(start)
    used = reserved = 0
    for row, use in rows.items():
        if start is None or end is None or start <= row < end:
            used += use.used
            reserved += use.reserved
    return Use(used, reserved)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:  # it would be taken for local time
        raise ValueError("A moment without a time zone is not accepted.")
    return moment.astimezone(UTC)
