"""What one caller could take of each limit now, as the ledger would see it, without taking anything."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.administration.floors import floor_on, floors_beside, use_on
from app.administration.pricing import WindowPrice, total
from app.administration.registry import Registry
from app.administration.state import State
from app.provider.endpoint import Endpoint, QuotaFamily
from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Limit,
    Use,
    days_at,
    decide,
    kept_from,
    room,
)
from app.quota.forecast import Budget, Course, Load, course
from app.quota.limits import (
    DIMENSIONS,
    HeldTo,
    Owners,
    effective_limits,
    own_wants,
    owner_ids,
    raised_by,
    wants_of,
)
from app.quota.mirror import Closed, Mirror, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The limits of one caller, what counts against each today, and what floors of others keep of it."""

    today: dt.date
    uses: Mapping[Limit, Use]
    kept: Mapping[Limit, int]
    kept_tomorrow: Mapping[Limit, int]
    closed: Mirror | None
    """What the platform itself says of today, where it calls the day used up."""

    @property
    def own(self) -> tuple[Limit, ...]:
        """Those on what the platform does not count."""
        return tuple(each for each in self.uses if each.dimension in {Dimension.CALLS, Dimension.DELIVERED})

    def left(self) -> list[Budget]:
        """What could be taken of each limit, today and when its window begins anew."""
        return [
            Budget(
                limit=limit,
                left=room(limit, use, days=(self.today,), kept=self.kept[limit]).left,
                whole=max(0, limit.amount - self.kept_tomorrow[limit]),
            )
            for limit, use in self.uses.items()
        ]


async def budgets_of(registry: Registry, state: State, owners: Owners, family: QuotaFamily) -> Budgets:
    """The budgets of one caller; an owner whose id is empty has no limits of its own."""
    today = state.now.date()
    floors = floors_beside(state, owners["credential"], today)
    ids = {each for each in owner_ids(owners) if each} | {each.scope_id for each in floors}
    uses = await registry.uses(ids, since=today.replace(day=1))
    raised = raised_by(state.raises, now_us=state.now_us)
    budgets = [each for each in state.limits if not each.is_short]
    limits = [each for each in effective_limits(budgets, raised, **owners) if each.scope.id]
    now = [floor_on(today, owners["credential"], each, uses) for each in floors]
    untouched = [replace(each, use=Use()) for each in now]
    return Budgets(
        today=today,
        uses={limit: use_on(today, limit, uses) for limit in limits},
        kept={limit: kept_from(owners["project"], limit, now) for limit in limits},
        kept_tomorrow={limit: kept_from(owners["project"], limit, untouched) for limit in limits},
        closed=await _closed(registry, state, owners["credential"], family),
    )


async def _closed(registry: Registry, state: State, credential: str, family: QuotaFamily) -> Mirror | None:
    for of_credential, of_family, mirror in await registry.mirrors():
        if (of_credential, of_family) == (credential, family.value):
            seen = look(mirror, days=days_at(state.now), now=state.now)
            return seen.mirror if isinstance(seen, Closed) else None
    return None


def courses(
    endpoint: Endpoint, most_records: int, windows: Sequence[WindowPrice], budgets: Budgets
) -> tuple[Course, Course]:
    """Over how many days the likely and the high price go, each call with the records of an average one."""
    requests = total(each.price.requests for each in windows)
    records = total(each.price.records for each in windows)
    calls_of, records_of = DIMENSIONS[endpoint.family]

    def taking(calls: int, brought: int) -> Course:
        each = min(float(most_records), brought / max(1, calls))
        # Records are counted as fetched and as delivered, calls as upstream's and as the gateway's own.
        load = Load(
            calls=calls,
            each={calls_of: 1, Dimension.CALLS: 1, records_of: each, Dimension.DELIVERED: each},
            free={
                calls_of: 1,
                Dimension.CALLS: 1,
                records_of: most_records,
                Dimension.DELIVERED: most_records,
            },
        )
        return course(budgets.left(), load, today=budgets.today, is_closed_today=budgets.closed is not None)

    return taking(requests.likely, records.likely), taking(requests.high, records.high)


def exhausted_now(
    endpoint: Endpoint, most_records: int, owners: Owners, budgets: Budgets
) -> Exhausted | None:
    """The limit that has no room for one more call upstream; None where all have."""
    limits, days = list(budgets.uses), (budgets.today,)
    wants = (
        *wants_of(endpoint.family, requests=1, records=most_records, **owners),
        *own_wants(HeldTo(own_budgets=budgets.own), calls=1, delivered=most_records),
    )
    verdict = decide(limits, budgets.uses, wants, days=days, kept=budgets.kept)
    return verdict if isinstance(verdict, Exhausted) else None
