"""One account of the platform is one credential: its quota is counted once, and its roster is one roster."""

from collections.abc import Iterable
from typing import Final

from app.administration.minting import Mint
from app.administration.state import Credential
from app.errors import InvalidParams, NotPermitted
from app.sealing import SealBroken

RULE: Final = "one-account"
TWO_PERSON: Final = "two-person"


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


def require_same_account(
    mint: Mint, credentials: Iterable[Credential], *, name: str, base_url: str, client_key: str
) -> None:
    """Return if the credential in use of that name stays the account that it is; raises NotPermitted.

    For two-person control: another account under its name would have its limits with nobody's consent. The only credential
    that there ever was may change, since no account had another limit; so may one that does not open.
    """
    credentials = list(credentials)
    old = next((each for each in credentials if each.name == name and each.retired_us is None), None)
    account = None if old is None else account_of(mint, old)
    if account in {None, (base_url, client_key)} or len(credentials) == 1:
        return
    raise NotPermitted(
        f"credentials ({name}): under two-person control a credential stays the account that it is. Add the other account "
        "as a credential of its own, which a second administrator confirms, and give it to the projects.",
        rule=TWO_PERSON,
    )


def account_of(mint: Mint, credential: Credential) -> tuple[str, str] | None:
    """Host and client key; None of one that is retired, or does not open."""
    if credential.retired_us is not None:
        return None
    try:
        return credential.base_url, mint.opened_client_key(credential)
    except SealBroken:
        return None
