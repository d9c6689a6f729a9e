"""Saving in two steps: first what a form would change, then the same form again to make it so.

A form that changes what is there says in a hidden field which version of it was filled in. Where that is another by now,
nothing is saved, and a page shows what differs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from app.administration.acts import Wish, apply_state
from app.administration.changes import Change
from app.administration.conditional import Conditional, version_of
from app.administration.lines import refused
from app.administration.lists import Listed
from app.administration.state import State
from app.administration.wanted import Wanted
from app.errors import ChangedMeanwhile, Conflict, InvalidParams
from app.web.console.doors import Turn, note_refusal

STEP: Final = "step"
SAVE: Final = "save"
VERSION: Final = "version"
Filled = Callable[[State], Mapping[str, Any]]
"""What a form is filled in with, as the state says it."""


def is_saving(turn: Turn) -> bool:
    """Whether the form was looked at before, and is now to be carried out."""
    return turn.given.get(STEP) == SAVE


def preview(
    turn: Turn,
    *,
    back: str,
    title: str,
    changes: Sequence[dict[str, Any]],
    warnings: Sequence[str] = (),
    version: str = "",
    button: str = "Make it so",
) -> Response:
    """What would change, with a button that sends the same form again, and that version, to be carried out."""
    fields = [
        (name, value)
        for name, values in turn.given.fields.items()
        for value in values
        if name not in {STEP, "form_token"}
    ]
    if version:
        fields.append((VERSION, version))
    return turn.render(
        "preview.html",
        title=title,
        back=back,
        changes=changes,
        warnings=warnings,
        fields=fields,
        button=button,
    )


async def save(
    turn: Turn,
    wanted: Wanted | Wish,
    *,
    title: str,
    back: str,
    filled: Filled | None = None,
    warnings: Sequence[str] = (),
) -> Response:
    """Show the difference that leads to `wanted`, with these warnings; once that was seen, make it so.

    A project that it names loses the members that it does not name. With `filled` only if that is what the form was
    filled in with; it is compared in the transaction that saves.
    """
    desk = turn.desk
    is_dry_run = not is_saving(turn)
    seen = turn.given.get(VERSION)

    def check(state: State) -> None:
        if filled is not None and seen and version_of(filled(state)) != seen:
            raise ChangedMeanwhile("Somebody changed this while you filled in the form.", rule="if-match")

    try:
        if is_dry_run:
            check(await desk.registry.state())  # whoever saves is checked in the transaction
        found = await apply_state(
            Conditional(desk.registry, check),
            desk.mint,
            turn.who.actor,
            wanted,
            is_dry_run=is_dry_run,
            prune_members=True,
        )
    except ChangedMeanwhile as error:
        note_refusal(turn, error)
        return await _differing(turn, wanted, title=title, back=back, filled=filled)
    if is_dry_run:
        if found.waiting:
            warnings = [*warnings, "A second administrator has to confirm a part of this."]
        return preview(turn, back=back, title=title, changes=shown(found.plan.changes), warnings=warnings)
    desk.forget()
    if found.waiting:
        return turn.go(back, "waiting")
    return turn.go(back, "saved" if found.plan.changes else "unchanged")


async def save_listed(
    turn: Turn,
    listed: Listed,
    wish: Callable[[Sequence[Mapping[str, Any]]], Wish],
    *,
    title: str,
    back: str,
) -> Response:
    """As `save`, what a list asks for; raises for every line of it that is wrong, at once."""
    desk = turn.desk
    try:
        if not listed.wrong:
            return await save(turn, wish(listed.contents), title=title, back=back)
    except (Conflict, InvalidParams) as error:
        wrong = listed.wrong_in(await desk.registry.state(), desk.mint, wish)
        raise (refused(wrong) if wrong else listed.blamed(error)) from error
    raise refused(listed.wrong_in(await desk.registry.state(), desk.mint, wish))


async def _differing(
    turn: Turn, wanted: Wanted | Wish, *, title: str, back: str, filled: Filled | None
) -> Response:
    """What was entered beside what is there by now, to be gone on with either way."""
    desk = turn.desk
    state = await desk.registry.state()
    found = await apply_state(
        desk.registry, desk.mint, turn.who.actor, wanted, is_dry_run=True, prune_members=True
    )
    fields = [
        (name, value)
        for name, values in turn.given.fields.items()
        for value in values
        if name not in {STEP, VERSION, "form_token"}
    ]
    version = "" if filled is None else version_of(filled(state))
    return turn.render(
        "changed.html",
        status=412,
        title=title,
        back=back,
        changes=shown(found.plan.changes),
        fields=[*fields, (VERSION, version)],
    )


def shown(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Changes as people read them."""
    return [
        {
            "object": f"{each.kind} {each.object}",
            "what": each.what.replace("_", " "),
            "before": _text(each.before),
            "after": _text(each.after),
        }
        for each in changes
    ]


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case dict():
            return "; ".join(
                f"{name.replace('_', ' ')}: {_text(each)}" for name, each in value.items() if each
            )
        case list() | tuple():
            return ", ".join(map(_text, value)) or "none"
        case _:
            return str(value)


def counted(count: int, one: str, several: str) -> str:
    """How many there are: `1 person`, `2 people`."""
    return f"{count:,} {one if count == 1 else several}"
