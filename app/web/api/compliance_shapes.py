"""What compliance looks at, in answers of the API."""

import datetime as dt
from typing import Any, Final

from pydantic import BaseModel

from app.web.api.freezing_shapes import FreezeShape
from app.web.api.project_shapes import ApprovalShape
from app.web.api.shapes import example

_HELD: Final[dict[str, Any]] = {
    "name": "elections",
    "ages": {"within a day": 12, "3 to 7 days": 4},
    "pages": 16,
    "records": 1_520,
    "oldest_at": "2026-11-24T06:00:00Z",
    "gone_by": "2026-12-09T06:00:00Z",
    "ended": False,
}
_OUTSTANDING: Final[dict[str, Any]] = {
    "person": "ada@example.edu",
    "version": "2026-11",
    "since": "2026-11-01",
    "projects": ["elections"],
    "accept_by": "2026-12-01",
}


class HeldOfShape(BaseModel):
    """What is held of a project, or of all that share on a credential: pages by age, none of an age left out being there.

    The oldest of it is gone by `gone_by`, null where no rule says so; `ended` is that the project is over.
    """

    model_config = example(**_HELD)
    name: str
    ages: dict[str, int]
    pages: int
    records: int
    oldest_at: dt.datetime
    gone_by: dt.datetime | None
    ended: bool


class OutstandingShape(BaseModel):
    """A member of projects who has a version of the terms to accept; without `accept_by` their calls are refused."""

    model_config = example(**_OUTSTANDING)
    person: str
    version: str
    since: dt.date
    projects: list[str]
    accept_by: dt.date | None


class ComplianceShape(BaseModel):
    """The clocks and what is outstanding; `refresh_days` is null where the age of held data is not enforced.

    The content of the log's entries is kept for `retention_months`, so what is before `prunable_before` may be pruned.
    `whole_since` is when the first entry was written whose content is there.
    """

    model_config = example(
        refresh_days=15,
        retention_months=12,
        prunable_before="2025-11-01",
        pruned_entries=0,
        whole_since="2026-02-01T08:00:00Z",
        held=[_HELD],
        outstanding=[_OUTSTANDING],
    )
    refresh_days: int | None
    retention_months: int
    prunable_before: dt.date
    pruned_entries: int
    whole_since: dt.datetime | None
    held: list[HeldOfShape]
    outstanding: list[OutstandingShape]


class ReportedLog(BaseModel):
    """The log that a report rests on, and the entries of its period, from `first` to before `end`; `root` is base64."""

    origin: str
    size: int
    root: str
    vkey: str
    first: int
    end: int


class ProjectUseShape(BaseModel):
    """A project that had an approval or an entry in the period: who was in it, and what it spent upstream."""

    id: str
    name: str
    retired: bool
    approval: ApprovalShape
    lead: str | None
    members: list[str]
    requests: int
    records: int
    entries: int


class RefusedShape(BaseModel):
    """How often a rule objected, or a code was answered."""

    rule: str
    code: str
    count: int


class AcceptedInPeriod(BaseModel):
    """That somebody accepted a version of the terms; `how` is self or recorded."""

    person: str
    version: str
    accepted_at: dt.datetime
    how: str


class ReportShape(BaseModel):
    """What happened from `since` to before `until`, and what was held and outstanding at `made_at`.

    Entries are counted by type, and what they tell by endpoint, by change, by look at the log and by way of signing in.
    With `refused_is_capped` only the newest 200,000 refusals are counted.
    """

    model_config = example(
        since="2026-10-01",
        until="2026-11-01",
        made_at="2026-11-30T09:12:44Z",
        log={
            "origin": "example.edu/bursar/0",
            "size": 4_210,
            "root": "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
            "vkey": "example.edu/bursar/0+1a2b3c4d+AQOhB7/zzhC+HXDdGOdLwJlnYuVhqYVPJ8ErjQXJ3mRR",
            "first": 1_020,
            "end": 3_480,
        },
        projects=[
            {
                "id": "5f0c1e9a7b3d2486ac90",
                "name": "elections",
                "retired": False,
                "approval": {"reference": "R-2026-014", "from": "2026-01-01", "until": "2027-06-30"},
                "lead": "ada@example.edu",
                "members": ["ada@example.edu"],
                "requests": 812,
                "records": 78_120,
                "entries": 2_110,
            }
        ],
        entries={"outcome": 812, "intent": 812, "decision": 96, "admin": 12},
        endpoints={"video/query": 1_720},
        refused=[{"rule": "date-span/1", "code": "invalid_params", "count": 3}],
        refused_is_capped=False,
        changes={"limit.set": 4},
        looks={"audit.verify": 4},
        sign_ins={"console/sign-in-password": 9},
        accepted=[
            {
                "person": "ada@example.edu",
                "version": "2024-10",
                "accepted_at": "2026-10-02T08:00:00Z",
                "how": "self",
            }
        ],
        freezes=[],
        outstanding=[_OUTSTANDING],
        held=[_HELD],
    )
    since: dt.date
    until: dt.date
    made_at: dt.datetime
    log: ReportedLog
    projects: list[ProjectUseShape]
    entries: dict[str, int]
    endpoints: dict[str, int]
    refused: list[RefusedShape]
    refused_is_capped: bool
    changes: dict[str, int]
    looks: dict[str, int]
    sign_ins: dict[str, int]
    accepted: list[AcceptedInPeriod]
    freezes: list[FreezeShape]
    outstanding: list[OutstandingShape]
    held: list[HeldOfShape]
