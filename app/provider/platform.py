"""The port to the platform: one upstream call, as the gateway needs it."""

from typing import Protocol

from app.errors import UpstreamUnavailable
from app.ids import CredentialId
from app.provider.answers import UpstreamReply
from app.provider.endpoint import Endpoint
from app.provider.outgoing import Outgoing
from app.query import ResearchQuery


class NotDispatched(UpstreamUnavailable):
    """Not one byte of the request was written, so the platform counted nothing; `reason` says why."""

    def __init__(self, reason: str, *, retry_after_s: int = 5) -> None:
        super().__init__(
            f"The platform could not be reached ({reason}); nothing was spent. Please try again later.",
            retry_after_s=retry_after_s,
        )
        self._reason = reason

    @property
    def reason(self) -> str:
        """Why, in a few words without addresses or secrets."""
        return self._reason


class TooLate(NotDispatched):
    """What was reserved for the call held no longer when it was about to be sent."""


class Paced(NotDispatched):
    """Too many calls wait for their turn to go to the platform, or it has asked for a pause."""

    code = "rate_limit_exceeded"

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__("too many calls wait for their turn", retry_after_s=retry_after_s)
        self.message = paced_message(retry_after_s)


def paced_message(retry_after_s: int) -> str:
    """For the caller: that the call was not sent, since the platform takes so many a second and no more."""
    return (
        "Too many calls wait for their turn to go to the platform, which takes only so many a second. Nothing was "
        f"spent. Please ask again in {retry_after_s} s."
    )


class CredentialRefused(NotDispatched):
    """The platform gave no token for the institution's credential: its key or secret does not hold there."""


class OutcomeUnknown(UpstreamUnavailable):
    """The request was written, wholly or in part, and no usable answer came: all that was reserved stays spent."""

    def __init__(self, reason: str, *, retry_after_s: int = 5) -> None:
        super().__init__(
            f"The platform did not answer ({reason}); the call counts as spent, since the platform may have "
            "counted it. Please try again later, or ask for a shorter date range.",
            retry_after_s=retry_after_s,
        )
        self._reason = reason

    @property
    def reason(self) -> str:
        """Why, in a few words without addresses or secrets."""
        return self._reason


class Platform(Protocol):
    """The research API of the platform, reached with a sealed credential."""

    async def fetch(
        self,
        credential: CredentialId,
        query: ResearchQuery,
        endpoint: Endpoint,
        body: Outgoing,
        *,
        send_by_s: float,
    ) -> UpstreamReply:
        """The platform's answer to one call: `body` posted to `endpoint.path` with `query.query_string()`.

        One call is dispatched, and never again once a byte of it was written: each one is counted. The
        exception is a 401, which costs nothing: the adapter renews the token silently once and repeats; a
        second 401 is returned as it is. Any complete answer is returned, whatever its status; redirects are
        not followed. The body is bounded and decoded. Head and body are written before `send_by_s` of the
        monotonic clock, whatever was waited for before, or TooLate (nothing written) or OutcomeUnknown is raised.

        Raises NotDispatched when nothing was written (nothing is charged), OutcomeUnknown when something was
        and no complete answer came within `endpoint.read_timeout_s` (stays charged), nothing else.
        """
        ...
