"""Run the simulator as a server of its own."""

import asyncio
import sys

import uvicorn

from app.simulator.app import create_app
from app.simulator.configuration import REALISTIC, Client, Knobs, SimulatorConfig


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 8081,
    seed: int = 1,
    videos: int = 100_000,
    client_key: str = "sim-client-key",
    client_secret: str = "sim-client-secret",  # noqa: S107 - public by design
    requests_per_day: int = 1000,
    records_per_day: int = 100_000,
    realistic: bool = False,
) -> None:
    """Serve until told to stop; one line on standard error says that it is ready.

    Raises ValueError for a number out of range and SystemExit where the port is taken.
    """
    config = SimulatorConfig(
        seed=seed,
        videos=videos,
        clients=(Client(key=client_key, secret=client_secret),),
        requests_per_day=requests_per_day,
        records_per_day=records_per_day,
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
            access_log=False,
            # A cut answer is ordered by a test and is no error of this server.
            log_level="critical",
        )
    )
    server.run()


class _Server(uvicorn.Server):
    async def startup(self, *args: object, **kwargs: object) -> None:
        await super().startup(*args, **kwargs)  # type: ignore[arg-type]
        if self.started:
            print(  # noqa: T201 - the one line that a person waits for
                f"The simulator answers on http://{self.config.host}:{self.config.port}", file=sys.stderr
            )
            await asyncio.sleep(0)
