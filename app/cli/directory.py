"""credential and person."""

import datetime as dt
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.changing import (
    Amounts,
    DryRun,
    amounts_in,
    carry_out,
    end_one,
    limit_key,
    say_changed,
    shown,
    shown_one,
    text_of,
)
from app.cli.proposals import waits
from app.cli.speaking import AsJson, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.passwords import PasswordCode
    from app.administration.state import State
    from app.administration.wanted import Wanted

credentials = typer.Typer(help="Upstream credentials.", no_args_is_help=True)
people = typer.Typer(help="People and their roles.", no_args_is_help=True)

SecretFile = Annotated[Path | None, typer.Option(help="File that holds the client secret.")]
SecretEnv = Annotated[str | None, typer.Option(metavar="NAME", help="Variable that holds the client secret.")]
Credential = Annotated[str, typer.Argument(help="Credential.")]
Email = Annotated[str, typer.Argument(help="E-mail address.")]
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
    limit: Amounts = None,
    as_json: AsJson = False,
) -> None:
    """Add a credential. The secret comes from a file, a variable or a prompt, never from an argument."""
    from app.administration.acts import add_credential as add  # noqa: PLC0415
    from app.administration.proposals import shown_proposals  # noqa: PLC0415

    limits = {limit_key(key): amount for key, amount in amounts_in(limit or ()).items()}
    secret = _secret(secret_file, secret_env)

    async def work() -> list[dict[str, Any]]:
        async with office() as here:
            waiting = await add(
                here.registry,
                here.mint,
                operator(),
                name=name,
                base_url=base_url,
                client_key=client_key,
                client_secret=secret,
                limits=limits,
            )
            return shown_proposals(await here.registry.state(), waiting) if waiting else []

    waiting = run(work())
    if as_json:
        say_json({"credential": name, "changed": True, "waiting": waiting})
    else:
        say(*(waits(each) for each in waiting))
        say(f"Credential {name} is there; check it with `bursar credential verify {name}`.")


