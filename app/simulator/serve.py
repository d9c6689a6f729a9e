"""Run the simulator as a server of its own."""

import socket
import sys
from collections.abc import Sequence

import uvicorn

from app.simulator.app import create_app
from app.simulator.configuration import REALISTIC, SCOPES, Client, Knobs, SimulatorConfig, scopes_in

_LAST_ANSWERS_S = 2


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 8081,
    seed: int = 1,
    videos: int = 100_000,
    client_keys: Sequence[str] = ("sim-client-key",),
    client_secret: str = "sim-client-secret",  # noqa: S107 - public by design
    requests_per_day: int = 1000,
    records_per_day: int = 100_000,
    follower_calls_per_day: int = 20_000,
    follower_records_per_day: int = 2_000_000,
    realistic: bool = False,
    scopes: str = ",".join(sorted(SCOPES)),
) -> None:
    """Serve until told to stop; one line on standard error says that it is ready.

    Each client key is an account with a quota of its own; all have the same secret.

    Raises ValueError for a number out of range or an unknown scope, and SystemExit where the port is taken.
    """
    config = SimulatorConfig(
        seed=seed,
        videos=videos,
        clients=tuple(Client(key=key, secret=client_secret, scopes=scopes_in(scopes)) for key in client_keys),
        requests_per_day=requests_per_day,
        records_per_day=records_per_day,
        follower_calls_per_day=follower_calls_per_day,
        follower_records_per_day=follower_records_per_day,
        knobs=REALISTIC if realistic else Knobs(),
    )
    server = _Server(
        uvicorn.Config(
            create_app(config),
            host=host,
            port=port,
            loop="uvloop",
            http="httptools",
            lifespan="off",
            # A header must not make a far peer look like one on loopback.
            proxy_headers=False,
            access_log=False,
            # A cut answer is ordered by a test and is no error of this server.
            log_level="critical",
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
        )
    )
    try:
        server.run()
    except KeyboardInterrupt:
        return
    except SystemExit:
        if not server.started:
            _say(f"The simulator cannot listen on {host}:{port}; is the port taken?")
        raise


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _say(f"The simulator answers on http://{self.config.host}:{self.config.port}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - for the person at the shell
