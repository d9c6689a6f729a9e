"""member."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.changing import DryRun, carry_out, changes_of, say_changed, say_ended, shown_one
from app.cli.speaking import AsJson, a_day, day_of, say_json, table

if TYPE_CHECKING:
    from app.administration.state import State
    from app.administration.wanted import Wanted

members = typer.Typer(help="Who is in a project, and on which days.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
Person = Annotated[str, typer.Argument(metavar="EMAIL", help="Person.")]


@members.command("list")
def list_members(project: Project, as_json: AsJson = False) -> None:
    """List the members of a project, each with their first and last day."""
    missing = f"There is no project {project}; `bursar project list` shows all."
    found = shown_one("shown_projects", "name", project, missing)
    if as_json:
        say_json({"project": project, "members": found["members"]})
        return
    rows = [
        (each["email"], each["from"], each["until"], "yes" if each["email"] == found["lead"] else "")
        for each in sorted(found["members"], key=lambda one: one["email"])
    ]
    table(f"Members of {project}", ("person", "from", "until", "leads"), rows)


@members.command("add")
def add_member(
    project: Project,
    email: Person,
    from_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", parser=a_day, metavar="DATE", help="First day; any before by default."),
    ] = None,
    until_day: Annotated[
        dt.datetime | None,
        typer.Option("--until", parser=a_day, metavar="DATE", help="Last day; no end by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a person be a member on these days. The days of a member are changed with `bursar member set`."""
    from app.administration.finding import find_person, find_project  # noqa: PLC0415
    from app.administration.wishes import new_member  # noqa: PLC0415

    def wish(state: "State") -> "Wanted":
        days: dict[str, Any] = {"from": day_of(from_day), "until": day_of(until_day)}
        return new_member(find_project(state, project).id, find_person(state, email).id, days)(state)

    _say(project, email, has_changed=carry_out(wish), as_json=as_json)


@members.command("set")
def set_member(
    project: Project,
    email: Person,
    *,
    from_day: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="Another first day; any before where empty."),
    ] = None,
    until_day: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Another last day; no end where empty.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set the days of a member; a day that is not named stays, and so do their keys and limits."""
    from app.administration.finding import find_person, find_project  # noqa: PLC0415
    from app.administration.wishes import the_membership, with_member  # noqa: PLC0415

    given = {"from": from_day, "until": until_day}
    changes = {name: _day(day, name) for name, day in given.items() if day is not None}

    def wish(state: "State") -> "Wanted":
        project_id, person_id = find_project(state, project).id, find_person(state, email).id
        now = the_membership(state, project_id, person_id)
        days = {"from": now.from_day, "until": now.until_day, **changes}
        return with_member(project_id, person_id, days)(state)

    _say(project, email, has_changed=carry_out(wish), as_json=as_json)


@members.command("remove")
def remove_member(project: Project, email: Person, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """End a person's part in a project, and their keys for it. The lead has to be somebody else first."""
    from app.administration.finding import find_person, find_project  # noqa: PLC0415
    from app.administration.wishes import without_member  # noqa: PLC0415

    def wish(state: "State") -> "Wanted":
        return without_member(find_project(state, project).id, find_person(state, email).id)(state)

    if dry_run:
        about = {"project": project, "person": email.strip().lower()}
        say_ended(about, changes_of(wish, is_dry_run=True), is_dry_run=True, as_json=as_json)
        return
    _say(project, email, has_changed=carry_out(wish), as_json=as_json)


def _day(given: str, name: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(given) if given else None
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is no day such as 2026-02-01", param_hint=f"--{name}") from error


def _say(project: str, email: str, *, has_changed: bool, as_json: bool) -> None:
    about = {"project": project, "person": email.strip().lower()}
    say_changed(about, has_changed=has_changed, as_json=as_json)
