"""What the API tells whoever asks about themselves."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, Field

from app.web.api.people_shapes import PersonShape
from app.web.api.project_shapes import ApprovalShape
from app.web.api.shapes import KeyShape, UsageShape, example


class AcceptedShape(BaseModel):
    """One version, and whether and how the asker accepted it; `how` is self or recorded."""

    model_config = example(
        version="2024-10",
        title="TikTok Research Tools Terms of Service",
        text_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        in_force_from="2024-10-25",
        is_in_force=True,
        accepted_at="2026-02-01T09:30:00Z",
        how="self",
    )
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


class HeardShape(BaseModel):
    """A kind of notice that concerns the asker, and whether they get it by mail."""

    model_config = example(
        event="quota.threshold", what="50, 80 and 100 % of a limit are taken", by_mail=True
    )
    event: str
    what: str
    by_mail: bool


class MyNotices(BaseModel):
    """What the asker is told by mail; `mail_is_sent` is false where this installation sends none."""

    model_config = example(
        items=[
            {"event": "quota.threshold", "what": "50, 80 and 100 % of a limit are taken", "by_mail": True}
        ],
        mail_is_sent=True,
    )
    items: list[HeardShape]
    mail_is_sent: bool


class NoticesWanted(BaseModel):
    """The events of which no mail is wanted; every other that concerns the asker is told."""

    model_config = example(without=["quota.threshold"])
    without: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=20)]


class TermsStateShape(BaseModel):
    """The version in force, None where there is none, and whether the asker may call under it.

    Whoever has accepted only the version before may call until `accept_by`, and accepts at `accept_at`.
    """

    model_config = example(
        in_force="2024-10", is_accepted=True, may_call=True, accept_at=None, accept_by=None
    )
    in_force: str | None
    is_accepted: bool
    may_call: bool
    accept_at: str | None
    accept_by: dt.date | None


class OwnProjectShape(BaseModel):
    """One of the asker's projects and their place in it; `frozen_since` while it or its credential is stopped."""

    model_config = example(
        name="elections",
        is_lead=True,
        frozen_since=None,
        approval={"reference": "R-2026-014", "from": "2026-01-01", "until": "2027-06-30"},
        **{"from": None, "until": None},
    )
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
