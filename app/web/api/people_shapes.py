"""People in answers and bodies of the API."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, Field

from app.identity.roles import Role
from app.web.api.shapes import Day, example, left_out

Email = Annotated[str, Field(min_length=3, max_length=320)]
PersonName = Annotated[str, Field(min_length=1, max_length=100)]


class PersonShape(BaseModel):
    """A person, as those who may see them do."""

    model_config = example(
        id="5f0c1e9a7b3d2486ac90", email="ada@example.edu", name="Ada Byron", roles=["researcher"]
    )
    id: str
    email: str
    name: str
    roles: list[str]


class People(BaseModel):
    """A part of the list of people."""

    items: list[PersonShape]


class PersonWanted(BaseModel):
    """Somebody who shall be known here; the address stays theirs."""

    model_config = example(email="mary@example.edu", name="Mary Somerville", roles=["researcher"])
    email: Email
    name: PersonName
    roles: list[Role] = []
    returning: Annotated[
        bool,
        Field(
            description="Whether they are who had this address before they were retired: the same id, with what they "
            "accepted. Otherwise they are somebody new, whatever the address stood for."
        ),
    ] = False


class PersonChange(BaseModel):
    """What shall be different of a person; what is left out stays."""

    model_config = example(roles=["researcher", "lead"])
    name: PersonName = Field(default_factory=left_out)
    roles: list[Role] = Field(default_factory=left_out)


class AcceptanceShape(BaseModel):
    """That a person accepted a version of the terms; `how` is self, or recorded with the evidence that is named."""

    model_config = example(
        version="2024-10",
        accepted_at="2026-02-01T00:00:00Z",
        how="recorded",
        evidence_name="ada.pdf",
        evidence_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )
    version: str
    accepted_at: dt.datetime
    how: str
    evidence_name: str | None
    evidence_sha256: str | None


class Acceptances(BaseModel):
    """A part of the list of what a person accepted."""

    items: list[AcceptanceShape]


class AcceptanceWanted(BaseModel):
    """A signature on paper: of which version, from when, and the name and SHA-256 of the file that shows it.

    The file itself stays with you.
    """

    model_config = example(
        version="2024-10",
        on="2026-02-01",
        evidence_name="ada.pdf",
        evidence_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )
    version: Annotated[str, Field(min_length=1, max_length=64)]
    on: Day | None = None
    evidence_name: Annotated[str, Field(min_length=1, max_length=200)]
    evidence_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class CodeShape(BaseModel):
    """A code with which a person sets their password once, at `address`; `repr` does not show it."""

    model_config = example(
        code="...", until="2026-11-24T06:00:00Z", address="https://bursar.example.edu/console/password"
    )
    code: Annotated[str, Field(repr=False)]
    until: dt.datetime
    address: str


class TokenWanted(BaseModel):
    """Through which day a token shall be good; for 90 days where that is left out."""

    model_config = example(expires="2027-06-30")
    expires: Day | None = None


class TokenShape(BaseModel):
    """What may be shown of a token at any time; `status` is active, expired or revoked."""

    model_config = example(
        id="7hR2mXw9QzKd",
        person="ada@example.edu",
        created_at="2026-11-23T06:00:00Z",
        expires_at="2027-02-22T00:00:00Z",
        status="active",
    )
    id: str
    person: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    status: str


class Tokens(BaseModel):
    """A part of the list of tokens."""

    items: list[TokenShape]


class IssuedTokenShape(BaseModel):
    """A person's fresh token, which nobody can be told again; `repr` does not show it."""

    model_config = example(token="...", expires_at="2027-07-01T00:00:00Z")  # noqa: S106 - an example
    token: Annotated[str, Field(repr=False)]
    expires_at: dt.datetime
