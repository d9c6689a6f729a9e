"""rule."""

import datetime as dt
from typing import Annotated, Any

import typer

from app.cli.speaking import AsJson, day_of, office, operator, run, say, say_json, table

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
    """Have a rule refuse (enforce), tell the caller (warn), or only be logged (shadow)."""
    from app.administration.policy import set_mode  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await set_mode(here.registry, operator(), rule=rule, mode=mode)

    has_changed = run(work())
    if as_json:
        say_json({"rule": rule, "mode": mode, "changed": has_changed})
    else:
        say("Done." if has_changed else "Nothing to change.")


@rules.command("value")
def state_value(
    name: Annotated[str, typer.Argument(help="A dated value as in `rule list`.")],
    amount: Annotated[int, typer.Argument(min=1, help="What your terms say.")],
    source: Annotated[str, typer.Option(help="Where they say it: document, date and clause.")],
    from_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="First day; today by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """State what the institution's own terms say of a dated value, from a day on."""
    from app.administration.policy import state_value as state_it  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            day = day_of(from_day) or (await here.registry.state()).now.date()
            return await state_it(
                here.registry, operator(), name=name, amount=amount, from_day=day, source=source
            )

    has_changed = run(work())
    if as_json:
        say_json({"value": name, "amount": amount, "changed": has_changed})
    else:
        say("Done." if has_changed else "Nothing to change.")


def _stated(value: dict[str, Any]) -> str:
    return "; ".join(f"{each['amount']} from {each['from']} ({each['source']})" for each in value["stated"])
