"""What waits for a second administrator: confirmed by somebody else, or refused by anybody who may."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.administration.changes import Actor, Change, Dropped, Plan
from app.administration.difference import limit_change
from app.administration.facing import credential_face, differences
from app.administration.floors import after, check_floors
from app.administration.loosening import OF_RULES, about_rules, loosened, proposal_of_rules
from app.administration.registry import Registry
from app.administration.second_person import (
    CONFIRMED,
    OPEN,
    REFUSED,
    ROSTER,
    RULE,
    proposal_change,
    what_of,
    whoever,
)
from app.administration.state import Credential, Proposal, Record, State
from app.administration.upkeep import UPKEEP, about, carried_out, proposal_entry
from app.errors import Conflict, InvalidParams, NotFound, NotPermitted, Refusal
from app.identity.roles import Act
from app.quota.arithmetic import ScopeKind
from app.quota.limits import StoredLimit

MOST_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What came of confirming one of several proposals: it is confirmed, or why it is not."""

    id: str
    proposal: Proposal | None = None
    refusal: Refusal | None = None


async def confirm(registry: Registry, actor: Actor, *, proposal_id: str) -> Proposal:
    """Make a proposal true, as a second person.

    Raises NotFound, Conflict where it is decided or what it would raise has changed since, NotPermitted for
    whoever proposed it and whoever is no administrator.
    """

    def decide(state: State) -> tuple[Plan, Proposal]:
        proposal = _open(state, actor, proposal_id)
        if whoever(actor) == proposal.proposed_by:
            raise NotPermitted(
                "You proposed this yourself. Ask another administrator to confirm it.", rule=RULE
            )
        done = replace(proposal, outcome=CONFIRMED, decided_by=whoever(actor), decided_us=state.now_us)
        if proposal.what in UPKEEP:
            return carried_out(state, actor, proposal), done
        if proposal.what in OF_RULES:
            plan = loosened(state, proposal)
            changes = (*plan.changes, proposal_of_rules(done, CONFIRMED))
            return replace(plan, changes=changes, puts=(*plan.puts, done)), done
        credential = _credential(state, proposal)
        plan = (
            _roster(proposal, credential) if proposal.what == ROSTER else _limit(state, proposal, credential)
        )
        return Plan(
            changes=(*plan.changes, proposal_change(proposal, credential.name, CONFIRMED)),
            puts=(*plan.puts, done),
            dropped=plan.dropped,
        ), done

    return await registry.change(actor, decide)


async def confirm_each(
    registry: Registry, actor: Actor, *, proposal_ids: Sequence[str]
) -> Sequence[Confirmation]:
    """What came of each as `confirm` does it, in this order and each by itself: one that is refused stops no other.

    Raises InvalidParams for none and for too many.
    """
    wanted = list(dict.fromkeys(proposal_ids))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise InvalidParams(f"Name from 1 to {MOST_AT_ONCE} proposals.", rule="request")
    found = []
    for proposal_id in wanted:
        try:
            done = await confirm(registry, actor, proposal_id=proposal_id)
        except Refusal as error:
            found.append(Confirmation(id=proposal_id, refusal=error))
        else:
            found.append(Confirmation(id=proposal_id, proposal=done))
    return found


async def refuse(registry: Registry, actor: Actor, *, proposal_id: str) -> Proposal:
    """End a proposal without making it true; whoever made it may as well.

    Raises NotFound, Conflict where it is decided, NotPermitted.
    """

    def decide(state: State) -> tuple[Plan, Proposal]:
        proposal = _open(state, actor, proposal_id)
        done = replace(proposal, outcome=REFUSED, decided_by=whoever(actor), decided_us=state.now_us)
        if proposal.what in UPKEEP:
            return Plan(changes=(proposal_entry(proposal, REFUSED),), puts=(done,), invalidates=False), done
        if proposal.what in OF_RULES:
            entry = proposal_of_rules(proposal, REFUSED)
            return Plan(changes=(entry,), puts=(done,), invalidates=False), done
        change = proposal_change(proposal, _credential(state, proposal).name, REFUSED)
        return Plan(changes=(change,), puts=(done,)), done

    return await registry.change(actor, decide)


