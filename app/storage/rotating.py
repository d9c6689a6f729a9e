"""The master key, the key of `seal.key` and the log's own, renewed while Bursar serves.

Renewing the master key wraps every data key anew; held answers, secrets and digests stay as they are. A new key
lies beside the old one in `master.key.next` before the database is touched, and every process looks there for what
its own key does not open, so whoever is killed at any point leaves an installation that works. What came of the
old key and cannot be made anew (the pepper of stored digests, the key of tags) is kept in the new file.

The log's key is renewed in two steps, since others verify with its public half: first old and new sign side by
side, and an entry tells the new one, signed by both; later the old one signs no more.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor, grounds_of
from app.administration.credentials import DIGEST_PURPOSE, data_key_aad
from app.administration.key_files import read_log_key, write_log_key
from app.administration.minting import PEPPER_PURPOSE
from app.audit.calls import TAG_PURPOSE, versioned
from app.audit.entries import Draft, Value
from app.audit.notes import Signer
from app.clock import SystemClock
from app.errors import BadSetting, Conflict
from app.identity.keys import SIGNING_PURPOSE
from app.sealing import UNTIL, MasterKey, derive, following, unwrap, where_it_lies, wrap
from app.settings import Settings
from app.storage.administering import Administration, open_administration
from app.storage.exporting import RENEWED
from app.storage.log import LockedHead, lock_head
from app.storage.seal_files import SealKeyFile, destroy, sync_directory
from app.storage.seals import all_keys, current, settle
from app.storage.upkeep import wrap_anew
from app.storage.wrapped_keys import HOLDERS, opens

_STRAGGLERS_S: Final = 2.0
"""After which every process on this machine has seen that the file is another."""
_CARRIED: Final = (PEPPER_PURPOSE, TAG_PURPOSE, DIGEST_PURPOSE)


@dataclass(frozen=True, slots=True)
class Renewed:
    """A key that took another's place: their fingerprints, and how many keys it wraps anew."""

    old: str
    new: str
    wrapped: int


def prepare_master_key(settings: Settings, *, overlap_s: int) -> Path:
    """Where the key lies that is to be the next, made where there is none.

    Access tokens that the present one signs are good for `overlap_s` seconds from now at most. Raises BadSetting.
    """
    path = where_it_lies(settings.master_key_path)
    old = MasterKey.from_file(path)
    target = following(path)
    if not target.exists():
        now_s = int(SystemClock(offset_s=settings.clock_offset_s).now().timestamp())
        kept = {purpose: derive(old, purpose) for purpose in _CARRIED}
        kept |= {
            name: key for name, key in old.kept.items() if UNTIL in name and now_s < int(name.split(UNTIL)[1])
        }
        kept[f"{SIGNING_PURPOSE}{UNTIL}{now_s + overlap_s}"] = derive(old, SIGNING_PURPOSE)
        MasterKey.write_new(target, kept=kept)
    return target


async def rotate_master_key(settings: Settings, actor: Actor, *, overlap_s: int) -> Renewed:
    """The next master key in force, in the database and in the file; the old one overwritten. Safe to repeat.

    Raises BadSetting, NotReady, SealBroken where a key opens under neither.
    """
    path = where_it_lies(settings.master_key_path)
    target = prepare_master_key(settings, overlap_s=overlap_s)
    old, new = MasterKey.from_file(path), MasterKey.from_file(target)
    async with open_administration(settings) as office:
        wrapped = await _wrap_all(office, actor, old, new)
        _take_place(path, target)
        # A process that made a project in this moment may have wrapped its key under the old one.
        await asyncio.sleep(_STRAGGLERS_S)
        wrapped += await _wrap_all(office, actor, old, new)
    return Renewed(old.fingerprint, new.fingerprint, wrapped)


async def rotate_seal_key(settings: Settings, actor: Actor) -> Renewed:
    """A new key in `seal.key`, under which all keys of questions are wrapped anew; the old one overwritten."""
    file = SealKeyFile(settings.seal_key_path)

    def work(conn: Connection) -> tuple[LockedHead, Renewed]:
        head = lock_head(conn, office.database, office.boot)
        old = current(conn, file)
        keys = all_keys(conn)
        new = wrap_anew(conn, file=file, old=old, keys=keys, now_us=head.now_us)
        done = Renewed(old.fingerprint, new.fingerprint, len(keys))
        head.stage(_entry(actor, "seal_key.rotated", done))
        head.change_directory()
        head.write()
        return head, done

    async with open_administration(settings) as office:
        _, done = await office.database.write(work, committed=lambda made: made[0].committed())
        await office.database.write(lambda conn: settle(conn, file))
    return done


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The log's verifier keys: those that sign now, the one in force first, and those that sign no more."""

    signing: tuple[str, ...]
    former: tuple[str, ...]


