"""terms."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.changing import DryRun, carry_out, end_one, say_changed, text_of
from app.cli.speaking import AsJson, Day, a_day, day_of, office, operator, run, say, say_json, table

terms = typer.Typer(help="Versions of the platform's terms, and who accepted them.", no_args_is_help=True)

Person = Annotated[str, typer.Option(metavar="EMAIL", help="Person.")]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="As in `terms list`.")]
Version = Annotated[str, typer.Option(metavar="VERSION", help="Version of the terms.")]


@terms.command("list")
def list_terms(as_json: AsJson = False) -> None:
    """List versions, and how many people accepted each."""
    from app.administration.shown import shown_terms  # noqa: PLC0415

    async def work() -> list[dict[str, Any]]:
        async with office() as here:
            return shown_terms(await here.registry.state())

    found = run(work())
    if as_json:
        say_json({"terms": found})
        return
    rows = [
        (
            each["version"],
            each["title"],
            each["in_force_from"],
            "yes" if each["in_force"] else "",
            each["accept_by"],
            each["accepted"],
            each["source"],
            each["text_sha256"],
        )
        for each in found
    ]
    columns = ("version", "title", "from", "in force", "accept by", "accepted by", "source", "SHA-256")
    table("Terms", columns, rows)
    for each in found:
        for email in each["waiting"]:
            say(f"{email} has not accepted {each['version']}.")


@terms.command("show")
def show_terms(version: VersionArgument, as_json: AsJson = False) -> None:
    """Show one version with its text, to the letter of what people accept."""
    from app.administration.shown import shown_terms  # noqa: PLC0415
    from app.administration.wishes import the_terms  # noqa: PLC0415

    async def work() -> tuple[dict[str, Any], str]:
        async with office() as here:
            state = await here.registry.state()
            known = the_terms(state, version)
            return next(each for each in shown_terms(state) if each["version"] == version), known.text

    found, text = run(work())
    if as_json:
        say_json({**found, "text": text})
        return
    say(
        f"{version}, {found['title']}, in force from {found['in_force_from']}",
        f"accepted by {found['accepted']}; SHA-256 of the text {found['text_sha256']}",
        "",
        *text.splitlines(),
    )


@terms.command("add")
def add_terms(
    version: VersionArgument,
    *,
    title: Annotated[str, typer.Option(help="What the terms are called.")],
    text_file: Annotated[Path, typer.Option(help="File with their text.")],
    from_day: Annotated[
        dt.datetime,
        typer.Option("--from", parser=a_day, metavar="DATE", help="First day on which they are in force."),
    ],
    source: Annotated[str | None, typer.Option(help="Where the platform publishes them.")] = None,
    grace_days: Annotated[
        int, typer.Option(min=0, max=366, help="Days for which who accepted the version before may go on.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Add a version, which everybody has to accept from its first day on before they call."""
    from app.administration.wishes import new_terms  # noqa: PLC0415

    content = {
        "version": version,
        "title": title,
        "source": source,
        "in_force_from": day_of(from_day),
        "grace_days": grace_days,
    }
    carry_out(new_terms(content, text_of(text_file)))
    say_changed({"version": version}, has_changed=True, as_json=as_json, done=f"Version {version} is there.")


@terms.command("set")
def set_terms(
    version: VersionArgument,
    *,
    title: Annotated[str | None, typer.Option(help="Another title.")] = None,
    text_file: Annotated[
        Path | None, typer.Option(help="File with another text, while nobody has accepted the old one.")
    ] = None,
    from_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", parser=a_day, metavar="DATE", help="Another first day."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Another source; none where empty.")] = None,
    grace_days: Annotated[int | None, typer.Option(min=0, max=366, help="Another period of grace.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change what is named of a version. A text that somebody accepted never changes."""
    from app.administration.wishes import changed_terms  # noqa: PLC0415

    given = {"title": title, "in_force_from": day_of(from_day), "grace_days": grace_days}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if source is not None:
        changes["source"] = source or None
    text = None if text_file is None else text_of(text_file)
    has_changed = carry_out(changed_terms(version, changes, text))
    say_changed({"version": version}, has_changed=has_changed, as_json=as_json)


@terms.command("remove")
def remove_terms(version: VersionArgument, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Have nobody accept a version any more; what was accepted stays on record."""
    end_one("terms", version, lambda _state: version, is_dry_run=dry_run, as_json=as_json)


@terms.command("record")
def record(
    person: Person,
    version: Version,
    evidence: Annotated[Path, typer.Option(help="File that shows the acceptance.")],
    on: Day = None,
    as_json: AsJson = False,
) -> None:
    """Record that a person accepted a version. The file's hash is kept, not the file."""
    from app.administration.acts import record_acceptance  # noqa: PLC0415
    from app.errors import InvalidParams  # noqa: PLC0415

    try:
        data = evidence.read_bytes()
    except OSError as error:
        raise InvalidParams(f"The evidence {evidence} cannot be read: {error.strerror}.") from error

    async def work() -> bool:
        async with office() as here:
            return await record_acceptance(
                here.registry,
                operator(),
                email=person,
                version=version,
                evidence_name=evidence.name,
                evidence=data,
                on=day_of(on),
            )

    _report(person, version, has_changed=run(work()), as_json=as_json)


@terms.command("accept")
def accept(person: Person, version: Version, as_json: AsJson = False) -> None:
    """Accept a version for yourself, on this machine."""
    from app.administration.acts import accept_terms  # noqa: PLC0415
    from app.errors import NotFound  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            known = (await here.registry.state()).person(person)
            if known is None:
                raise NotFound(f"There is no person {person}; `bursar person list` shows all.")
            return await accept_terms(here.registry, operator(), person_id=known.id, version=version)

    _report(person, version, has_changed=run(work()), as_json=as_json)


def _report(person: str, version: str, *, has_changed: bool, as_json: bool) -> None:
    if as_json:
        say_json({"person": person, "version": version, "accepted": True, "changed": has_changed})
    else:
        say(
            f"{person} has accepted {version}." if has_changed else f"{person} had accepted {version} before."
        )
