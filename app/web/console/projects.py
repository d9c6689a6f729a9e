"""Projects: found, looked at, added, changed and ended; and freezing, wherever it is offered."""

from typing import Any, Final

from starlette.responses import Response

from app.administration.conditional import version_of
from app.administration.drafting import project_as_it_is, wanted_of
from app.administration.ending import retire, what_ends
from app.administration.freezing import Freezable, freeze, unfreeze
from app.administration.keys import shown_keys
from app.administration.lists import projects_in
from app.administration.reusing import spelled_out
from app.administration.state import Project, State
from app.administration.usage import spent_by_members, usage
from app.administration.wanted import Wanted
from app.administration.wishes import new_project, new_projects, the_project
from app.errors import InvalidParams, NotFound
from app.identity.roles import Act
from app.provider.endpoints import ENDPOINTS
from app.web.console.bounds import bounds_read, bounds_written
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.meters import by_scope, meters
from app.web.console.previewing import counted, save, save_listed, shown

ALL: Final = frozenset({Act.SEE_ALL})
OWN: Final = frozenset({Act.SEE_OWN_PROJECTS})
DIRECTORY: Final = frozenset({Act.MANAGE_DIRECTORY})
FREEZE: Final = frozenset({Act.FREEZE})
_LIST: Final = f"{PATH}/projects"
_LIMITS: Final = frozenset({"limits", "member_limits", "floors"})


async def show_projects(turn: Turn) -> Response:
    """Projects by name, with approval and people."""
    state = await turn.desk.registry.state()
    sought = turn.asked("q").strip().lower()
    emails = {each.id: each.email for each in state.people}
    credentials = {each.id: each.name for each in state.credentials}
    people: dict[str, list[str]] = {}
    for place in state.memberships:
        if place.retired_us is None:
            people.setdefault(place.project_id, []).append(emails[place.person_id])
    found = [
        {
            "project": each,
            "credential": credentials[each.credential_id],
            "lead": emails.get(each.lead_id or "", ""),
            "members": people.get(each.id, []),
            "freeze": state.freeze_of(each.id),
        }
        for each in sorted(state.projects, key=lambda one: one.name)
        if each.retired_us is None
        and sought in " ".join((each.name, each.approval_reference, *people.get(each.id, []))).lower()
    ]
    return turn.render("projects.html", found=found, sought=turn.asked("q"), today=state.now.date())


async def show_project(turn: Turn) -> Response:
    """One project: approval, people, budgets and keys."""
    state, project = await _project(turn)
    return turn.render(
        "project.html",
        **await _of_project(turn, state, project),
        credential=next(each.name for each in state.credentials if each.id == project.credential_id),
        keys=[
            each
            for each in shown_keys(state, turn.desk.mint, project=project.name)
            if each.status == "active"
        ],
        freeze=state.freeze_of(project.id),
        ends=shown(what_ends(state, "project", project.id)),
    )


async def show_my_project(turn: Turn) -> Response:
    """A project for whoever leads it: approval, people with what they spend, and budgets."""
    sight = await turn.sight()
    project = sight.projects.get(turn.in_path("id"))
    if project is None or project.id not in sight.led:
        raise NotFound("You lead no such project.", rule="sight")
    return turn.render("my_project.html", **await _of_project(turn, sight.state, project))


async def show_new_project(turn: Turn) -> Response:
    """The form for a project that is not there yet."""
    return await _form(turn, None)


async def show_edit(turn: Turn) -> Response:
    """The form with what a project is now."""
    _, project = await _project(turn)
    return await _form(turn, project)


async def add_project(turn: Turn) -> Response:
    """A new project."""
    name = turn.given.text("name", "The name", most=100)
    wish = new_project(_content(turn, {"name": name}))
    return await save(turn, wish, title=f"Add {name}", back=_LIST)


