"""What the API tells whoever asks about themselves."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, Field

from app.web.api.people_shapes import PersonShape
from app.web.api.project_shapes import ApprovalShape
from app.web.api.shapes import KeyShape, UsageShape


class AcceptedShape(BaseModel):
    """One version, and whether and how the asker accepted it; `how` is self or recorded."""

    version: str
    title: str
    text_sha256: str
    in_force_from: dt.date
    is_in_force: bool
    accepted_at: dt.datetime | None
    how: str | None


class MyTerms(BaseModel):
    """A part of the list of versions, with the asker's acceptances."""

    items: list[AcceptedShape]


class TermsStateShape(BaseModel):
    """The version in force, None where there is none, and whether the asker may call under it.

    Whoever has accepted only the version before may call until `accept_by`, and accepts at `accept_at`.
    """

    in_force: str | None
    is_accepted: bool
    may_call: bool
    accept_at: str | None
    accept_by: dt.date | None


class OwnProjectShape(BaseModel):
    """One of the asker's projects and their place in it; `frozen_since` while it or its credential is stopped."""

    name: str
    is_lead: bool
    frozen_since: dt.datetime | None
    approval: ApprovalShape
    from_day: Annotated[dt.date | None, Field(serialization_alias="from")]
    until_day: Annotated[dt.date | None, Field(serialization_alias="until")]


class Me(BaseModel):
    """Everything about whoever asks."""

    person: PersonShape
    projects: list[OwnProjectShape]
    keys: list[KeyShape]
    terms: TermsStateShape
    usage: UsageShape
