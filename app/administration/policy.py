"""Modes of rules and stated values: compared with a state file, planned one by one, and shown."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from app.administration.changes import Change, Draw, Plan
from app.administration.desired import require_stated, rule_id
from app.administration.state import RuleMode, State, StatedValue
from app.administration.wanted import Wanted
from app.errors import ChangedMeanwhile, InvalidParams
from app.policy.engine import Mode, mode_of
from app.policy.rules import ALL_RULES, ALWAYS_ENFORCED
from app.policy.values import VALUES


def rule_modes(draw: Draw, state: State, wanted: Wanted, *, prune: bool) -> Sequence[tuple[str, str]]:
    """Draw the modes that the file names, and with `prune` enforce the rest; what is left as it is."""
    if wanted.rules is None:
        return []
    left = []
    for rule in (each.id for each in ALL_RULES):
        mode = wanted.rules.get(rule)
        if mode is None and prune:
            mode = Mode.ENFORCE
        if mode is not None:
            _draw_mode(draw, state, rule, mode)
        elif mode_of(rule, state.policy) is not Mode.ENFORCE:
            left.append(("rule", rule))
    return left


def stated_values(draw: Draw, state: State, wanted: Wanted, *, prune: bool) -> Sequence[tuple[str, str]]:
    """Draw the values that the file states, and with `prune` drop the rest; what is left as it is."""
    if wanted.values is None:
        return []
    present = {(each.name, each.from_day): each for each in state.stated_values}
    for name, stated in wanted.values.items():
        for each in stated:
            present.pop((name, each.from_day), None)
            _draw_value(draw, state, name=name, amount=each.value, from_day=each.from_day, source=each.source)
    if not prune:
        return [("value", f"{name} from {day}") for name, day in present]
    for old in present.values():
        draw.dropped.append(old)
        draw.changes.append(
            Change(
                kind="value",
                object=old.name,
                object_id=old.name,
                what=f"from {old.from_day}",
                before=old.amount,
            )
        )
    return []


def require_mode(state: State, *, rule: str, seen: str) -> None:
    """Return if a rule has the mode that was seen; raises ChangedMeanwhile, and InvalidParams for an unknown rule."""
    now = mode_of(_known(rule), state.policy)
    if now.value != seen:
        raise ChangedMeanwhile(
            f"{rule} is set to {now.value} by now, not to {seen} as you have seen it, so nothing was changed. Look again, "
            "and set what you want then.",
            rule="if-match",
        )


def plan_of_mode(state: State, *, rule: str, mode: str) -> Plan:
    """What setting a rule's mode would change; empty where it is that already. Raises InvalidParams."""
    if mode not in set(Mode):
        raise InvalidParams(f"{mode} is no mode; modes are {', '.join(Mode)}.")
    draw = Draw()
    _draw_mode(draw, state, _known(rule), Mode(mode))
    return draw.plan()


def plan_of_value(state: State, *, name: str, amount: int, from_day: dt.date, source: str) -> Plan:
    """What stating a value would change; empty where it is that already. Raises InvalidParams."""
    try:
        require_stated(name)
    except ValueError as error:
        raise InvalidParams(f"{error}.") from error
    if not 1 <= amount <= 3_660 or not source.strip():
        raise InvalidParams("An amount is a whole number from 1 to 3660, and has a source.")
    draw = Draw()
    _draw_value(draw, state, name=name, amount=amount, from_day=from_day, source=source.strip())
    return draw.plan()


def shown_rules(state: State) -> list[dict[str, Any]]:
    """Every rule with its clause, source and mode."""
    return [
        {
            "rule": each.id,
            "mode": mode_of(each.id, state.policy).value,
            "clause": each.clause,
            "source": each.source,
            "dated": each.dated.isoformat(),
        }
        for each in ALL_RULES
    ]


def shown_values(state: State) -> list[dict[str, Any]]:
    """Every dated value: the amount of today, what was stated, and what the sources say."""
    today, amounts = state.now.date(), state.policy.amounts
    return [
        {
            "name": each.name,
            "what": each.what,
            "amount": each.at(today, amounts.get(each.name, ())),
            "default": each.default,
            "stated": [
                {"from": stated.from_day.isoformat(), "amount": stated.amount, "source": stated.source}
                for stated in state.stated_values
                if stated.name == each.name
            ],
            "sources": [
                {"from": said.from_day.isoformat(), "amount": said.amount, "source": said.source}
                for said in each.sources
            ],
        }
        for each in VALUES.values()
    ]


def _known(rule: str) -> str:
    try:
        return rule_id(rule)
    except ValueError as error:
        raise InvalidParams(f"{error}.") from error


def _draw_mode(draw: Draw, state: State, rule: str, mode: Mode) -> None:
    before = mode_of(rule, state.policy)
    if mode is before:
        return
    if rule in ALWAYS_ENFORCED:
        raise InvalidParams(f"{rule} is always enforced; let what is frozen go on with `bursar unfreeze`.")
    draw.puts.append(RuleMode(rule=rule, mode=mode.value, set_us=state.now_us))
    draw.changes.append(
        Change(kind="rule", object=rule, object_id=rule, what="mode", before=before.value, after=mode.value)
    )


def _draw_value(draw: Draw, state: State, *, name: str, amount: int, from_day: dt.date, source: str) -> None:
    slot = (name, from_day)
    old = next((each for each in state.stated_values if (each.name, each.from_day) == slot), None)
    if old is not None and (old.amount, old.source) == (amount, source):
        return
    new = StatedValue(name=name, from_day=from_day, amount=amount, source=source, stated_us=state.now_us)
    before = old.amount if old else None
    draw.puts.append(new)
    draw.changes.append(
        Change(
            kind="value",
            object=name,
            object_id=name,
            what=f"from {from_day}",
            before=before,
            after=amount,
            logged={"before": before, "after": amount, "source": source},
        )
    )
