"""usage and limit."""

import datetime as dt
from typing import Annotated, Any

import typer

from app.cli.changing import limit_key
from app.cli.proposals import waits
from app.cli.speaking import AsJson, Day, a_day, day_of, note, office, operator, run, say, say_json, table

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
    for credential, family, mirror in found.platform:
        note(
            f"The platform calls the {family} quota of credential {credential} used up since "
            f"{mirror.said_at:%H:%M} UTC, when Bursar had counted {mirror.counted_calls} calls and "
            f"{mirror.counted_records} records; it asks again at {mirror.next_probe_at:%H:%M} UTC."
        )
    table(
        f"Usage on {found.day} (UTC)",
        ("scope", "what", "limit", "used", "reserved", "left", "resets"),
        rows,
    )
    table(
        f"Reuse on {found.day} (UTC)",
        ("project", "answers", "bought", "requests", "saved", "records", "records a request"),
        [
            (
                each.project,
                each.answers,
                each.given["miss"].answers if "miss" in each.given else 0,
                each.requests,
                each.saved,
                each.records,
                "" if each.records_per_request is None else f"{each.records_per_request:.1f}",
            )
            for each in found.savings
        ],
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


@limits.command("set", context_settings={"ignore_unknown_options": True})
def set_limit(
    scope: Annotated[
        str,
        typer.Argument(
            help="project:NAME, member:PROJECT/EMAIL, each_member:PROJECT, credential:NAME, key:ID, floor:PROJECT"
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


@limits.command("history")
def list_changes(
    scope: Annotated[str | None, typer.Option(help="Of this scope alone, as in `limit list`.")] = None,
    key: Annotated[str | None, typer.Option(help="Of this alone, such as requests/day.")] = None,
    before: Annotated[int | None, typer.Option(min=0, help="Older than the entry of this index.")] = None,
    as_json: AsJson = False,
) -> None:
    """List who set, changed or ended which limit, the newest first, 50 at a time."""
    from app.administration.limits_past import LimitChanges  # noqa: PLC0415
    from app.administration.shown import require_scope  # noqa: PLC0415
    from app.storage.limits_past import find_limit_changes  # noqa: PLC0415

    if key is not None:
        limit_key(key)

    async def work() -> tuple[list[dict[str, Any]], int | None]:
        async with office() as here:
            state = await here.registry.state()
            if scope is not None:
                require_scope(state, scope)
            told = LimitChanges(state)
            found = await here.database.read(
                lambda conn: find_limit_changes(
                    conn,
                    told,
                    lambda each: scope in {None, each.scope} and key in {None, each.key},
                    before=before,
                )
            )
            return [each.shown() for each in found.changes], found.onward

    found, onward = run(work())
    if as_json:
        say_json({"changes": found, "before": onward})
        return
    rows = [
        (
            f"{each['at']:%Y-%m-%d %H:%M}",
            each["scope"],
            each["key"],
            "no limit" if each["before"] is None else each["before"],
            "no limit" if each["after"] is None else each["after"],
            each["by"],
        )
        for each in found
    ]
    table("Changes of limits", ("when, UTC", "scope", "what", "from", "to", "by"), rows)
    if onward is not None:
        note(f"There are more: --before {onward}")


@limits.command("raise")
def raise_limit(
    scope: Annotated[
        str, typer.Argument(help="project:NAME, member:PROJECT/EMAIL, each_member:PROJECT or key:ID")
    ],
    key: Annotated[str, typer.Argument(help="What is limited, such as requests/day.")],
    amount: Annotated[int, typer.Argument(min=1, help="How much more.")],
    *,
    until: Annotated[
        dt.datetime,
        typer.Option(parser=a_day, metavar="DATE", help="The last day on which it holds, UTC."),
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the raise.")],
    as_json: AsJson = False,
) -> None:
    """Have a limit hold more until a day; it ends by itself."""
    from app.administration.durations import end_of  # noqa: PLC0415
    from app.administration.raising import grant_raise  # noqa: PLC0415

    parsed = limit_key(key)

    async def work() -> str:
        async with office() as here:
            granted = await grant_raise(
                here.registry,
                here.mint,
                operator(),
                scope=scope,
                key=parsed,
                amount=amount,
                until=end_of(until.date()),
                reason=reason,
            )
            return granted.id

    raise_id = run(work())
    if as_json:
        say_json({"id": raise_id, "scope": scope, "key": key, "amount": amount, "until": day_of(until)})
    else:
        say(f"Done. `bursar limit end-raise {raise_id}` ends it before its day.")


@limits.command("raises")
def list_raises(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
) -> None:
    """List raises."""
    from app.administration.raising import shown_raises  # noqa: PLC0415

    async def work() -> list[dict[str, object]]:
        async with office() as here:
            return [dict(each) for each in shown_raises(await here.registry.state(), all_of_them=everything)]

    found = run(work())
    if as_json:
        say_json({"raises": found})
    else:
        rows = [
            tuple(each[name] for name in ("id", "scope", "key", "amount", "until", "reason"))
            for each in found
        ]
        table("Raises", ("id", "scope", "what", "more", "until", "reason"), rows, whole=("id",))


@limits.command("end-raise")
def end_raise(
    raise_id: Annotated[str, typer.Argument(help="As in `limit raises`.")], as_json: AsJson = False
) -> None:
    """End a raise now."""
    from app.administration.raising import end_raise as end  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await end(here.registry, operator(), raise_id=raise_id)

    has_ended = run(work())
    if as_json:
        say_json({"id": raise_id, "changed": has_ended})
    else:
        say("Done." if has_ended else "It had ended already.")


def _change(scope: str, key: str, amount: int | None, *, as_json: bool) -> None:
    from app.administration.acts import set_limits  # noqa: PLC0415
    from app.administration.proposals import shown_proposals  # noqa: PLC0415

    parsed = limit_key(key)

    async def work() -> tuple[bool, list[dict[str, Any]]]:
        async with office() as here:
            done = await set_limits(here.registry, operator(), scope=scope, amounts={parsed: amount})
            waiting = shown_proposals(await here.registry.state(), done.waiting) if done.waiting else []
            return done.has_changed, waiting

    has_changed, waiting = run(work())
    if as_json:
        say_json({"scope": scope, "key": key, "amount": amount, "changed": has_changed, "waiting": waiting})
    elif waiting:
        say(*(waits(each) for each in waiting))
    else:
        say("Done." if has_changed else "Nothing to change.")
