"""Limits, raises, and what waits for a second administrator, in answers and bodies of the API."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, Field

from app.administration.proposals import MOST_AT_ONCE
from app.administration.raising import MOST_REASON_CHARS
from app.web.api.shapes import Day, example


class LimitShape(BaseModel):
    """At most `amount` of `dimension` in `window` for `scope`; `concurrent` has no window."""

    model_config = example(scope="project:elections", dimension="requests", window="day", amount=300)
    scope: str
    dimension: str
    window: str | None
    amount: int


class Limits(BaseModel):
    """A part of the list of limits."""

    items: list[LimitShape]


class LimitChangeShape(BaseModel):
    """That a limit was set, changed or ended; `before` is null where there was none, `after` where it ended.

    `entry` is the entry of the log that tells it; `by` an address, or the account of the machine, such as `os:1000`.
    """

    model_config = example(
        entry="8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8",
        at="2026-11-23T06:00:00Z",
        scope="project:elections",
        key="requests/day",
        before=200,
        after=300,
        by="it@example.edu",
    )
    entry: str
    at: dt.datetime
    scope: str
    key: str
    before: int | None
    after: int | None
    by: str


class LimitChangesShape(BaseModel):
    """Changes of limits, the newest first."""

    items: list[LimitChangeShape]


class LimitWanted(BaseModel):
    """One limit of a scope, as the state file writes it; without an amount it ends."""

    model_config = example(scope="project:elections", key="requests/day", amount=300)
    scope: Annotated[str, Field(max_length=500)]
    key: Annotated[str, Field(max_length=64)]
    amount: Annotated[int | None, Field(strict=True, ge=0, le=2**53 - 1)]
    was: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            le=2**53 - 1,
            description="What you have seen it to be, null for none: where it is another by now, nothing is changed (412).",
        ),
    ] = None


class ProposalShape(BaseModel):
    """A raise that waits for a second administrator, or did; `after` is None where a limit shall end.

    Also what is to be done to the log (`audit.erase`, `audit.prune`, `audit.retention`), and what would weaken the terms:
    a rule's mode (`rule.mode`, the amounts being 0 enforce, 1 warn, 2 shadow) or a number (`rule.value`). `about` says of
    what, and `credential` is empty.
    """

    model_config = example(
        id="5f0c1e9a7b3d2486ac90",
        credential="main",
        what="requests/day",
        about=None,
        before=1000,
        after=2000,
        outcome="open",
        proposed_by="it@example.edu",
        proposed_at="2026-11-23T06:00:00Z",
        decided_by=None,
        decided_at=None,
    )
    id: str
    credential: str
    what: str
    about: str | None
    before: int
    after: int | None
    outcome: str
    proposed_by: str
    proposed_at: dt.datetime
    decided_by: str | None
    decided_at: dt.datetime | None


class Proposals(BaseModel):
    """A part of the list of proposals."""

    items: list[ProposalShape]


class ConfirmationsWanted(BaseModel):
    """Which proposals to confirm."""

    model_config = example(ids=["5f0c1e9a7b3d2486ac90", "0c9a7b3d2486ac905f1e"])
    ids: Annotated[
        list[Annotated[str, Field(pattern="^[0-9a-f]{20}$")]], Field(min_length=1, max_length=MOST_AT_ONCE)
    ]


class NotConfirmedShape(BaseModel):
    """Why a proposal was not confirmed, as its own confirmation would have been refused."""

    status: int
    code: str
    detail: str


class ConfirmationShape(BaseModel):
    """What came of one proposal: `proposal` once it is confirmed, otherwise `problem`."""

    id: str
    proposal: ProposalShape | None
    problem: NotConfirmedShape | None


class ConfirmationsShape(BaseModel):
    """What came of each, in the order in which they were named."""

    model_config = example(
        items=[
            {
                "id": "5f0c1e9a7b3d2486ac90",
                "proposal": None,
                "problem": {
                    "status": 403,
                    "code": "not_permitted",
                    "detail": "You proposed this yourself. Ask another administrator to confirm it.",
                },
            }
        ]
    )
    items: list[ConfirmationShape]


class LimitSetShape(BaseModel):
    """Whether a limit changed, and what waits for a second administrator instead."""

    model_config = example(has_changed=True, waiting=[])
    has_changed: bool
    waiting: list[ProposalShape]


class RaiseShape(BaseModel):
    """That a limit holds `amount` more from then until then; `ended` is when somebody ended it before."""

    model_config = example(
        id="5f0c1e9a7b3d2486ac90",
        scope="project:elections",
        key="requests/day",
        amount=200,
        **{"from": "2026-11-23T06:00:00Z"},
        until="2026-12-16T00:00:00Z",
        ended=None,
        reason="The election is moved forward.",
        granted_by="it@example.edu",
    )
    id: str
    scope: str
    key: str
    amount: int
    begins_at: Annotated[dt.datetime, Field(alias="from")]
    until: dt.datetime
    ended: dt.datetime | None
    reason: str
    granted_by: str


class Raises(BaseModel):
    """A part of the list of raises."""

    items: list[RaiseShape]


class RaiseWanted(BaseModel):
    """That a limit shall hold `amount` more through the UTC day `until`, and why."""

    model_config = example(
        scope="project:elections",
        key="requests/day",
        amount=200,
        until="2026-12-15",
        reason="The election is moved forward.",
    )
    scope: Annotated[str, Field(max_length=500)]
    key: Annotated[str, Field(max_length=64)]
    amount: Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
    until: Day
    reason: Annotated[str, Field(min_length=1, max_length=MOST_REASON_CHARS)]
