"""The answers and bodies of requests for more, as the API's document describes them."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.administration.asking import MOST_PURPOSE_CHARS, RequestState
from app.administration.raising import MOST_REASON_CHARS
from app.web.api.shapes import Day, example

Amount = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
Reason = Annotated[str, Field(min_length=1, max_length=MOST_REASON_CHARS)]


class RequestShape(BaseModel):
    """That somebody asks for `amount` more of a limit, through the day `until`, and what became of it.

    `raise` is the id of the raise that a grant made, by `granted_amount` through the day `granted_until`: not always
    what was asked.
    """

    model_config = {
        **example(
            id="5f0c1e9a7b3d2486ac90",
            state="open",
            scope="member:elections/ada@example.edu",
            limit="requests/day",
            amount=200,
            until="2026-12-15",
            reason="The election is moved forward.",
            asked_by="ada@example.edu",
            asked_at="2026-11-23T06:00:00Z",
            decided_by=None,
            decided_at=None,
            decision_reason=None,
            **{"raise": None},
            granted_amount=None,
            granted_until=None,
        ),
        "extra": "ignore",
    }
    id: str
    state: RequestState
    scope: str
    limit: str
    amount: int
    until: dt.date
    reason: str
    asked_by: str
    asked_at: dt.datetime
    decided_by: str | None
    decided_at: dt.datetime | None
    decision_reason: str | None
    raise_id: Annotated[str | None, Field(serialization_alias="raise")]
    granted_amount: int | None
    granted_until: dt.date | None


class QuotaRequests(BaseModel):
    """A part of the list of requests."""

    items: list[RequestShape]


class MoreWanted(BaseModel):
    """What is asked for: so much more of a limit, through a UTC day, for oneself or for a project that one leads.

    `project` may be left out with the key of a project, and by whoever is in one project alone.
    """

    model_config = example(
        project="elections",
        **{"for": "member"},
        limit="requests/day",
        amount=200,
        until="2026-12-15",
        reason="The election is moved forward.",
    )
    project: Annotated[str | None, Field(max_length=100)] = None
    for_whom: Annotated[Literal["member", "project"], Field(alias="for")] = "member"
    limit: Annotated[str, Field(max_length=64, description="As a state file names it: `requests/day`.")]
    amount: Amount
    until: Day
    reason: Annotated[
        str,
        Field(min_length=1, max_length=MOST_PURPOSE_CHARS, description="What for, in one line or several."),
    ]


class GrantWanted(BaseModel):
    """What is granted, where that is not what was asked for."""

    model_config = example(amount=100, until="2026-12-01")
    amount: Amount | None = None
    until: Day | None = None


class RefusalWanted(BaseModel):
    """Why not; whoever asked is told."""

    model_config = example(reason="The credential has nothing left this month.")
    reason: Reason
