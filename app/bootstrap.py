"""The composition root: adapters are chosen here, once, from settings, and passed by constructor."""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from app import RELEASE
from app.administration.doctor import Finding
from app.administration.key_files import LogKeyFile, read_log_key
from app.administration.minting import PEPPER_PURPOSE
from app.administration.state import State
from app.audit.calls import TAG_PURPOSE, Scribe
from app.audit.notes import Signer
from app.cache.lifetimes import UsualLifetimes
from app.cache.shelf import Shelf, Step
from app.calls import Bounds
from app.clock import Clock, SystemClock
from app.errors import BadSetting, BursarError, NotFound, SignInUnavailable
from app.fetching import WARM_UP_WAITS_S, Upstream
from app.gateway import Gateway
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.keys import access_tokens_of
from app.ids import CredentialId
from app.provider.platform import NotDispatched
from app.quota.pacing import CALLS_PER_SECOND, Pacer
from app.sealing import MasterKey, derive
from app.settings import Settings
from app.storage import administering
from app.storage.administering import Report, open_administration, require_current_schema
from app.storage.anchoring import Anchorer
from app.storage.books import SqlBooks
from app.storage.deadlines import Deadlines
from app.storage.directory import SqlDirectory
from app.storage.disk import Disk, disk_of
from app.storage.durability import require_durable
from app.storage.engines import Database, Prompt, open_database
from app.storage.heartbeats import Heartbeats
from app.storage.held_room import HeldRoom
from app.storage.limits import SqlLimits
from app.storage.log import Boot, check_log
from app.storage.notifying import Notifier
from app.storage.pages import SqlPages
from app.storage.proven import SqlProvenFields
from app.storage.retention import Retention
from app.storage.seal_files import SealKeyFile
from app.storage.seals import SqlSeals
from app.storage.sharing import REDIS_AWAY, Sharing, is_there, sharing
from app.storage.vault import SqlVault
from app.storage.verifying import Verifier
from app.storage.watching import Watch
from app.storage.wrapped_keys import require_opens
from app.tracing import Tracing
from app.upstream.addresses import find_loops
from app.upstream.channels import open_channels
from app.upstream.http import HttpPlatform, Timeouts
from app.upstream.oidc import OidcProvider, open_provider
from app.upstream.watched import WatchedPlatform

_Port = TypeVar("_Port")
_RATE_KEPT_S = 60.0
_READ_WITHIN_S = 4.0
"""Below the five seconds within which the log must be written."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One process's open parts."""

    settings: Settings
    clock: Clock
    boot: Boot
    master: MasterKey
    signer: Signer
    database: Database
    prompt: Database
    """The same, for what a request waits for: its reads give up soon."""
    disk: Disk | None
    directory: SqlDirectory
    bearers: Bearers
    books: SqlBooks
    heartbeats: Heartbeats
    sharing: Sharing
    pages: SqlPages
    vault: SqlVault
    platform: HttpPlatform
    identity_provider: OidcProvider | None
    watched: WatchedPlatform
    scribe: Scribe
    seals: SqlSeals
    gateway: Gateway
    retention: Retention
    deadlines: Deadlines
    room: HeldRoom
    notifier: Notifier
    watch: Watch
    verifier: Verifier
    anchorer: Anchorer
    tracing: Tracing | None
    """Where spans go; None: nowhere, and none is made."""


def new_boot(signer: Signer) -> Boot:
    """This run of this process, as its entries will name it."""
    return Boot(replica=socket.gethostname()[:64], id=secrets.token_hex(8), signer=signer)


async def check_installation(settings: Settings) -> None:
    """Return if a process could serve with these settings now; writes nothing.

    Raises BadSetting, NotReady and LogBroken.
    """
    async with _checked(settings, processes=1):
        pass


