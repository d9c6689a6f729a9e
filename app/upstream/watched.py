"""The platform's port with a count of how calls ended and how long they took."""

from collections import Counter
from typing import Final

from app.clock import Clock
from app.ids import CredentialId
from app.provider.answers import UpstreamReply
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.outgoing import Outgoing
from app.provider.platform import NotDispatched, Platform
from app.query import ResearchQuery
from app.timings import Timings

_REFUSED: Final = ("401", "403")
"""What the platform says of a credential that it does not take, or not for an endpoint."""


class WatchedPlatform:
    """Another platform port, looked at: everything that it answers and raises goes through unchanged."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self._platform = platform
        self._clock = clock
        self.timings = Timings()
        # From the start, since an increase is only seen of what was told as none before; of the rest a ratio is asked.
        self.outcomes = Counter({(name, status): 0 for name in ENDPOINTS for status in _REFUSED})
        """Calls by endpoint and outcome: the platform's HTTP status, `not_sent` or `unknown`."""

    async def fetch(
        self,
        credential: CredentialId,
        query: ResearchQuery,
        endpoint: Endpoint,
        body: Outgoing,
        *,
        send_by_s: float,
    ) -> UpstreamReply:
        """The platform's answer to one call; see `Platform`."""
        started_s = self._clock.monotonic_s()
        # What is cancelled, as at the end of a lease, has no known outcome either.
        outcome = "unknown"
        try:
            reply = await self._platform.fetch(credential, query, endpoint, body, send_by_s=send_by_s)
        except NotDispatched:
            outcome = "not_sent"
            raise
        else:
            outcome = str(reply.status)
            return reply
        finally:
            self.outcomes[endpoint.name, outcome] += 1
            self.timings.add(self._clock.monotonic_s() - started_s)
