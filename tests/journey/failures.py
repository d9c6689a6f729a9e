"""Table 3: what goes wrong on the platform's side, on every endpoint, and how the client hears of it.

The items are the numbers of the list of what the gateway must do. Costs are those of the simulator's own count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.journey.questions import DOWNLOAD, EVERY, Question, varied
from tests.journey.refusals import BY_QUOTA, BY_THROTTLE, unasked

_number = count()
WHEN_BACK = (5, 30)

Fault = Mapping[str, Any]
EXPIRED: Fault = {"status": 401}
NO_NEW_TOKEN: Fault = {"endpoint": "oauth/token", "status": 500}
SORRY, SORRY_TOO = (
    "Something is wrong. Please try again later.",
    "Something went wrong. Please try again later.",
)


def fresh(question: Question) -> Question:
    """A question that has an answer, in a way in which nobody has asked it."""
    return varied(question, next(_number))


def says(status: int, code: str, message: str) -> tuple[Fault]:
    return ({"status": status, "code": code, "message": message},)


def page(status: int) -> tuple[Fault]:
    return ({"status": status, "html": True},)


@dataclass(frozen=True, slots=True)
class Failing:
    """One line: on which endpoints, what the simulator is told to do, and what the client is answered."""

    item: str
    says: str
    where: Sequence[str]
    faults: Sequence[Fault]
    """Each for one call, in turn."""
    status: int
    code: str
    message: str
    """The whole of it, or its beginning where it ends in three dots."""
    cost: int = 1
    wait: tuple[int, int] | None = None
    asks: Callable[[Question], Question] = unasked
    is_alone: bool = False
    """Whether it concerns all calls with the credential from then on, so that each has one to itself."""


# fmt: off
FAILURES = (
    Failing("2", "HTML 500", EVERY, page(500), 500, "internal_error", "The platform answered 500 with an unusable body..."),
    Failing("2", "HTML 502", EVERY, page(502), 502, "internal_error", "The platform answered 502 with an unusable body..."),
    Failing("2", "HTML 503", EVERY, page(503), 503, "internal_error", "The platform answered 503 with an unusable body..."),
    Failing("2", "HTML 504", EVERY, page(504), 504, "internal_error", "The platform answered 504 with an unusable body..."),
    Failing("2", "HTML 429", EVERY, page(429), 429, "rate_limit_exceeded", "The platform answered 429...",
            wait=BY_THROTTLE, is_alone=True),
    Failing("2", "an answer that breaks off", EVERY, ({"cut_body": True},), 504, "internal_error",
            "The platform did not answer (the platform did not finish its answer: ..."),
    Failing("10", "a token that expired", EVERY, (EXPIRED,), 200, "ok", "", asks=fresh),
    Failing("10", "a token that is refused for good", EVERY, (EXPIRED, EXPIRED), 503, "internal_error",
            "The platform does not accept the institution's credential at the moment. ...", cost=0, wait=WHEN_BACK),
    Failing("10", "no new token", EVERY, (EXPIRED, NO_NEW_TOKEN), 503, "internal_error",
            "The platform could not be reached (the token endpoint answered 500: ...", cost=0, wait=WHEN_BACK),
    Failing("10", "no scope, as 401", EVERY, says(401, "scope_not_authorized", "The scope is not authorized."), 400,
            "scope_not_authorized", "The scope is not authorized.", cost=0),
    Failing("10", "no scope for some fields", EVERY, says(400, "scope_permission_missed", "The scope is missed."), 400,
            "scope_not_authorized", "The scope is missed."),
    Failing("12", "the day's quota is gone", EVERY, ({"status": 429, "code": "daily_quota_limit_exceeded"},), 429,
            "daily_quota_limit_exceeded", "The daily quota is used up; it starts anew at 00:00 UTC.",
            wait=BY_QUOTA, is_alone=True),
    Failing("12", "too many calls in a short time", EVERY, ({"status": 429, "code": "rate_limit_exceeded"},), 429,
            "rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.",
            wait=BY_THROTTLE, is_alone=True),
    Failing("15", "Search Id", EVERY, says(400, "invalid_params", "Search Id 7612400000000000001 is invalid or expired"),
            400, "invalid_params", "Search Id 7612400000000000001 is invalid or expired"),
    Failing("15", "count or cursor", EVERY, says(400, "invalid_params", "Invalid count or cursor"),
            400, "invalid_params", "Invalid count or cursor"),
    Failing("15", "unknown user", EVERY, says(400, "invalid_params", "Username x is invalid: cannot find the user"),
            400, "invalid_params", "Username x is invalid: cannot find the user"),
    Failing("15", "user not shown", EVERY, says(400, "invalid_params", "API cannot return this user's information"),
            400, "invalid_params", "API cannot return this user's information"),
    Failing("15", "private", EVERY, says(400, "invalid_params", "User x is private"), 400, "invalid_params", "User x is private"),
    Failing("15", "not public", EVERY, says(403, "access_denied", "information cannot be returned"),
            403, "access_denied", "information cannot be returned"),
    Failing("15", "not found", EVERY, says(404, "not_found", "There is nothing."), 404, "not_found", "There is nothing."),
    Failing("15", "wrong", EVERY, says(500, "internal_error", SORRY), 500, "internal_error", SORRY),
    Failing("15", "wrong, as 400", EVERY, says(400, "internal_error", SORRY), 502, "internal_error", SORRY),
    Failing("15", "went wrong", EVERY, says(503, "internal_error", SORRY_TOO), 503, "internal_error", SORRY_TOO),
    Failing("15", "too late", EVERY, says(504, "timeout", SORRY_TOO), 504, "timeout", SORRY_TOO),
    Failing("15", "an unknown code", EVERY, says(400, "invalid_file_upload", "Line 3 is no id"), 400,
            "invalid_file_upload", "Line 3 is no id"),
    Failing("2", "415 of the platform's", EVERY, says(415, "invalid_params", "No such media type."), 400,
            "invalid_params", "No such media type."),
    Failing("2", "422 of the platform's", EVERY, says(422, "invalid_request", "No such thing."), 400,
            "invalid_request", "No such thing."),
    Failing("15", "520", EVERY, says(520, "internal_error", SORRY), 520, "internal_error", SORRY),
    Failing("15", "a 500 that is none", [name for name in EVERY if name != DOWNLOAD],
            ({"status": 500, "with_body": True},), 200, "ok", "", asks=fresh),
)
# fmt: on


def of_its_own(line: Failing, name: str) -> str:
    """The name of the project, and of its credential, that such a case has to itself."""
    return f"{line.says} on {name.replace('/', ' ')}"


ALONE = tuple(of_its_own(line, name) for line in FAILURES if line.is_alone for name in line.where)