async def rotate_log_key(settings: Settings, actor: Actor) -> LogKeys:
    """A new key in `log.key`, in force at once; the one before signs beside it until it is retired. Safe to repeat.

    Raises Conflict where a renewal is under way, BadSetting, NotReady.
    """
    path = where_it_lies(settings.log_key_path)
    target, present = following(path), read_log_key(path)
    if present.is_being_renewed:
        raise Conflict(
            "The log's key is being renewed: run `bursar log-key retire` before it is renewed again."
        )
    if not target.exists():
        write_log_key(target, present.followed_by(Signer.generate()))
    signer = read_log_key(target)
    if not signer.is_being_renewed:
        raise Conflict(f"{target} is of a retirement that was not ended: run `bursar log-key retire`.")

    def told(origin: str) -> dict[str, Value]:
        return {"to": signer.verifier(origin).vkey, "note": signer.sign_renewal(origin).decode()}

    return await _change_log_key(settings, actor, signer, signer, op=RENEWED, told=told)


async def retire_log_key(settings: Settings, actor: Actor) -> LogKeys:
    """No key but the one in force signs any more; the former's private halves are overwritten. Safe to repeat.

    Raises Conflict where no renewal is under way, BadSetting, NotReady.
    """
    path = where_it_lies(settings.log_key_path)
    target, present = following(path), read_log_key(path)
    if not present.is_being_renewed:
        raise Conflict("No former key signs: `bursar log-key rotate` renews the log's key.")
    if not target.exists():
        write_log_key(target, present.alone())
    signer = read_log_key(target)

    def told(origin: str) -> dict[str, Value]:
        return {"retired": [each.vkey for each in present.verifiers(origin)[1:]]}

    # Signed by both once more: whoever knows the former key alone can still read that it has ended.
    return await _change_log_key(settings, actor, present, signer, op="log_key.retired", told=told)


async def _change_log_key(
    settings: Settings,
    actor: Actor,
    by: Signer,
    signer: Signer,
    *,
    op: str,
    told: Callable[[str], dict[str, Value]],
) -> LogKeys:
    def work(conn: Connection) -> tuple[LockedHead, LogKeys]:
        head = lock_head(conn, office.database, office.boot)
        head.stage(_key_entry(actor, op, {"renewed": told(head.origin)}))
        head.write()
        signing = tuple(each.vkey for each in signer.verifiers(head.origin))
        known = tuple(each.vkey for each in signer.known(head.origin))
        return head, LogKeys(signing=signing, former=known[len(signing) :])

    path = where_it_lies(settings.log_key_path)
    async with open_administration(settings) as office:
        if office.boot.signer is None:
            raise BadSetting("The log's key is not at hand.")
        office.boot.signer.become(by)
        _, done = await office.database.write(work, committed=lambda made: made[0].committed())
        _take_place(path, following(path), meanwhile="The log tells of the keys in")
    return done


async def _wrap_all(office: Administration, actor: Actor, old: MasterKey, new: MasterKey) -> int:
    def work(conn: Connection) -> tuple[LockedHead, int]:
        head = lock_head(conn, office.database, office.boot)
        count = sum(_wrap_those(conn, *holder, old=old, new=new) for holder in HOLDERS)
        if count:
            head.stage(_entry(actor, "master_key.rotated", Renewed(old.fingerprint, new.fingerprint, count)))
            head.change_directory()
        head.write()
        return head, count

    _, count = await office.database.write(work, committed=lambda done: done[0].committed())
    return count


def _wrap_those(
    conn: Connection,
    kind: str,
    ids: sa.Column[str],
    wrapped: sa.Column[bytes],
    *,
    old: MasterKey,
    new: MasterKey,
) -> int:
    """How many of the rows' keys were under the old key; those that are gone stay so."""
    count = 0
    for object_id, value in conn.execute(sa.select(ids, wrapped)).all():
        if not value or opens(new, kind, object_id, bytes(value)):
            continue
        bound = data_key_aad(kind, object_id)
        anew = wrap(new, unwrap(old, bytes(value), bound), bound)
        conn.execute(sa.update(ids.table).where(ids == object_id).values({wrapped: anew}))
        count += 1
    return count


def _take_place(path: Path, target: Path, *, meanwhile: str = "The database is under the key in") -> None:
    old = path.with_name(path.name + ".old")
    try:
        if not old.exists():
            old.hardlink_to(path)
        target.rename(path)
        sync_directory(path.parent)
        destroy(old)
    except OSError as error:
        raise BadSetting(
            f"{meanwhile} {target}, and {path} cannot be replaced here ({error.strerror}): "
            f"copy {target.name} over it wherever Bursar runs."
        ) from error


def _entry(actor: Actor, op: str, done: Renewed) -> Draft:
    return _key_entry(actor, op, {"rotated": {"from": done.old, "to": done.new, "keys": done.wrapped}})


def _key_entry(actor: Actor, op: str, told: Mapping[str, Value]) -> Draft:
    fields: Mapping[str, Value] = {
        "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
        "op": op,
        "decision": {"verdict": "allowed", "rule": versioned(grounds_of(actor))},
        **told,
    }
    return Draft(type="key", fields=fields)
