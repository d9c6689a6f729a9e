"""Saving in two steps: first what a form would change, then the same form again to make it so."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from app.administration.acts import apply_state
from app.administration.changes import Change
from app.administration.wanted import Wanted
from app.web.console.doors import Turn

STEP: Final = "step"
SAVE: Final = "save"


def is_saving(turn: Turn) -> bool:
    """Whether the form was looked at before, and is now to be carried out."""
    return turn.given.get(STEP) == SAVE


def preview(
    turn: Turn, *, back: str, title: str, changes: Sequence[dict[str, Any]], warnings: Sequence[str] = ()
) -> Response:
    """What would change, with a button that sends the same form again to be carried out."""
    fields = [
        (name, value)
        for name, values in turn.given.fields.items()
        for value in values
        if name not in {STEP, "form_token"}
    ]
    return turn.render(
        "preview.html", title=title, back=back, changes=changes, warnings=warnings, fields=fields
    )


async def save(turn: Turn, wanted: Wanted, *, title: str, back: str) -> Response:
    """Show the difference that leads to `wanted`; once that was seen, make it so.

    A project that it names loses the members that it does not name.
    """
    desk = turn.desk
    is_dry_run = not is_saving(turn)
    found = await apply_state(
        desk.registry, desk.mint, turn.who.actor, wanted, is_dry_run=is_dry_run, prune_members=True
    )
    if is_dry_run:
        warnings = ["A second administrator has to confirm a part of this."] if found.waiting else []
        return preview(turn, back=back, title=title, changes=shown(found.plan.changes), warnings=warnings)
    desk.forget()
    if found.waiting:
        return turn.go(back, "waiting")
    return turn.go(back, "saved" if found.plan.changes else "unchanged")


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
