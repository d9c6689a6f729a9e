"""freeze and unfreeze."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.administration.freezing import ShownFreeze

freezes = typer.Typer(
    help="Stop a credential, a project or a person at once, on every replica.", no_args_is_help=True
)
unfreezes = typer.Typer(help="Let what was frozen go on.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why; kept for administrators and compliance.")]
Credential = Annotated[str, typer.Argument(metavar="NAME", help="Credential.")]
Project = Annotated[str, typer.Argument(metavar="NAME", help="Project.")]
Person = Annotated[str, typer.Argument(metavar="EMAIL", help="Person.")]


@freezes.command("credential")
def freeze_credential(name: Credential, reason: Reason, as_json: AsJson = False) -> None:
    """Stop every call with this credential."""
    _freeze("credential", name, reason, as_json=as_json)


@freezes.command("project")
def freeze_project(name: Project, reason: Reason, as_json: AsJson = False) -> None:
    """Stop every call in this project."""
    _freeze("project", name, reason, as_json=as_json)


@freezes.command("person")
def freeze_person(name: Person, reason: Reason, as_json: AsJson = False) -> None:
    """Stop every call of this person, their access tokens, and their tokens for /api/v1."""
    _freeze("person", name, reason, as_json=as_json)


@freezes.command("list")
def list_freezes(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what is frozen, since when, and why."""
    from app.administration.freezing import shown_freezes  # noqa: PLC0415

    async def work() -> "Sequence[ShownFreeze]":
        async with office() as here:
            return shown_freezes(await here.registry.state(), with_lifted=everything)

    found = run(work())
    if as_json:
        say_json({"freezes": [_document(each) for each in found]})
        return
    rows = [
        (
            each.kind,
            each.name,
            f"{each.since:%Y-%m-%d %H:%M} UTC",
            f"{each.until:%Y-%m-%d %H:%M} UTC" if each.until else "",
            each.frozen_by,
            each.reason,
        )
        for each in found
    ]
    table("Frozen", ("kind", "name", "since", "until", "by", "reason"), rows)


@unfreezes.command("credential")
def unfreeze_credential(name: Credential, as_json: AsJson = False) -> None:
    """Let calls with this credential go on."""
    _unfreeze("credential", name, as_json=as_json)


@unfreezes.command("project")
def unfreeze_project(name: Project, as_json: AsJson = False) -> None:
    """Let calls in this project go on."""
    _unfreeze("project", name, as_json=as_json)


@unfreezes.command("person")
def unfreeze_person(name: Person, as_json: AsJson = False) -> None:
    """Let this person go on."""
    _unfreeze("person", name, as_json=as_json)


def _freeze(kind: str, name: str, reason: str, *, as_json: bool) -> None:
    from app.administration.freezing import Freezable, freeze  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await freeze(
                here.registry, here.mint, operator(), kind=Freezable(kind), name=name, reason=reason
            )

    has_changed = run(work())
    if as_json:
        say_json({"kind": kind, "name": name, "frozen": True, "changed": has_changed})
    else:
        say(
            f"{kind} {name} is frozen, from the next call on."
            if has_changed
            else f"{kind} {name} had been frozen before."
        )


def _unfreeze(kind: str, name: str, *, as_json: bool) -> None:
    from app.administration.freezing import Freezable, unfreeze  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await unfreeze(here.registry, operator(), kind=Freezable(kind), name=name)

    has_changed = run(work())
    if as_json:
        say_json({"kind": kind, "name": name, "frozen": False, "changed": has_changed})
    else:
        say(f"{kind} {name} goes on." if has_changed else f"{kind} {name} was not frozen.")


def _document(each: "ShownFreeze") -> dict[str, object]:
    return {
        "id": each.id,
        "kind": each.kind.value,
        "name": each.name,
        "reason": each.reason,
        "frozen_by": each.frozen_by,
        "since": each.since,
        "until": each.until,
        "lifted_by": each.lifted_by,
    }
