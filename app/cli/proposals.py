"""proposal."""

from typing import Annotated, Any

import typer

from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

proposals = typer.Typer(help="What waits for a second administrator.", no_args_is_help=True)

ProposalId = Annotated[str, typer.Argument(metavar="ID", help="As in `proposal list`.")]
ProposalIds = Annotated[list[str], typer.Argument(metavar="ID...", help="As in `proposal list`.")]


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
            _object(each),
            each["what"],
            _change(each),
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
def confirm(proposals: ProposalIds, as_json: AsJson = False) -> None:
    """Make proposals true, each by itself; whoever made one cannot."""
    if len(proposals) == 1:
        _decide("confirm", proposals[0], as_json=as_json)
        return
    found = run(_confirmed(proposals))
    if as_json:
        say_json({"proposals": found})
    else:
        for each in found:
            say(_outcome(each))
    if any(each["problem"] for each in found):
        raise typer.Exit(2)


@proposals.command("refuse")
def refuse(proposal: ProposalId, as_json: AsJson = False) -> None:
    """End a proposal; nothing changes."""
    _decide("refuse", proposal, as_json=as_json)


def waits(proposal: dict[str, Any]) -> str:
    """What to tell whoever asked for it."""
    where = f"credential {proposal['credential']} {proposal['what']}: " if proposal["credential"] else ""
    return f"{where}{_change(proposal)} waits for another administrator (bursar proposal confirm {proposal['id']})"


async def _confirmed(proposal_ids: list[str]) -> list[dict[str, Any]]:
    """What came of each, as it is shown."""
    from app.administration.proposals import confirm_each, shown_proposals  # noqa: PLC0415

    async with office() as here:
        found = await confirm_each(here.registry, operator(), proposal_ids=proposal_ids)
        await here.registry.empty_pruned()
        state = await here.registry.state()
    return [
        {
            "id": each.id,
            "proposal": None if each.proposal is None else shown_proposals(state, [each.proposal])[0],
            "problem": None if each.refusal is None else each.refusal.message,
        }
        for each in found
    ]


def _outcome(confirmation: dict[str, Any]) -> str:
    if confirmation["problem"]:
        return f"Proposal {confirmation['id']} is not confirmed: {confirmation['problem']}"
    done = confirmation["proposal"]
    return f"Proposal {done['id']} is confirmed: {_object(done)} {done['what']}, {_change(done)}."


def _object(proposal: dict[str, Any]) -> str:
    """What it is about: a credential, the terms or the log."""
    from app.administration.loosening import OF_RULES  # noqa: PLC0415

    return proposal["credential"] or ("the terms" if proposal["what"] in OF_RULES else "the log")


def _change(proposal: dict[str, Any]) -> str:
    after = "no limit" if proposal["after"] is None else proposal["after"]
    return proposal["about"] or f"{proposal['before']} -> {after}"


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
