"""terms."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.speaking import AsJson, Day, day_of, office, operator, run, say, say_json, table

terms = typer.Typer(help="Versions of the platform's terms, and who accepted them.", no_args_is_help=True)

Person = Annotated[str, typer.Option(metavar="EMAIL", help="Person.")]
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
