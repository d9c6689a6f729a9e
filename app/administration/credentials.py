"""The upstream credential at rest: a data key of its own, wrapped by the master key, and two sealed values.

The seals name the row, the column and the host, so a value that is copied to another row, or a row whose
host was edited in the database, does not open: the secret cannot be led to another server.
"""

import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from app.sealing import MasterKey, aad, derive, new_data_key, open_sealed, seal, unwrap, wrap

_USUAL_PORTS: Final = {"http": 80, "https": 443}

DIGEST_PURPOSE: Final = "digest of upstream secrets"
"""What the key of digests of upstream secrets is derived for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredential:
    """The columns of a credential's row that hold sealed values."""

    wrapped_key: bytes = field(repr=False)
    sealed_client_key: bytes = field(repr=False)
    sealed_client_secret: bytes = field(repr=False)
    secret_digest: bytes = field(repr=False)


def data_key_aad(kind: str, object_id: str) -> bytes:
    """What binds a wrapped data key to its row: `project` or `credential`, and the row's id."""
    return aad(kind, object_id, "data key")


def new_wrapped_key(master: MasterKey, kind: str, object_id: str) -> bytes:
    """A fresh data key for a project or a credential, wrapped for its row."""
    return wrap(master, new_data_key(), data_key_aad(kind, object_id))


def seal_credential(
    master: MasterKey,
    *,
    credential: str,
    base_url: str,
    client_key: str,
    client_secret: str,
    wrapped_key: bytes | None = None,
) -> SealedCredential:
    """The client key and secret, sealed for that row and host.

    With `wrapped_key` the row keeps its data key, under which held answers may be sealed as well; raises
    SealBroken if that key is not this row's.
    """
    wrapped_key = wrapped_key or new_wrapped_key(master, "credential", credential)
    data_key = unwrap(master, wrapped_key, data_key_aad("credential", credential))
    return SealedCredential(
        wrapped_key=wrapped_key,
        sealed_client_key=seal(data_key, client_key.encode(), _place(credential, "client_key", base_url)),
        sealed_client_secret=seal(
            data_key, client_secret.encode(), _place(credential, "client_secret", base_url)
        ),
        secret_digest=secret_digest(master, client_key, client_secret),
    )


def open_credential(
    master: MasterKey, sealed: SealedCredential, *, credential: str, base_url: str
) -> tuple[str, str]:
    """The client key and the client secret in the clear. Raises SealBroken."""
    data_key = unwrap(master, sealed.wrapped_key, data_key_aad("credential", credential))
    client_key = open_sealed(data_key, sealed.sealed_client_key, _place(credential, "client_key", base_url))
    client_secret = open_sealed(
        data_key, sealed.sealed_client_secret, _place(credential, "client_secret", base_url)
    )
    return client_key.decode(), client_secret.decode()


def secret_digest(master: MasterKey, client_key: str, client_secret: str) -> bytes:
    """32 bytes by which a changed key or secret is noticed without opening the one that is kept."""
    return hmac.digest(derive(master, DIGEST_PURPOSE), aad(client_key, client_secret), "sha256")


def check_base_url(text: str) -> str:
    """The origin of a platform: scheme, host and port.

    Good: `https://open.tiktokapis.com`, `http://127.0.0.1:8081`. Bad: `http://open.tiktokapis.com`,
    `https://host/path`. Raises ValueError saying what would be right.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must be a URL such as https://open.tiktokapis.com")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be scheme and host alone, such as https://open.tiktokapis.com")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https; http is for hosts on loopback alone, such as http://127.0.0.1:8081")
    shown = f"[{host}]" if ":" in host else host
    is_usual = port in {None, _USUAL_PORTS[parts.scheme]}
    return f"{parts.scheme}://{shown}" + ("" if is_usual else f":{port}")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself: 127.0.0.0/8, ::1 or localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _place(credential: str, column: str, base_url: str) -> bytes:
    return aad("credential", credential, column, base_url)