@credentials.command("rotate")
def rotate_credential(
    name: Credential,
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
    found = shown("shown_credentials")
    if as_json:
        say_json({"credentials": found})
        return
    rows = [(each["name"], each["base_url"], f"{each['people']} of {each['roster_limit']}") for each in found]
    table("Credentials", ("name", "host", "people"), rows)


@credentials.command("show")
def show_credential(name: Credential, as_json: AsJson = False) -> None:
    """Show one credential, without its key and secret."""
    missing = f"There is no credential {name}; `bursar credential list` shows all."
    found = shown_one("shown_credentials", "name", name, missing)
    if as_json:
        say_json(found)
        return
    permission = found["permission"] or {}
    say(
        f"{name}, for {found['base_url']}",
        f"used by {found['people']} of at most {found['roster_limit']} people",
        f"permission for more than ten: {permission.get('reference', 'none')}",
    )


@credentials.command("set")
def set_credential(
    name: Credential,
    *,
    roster_limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many people may use it.")],
    permission: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE", help="The platform's written leave for more than ten; stays if left out."
        ),
    ] = None,
    permission_file: Annotated[
        Path | None, typer.Option(help="File that shows it; its name and hash are kept, not the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set how many people may use a credential. Under two-person control a raise waits for a second administrator."""
    from app.administration.proposals import shown_proposals  # noqa: PLC0415
    from app.administration.rostering import set_roster  # noqa: PLC0415

    granted = _permission(permission, permission_file)

    async def work() -> tuple[bool, list[dict[str, Any]]]:
        async with office() as here:
            done = await set_roster(
                here.registry, here.mint, operator(), name=name, roster_limit=roster_limit, permission=granted
            )
            waiting = shown_proposals(await here.registry.state(), done.waiting) if done.waiting else []
            return done.has_changed, waiting

    has_changed, waiting = run(work())
    if as_json:
        say_json({"credential": name, "changed": has_changed, "waiting": waiting})
    elif waiting:
        say(*(waits(each) for each in waiting))
    else:
        say("Done." if has_changed else "Nothing to change.")


@credentials.command("remove")
def remove_credential(name: Credential, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """End a credential that no project uses; its secret is destroyed, and what was held under it cannot be read."""
    from app.administration.finding import find_credential  # noqa: PLC0415

    end_one(
        "credential",
        name,
        lambda state: find_credential(state, name).id,
        is_dry_run=dry_run,
        as_json=as_json,
    )


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
    found = shown("shown_people")
    if as_json:
        say_json({"people": found})
        return
    rows = [
        (each["email"], each["name"], ", ".join(each["roles"]), ", ".join(each["projects"])) for each in found
    ]
    table("People", ("e-mail", "name", "roles", "projects"), rows)


@people.command("add")
def add_person(
    email: Email,
    name: Annotated[str, typer.Option(help="Name.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="researcher, lead, quota_admin, admin or compliance; may be repeated."),
    ] = None,
    returning: Annotated[
        bool,
        typer.Option("--returning", help="They are who had this address before, not somebody else."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a person, who is somebody new unless --returning. Somebody who is there already is changed with `bursar person set`."""
    from app.administration.wishes import new_person  # noqa: PLC0415

    carry_out(new_person({"email": email, "name": name, "roles": role or [], "returning": returning}))
    address = email.strip().lower()
    say_changed({"person": address}, has_changed=True, as_json=as_json, done=f"{address} is there.")


@people.command("set")
def set_person(
    email: Email,
    *,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="The roles they have from now on, all of them; repeatable; none where empty."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set what is named of a person, from the next request on; what is not named stays."""
    from app.administration.finding import find_person  # noqa: PLC0415
    from app.administration.lockout import require_other_administrator  # noqa: PLC0415
    from app.administration.wishes import changed_person  # noqa: PLC0415
    from app.identity.roles import Role  # noqa: PLC0415

    changes: dict[str, Any] = {} if name is None else {"name": name}
    if role is not None:
        changes["roles"] = [each for each in role if each]

    def wish(state: "State") -> "Wanted":
        person = find_person(state, email)
        if Role.ADMIN not in changes.get("roles", person.roles):
            require_other_administrator(state, person)
        return changed_person(person.id, changes)(state)

    say_changed({"person": email.strip().lower()}, has_changed=carry_out(wish), as_json=as_json)


@people.command("show")
def show_person(email: Email, as_json: AsJson = False) -> None:
    """Show one person: their roles, their projects and what they accepted."""
    missing = f"There is no person {email}; `bursar person list` shows all."
    found = shown_one("shown_people", "email", email.strip().lower(), missing)
    if as_json:
        say_json(found)
        return
    say(
        f"{found['email']}, {found['name']}",
        f"roles: {', '.join(found['roles']) or 'none'}",
        f"projects: {', '.join(found['projects']) or 'none'}",
        f"terms accepted: {', '.join(found['accepted']) or 'none'}",
    )


@people.command("remove")
def remove_person(email: Email, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """End a person's part: memberships, keys, tokens, password, sessions. The log goes on naming their id."""
    from app.administration.finding import find_person  # noqa: PLC0415

    end_one(
        "person",
        email.strip().lower(),
        lambda state: find_person(state, email).id,
        is_dry_run=dry_run,
        as_json=as_json,
    )


@people.command("link")
def link_person(
    email: Email,
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
def unlink_person(email: Email, as_json: AsJson = False) -> None:
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
def set_password(email: Email, as_json: AsJson = False) -> None:
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


def _permission(reference: str | None, file: Path | None) -> dict[str, str] | None:
    if reference is None:
        if file is not None:
            raise typer.BadParameter("--permission-file goes with --permission")
        return None
    if file is None:
        return {"reference": reference}
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read") from error
    return {"reference": reference, "file": file.name, "sha256": digest}


def _secret(file: Path | None, variable: str | None) -> str:
    if file is not None and variable is not None:
        raise typer.BadParameter("give either --secret-file or --secret-env")
    if file is not None:
        return text_of(file)
    if variable is not None:
        if variable not in os.environ:
            raise typer.BadParameter(f"the variable {variable} is not set")
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --secret-file or --secret-env, since nobody can be asked here")
    asked: str = typer.prompt("Client secret", hide_input=True, err=True)
    return asked