async def import_projects(turn: Turn) -> Response:
    """Many new projects from a list."""
    projects = projects_in(turn.given.text("csv", "The list", most=200_000))
    title = f"Add {counted(len(projects.contents), 'project', 'projects')}"
    return await save_listed(turn, projects, new_projects, title=title, back=_LIST)


async def change_project(turn: Turn) -> Response:
    """A project with other people, days or bounds; its limits stay as they are."""
    _, project = await _project(turn)

    def wish(state: State) -> Wanted:
        now = project_as_it_is(state, the_project(state, project.id))
        return wanted_of({"projects": [_content(turn, now)]})

    return await save(
        turn,
        wish,
        title=f"Change {project.name}",
        back=f"{_LIST}/{project.id}",
        filled=lambda state: _filled(state, project.id),
    )


async def retire_project(turn: Turn) -> Response:
    """End a project with its keys and with what was held for it."""
    await retire(turn.desk.registry, turn.who.actor, kind="project", object_id=turn.in_path("id"))
    turn.desk.forget()
    return turn.go(_LIST, "retired")


async def stop(turn: Turn) -> Response:
    """Freeze a credential, a project or a person."""
    kind, name = _frozen(turn)
    await freeze(
        turn.desk.registry,
        turn.desk.mint,
        turn.who.actor,
        kind=kind,
        name=name,
        reason=turn.given.text("reason", "The reason", most=500),
    )
    turn.desk.forget()
    return turn.go(_back(turn), "frozen")


async def let_go_on(turn: Turn) -> Response:
    """Lift a freeze."""
    kind, name = _frozen(turn)
    await unfreeze(turn.desk.registry, turn.who.actor, kind=kind, name=name)
    turn.desk.forget()
    return turn.go(_back(turn), "unfrozen")


async def _project(turn: Turn) -> tuple[Any, Project]:
    state = await turn.desk.registry.state()
    wanted = turn.in_path("id")
    found = next((each for each in state.projects if each.id == wanted and each.retired_us is None), None)
    if found is None:
        raise NotFound("There is no such project, or it has been retired.")
    return state, found


async def _of_project(turn: Turn, state: State, project: Project) -> dict[str, Any]:
    """What both pages of a project show."""
    people = {each.id: each for each in state.people}
    lead = people.get(project.lead_id or "")
    spent = await spent_by_members(turn.desk.registry, state, project)
    used = await usage(turn.desk.registry, project=project.name)
    members = [
        {
            "person": people[place.person_id],
            "from": place.from_day,
            "until": place.until_day,
            "may_call": state.terms_of(place.person_id).may_call(state.now.date()),
            "spent": spent[place.id],
        }
        for place in state.memberships
        if place.project_id == project.id and place.retired_us is None
    ]
    return {
        "project": project,
        "reuse": spelled_out(project),
        "lead": "" if lead is None else lead.email,
        "members": sorted(members, key=lambda each: str(each["person"].email)),
        "groups": by_scope(meters(used), email=""),
        "today": state.now.date(),
    }


async def _form(turn: Turn, project: Project | None) -> Response:
    state = await turn.desk.registry.state()
    now = {} if project is None else project_as_it_is(state, project)
    return turn.render(
        "project_form.html",
        project=project,
        now=now,
        version="" if project is None else version_of(_filled(state, project.id)),
        allowed=now.get("allow", {}).get("endpoints"),
        bounds=bounds_written(now.get("allow", {})),
        credentials=sorted(each.name for each in state.credentials if each.retired_us is None),
        people=sorted(each.email for each in state.people if each.retired_us is None),
        endpoints=sorted(ENDPOINTS),
    )


def _filled(state: State, project_id: str) -> dict[str, Any]:
    """What the form of a project is filled in with; limits have a page of their own."""
    now = project_as_it_is(state, the_project(state, project_id))
    members = [{name: each[name] for name in ("email", "from", "until")} for each in now["members"]]
    return {**{name: value for name, value in now.items() if name not in _LIMITS}, "members": members}


