"""audit export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.speaking import AsJson, office, operator, progress, run, say, say_json

if TYPE_CHECKING:
    from app.storage.exporting import Exported


def register(group: typer.Typer) -> None:
    """Add `export` to the commands."""
    group.command("export")(export)


def export(
    *,
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="tiles (the whole log), jsonl or csv.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A directory, made for it.")],
    since: Annotated[str | None, typer.Option(metavar="TIME", help="UTC day or moment, included.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="UTC day or moment, left out.")] = None,
    person: Annotated[str | None, typer.Option(metavar="EMAIL", help="Who did it: e-mail or id.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="With which key.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="OP", help="Such as video/query.")] = None,
    entry_type: Annotated[str | None, typer.Option("--type", metavar="TYPE")] = None,
    verdict: Annotated[str | None, typer.Option(metavar="VERDICT", help="allowed or refused.")] = None,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Of the refusal or answer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the log, or what meets every option, signed and to be verified offline. It is logged.

    A run that was broken off goes on where it stopped when it is given again.
    """
    from app.administration.looking import Sought, filter_of  # noqa: PLC0415
    from app.storage.exporting import export_log  # noqa: PLC0415

    sought = Sought(
        type=entry_type,
        person=person,
        project=project,
        key=key,
        endpoint=endpoint,
        verdict=verdict,
        code=code,
        since=since,
        until=until,
    )

    async def work() -> "Exported":
        async with office() as here:
            wanted = filter_of(await here.registry.state(), sought)
            with progress("Exporting") as tell:
                return await export_log(
                    here.database, here.boot, operator(), to, kind=kind, wanted=wanted, progress=tell
                )

    done = run(work())
    if as_json:
        say_json(
            {
                "to": str(to),
                "format": kind,
                "entries": done.entries,
                "size": done.size,
                "manifest_sha256": done.manifest_sha256,
                "resumed": done.has_resumed,
            }
        )
    else:
        say(f"{done.entries} of the log's {done.size} entries are in {to}.")
