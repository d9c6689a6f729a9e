"""Secrets and held data at rest: one master key, data keys wrapped by it, and values sealed by those.

AES-256-GCM throughout. The master key itself only ever feeds HKDF-SHA256, so that no two purposes share
a key. Whoever holds a sealed value and the database, but not the master key, learns its length alone.
"""

import base64
import binascii
import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import BadSetting, Misconfigured

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
# NIST SP 800-38D, section 8.2: 96 bits; section 8.3: at most 2^32 random nonces under one key.
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_OVERHEAD_BYTES: Final = len(_VERSION) + _NONCE_BYTES + _TAG_BYTES
_HEX_DIGITS: Final = 2 * KEY_BYTES
_MAX_KEY_FILE_BYTES: Final = 4096
_WRAPPING: Final = "wrap data keys"
# 32 random bytes hold fewer than 8 different values with a probability below 2^-150: a placeholder.
_FEWEST_DIFFERENT_BYTES: Final = 8


class SealBroken(Misconfigured):
    """A sealed value does not open: altered, moved to another place, or sealed under another key."""

    code = "seal_broken"
    exit_code = 1


class MasterKey:
    """The 32 bytes from which every other key comes; shown nowhere, compared with nothing.

    A key that took another's place keeps some that came of that one, by their purposes: what was made with them
    cannot be made anew. One that is `installed` knows its file, and follows when another takes its place there.
    """

    __slots__ = ("_file", "_kept", "_raw")

    def __init__(
        self, raw: bytes, *, kept: Mapping[str, bytes] = MappingProxyType({}), file: Path | None = None
    ) -> None:
        if len(raw) != KEY_BYTES:
            raise BadSetting(f"A master key has {KEY_BYTES} bytes, not {len(raw)}.")
        if len(set(raw)) < _FEWEST_DIFFERENT_BYTES:
            raise BadSetting(
                "The master key is a placeholder, not random bytes; make one with `bursar init`."
            )
        self._raw = raw
        self._kept = dict(kept)
        self._file = file

    def __repr__(self) -> str:
        return "MasterKey(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("A master key is not pickled.")

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name this key in rows and logs and tell nothing about it."""
        return derive(self, "fingerprint")[:8].hex()

    @property
    def kept(self) -> Mapping[str, bytes]:
        """Keys by purpose that came of an earlier master key."""
        return MappingProxyType(self._kept)

    @classmethod
    def installed(cls, path: Path) -> Self:
        """The key in `path`, and whichever takes its place there later. Raises what `from_file` does."""
        return cls.from_file(where_it_lies(path), follows=True)

    def others(self) -> list["MasterKey"]:
        """The keys that now stand in its file and in the one beside it, other than this one."""
        if self._file is None:
            return []
        # Once more at the end, since the second may have taken the place of the first meanwhile.
        found = (_read_or_none(path) for path in (self._file, following(self._file), self._file))
        return [each for each in found if each is not None and each._raw != self._raw]  # noqa: SLF001

    def newest(self) -> "MasterKey":
        """The key that its file holds now; this one where that cannot be read."""
        found = None if self._file is None else _read_or_none(self._file)
        return self if found is None or found._raw == self._raw else found  # noqa: SLF001

    def stamps(self) -> tuple[object, ...]:
        """What is another whenever another key stands in its file, or in the one beside it."""
        return () if self._file is None else (_stamp(self._file), _stamp(following(self._file)))

    @classmethod
    def from_file(cls, path: Path, *, follows: bool = False) -> Self:
        """The key in `path`: 32 bytes as base64 (either alphabet) or as 64 hexadecimal digits.

        Keys that it keeps may follow, a purpose, an equals sign and base64 on each line. Raises BadSetting if the file is missing, readable by others, or holds anything else.
        """
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                text = file.read(_MAX_KEY_FILE_BYTES + 1)
        except OSError as error:
            raise BadSetting(f"The key file {path} cannot be read: {error.strerror}.") from error
        if is_exposed(status.st_mode, owner=status.st_uid, reader=os.geteuid()):
            mode = stat.S_IMODE(status.st_mode)
            raise BadSetting(
                f"The key file {path} is open to others (mode {mode:04o}); run chmod 0400 on it."
            )
        first, *rest = text.strip().splitlines() or [b""]
        pairs = [line.decode("utf-8", "replace").partition("=") for line in rest]
        kept = {purpose: _key_bytes(value.strip().encode(), path) for purpose, _, value in pairs}
        return cls(_key_bytes(first.strip(), path), kept=kept, file=path if follows else None)

    @classmethod
    def write_new(cls, path: Path, *, kept: Mapping[str, bytes] = MappingProxyType({})) -> Self:
        """A fresh random key, durable in `path` (base64, mode 0400) when this returns, with those that it keeps.

        Raises BadSetting if the file is there already, since overwriting it would lose all sealed data.
        """
        raw = secrets.token_bytes(KEY_BYTES)
        try:
            lines = [base64.b64encode(raw)]
            lines += (f"{purpose}=".encode() + base64.b64encode(key) for purpose, key in kept.items())
            _write_once(path, b"\n".join(lines) + b"\n")
        except FileExistsError as error:
            raise BadSetting(f"The key file {path} exists; it is never overwritten.") from error
        except OSError as error:
            raise BadSetting(f"The key file {path} cannot be written: {error.strerror}.") from error
        return cls(raw, kept=kept)


def where_it_lies(path: Path) -> Path:
    """The key file behind a link, as a mounted secret is linked to; a key that is renewed has to be renewed there.

    One link is followed and no more: what a mounted secret's own links lead to changes with each of its versions.
    """
    return path.parent / path.readlink() if path.is_symlink() else path


def following(path: Path) -> Path:
    """Where the key lies that is to take the place of the one in `path`."""
    return path.with_name(path.name + ".next")


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _read_or_none(path: Path) -> MasterKey | None:
    try:
        return MasterKey.from_file(path, follows=True)
    except BadSetting:
        return None


def is_exposed(mode: int, *, owner: int, reader: int) -> bool:
    """Whether a key file of this mode and owner may be read by someone other than `reader` (user ids).

    A group bit is accepted on a file of root's that is read as someone else and only that bit is set: so
    does Kubernetes hand a secret to a process that is not root (`fsGroup`), and there is no other way.
    """
    others = stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO)
    handed_over = others == stat.S_IRGRP and owner == 0 and reader != 0
    return others != 0 and not handed_over


def derive(master: MasterKey, purpose: str) -> bytes:
    """32 bytes for one purpose, the same each time: HKDF-SHA256 (RFC 5869), the purpose as its info.

    Of a purpose for which the key keeps an earlier one, that one.
    """
    kept = master.kept.get(purpose)
    if kept is not None:
        return kept
    info = b"bursar/1/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master._raw)  # noqa: SLF001


class Succession:
    """The keys of one purpose that count at a moment: the first makes, each of them is accepted."""

    def __init__(self, master: MasterKey, purpose: str) -> None:
        self._master = master
        self._purpose = purpose
        self._seen: tuple[object, ...] = ()
        self._holders: list[MasterKey] = [master]

    def __call__(self, now_s: int) -> list[bytes]:
        """Those of the key in force, of one that is about to follow it, and of those before whose time is not over."""
        seen = self._master.stamps()
        if seen != self._seen:
            newest = self._master.newest()
            self._holders = [newest, *(each for each in newest.others() if each is not newest)]
            self._seen = seen
        found = [derive(each, self._purpose) for each in self._holders]
        for each in self._holders:
            for name, key in each.kept.items():
                purpose, _, until_s = name.partition(UNTIL)
                if purpose == self._purpose and until_s and now_s < int(until_s):
                    found.append(key)
        return found


UNTIL: Final = " until "
"""Between a purpose and the second up to which a former key of it counts."""


def new_data_key() -> bytes:
    """32 fresh random bytes; keep them wrapped, and good for 2^32 seals."""
    return secrets.token_bytes(KEY_BYTES)


def wrap(master: MasterKey, data_key: bytes, aad: bytes) -> bytes:
    """The data key, sealed by the master key as it now stands; `aad` names the row and column it is stored in."""
    return seal(derive(master.newest(), _WRAPPING), data_key, aad)


def unwrap(master: MasterKey, wrapped: bytes, aad: bytes) -> bytes:
    """The data key again, also where another master key has taken this one's place. Raises SealBroken."""
    try:
        return open_sealed(derive(master, _WRAPPING), wrapped, aad)
    except SealBroken:
        for other in master.others():
            with contextlib.suppress(SealBroken):
                return open_sealed(derive(other, _WRAPPING), wrapped, aad)
        raise


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """A version byte, a random 12-byte nonce and the AES-256-GCM ciphertext with its 16-byte tag."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(_checked(key)).encrypt(nonce, plaintext, aad)


def open_sealed(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext, if `sealed` was made with this key and this `aad`, to the byte. Raises SealBroken."""
    if len(sealed) < _OVERHEAD_BYTES or sealed[:1] != _VERSION:
        raise SealBroken("A sealed value is cut short or of an unknown version.")
    nonce = sealed[1 : 1 + _NONCE_BYTES]
    try:
        return AESGCM(_checked(key)).decrypt(nonce, sealed[1 + _NONCE_BYTES :], aad)
    except InvalidTag as error:
        raise SealBroken("A sealed value was altered, moved, or sealed under another key.") from error