def shown_proposals(state: State, only: Sequence[Proposal] | None = None) -> list[dict[str, Any]]:
    """Every proposal, or these alone, under names that people know: the open ones first, then the newest."""
    names = {each.id: each.name for each in state.credentials}
    emails = {each.id: each.email for each in state.people}
    wanted = state.proposals if only is None else only
    return [
        {
            "id": each.id,
            "credential": names.get(each.credential_id, each.credential_id),
            "what": each.what,
            "about": about(state, each) or about_rules(each),
            "before": each.before,
            "after": each.after,
            "outcome": each.outcome,
            "proposed_by": _who(each.proposed_by, emails),
            "proposed_at": _moment(each.proposed_us),
            "decided_by": None if each.decided_by is None else _who(each.decided_by, emails),
            "decided_at": None if each.decided_us is None else _moment(each.decided_us),
        }
        for each in sorted(wanted, key=lambda one: (one.outcome != OPEN, -one.proposed_us, one.id))
    ]


def _moment(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(us / 1_000_000, dt.UTC)


def _who(by: str, emails: Mapping[str, str]) -> str:
    kind, _, principal = by.partition(":")
    return emails.get(principal, principal) if kind == "person" else principal


def _open(state: State, actor: Actor, proposal_id: str) -> Proposal:
    """The proposal, if it waits and the actor may decide on it."""
    proposal = next((each for each in state.proposals if each.id == proposal_id), None)
    if proposal is None:
        if not actor.may(Act.KEEP_LOG):
            actor.require(Act.DECIDE_PROPOSALS)
        raise NotFound(f"There is no proposal {proposal_id!a}; `bursar proposal list` shows all.")
    actor.require(Act.KEEP_LOG if proposal.what in UPKEEP else Act.DECIDE_PROPOSALS)
    if proposal.outcome != OPEN:
        raise Conflict(f"This proposal is {proposal.outcome} already.")
    return proposal


def _credential(state: State, proposal: Proposal) -> Credential:
    credential = next((each for each in state.credentials if each.id == proposal.credential_id), None)
    if credential is None or credential.retired_us is not None:
        raise Conflict("The credential of this proposal has been retired; refuse it.")
    return credential


def _roster(proposal: Proposal, credential: Credential) -> Plan:
    _require_as_before(proposal, credential.roster_limit)
    new = replace(credential, roster_limit=proposal.after or 0, permission=proposal.permission)
    changes = differences(
        "credential", credential.name, credential.id, credential_face(credential), credential_face(new)
    )
    return Plan(changes=[_confirmed(each, proposal) for each in changes], puts=(new,))


def _limit(state: State, proposal: Proposal, credential: Credential) -> Plan:
    old = next(
        (
            each
            for each in state.limits
            if (each.scope_kind, each.scope_id, what_of(each))
            == (ScopeKind.CREDENTIAL, credential.id, proposal.what)
        ),
        None,
    )
    if old is None:
        raise Conflict(f"There is no limit {proposal.what} any more. Refuse this proposal.")
    _require_as_before(proposal, old.amount)
    new: StoredLimit | None = None if proposal.after is None else replace(old, amount=proposal.after)
    puts: tuple[Record, ...] = () if new is None else (new,)
    dropped: tuple[Dropped, ...] = (old,) if new is None else ()
    check_floors(
        credentials=state.credentials,
        projects=state.projects,
        limits=after(state.limits, puts=puts, dropped=dropped),
    )
    change = limit_change(f"credential:{credential.name}", old, old.amount, proposal.after)
    return Plan(changes=(_confirmed(change, proposal),), puts=puts, dropped=dropped)


def _require_as_before(proposal: Proposal, current: int) -> None:
    if current != proposal.before:
        raise Conflict(
            f"{proposal.what} is {current} now, and was {proposal.before} when "
            "this was proposed. Refuse it, and propose again what you want."
        )


def _confirmed(change: Change, proposal: Proposal) -> Change:
    """The change with the proposal that asked for it, so that the log shows both people."""
    said = change.logged if change.logged is not None else {"before": change.before, "after": change.after}
    return replace(change, logged={**said, "proposal": proposal.id, "proposed_by": proposal.proposed_by})
