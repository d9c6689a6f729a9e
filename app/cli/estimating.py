"""estimate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.speaking import AsJson, office, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.pricing import Estimate


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("estimate")(estimate)


def estimate(
    *,
    project: Annotated[str, typer.Option(metavar="NAME", help="The project that would ask.")],
    file: Annotated[
        Path,
        typer.Option(
            metavar="QUERY.json",
            allow_dash=True,
            help="The request's body as the platform takes it; - reads it from standard input.",
        ),
    ],
    person: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Whose limits and rules count, too.")
    ] = None,
    endpoint: Annotated[str, typer.Option(metavar="NAME", help="Such as video/query.")] = "video/query",
    fields: Annotated[
        str, typer.Option(metavar="A,B", help="Fields that would be asked for; they decide what is held.")
    ] = "",
    window_days: Annotated[
        int | None, typer.Option(min=1, max=30, help="Cut the range into windows of so many days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a query would cost, and over how many days, without spending anything."""
    from app.administration.pricing import Asking  # noqa: PLC0415
    from app.query import parse_body  # noqa: PLC0415

    asking = Asking(
        endpoint=endpoint,
        body=parse_body(_read(file)),
        fields=tuple(sorted({name.strip() for name in fields.split(",")} - {""})),
        window_days=window_days,
    )

    async def work() -> "Estimate":
        async with office() as here:
            return await here.estimator.in_project(asking, project=project, email=person)

    found = run(work())
    if as_json:
        say_json(found.shown())
    else:
        _tell(found)


def _read(file: Path) -> bytes:
    from app.errors import InvalidParams  # noqa: PLC0415

    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InvalidParams(f"{file} cannot be read: {error.strerror}.") from error


def _tell(found: "Estimate") -> None:
    """The estimate as a table of its windows, and sentences below."""
    from app.quota.arithmetic import limit_name  # noqa: PLC0415
    from app.quota.estimate import because  # noqa: PLC0415

    rows = [
        (
            "all" if each.span is None else f"{each.span.first} to {each.span.last}",
            *_cells(each.price.requests.low, each.price.requests.likely, each.price.requests.high),
            *_cells(each.price.records.low, each.price.records.likely, each.price.records.high),
            each.price.held.pages,
            each.price.basis,
        )
        for each in found.windows
    ]
    if len(rows) > 1:
        requests, records = found.requests, found.records
        held = sum(each.price.held.pages for each in found.windows)
        rows.append(
            (
                "together",
                *_cells(requests.low, requests.likely, requests.high),
                *_cells(records.low, records.likely, records.high),
                held,
                found.basis,
            )
        )
    columns = ("days", "requests", "likely", "records", "likely", "pages held", "basis")
    table(f"Price of {found.endpoint} in project {found.project}, still to be spent", columns, rows)
    limited_by = found.likely.limited_by or found.high.limited_by
    slower = "" if limited_by is None else f", as {limit_name(limited_by)} allows"
    say(
        f"Over how long: {_days(found.likely.days)}, at most {_days(found.high.days)}{slower}.",
        f"Confidence: {found.confidence}. {because(found.basis, found.confidence)}",
    )
    if found.objection is not None:
        say(f"It would be refused now by {found.objection.rule}: {found.objection.reason}")
    say(*found.notes)


def _cells(low: int, likely: int, high: int) -> tuple[str, str]:
    return f"{low} to {high}" if low != high else str(low), str(likely)


def _days(days: int | None) -> str:
    match days:
        case None:
            return "never at these limits"
        case 0:
            return "at once"
        case 1:
            return "one day"
        case _:
            return f"{days} days"
