"""master-key, seal-key and log-key: the keys of the installation itself, renewed."""

from typing import Annotated

import typer

from app.cli.speaking import AsJson, operator, run, say, say_json

master_keys = typer.Typer(help="The key under which everything is sealed.", no_args_is_help=True)
seal_keys = typer.Typer(help="The key under which questions in the log are sealed.", no_args_is_help=True)
log_keys = typer.Typer(help="The key that signs the log.", no_args_is_help=True)

Overlap = Annotated[
    int,
    typer.Option(
        min=0, max=604_800, help="Seconds for which access tokens that the old key signed are still accepted."
    ),
]
_OVERLAP_S = 10_800  # a token's two hours, and an hour to bring the file to every machine


@master_keys.command("prepare")
def prepare_master_key(overlap_s: Overlap = _OVERLAP_S, as_json: AsJson = False) -> None:
    """Make the next master key, beside the present one; copy it to every machine that serves, then rotate."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.rotating import prepare_master_key as prepare  # noqa: PLC0415

    path = prepare(load_settings(), overlap_s=overlap_s)
    if as_json:
        say_json({"next": str(path)})
    else:
        say(f"The next key is in {path}. Copy it beside the present one wherever Bursar runs, then:")
        say("bursar master-key rotate")


@master_keys.command("rotate")
def rotate_master_key(overlap_s: Overlap = _OVERLAP_S, as_json: AsJson = False) -> None:
    """Put the next master key in force, made now unless it was prepared; Bursar may serve meanwhile."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.rotating import rotate_master_key as rotate  # noqa: PLC0415

    done = run(rotate(load_settings(), operator(), overlap_s=overlap_s))
    if as_json:
        say_json({"from": done.old, "to": done.new, "keys": done.wrapped})
    else:
        say(f"The master key is {done.new} now; it wraps {done.wrapped} keys anew.")
        say("Back up the keys and the database: an older copy of either does not fit the other any more.")


@seal_keys.command("rotate")
def rotate_seal_key(as_json: AsJson = False) -> None:
    """Renew seal.key; copy it to every other machine that serves. Bursar may serve meanwhile."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.rotating import rotate_seal_key as rotate  # noqa: PLC0415

    done = run(rotate(load_settings(), operator()))
    if as_json:
        say_json({"from": done.old, "to": done.new, "keys": done.wrapped})
    else:
        say(f"The key in seal.key is {done.new} now; it wraps {done.wrapped} keys anew.")


@log_keys.command("rotate")
def rotate_log_key(as_json: AsJson = False) -> None:
    """Have a new key sign the log, beside the present one until that is retired. Bursar may serve meanwhile."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.rotating import rotate_log_key as rotate  # noqa: PLC0415

    settings = load_settings()
    done = run(rotate(settings, operator()))
    if as_json:
        say_json({"signing": done.signing, "former": done.former})
    else:
        say(
            f"The log is signed by both of these from now on, the new one first, as {settings.log_key_path} holds them:"
        )
        for vkey in done.signing:
            say(vkey)
        say(
            "Copy the file to every other machine that serves, and give the new key to whoever verifies. Then:"
        )
        say("bursar log-key retire")


@log_keys.command("retire")
def retire_log_key(as_json: AsJson = False) -> None:
    """Have the former key sign no more; copy the file to every other machine that serves afterwards."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.rotating import retire_log_key as retire  # noqa: PLC0415

    settings = load_settings()
    done = run(retire(settings, operator()))
    if as_json:
        say_json({"signing": done.signing, "former": done.former})
    else:
        say("The log is signed by this key alone; what former keys have signed still verifies with them:")
        say(done.signing[0])
        say(f"Copy {settings.log_key_path} to every other machine that serves.")
