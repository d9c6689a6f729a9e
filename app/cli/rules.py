"""rule."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.proposals import waits
from app.cli.speaking import AsJson, a_day, day_of, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.loosening import RulesSet
    from app.storage.administering import Administration

rules = typer.Typer(help="Rules of the terms, their modes, and dated values.", no_args_is_help=True)

Rule = Annotated[str, typer.Argument(help="A rule's id as in `rule list`; the version may be left out.")]


@rules.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """List every rule with its mode, clause and source, and every dated value."""
    from app.administration.policy import shown_rules, shown_values  # noqa: PLC0415

    async def work() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        async with office() as here:
            state = await here.registry.state()
            return shown_rules(state), shown_values(state)

    found, values = run(work())
    if as_json:
        say_json({"rules": found, "values": values})
        return
    table(
        "Rules",
        ("rule", "mode", "clause", "source"),
        [(each["rule"], each["mode"], each["clause"], each["source"]) for each in found],
    )
    table(
        "Dated values",
        ("value", "today", "default", "what", "stated"),
        [(each["name"], each["amount"], each["default"], each["what"], _stated(each)) for each in values],
    )


@rules.command("set")
def set_rule(
    rule: Rule,
    mode: Annotated[str, typer.Argument(help="enforce, warn or shadow.")],
    as_json: AsJson = False,
) -> None:
    """Have a rule refuse (enforce), tell the caller (warn), or only be logged (shadow).

    Under two-person control a weaker mode waits for a second administrator.
    """
    from app.administration.ruling import set_mode  # noqa: PLC0415

    async def work() -> tuple[bool, list[dict[str, Any]]]:
        async with office() as here:
            return await _done(here, await set_mode(here.registry, operator(), rule=rule, mode=mode))

    _report({"rule": rule, "mode": mode}, *run(work()), as_json=as_json)


@rules.command("value")
def state_value(
    name: Annotated[str, typer.Argument(help="A dated value as in `rule list`.")],
    amount: Annotated[int, typer.Argument(min=1, help="What your terms say.")],
    source: Annotated[str, typer.Option(help="Where they say it: document, date and clause.")],
    from_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", parser=a_day, metavar="DATE", help="First day; today by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """State what the institution's own terms say of a dated value, from a day on."""
    from app.administration.ruling import state_value as state_it  # noqa: PLC0415

    async def work() -> tuple[bool, list[dict[str, Any]]]:
        async with office() as here:
            day = day_of(from_day) or (await here.registry.state()).now.date()
            done = await state_it(
                here.registry, operator(), name=name, amount=amount, from_day=day, source=source
            )
            return await _done(here, done)

    _report({"value": name, "amount": amount}, *run(work()), as_json=as_json)


async def _done(here: "Administration", done: "RulesSet") -> tuple[bool, list[dict[str, Any]]]:
    """Whether anything changed, and what waits, as it is shown."""
    from app.administration.proposals import shown_proposals  # noqa: PLC0415

    waiting = shown_proposals(await here.registry.state(), done.waiting) if done.waiting else []
    return done.has_changed, waiting


def _report(what: dict[str, Any], has_changed: bool, waiting: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        say_json({**what, "changed": has_changed, "waiting": waiting})
    elif waiting:
        say(*(waits(each) for each in waiting))
    else:
        say("Done." if has_changed else "Nothing to change.")


def _stated(value: dict[str, Any]) -> str:
    return "; ".join(f"{each['amount']} from {each['from']} ({each['source']})" for each in value["stated"])
