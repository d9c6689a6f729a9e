"""One account of the platform is one credential: its quota is counted once, and its roster is one roster."""

from collections.abc import Iterable
from typing import Final

from app.administration.minting import Mint
from app.administration.state import Credential
from app.errors import InvalidParams
from app.sealing import SealBroken

RULE: Final = "one-account"


def require_own_account(
    mint: Mint, credentials: Iterable[Credential], *, name: str, base_url: str, client_key: str
) -> None:
    """Return if no other credential in use is of this account, which is a client key at a host.

    Raises InvalidParams that names the other one. One that is retired is not recognised, since its key is
    destroyed; nor is one that does not open, with which nobody can call until it is given its key again.
    """
    for other in credentials:
        if other.name != name and account_of(mint, other) == (base_url, client_key):
            raise InvalidParams(
                f"credentials ({name}): this client key is that of credential {other.name} already. The platform counts "
                f"one quota for it, so let projects use {other.name}.",
                rule=RULE,
            )


def account_of(mint: Mint, credential: Credential) -> tuple[str, str] | None:
    """Host and client key; None of one that is retired, or does not open."""
    if credential.retired_us is not None:
        return None
    try:
        return credential.base_url, mint.opened_client_key(credential)
    except SealBroken:
        return None