@asynccontextmanager
async def open_installation(settings: Settings, *, processes: int = 1) -> AsyncIterator[Installation]:
    """Everything that serving needs, checked and started; closed in order, calls under way first.

    `processes` is how many serve beside this one, itself included, as far as is known. Raises BadSetting, NotReady and LogBroken when it must not start.
    """
    async with _checked(settings, processes=processes) as installation:
        await installation.seals.start()
        await installation.books.start()
        installation.watch.start()
        installation.anchorer.start()
        await installation.heartbeats.start()
        installation.retention.rounds.start()
        installation.deadlines.rounds.start()
        installation.room.rounds.start()
        await installation.sharing.start()
        installation.notifier.start()
        try:
            yield installation
        finally:
            await installation.verifier.stop()
            await installation.notifier.stop()
            await installation.room.rounds.stop()
            await installation.deadlines.rounds.stop()
            await installation.retention.rounds.stop()
            await installation.gateway.drain()
            await installation.books.stop()
            await installation.heartbeats.stop()
            await installation.anchorer.stop()
            await installation.watch.stop()
            await installation.sharing.stop()


@asynccontextmanager
async def _checked(settings: Settings, *, processes: int) -> AsyncIterator[Installation]:
    """The parts, of which none has started to work, once log, keys and settings have been found sound."""
    master = MasterKey.installed(settings.master_key_path)
    signer = read_log_key(settings.log_key_path)
    await require_current_schema(settings.database_url)
    database = open_database(
        settings.database_url,
        clock_offset_s=settings.clock_offset_s,
        synchronous_commit=settings.synchronous_commit,
    )
    try:
        await require_durable(settings, database)
        await database.read(lambda conn: check_log(conn, signer))
        await require_opens(database, master, settings.master_key_path)
        installation = _compose(settings, master, signer, database, processes=processes)
        await installation.watch.require()
        await _check_clock_offset(settings, installation.vault)
        try:
            yield installation
        finally:
            await installation.platform.close()
            if installation.tracing is not None:
                await installation.tracing.close()
            if installation.identity_provider is not None:
                await installation.identity_provider.close()
    finally:
        await database.close()


async def diagnose(settings: Settings) -> Report:
    """Everything that is wrong with this installation, and with where it would call."""
    report = await administering.diagnose(settings)
    try:
        for channel in open_channels(settings, SystemClock()).values():
            await channel.close()
    except BadSetting as error:
        report.findings.append(
            Finding(severity="problem", code="notices", what=error.message, mend=_MEND_FIRST)
        )
    report.findings.extend(await _of_sign_in(settings))
    # Behind a proxy it is the proxy who resolves the platform's name.
    if settings.upstream_proxy is None:
        report.findings.extend(await find_loops(report.base_urls, settings.public_url))
    if settings.redis_url is not None and not await is_there(settings.redis_url):
        report.findings.append(REDIS_AWAY)
    return report


_MEND_FIRST = "mend the setting or the file; `bursar serve` does not start before"


async def _of_sign_in(settings: Settings) -> list[Finding]:
    """Whether people can sign in by the institution's provider, where the settings name one."""
    try:
        provider = open_provider(settings, SystemClock())
    except BadSetting as error:
        return [Finding(severity="problem", code="sign_in", what=error.message, mend=_MEND_FIRST)]
    if provider is None:
        return []
    try:
        await provider.check()
    except SignInUnavailable as error:
        mend = "compare BURSAR_OIDC_ISSUER with what the provider calls itself; until then people sign in otherwise"
        return [Finding(severity="warning", code="sign_in", what=error.message, mend=mend)]
    finally:
        await provider.close()
    return []


_NOT_ASKED = "it is frozen, so the platform was not asked; `bursar freeze list` says why"


async def verify_credentials(settings: Settings, name: str | None) -> list[tuple[str, str | None]]:
    """Each credential's name, and why the platform does not take it (None: it does).

    Asks the token endpoint, which costs no quota; a frozen credential is not used for that either. Raises
    NotFound for an unknown name.
    """
    async with open_administration(settings) as office:
        platform = _platform(settings, office.vault, SystemClock())
        try:
            return await verified(platform, await office.registry.state(), name)
        finally:
            await platform.close()


