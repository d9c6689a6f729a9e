"""Opens what administration needs, without anything that serving needs, and sets installations up."""

import secrets
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from app.administration.acts import ensure_admin
from app.administration.changes import Actor
from app.administration.doctor import Finding, Roster, examine, rosters
from app.administration.estimating import Estimator
from app.administration.key_files import ensure_data_dir, ensure_log_key, ensure_master_key, read_log_key
from app.administration.keys import IssuedToken, issue_token
from app.administration.minting import Mint
from app.audit.notes import Signer
from app.cache.lifetimes import UsualLifetimes
from app.clock import SystemClock
from app.errors import BadSetting, BursarError, LogBroken, NotReady, RollbackDetected, UnknownSigner
from app.ids import CredentialId
from app.sealing import MasterKey, following, where_it_lies
from app.settings import Settings, file_with_password
from app.storage.anchoring import read_anchors
from app.storage.directory import SqlDirectory
from app.storage.disk import embedded_directory, used_percent
from app.storage.engines import Database, open_database, parse_url
from app.storage.held_room import is_short
from app.storage.history import first_objection, read_history
from app.storage.log import Boot, is_signed, name_log, require_own_key
from app.storage.notices import Untold
from app.storage.pages import SqlPages
from app.storage.purging import SqlHeld
from app.storage.registry import SqlRegistry
from app.storage.schema import Ahead, Behind, Current, Missing, migrate, schema_state
from app.storage.seal_files import SealKeyFile
from app.storage.seals import SqlSeals, objection, require_seal_key
from app.storage.tallies import SqlTallies
from app.storage.vault import SqlVault
from app.storage.watching import Watch, known_checkpoints
from app.storage.wrapped_keys import require_opens


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration:
    """What the use-cases of administration are called with."""

    database: Database
    boot: Boot
    registry: SqlRegistry
    mint: Mint
    vault: SqlVault
    estimator: Estimator
    held: SqlHeld
    seals: SqlSeals


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What setting up came to; `token` is a fresh one where it was asked for."""

    revision: str
    admin: str
    token: IssuedToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the doctor found, how many people each credential serves, and where it leads."""

    findings: list[Finding] = field(default_factory=list)
    rosters: list[Roster] = field(default_factory=list)
    base_urls: dict[str, str] = field(default_factory=dict)

    @property
    def is_healthy(self) -> bool:
        """Whether nothing stands in the way of serving; warnings do not."""
        return all(each.severity == "warning" for each in self.findings)


@asynccontextmanager
async def open_administration(settings: Settings) -> AsyncIterator[Administration]:
    """The directory, ready to be read and changed; closed afterwards. Raises BadSetting and NotReady."""
    master = MasterKey.installed(settings.master_key_path)
    await require_current_schema(settings.database_url)
    async with _opened(settings.database_url, settings, master) as administration:
        yield administration


async def require_current_schema(url: str) -> None:
    """Return if the schema is this release's; raises NotReady saying what to run."""
    match await schema_state(url):
        case Current():
            return
        case Missing():
            raise NotReady("The database has no schema yet: run `bursar init`.")
        case Behind():
            raise NotReady("The database's schema is of an older release: run `bursar migrate`.")
        case Ahead() as ahead:
            raise NotReady(ahead.message)


async def migrate_schema(settings: Settings) -> str:
    """The newest revision, which the database has on return, open to the role that serves.

    Raises BadSetting and NotReady.
    """
    serving, owner = parse_url(settings.database_url), parse_url(settings.owner_database_url)
    app_role = serving.username if serving.username != owner.username else None
    return await migrate(settings.owner_database_url, app_role=app_role)


async def initialise(
    settings: Settings, actor: Actor, *, email: str | None = None, wants_token: bool = False
) -> Installed:
    """Data directory, keys, newest schema and an administrator, all there on return; safe to run again.

    Raises BadSetting where the database was set up with a key whose file is not there, or with another master key, and NotReady.
    """
    ensure_data_dir(settings.data_dir)
    revision = await migrate_schema(settings)
    is_fresh = settings.master_key_path.exists() or await _holds_nothing_sealed(settings)
    if not is_fresh:
        raise BadSetting(
            f"The database holds secrets that were sealed with a master key, and {settings.master_key_path} is "
            "missing. Restore that file, or set BURSAR_MASTER_KEY_FILE; a new key could open none of them."
        )
    await _require_log_key(settings)
    master = ensure_master_key(settings.master_key_path, may_create=True)
    await _require_master_key(settings, master)
    ensure_log_key(settings.log_key_path)
    await _name_log(settings)
    await _have_seal_key(settings)
    async with _opened(settings.owner_database_url, settings, master) as office:
        admin = await ensure_admin(office.registry, office.mint, actor, email=email)
        token = await issue_token(office.registry, office.mint, actor, email=admin) if wants_token else None
    return Installed(revision=revision, admin=admin, token=token)


