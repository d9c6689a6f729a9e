"""What the rules come to: allowed, or refused by the first that objects and is enforced."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from app.identity.callers import Policy
from app.policy.rules import ALWAYS_ENFORCED, HELD_RULES, RULES, Circumstances, HeldRule, Reuse, Rule

Value = str | list[str]


class Mode(StrEnum):
    """What becomes of a rule's objection."""

    ENFORCE = "enforce"
    """The call is refused."""
    WARN = "warn"
    """The call goes on; the log and a header of the answer say so."""
    SHADOW = "shadow"
    """The call goes on; the log alone says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A rule's no, and why, with what to do next."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules came to; `rule` decided, the others objected without being enforced."""

    rule: str
    warned: tuple[Objection, ...] = ()
    shadow: tuple[str, ...] = ()

    def beside(self) -> dict[str, Value]:
        """What the log says beside the rule that decided."""
        said: dict[str, Value] = {}
        if self.warned:
            said["warned"] = [each.rule for each in self.warned]
        if self.shadow:
            said["shadow"] = list(self.shadow)
        return said

    def decision(self) -> dict[str, Value]:
        """The rule that decided, and what stands beside it, for the log."""
        return {"rule": self.rule, **self.beside()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed(Verdict):
    """No rule that is enforced objects; `rule` is the one that positively allowed it."""

    def but(self, reuse: "Allowed") -> "Allowed":
        """This verdict on a call, with what the rules on held data said of the page that answers it."""
        if not reuse.warned and not reuse.shadow:
            return self
        return replace(self, warned=self.warned + reuse.warned, shadow=self.shadow + reuse.shadow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Verdict):
    """A clear no: the rule that says so, and why, with what to do next."""

    reason: str


BY_MODE = "rule-mode/1"
"""What allowed a call that the last rule did not: an administrator's choice not to enforce it."""

NOTHING_SAID = Refused(rule="default/1", reason="no rule allows this call. Ask an administrator.")
"""Default is refusal."""


def judge(asked: Circumstances, rules: Sequence[Rule] = RULES) -> Allowed | Refused:
    """Allowed by the last rule, or Refused by the first that objects and is enforced; without rules, refused."""
    if not rules:
        return NOTHING_SAID
    objections = ((rule.id, rule.objection(asked)) for rule in rules)
    found = [Objection(rule=rule, reason=reason) for rule, reason in objections if reason is not None]
    if not found:
        return Allowed(rule=rules[-1].id)
    allowed_by = BY_MODE if found[-1].rule == rules[-1].id else rules[-1].id
    return _weighed(found, asked.caller.policy, allowed_by=allowed_by)


def judge_held(reuse: Reuse, rules: Sequence[HeldRule] = HELD_RULES) -> Allowed | Refused:
    """Whether a held page may be served; without rules, it may not."""
    if not rules:
        return NOTHING_SAID
    objections = ((rule.id, rule.objection(reuse)) for rule in rules)
    found = [Objection(rule=rule, reason=reason) for rule, reason in objections if reason is not None]
    if not found:
        return Allowed(rule=rules[-1].id)
    return _weighed(found, reuse.caller.policy, allowed_by=rules[-1].id)


def mode_of(rule: str, policy: Policy) -> Mode:
    """The mode of a rule: what an administrator chose, and `enforce` where that cannot be read or must not be."""
    if rule in ALWAYS_ENFORCED:
        return Mode.ENFORCE
    try:
        return Mode(policy.modes.get(rule, Mode.ENFORCE))
    except ValueError:
        return Mode.ENFORCE


def _weighed(found: Sequence[Objection], policy: Policy, *, allowed_by: str) -> Allowed | Refused:
    refusing: Objection | None = None
    warned: list[Objection] = []
    shadow: list[str] = []
    for each in found:
        match mode_of(each.rule, policy):
            case Mode.ENFORCE:
                refusing = refusing or each
            case Mode.WARN:
                warned.append(each)
            case Mode.SHADOW:
                shadow.append(each.rule)
            case never:
                assert_never(never)
    if refusing is None:
        return Allowed(rule=allowed_by, warned=tuple(warned), shadow=tuple(shadow))
    return Refused(rule=refusing.rule, reason=refusing.reason, warned=tuple(warned), shadow=tuple(shadow))
