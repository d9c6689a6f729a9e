"""A key for the logs of tests."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.notes import Signer
from app.storage.log import Boot

SIGNER = Signer((Ed25519PrivateKey.from_private_bytes(bytes(range(32))),))


def boot(replica: str = "test", run: str = "0" * 16) -> Boot:
    """A run of a process that can sign."""
    return Boot(replica, run, SIGNER)
