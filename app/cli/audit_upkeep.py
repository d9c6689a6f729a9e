"""audit erase, audit prune and audit retention: each proposes, and another person confirms."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import AsJson, Day, day_of, office, operator, run, say, say_json

if TYPE_CHECKING:
    from app.administration.state import Proposal
    from app.storage.administering import Administration


def register(group: typer.Typer) -> None:
    """Add the commands that look after the log."""
    group.command("erase")(erase)
    group.command("prune")(prune)
    group.command("retention")(retention)


def erase(
    person: Annotated[str, typer.Option(metavar="EMAIL", help="Whose questions, by e-mail address or id.")],
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Of this month alone; otherwise of all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Propose to erase what a person asked: the keys of their questions are destroyed, once somebody else confirms."""
    from app.administration.upkeep import propose_erasure  # noqa: PLC0415
    from app.ids import new_object_id  # noqa: PLC0415

    async def work() -> dict[str, Any]:
        async with office() as here:
            done = await propose_erasure(
                here.registry, operator(), email=person, month=month, new_id=new_object_id
            )
            return await _shown(here, done)

    _say(run(work()), as_json=as_json)


def prune(
    before: Day = None,
    as_json: AsJson = False,
) -> None:
    """Propose to delete the content of entries before a day, otherwise of all that are old enough.

    Once somebody else confirms, it goes; hashes and tree stay.
    """
    from app.administration.upkeep import propose_pruning  # noqa: PLC0415
    from app.ids import new_object_id  # noqa: PLC0415

    async def work() -> dict[str, Any]:
        async with office() as here:
            done = await propose_pruning(
                here.registry, operator(), before=day_of(before), new_id=new_object_id
            )
            return await _shown(here, done)

    _say(run(work()), as_json=as_json)


def retention(
    months: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Propose to keep content so many months.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how many months the content of entries is kept, or propose another number (6 to 36)."""
    from app.administration.upkeep import propose_retention, retention_months  # noqa: PLC0415
    from app.ids import new_object_id  # noqa: PLC0415

    async def work() -> tuple[int, dict[str, Any] | None]:
        async with office() as here:
            present = retention_months(await here.registry.state())
            if months is None:
                return present, None
            done = await propose_retention(here.registry, operator(), months=months, new_id=new_object_id)
            return present, await _shown(here, done)

    present, proposed = run(work())
    if proposed is not None:
        _say(proposed, as_json=as_json)
    elif as_json:
        say_json({"months": present})
    else:
        say(
            f"The content of entries is kept for {present} months; `bursar audit prune` deletes what is older."
        )


async def _shown(here: "Administration", proposal: "Proposal") -> dict[str, Any]:
    from app.administration.proposals import shown_proposals  # noqa: PLC0415

    return shown_proposals(await here.registry.state(), [proposal])[0]


def _say(proposal: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(proposal)
        return
    say(
        f"{proposal['what']} ({proposal['about']}) waits for another person who administers or checks the log: "
        f"`bursar proposal confirm {proposal['id']}`, or POST /api/v1/proposals/{proposal['id']}/confirmation."
    )
