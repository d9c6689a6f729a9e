"""usage and limit."""

from typing import Annotated

import typer

from app.cli.speaking import AsJson, Day, day_of, office, operator, run, say, say_json, table

limits = typer.Typer(help="Limits of credentials, projects, members and keys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("usage")(usage)


def usage(
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Of this project alone.")] = None,
    person: Annotated[str | None, typer.Option(metavar="EMAIL", help="Of this person alone.")] = None,
    day: Day = None,
    as_json: AsJson = False,
) -> None:
    """Say what is used and left of every limit of a day or longer."""
    from app.administration.usage import Usage  # noqa: PLC0415
    from app.administration.usage import usage as look_up  # noqa: PLC0415

    async def work() -> Usage:
        async with office() as here:
            return await look_up(here.registry, project=project, email=person, day=day_of(day))

    found = run(work())
    if as_json:
        say_json(found.shown())
        return
    rows = [
        (
            scope,
            f"{each.limit.dimension}/{each.limit.window}",
            each.limit.amount,
            each.used,
            each.reserved,
            each.left,
            each.resets_at.strftime("%Y-%m-%d %H:%M UTC") if each.resets_at else "never",
        )
        for scope, each in found.limits
    ]
    table(
        f"Usage on {found.day} (UTC)",
        ("scope", "what", "limit", "used", "reserved", "left", "resets"),
        rows,
    )


@limits.command("list")
def list_limits(as_json: AsJson = False) -> None:
    """List every limit."""
    from app.administration.shown import shown_limits  # noqa: PLC0415

    async def work() -> list[dict[str, object]]:
        async with office() as here:
            return shown_limits(await here.registry.state())

    found = run(work())
    if as_json:
        say_json({"limits": found})
    else:
        rows = [(each["scope"], each["key"], each["amount"]) for each in found]
        table("Limits", ("scope", "what", "amount"), rows)


@limits.command("set")
def set_limit(
    scope: Annotated[
        str,
        typer.Argument(
            help="project:NAME, member:PROJECT/EMAIL, each_member:PROJECT, credential:NAME, key:ID"
        ),
    ],
    key: Annotated[str, typer.Argument(help="What is limited, such as requests/day or concurrent.")],
    amount: Annotated[int, typer.Argument(min=0)],
    as_json: AsJson = False,
) -> None:
    """Set one limit. What was used stays used."""
    _change(scope, key, amount, as_json=as_json)


@limits.command("remove")
def remove_limit(
    scope: Annotated[str, typer.Argument(help="As in `limit list`.")],
    key: Annotated[str, typer.Argument(help="What is limited, such as requests/day.")],
    as_json: AsJson = False,
) -> None:
    """End one limit."""
    _change(scope, key, None, as_json=as_json)


def _change(scope: str, key: str, amount: int | None, *, as_json: bool) -> None:
    from app.administration.acts import set_limits  # noqa: PLC0415
    from app.errors import InvalidParams  # noqa: PLC0415
    from app.quota.arithmetic import parse_limit_key  # noqa: PLC0415

    try:
        limit_key = parse_limit_key(key)
    except ValueError as error:
        raise InvalidParams(str(error)) from error

    async def work() -> bool:
        async with office() as here:
            return await set_limits(here.registry, operator(), scope=scope, amounts={limit_key: amount})

    has_changed = run(work())
    if as_json:
        say_json({"scope": scope, "key": key, "amount": amount, "changed": has_changed})
    else:
        say("Done." if has_changed else "Nothing to change.")
