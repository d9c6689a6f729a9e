"""Credentials in answers and bodies of the API; a secret is in bodies alone."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.web.api.limit_shapes import ProposalShape
from app.web.api.shapes import example

_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Secret = Annotated[str, Field(min_length=1, max_length=500, repr=False)]
_Amount = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
_CREDENTIAL = {
    "name": "main",
    "base_url": "https://open.tiktokapis.com",
    "people": 3,
    "roster_limit": 10,
    "permission": None,
}


class CredentialShape(BaseModel):
    """An upstream credential: its host, how many people use it and how many may. Its secret is never shown."""

    model_config = example(**_CREDENTIAL)
    name: str
    base_url: str
    people: int
    roster_limit: int
    permission: dict[str, Any] | None


class Credentials(BaseModel):
    """A part of the list of credentials."""

    items: list[CredentialShape]


class CredentialWanted(BaseModel):
    """A credential that the platform issued, for at most ten people; the secret is sealed and never shown again."""

    model_config = example(
        name="second",
        base_url="https://open.tiktokapis.com",
        client_key="aw111example",
        client_secret="as-the-platform-shows-it-4c7a",  # noqa: S106 - an example
        limits={"requests/day": 1000, "records/day": 100_000},
    )
    name: _Name
    base_url: Annotated[str, Field(max_length=200)] = "https://open.tiktokapis.com"
    client_key: Annotated[str, Field(min_length=1, max_length=200)]
    client_secret: _Secret
    limits: dict[str, _Amount] = {}


class PermissionWanted(BaseModel):
    """The platform's written leave for more than ten people; name and SHA-256 of a file that shows it, if there is one."""

    model_config = example(reference="Mail of 2026-02-11")
    reference: Annotated[str, Field(min_length=1, max_length=200)]
    file: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None


class CredentialChange(BaseModel):
    """How many people may use a credential; more than ten take a permission, which stays if it is left out."""

    model_config = example(roster_limit=12, permission={"reference": "Mail of 2026-02-11"})
    roster_limit: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    permission: PermissionWanted | None = None


class CredentialSetShape(BaseModel):
    """The credential as it is now, whether it changed, and what waits for a second administrator instead."""

    model_config = example(credential=_CREDENTIAL, has_changed=True, waiting=[])
    credential: CredentialShape
    has_changed: bool
    waiting: list[ProposalShape]


class SecretWanted(BaseModel):
    """A fresh secret for the same credential, and its client key or host if that is another as well."""

    model_config = example(client_secret="as-the-platform-shows-it-8e1f")  # noqa: S106 - an example
    client_secret: _Secret
    client_key: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    base_url: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class VerifiedShape(BaseModel):
    """Whether the platform takes a credential, and why not."""

    model_config = example(name="main", holds=True, why=None)
    name: str
    holds: bool
    why: str | None


class SecretSetShape(BaseModel):
    """Whether the secret or its host is another one now."""

    model_config = example(has_changed=True)
    has_changed: bool
