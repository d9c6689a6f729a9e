"""Two-person control: what weakens a rule of the terms waits until a second administrator confirms.

A rule that refuses less than before, and a number that asks less: a longer interval before held data goes, a longer
period, a shorter notice. Tightening needs nobody. Of a number that would become weaker on any day from today on, all that
the plan states or drops waits, each as a proposal.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.administration.changes import Actor, Change, Plan
from app.administration.second_person import (
    CONFIRMED,
    OPEN,
    RULE,
    HeldBack,
    once,
    proposed_instead,
    whoever,
)
from app.administration.state import Proposal, RuleMode, State, StatedValue
from app.audit.entries import Value
from app.errors import Conflict, NotPermitted
from app.policy.engine import Mode, mode_of
from app.policy.values import VALUES

MODE: Final = "rule.mode"
VALUE: Final = "rule.value"
OF_RULES: Final = (MODE, VALUE)
"""What proposals about the terms call it."""
_MODES: Final = (Mode.ENFORCE, Mode.WARN, Mode.SHADOW)
"""Each weaker than the one before; a proposal has their places as its amounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesSet:
    """What setting a mode or a value came to: true where anything changed; `waiting` is for a second person to confirm."""

    has_changed: bool
    waiting: Sequence[Proposal] = ()

    def __bool__(self) -> bool:
        return self.has_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """That a plan would weaken something; `told` says of what, and `after` is None where a stated amount would go."""

    what: str
    before: int
    after: int | None
    told: Mapping[str, Any]


def hold_back_rules(state: State, plan: Plan, actor: Actor, *, new_id: Callable[[], str]) -> HeldBack:
    """The plan without what weakens a rule of the terms, and proposals in its place."""
    loosenings = list(loosenings_of(state, plan))
    if not loosenings:
        return HeldBack(plan=plan)
    return proposed_instead(
        state,
        _without(plan, loosenings),
        actor,
        [_proposed(state, each, actor, new_id) for each in loosenings],
        told=proposal_of_rules,
    )


def require_second_for_rules(state: State, plan: Plan) -> None:
    """Return if whatever of the terms the plan weakens has been confirmed by somebody else; raises NotPermitted."""
    confirmed = [
        (each.what, each.after, dict(each.permission))
        for each in plan.puts
        if isinstance(each, Proposal) and each.outcome == CONFIRMED and each.decided_by != each.proposed_by
    ]
    for each in loosenings_of(state, plan):
        if (each.what, each.after, dict(each.told)) not in confirmed:
            raise NotPermitted(
                "Weakening a rule of the terms takes a second administrator. Propose it with `bursar rule set`, "
                "`bursar rule value` or `bursar apply`.",
                rule=RULE,
            )


def loosenings_of(state: State, plan: Plan) -> Iterator[Loosening]:
    """What of the terms a plan would weaken."""
    for put in plan.puts:
        if isinstance(put, RuleMode):
            before, after = _place(mode_of(put.rule, state.policy)), _place(Mode(put.mode))
            if after > before:
                yield Loosening(what=MODE, before=before, after=after, told={"rule": put.rule})
    stated = [each for each in plan.puts if isinstance(each, StatedValue)]
    dropped = [each for each in plan.dropped if isinstance(each, StatedValue)]
    for name in dict.fromkeys(each.name for each in (*stated, *dropped)):
        if name not in VALUES or not _is_weaker(state, name, stated, dropped):
            continue
        for each in stated:
            if each.name == name:
                yield _of_value(state, each, each.amount)
        for each in dropped:
            if each.name == name:
                yield _of_value(state, each, None)


def loosened(state: State, proposal: Proposal) -> Plan:
    """What confirming an open proposal about the terms comes to; raises Conflict where that is another by now."""
    told = proposal.permission
    if proposal.what == MODE:
        rule, mode = told["rule"], _MODES[proposal.after or 0]
        before = mode_of(rule, state.policy)
        _require_as_before(proposal, _place(before))
        change = Change(
            kind="rule", object=rule, object_id=rule, what="mode", before=before.value, after=mode.value
        )
        return Plan(
            changes=(_confirmed(change, proposal),),
            puts=(RuleMode(rule=rule, mode=mode.value, set_us=state.now_us),),
        )
    name, day = told["name"], dt.date.fromisoformat(told["from"])
    old = next((each for each in state.stated_values if (each.name, each.from_day) == (name, day)), None)
    _require_as_before(proposal, _amount(state, name, day))
    change = Change(
        kind="value",
        object=name,
        object_id=name,
        what=f"from {day}",
        before=old.amount if old else None,
        after=proposal.after,
    )
    changes = (_confirmed(change, proposal, source=told["source"]),)
    if proposal.after is None:
        return Plan(changes=changes, dropped=() if old is None else (old,))
    new = StatedValue(
        name=name, from_day=day, amount=proposal.after, source=told["source"], stated_us=state.now_us
    )
    return Plan(changes=changes, puts=(new,))


