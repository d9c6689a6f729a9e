"""credential, person and project."""

import datetime as dt
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.passwords import PasswordCode

credentials = typer.Typer(help="Upstream credentials.", no_args_is_help=True)
people = typer.Typer(help="People and their roles.", no_args_is_help=True)
projects = typer.Typer(help="Approved projects.", no_args_is_help=True)

SecretFile = Annotated[Path | None, typer.Option(help="File that holds the client secret.")]
SecretEnv = Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds the client secret.")]
Project = Annotated[str, typer.Argument(help="The project's name.")]
ClientKey = Annotated[str, typer.Option(help="The platform's client key.")]


@credentials.command("add")
def add_credential(
    name: Annotated[str, typer.Argument(help="What the credential is called here.")],
    *,
    client_key: ClientKey,
    base_url: Annotated[
        str, typer.Option(help="Where it may be used, and nowhere else.")
    ] = "https://open.tiktokapis.com",
    secret_file: SecretFile = None,
    secret_env: SecretEnv = None,
    as_json: AsJson = False,
) -> None:
    """Add a credential. The secret comes from a file, a variable or a prompt, never from an argument."""
    from app.administration.acts import add_credential as add  # noqa: PLC0415

    secret = _secret(secret_file, secret_env)

    async def work() -> None:
        async with office() as here:
            await add(
                here.registry,
                here.mint,
                operator(),
                name=name,
                base_url=base_url,
                client_key=client_key,
                client_secret=secret,
            )

    run(work())
    if as_json:
        say_json({"credential": name, "changed": True})
    else:
        say(f"Credential {name} is there; check it with `bursar credential verify {name}`.")


