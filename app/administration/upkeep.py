"""Looking after the log: erasing what a person asked, pruning what is old, and how old that is; each takes two people.

One person proposes, and another who administers or checks the log confirms, whatever two-person control says of
limits. Nothing here changes an entry: erasing destroys keys, pruning empties leaves whose hashes stay.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from app.administration.changes import Actor, Change, Erasure, Plan, Pruning
from app.administration.registry import Registry
from app.administration.second_person import CONFIRMED, OPEN, RULE, SUPERSEDED, whoever
from app.administration.state import Person, Proposal, State
from app.audit.entries import Value
from app.errors import Conflict, InvalidParams, NotFound, NotPermitted
from app.identity.roles import Act

ERASE: Final = "audit.erase"
PRUNE: Final = "audit.prune"
RETENTION: Final = "audit.retention"
UPKEEP: Final = (ERASE, PRUNE, RETENTION)
"""What proposals about the log call it."""
DEFAULT_MONTHS: Final = 12
LEAST_MONTHS: Final = 6
MOST_MONTHS: Final = 36


def retention_months(state: State) -> int:
    """How many months the content of entries is kept: what two people agreed on last."""
    agreed = [each for each in state.proposals if each.what == RETENTION and each.outcome == CONFIRMED]
    newest = max(agreed, key=lambda each: each.decided_us or 0, default=None)
    return DEFAULT_MONTHS if newest is None or newest.after is None else newest.after


def months_before(day: dt.date, months: int) -> dt.date:
    """The first day of the month that lies so many months before that of `day`."""
    count = day.year * 12 + day.month - 1 - months
    return dt.date(count // 12, count % 12 + 1, 1)


def anybody(state: State, email: str) -> Person:
    """Who has or had that address or id, since those who have left have questions in the log, too; raises NotFound."""
    wanted = email.strip().lower()
    person = next((each for each in state.people if wanted in {each.email, each.id}), None)
    if person is None:
        raise NotFound(f"There is no person {email!a}, and there was none.")
    return person


def require_month(month: str) -> None:
    """Raises InvalidParams for what is not written as 2026-05, such as 2026-5."""
    try:
        dt.date.fromisoformat(f"{month}-01")
    except ValueError:
        raise InvalidParams(f"{month!a} is no month such as 2026-05.", rule="request") from None


def pruning_day(state: State, before: dt.date | None) -> dt.date:
    """The day before which content would go, by default the latest that may be; raises InvalidParams for a later one."""
    latest = _latest(state)
    _check(before or latest, latest)
    return before or latest


def require_months(months: int) -> None:
    """Raises InvalidParams for a time for which content cannot be kept."""
    if not LEAST_MONTHS <= months <= MOST_MONTHS:
        raise InvalidParams(
            f"Entries are kept for {LEAST_MONTHS} to {MOST_MONTHS} months, not for {months}.", rule=RULE
        )


def waiting(state: State, what: str) -> list[Proposal]:
    """Proposals of that kind which nobody has decided on."""
    return [each for each in state.proposals if (each.what, each.outcome) == (what, OPEN)]


async def propose_erasure(
    registry: Registry, actor: Actor, *, email: str, month: str | None, new_id: Callable[[], str]
) -> Proposal:
    """Ask for a person's questions to be erased; raises NotFound and InvalidParams."""

    def details(state: State) -> tuple[int, int | None, Mapping[str, Any]]:
        person = anybody(state, email)
        if month is not None:
            require_month(month)
        return 0, None, {"person": person.id, "month": month}

    return await _propose(registry, actor, ERASE, details, new_id)


async def propose_pruning(
    registry: Registry, actor: Actor, *, before: dt.date | None, new_id: Callable[[], str]
) -> Proposal:
    """Ask for the content of entries before a day to be deleted, by default of those that are old enough.

    Raises InvalidParams for a day that is too late.
    """

    def details(state: State) -> tuple[int, int | None, Mapping[str, Any]]:
        return 0, None, {"before": pruning_day(state, before).isoformat()}

    return await _propose(registry, actor, PRUNE, details, new_id)


async def propose_retention(
    registry: Registry, actor: Actor, *, months: int, new_id: Callable[[], str]
) -> Proposal:
    """Ask for the content of entries to be kept for so many months; raises InvalidParams."""
    require_months(months)
    return await _propose(
        registry, actor, RETENTION, lambda state: (retention_months(state), months, {}), new_id
    )


