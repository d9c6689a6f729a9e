"""The clients that are run, and each of their functions as something that a test can be given."""

from dataclasses import dataclass

from app.provider.endpoints import ENDPOINTS as SERVED
from app.simulator.endpoints import ENDPOINTS as SIMULATED
from tests.clients.errands import Errand
from tests.clients.nyu import NYU
from tests.clients.r import RScript
from tests.clients.rtk import RESEARCHTIKPY
from tests.clients.runs import Client, Run
from tests.clients.sides import Side
from tests.clients.wire import Watch
from tests.clients.wrapper import WRAPPER

R = RScript()
CLIENTS: tuple[Client, ...] = (WRAPPER, NYU, RESEARCHTIKPY, R)

FOLLOW_UPS = ("validation_task_status/get", "validation_task/download")
"""Asked by the act that begins a validation task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One function of one client."""

    client: Client
    act: str

    def __str__(self) -> str:
        return f"{self.client.name}.{self.act}"

    @property
    def endpoint(self) -> str:
        return self.client.acts[self.act]

    @property
    def is_crawl(self) -> bool:
        """Whether it asks for page after page."""
        paging = SERVED[self.endpoint].paging
        return paging is not None and paging.answers_has_more

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All that it asks, in order."""
        return (self.endpoint, *FOLLOW_UPS) if self.endpoint == "validation_task/create" else (self.endpoint,)

    def run(self, side: Side, errand: Errand, watch: Watch | None = None, session: object = None) -> Run:
        """Do it, to its end; without a session, sign in first."""
        return self.client.run(side, self.act, errand, watch, session)


_THERE = {endpoint.name for endpoint in SIMULATED} & {endpoint.name for endpoint in SERVED.values()}

ACTS: tuple[Actor, ...] = tuple(
    Actor(client=client, act=act)
    for client in CLIENTS
    for act, endpoint in client.acts.items()
    if endpoint in _THERE
)


def actor_named(name: str) -> Actor:
    """The actor of that name, such as `R.playlist/info`."""
    return next(actor for actor in ACTS if str(actor) == name)
