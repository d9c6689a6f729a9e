"""The laws of the ledger, on the smallest ledger that could be: rows in a dictionary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.quota.arithmetic import (
    Dimension,
    Exhausted,
    Granted,
    Limit,
    Scope,
    ScopeKind,
    Use,
    Want,
    Window,
    days_at,
    decide,
    use_at,
)

CREDENTIAL = Scope(ScopeKind.CREDENTIAL, "c")
PROJECTS = (Scope(ScopeKind.PROJECT, "p"), Scope(ScopeKind.PROJECT, "q"))
Bucket = tuple[Scope, Dimension]
MOMENTS = st.one_of(
    # Around the ends of a month and of February in a leap year, seconds apart; and hours apart.
    st.integers(-8, 8).map(lambda seconds: datetime(2028, 3, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
    st.integers(-8, 8).map(lambda seconds: datetime(2028, 2, 29, tzinfo=UTC) + timedelta(seconds=seconds)),
    st.integers(0, 96).map(lambda hours: datetime(2028, 2, 27, tzinfo=UTC) + timedelta(hours=hours)),
)


class LedgerLaws(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[Bucket, dict[date, Use]] = {}
        self.open: list[tuple[tuple[date, ...], list[Want]]] = []
        self.limits = [
            Limit(CREDENTIAL, Dimension.REQUESTS, Window.DAY, 6),
            Limit(CREDENTIAL, Dimension.RECORDS, Window.DAY, 50),
            Limit(CREDENTIAL, Dimension.RECORDS, Window.MONTH, 90),
            *(Limit(project, Dimension.REQUESTS, Window.DAY, 4) for project in PROJECTS),
            *(Limit(project, Dimension.REQUESTS, Window.MONTH, 7) for project in PROJECTS),
            *(Limit(project, Dimension.RECORDS, Window.PROJECT, 70) for project in PROJECTS),
        ]
        self.most_allowed = {limit: limit.amount for limit in self.limits}

    def add(self, bucket: Bucket, day: date, *, used: int = 0, reserved: int = 0) -> None:
        days = self.rows.setdefault(bucket, {})
        now = days.get(day, Use())
        days[day] = Use(now.used + used, now.reserved + reserved)

    @rule(now=MOMENTS, project=st.sampled_from(PROJECTS), records=st.integers(0, 40))
    def reserve(self, now: datetime, project: Scope, records: int) -> None:
        days = days_at(now)
        wants = [
            Want(scope, dimension, amount)
            for scope in (CREDENTIAL, project)
            for dimension, amount in ((Dimension.REQUESTS, 1), (Dimension.RECORDS, records))
        ]
        uses = {
            limit: use_at(limit.window, self.rows.get((limit.scope, limit.dimension), {}), days)
            for limit in self.limits
            if limit.window is not None
        }
        before = dict(uses)
        match decide(self.limits, uses, wants, days=days):
            case Granted():
                self.open.append((days, wants))
                for want in wants:
                    for day in days:
                        self.add((want.scope, want.dimension), day, reserved=want.amount)
            case Exhausted(limit=limit, wanted=wanted, left=left):
                assert left < wanted
                assert limit in self.limits
                assert uses == before

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        days, wants = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        share = data.draw(st.integers(0, 4))
        for want in wants:
            for day in days:
                bucket = want.scope, want.dimension
                self.add(bucket, day, used=want.amount * share // 4, reserved=-want.amount)

    @rule(data=st.data(), amount=st.integers(0, 100))
    def edit_a_limit(self, data: st.DataObject, amount: int) -> None:
        place = data.draw(st.integers(0, len(self.limits) - 1))
        before = {bucket: dict(days) for bucket, days in self.rows.items()}
        old = self.limits[place]
        self.limits[place] = replace(old, amount=amount)
        most = self.most_allowed.pop(old)
        self.most_allowed[self.limits[place]] = max(most, amount)
        assert self.rows == before

    @invariant()
    def no_window_ever_holds_more_than_its_limit_allowed(self) -> None:
        for limit, most in self.most_allowed.items():
            days = self.rows.get((limit.scope, limit.dimension), {})
            sums: dict[object, int] = {}
            for day, use in days.items():
                window = {Window.DAY: day, Window.MONTH: (day.year, day.month)}.get(
                    limit.window or Window.DAY
                )
                sums[window] = sums.get(window, 0) + use.used + use.reserved
            assert all(taken <= most for taken in sums.values())

    @invariant()
    def nothing_is_ever_negative_and_all_that_is_reserved_is_owned(self) -> None:
        reserved = sum(use.reserved for days in self.rows.values() for use in days.values())
        owned = sum(want.amount * len(days) for days, wants in self.open for want in wants)
        assert reserved == owned
        assert all(
            use.used >= 0 and use.reserved >= 0 for days in self.rows.values() for use in days.values()
        )


TestLedgerLaws = LedgerLaws.TestCase
TestLedgerLaws.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
