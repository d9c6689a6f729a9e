"""What is frozen: seen by administrators and compliance, switched by administrators."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.administration.freezing import Freezable, shown_freezes
from app.administration.freezing import freeze as stop
from app.administration.freezing import unfreeze as let_go_on
from app.web.api.desk import AtDesk, Who
from app.web.api.documented import refusals
from app.web.api.freezing_shapes import Freezes, FreezeShape, FreezeWanted
from app.web.api.guard import GuardedRoute
from app.web.api.paging import InParts

router = APIRouter(prefix="/api/v1/freezes", tags=["freezes"], route_class=GuardedRoute)
Kind = Annotated[Freezable, Path(description="What is frozen.")]
Name = Annotated[
    str,
    Path(max_length=320, description="Name of the credential or project, or a person's address."),
]


@router.get("", summary="What is frozen", responses=refusals())
async def list_freezes(
    desk: AtDesk,
    parts: InParts,
    with_lifted: Annotated[bool, Query(description="Those that are over as well.")] = False,
) -> Freezes:
    """Freezes in the order of their beginning, with their reasons."""
    state = await desk.registry.state()
    page = parts.cut(
        shown_freezes(state, with_lifted=with_lifted), lambda each: f"{each.since.isoformat()} {each.id}"
    )
    return Freezes(items=[FreezeShape.model_validate(each, from_attributes=True) for each in page])


@router.put("/{kind}/{name}", summary="Freeze", responses=refusals(404, 409, 413))
async def freeze(desk: AtDesk, who: Who, kind: Kind, name: Name, wanted: FreezeWanted) -> FreezeShape:
    """Stop a credential, a project or a person from the next call on, everywhere.

    Calls under way end as they would have. Doing it again changes nothing, the reason included.
    """
    await stop(desk.registry, desk.mint, who.actor, kind=kind, name=name, reason=wanted.reason)
    desk.forget()
    frozen = shown_freezes(await desk.registry.state())
    wanted_name = name.strip().lower() if kind is Freezable.PERSON else name
    found = next(each for each in frozen if (each.kind, each.name) == (kind, wanted_name))
    return FreezeShape.model_validate(found, from_attributes=True)


@router.delete("/{kind}/{name}", status_code=204, summary="Unfreeze", responses=refusals(404))
async def unfreeze(desk: AtDesk, who: Who, kind: Kind, name: Name) -> None:
    """Let it go on from the next call on. Doing it again changes nothing."""
    await let_go_on(desk.registry, who.actor, kind=kind, name=name)
    desk.forget()
