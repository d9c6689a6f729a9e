"""Looking for entries: names that people know become ids that entries hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from app.administration.state import State
from app.audit.filters import Filter, moment_us
from app.errors import NotFound
from app.identity.keys import key_id_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What somebody looks for, as they write it: names or ids, days or moments."""

    type: str | None = None
    person: str | None = None
    """E-mail address or id."""
    project: str | None = None
    """Name or id."""
    key: str | None = None
    credential: str | None = None
    """Name or id."""
    endpoint: str | None = None
    """Such as `video/query`, or the operation of an entry of administration, such as `key.issued`."""
    verdict: str | None = None
    rule: str | None = None
    """With its version (`date-span/1`), or without for the first."""
    code: str | None = None
    cache: str | None = None
    log_id: str | None = None
    """The platform's own."""
    since: str | None = None
    until: str | None = None
    """The first moment that is not looked at any more."""
    least_requests: int | None = None
    most_requests: int | None = None
    least_records: int | None = None
    most_records: int | None = None
    named: Sequence[tuple[str, str]] = ()
    """What the question names: kinds of `app.provider.naming` with a value each."""


class Tagger(Protocol):
    """Knows under which tags entries may hold an identifier."""

    async def tags(
        self, kind: str, value: str, *, since_us: int | None, until_us: int | None
    ) -> Sequence[str]:
        """The tags of an identifier in entries of these times."""
        ...


async def filter_with_tags(state: State, sought: Sought, tagger: Tagger) -> Filter:
    """The filter that finds it, with the tags of whatever is to be named; raises NotFound and Unavailable."""
    wanted = filter_of(state, sought)
    about = [
        await tagger.tags(kind, value, since_us=wanted.since_us, until_us=wanted.until_us)
        for kind, value in sought.named
    ]
    return replace(wanted, about=tuple(about))


def filter_of(state: State, sought: Sought) -> Filter:
    """The filter that finds it; raises NotFound for a person, project, credential or key that never was."""
    people = {each.id: each.email for each in state.people}
    projects = {each.id: each.name for each in state.projects}
    credentials = {each.id: each.name for each in state.credentials}
    # What runs on this machine has no row in the directory.
    is_local = sought.person is not None and sought.person.startswith("os:")
    person = None if sought.person is None or is_local else sought.person.strip().lower()
    return Filter(
        type=sought.type,
        person=sought.person if is_local else _id_of(people, person, "person"),
        project=_id_of(projects, sought.project, "project"),
        key_id=_key_id(state, sought.key),
        credential=_id_of(credentials, sought.credential, "credential"),
        op=sought.endpoint,
        verdict=sought.verdict,
        rule=sought.rule,
        code=sought.code,
        cache=sought.cache,
        upstream_log_id=sought.log_id,
        least_requests=sought.least_requests,
        most_requests=sought.most_requests,
        least_records=sought.least_records,
        most_records=sought.most_records,
        since_us=None if sought.since is None else moment_us(sought.since),
        until_us=None if sought.until is None else moment_us(sought.until),
    )


def _key_id(state: State, wanted: str | None) -> str | None:
    """The id of a key, of which people know `bsr_live_` before it, and some paste all of it."""
    if wanted is None:
        return None
    key_id = key_id_in(wanted)
    if all(each.id != key_id for each in state.keys):
        raise NotFound(f"There is no key {key_id[:64]!a}, and there was none.")
    return key_id


def _id_of(names: Mapping[str, str], wanted: str | None, what: str) -> str | None:
    """The id of whatever has this id or, in use or the last to have it, this name."""
    if wanted is None or wanted in names:
        return wanted
    found = [each for each, name in names.items() if name == wanted]
    if not found:
        raise NotFound(f"There is no {what} {wanted!a}, and there was none.")
    return found[0]