def _content(turn: Turn, now: dict[str, Any]) -> dict[str, Any]:
    """The project as the form wants it; what the form does not ask about stays."""
    given = turn.given
    known = {each["email"]: each for each in now.get("members", ())}
    addresses = [each.strip().lower() for each in given.get("members").replace(",", "\n").split("\n")]
    members = [known.get(each, {"email": each}) for each in dict.fromkeys(addresses) if each]
    takes_all, chosen = given.get("all_endpoints") == "yes", list(given.many("endpoint"))
    if takes_all is bool(chosen):
        # Neither says what is approved, nor do both at once: then the wider one must not win unseen.
        raise InvalidParams("Tick the endpoints that the approval covers, or all of them.", rule="request")
    allow = bounds_read(given, now.get("allow", {}))
    if chosen:
        allow["endpoints"] = chosen
    return {
        **now,
        "credential": given.text("credential", "The credential", most=100),
        "approval": {
            "reference": given.text("reference", "The approval's reference"),
            "from": given.day("from", "The approval's first day"),
            "until": given.day("until", "The approval's last day"),
        },
        "lead": given.get("lead").strip().lower() or None,
        "members": members,
        "cache_scope": given.get("cache_scope", "project"),
        "allow": allow,
        "reuse": {
            "cache_control": given.get("cache_control", "honour"),
            "stale": given.get("stale") == "yes",
            "lifetimes": _times(given.get("lifetimes")),
            "recent_lifetimes": _times(given.get("recent_lifetimes")),
            "without": given.many("without"),
        },
    }


def _times(text: str) -> dict[str, str]:
    """Times by endpoint, a line each. Good: `user/info 6h`. Raises InvalidParams for a line that is none."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        endpoint, _, time = " ".join(line.split()).partition(" ")
        if not endpoint:
            continue
        if endpoint in found:
            raise InvalidParams(f"{endpoint} has two times; give it one.", rule="request")
        found[endpoint] = time
    return found


def _frozen(turn: Turn) -> tuple[Freezable, str]:
    try:
        kind = Freezable(turn.given.get("kind"))
    except ValueError as error:
        raise InvalidParams("A credential, a project or a person can be frozen.", rule="request") from error
    return kind, turn.given.text("name", "The name")


def _back(turn: Turn) -> str:
    back = turn.given.get("back")
    is_here = back.startswith(f"{PATH}/") and "//" not in back and "\\" not in back and back.isprintable()
    return back if is_here and back.isascii() else f"{PATH}/today"


PAGES: Final = (
    Page(
        method="GET",
        path="/projects",
        answer=show_projects,
        acts=ALL,
        back=show_projects,
        takes=frozenset({"q"}),
    ),
    Page(method="GET", path="/projects/{id}", answer=show_project, acts=ALL),
    Page(method="GET", path="/my-projects/{id}", answer=show_my_project, acts=OWN),
    Page(method="GET", path="/projects/{id}/form", answer=show_edit, acts=DIRECTORY),
    Page(
        method="POST",
        path="/projects/{id}/form",
        answer=change_project,
        acts=DIRECTORY,
        back=show_edit,
        guarded="change a project",
    ),
    Page(method="POST", path="/projects/{id}/end", answer=retire_project, acts=DIRECTORY, back=show_projects),
    Page(method="GET", path="/new-project", answer=show_new_project, acts=DIRECTORY),
    Page(
        method="POST",
        path="/new-project",
        answer=add_project,
        acts=DIRECTORY,
        back=show_new_project,
        guarded="add a project",
    ),
    Page(
        method="POST",
        path="/new-projects",
        answer=import_projects,
        acts=DIRECTORY,
        back=show_new_project,
        guarded="add the projects of a list",
    ),
    Page(method="POST", path="/freezes", answer=stop, acts=FREEZE),
    Page(
        method="POST", path="/freezes/end", answer=let_go_on, acts=FREEZE, guarded="let go on what was frozen"
    ),
)
