"""What is made rather than computed: ids, keys, seals and digests."""

from dataclasses import dataclass, field
from typing import Final, Self

from app.administration.credentials import (
    SealedCredential,
    new_wrapped_key,
    open_credential,
    seal_credential,
    secret_digest,
)
from app.administration.state import Credential
from app.identity.keys import client_key, digest, new_key_id, new_secret
from app.ids import KeyId, new_object_id
from app.sealing import MasterKey, derive

PEPPER_PURPOSE: Final = "digests of keys"
"""What the pepper of keys and tokens is derived for; whoever reads digests derives it for the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A fresh secret of a key, to be shown once, and what is kept of it."""

    text: str = field(repr=False)
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """Makes whatever needs chance or the master key, so that comparing and planning need neither."""

    master: MasterKey = field(repr=False)
    pepper: bytes = field(repr=False)

    @classmethod
    def of(cls, master: MasterKey) -> Self:
        """The mint of an installation."""
        return cls(master=master, pepper=derive(master, PEPPER_PURPOSE))

    def object_id(self) -> str:
        """A fresh id for a row."""
        return new_object_id()

    def key_id(self) -> KeyId:
        """A fresh id for a key or a token."""
        return new_key_id()

    def client_key(self, key_id: str) -> str:
        """The public half of a key, which clients send as `client_key`."""
        return client_key(KeyId(key_id))

    def secret(self, key_id: str) -> Secret:
        """A fresh secret for a key or a token."""
        text = new_secret(KeyId(key_id))
        return Secret(text=text, digest=digest(self.pepper, text))

    def wrapped_key(self, kind: str, object_id: str) -> bytes:
        """A fresh data key for a project or a credential, wrapped for its row."""
        return new_wrapped_key(self.master, kind, object_id)

    def secret_digest(self, client_key: str, client_secret: str) -> bytes:
        """By which a changed upstream key or secret is noticed."""
        return secret_digest(self.master, client_key, client_secret)

    def seal(
        self,
        *,
        credential: str,
        base_url: str,
        client_key: str,
        client_secret: str,
        wrapped_key: bytes | None,
    ) -> SealedCredential:
        """An upstream key and secret, sealed for that row and host."""
        return seal_credential(
            self.master,
            credential=credential,
            base_url=base_url,
            client_key=client_key,
            client_secret=client_secret,
            wrapped_key=wrapped_key,
        )

    def opened_client_key(self, credential: Credential) -> str:
        """The client key that a credential has now. Raises SealBroken."""
        return open_credential(
            self.master, credential.sealed, credential=credential.id, base_url=credential.base_url
        )[0]
