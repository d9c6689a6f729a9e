"""Opening a new epoch of a log that lost entries, with everything that is known of it as evidence."""

from collections.abc import Mapping, Sequence

from app.administration.changes import Actor
from app.administration.minting import PEPPER_PURPOSE
from app.audit.calls import versioned
from app.audit.entries import Receipt, Value
from app.audit.epochs import Epoch
from app.audit.notes import Kept
from app.clock import SystemClock
from app.errors import InvalidParams, LogBroken, NotPermitted
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.keys import access_tokens_of
from app.identity.roles import Role
from app.sealing import MasterKey, derive
from app.settings import Settings
from app.storage.administering import Administration
from app.storage.checkpoint_files import anchored, newest_seen
from app.storage.directory import SqlDirectory
from app.storage.history import open_epoch
from app.storage.log import check_log

_MAY_APPROVE = frozenset({Role.ADMIN, Role.COMPLIANCE})
_MOST_REASON_CHARS = 500


async def begin_epoch(
    settings: Settings,
    office: Administration,
    actor: Actor,
    *,
    reason: str,
    evidence: Sequence[bytes] = (),
    approver_token: str | None = None,
) -> tuple[Epoch, Receipt]:
    """The new epoch and its first entry, durable on return.

    Known is what this installation has seen and anchored, and each note in `evidence`. Under two-person control
    `approver_token` is the token of an administrator or compliance officer who agrees. Raises Conflict where
    nothing is missing, LogBroken where what was restored is not sound, InvalidParams, NotPermitted.
    """
    if not reason.strip() or len(reason) > _MOST_REASON_CHARS:
        raise InvalidParams(f"Say why, in at most {_MOST_REASON_CHARS} characters.")
    approver = await _approver(settings, office, approver_token)
    known = [_parsed(note) for note in evidence]
    seen = newest_seen(settings.data_dir)
    known += [] if seen is None else [seen]
    known += [] if settings.anchor_dir is None else anchored(settings.anchor_dir)
    await office.database.read(lambda conn: check_log(conn, office.boot.signer))
    told: dict[str, Value] = {
        "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
        "decision": {"verdict": "allowed", "rule": versioned("local-operator")},
        "reason": reason,
    }
    return await open_epoch(office.database, office.boot, known, told={**told, **approver})


def _parsed(note: bytes) -> Kept:
    try:
        return Kept.parse(note)
    except LogBroken as error:
        raise InvalidParams(f"What was given as evidence is no checkpoint: {error.message}") from error


async def _approver(settings: Settings, office: Administration, token: str | None) -> Mapping[str, Value]:
    """Who agreed, as the entry tells it."""
    if token is None:
        if settings.two_person_control:
            raise NotPermitted(
                "Two-person control is on: an administrator or compliance officer agrees by their own token, "
                "in the file that --approver-token-file names.",
                rule="two-person",
            )
        return {}
    master, clock = (
        MasterKey.installed(settings.master_key_path),
        SystemClock(offset_s=settings.clock_offset_s),
    )
    bearers = Bearers(
        directory=SqlDirectory(office.database),
        access_tokens=access_tokens_of(master),
        pepper=derive(master, PEPPER_PURPOSE),
        clock=clock,
        attempts=Attempts(clock=clock, per_minute=settings.failed_sign_ins_per_minute),
    )
    person = await bearers.operator(f"Bearer {token.strip()}", source="local")
    if not person.roles & _MAY_APPROVE or person.freeze is not None:
        raise NotPermitted(
            "A new epoch is agreed to by an administrator or a compliance officer.", rule="two-person"
        )
    return {"approved_by": person.person}
