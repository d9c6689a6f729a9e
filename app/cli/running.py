"""serve, demo and simulator."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.speaking import AsJson

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("demo")(demo)
    app.command("serve")(serve)
    app.command("simulator")(simulator)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes; several need PostgreSQL and Redis.")
    ] = 1,
) -> None:
    """Run the gateway.

    Refuses to start on an unmigrated database (3), a log that does not verify (1), or a key file that others
    can read or that is not of this database (2).
    """
    from app.settings import load_settings  # noqa: PLC0415
    from app.web.serve import run  # noqa: PLC0415

    run(load_settings(), host=host, port=port, workers=workers)


def demo(
    port: Port = 8080,
    simulator_port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the simulator.")] = 8081,
    data_dir: Annotated[Path | None, typer.Option(help="Keep the demonstration's data here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run gateway, console and simulator with people, projects, keys and some past traffic. Ctrl-C ends all.

    It has settings of its own: variables BURSAR_... are left out, and named at its start.
    """
    from app.demo import run  # noqa: PLC0415

    run(port=port, simulator_port=simulator_port, data_dir=data_dir, as_json=as_json)


def simulator(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8081,
    seed: Annotated[int, typer.Option(help="Another seed is another data set.")] = 1,
    videos: Annotated[int, typer.Option(min=1, max=2_000_000, help="Videos in the data set.")] = 100_000,
    client_key: Annotated[
        list[str] | None,
        typer.Option(
            help="A client key that is accepted. Several are accounts with quotas of their own.",
            show_default="sim-client-key",
        ),
    ] = None,
    client_secret: Annotated[
        str, typer.Option(help="Its secret; for practice, so no secret at all.")
    ] = "sim-client-secret",  # noqa: S107 - public by design
    requests_per_day: Annotated[int, typer.Option(min=0)] = 1_000,
    records_per_day: Annotated[int, typer.Option(min=0)] = 100_000,
    follower_calls_per_day: Annotated[int, typer.Option(min=0, help="Followers and following.")] = 20_000,
    follower_records_per_day: Annotated[int, typer.Option(min=0)] = 2_000_000,
    realistic: Annotated[
        bool, typer.Option("--realistic", help="As slow and as moody as the platform.")
    ] = False,
    scopes: Annotated[
        str, typer.Option(help="What the client is approved for; without the second, no ads library.")
    ] = "research.data.basic,research.adlib.basic",
) -> None:
    """Run the stand-in for the platform, from its documents alone."""
    from app.simulator.serve import run  # noqa: PLC0415

    try:
        run(
            host=host,
            port=port,
            seed=seed,
            videos=videos,
            **({"client_keys": client_key} if client_key else {}),
            client_secret=client_secret,
            requests_per_day=requests_per_day,
            records_per_day=records_per_day,
            follower_calls_per_day=follower_calls_per_day,
            follower_records_per_day=follower_records_per_day,
            realistic=realistic,
            scopes=scopes,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