async def verified(platform: HttpPlatform, state: State, name: str | None) -> list[tuple[str, str | None]]:
    """The same, asked through a platform that is open already."""
    wanted = [each for each in state.credentials if each.retired_us is None and name in {None, each.name}]
    if name is not None and not wanted:
        raise NotFound(f"There is no credential {name}; `bursar credential list` shows all.")
    return [
        (
            each.name,
            _NOT_ASKED if state.freeze_of(each.id) is not None else await _refusal_of(platform, each.id),
        )
        for each in wanted
    ]


async def _refusal_of(platform: HttpPlatform, credential: str) -> str | None:
    try:
        await platform.verify(CredentialId(credential))
    except NotDispatched as error:
        return error.reason
    return None


def _platform(settings: Settings, vault: SqlVault, clock: Clock) -> HttpPlatform:
    return HttpPlatform(
        vault=vault,
        clock=clock,
        timeouts=_timeouts(settings),
        proxy=settings.upstream_proxy,
        ca_file=None if settings.upstream_ca_file is None else str(settings.upstream_ca_file),
    )


def _compose(
    settings: Settings, master: MasterKey, signer: Signer, database: Database, *, processes: int
) -> Installation:
    clock, boot = SystemClock(offset_s=settings.clock_offset_s), new_boot(signer)
    prompt = Prompt(database, within_s=_READ_WITHIN_S)
    pages = SqlPages(
        database=prompt, master=master, clock=clock, max_memory_bytes=settings.max_held_memory_bytes
    )
    seals = SqlSeals(database=prompt, file=SealKeyFile(settings.seal_key_path), clock=clock)

    def forget() -> None:
        pages.forget()
        seals.forget()

    directory = SqlDirectory(prompt, also_forget=forget)
    shelf = Shelf(pages, without=_steps_left_out(settings))
    bearers = Bearers(
        directory=directory,
        access_tokens=access_tokens_of(master),
        pepper=derive(master, PEPPER_PURPOSE),
        clock=clock,
        attempts=Attempts(clock=clock, per_minute=settings.failed_sign_ins_per_minute),
    )
    disk = disk_of(settings)
    books = SqlBooks(
        database=prompt, clock=clock, boot=boot, disk=disk, rejects_per_second=settings.rejects_per_second
    )
    shared = sharing(settings.redis_url, clock=clock, me=boot.id, processes=processes)
    vault = SqlVault(database=prompt, master=master)
    platform = _platform(settings, vault, clock)
    watched = WatchedPlatform(platform, clock)
    scribe = Scribe(derive(master, TAG_PURPOSE))
    bounds = Bounds(
        usual=UsualLifetimes.set_by(settings),
        search_ttl_s=settings.search_ttl_s,
        warm_up_waits_s=WARM_UP_WAITS_S,
        lease_margin_s=settings.lease_margin_s,
        read_timeout_s=_timeouts(settings).read_for,
        accept_url=settings.public_url,
    )
    tracing = _tracing(settings, boot)
    upstream = Upstream(
        pages=pages,
        shelf=shelf,
        fields=SqlProvenFields(prompt, clock),
        books=books,
        pacer=_traced(tracing, _pacer(settings, vault, clock, shared), turn="turn"),
        platform=_traced(tracing, watched, fetch="platform"),
        scribe=scribe,
        clock=clock,
        bounds=bounds,
    )
    gateway = Gateway(
        bearers=_traced(tracing, bearers, caller="identify", exchange="identify"),
        directory=directory,
        pages=pages,
        shelf=_traced(tracing, shelf, find="reuse", contain="reuse wider"),
        books=_traced(tracing, books, note="record", turn_away="record", serve="record"),
        limits=_traced(tracing, SqlLimits(prompt, clock), held_to="limits"),
        windows=_traced(tracing, shared.windows, take="short limits"),
        upstream=_traced(
            tracing, upstream, prepare="prepare", reserve="reserve", dispatch="fetch", record="record"
        ),
        seals=_traced(tracing, seals, keys_for="seal"),
        scribe=scribe,
        clock=clock,
        bounds=bounds,
    )
    channels = open_channels(settings, clock)
    return Installation(
        settings=settings,
        clock=clock,
        boot=boot,
        master=master,
        signer=signer,
        database=database,
        prompt=prompt,
        disk=disk,
        directory=directory,
        bearers=bearers,
        books=books,
        heartbeats=Heartbeats(
            database=database,
            boot=boot,
            every_s=settings.heartbeat_s,
            config=settings.digest,
            release=RELEASE,
            failed=books.try_writing,
        ),
        sharing=shared,
        pages=pages,
        vault=vault,
        platform=platform,
        identity_provider=open_provider(settings, clock),
        watched=watched,
        scribe=scribe,
        seals=seals,
        gateway=gateway,
        retention=Retention(database=database, boot=boot),
        deadlines=Deadlines(database=database, boot=boot),
        room=HeldRoom(
            database=database,
            boot=boot,
            most_bytes=settings.max_held_database_bytes,
            usual=UsualLifetimes.set_by(settings),
            sealed=lambda: pages.sealed_bytes,
        ),
        notifier=Notifier(
            database=database,
            boot=boot,
            clock=clock,
            channels=channels,
            console=f"{settings.public_url}/console" if "public_url" in settings.model_fields_set else "",
        ),
        verifier=Verifier(
            database=database, url=settings.database_url, signer=signer, lease_s=settings.longest_lease_s
        ),
        watch=Watch(
            database=database,
            boot=boot,
            data_dir=settings.data_dir,
            anchor_dir=settings.anchor_dir,
            log_key=LogKeyFile(settings.log_key_path),
        ),
        anchorer=Anchorer(
            database=database,
            boot=boot,
            every_s=settings.anchor_interval_s,
            directory=settings.anchor_dir,
            tells=bool(channels),
        ),
        tracing=tracing,
    )


