"""The state file with everything that it points at read: what the comparison works on."""

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from app.administration.credentials import is_loopback
from app.administration.desired import (
    DesiredCredential,
    DesiredPerson,
    DesiredProject,
    DesiredTerms,
    DesiredValue,
    LimitKey,
    StateFile,
    malformed,
    parse_state_file,
)
from app.policy.engine import Mode
from app.settings import is_placeholder

_MOST_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCredential:
    """A credential with its secret in the clear; `repr` does not show it."""

    name: str
    base_url: str
    client_key: str = field(repr=False)
    client_secret: str = field(repr=False)
    limits: Mapping[LimitKey, int]
    roster_limit: int
    permission: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTerms:
    """A version of the terms with its text."""

    version: str
    title: str
    text: str = field(repr=False)
    text_sha256: str
    source: str
    in_force_from: dt.date
    grace_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAcceptance:
    """An acceptance with what identifies its evidence."""

    version: str
    on: dt.date
    evidence_name: str
    evidence_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPerson:
    """A person and what they accepted."""

    email: str
    name: str
    roles: tuple[str, ...]
    accepted: Sequence[WantedAcceptance]
    returning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What shall be; None for a section that the file does not speak about."""

    credentials: Sequence[WantedCredential] | None = None
    terms: Sequence[WantedTerms] | None = None
    people: Sequence[WantedPerson] | None = None
    projects: Sequence[DesiredProject] | None = None
    rules: Mapping[str, Mode] | None = None
    values: Mapping[str, Sequence[DesiredValue]] | None = None


def read_state_file(path: Path, environ: Mapping[str, str] | None = None) -> Wanted:
    """What the file at `path` asks for; paths in it are relative to it, variables are those of `environ`.

    Raises InvalidParams, which names the place in the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise malformed(str(path), f"cannot be read ({_reason(error)})") from error
    environ = os.environ if environ is None else environ
    return gather(parse_state_file(text), _reader(path.parent), environ)


def gather(file: StateFile, read: Callable[[str, str], bytes], environ: Mapping[str, str]) -> Wanted:
    """The state file with its files and variables; `read` takes a place to blame and a path."""
    return Wanted(
        credentials=None
        if file.credentials is None
        else [_credential(each, read, environ) for each in file.credentials],
        terms=None if file.terms is None else [_terms(each, read) for each in file.terms],
        people=None if file.people is None else [_person(each, read) for each in file.people],
        projects=file.projects,
        rules=file.rules,
        values=file.values,
    )


def check_secret(place: str, secret: str, *, base_url: str) -> str:
    """The secret without blanks around it; raises InvalidParams when it is empty or a placeholder.

    A simulator on loopback may have any secret.
    """
    stripped = secret.strip()
    is_practice = is_loopback(urlsplit(base_url).hostname or "")
    if not stripped or (is_placeholder(stripped) and not is_practice):
        raise malformed(place, "this is empty or a placeholder; put the real secret there")
    if not stripped.isprintable() or not stripped.isascii():
        raise malformed(place, "a secret is one line of printable ASCII characters")
    return stripped


def _credential(
    each: DesiredCredential, read: Callable[[str, str], bytes], environ: Mapping[str, str]
) -> WantedCredential:
    place = f"credentials ({each.name})"
    if each.client_secret_file is not None:
        where = f"{place}.client_secret_file"
        secret = _decoded(where, read(where, each.client_secret_file))
    else:
        where = f"{place}.client_secret_env"
        name = each.client_secret_env or ""
        if name not in environ:
            raise malformed(where, f"the variable {name} is not set")
        secret = environ[name]
    permission: dict[str, Any] = {}
    if each.permission is not None:
        permission["reference"] = each.permission.reference
        if each.permission.file is not None:
            data = read(f"{place}.permission.file", each.permission.file)
            permission["file"] = Path(each.permission.file).name
            permission["sha256"] = hashlib.sha256(data).hexdigest()
    return WantedCredential(
        name=each.name,
        base_url=each.base_url,
        client_key=check_secret(f"{place}.client_key", each.client_key, base_url=each.base_url),
        client_secret=check_secret(where, secret, base_url=each.base_url),
        limits=each.limits,
        roster_limit=each.roster_limit,
        permission=permission,
    )


def _terms(each: DesiredTerms, read: Callable[[str, str], bytes]) -> WantedTerms:
    place = f"terms ({each.version}).text_file"
    data = read(place, each.text_file)
    text = _decoded(place, data)
    if not text.strip():
        raise malformed(place, "this file is empty; nobody can accept terms without a text")
    return WantedTerms(
        version=each.version,
        title=each.title,
        text=text,
        text_sha256=hashlib.sha256(text.encode()).hexdigest(),
        source=each.source or "",
        in_force_from=each.in_force_from,
        grace_days=each.grace_days,
    )


def _person(each: DesiredPerson, read: Callable[[str, str], bytes]) -> WantedPerson:
    return WantedPerson(
        email=each.email,
        name=each.name,
        roles=tuple(sorted({str(role) for role in each.roles})),
        returning=each.returning,
        accepted=[
            WantedAcceptance(
                version=accepted.version,
                on=accepted.on,
                evidence_name=Path(accepted.evidence_file).name,
                evidence_sha256=hashlib.sha256(
                    read(
                        f"people ({each.email}).accepted ({accepted.version}).evidence_file",
                        accepted.evidence_file,
                    )
                ).hexdigest(),
            )
            for accepted in each.accepted
        ],
    )


def _reader(directory: Path) -> Callable[[str, str], bytes]:
    def read(place: str, path: str) -> bytes:
        try:
            with (directory / path).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            raise malformed(place, f"the file {path} cannot be read ({_reason(error)})") from error
        if len(data) > _MOST_BYTES:
            raise malformed(place, f"the file {path} is larger than {_MOST_BYTES >> 20} MiB")
        return data

    return read


def _decoded(place: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise malformed(place, "this file is not UTF-8 text") from error


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__
