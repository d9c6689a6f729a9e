"""cache."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.purging import Purged

caches = typer.Typer(help="What is held: figures, and purging.", no_args_is_help=True)


@caches.command("stats")
def stats(as_json: AsJson = False) -> None:
    """Say how much is held, by project and endpoint."""
    from app.administration.purging import shown_figures  # noqa: PLC0415

    async def work() -> list[dict[str, Any]]:
        async with office() as here:
            return shown_figures(await here.registry.state(), await here.held.figures())

    found = run(work())
    if as_json:
        say_json({"held": found})
        return
    columns = ("scope", "endpoint", "pages", "records", "sealed_bytes", "oldest_at")
    table("Held", columns, [[each[column] for column in columns] for each in found])


@caches.command("purge")
def purge_held(
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Of this project.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="NAME", help="Such as video/query.")] = None,
    record: Annotated[str | None, typer.Option(metavar="ID", help="With this video, comment, ...")] = None,
    author: Annotated[str | None, typer.Option(metavar="USERNAME", help="With this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """Delete every held page that is all of this, from every process with the next call."""
    from app.administration.purging import Purge, purge  # noqa: PLC0415

    wanted = Purge(project=project, endpoint=endpoint, record=record, author=author)

    async def work() -> "Purged":
        async with office() as here:
            return await purge(here.registry, here.held, operator(), wanted)

    done = run(work())
    if as_json:
        say_json({"pages": done.pages, "records": done.records})
    else:
        say(f"{done.pages} pages with {done.records} records were purged.")
