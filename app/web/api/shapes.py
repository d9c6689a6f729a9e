"""Answers and bodies that several parts of the API share, and those about usage, keys and the log.

Instants are ISO 8601 in UTC, days are UTC days, ids are strings. `_s` is seconds.
"""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.administration.desired import ReuseStep

_KEY_ID = "3kT9vLw2QxYb"


def left_out() -> Any:
    """In the place of what a change does not speak about: it may be left out, and is never null."""
    return None


def example(**values: Any) -> ConfigDict:
    """A model that takes no other fields, with an example for the document."""
    return ConfigDict(extra="forbid", json_schema_extra={"example": values})


def _written(day: object) -> object:
    if isinstance(day, dt.date | str) and not str(day).isdecimal():
        return day
    raise ValueError("a day is written as in 2026-12-31")


Day = Annotated[dt.date, BeforeValidator(_written)]
"""A day that a caller gives: written out, since a bare number would be read as seconds since 1970."""


class ReuseShape(BaseModel):
    """When held answers of a project may be used; times such as `6h` by endpoint, or under `default`."""

    model_config = example(
        cache_control="honour",
        stale=True,
        lifetimes={"user/info": "6h", "default": "2d"},
        recent_lifetimes={"video/query": "1h"},
        without=["containment"],
    )
    cache_control: Annotated[
        Literal["honour", "ignore"], Field(description="Whether `Cache-Control` of its callers counts.")
    ] = "honour"
    stale: Annotated[
        bool, Field(description="Whether what is past its time is served while nothing can be fetched.")
    ] = False
    lifetimes: dict[str, str] = {}
    recent_lifetimes: Annotated[
        dict[str, str], Field(description="For questions whose days were still filling.")
    ] = {}
    without: Annotated[
        list[ReuseStep], Field(description="Steps of reuse that the project's calls leave out.")
    ] = []


class UsedShape(BaseModel):
    """Where one limit stands; `reserved` is promised to calls under way."""

    model_config = example(
        scope="project:elections",
        dimension="requests",
        window="day",
        limit=300,
        used=12,
        reserved=1,
        left=287,
        resets_at="2026-11-24T00:00:00Z",
    )
    scope: str
    dimension: str
    window: str | None
    limit: int
    used: int
    reserved: int
    left: int
    resets_at: str | None


class CountedShape(BaseModel):
    """What Bursar had charged."""

    model_config = example(calls=998, records=91_240)
    calls: int
    records: int


class PlatformShape(BaseModel):
    """That the platform itself has called a credential's day used up, and when Bursar asks again."""

    model_config = example(
        credential="main",
        family="main",
        said_at="2026-11-23T06:00:00Z",
        counted={"calls": 998, "records": 91_240},
        next_probe_at="2026-11-23T06:15:00Z",
    )
    credential: str
    family: str
    said_at: dt.datetime
    counted: CountedShape
    next_probe_at: dt.datetime


class SavingsShape(BaseModel):
    """What reuse saved a project on that day; `by_kind` counts answers by how they were come by (`miss`: bought)."""

    model_config = example(
        project="elections",
        answers=180,
        by_kind={"collapsed": 4, "exact": 90, "miss": 30, "slice": 56},
        records=9_400,
        requests=31,
        saved_requests=149,
        records_per_request=303.2,
    )
    project: str
    answers: int
    by_kind: dict[str, int]
    records: int
    requests: int
    saved_requests: int
    records_per_request: float | None


class UsageShape(BaseModel):
    """Every limit of days as it stood on `day`, the limits above the asker's own included."""

    model_config = example(
        day="2026-11-23",
        limits=[
            {
                "scope": "project:elections",
                "dimension": "requests",
                "window": "day",
                "limit": 300,
                "used": 12,
                "reserved": 1,
                "left": 287,
                "resets_at": "2026-11-24T00:00:00Z",
            }
        ],
        platform=[],
        reuse=[],
    )
    day: dt.date
    limits: list[UsedShape]
    platform: list[PlatformShape] = []
    reuse: list[SavingsShape] = []


class KeyShape(BaseModel):
    """What may be shown of a key at any time; `old_until` is when the secrets before a rotation end."""

    model_config = example(
        id=_KEY_ID,
        client_key=f"bsr_live_{_KEY_ID}",
        project="elections",
        person="ada@example.edu",
        created_at="2026-11-23T06:00:00Z",
        expires_at=None,
        old_until=None,
        status="active",
    )
    id: str
    client_key: str
    project: str
    person: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    old_until: dt.datetime | None
    status: str


class Keys(BaseModel):
    """A part of the list of keys."""

    items: list[KeyShape]