def about_rules(proposal: Proposal) -> str | None:
    """What a proposal about the terms would change; None for any other."""
    told = proposal.permission
    if proposal.what == MODE:
        before, after = _MODES[proposal.before], _MODES[proposal.after or 0]
        return f"{told['rule']}: {before.value} -> {after.value}"
    if proposal.what == VALUE:
        after_it = "as if never stated" if proposal.after is None else proposal.after
        return f"{told['name']} from {told['from']}: {proposal.before} -> {after_it}"
    return None


def proposal_of_rules(proposal: Proposal, what: str) -> Change:
    """What happened to a proposal about the terms, for people and for the log."""
    said: dict[str, Value] = {
        "what": proposal.what,
        **proposal.permission,
        "before": _spelled(proposal, proposal.before),
        "after": _spelled(proposal, proposal.after),
    }
    return Change(
        kind="proposal",
        object="terms",
        object_id=proposal.id,
        what=what,
        after={"id": proposal.id, **said},
        logged={"after": said, "proposed_by": proposal.proposed_by},
    )


def _spelled(proposal: Proposal, amount: int | None) -> Value:
    return _MODES[amount].value if proposal.what == MODE and amount is not None else amount


def _place(mode: Mode) -> int:
    return _MODES.index(mode)


def _amount(state: State, name: str, day: dt.date) -> int:
    return VALUES[name].at(day, state.policy.amounts.get(name, ()))


def _is_weaker(
    state: State, name: str, stated: Sequence[StatedValue], dropped: Sequence[StatedValue]
) -> bool:
    """Whether the number asks less on today or any day to come than it does as things are."""
    value = VALUES[name]
    before = {each.from_day: each.amount for each in state.stated_values if each.name == name}
    gone = {each.from_day for each in dropped if each.name == name}
    after = {day: amount for day, amount in before.items() if day not in gone}
    after |= {each.from_day: each.amount for each in stated if each.name == name}
    today = state.now.date()
    days = {today, *(day for day in (*before, *after) if day > today)}
    return any(
        value.is_weaker(value.at(day, tuple(after.items())), than=value.at(day, tuple(before.items())))
        for day in days
    )


def _of_value(state: State, each: StatedValue, after: int | None) -> Loosening:
    told = {"name": each.name, "from": each.from_day.isoformat(), "source": each.source}
    return Loosening(what=VALUE, before=_amount(state, each.name, each.from_day), after=after, told=told)


def _slot(what: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    """What a later proposal about the same takes the place of."""
    if what == MODE:
        return what, told["rule"]
    return (what, told["name"], told["from"]) if what == VALUE else (what,)


def _proposed(
    state: State, wanted: Loosening, actor: Actor, new_id: Callable[[], str]
) -> tuple[Proposal, Sequence[Proposal]]:
    """The open proposal for this very change, or a new one, and what it takes the place of."""
    proposal = Proposal(
        id=new_id(),
        credential_id="",
        what=wanted.what,
        before=wanted.before,
        after=wanted.after,
        permission=dict(wanted.told),
        proposed_by=whoever(actor),
        proposed_us=state.now_us,
        outcome=OPEN,
    )
    return once(state, proposal, slot=lambda each: _slot(each.what, each.permission))


def _without(plan: Plan, loosenings: Sequence[Loosening]) -> Plan:
    held = {_slot(each.what, each.told) for each in loosenings}

    def waits(record: object) -> bool:
        match record:
            case RuleMode():
                return (MODE, record.rule) in held
            case StatedValue():
                return (VALUE, record.name, record.from_day.isoformat()) in held
            case _:
                return False

    def is_told(change: Change) -> bool:
        if change.kind == "rule":
            return (MODE, change.object) not in held
        return change.kind != "value" or (VALUE, change.object, change.what.removeprefix("from ")) not in held

    return replace(
        plan,
        changes=tuple(each for each in plan.changes if is_told(each)),
        puts=tuple(each for each in plan.puts if not waits(each)),
        dropped=tuple(each for each in plan.dropped if not waits(each)),
    )


def _require_as_before(proposal: Proposal, current: int) -> None:
    if current != proposal.before:
        raise Conflict(
            f"{about_rules(proposal)} was proposed when something else held. Refuse it, and propose again what you want."
        )


def _confirmed(change: Change, proposal: Proposal, **more: Value) -> Change:
    """The change with the proposal that asked for it, so that the log shows both people."""
    said = {"before": change.before, "after": change.after, **more}
    return replace(change, logged={**said, "proposal": proposal.id, "proposed_by": proposal.proposed_by})
