"""Notices and their deliveries as rows: written beside what happened, worked off by whoever sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.administration.notices import GIVE_UP_AFTER, Kind, Notice, Undelivered, wait_s
from app.storage.ledger import Crossing
from app.storage.tables import DeliveryRow, NoticeRow, table

SENT: Final = "sent"
GAVE_UP: Final = "gave_up"
FAILED: Final = "failed"
OUTCOMES: Final = (SENT, FAILED, GAVE_UP)

_notice, _delivery = table(NoticeRow), table(DeliveryRow)
_GIVE_UP_US: Final = int(GIVE_UP_AFTER.total_seconds()) * 1_000_000
_NEVER_US: Final = 2**62
"""Where what is over stands in the index, so that looking for what is due does not read all that ever was."""
_MOST_REASON_CHARS: Final = 200
_DAY_US: Final = 86_400_000_000
_SHOWN_FOR_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A delivery whose time has come, with its notice."""

    notice: str
    channel: str
    target: str
    tries: int
    kind: str
    about: Mapping[str, Any]
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A channel on which notices do not arrive: how many wait, how many were given up, and why at the last try."""

    channel: str
    waiting: int
    given_up: int
    reason: str


def threshold(crossing: Crossing) -> Notice:
    """So much of a limit is taken; told once in each window, whatever the amount becomes."""
    limit = crossing.limit
    window = limit.window.value if limit.window else ""
    parts = (limit.scope.kind, limit.scope.id, limit.dimension, window, crossing.since, str(crossing.percent))
    return Notice(
        id="threshold:" + ":".join(parts),
        kind=Kind.THRESHOLD,
        about={
            "scope": {"kind": limit.scope.kind.value, "id": limit.scope.id},
            "dimension": limit.dimension.value,
            "window": window,
            "since": crossing.since,
            "percent": crossing.percent,
            "amount": limit.amount,
            "taken": crossing.taken,
        },
    )


def tell(conn: Connection, dialect: str, notices: Sequence[Notice], *, now_us: int) -> None:
    """Note what is to be told, except what has been noted before."""
    if not notices:
        return
    rows = [
        {
            "id": each.id,
            "kind": each.kind.value,
            "created_us": now_us,
            "about": dict(each.about),
            "taken_up_us": None,
        }
        for each in notices
    ]
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(_notice)
    conn.execute(insert.on_conflict_do_nothing(index_elements=["id"]), rows)


def has_work(conn: Connection, now_us: int) -> bool:
    """Whether a notice has not been taken up, or a delivery is due."""
    new = sa.select(sa.literal(1)).where(_notice.c.taken_up_us.is_(None)).limit(1)
    due = sa.select(sa.literal(1)).where(_is_due(now_us)).limit(1)
    return conn.execute(new).first() is not None or conn.execute(due).first() is not None


def take_up(
    conn: Connection,
    dialect: str,
    decide: Callable[[Due], Sequence[tuple[str, str]]],
    *,
    now_us: int,
    most: int,
) -> int:
    """How many notices were taken up: `decide` says on which channels, and to whom, each is to be delivered."""
    new = (
        sa.select(_notice).where(_notice.c.taken_up_us.is_(None)).order_by(_notice.c.created_us, _notice.c.id)
    )
    found = conn.execute(new.limit(most)).all()
    for row in found:
        notice = Due(
            notice=row.id,
            channel="",
            target="",
            tries=0,
            kind=row.kind,
            about=row.about,
            created_us=row.created_us,
        )
        rows = [
            {"notice_id": row.id, "channel": channel, "target": target, "tries": 0, "next_us": now_us}
            for channel, target in decide(notice)
        ]
        if rows:
            insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(_delivery)
            conn.execute(insert.on_conflict_do_nothing(), rows)
        conn.execute(sa.update(_notice).where(_notice.c.id == row.id).values(taken_up_us=now_us))
    return len(found)


def due(conn: Connection, channel: str, *, now_us: int, most: int) -> list[Due]:
    """Deliveries on one channel whose time has come, the longest waiting first."""
    asked = (
        sa.select(_delivery, _notice.c.kind, _notice.c.about, _notice.c.created_us)
        .join(_notice, _notice.c.id == _delivery.c.notice_id)
        .where(_delivery.c.channel == channel, _is_due(now_us))
        .order_by(_delivery.c.next_us, _notice.c.created_us, _delivery.c.notice_id, _delivery.c.target)
        .limit(most)
    )
    return [
        Due(
            notice=row.notice_id,
            channel=row.channel,
            target=row.target,
            tries=row.tries,
            kind=row.kind,
            about=row.about,
            created_us=row.created_us,
        )
        for row in conn.execute(asked)
    ]


def settle(conn: Connection, each: Due, failure: Undelivered | None, *, now_us: int) -> str:
    """Record how a try ended, and when the next one is due; `sent`, `failed` or `gave_up`."""
    tries = each.tries + 1
    values: dict[str, object] = {"tries": tries}
    if failure is None:
        outcome = SENT
        values |= {"done_us": now_us, "outcome": SENT, "next_us": _NEVER_US}
    else:
        next_us = now_us + wait_s(tries, asked_s=failure.retry_after_s) * 1_000_000
        is_over = failure.is_final or next_us > each.created_us + _GIVE_UP_US
        outcome = GAVE_UP if is_over else FAILED
        values |= {"outcome": failure.reason[:_MOST_REASON_CHARS], "next_us": next_us}
        if is_over:
            values |= {"done_us": now_us, "next_us": _NEVER_US}
    conn.execute(
        sa.update(_delivery)
        .where(
            _delivery.c.notice_id == each.notice,
            _delivery.c.channel == each.channel,
            _delivery.c.target == each.target,
        )
        .values(**values)
    )
    return outcome


def untold(conn: Connection, now_us: int) -> list[Untold]:
    """Channels with deliveries that have failed so far, or were given up within a week."""
    failed = (
        sa.select(_delivery.c.channel, _delivery.c.done_us, _delivery.c.outcome)
        .where(
            _delivery.c.tries > 0,
            _delivery.c.outcome != SENT,
            sa.or_(_delivery.c.done_us.is_(None), _delivery.c.done_us > now_us - _SHOWN_FOR_DAYS * _DAY_US),
        )
        .order_by(_delivery.c.next_us)
    )
    found: dict[str, Untold] = {}
    for channel, done_us, reason in conn.execute(failed):
        old = found.get(channel, Untold(channel=channel, waiting=0, given_up=0, reason=""))
        found[channel] = Untold(
            channel=channel,
            waiting=old.waiting + (done_us is None),
            given_up=old.given_up + (done_us is not None),
            reason=reason,
        )
    return [found[name] for name in sorted(found)]


def _is_due(now_us: int) -> sa.ColumnElement[bool]:
    return sa.and_(_delivery.c.done_us.is_(None), _delivery.c.next_us <= now_us)