async def _require_log_key(settings: Settings) -> None:
    """Return if the log's key is there, or the log is not signed yet. Raises BadSetting, and LogBroken for another key."""
    database = open_database(settings.owner_database_url)
    try:
        if settings.log_key_path.exists():
            signer = read_log_key(settings.log_key_path)
            await database.read(lambda conn: require_own_key(conn, signer))
        elif await database.read(is_signed):
            raise BadSetting(
                f"The log in the database is signed with a key, and its file {settings.log_key_path} is missing. Restore "
                "that file from where the key files are kept; with a new key nobody could go on with this log."
            )
    finally:
        await database.close()


async def _require_master_key(settings: Settings, master: MasterKey) -> None:
    database = open_database(settings.owner_database_url)
    try:
        await require_opens(database, master, settings.master_key_path)
    finally:
        await database.close()


async def _name_log(settings: Settings) -> None:
    """Give a log that has no entries yet an origin of its own (C2SP tlog-checkpoint: unique, without scheme)."""
    host = urlsplit(settings.public_url).netloc or "localhost"
    database = open_database(settings.owner_database_url)
    try:
        await database.write(lambda conn: name_log(conn, f"{host}/bursar/{secrets.token_hex(4)}"))
    finally:
        await database.close()


async def _have_seal_key(settings: Settings) -> None:
    """Have the file that wraps the keys of sealed questions, so that it can be handed to other hosts before they serve."""
    database = open_database(settings.owner_database_url)
    try:
        await SqlSeals(
            database=database, file=SealKeyFile(settings.seal_key_path), clock=SystemClock()
        ).start()
    finally:
        await database.close()


async def check_seal_key(settings: Settings) -> None:
    """Return if questions can be sealed here; writes nothing. Raises BadSetting, and StoreUnavailable."""
    file, database = SealKeyFile(settings.seal_key_path), open_database(settings.database_url)
    try:
        await database.read(lambda conn: require_seal_key(conn, file))
    finally:
        await database.close()


async def diagnose(settings: Settings) -> Report:
    """Everything that is wrong with this installation, as far as it can be looked at."""
    report = Report()
    report.findings.extend(_of_files(settings))
    report.findings.extend(_of_settings_file())
    report.findings.extend(_of_disk(settings))
    try:
        await require_current_schema(settings.database_url)
        async with _registry(settings.database_url, settings) as registry:
            state = await registry.state()
            report.findings.extend(examine(state, await registry.log_size()))
            report.findings.extend(_of_notices(await registry.untold()))
            report.findings.extend(await _of_held(settings))
            report.rosters.extend(rosters(state))
            in_use = [each for each in state.credentials if each.retired_us is None]
            report.base_urls.update({each.name: each.base_url for each in in_use})
    except BursarError as error:
        report.findings.append(_problem("database", error.message, await _mend_of_database(settings)))
        return report
    report.findings.extend(await _of_credentials(settings))
    report.findings.extend(await _of_log_key(settings))
    report.findings.extend(await _of_questions(settings))
    report.findings.extend(await _of_history(settings))
    return report


async def _mend_of_database(settings: Settings) -> str:
    try:
        state = await schema_state(settings.database_url)
    except BursarError:
        return "see to the database's server, and to BURSAR_DATABASE_URL"
    match state:
        case Missing():
            return "run `bursar init`"
        case Behind():
            return "run `bursar migrate`"
        case Ahead():
            return "install the newer release again, or restore the backup from before it; no migration leads back"
        case Current():
            return "see to the database's server: its schema is right, and reading it failed"


_MEND_LOG: Final = 'see "When the log lost entries" for administrators'
_MEND_KEY: Final = (
    "restore it from where the key files are kept; `bursar init` makes one for a new installation alone"
)


