"""Projects and their members in answers and bodies of the API."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.web.api.shapes import Day, ReuseShape, example, left_out

_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Address = Annotated[str, Field(min_length=3, max_length=320)]
_Amount = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
_Limits = Annotated[
    dict[str, _Amount], Field(description="As a state file writes them: `{requests/day: 300}`.")
]
_AllowText = Annotated[str, Field(max_length=200)]


class MemberShape(BaseModel):
    """A person's place in a project; both days are included, None is open."""

    model_config = example(person="ada@example.edu", **{"from": "2026-02-01", "until": None})
    person: str
    from_day: Annotated[dt.date | None, Field(serialization_alias="from")]
    until_day: Annotated[dt.date | None, Field(serialization_alias="until")]


class ApprovalShape(BaseModel):
    """What the platform approved, and for which days."""

    reference: str
    from_day: Annotated[dt.date, Field(serialization_alias="from")]
    until_day: Annotated[dt.date, Field(serialization_alias="until")]


class ProjectShape(BaseModel):
    """A project; `members` are those that the asker may see, `allow` is what its approval covers."""

    model_config = example(
        id="5f0c1e9a7b3d2486ac90",
        name="elections",
        credential="main",
        approval={"reference": "R-2026-014", "from": "2026-01-01", "until": "2027-06-30"},
        lead="ada@example.edu",
        members=[{"person": "ada@example.edu", "from": None, "until": None}],
        cache_scope="project",
        allow={"endpoints": ["video/query"]},
        reuse={
            "cache_control": "honour",
            "stale": False,
            "lifetimes": {"user/info": "6h"},
            "recent_lifetimes": {},
            "without": [],
        },
    )
    id: str
    name: str
    credential: str
    approval: ApprovalShape
    lead: str | None
    members: list[MemberShape]
    cache_scope: str
    allow: dict[str, Any]
    reuse: ReuseShape


class Projects(BaseModel):
    """A part of the list of projects."""

    items: list[ProjectShape]


class Members(BaseModel):
    """A part of the list of a project's members."""

    items: list[MemberShape]


class ApprovalWanted(BaseModel):
    """What the platform approved, and its first and last day."""

    model_config = example(reference="R-2026-014", **{"from": "2026-01-01", "until": "2027-06-30"})
    reference: Annotated[str, Field(min_length=1, max_length=200)]
    from_day: Annotated[Day, Field(alias="from")]
    until_day: Annotated[Day, Field(alias="until")]


class DaysWanted(BaseModel):
    """A member's first and last day; one that is left out, or null, is open."""

    model_config = example(**{"from": "2026-02-01", "until": "2026-12-31"})
    from_day: Annotated[Day | None, Field(alias="from")] = None
    until_day: Annotated[Day | None, Field(alias="until")] = None


class MemberWanted(DaysWanted):
    """A person by their address, with their days in the project."""

    model_config = example(person="ada@example.edu")
    person: _Address


class AllowWanted(BaseModel):
    """What the approval covers; what is left out is not bounded. As a state file writes it."""

    model_config = example(
        endpoints=["video/query", "user/info"],
        fields={"user/info": ["display_name", "follower_count"]},
        conditions={"region_code": ["US", "CA"]},
    )
    endpoints: list[str] | None = None
    fields: dict[str, list[str]] | None = None
    conditions: dict[str, list[_AllowText]] | None = None
    dates: DaysWanted | None = None
    max_span_days: Annotated[int | None, Field(strict=True, ge=0)] = None


class ProjectChange(BaseModel):
    """What shall be different of a project; what is left out stays, `allow` is replaced as a whole.

    Members, limits and `reuse` have paths of their own.
    """

    model_config = example(
        approval={"reference": "R-2026-014", "from": "2026-01-01", "until": "2037-06-30"},
        allow={"endpoints": ["video/query", "user/info"]},
    )
    credential: _Name = Field(default_factory=left_out)
    approval: ApprovalWanted = Field(default_factory=left_out)
    lead: Annotated[_Address | None, Field(description="A member's address; null for nobody.")] = None
    cache_scope: Literal["project", "credential"] = Field(default_factory=left_out)
    allow: AllowWanted = Field(default_factory=left_out)


class ProjectWanted(BaseModel):
    """An approved proposal under a credential, with its people and, if wanted, its limits.

    `member_limits` hold for each member alone, `floors` are shares of the credential's day that other projects cannot
    take. Without `allow` everything is covered.
    """

    model_config = example(
        name="climate",
        credential="main",
        approval={"reference": "R-2026-031", "from": "2026-01-01", "until": "2036-12-31"},
        lead="grace@example.edu",
        members=[{"person": "grace@example.edu"}, {"person": "ada@example.edu", "until": "2027-06-30"}],
        allow={"endpoints": ["video/query"]},
        limits={"requests/day": 200},
        member_limits={"requests/day": 100},
    )
    name: _Name
    credential: _Name
    approval: ApprovalWanted
    lead: _Address | None = None
    members: list[MemberWanted] = []
    cache_scope: Literal["project", "credential"] = "project"
    allow: AllowWanted = AllowWanted()
    limits: _Limits = {}
    member_limits: _Limits = {}
    floors: _Limits = {}