def carried_out(state: State, actor: Actor, proposal: Proposal) -> Plan:
    """What confirming an open proposal about the log comes to.

    Raises NotPermitted for whoever may not look after it, InvalidParams where a day is too late by now.
    """
    actor.require(Act.KEEP_LOG)
    by = {
        "proposal": proposal.id,
        "proposed_by": proposal.proposed_by,
        "decided_by": whoever(actor),
    }
    done = replace(proposal, outcome=CONFIRMED, decided_by=whoever(actor), decided_us=state.now_us)
    plan = Plan(changes=(proposal_entry(done, CONFIRMED),), puts=(done,))
    if proposal.what == ERASE:
        erasure = Erasure(person=proposal.permission["person"], month=proposal.permission["month"], **by)
        return replace(plan, upkeep=erasure)
    if proposal.what == PRUNE:
        day = dt.date.fromisoformat(proposal.permission["before"])
        _check(day, _latest(state))
        moment = dt.datetime.combine(day, dt.time(), dt.UTC)
        return replace(plan, upkeep=Pruning(before_us=int(moment.timestamp()) * 1_000_000, **by))
    return plan


def about(state: State, proposal: Proposal) -> str | None:
    """What a proposal about the log is about, under names that people know; None for any other."""
    told = proposal.permission
    if proposal.what == ERASE:
        person = next((each.email for each in state.people if each.id == told["person"]), told["person"])
        return f"{person}, {told['month'] or 'all months'}"
    if proposal.what == PRUNE:
        return f"entries before {told['before']}"
    return "months of content" if proposal.what == RETENTION else None


def proposal_entry(proposal: Proposal, what: str) -> Change:
    """What happened to a proposal about the log, for people and for the log."""
    said: dict[str, Value] = {"what": proposal.what, **proposal.permission}
    if proposal.what == RETENTION:
        said |= {"before": proposal.before, "after": proposal.after}
    return Change(
        kind="proposal",
        object="log",
        object_id=proposal.id,
        what=what,
        after={"id": proposal.id, **said},
        logged={"after": said, "proposed_by": proposal.proposed_by},
    )


def require_two(state: State, plan: Plan) -> None:
    """Return if what the plan does to the log was proposed by somebody else; raises NotPermitted."""
    if plan.upkeep is None:
        return
    proposed = next((each for each in state.proposals if each.id == plan.upkeep.proposal), None)
    is_by_two = proposed is not None and proposed.outcome == OPEN
    if proposed is None or not is_by_two or proposed.proposed_by == plan.upkeep.decided_by:
        raise NotPermitted("Erasing and pruning take two people: one proposes, another confirms.", rule=RULE)


async def _propose(
    registry: Registry,
    actor: Actor,
    what: str,
    details: Callable[[State], tuple[int, int | None, Mapping[str, Any]]],
    new_id: Callable[[], str],
) -> Proposal:
    actor.require(Act.KEEP_LOG)

    def decide(state: State) -> tuple[Plan, Proposal]:
        before, after, told = details(state)
        if before == after:
            raise Conflict(f"That is how it is: {before} months.")
        open_ones = waiting(state, what)
        same = next(
            (each for each in open_ones if (each.after, dict(each.permission)) == (after, told)), None
        )
        if same is not None:
            return Plan(), same
        proposal = Proposal(
            id=new_id(),
            credential_id="",
            what=what,
            before=before,
            after=after,
            permission=told,
            proposed_by=whoever(actor),
            proposed_us=state.now_us,
            outcome=OPEN,
        )
        changes: list[Change] = []
        puts = [proposal]
        # Another period, or another day, takes the place of the one asked for before; people are each their own.
        for old in open_ones if what != ERASE else ():
            puts.append(replace(old, outcome=SUPERSEDED, decided_by=whoever(actor), decided_us=state.now_us))
            changes.append(proposal_entry(old, SUPERSEDED))
        changes.append(proposal_entry(proposal, "proposed"))
        return Plan(changes=changes, puts=tuple(puts), invalidates=False), proposal

    return await registry.change(actor, decide)


def _latest(state: State) -> dt.date:
    return months_before(state.now.date(), retention_months(state))


def _check(day: dt.date, latest: dt.date) -> None:
    if day > latest:
        raise InvalidParams(
            f"Entries from {latest} on are still to be kept; change that with `bursar audit retention`.",
            rule=RULE,
        )
