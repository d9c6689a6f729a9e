"""Today: how the platform's budget burns down, who spends it, what was refused, and whether all is well."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from app.administration.asking import RequestState, shown_requests
from app.administration.freezing import shown_freezes
from app.administration.usage import Usage, usage
from app.identity.roles import Act
from app.quota.arithmetic import Dimension, ScopeKind, Standing, Window
from app.quota.burning import Forecast, forecast
from app.storage.log import last_entry
from app.storage.spending import SLOT_S, DaySeen
from app.web.console.doors import Page, Turn
from app.web.console.meters import Meter, meters
from app.web.console.told import Names, why_refused
from app.web.health import not_ready, refused_in_part

ALL: Final = frozenset({Act.SEE_ALL})
_SOON_DAYS: Final = 60
_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 16, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One credential's day as a drawing: what is left over the hours, and how it goes on."""

    spent: str
    area: str
    ahead: str
    now_x: float
    hours: list[tuple[float, str]]
    amounts: list[tuple[float, str]]
    says: str
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = _HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Burning:
    """One credential's budget of requests today."""

    name: str
    meter: Meter
    forecast: Forecast
    chart: Chart


async def show_today(turn: Turn) -> Response:
    """The whole installation's day."""
    installation, registry = turn.desk.installation, turn.desk.registry
    state = await registry.state()
    now, today = state.now, state.now.date()
    midnight = dt.datetime.combine(today, dt.time(), dt.UTC)
    since_us = int(midnight.timestamp()) * 1_000_000
    day = await installation.database.read(lambda conn: turn.desk.days.read(conn, since_us=since_us))
    used = await usage(registry)
    names = Names(state)
    requests = shown_requests(state, state_is=RequestState.OPEN)
    return turn.render(
        "today.html",
        now=now,
        burning=_burning(used, day, state, midnight),
        projects=_by_project(used, day, names),
        saved=sum(day.reused.values()),
        refusals=[
            {"rule": rule, "code": code, "count": count, "why": why_refused(names, rule, code)}
            for (rule, code), count in Counter(day.refused).most_common(12)
        ],
        is_capped=day.is_capped,
        health=await _health(turn, now),
        requests=requests,
        freezes=shown_freezes(state),
        ending=[
            each
            for each in sorted(state.projects, key=lambda one: one.approved_until)
            if each.retired_us is None and each.approved_until <= today + dt.timedelta(days=_SOON_DAYS)
        ],
        today=today,
        platform=used.platform,
    )


def _burning(used: Usage, day: DaySeen, state: Any, midnight: dt.datetime) -> list[Burning]:
    ids = {each.name: each.id for each in state.credentials if each.retired_us is None}
    found = []
    for scope, standing in used.limits:
        if not _is_days_requests(standing, ScopeKind.CREDENTIAL):
            continue
        name = scope.partition(":")[2]
        spent = _moments(day, ids.get(name, ""))
        ahead = forecast(
            spent,
            used=standing.used + standing.reserved,
            amount=standing.limit.amount,
            midnight=midnight,
            now=state.now,
        )
        (meter,) = meters(Usage(day=used.day, limits=[(scope, standing)]))
        chart = draw(spent, standing, ahead, midnight=midnight, now=state.now)
        found.append(Burning(name=name, meter=meter, forecast=ahead, chart=chart))
    return found


