"""key and token."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import AsJson, Day, day_of, note, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from app.administration.keys import ShownKey

keys = typer.Typer(help="Keys of people in projects.", no_args_is_help=True)
tokens = typer.Typer(help="Bearer tokens for /api/v1.", no_args_is_help=True)

Project = Annotated[str, typer.Option(metavar="NAME", help="Project.")]
Person = Annotated[str, typer.Option(metavar="EMAIL", help="Person.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Key id or client_key.")]


@tokens.command("issue")
def issue_token(person: Person, expires: Day = None, as_json: AsJson = False) -> None:
    """Issue a bearer token with that person's roles, good through --expires or for 90 days."""
    from app.administration.keys import IssuedToken  # noqa: PLC0415
    from app.administration.keys import issue_token as issue  # noqa: PLC0415

    async def work() -> IssuedToken:
        async with office() as here:
            return await issue(here.registry, here.mint, operator(), email=person, expires=day_of(expires))

    issued = run(work())
    if as_json:
        say_json({"token": issued.token, "expires_at": issued.expires_at})
    else:
        say(issued.token)
        note(f"Good until {issued.expires_at:%Y-%m-%d %H:%M} UTC. It is not shown again.")


@tokens.command("list")
def list_tokens(
    person: Annotated[str | None, typer.Option(metavar="EMAIL", help="Of this person alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """List tokens by id, without their secrets, which nobody has."""
    from app.administration.tokens import ShownToken, shown_tokens  # noqa: PLC0415

    async def work() -> list[ShownToken]:
        async with office() as here:
            return list(shown_tokens(await here.registry.state(), email=person))

    found = run(work())
    if as_json:
        say_json(
            {
                "tokens": [
                    {
                        "token_id": each.token_id,
                        "person": each.email,
                        "status": each.status,
                        "created_at": each.created_at,
                        "expires_at": each.expires_at,
                    }
                    for each in found
                ]
            }
        )
        return
    rows = [(each.token_id, each.email, each.status, each.created_at, each.expires_at) for each in found]
    table("Tokens", ("id", "person", "status", "issued", "expires"), rows, whole=("id",))


@tokens.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="ID", help="Token id, as `bursar token list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """End a token at once, on every replica, with the sessions that were opened with it."""
    from app.administration.tokens import end_token  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await end_token(here.registry, operator(), token=token)

    has_changed = run(work())
    if as_json:
        say_json({"token_id": token, "revoked": True, "changed": has_changed})
    else:
        say("The token is revoked." if has_changed else "The token had been revoked before.")


@keys.command("issue")
def issue_key(project: Project, person: Person, expires: Day = None, as_json: AsJson = False) -> None:
    """Issue a key; its secrets are shown once. Without --expires it lasts as long as the membership."""
    from app.administration.keys import IssuedKey  # noqa: PLC0415
    from app.administration.keys import issue_key as issue  # noqa: PLC0415

    async def work() -> IssuedKey:
        async with office() as here:
            return await issue(
                here.registry, here.mint, operator(), project=project, email=person, expires=day_of(expires)
            )

    issued = run(work())
    if as_json:
        say_json(
            {
                "key_id": issued.key_id,
                "client_key": issued.client_key,
                "client_secret": issued.client_secret,
                "api_key": issued.api_key,
                "expires_at": issued.expires_at,
            }
        )
        return
    say(
        f"client_key     {issued.client_key}",
        f"client_secret  {issued.client_secret}",
        f"api_key        {issued.api_key}",
    )
    note("The last two are not shown again.")


@keys.command("rotate")
def rotate_key(
    key: KeyArgument,
    overlap_s: Annotated[
        int, typer.Option(min=0, max=604_800, help="Seconds for which the old secrets go on working.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Give a key fresh secrets."""
    from app.administration.keys import IssuedKey  # noqa: PLC0415
    from app.administration.keys import rotate_key as rotate  # noqa: PLC0415

    async def work() -> IssuedKey:
        async with office() as here:
            return await rotate(here.registry, here.mint, operator(), key=key, overlap_s=overlap_s)

    issued = run(work())
    if as_json:
        say_json(
            {
                "key_id": issued.key_id,
                "client_key": issued.client_key,
                "client_secret": issued.client_secret,
                "api_key": issued.api_key,
                "expires_at": issued.expires_at,
                "old_until": issued.old_until,
            }
        )
        return
    say(
        f"client_key     {issued.client_key}",
        f"client_secret  {issued.client_secret}",
        f"api_key        {issued.api_key}",
    )
    until = f"{issued.old_until:%Y-%m-%d %H:%M} UTC" if issued.old_until else "now"
    note(f"The old secrets work until {until}. The new ones are not shown again.")


@keys.command("revoke")
def revoke_key(key: KeyArgument, as_json: AsJson = False) -> None:
    """End a key at once, on every replica."""
    from app.administration.keys import revoke_key as revoke  # noqa: PLC0415

    async def work() -> bool:
        async with office() as here:
            return await revoke(here.registry, operator(), key=key)

    has_changed = run(work())
    if as_json:
        say_json({"key": key, "revoked": True, "changed": has_changed})
    else:
        say("The key is revoked." if has_changed else "The key had been revoked before.")


@keys.command("list")
def list_keys(
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Of this project alone.")] = None,
    person: Annotated[str | None, typer.Option(metavar="EMAIL", help="Of this person alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """List keys, without their secrets, which nobody has."""
    from app.administration.keys import ShownKey, shown_keys  # noqa: PLC0415

    async def work() -> list[ShownKey]:
        async with office() as here:
            return list(shown_keys(await here.registry.state(), here.mint, project=project, email=person))

    found = run(work())
    if as_json:
        say_json({"keys": [_document(each) for each in found]})
        return
    rows = [(each.client_key, each.project, each.email, each.status, each.expires_at) for each in found]
    table("Keys", ("client_key", "project", "person", "status", "expires"), rows, whole=("client_key",))


@keys.command("show")
def show_key(key: KeyArgument, as_json: AsJson = False) -> None:
    """Show one key, without its secrets, which nobody has."""
    from app.administration.keys import ShownKey, shown_key  # noqa: PLC0415

    async def work() -> ShownKey:
        async with office() as here:
            return shown_key(await here.registry.state(), here.mint, key=key)

    found = run(work())
    if as_json:
        say_json(_document(found))
        return
    expires = f"{found.expires_at:%Y-%m-%d %H:%M} UTC" if found.expires_at else "with the membership"
    say(
        f"{found.client_key}, {found.status}",
        f"of {found.email} in project {found.project}",
        f"issued {found.created_at:%Y-%m-%d %H:%M} UTC; ends {expires}",
    )
    if found.old_until is not None:
        say(f"its old secrets work until {found.old_until:%Y-%m-%d %H:%M} UTC")


def _document(key: "ShownKey") -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "client_key": key.client_key,
        "project": key.project,
        "person": key.email,
        "status": key.status,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "old_until": key.old_until,
    }