class IssuedKeyShape(BaseModel):
    """A key with its fresh secrets, which are shown this once; `repr` shows neither."""

    model_config = example(
        id=_KEY_ID,
        client_key=f"bsr_live_{_KEY_ID}",
        client_secret=f"bsr_live_{_KEY_ID}_...",
        api_key=f"bsr_live_{_KEY_ID}_...",
        expires_at="2027-07-01T00:00:00Z",
        old_until=None,
    )
    id: str
    client_key: str
    client_secret: Annotated[str, Field(repr=False)]
    api_key: Annotated[str, Field(repr=False)]
    expires_at: dt.datetime | None
    old_until: dt.datetime | None


class KeyWanted(BaseModel):
    """For whom a key shall be: by default for oneself, without an end."""

    model_config = example(project="elections", person="ada@example.edu", expires="2027-06-30")
    project: Annotated[str, Field(max_length=100)]
    person: Annotated[str | None, Field(max_length=320)] = None
    expires: Day | None = None


class RotationWanted(BaseModel):
    """How many seconds the old secrets go on working: at most seven days, by default none."""

    model_config = example(overlap_s=86_400)
    overlap_s: Annotated[int, Field(strict=True, ge=0, le=604_800)] = 0


class EntryShape(BaseModel):
    """One leaf of the log: its index, its hash (SHA-256 over 0x00 and the leaf's bytes), what it says."""

    model_config = example(
        index=41,
        leaf_hash="6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        entry={"v": 1, "type": "decision", "id": "8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8", "status": 200},
    )
    index: int
    leaf_hash: str
    entry: dict[str, Any]


class QuestionShape(BaseModel):
    """What the call of an entry asked, without its fields and page, which the entry has."""

    model_config = example(
        id="8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8", index=41, question={"username": "sim_user_1"}
    )
    id: str
    index: int
    question: dict[str, Any]


class Entries(BaseModel):
    """A part of the log, newest first."""

    items: list[EntryShape]


class ReceiptShape(BaseModel):
    """An entry with the proof that the log holds it: `proof` is a C2SP tlog-proof whose `extra` line is the leaf.

    `leaf` (base64) and `entry` are null where the entry's content was pruned; `leaf_hash` is hexadecimal.
    """

    model_config = example(
        id="8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8",
        index=0,
        origin="example.edu/bursar/0",
        size=1,
        leaf_hash="96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        pruned=False,
        leaf="e30=",
        entry={"v": 1, "type": "decision", "id": "8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8"},
        proof="c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\n\nexample.edu/bursar/0\n1\n...",
    )
    id: str
    index: int
    origin: str
    size: int
    leaf_hash: str
    pruned: bool
    leaf: str | None
    entry: dict[str, Any] | None
    proof: str


class ReceiptPresented(BaseModel):
    """A receipt as somebody kept it: the text of a tlog-proof, or the JSON that this API gave."""

    model_config = example(
        receipt="c2sp.org/tlog-proof@v1\nextra e30=\nindex 0\n\nexample.edu/bursar/0\n1\n..."
    )
    receipt: Annotated[str, Field(min_length=1, max_length=100_000)]


class PresentedShape(BaseModel):
    """What came of a receipt: whether it holds, and why not.

    `size` is of the tree that its checkpoint signs; `id` is its entry, where it holds.
    """

    model_config = example(
        holds=True,
        finding="holds",
        why="The log signed it and has this entry at this place.",
        origin="example.edu/bursar/0",
        index=0,
        size=1,
        id="8d2f0c5e7a9143b6b1c4d9e2f3a5b7c8",
    )
    holds: bool
    finding: Literal["holds", "unreadable", "foreign", "signature", "proof", "missing", "lost", "changed"]
    why: str
    origin: str | None
    index: int | None
    size: int | None
    id: str | None


class GrowthShape(BaseModel):
    """That one tree begins with another: both roots and the proof in base64, and the newest signed checkpoint."""

    model_config = example(
        **{
            "from": 1,
            "to": 2,
            "from_root": "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
            "to_root": "+sVCA+fwYuZU50UmDLG5kEXzvSo7c1JxMXbPpQMjPkE=",
            "proof": ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c="],
            "checkpoint": "example.edu/bursar/0\n2\n...",
        }
    )
    old: int = Field(alias="from")
    new: int = Field(alias="to")
    from_root: str
    to_root: str
    proof: list[str]
    checkpoint: str


class LogKeyShape(BaseModel):
    """The log's public key under its origin, as C2SP signed-note spells it; `others` sign beside it or did once."""

    model_config = example(
        origin="example.edu/bursar/0",
        vkey="example.edu/bursar/0+1a2b3c4d+AQOhB7/zzhC+HXDdGOdLwJlnYuVhqYVPJ8ErjQXJ3mRR",
        others=[],
    )
    origin: str
    vkey: str
    others: list[str]