def _tracing(settings: Settings, boot: Boot) -> Tracing | None:
    if settings.traces_url is None:
        return None
    return Tracing(settings.traces_url, share=settings.traces_share, release=RELEASE, instance=boot.id)


def _traced(tracing: Tracing | None, port: _Port, **steps: str) -> _Port:
    """The port, with a span around the methods that have a step's name; the port itself where nobody looks."""
    return port if tracing is None else tracing.around(port, steps)


def _steps_left_out(settings: Settings) -> frozenset[Step]:
    named = {Step(each) for each in settings.reuse_without.split(",") if each}
    return frozenset(named if settings.fetches_full_pages else {*named, Step.PAGES})


def _pacer(settings: Settings, vault: SqlVault, clock: Clock, shared: Sharing) -> Pacer:
    rate = settings.upstream_calls_per_second
    usual = _UsualRates(vault, clock)

    async def as_set(_: CredentialId) -> float | None:
        return rate

    return Pacer(
        turns=shared.turns,
        rate_of=usual.rate_of if rate is None else as_set,
        longest_wait_s=settings.upstream_longest_wait_s,
        clock=clock,
        is_on=rate != 0,
    )


class _UsualRates:
    """What the platform bears; a stand-in on this machine has no such bound of its own accord."""

    def __init__(self, vault: SqlVault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._kept: dict[CredentialId, tuple[float, float | None]] = {}

    async def rate_of(self, credential: CredentialId) -> float | None:
        """Calls a second, or None: as fast as they come."""
        kept, now_s = self._kept.get(credential), self._clock.monotonic_s()
        if kept is not None and now_s < kept[0]:
            return kept[1]
        try:
            host = urlsplit(await self._vault.base_url(credential)).hostname
        except BursarError:
            return CALLS_PER_SECOND  # the call will find out what is wrong
        rate = None if host in _LOOPBACK else CALLS_PER_SECOND
        self._kept[credential] = (now_s + _RATE_KEPT_S, rate)
        return rate


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect_s=settings.upstream_connect_timeout_s,
        read_s=settings.upstream_read_timeout_s,
        video_query_read_s=settings.upstream_video_query_timeout_s,
    )


async def _check_clock_offset(settings: Settings, vault: SqlVault) -> None:
    if settings.clock_offset_s == 0:
        return
    hosts = {urlsplit(url).hostname for url in await vault.base_urls()}
    if not hosts <= _LOOPBACK:
        raise BadSetting("BURSAR_CLOCK_OFFSET_S is for tests: a credential's host is not on this machine.")
