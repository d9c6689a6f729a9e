"""What is wrong with the lines of a list, told all at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.errors import InvalidParams, Refusal

_MOST_TOLD: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A line that is refused; the message names it."""

    line: int
    refusal: Refusal


def refused(wrong: Iterable[Wrong]) -> Refusal:
    """One refusal of them all, a line of its message each, in the order of the list."""
    found = sorted(wrong, key=lambda each: each.line)
    told = [each.refusal.message for each in found[:_MOST_TOLD]]
    if len(found) > _MOST_TOLD:
        told.append(f"And {len(found) - _MOST_TOLD} more.")
    kinds = {type(each.refusal) for each in found}
    kind = kinds.pop() if len(kinds) == 1 else InvalidParams
    return kind("\n".join(told), rule=found[0].refusal.rule)
