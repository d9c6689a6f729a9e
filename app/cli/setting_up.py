"""init, migrate, apply and doctor."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.changing import change_line
from app.cli.proposals import waits
from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.difference import Difference


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("init")(init)
    app.command("migrate")(migrate)
    app.command("apply")(apply)
    app.command("doctor")(doctor)


def init(
    admin: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="The first administrator; default admin@localhost.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set up data directory, keys, database and first administrator. Safe to run again.

    With --json the answer holds a fresh bearer token of the administrator.
    """
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.administering import initialise  # noqa: PLC0415

    settings = load_settings()
    done = run(initialise(settings, operator(), email=admin, wants_token=as_json))
    document = {
        "data_dir": str(settings.data_dir),
        "database": _without_password(settings.owner_database_url),
        "schema": done.revision,
        "admin": done.admin,
        "token": done.token.token if done.token else None,
        "expires_at": done.token.expires_at if done.token else None,
    }
    if as_json:
        say_json(document)
        return
    say(
        f"data directory  {document['data_dir']}",
        f"database        {document['database']} (schema {done.revision})",
        f"administrator   {done.admin}",
        "",
        f"Next: bursar token issue --person {done.admin}",
        "      bursar apply FILE      (credentials, terms, people and projects)",
        "      bursar serve",
    )


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to this release's schema."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.administering import migrate_schema  # noqa: PLC0415

    revision = run(migrate_schema(load_settings()))
    if as_json:
        say_json({"schema": revision})
    else:
        say(f"The database has schema {revision}.")


def apply(
    file: Annotated[Path, typer.Argument(help="State file in YAML; paths in it are relative to it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Retire what the sections of the file do not name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the directory what FILE says, and print the difference."""
    from app.administration.acts import apply_state  # noqa: PLC0415
    from app.administration.proposals import shown_proposals  # noqa: PLC0415
    from app.administration.wanted import read_state_file  # noqa: PLC0415

    async def work() -> tuple["Difference", list[dict[str, Any]]]:
        wanted = read_state_file(file)
        async with office() as here:
            found = await apply_state(
                here.registry, here.mint, operator(), wanted, is_dry_run=dry_run, prune=prune
            )
            return found, shown_proposals(await here.registry.state(), found.waiting)

    found, waiting = run(work())
    if as_json:
        say_json(
            {
                "changes": [change.shown() for change in found.plan.changes],
                "left": [{"kind": kind, "object": name} for kind, name in found.left],
                "waiting": waiting,
                "applied": not dry_run,
            }
        )
        return
    for change in found.plan.changes:
        say(change_line(change))
    for kind, name in found.left:
        say(f"  {kind} {name}: not in the file, left as it is (--prune retires it)")
    say(*(waits(each) for each in waiting))
    count = len(found.plan.changes)
    said = f"{count} change{'' if count == 1 else 's'}" if count else "Nothing to change"
    say(said + (", not made (--dry-run)." if dry_run and count else "."))


def doctor(as_json: AsJson = False) -> None:
    """Say what is wrong with this installation, and the mend. Exit code 1: something stands in the way."""
    from app.bootstrap import diagnose  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    report = run(diagnose(load_settings()))
    if as_json:
        say_json(
            {
                "healthy": report.is_healthy,
                "findings": [each.shown() for each in report.findings],
                "rosters": [each.shown() for each in report.rosters],
            }
        )
    else:
        for each in report.findings:
            say(f"{each.severity}: {each.what}", f"    mend: {each.mend}")
        if report.rosters:
            table(
                "People on each credential",
                ("credential", "people", "limit"),
                [(each.credential, each.people, each.limit) for each in report.rosters],
            )
        if not report.findings:
            say("Nothing is wrong.")
    if not report.is_healthy:
        raise typer.Exit(1)


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    return make_url(url).render_as_string(hide_password=True)
