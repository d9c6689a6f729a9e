"""audit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.speaking import AsJson, note, office, operator, progress, run, say, say_json

if TYPE_CHECKING:
    from app.audit.entries import Receipt
    from app.audit.epochs import Epoch
    from app.audit.offline import Report
    from app.audit.receipts import ProvenEntry, ProvenGrowth

audits = typer.Typer(help="The audit log: receipts, proofs, anchors and epochs.", no_args_is_help=True)


@audits.command("receipt")
def receipt(
    entry: Annotated[
        str, typer.Argument(metavar="ID", help="An entry's id: the `error.log_id` of an answer.")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write the proof there (name it .tlog-proof).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show an entry with the proof that the log holds it (C2SP tlog-proof). That it was read is logged."""
    from app.administration.reading import reading  # noqa: PLC0415
    from app.storage.log import append  # noqa: PLC0415
    from app.storage.proving import receipt_of  # noqa: PLC0415

    async def work() -> "ProvenEntry":
        async with office() as here:
            await append(
                here.database, here.boot, [reading(operator(), "audit.receipt", {"receipt": entry[:32]})]
            )
            return await here.database.read(lambda conn: receipt_of(conn, entry))

    found = run(work())
    if to is not None:
        to.write_text(found.proof, encoding="utf-8")
    if as_json:
        say_json(found.shown())
    elif to is None:
        # As it is, since the file that this is led to must be the proof to the letter.
        typer.echo(found.proof, nl=False)
    else:
        note(f"Entry {found.index} is in the log; its receipt is in {to}.")


@audits.command("verify")
def verify(
    export: Annotated[
        Path | None, typer.Option("--export", metavar="DIR", help="An export, in the place of the database.")
    ] = None,
    receipts: Annotated[
        Path | None, typer.Option("--receipts", metavar="DIR", help="Receipts that people kept.")
    ] = None,
    anchors: Annotated[
        list[Path] | None,
        typer.Option("--anchors", metavar="PATH", help="Checkpoints kept elsewhere, or an earlier export."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole log, entry by entry (1: it does not hold). That it was checked is logged."""
    from app.audit.offline import Unreadable, told  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.auditing import Kept, verify_log  # noqa: PLC0415

    kept = Kept(export=export, receipts=receipts, anchors=tuple(anchors or ()))
    lease_s = load_settings().longest_lease_s

    async def work() -> "Report":
        async with office() as here:
            with progress("Verifying") as tell:
                return await verify_log(
                    here.database, here.boot, operator(), kept, lease_s=lease_s, progress=tell
                )

    try:
        report = run(work())
    except Unreadable as error:
        note(f"bursar: {error}")
        raise typer.Exit(3) from error
    if as_json:
        say_json(report.shown())
    else:
        say(*told(report))
    raise typer.Exit(0 if report.finding is None else 1)


@audits.command("consistency")
def consistency(
    old: Annotated[
        int | None, typer.Option("--from", min=0, metavar="SIZE", help="The smaller tree.")
    ] = None,
    new: Annotated[
        int | None, typer.Option("--to", min=0, metavar="SIZE", help="The larger tree, if not all there is.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", metavar="FILE", help="A checkpoint that was kept: does the log continue it?"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that the log only grew since a size, or since a checkpoint that was kept (1: it did not)."""
    from app.administration.reading import reading  # noqa: PLC0415
    from app.storage.history import continues  # noqa: PLC0415
    from app.storage.log import append  # noqa: PLC0415
    from app.storage.proving import read_growth  # noqa: PLC0415

    if (old is None) == (checkpoint is None):
        raise typer.BadParameter("give either --from or --checkpoint")
    kept = None if checkpoint is None else _bytes_of(checkpoint)

    async def work() -> "tuple[ProvenGrowth | None, str]":
        async with office() as here:
            reads = {"from": old, "to": new}
            await append(here.database, here.boot, [reading(operator(), "audit.consistency", reads)])
            if kept is None:
                return await here.database.read(lambda conn: read_growth(conn, old=old or 0, new=new)), ""
            return await here.database.read(lambda conn: continues(conn, kept, here.boot.signer, new=new))

    growth, objection = run(work())
    if growth is None:
        if as_json:
            say_json({"consistent": False, "says": objection})
        else:
            say(objection)
        raise typer.Exit(1)
    if as_json:
        say_json({"consistent": True, **growth.shown()})
    else:
        say(f"The log of {growth.new} entries begins with the {growth.old} that there were.")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error


@audits.command("anchor")
def anchor(
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="PATH", help="A new file, or a directory, instead of BURSAR_ANCHOR_DIR."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Leave the newest signed checkpoint outside, beside all older ones; `serve` does so by itself."""
    from app.administration.reading import reading  # noqa: PLC0415
    from app.audit.notes import Kept  # noqa: PLC0415
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.checkpoint_files import anchor_at, anchor_in  # noqa: PLC0415
    from app.storage.log import append  # noqa: PLC0415
    from app.storage.proving import newest_note  # noqa: PLC0415

    directory = load_settings().anchor_dir
    place = to or directory
    if place is None:
        raise typer.BadParameter("set BURSAR_ANCHOR_DIR, or say --to PATH")

    async def work() -> Kept:
        async with office() as here:
            await append(
                here.database, here.boot, [reading(operator(), "audit.anchor", {"checkpoint": True})]
            )
            return Kept.parse(await here.database.read(newest_note))

    kept = run(work())
    try:
        path = anchor_in(place, kept) if to is None else anchor_at(place, kept)
    except OSError as error:
        raise typer.BadParameter(f"{place} cannot be written: {error.strerror}") from error
    if as_json:
        told = {"origin": kept.checkpoint.origin, "size": kept.checkpoint.size}
        say_json({**told, "file": str(path), "checkpoint": kept.note.decode()})
    else:
        say(f"The log of {kept.checkpoint.size} entries is anchored in {path}.")


@audits.command("new-epoch")
def new_epoch(
    reason: Annotated[
        str, typer.Option(help="Why. It stays in the log, for everybody who verifies it: name nobody.")
    ],
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            "--evidence",
            metavar="FILE",
            help="A checkpoint of the log from elsewhere, such as another replica's newest.checkpoint; may be repeated.",
        ),
    ] = None,
    approver_token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Token of an administrator or compliance officer who agrees; needed under two-person control.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a log that lost entries for good, under a new origin, with an entry that says what was lost."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.reopening import begin_epoch  # noqa: PLC0415

    notes = [_bytes_of(each) for each in evidence or ()]
    token = None if approver_token_file is None else _bytes_of(approver_token_file).decode("utf-8", "replace")

    async def work() -> "tuple[Epoch, Receipt]":
        async with office() as here:
            return await begin_epoch(
                load_settings(), here, operator(), reason=reason, evidence=notes, approver_token=token
            )

    epoch, receipt = run(work())
    if as_json:
        say_json({"epoch": dict(epoch.told()), "entry": receipt.id, "index": receipt.index})
        return
    say(
        f"Epoch {epoch.number} begins with entry {receipt.index}, under {epoch.origin}. Entries {epoch.agreed} to "
        f"{epoch.known - 1} of the time before are lost.",
        "What was spent in them is not counted any more: compare `bursar usage` with what the platform says, and freeze "
        "a credential until midnight UTC where you cannot.",
    )
