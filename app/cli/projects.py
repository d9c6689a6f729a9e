"""project."""

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.changing import (
    Amounts,
    DryRun,
    amounts_in,
    carry_out,
    end_one,
    say_changed,
    shown,
    shown_one,
    text_of,
)
from app.cli.speaking import AsJson, a_day, day_of, say, say_json, table

if TYPE_CHECKING:
    from app.administration.state import State
    from app.administration.wanted import Wanted

projects = typer.Typer(help="Approved projects.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(help="The project's name.")]
Endpoints = Annotated[
    list[str] | None,
    typer.Option("--endpoint", metavar="NAME", help="What is allowed, such as video/query; repeatable."),
]
AllowFile = Annotated[
    Path | None,
    typer.Option(help="File with all that is allowed, in YAML or JSON, as under `allow` in a state file."),
]
CacheScope = Annotated[
    str | None, typer.Option(metavar="project|credential", help="Whom its held answers serve.")
]


@projects.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """List projects, their approvals and members."""
    found = shown("shown_projects")
    if as_json:
        say_json({"projects": found})
        return
    rows = [
        (
            each["name"],
            each["credential"],
            each["approval"]["reference"],
            f"{each['approval']['from']} to {each['approval']['until']}",
            each["lead"],
            len(each["members"]),
        )
        for each in found
    ]
    table("Projects", ("name", "credential", "approval", "in force", "lead", "members"), rows)


@projects.command("show")
def show_project(name: Project, as_json: AsJson = False) -> None:
    """Show one project: its approval, its members, and when its held answers may be used."""
    missing = f"There is no project {name}; `bursar project list` shows all."
    found = shown_one("shown_projects", "name", name, missing)
    if as_json:
        say_json(found)
        return
    approval, reuse = found["approval"], found["reuse"]
    members = [each["email"] for each in found["members"]]
    say(
        f"{name}, on credential {found['credential']}",
        f"approval {approval['reference']}, from {approval['from']} to {approval['until']}",
        f"lead: {found['lead'] or 'nobody'}; members: {', '.join(members) or 'nobody'}",
        f"allowed: {_bounds(found['allow']) or 'everything'}",
        f"held answers serve the {found['cache_scope']}; Cache-Control: {reuse['cache_control']}; "
        f"past their time, when nothing can be fetched: {'yes' if reuse['stale'] else 'no'}",
        f"lifetimes: {_told(reuse['lifetimes']) or 'as usual'}; "
        f"of recent windows: {_told(reuse['recent_lifetimes']) or 'as usual'}; "
        f"steps of reuse left out: {', '.join(reuse['without']) or 'none'}",
    )


@projects.command("add")
def add_project(
    name: Project,
    *,
    credential: Annotated[str, typer.Option(metavar="NAME", help="Credential that its calls go out with.")],
    reference: Annotated[str, typer.Option(help="The platform's reference of the approval.")],
    from_day: Annotated[
        dt.datetime,
        typer.Option("--from", parser=a_day, metavar="DATE", help="First day of the approval."),
    ],
    until_day: Annotated[
        dt.datetime, typer.Option("--until", parser=a_day, metavar="DATE", help="Last day of it.")
    ],
    lead: Annotated[str | None, typer.Option(metavar="EMAIL", help="Who leads it, a member as well.")] = None,
    member: Annotated[list[str] | None, typer.Option(metavar="EMAIL", help="A member; repeatable.")] = None,
    endpoint: Endpoints = None,
    allow_file: AllowFile = None,
    cache_scope: CacheScope = None,
    limit: Amounts = None,
    member_limit: Annotated[
        list[str] | None, typer.Option(metavar="KEY=AMOUNT", help="The same for each member; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add an approved project, in effect at once. Without --endpoint or --allow-file everything is allowed."""
    from app.administration.wishes import new_project  # noqa: PLC0415

    people = [each.strip().lower() for each in (*(member or ()), *([lead] if lead else ()))]
    content = {
        "name": name,
        "credential": credential,
        "approval": {"reference": reference, "from": day_of(from_day), "until": day_of(until_day)},
        "lead": lead,
        "members": list(dict.fromkeys(people)),
        "allow": _allowed(endpoint, allow_file, {}),
        "limits": amounts_in(limit or ()),
        "member_limits": amounts_in(member_limit or ()),
        **({} if cache_scope is None else {"cache_scope": cache_scope}),
    }
    carry_out(new_project(content))
    say_changed({"project": name}, has_changed=True, as_json=as_json, done=f"Project {name} is there.")


@projects.command("set")
def set_project(
    name: Project,
    *,
    credential: Annotated[str | None, typer.Option(metavar="NAME", help="Another credential.")] = None,
    reference: Annotated[str | None, typer.Option(help="Another reference of the approval.")] = None,
    from_day: Annotated[
        dt.datetime | None,
        typer.Option("--from", parser=a_day, metavar="DATE", help="Another first day of it."),
    ] = None,
    until_day: Annotated[
        dt.datetime | None,
        typer.Option("--until", parser=a_day, metavar="DATE", help="Another last day of it."),
    ] = None,
    lead: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="A member who leads it; nobody where empty.")
    ] = None,
    endpoint: Endpoints = None,
    allow_file: AllowFile = None,
    cache_scope: CacheScope = None,
    cache_control: Annotated[
        str | None,
        typer.Option(metavar="honour|ignore", help="Whether Cache-Control of its callers counts."),
    ] = None,
    stale: Annotated[
        bool | None,
        typer.Option(
            "--stale/--no-stale",
            help="Serve what is past its time while the platform or the quota gives nothing.",
        ),
    ] = None,
    lifetime: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ENDPOINT=TIME",
            help="For how long answers are served again: user/info=6h, default=7d; nothing behind = is as usual.",
        ),
    ] = None,
    recent_lifetime: Annotated[
        list[str] | None,
        typer.Option(metavar="ENDPOINT=TIME", help="The same where the days asked for were still filling."),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            metavar="STEP,...",
            help="Steps of reuse to leave out: full-pages, wide-fields, containment, records; none where empty.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set what is named of a project, from the next call on; what is not named stays."""
    from app.administration.drafting import project_as_it_is  # noqa: PLC0415
    from app.administration.finding import find_project  # noqa: PLC0415
    from app.administration.reusing import reuse_of  # noqa: PLC0415
    from app.administration.wishes import changed_project  # noqa: PLC0415

    plain = {"credential": credential, "cache_scope": cache_scope, "lead": lead}
    approval = {"reference": reference, "from": day_of(from_day), "until": day_of(until_day)}

    def wish(state: "State") -> "Wanted":
        project = find_project(state, name)
        now = project_as_it_is(state, project)
        changes: dict[str, Any] = {key: value or None for key, value in plain.items() if value is not None}
        given = {key: value for key, value in approval.items() if value is not None}
        changes |= {
            "approval": {**now["approval"], **given},
            "allow": _allowed(endpoint, allow_file, now["allow"]),
            "reuse": reuse_of(state, name),
        }
        _put_reuse(changes["reuse"], cache_control, stale, without)
        _put_times(changes["reuse"]["lifetimes"], lifetime or ())
        _put_times(changes["reuse"]["recent_lifetimes"], recent_lifetime or ())
        return changed_project(project.id, changes)(state)

    has_changed = carry_out(wish)
    if as_json:
        now = shown_one("shown_projects", "name", name, f"There is no project {name} any more.")
        say_json({"project": name, "changed": has_changed, "reuse": now["reuse"]})
    else:
        say("Done, from the next call on." if has_changed else "Nothing to change.")


@projects.command("remove")
def remove_project(name: Project, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """End a project: its memberships, their keys, and the key of what is held for it, which nobody can read then."""
    from app.administration.finding import find_project  # noqa: PLC0415

    end_one(
        "project",
        name,
        lambda state: find_project(state, name).id,
        is_dry_run=dry_run,
        as_json=as_json,
    )


def _allowed(endpoints: list[str] | None, file: Path | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """What is allowed by these options; endpoints alone leave what else bounds it now, and `all` lifts their bound."""
    from app.administration.desired import read_yaml  # noqa: PLC0415
    from app.errors import InvalidParams  # noqa: PLC0415

    allowed = now if file is None else read_yaml(text_of(file))
    if not isinstance(allowed, Mapping):
        raise InvalidParams(f"{file} does not say what is allowed, such as endpoints: [video/query].")
    if endpoints is None:
        return dict(allowed)
    others = {name: value for name, value in allowed.items() if name != "endpoints"}
    return others if endpoints == ["all"] else {**others, "endpoints": endpoints}


def _put_reuse(
    reuse: dict[str, Any], cache_control: str | None, stale: bool | None, without: str | None
) -> None:
    if cache_control is not None:
        reuse["cache_control"] = cache_control
    if stale is not None:
        reuse["stale"] = stale
    if without is not None:
        reuse["without"] = [each.strip() for each in without.split(",") if each.strip()]


def _put_times(times: dict[str, Any], given: Iterable[str]) -> None:
    for each in given:
        endpoint, sign, time = each.partition("=")
        if not sign:
            raise typer.BadParameter(f"{each!r} is no ENDPOINT=TIME, such as user/info=6h")
        if time:
            times[endpoint] = time
        else:
            times.pop(endpoint, None)


def _bounds(allow: Mapping[str, Any]) -> str:
    """Every bound: `endpoints video/query, user/info; region_code US, CA; at most 7 days after the first`."""
    told = [f"endpoints {', '.join(allow['endpoints']) or 'none'}"] if "endpoints" in allow else []
    told += [
        f"fields of {name} {', '.join(some) or 'none'}" for name, some in allow.get("fields", {}).items()
    ]
    told += [f"{name} {', '.join(some) or 'none'}" for name, some in allow.get("conditions", {}).items()]
    if "dates" in allow:
        told.append(f"days {' '.join(f'{name} {day}' for name, day in allow['dates'].items())}")
    if "max_span_days" in allow:
        told.append(f"the last day at most {allow['max_span_days']} after the first")
    return "; ".join(told)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
