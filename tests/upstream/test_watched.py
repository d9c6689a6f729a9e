"""How calls to the platform ended, counted beside the call and without touching it."""

import asyncio

import pytest

from app.clock import SystemClock
from app.ids import CredentialId
from app.provider.answers import UpstreamReply
from app.provider.endpoint import Endpoint
from app.provider.endpoints import ENDPOINTS
from app.provider.normalise import read_request
from app.provider.outgoing import Outgoing, outgoing
from app.provider.platform import NotDispatched, OutcomeUnknown
from app.query import ResearchQuery
from app.upstream.watched import WatchedPlatform

pytestmark = pytest.mark.anyio

_ENDPOINT = ENDPOINTS["user/info"]
_ASKED = read_request(_ENDPOINT, "fields=display_name", b'{"username": "a"}')
_REPLY = UpstreamReply(
    status=429, body=b"{}", content_type="application/json", retry_after_s=None, elapsed_ms=1
)


class Scripted:
    """A platform that answers what it is told to."""

    def __init__(self, says: UpstreamReply | Exception) -> None:
        self._says = says

    async def fetch(
        self,
        credential: CredentialId,
        query: ResearchQuery,
        endpoint: Endpoint,
        body: Outgoing,
        *,
        send_by_s: float,
    ) -> UpstreamReply:
        await asyncio.sleep(0)
        if isinstance(self._says, Exception):
            raise self._says
        return self._says


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        (_REPLY, "429"),
        (NotDispatched("no connection"), "not_sent"),
        (OutcomeUnknown("cut off"), "unknown"),
    ],
    ids=["answered", "not-sent", "unknown"],
)
async def test_each_end_is_counted_and_goes_through(says: UpstreamReply | Exception, outcome: str) -> None:
    watched = WatchedPlatform(Scripted(says), SystemClock())
    body = outgoing(_ENDPOINT, _ASKED, search_id=None)
    call = asyncio.gather(
        watched.fetch(CredentialId("c"), _ASKED, _ENDPOINT, body, send_by_s=1e12), return_exceptions=True
    )
    (came,) = await call
    assert came is says
    assert dict(+watched.outcomes) == {("user/info", outcome): 1}
    assert watched.timings.cumulative()[-1] == 1
