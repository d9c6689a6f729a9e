"""request."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.speaking import AsJson, Day, day_of, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.administration.asking import ShownRequest

requests = typer.Typer(help="Requests for more of a limit.", no_args_is_help=True)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="As in `request list`.")]


@requests.command("list")
def list_requests(
    state: Annotated[
        str, typer.Option(help="open, granted, refused, withdrawn, or all.", metavar="STATE")
    ] = "open",
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Of this project alone.")] = None,
    person: Annotated[str | None, typer.Option(metavar="EMAIL", help="Of this person alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """List requests; those that wait for an answer, unless another state is asked for."""
    from app.administration.asking import RequestState, shown_requests  # noqa: PLC0415

    if state not in {"all", *RequestState}:
        raise typer.BadParameter(f"states are {', '.join(RequestState)} and all")

    async def work() -> "Sequence[ShownRequest]":
        async with office() as here:
            return shown_requests(
                await here.registry.state(),
                state_is=None if state == "all" else RequestState(state),
                project=project,
                email=person,
            )

    found = run(work())
    if as_json:
        say_json({"requests": [_document(each) for each in found]})
        return
    rows = [
        (
            each.id,
            each.state,
            each.scope,
            each.limit,
            each.amount,
            each.until,
            each.granted_amount,
            each.granted_until,
            each.asked_by,
            " ".join(each.reason.split()),
        )
        for each in found
    ]
    columns = ("id", "state", "scope", "what", "more", "until", "granted", "through", "asked by", "why")
    table("Requests", columns, rows, whole=("id",))


@requests.command("grant")
def grant_request(
    request: RequestId,
    amount: Annotated[int | None, typer.Option(min=1, help="How much more, if not what was asked.")] = None,
    until: Day = None,
    as_json: AsJson = False,
) -> None:
    """Grant a request: as asked, or with another amount or last day (UTC)."""
    from app.administration.asking import grant_request as grant  # noqa: PLC0415

    async def work() -> str:
        async with office() as here:
            return await grant(
                here.registry, here.mint, operator(), request=request, amount=amount, until=day_of(until)
            )

    raise_id = run(work())
    if as_json:
        say_json({"request": request, "state": "granted", "raise": raise_id})
    else:
        say(f"Granted, from now on. `bursar limit end-raise {raise_id}` ends it before its day.")


@requests.command("refuse")
def refuse_request(
    request: RequestId,
    reason: Annotated[str, typer.Option(help="Why; whoever asked is told.")],
    as_json: AsJson = False,
) -> None:
    """Refuse a request."""
    from app.administration.asking import refuse_request as refuse  # noqa: PLC0415

    async def work() -> None:
        async with office() as here:
            await refuse(here.registry, operator(), request=request, reason=reason)

    run(work())
    if as_json:
        say_json({"request": request, "state": "refused"})
    else:
        say("Refused.")


def _document(each: "ShownRequest") -> dict[str, str | int | dt.date | dt.datetime | None]:
    return {
        "id": each.id,
        "state": each.state.value,
        "scope": each.scope,
        "limit": each.limit,
        "amount": each.amount,
        "until": each.until,
        "reason": each.reason,
        "asked_by": each.asked_by,
        "asked_at": each.asked_at,
        "decided_by": each.decided_by,
        "decided_at": each.decided_at,
        "decision_reason": each.decision_reason,
        "raise": each.raise_id,
        "granted_amount": each.granted_amount,
        "granted_until": each.granted_until,
    }
