"""cache."""

from typing import Annotated, Any

import typer

from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

caches = typer.Typer(help="What is held: figures, and purging.", no_args_is_help=True)


@caches.command("stats")
def stats(as_json: AsJson = False) -> None:
    """Say how much is held, by project and endpoint."""
    from app.administration.purging import shown_figures  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    async def work() -> tuple[list[dict[str, Any]], int]:
        async with office() as here:
            found = shown_figures(await here.registry.state(), await here.held.figures())
            return found, await here.held.stored_bytes()

    most = load_settings().max_held_database_bytes
    found, stored = run(work())
    if as_json:
        say_json({"held": found, "stored_bytes": stored, "most_bytes": most})
        return
    columns = ("scope", "endpoint", "pages", "records", "sealed_bytes", "oldest_at", "newest_at")
    table("Held", columns, [[each[column] for column in columns] for each in found])
    say(f"About {stored:,} bytes in the database" + (f", of {most:,} that they may take." if most else "."))


@caches.command("purge")
def purge_held(
    *,
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Of this project.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="NAME", help="Such as video/query.")] = None,
    record: Annotated[str | None, typer.Option(metavar="ID", help="With this video, comment, ...")] = None,
    author: Annotated[str | None, typer.Option(metavar="USERNAME", help="With this account.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete every held page that is all of this, from every process with the next call."""
    from app.administration.purging import Purge, Purged, look_before_purging, purge  # noqa: PLC0415

    wanted = Purge(project=project, endpoint=endpoint, record=record, author=author)

    async def work() -> Purged:
        async with office() as here:
            if not dry_run:
                return await purge(here.registry, here.held, operator(), wanted)
            found = await look_before_purging(here.registry, here.held, operator(), wanted)
            return Purged(
                pages=sum(each.pages for _, each in found), records=sum(each.records for _, each in found)
            )

    done = run(work())
    if as_json:
        say_json({"pages": done.pages, "records": done.records})
    else:
        say(f"{done.pages} pages with {done.records} records {'would go' if dry_run else 'were purged'}.")
