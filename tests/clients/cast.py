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

    def run(self, side: Side, errand: Errand, watch: Watch | None = None) -> Run:
        """Sign in and do it, to its end."""
        return self.client.run(side, self.act, errand, watch)


_THERE = {endpoint.name for endpoint in SIMULATED} & {endpoint.name for endpoint in SERVED.values()}

ACTS: tuple[Actor, ...] = tuple(
    Actor(client=client, act=act)
    for client in CLIENTS
    for act, endpoint in client.acts.items()
    if endpoint in _THERE
)