def draw(
    spent: list[tuple[dt.datetime, int]],
    standing: Standing,
    ahead: Forecast,
    *,
    midnight: dt.datetime,
    now: dt.datetime,
) -> Chart:
    """What is left from midnight to now as a line of steps, and on to the day's end as a dashed one."""
    amount = max(1, standing.limit.amount)

    def x(at: dt.datetime) -> float:
        share = (at - midnight) / dt.timedelta(days=1)
        return round(_LEFT + min(max(share, 0), 1) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(left: int) -> float:
        return round(_TOP + (1 - min(max(left, 0), amount) / amount) * (_HEIGHT - _TOP - _BOTTOM), 1)

    left = amount
    points = [f"{x(midnight)},{y(left)}"]
    for at, count in spent:
        points.append(f"{x(min(at, now))},{y(left)}")
        left -= count
        points.append(f"{x(min(at, now))},{y(left)}")
    at_now = f"{x(now)},{y(standing.left)}"
    points += [f"{x(now)},{y(left)}", at_now]
    end = midnight + dt.timedelta(days=1)
    last = (
        f"{x(ahead.used_up_at)},{y(0)}" if ahead.used_up_at else f"{x(end)},{y(amount - ahead.by_midnight)}"
    )
    return Chart(
        spent=" ".join(points),
        area=f"{x(midnight)},{y(0)} {' '.join(points)} {x(now)},{y(0)}",
        ahead=f"{at_now} {last}",
        now_x=x(now),
        hours=[(x(midnight + dt.timedelta(hours=hour)), f"{hour:02}") for hour in range(0, 25, 6)],
        amounts=[(y(part), f"{part:,}") for part in (0, amount // 2, amount)],
        says=f"{standing.left:,} of {standing.limit.amount:,} requests are left at {now:%H:%M} UTC",
    )


def _moments(day: DaySeen, credential: str) -> list[tuple[dt.datetime, int]]:
    """What a credential spent, by the end of each quarter of an hour."""
    slots: Counter[int] = Counter()
    for each in day.spent:
        if each.credential == credential:
            slots[each.slot] += each.requests
    return [
        (dt.datetime.fromtimestamp((slot + 1) * SLOT_S, dt.UTC), count)
        for slot, count in sorted(slots.items())
    ]


def _by_project(used: Usage, day: DaySeen, names: Names) -> list[dict[str, Any]]:
    """Every project with spend or a limit today, the one that spent most first."""
    requests: Counter[str] = Counter()
    records: Counter[str] = Counter()
    for each in day.spent:
        requests[names.project(each.project)] += each.requests
        records[names.project(each.project)] += each.records
    saved = {names.project(project): count for project, count in day.reused.items()}
    limits = {
        scope.partition(":")[2]: standing
        for scope, standing in used.limits
        if _is_days_requests(standing, ScopeKind.PROJECT)
    }
    found = [
        {
            "name": name,
            "requests": requests[name],
            "records": records[name],
            "saved": saved.get(name, 0),
            "limit": limits.get(name),
        }
        for name in sorted({*requests, *saved, *limits} - {""})
    ]
    return sorted(found, key=lambda each: -int(each["requests"]))


def _is_days_requests(standing: Standing, kind: ScopeKind) -> bool:
    limit = standing.limit
    return (limit.scope.kind, limit.dimension, limit.window) == (kind, Dimension.REQUESTS, Window.DAY)


async def _health(turn: Turn, now: dt.datetime) -> list[tuple[str, str, str]]:
    """Parts with a state (good, warn, bad) and a sentence."""
    installation = turn.desk.installation
    is_stopping: bool = turn.request.app.state.is_stopping
    problems = await not_ready(installation, is_stopping=is_stopping)
    size, last_us = await installation.database.read(last_entry)
    age_s = max(0, int(now.timestamp() - last_us / 1_000_000))
    warnings = refused_in_part(installation)
    log = "; ".join([f"{size:,} entries, the newest {age_s} seconds old, signed", *warnings])
    outcomes = Counter[str]()
    for (_, outcome), count in installation.watched.outcomes.items():
        outcomes["good" if outcome.startswith("2") else "bad"] += count
    total = sum(outcomes.values())
    is_failing = total > 0 and outcomes["bad"] * 4 >= total
    upstream = f"{outcomes['good']:,} of {total:,} calls since this process began went well"
    redis = ("good", "answers")
    if installation.sharing.link is None:
        redis = ("good", "not used: one process keeps the short limits itself")
    elif installation.sharing.is_alone:
        redis = ("warn", "away: each process holds its share of the short limits; budgets are safe")
    return [
        (
            "Platform",
            "warn" if is_failing else "good",
            upstream if total else "not called since this process began",
        ),
        ("Database", "bad" if problems else "good", "; ".join(problems) or "answers"),
        ("Redis", *redis),
        ("Audit log", "bad" if problems else "warn" if warnings else "good", log),
    ]


PAGES: Final = (Page(method="GET", path="/today", answer=show_today, acts=ALL),)
