"""Rules and dated values in answers and bodies of the API."""

import datetime as dt
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from app.web.api.limit_shapes import ProposalShape
from app.web.api.shapes import example

_RULE: Final[dict[str, Any]] = {
    "rule": "named-collaborator/1",
    "mode": "enforce",
    "clause": "Collaborators are named and reviewed one by one; leavers are removed.",
    "source": "Research API FAQ, 2026-09-01",
    "dated": "2026-09-01",
}


class RuleShape(BaseModel):
    """A rule of the terms: what it says and where, since when, and whether it is enforced."""

    model_config = example(**_RULE)
    rule: str
    mode: str
    clause: str
    source: str
    dated: dt.date


class RuleSetShape(RuleShape):
    """A rule as it is now, and what waits for a second administrator instead."""

    model_config = example(**_RULE, waiting=[])
    waiting: list[ProposalShape]


class StatedShape(BaseModel):
    """An amount from a day on, and where it is written."""

    model_config = example(amount=15, source="Terms of Service, 2024-10-25", **{"from": "2024-10-25"})
    from_day: Annotated[dt.date, Field(alias="from", serialization_alias="from")]
    amount: int
    source: str


_VALUE: Final[dict[str, Any]] = {
    "name": "refresh_interval_days",
    "what": "Days after which held data is fetched anew or deleted.",
    "amount": 10,
    "default": 15,
    "stated": [{"from": "2026-03-01", "amount": 10, "source": "Agreement of 2026-01-12, section 4"}],
    "sources": [{"from": "2024-10-25", "amount": 15, "source": "Terms of Service, 2024-10-25"}],
}


class ValueShape(BaseModel):
    """A number of the terms: today's amount, its safe default, what was stated, and what sources say."""

    model_config = example(**_VALUE)
    name: str
    what: str
    amount: int
    default: int
    stated: list[StatedShape]
    sources: list[StatedShape]


class ValueSetShape(ValueShape):
    """A number of the terms as it is now, and what waits for a second administrator instead."""

    model_config = example(**_VALUE, waiting=[])
    waiting: list[ProposalShape]


class Rules(BaseModel):
    """Every rule and every dated value."""

    items: list[RuleShape]
    values: list[ValueShape]


class ModeWanted(BaseModel):
    """What shall become of a rule's objections."""

    model_config = example(mode="warn")
    mode: Literal["enforce", "warn", "shadow"]


class ValueWanted(BaseModel):
    """What the institution's own terms say of a dated value from that day on, and where they say it."""

    model_config = example(amount=10, source="Agreement of 2026-01-12, section 4")
    amount: Annotated[int, Field(strict=True, ge=1, le=3_660)]
    source: Annotated[str, Field(min_length=1, max_length=500)]