def blinder(data_key: bytes) -> Callable[[str], bytes]:
    """Makes 32 bytes of any text: HMAC-SHA256 with a key derived from this data key.

    Derived, since a key that seals must do nothing else (NIST SP 800-57 part 1, section 5.2).
    """
    key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"bursar/1/blinding").derive(
        _checked(data_key)
    )
    keyed = HMAC(key, SHA256())

    def blinded(text: str) -> bytes:
        # A page has hundreds of names, and a copy takes a third of the time of starting anew.
        of_text = keyed.copy()
        of_text.update(text.encode("utf-8", "surrogatepass"))
        return of_text.finalize()

    return blinded


def aad(*parts: str) -> bytes:
    """Associated data that no other list of parts yields: each part after its length in 4 bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:  # AESGCM would take 16 and 24 bytes as well
        raise ValueError(f"A key has {KEY_BYTES} bytes.")
    return key


def _key_bytes(text: bytes, path: Path) -> bytes:
    try:
        if len(text) == _HEX_DIGITS:
            return binascii.unhexlify(text)
        standard = text.translate(bytes.maketrans(b"-_", b"+/"))
        padded = standard.rstrip(b"=") + b"=" * (-len(standard.rstrip(b"=")) % 4)
        raw = binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raw = b""
    if len(raw) != KEY_BYTES:
        # Says nothing of the contents: whatever stands there may be a secret.
        raise BadSetting(
            f"The key file {path} does not hold {KEY_BYTES} bytes as base64 or hexadecimal text."
        )
    return raw


def _write_once(path: Path, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
