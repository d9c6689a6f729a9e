"""What is held: how much, how old and of what; and having it go, once it was seen how much that is."""

from typing import Final

from starlette.responses import Response

from app.administration.purging import Purge, look_before_purging, purge, shown_figures
from app.errors import InvalidParams
from app.identity.roles import Act
from app.provider.endpoints import ENDPOINTS
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.previewing import is_saving, preview

HELD: Final = frozenset({Act.PURGE_HELD})
_HERE: Final = f"{PATH}/held"
_MOST_CHARS: Final = 200
_SHARED: Final = "What the projects of {credential} share goes for all of them: {project} holds its answers together with the others."


async def show_held(turn: Turn) -> Response:
    """Figures by project and endpoint, and the form that purges."""
    state = await turn.desk.registry.state()
    figures = await turn.desk.held.figures()
    return turn.render(
        "held.html",
        rows=shown_figures(state, figures),
        pages=sum(each.pages for each in figures),
        records=sum(each.records for each in figures),
        stored_bytes=await turn.desk.held.stored_bytes(),
        most_bytes=turn.desk.installation.settings.max_held_database_bytes,
        projects=sorted(each.name for each in state.projects if each.retired_us is None),
        endpoints=[name for name, each in ENDPOINTS.items() if each.may_be_held],
    )


async def purge_held(turn: Turn) -> Response:
    """Have pages go, after a look at how many that are."""
    desk, wanted = turn.desk, _wanted(turn)
    if is_saving(turn):
        done = await purge(desk.registry, desk.held, turn.who.actor, wanted)
        desk.forget()
        return turn.go(_HERE, "purged" if done.pages else "unchanged")
    found = await look_before_purging(desk.registry, desk.held, turn.who.actor, wanted)
    changes = [
        {
            "object": scope,
            "what": "held pages",
            "before": f"{each.pages:,} with {each.records:,} records",
            "after": "none",
        }
        for scope, each in found
    ]
    shared = [scope for scope, _ in found if scope.startswith("credential:")]
    warnings = [
        _SHARED.format(credential=scope, project=wanted.project) for scope in shared if wanted.project
    ]
    return preview(turn, back=_HERE, title="Purge what is held", changes=changes, warnings=warnings)


def _wanted(turn: Turn) -> Purge:
    """What is to go, as the form says; what was left empty says nothing."""
    chosen = {
        name: turn.given.get(name).strip() or None for name in ("project", "endpoint", "record", "author")
    }
    if any(len(each or "") > _MOST_CHARS for each in chosen.values()):
        raise InvalidParams(f"A field has more than {_MOST_CHARS} characters.", rule="request")
    return Purge(**chosen)


PAGES: Final = (
    Page(method="GET", path="/held", answer=show_held, acts=HELD),
    Page(method="POST", path="/held", answer=purge_held, acts=HELD, back=show_held),
)
