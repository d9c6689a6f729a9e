"""audit about: who asked about somebody or something, with proofs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import AsJson, note, office, operator, run, say_json, table

if TYPE_CHECKING:
    from app.administration.evidence import Asked
    from app.storage.administering import Administration


_COLUMNS = ("person", "project", "approval", "endpoint", "verdict", "entry")


def register(group: typer.Typer) -> None:
    """Add `about` to the commands."""
    group.command("about")(about)


def about(
    value: Annotated[str, typer.Argument(metavar="USERNAME", help="Or an id, with --kind.")],
    *,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="Calendar month, UTC.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="username, user_id, video_id, ...")] = "username",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="For the proofs; otherwise about-YYYY-MM here.")
    ] = None,
    opened: Annotated[
        bool, typer.Option("--open", help="With the questions in the clear, which is logged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say who asked about somebody in a month, under which approval, and write down the proofs. It is logged."""
    from app.provider.naming import KINDS  # noqa: PLC0415

    if kind not in KINDS:
        raise typer.BadParameter(f"kinds are {', '.join(KINDS)}")
    directory = to or _free(Path(f"about-{month}"))

    async def work() -> "list[Asked]":
        async with office() as here:
            return await _answered(here, kind, value, month=month, directory=directory, opened=opened)

    found = run(work())
    if as_json:
        say_json({"calls": [each.shown() for each in found], "proofs": str(directory)})
        return
    columns = ("time (UTC)", "who", "project", "approval", "endpoint", "decision", "entry")
    rows = [(f"{each.at:%Y-%m-%d %H:%M:%S}", *(getattr(each, name) for name in _COLUMNS)) for each in found]
    table(f"Calls about {kind} {value} in {month}", columns, rows, whole=("time (UTC)", "entry"))
    note(f"{len(found)} calls; their receipts are in {directory}")


async def _answered(
    here: "Administration", kind: str, value: str, *, month: str, directory: Path, opened: bool
) -> "list[Asked]":
    """The calls, the oldest first, once the look is logged; their proofs are in the directory."""
    from app import exact_json  # noqa: PLC0415
    from app.administration.evidence import asked_of, month_bounds_us, write_bundle  # noqa: PLC0415
    from app.administration.reading import reading  # noqa: PLC0415
    from app.audit.filters import Filter  # noqa: PLC0415
    from app.audit.notes import Checkpoint, text_of  # noqa: PLC0415
    from app.errors import NotReady  # noqa: PLC0415
    from app.storage.log import append  # noqa: PLC0415
    from app.storage.proving import newest_note, receipts_of  # noqa: PLC0415

    since_us, until_us = month_bounds_us(month)
    tags = await here.seals.tags(kind, value, since_us=since_us, until_us=until_us)
    wanted = Filter(since_us=since_us, until_us=until_us, about=(tags,))
    reads = {**wanted.said(), **({"question": True} if opened else {})}
    await append(here.database, here.boot, [reading(operator(), "audit.about", reads)])
    proven, newest = await here.database.read(lambda conn: (receipts_of(conn, wanted), newest_note(conn)))
    questions: dict[str, Any] = {}
    for each in proven if opened else ():
        questions[each.id] = exact_json.loads((await here.seals.question(each.id))[1].encode())
    state = await here.registry.state()
    answer = [asked_of(state, each, questions.get(each.id)) for each in proven]
    checkpoint = Checkpoint.parse(text_of(newest))
    if here.boot.signer is None:
        raise NotReady("The log's key is not at hand.")
    write_bundle(
        directory,
        looked_for={"kind": kind, "value": value, "month": month},
        answer=answer,
        proven=proven,
        origin=checkpoint.origin,
        size=checkpoint.size,
        vkeys=[each.vkey for each in here.boot.signer.known(checkpoint.origin)],
    )
    return answer


def _free(path: Path) -> Path:
    """The path, or the first with a number behind it that is not there."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
