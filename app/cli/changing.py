"""What commands that change the directory share: a wish carried out, one object ended, and how both are told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import office, operator, run, say, say_json

if TYPE_CHECKING:
    from app.administration.acts import Wish
    from app.administration.changes import Change
    from app.administration.desired import LimitKey
    from app.administration.state import State

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would end, and end nothing.")]
Amounts = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=AMOUNT", help="A limit, such as requests/day=300; repeatable."),
]


def shown(what: str) -> list[dict[str, Any]]:
    """One list of the directory, by the name of the function that makes it."""
    from app.administration import shown as lists  # noqa: PLC0415

    async def work() -> list[dict[str, Any]]:
        async with office() as here:
            found: list[dict[str, Any]] = getattr(lists, what)(await here.registry.state())
            return found

    return run(work())


def shown_one(what: str, by: str, name: str, missing: str) -> dict[str, Any]:
    """The one of that name out of such a list. Raises NotFound with what is missing."""
    from app.errors import NotFound  # noqa: PLC0415

    found = next((each for each in shown(what) if each[by] == name), None)
    if found is None:
        raise NotFound(missing)
    return found


def carry_out(wish: "Wish") -> bool:
    """Have the directory be as wished; whether anything changed."""
    return bool(changes_of(wish, is_dry_run=False))


def changes_of(wish: "Wish", *, is_dry_run: bool) -> "Sequence[Change]":
    """What changes once the directory is as wished, and is made so unless `is_dry_run`."""
    from app.administration.acts import apply_state  # noqa: PLC0415

    async def work() -> "Sequence[Change]":
        async with office() as here:
            done = await apply_state(
                here.registry, here.mint, operator(), wish, is_dry_run=is_dry_run, prune_members=True
            )
            return done.plan.changes

    return run(work())


def end_one(kind: str, name: str, find: Callable[["State"], str], *, is_dry_run: bool, as_json: bool) -> None:
    """End what `find` has the id of, with everything that ends with it, and say what that was."""
    from app.administration.ending import retire  # noqa: PLC0415

    async def work() -> "list[Change]":
        async with office() as here:
            object_id = find(await here.registry.state())
            return await retire(
                here.registry, operator(), kind=kind, object_id=object_id, is_dry_run=is_dry_run
            )

    say_ended({kind: name}, run(work()), is_dry_run=is_dry_run, as_json=as_json)


def say_ended(what: Mapping[str, Any], ends: "Sequence[Change]", *, is_dry_run: bool, as_json: bool) -> None:
    """Say what ended, or would end."""
    if as_json:
        say_json({**what, "removed": not is_dry_run, "changes": [each.shown() for each in ends]})
        return
    say(*(change_line(each) for each in ends))
    if is_dry_run:
        say("Nothing has ended (--dry-run).")


def change_line(change: "Change") -> str:
    """A change in one line, with a sign for what came or went."""
    sign = {
        "added": "+",
        "restored": "+",
        "retired": "-",
        "revoked": "-",
        "proposed": "+",
        "superseded": "-",
    }.get(change.what)
    if sign is not None:
        return f"{sign} {change.kind} {change.object}" + (f" {change.what}" if change.what != "added" else "")
    if change.before is None and change.after == "changed":
        return f"~ {change.kind} {change.object} {change.what}: changed"
    return f"~ {change.kind} {change.object} {change.what}: {_value(change.before)} -> {_value(change.after)}"


def say_changed(what: Mapping[str, Any], *, has_changed: bool, as_json: bool, done: str = "Done.") -> None:
    """Say whether anything changed of what the command was about."""
    if as_json:
        say_json({**what, "changed": has_changed})
    else:
        say(done if has_changed else "Nothing to change.")


def amounts_in(given: Iterable[str]) -> "dict[str, int]":
    """Limits as options give them. Good: `requests/day=300`. Bad: `requests/day`. Raises BadParameter."""
    found: dict[str, int] = {}
    for each in given:
        key, sign, amount = each.partition("=")
        if not sign or not amount.isascii() or not amount.isdigit():
            raise typer.BadParameter(f"{each!r} is no KEY=AMOUNT, such as requests/day=300")
        found[key] = int(amount)
    return found


def limit_key(key: str) -> "LimitKey":
    """What a limit is of. Raises InvalidParams."""
    from app.errors import InvalidParams  # noqa: PLC0415
    from app.quota.arithmetic import parse_limit_key  # noqa: PLC0415

    try:
        return parse_limit_key(key)
    except ValueError as error:
        raise InvalidParams(str(error)) from error


def text_of(file: Path) -> str:
    """The text in a file. Raises BadParameter."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read as text") from error


def _value(value: Any) -> str:
    return "none" if value is None else str(value)
