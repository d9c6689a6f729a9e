"""What people are to be told: noted in the transaction in which it happens, sent afterwards by a job.

A *notice* is that something happened, by ids alone; its own id says what, so that the same is noted once. A
*message* is a notice in words, with whom it concerns. A *channel* carries messages: log lines, a webhook, mail.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from app.administration.state import Project
from app.audit.entries import Value

_DAYS_BEFORE_END: Final = (7, 30)


class Kind(StrEnum):
    """What happened."""

    THRESHOLD = "threshold"
    REQUEST_MADE = "request_made"
    REQUEST_DECIDED = "request_decided"
    CREDENTIAL_REFUSED = "credential_refused"
    PLATFORM_SPENT = "platform_spent"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    APPROVAL_ENDING = "approval_ending"
    VERIFICATION_FAILED = "verification_failed"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_OF_DAY = "checkpoint_of_day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """That something happened; `about` names people, projects and credentials by their ids alone."""

    id: str
    kind: Kind
    about: Mapping[str, Value]


def credential_refused(credential: str, day: dt.date) -> Notice:
    """The platform did not take a credential; told once a UTC day."""
    return Notice(
        id=f"credential:{credential}:{day}", kind=Kind.CREDENTIAL_REFUSED, about={"credential": credential}
    )


def platform_spent(credential: str, family: str, day: dt.date, *, calls: int, records: int) -> Notice:
    """The platform called the day of one of its counters used up, when Bursar had counted so much."""
    about: dict[str, Value] = {
        "credential": credential,
        "family": family,
        "day": day.isoformat(),
        "calls": calls,
        "records": records,
    }
    return Notice(id=f"platform:{credential}:{family}:{day}", kind=Kind.PLATFORM_SPENT, about=about)


def request_made(request: str) -> Notice:
    """Somebody asked for more."""
    return Notice(id=f"request:{request}:made", kind=Kind.REQUEST_MADE, about={"request": request})


def request_decided(request: str) -> Notice:
    """A request for more was granted or refused."""
    return Notice(id=f"request:{request}:decided", kind=Kind.REQUEST_DECIDED, about={"request": request})


def frozen(freeze: str) -> Notice:
    """Something was stopped."""
    return Notice(id=f"freeze:{freeze}:on", kind=Kind.FROZEN, about={"freeze": freeze})


def unfrozen(freeze: str) -> Notice:
    """Something goes on."""
    return Notice(id=f"freeze:{freeze}:off", kind=Kind.UNFROZEN, about={"freeze": freeze})


def approvals_ending(projects: Iterable[Project], today: dt.date) -> list[Notice]:
    """Approvals that end within thirty days, or within seven; each told once for each of the two."""
    found = []
    for each in projects:
        left = (each.approved_until - today).days
        stage = next((days for days in _DAYS_BEFORE_END if 0 <= left <= days), None)
        if each.retired_us is None and stage is not None:
            until = each.approved_until.isoformat()
            found.append(
                Notice(
                    id=f"approval:{each.id}:{until}:{stage}",
                    kind=Kind.APPROVAL_ENDING,
                    about={"project": each.id, "until": until},
                )
            )
    return found


def verification_failed(verification: str, report: Mapping[str, Any]) -> Notice:
    """A verification of the log found that something was changed or is missing."""
    about: dict[str, Value] = {
        "verification": verification,
        "finding": str(report.get("finding")),
        "problems": len(report.get("problems", ())) + int(report.get("problems_left_out", 0)),
        "entries": int(report.get("size", 0)),
    }
    return Notice(id=f"verification:{verification}", kind=Kind.VERIFICATION_FAILED, about=about)


def checkpoint_signed(*, origin: str, epoch: int, size: int, note: str) -> Notice:
    """The log as it now is, for programs outside to keep."""
    about: dict[str, Value] = {"origin": origin, "size": size, "note": note}
    return Notice(id=f"checkpoint:{epoch}:{size}", kind=Kind.CHECKPOINT, about=about)


def checkpoint_of_day(*, origin: str, size: int, note: str, day: dt.date) -> Notice:
    """The log as it was when a UTC day began, for people to keep."""
    about: dict[str, Value] = {"origin": origin, "size": size, "note": note, "day": day.isoformat()}
    return Notice(id=f"checkpoint-of:{day}", kind=Kind.CHECKPOINT_OF_DAY, about=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notice in words. `subject` and `text` may name people and are for `recipients` (addresses by person id).

    `event` and `data` are for programs and name nobody.
    """

    id: str
    event: str
    at: dt.datetime
    subject: str
    text: str = field(repr=False)
    data: Mapping[str, Value]
    recipients: Mapping[str, str] = field(repr=False)


class Undelivered(Exception):
    """A message did not arrive; `reason` holds neither address nor secret.

    `is_final`: trying again is no use. `is_of_channel`: any other message would have failed alike.
    """

    def __init__(
        self, reason: str, *, is_final: bool = False, is_of_channel: bool = True, retry_after_s: int = 0
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final
        self.is_of_channel = is_of_channel
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """Carries messages, one at a time; a message that is sent twice can be known by its id."""

    @property
    def is_personal(self) -> bool:
        """Whether each recipient gets a message of their own."""
        ...

    async def send(self, message: Message, to: str) -> None:
        """Return when it is delivered, `to` an address where the channel is personal.

        Takes at most `LONGEST_SEND_S`. Raises Undelivered, and nothing else.
        """
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...


LONGEST_SEND_S = 20.0
"""A channel that has not answered by then counts as down."""

GIVE_UP_AFTER = dt.timedelta(days=3)
"""After that nobody needs to be told any more; it stays in the log and in `doctor`."""

_FIRST_WAIT_S = 5
_LONGEST_WAIT_S = 3_600


def wait_s(tries: int, *, asked_s: int = 0) -> int:
    """Seconds to wait after so many tries: 5, 10, 20 and so on to an hour, or as long as was asked for."""
    grown = _FIRST_WAIT_S << min(max(tries - 1, 0), 16)
    return min(max(grown, asked_s), _LONGEST_WAIT_S)