@credentials.command("rotate")
def rotate_credential(
    name: Annotated[str, typer.Argument(help="Credential.")],
    *,
    client_key: Annotated[str | None, typer.Option(help="The new client key, if that changes too.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="The new host, if that changes too; a secret is bound to its host.")
    ] = None,
    secret_file: SecretFile = None,
    secret_env: SecretEnv = None,
    as_json: AsJson = False,
) -> None:
    """Replace the secret of a credential, from a file, a variable or a prompt."""
    from app.administration.acts import rotate_credential as rotate  # noqa: PLC0415

    secret = _secret(secret_file, secret_env)

    async def work() -> bool:
        async with office() as here:
            return await rotate(
                here.registry,
                here.mint,
                operator(),
                name=name,
                client_key=client_key,
                client_secret=secret,
                base_url=base_url,
            )

    has_changed = run(work())
    if as_json:
        say_json({"credential": name, "changed": has_changed})
    else:
        say("The secret is replaced." if has_changed else "That is the secret it has already.")


@credentials.command("list")
def list_credentials(as_json: AsJson = False) -> None:
    """List credentials, without their keys and secrets."""
    found = _shown("shown_credentials")
    if as_json:
        say_json({"credentials": found})
        return
    rows = [(each["name"], each["base_url"], f"{each['people']} of {each['roster_limit']}") for each in found]
    table("Credentials", ("name", "host", "people"), rows)


@credentials.command("verify")
def verify_credentials(
    name: Annotated[
        str | None, typer.Argument(help="One credential; all of them where it is left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the platform for a token with each credential, which costs no quota. Exit code 1: one is refused."""
    from app.bootstrap import verify_credentials as verify  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    found = run(verify(load_settings(), name))
    if as_json:
        say_json({"credentials": [{"name": each, "holds": why is None, "why": why} for each, why in found]})
    else:
        for each, why in found:
            say(f"{each}: {'the platform takes it' if why is None else why}")
    if any(why is not None for _, why in found):
        raise typer.Exit(1)


@people.command("list")
def list_people(as_json: AsJson = False) -> None:
    """List people, their roles and projects."""
    found = _shown("shown_people")
    if as_json:
        say_json({"people": found})
        return
    rows = [
        (each["email"], each["name"], ", ".join(each["roles"]), ", ".join(each["projects"])) for each in found
    ]
    table("People", ("e-mail", "name", "roles", "projects"), rows)


@people.command("add")
def add_person(
    email: Annotated[str, typer.Argument(help="E-mail address.")],
    name: Annotated[str, typer.Option(help="Name.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="researcher, lead, quota_admin, admin or compliance; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a person, or change their name and roles."""
    from app.administration.acts import add_person as add  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await add(
                here.registry, here.mint, operator(), email=email, name=name, roles=frozenset(role or ())
            )

    has_changed = run(work())
    if as_json:
        say_json({"person": email.strip().lower(), "changed": has_changed})
    else:
        say("Done." if has_changed else "Nothing to change.")


@people.command("link")
def link_person(
    email: Annotated[str, typer.Argument(help="E-mail address.")],
    subject: Annotated[str, typer.Option(help="What the institution's identity provider calls them.")],
    as_json: AsJson = False,
) -> None:
    """Have an account of the institution's identity provider sign in to the console as a person."""
    from app.administration.joining import link_identity  # noqa: PLC0415
    from app.errors import BadSetting  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    async def work() -> bool:
        issuer = load_settings().oidc_issuer
        if issuer is None:
            raise BadSetting("BURSAR_OIDC_ISSUER is not set, so nobody signs in at an institution.")
        async with office() as here:
            return await link_identity(here.registry, operator(), email=email, issuer=issuer, subject=subject)

    has_changed = run(work())
    if as_json:
        say_json({"person": email.strip().lower(), "changed": has_changed})
    else:
        say("The account is linked." if has_changed else "It was linked already.")


@people.command("unlink")
def unlink_person(
    email: Annotated[str, typer.Argument(help="E-mail address.")], as_json: AsJson = False
) -> None:
    """End what a person's account at the institution opens here, and their sessions."""
    from app.administration.joining import unlink_identities  # noqa: PLC0415

    async def work() -> int:
        async with office() as here:
            return await unlink_identities(here.registry, operator(), email=email)

    count = run(work())
    if as_json:
        say_json({"person": email.strip().lower(), "changed": count > 0})
    else:
        say("The account opens nothing any more." if count else "No account was linked.")


@people.command("set-password")
def set_password(
    email: Annotated[str, typer.Argument(help="E-mail address.")], as_json: AsJson = False
) -> None:
    """Make a code with which a person sets their own password for the console, once, within a day."""
    from app.administration.passwords import issue_password_code  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415

    async def work() -> "PasswordCode":
        async with office() as here:
            return await issue_password_code(here.registry, operator(), email=email)

    made = run(work())
    url = f"{load_settings().public_url}/console/password"
    until = dt.datetime.fromtimestamp(made.until_us / 1_000_000, dt.UTC)
    if as_json:
        say_json({"person": made.email, "url": url, "code": made.code, "until": until})
        return
    say(
        f"{made.email} sets a password at {url}#{made.code}",
        f"or at {url} with the code {made.code}; it works once, until {until:%Y-%m-%d %H:%M} UTC.",
    )


@projects.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """List projects, their approvals and members."""
    found = _shown("shown_projects")
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
    from app.errors import NotFound  # noqa: PLC0415

    found = next((each for each in _shown("shown_projects") if each["name"] == name), None)
    if found is None:
        raise NotFound(f"There is no project {name}; `bursar project list` shows all.")
    if as_json:
        say_json(found)
        return
    approval, reuse = found["approval"], found["reuse"]
    members = [each["email"] for each in found["members"]]
    say(
        f"{name}, on credential {found['credential']}",
        f"approval {approval['reference']}, from {approval['from']} to {approval['until']}",
        f"lead: {found['lead'] or 'nobody'}; members: {', '.join(members) or 'nobody'}",
        f"allowed: {_told(found['allow']) or 'everything'}",
        f"held answers serve the {found['cache_scope']}; Cache-Control: {reuse['cache_control']}; "
        f"past their time, when nothing can be fetched: {'yes' if reuse['stale'] else 'no'}",
        f"lifetimes: {_told(reuse['lifetimes']) or 'as usual'}; "
        f"of recent windows: {_told(reuse['recent_lifetimes']) or 'as usual'}; "
        f"steps of reuse left out: {', '.join(reuse['without']) or 'none'}",
    )


@projects.command("set")
def set_project(
    name: Project,
    *,
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
    """Set when a project's held answers may be used; what is not named stays. The rest is for `apply`."""
    from app.administration.reusing import reuse_of, set_reuse  # noqa: PLC0415

    async def work() -> tuple[bool, dict[str, Any]]:
        async with office() as here:
            reuse = reuse_of(await here.registry.state(), name)
            if cache_control is not None:
                reuse["cache_control"] = cache_control
            if stale is not None:
                reuse["stale"] = stale
            _put_times(reuse["lifetimes"], lifetime or ())
            _put_times(reuse["recent_lifetimes"], recent_lifetime or ())
            if without is not None:
                reuse["without"] = [each.strip() for each in without.split(",") if each.strip()]
            has_changed = await set_reuse(here.registry, operator(), project=name, reuse=reuse)
            return has_changed, reuse_of(await here.registry.state(), name)

    has_changed, now = run(work())
    if as_json:
        say_json({"project": name, "changed": has_changed, "reuse": now})
    else:
        say("Done, from the next call on." if has_changed else "Nothing to change.")


def _put_times(times: dict[str, Any], given: Iterable[str]) -> None:
    for each in given:
        endpoint, sign, time = each.partition("=")
        if not sign:
            raise typer.BadParameter(f"{each!r} is no ENDPOINT=TIME, such as user/info=6h")
        if time:
            times[endpoint] = time
        else:
            times.pop(endpoint, None)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _shown(what: str) -> list[dict[str, Any]]:
    from app.administration import shown  # noqa: PLC0415

    async def work() -> list[dict[str, Any]]:
        async with office() as here:
            found: list[dict[str, Any]] = getattr(shown, what)(await here.registry.state())
            return found

    return run(work())


def _secret(file: Path | None, variable: str | None) -> str:
    if file is not None and variable is not None:
        raise typer.BadParameter("give either --secret-file or --secret-env")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{file} cannot be read as text") from error
    if variable is not None:
        if variable not in os.environ:
            raise typer.BadParameter(f"the variable {variable} is not set")
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --secret-file or --secret-env, since nobody can be asked here")
    asked: str = typer.prompt("Client secret", hide_input=True, err=True)
    return asked
