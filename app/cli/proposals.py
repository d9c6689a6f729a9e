"""proposal."""

from typing import Annotated, Any

import typer

from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

proposals = typer.Typer(help="What waits for a second administrator.", no_args_is_help=True)

ProposalId = Annotated[str, typer.Argument(metavar="ID", help="As in `proposal list`.")]


@proposals.command("list")
def list_proposals(as_json: AsJson = False) -> None:
    """List what was proposed, the open ones first."""
    from app.administration.proposals import shown_proposals  # noqa: PLC0415

    async def work() -> list[dict[str, Any]]:
        async with office() as here:
            return shown_proposals(await here.registry.state())

    found = run(work())
    if as_json:
        say_json({"proposals": found})
        return
    rows = [
        (
            each["id"],
            each["credential"] or "the log",
            each["what"],
            each["about"] or f"{each['before']} -> {'no limit' if each['after'] is None else each['after']}",
            each["outcome"],
            each["proposed_by"],
            each["decided_by"],
        )
        for each in found
    ]
    table(
        "Proposals",
        ("id", "credential", "what", "change", "outcome", "proposed by", "decided by"),
        rows,
        whole=("id",),
    )


@proposals.command("confirm")
def confirm(proposal: ProposalId, as_json: AsJson = False) -> None:
    """Make a proposal true; whoever made it cannot."""
    _decide("confirm", proposal, as_json=as_json)


@proposals.command("refuse")
def refuse(proposal: ProposalId, as_json: AsJson = False) -> None:
    """End a proposal; nothing changes."""
    _decide("refuse", proposal, as_json=as_json)


def waits(proposal: dict[str, Any]) -> str:
    """What to tell whoever asked for it."""
    after = "no limit" if proposal["after"] is None else proposal["after"]
    return (
        f"credential {proposal['credential']} {proposal['what']}: {proposal['before']} -> {after} waits for "
        f"another administrator (bursar proposal confirm {proposal['id']})"
    )


def _decide(verb: str, proposal_id: str, *, as_json: bool) -> None:
    from app.administration import proposals as acts  # noqa: PLC0415

    async def work() -> dict[str, Any]:
        async with office() as here:
            act = acts.confirm if verb == "confirm" else acts.refuse
            done = await act(here.registry, operator(), proposal_id=proposal_id)
            await here.registry.empty_pruned()
            return acts.shown_proposals(await here.registry.state(), [done])[0]

    shown = run(work())
    if as_json:
        say_json(shown)
    else:
        say(f"Proposal {shown['id']} is {shown['outcome']}.")
