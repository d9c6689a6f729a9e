"""Versions of the terms in answers and bodies of the API."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from app.web.api.shapes import Day, example, left_out

_MOST_CHARS: Final = 200_000
_Title = Annotated[str, Field(min_length=1, max_length=320)]
_Source = Annotated[str, Field(min_length=1, max_length=500)]
_Grace = Annotated[int, Field(strict=True, ge=0, le=366)]
_Text = Annotated[str, Field(min_length=1, max_length=_MOST_CHARS)]


_TERMS: Final[Mapping[str, Any]] = {
    "version": "2024-10",
    "title": "TikTok Research Tools Terms of Service",
    "source": "https://www.tiktok.com/legal/page/global/terms-of-service-research-api/en",
    "in_force_from": "2024-10-25",
    "grace_days": 30,
    "accept_by": "2024-11-23",
    "text_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


class TermsShape(BaseModel):
    """One version of the platform's terms, without its text, of which `text_sha256` is the SHA-256.

    Whoever accepted the version before may go on until `accept_by`, where there are `grace_days`.
    """

    model_config = example(**_TERMS)
    version: str
    title: str
    source: str | None
    in_force_from: dt.date
    grace_days: int
    accept_by: dt.date | None
    text_sha256: str


class TermsTextShape(TermsShape):
    """One version of the terms with its text."""

    model_config = example(**_TERMS, text="# Research Tools Terms of Service\n")
    text: str


class TermsList(BaseModel):
    """A part of the list of versions."""

    items: list[TermsShape]


class TermsWanted(BaseModel):
    """A version of the terms with its text, which everybody has to accept from its first day on.

    For `grace_days` from then whoever accepted the version before may go on.
    """

    model_config = example(
        version="2027-01",
        title="TikTok Research Tools Terms of Service",
        source="https://www.tiktok.com/legal/page/global/terms-of-service-research-api/en",
        in_force_from="2037-01-01",
        grace_days=30,
        text="# Research Tools Terms of Service\n",
    )
    version: Annotated[str, Field(min_length=1, max_length=64)]
    title: _Title
    source: _Source | None = None
    in_force_from: Day
    grace_days: _Grace = 0
    text: _Text


class TermsChange(BaseModel):
    """What shall be different of a version; what is left out stays. An accepted text never changes."""

    model_config = example(grace_days=60)
    title: _Title = Field(default_factory=left_out)
    source: _Source | None = None
    in_force_from: Day = Field(default_factory=left_out)
    grace_days: _Grace = Field(default_factory=left_out)
    text: _Text = Field(default_factory=left_out)
