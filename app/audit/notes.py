"""Signed notes and checkpoints: the three lines that stand for a whole log, and who signed them.

Forms of C2SP: signed-note (text, blank line, signature lines) and tlog-checkpoint (origin, size, root), with
Ed25519 keys (algorithm 0x01), as transparency logs and their witnesses read them.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from app.audit.tree import HASH_BYTES
from app.errors import BadSetting, LogBroken, UnknownSigner

ED25519: Final = b"\x01"
"""The algorithm's byte in key ids and verifier keys (C2SP signed-note)."""
_KEY_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_DASH: Final = "\u2014 "
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_RENEWAL: Final = "log key"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name, such as `example.edu/log+1a2b3c4d+ASNFZ4mrze8...`."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first four bytes of the SHA-256 over name, line end, algorithm and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text, for whoever verifies."""
        encoded = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """The key that `vkey` spells; raises BadSetting."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadSetting("A verifier key is written NAME+KEYID+BASE64.") from error
        found = cls(name, data[1:])
        if data[:1] != ED25519 or len(data) != 33 or found.key_id.hex() != key_id:
            raise BadSetting("A verifier key is written NAME+KEYID+BASE64, of an Ed25519 key.")
        return found

    def accepts(self, text: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's, over exactly that text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(slots=True)
class Signer:
    """The log's private key; signs notes under any name, since the name is the log's origin.

    While the key is renewed the former one signs beside the new one. Of those that sign no more the public halves
    stay known, since what they signed is still shown. Whoever holds this object signs with what it holds now.
    """

    signing: tuple[Ed25519PrivateKey, ...] = field(repr=False)
    former: tuple[bytes, ...] = ()

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls((Ed25519PrivateKey.generate(),))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The keys of a PEM file: private ones sign, the first is in force, public ones are former. Raises BadSetting."""
        private: list[Ed25519PrivateKey] = []
        former: list[bytes] = []
        for block in _PEM_BLOCK.finditer(pem):
            try:
                is_public = block[1] == b"PUBLIC KEY"
                key = (
                    load_pem_public_key(block[0])
                    if is_public
                    else load_pem_private_key(block[0], password=None)
                )
            except ValueError as error:
                raise BadSetting("The log's key is no Ed25519 private key in PEM form.") from error
            if isinstance(key, Ed25519PublicKey):
                former.append(_raw(key))
            elif isinstance(key, Ed25519PrivateKey):
                private.append(key)
            else:
                raise BadSetting("The log's key is no Ed25519 private key in PEM form.")
        if not private:
            raise BadSetting("The log's key is no Ed25519 private key in PEM form.")
        return cls(tuple(private), tuple(former))

    @property
    def pem(self) -> bytes:
        """What `from_pem` reads: secret."""
        signing = (
            each.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for each in self.signing
        )
        former = (
            Ed25519PublicKey.from_public_bytes(each).public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
            for each in self.former
        )
        return b"".join((*signing, *former))

    @property
    def is_being_renewed(self) -> bool:
        """Whether a former key still signs beside the one in force."""
        return len(self.signing) > 1

    def followed_by(self, fresh: "Signer") -> "Signer":
        """The new key in force, with this one beside it."""
        return Signer((*fresh.signing, *self.signing), self.former)

    def alone(self) -> "Signer":
        """The key in force, with all others former."""
        in_force, *others = self.signing
        return Signer((in_force,), (*(_raw(each.public_key()) for each in others), *self.former))

    def become(self, other: "Signer") -> None:
        """Sign with the keys of `other` from now on."""
        self.signing, self.former = other.signing, other.former

    def verifier(self, name: str) -> Verifier:
        """Who verifies what the key in force signs under that name."""
        return Verifier(name, _raw(self.signing[0].public_key()))

    def verifiers(self, name: str) -> list[Verifier]:
        """Who verifies what is signed now: one of them is enough."""
        return [Verifier(name, _raw(each.public_key())) for each in self.signing]

    def known(self, name: str) -> list[Verifier]:
        """The same, with those of former keys after them: for what was signed at any time."""
        return [*self.verifiers(name), *(Verifier(name, each) for each in self.former)]

    def sign(self, text: bytes, name: str) -> bytes:
        """The note: `text`, which ends in a line end, a blank line and a signature line of each key."""
        lines = []
        for private in self.signing:
            key_id = Verifier(name, _raw(private.public_key())).key_id
            encoded = base64.b64encode(key_id + private.sign(text)).decode()
            lines.append(f"{_DASH}{name} {encoded}\n")
        return text + b"\n" + "".join(lines).encode()

    def sign_renewal(self, name: str) -> bytes:
        """A note in which the former key and the one in force say that the latter is to be believed."""
        return self.sign(f"{name}\n{_RENEWAL}\n{self.verifier(name).vkey}\n".encode(), name)


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log of `origin` had `size` leaves whose tree has this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\n".encode()

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """The checkpoint in the text of a note; further lines are extensions. Raises LogBroken."""
        lines = text.decode("utf-8", "replace").split("\n")
        if len(lines) < 4 or lines[-1]:
            raise LogBroken("A checkpoint has an origin, a size and a root, each on a line.")
        origin, size, root = lines[:3]
        try:
            decoded = base64.b64decode(root, validate=True)
        except (binascii.Error, ValueError) as error:
            raise LogBroken("A checkpoint's root is not base64.") from error
        is_number = size.isascii() and size.isdigit() and (size == "0" or not size.startswith("0"))
        if not origin or not is_number or len(decoded) != HASH_BYTES:
            raise LogBroken("A checkpoint has an origin, a size and a root of 32 bytes.")
        return cls(origin, int(size), decoded)


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint with the note that it came in, to be shown and compared later."""

    checkpoint: Checkpoint
    note: bytes

    @classmethod
    def parse(cls, note: bytes) -> Self:
        """Whoever signed it; raises LogBroken where it is no note of a checkpoint."""
        return cls(Checkpoint.parse(text_of(note)), note)


def text_of(note: bytes) -> bytes:
    """What a note's signatures stand for: all before its blank line. Raises LogBroken."""
    text, blank, _ = note.partition(b"\n\n")
    if not blank:
        raise LogBroken("This is no signed note.")
    return text + b"\n"


def open_checkpoint(note: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint in `note`, if one of the keys signed it; raises LogBroken, UnknownSigner where none did.

    Signatures by keys that are not known say nothing and are passed over, as C2SP has it.
    """
    text = text_of(note)
    signatures = note[len(text) + 1 :]
    checkpoint = Checkpoint.parse(text)
    for line in signatures.decode("utf-8", "replace").splitlines():
        name, _, encoded = line.removeprefix(_DASH).rpartition(" ")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise LogBroken("A signature line of the note is malformed.") from error
        if not line.startswith(_DASH) or len(signature) < _KEY_ID_BYTES:
            raise LogBroken("A signature line of the note is malformed.")
        key_id, signed = signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:]
        for each in verifiers:
            if (each.name, each.key_id) == (name, key_id):
                if len(signed) != _SIGNATURE_BYTES or not each.accepts(text, signed):
                    raise LogBroken(f"The signature of {name} on the checkpoint does not hold.")
                return checkpoint
    raise UnknownSigner("No known key signed this checkpoint.")
