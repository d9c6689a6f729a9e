"""The answers and bodies of freezes, as the API's document describes them."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, Field

from app.administration.freezing import Freezable
from app.administration.raising import MOST_REASON_CHARS
from app.web.api.shapes import example

Reason = Annotated[str, Field(min_length=1, max_length=MOST_REASON_CHARS)]


class FreezeShape(BaseModel):
    """That something was stopped; `until` is None while it still is."""

    model_config = example(
        id="5f0c1e9a7b3d2486ac90",
        kind="project",
        name="elections",
        reason="Key found in a public repository.",
        frozen_by="it@example.edu",
        since="2026-11-23T06:00:00Z",
        until=None,
        lifted_by=None,
    )
    id: str
    kind: Freezable
    name: str
    reason: str
    frozen_by: str
    since: dt.datetime
    until: dt.datetime | None
    lifted_by: str | None


class Freezes(BaseModel):
    """A part of the list of freezes."""

    items: list[FreezeShape]


class FreezeWanted(BaseModel):
    """Why; for administrators and compliance, and never shown to whom it stops."""

    model_config = example(reason="Key found in a public repository.")
    reason: Reason
