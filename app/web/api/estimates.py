"""Prices before anything is spent."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from app.administration.pricing import Asking
from app.errors import InvalidParams, NotFound
from app.identity.callers import Caller
from app.provider.endpoints import ENDPOINTS
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.guard import GuardedRoute
from app.web.api.sight import Sight
from app.web.problems import visit_of

router = APIRouter(prefix="/api/v1", tags=["limits"], route_class=GuardedRoute)

_QUERY: dict[str, Any] = {
    "query": {"and": [{"field_name": "hashtag_name", "operation": "EQ", "field_values": ["budget"]}]},
    "start_date": "20260901",
    "end_date": "20261020",
    "max_count": 100,
}
_RANGE: dict[str, Any] = {"low": 10, "likely": 14, "high": 22}
_HELD: dict[str, Any] = {
    "requests_saved": 3,
    "records": 300,
    "is_complete": False,
    "until": "2026-12-09T11:02:41Z",
}
_WINDOW: dict[str, Any] = {
    "start_date": "2026-09-01",
    "end_date": "2026-09-30",
    "requests": {"low": 5, "likely": 8, "high": 13},
    "records": {"low": 430, "likely": 740, "high": 1_300},
    "held": _HELD,
    "basis": "same question",
    "confidence": "medium",
}


class EstimateWanted(BaseModel):
    """A question as it would be asked: an endpoint, and its body in the platform's own words.

    With an `api_key` the project is the key's. With a token of your own, name it; `person` is whose limits and
    rules count, by default yourself where you are a member. `query` may span more days than one query may: it
    is then priced window by window, `window_days` each. `fields` decides which held pages can be used.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "project": "elections",
                "endpoint": "video/query",
                "fields": ["id", "create_time", "view_count"],
                "query": _QUERY,
            }
        },
    )
    project: Annotated[str | None, Field(max_length=100)] = None
    person: Annotated[str | None, Field(max_length=320)] = None
    endpoint: Annotated[str, Field(max_length=64, json_schema_extra={"enum": sorted(ENDPOINTS)})] = (
        "video/query"
    )
    query: dict[str, Any]
    fields: list[Annotated[str, Field(max_length=64)]] | Annotated[str, Field(max_length=4_096)] = []
    window_days: Annotated[int | None, Field(strict=True, ge=1, le=30)] = None

    def asking(self) -> Asking:
        """What the use-case is asked."""
        named = self.fields.split(",") if isinstance(self.fields, str) else self.fields
        fields = tuple(sorted({name.strip() for each in named for name in each.split(",")} - {""}))
        return Asking(endpoint=self.endpoint, body=self.query, fields=fields, window_days=self.window_days)


class RangeShape(BaseModel):
    """A number that is not known exactly; in nine of ten cases it lies between low and high."""

    low: int
    likely: int
    high: int


class HeldShape(BaseModel):
    """Pages that are held and may be served again until the first of them is too old."""

    requests_saved: int
    records: int
    is_complete: bool
    until: str | None


class WindowShape(BaseModel):
    """The price of one query of the plan; its days are included, and null where it is not about days."""

    start_date: str | None
    end_date: str | None
    requests: RangeShape
    records: RangeShape
    held: HeldShape
    basis: str
    confidence: str


class DaysShape(BaseModel):
    """Days the crawl goes over, today included, if nobody else spends; null: it never ends at these limits.

    `limited_by` is the limit that ends the first day's work, and null where one day is enough.
    """

    likely: int | None
    high: int | None
    limited_by: str | None


class ObjectionShape(BaseModel):
    """Why the query would be refused if it were sent now."""

    rule: str
    reason: str


class EstimateShape(BaseModel):
    """What a question needs, in upstream requests and records still to be spent, and how sure that is.

    `basis` is what the least sure part rests on: `held`, `one call`, `same question`, `same conditions other
    dates`, `project history` or `default`. `confidence` is `high`, `medium` or `low`, and `because` says why.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "project": "elections",
                "person": "ada@example.edu",
                "endpoint": "video/query",
                "fields": ["create_time", "id", "view_count"],
                "page_size": 100,
                "requests": _RANGE,
                "records": {"low": 800, "likely": 1_300, "high": 2_200},
                "held": _HELD,
                "days_at_todays_limits": {"likely": 1, "high": 2, "limited_by": "member-requests-day"},
                "basis": "same conditions other dates",
                "confidence": "medium",
                "because": "The same conditions were asked about other days; these days are taken to bring as "
                "much a day. The more of it is fetched, the surer this gets.",
                "would_be_refused_by": {
                    "rule": "terms-accepted/2",
                    "reason": "you have not accepted terms version 2026-02.",
                },
                "notes": ["The range is asked for in 2 windows, each a query of its own."],
                "windows": [_WINDOW],
            }
        }
    )
    project: str
    person: str | None
    endpoint: str
    fields: list[str]
    page_size: int | None
    requests: RangeShape
    records: RangeShape
    held: HeldShape
    days_at_todays_limits: DaysShape
    basis: str
    confidence: str
    because: str
    would_be_refused_by: ObjectionShape | None
    notes: list[str]
    windows: list[WindowShape]


@router.post("/estimate", summary="The price of a query, before it is sent", responses=refusals(404, 413))
async def estimate(request: Request, desk: AtDesk, who: Who, wanted: EstimateWanted) -> EstimateShape:
    """Requests and records that a query would take, over how many days, and what is held of it already.

    Nothing is spent and nothing is sent to the platform. A malformed query is refused as it would be there; one
    that a rule or a limit would refuse is priced, and `would_be_refused_by` says so.
    """
    sight = await desk.sight(who)
    asker = visit_of(request).who
    if isinstance(asker, Caller):
        _require_own(sight, wanted, asker)
        found = await desk.estimator.for_caller(wanted.asking(), asker)
    else:
        if wanted.project is None:
            raise InvalidParams("project is missing; name the project that would ask.", rule="request")
        project = sight.project(wanted.project)
        email = _whose(sight, project.id, wanted.person)
        found = await desk.estimator.in_project(wanted.asking(), project=project.name, email=email)
    return EstimateShape.model_validate(found.shown())


def _require_own(sight: Sight, wanted: EstimateWanted, caller: Caller) -> None:
    """Return when the body names nothing beside the key's own project and person; raises NotFound."""
    if wanted.project not in {None, caller.project_name}:
        raise NotFound(f"This key is of another project than {wanted.project!a}; leave it out.", rule="sight")
    if wanted.person is not None and sight.person(wanted.person).id != caller.person:
        raise NotFound("This key is another person's; leave person out.", rule="sight")


def _whose(sight: Sight, project: str, person: str | None) -> str | None:
    """The address of whoever would ask; None for the project as such. Raises NotFound for what is out of sight."""
    is_open = sight.sees_all or project in sight.led
    if person is not None:
        found = sight.person(person)
        if not is_open and found.id != sight.visitor.person:
            raise NotFound("Ask for another person within a project that you lead.", rule="sight")
        return found.email
    is_member = any(each.project_id == project for each in sight.own_memberships)
    return sight.me().email if is_member else None