async def _of_log_key(settings: Settings) -> list[Finding]:
    """Whether the log's key is the one that signed the log."""
    database = open_database(settings.database_url)
    try:
        signer = read_log_key(settings.log_key_path)
        await database.read(lambda conn: require_own_key(conn, signer))
    except UnknownSigner as error:
        return [_problem("log_key", error.message, _MEND_KEY)]
    except LogBroken as error:
        return [_problem(error.code, error.message, _MEND_LOG)]
    except BursarError:
        return []  # that the key file cannot be read is a finding already
    finally:
        await database.close()
    return []


async def _of_questions(settings: Settings) -> list[Finding]:
    file = SealKeyFile(settings.seal_key_path)
    mend = f"restore {settings.seal_key_path}, or copy it from where a question was erased last"
    try:
        async with open_administration(settings) as office:
            found = await office.database.read(lambda conn: objection(conn, file))
    except BursarError:
        return []  # the key files are the finding, and already told
    return [] if found is None else [_problem("seal_key", found, mend)]


def _of_files(settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        MasterKey.from_file(settings.master_key_path)
    except BursarError as error:
        found.append(_problem("master_key", error.message, _MEND_KEY))
    try:
        read_log_key(settings.log_key_path)
    except BursarError as error:
        found.append(_problem("log_key", error.message, _MEND_KEY))
    target = following(where_it_lies(settings.log_key_path))
    if target.exists():
        what = f"{target} holds keys of the log from a renewal or a retirement that was not ended"
        mend = "run `bursar log-key rotate` or `bursar log-key retire` again, whichever was broken off"
        found.append(Finding(severity="warning", code="log_key_next", what=what, mend=mend))
    target = following(where_it_lies(settings.master_key_path))
    if target.exists():
        what = f"{target} holds a master key that is not in force yet, or a renewal that was not ended"
        mend = "run `bursar master-key rotate`, which ends it"
        found.append(Finding(severity="warning", code="master_key_next", what=what, mend=mend))
    if settings.data_dir.is_dir() and settings.data_dir.stat().st_mode & 0o077:
        what = f"the data directory {settings.data_dir} is open to other users"
        found.append(
            Finding(
                severity="warning",
                code="data_dir_open",
                what=what,
                mend=f"run chmod 0700 {settings.data_dir}",
            )
        )
    if settings.clock_offset_s:
        what = f"the clock is shifted by {settings.clock_offset_s:g} s, which is for tests"
        found.append(
            Finding(severity="warning", code="clock_offset", what=what, mend="unset BURSAR_CLOCK_OFFSET_S")
        )
    return found


def _of_settings_file() -> list[Finding]:
    file = file_with_password()
    mode = 0 if file is None else stat.S_IMODE(file.stat().st_mode)
    if not mode & stat.S_IRWXO:
        return []
    what = f"{file} holds a password, and every account of this machine may use it (mode {mode:04o})"
    mend = f"run chmod o= {file}, and have another password if anybody else has an account here"
    return [Finding(severity="warning", code="settings_open", what=what, mend=mend)]


def _of_disk(settings: Settings) -> list[Finding]:
    directory = embedded_directory(settings)
    used = 0.0 if directory is None else used_percent(directory)
    if used < settings.disk_warn_percent:
        return []
    mend = f"make room on the disk of {directory}"
    if used >= settings.disk_refuse_percent:
        return [
            _problem(
                "disk_full",
                f"{used:.0f} % of the disk of {directory} are used: nothing is sent to the platform",
                mend,
            )
        ]
    what = f"{used:.0f} % of the disk of {directory} are used"
    mend = f"{mend} before it is {settings.disk_refuse_percent} %, when nothing more is sent to the platform"
    return [Finding(severity="warning", code="disk_filling", what=what, mend=mend)]


async def _of_held(settings: Settings) -> list[Finding]:
    """Whether what is held has room to last as long as it may be served."""
    most, usual = settings.max_held_database_bytes, UsualLifetimes.set_by(settings)
    database = open_database(settings.database_url, clock_offset_s=settings.clock_offset_s)
    try:
        found = await database.read(
            lambda conn: is_short(conn, database.now_us(conn), most_bytes=most, usual=usual)
        )
    finally:
        await database.close()
    if not found:
        return []
    what = f"held answers fill the {most:,} bytes that they may take, and go before their time is over"
    mend = (
        "raise BURSAR_MAX_HELD_DATABASE_BYTES; until then what has gone is bought again when it is asked for"
    )
    return [Finding(severity="warning", code="held_room", what=what, mend=mend)]


def _of_notices(channels: Sequence[Untold]) -> list[Finding]:
    return [
        Finding(
            severity="warning",
            code="notices_not_delivered",
            what=f"notices by {each.channel} do not arrive: {each.waiting} wait, {each.given_up} were given up, and "
            f"the last try ended with {each.reason!r}",
            mend="see to the receiver and to BURSAR_WEBHOOK_* or BURSAR_SMTP_*; what waits is tried again by itself",
        )
        for each in channels
    ]


async def _of_credentials(settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with open_administration(settings) as office:
            for each in (await office.registry.state()).credentials:
                if each.retired_us is not None:
                    continue
                try:
                    await office.vault.open(CredentialId(each.id))
                except BursarError as error:
                    mend = "restore the master key it was sealed with; docs/backup.md says what to do if that is lost"
                    found.append(
                        _problem("credential_sealed", f"credential {each.name}: {error.message}", mend)
                    )
    except BursarError:
        return found  # the master key is the finding, and already told
    return found


async def _of_history(settings: Settings) -> list[Finding]:
    """Whether the log continues what is known of it, and whether it reaches the places outside."""
    database = open_database(settings.database_url)
    try:
        known = known_checkpoints(settings.data_dir, settings.anchor_dir)
        found = await database.read(lambda conn: first_objection(read_history(conn), known))
        anchors = await database.read(read_anchors)
    except BursarError as error:
        return [_problem(error.code, error.message, _MEND_LOG)]
    finally:
        await database.close()
    lost = []
    if found is not None:
        mend = (
            "bring back the database that has these entries, or, where another log is named, have BURSAR_DATABASE_URL "
            "and BURSAR_DATA_DIR of one installation; only if entries are lost for good, run "
            "`bursar audit new-epoch --reason TEXT`"
        )
        lost.append(_problem(RollbackDetected.code, found, mend))
    failing = [
        Finding(
            severity="warning",
            code="not_anchored",
            what=f"the log is not anchored by {each.channel}: the last try ended with {each.problem!r}",
            mend="see to BURSAR_ANCHOR_DIR; what is missing is anchored by itself then",
        )
        for each in anchors
        if each.problem is not None
    ]
    return [*lost, *failing]


def _problem(code: str, what: str, mend: str) -> Finding:
    return Finding(severity="problem", code=code, what=what.rstrip("."), mend=mend)


async def _holds_nothing_sealed(settings: Settings) -> bool:
    async with _registry(settings.owner_database_url, settings) as registry:
        state = await registry.state()
    return not (state.credentials or state.keys or state.tokens)


@asynccontextmanager
async def _opened(url: str, settings: Settings, master: MasterKey) -> AsyncIterator[Administration]:
    database = open_database(url, clock_offset_s=settings.clock_offset_s)
    try:
        boot = _boot(read_log_key(settings.log_key_path))
        registry = SqlRegistry(
            database=database,
            boot=boot,
            needs_second_person=settings.two_person_control,
            seal_file=SealKeyFile(settings.seal_key_path),
        )
        # Without the anchors: a share that is away must not keep anybody from freezing a credential.
        watch = Watch(database=database, boot=boot, data_dir=settings.data_dir)
        try:
            await watch.look()
        except LogBroken as error:
            boot.trouble = error.message  # it can still be read, and verified
        clock = SystemClock(offset_s=settings.clock_offset_s)
        pages = SqlPages(database=database, master=master, clock=clock, max_memory_bytes=0)
        yield Administration(
            database=database,
            boot=boot,
            registry=registry,
            mint=Mint.of(master),
            vault=SqlVault(database=database, master=master),
            estimator=Estimator(
                registry=registry,
                places=SqlDirectory(database),
                pages=pages,
                tallies=SqlTallies(database),
                usual=UsualLifetimes.set_by(settings),
                accept_url=settings.public_url,
                fetches_full_pages=settings.fetches_full_pages,
            ),
            held=SqlHeld(database=database, boot=boot, pages=pages),
            seals=SqlSeals(database=database, file=SealKeyFile(settings.seal_key_path), clock=clock),
        )
        await watch.keep()
    finally:
        await database.close()


@asynccontextmanager
async def _registry(url: str, settings: Settings) -> AsyncIterator[SqlRegistry]:
    database = open_database(url, clock_offset_s=settings.clock_offset_s)
    try:
        yield SqlRegistry(database=database, boot=_boot())
    finally:
        await database.close()


def _boot(signer: Signer | None = None) -> Boot:
    return Boot(replica=socket.gethostname()[:64], id=secrets.token_hex(8), signer=signer)
