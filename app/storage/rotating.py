"""The master key and the key of `seal.key`, renewed while Bursar serves.

Renewing the master key wraps every data key anew; held answers, secrets and digests stay as they are. A new key
lies beside the old one in `master.key.next` before the database is touched, and every process looks there for what
its own key does not open, so whoever is killed at any point leaves an installation that works. What came of the
old key and cannot be made anew (the pepper of stored digests, the key of tags) is kept in the new file.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.administration.changes import Actor, grounds_of
from app.administration.credentials import DIGEST_PURPOSE, data_key_aad
from app.administration.minting import PEPPER_PURPOSE
from app.audit.calls import TAG_PURPOSE, versioned
from app.audit.entries import Draft, Value
from app.clock import SystemClock
from app.errors import BadSetting
from app.identity.keys import SIGNING_PURPOSE
from app.sealing import UNTIL, MasterKey, SealBroken, derive, following, unwrap, where_it_lies, wrap
from app.settings import Settings
from app.storage.administering import Administration, open_administration
from app.storage.log import LockedHead, lock_head
from app.storage.seal_files import SealKeyFile, destroy, sync_directory
from app.storage.seals import all_keys, current, settle
from app.storage.tables import CredentialRow, ProjectRow, table
from app.storage.upkeep import wrap_anew

_STRAGGLERS_S: Final = 2.0
"""After which every process on this machine has seen that the file is another."""
_CARRIED: Final = (PEPPER_PURPOSE, TAG_PURPOSE, DIGEST_PURPOSE)
_project, _credential = table(ProjectRow), table(CredentialRow)
_HOLDERS: Final = (
    ("credential", _credential.c.id, _credential.c.wrapped_key),
    ("project", _project.c.id, _project.c.wrapped_data_key),
)


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


async def _wrap_all(office: Administration, actor: Actor, old: MasterKey, new: MasterKey) -> int:
    def work(conn: Connection) -> tuple[LockedHead, int]:
        head = lock_head(conn, office.database, office.boot)
        count = sum(_wrap_those(conn, *holder, old=old, new=new) for holder in _HOLDERS)
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
        if not value or _opens(new, bytes(value), data_key_aad(kind, object_id)):
            continue
        bound = data_key_aad(kind, object_id)
        anew = wrap(new, unwrap(old, bytes(value), bound), bound)
        conn.execute(sa.update(ids.table).where(ids == object_id).values({wrapped: anew}))
        count += 1
    return count


def _opens(master: MasterKey, wrapped: bytes, bound: bytes) -> bool:
    try:
        unwrap(master, wrapped, bound)
    except SealBroken:
        return False
    return True


def _take_place(path: Path, target: Path) -> None:
    old = path.with_name(path.name + ".old")
    try:
        if not old.exists():
            old.hardlink_to(path)
        target.rename(path)
        sync_directory(path.parent)
        destroy(old)
    except OSError as error:
        raise BadSetting(
            f"The database is under the key in {target}, and {path} cannot be replaced here ({error.strerror}): "
            f"copy {target.name} over it wherever Bursar runs."
        ) from error


def _entry(actor: Actor, op: str, done: Renewed) -> Draft:
    fields: Mapping[str, Value] = {
        "actor": {"kind": actor.kind, "principal": actor.principal, "roles": sorted(actor.roles)},
        "op": op,
        "decision": {"verdict": "allowed", "rule": versioned(grounds_of(actor))},
        "rotated": {"from": done.old, "to": done.new, "keys": done.wrapped},
    }
    return Draft(type="key", fields=fields)
