"""What the routes work with: the registry of people and projects, the mint, and who asks."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from app.administration.acts import Wish, apply_state
from app.administration.difference import Difference
from app.administration.estimating import Estimator
from app.administration.minting import Mint
from app.administration.registry import Registry
from app.bootstrap import Installation
from app.cache.lifetimes import UsualLifetimes
from app.sealing import MasterKey
from app.storage.begun_exports import SqlBegunExports
from app.storage.muted import SqlMuted
from app.storage.purging import SqlHeld
from app.storage.registry import SqlRegistry
from app.storage.repeats import Repeats
from app.storage.saved_searches import SqlSavedSearches
from app.storage.seal_files import SealKeyFile
from app.storage.sessions import SqlSessions
from app.storage.sign_ins import SqlSignIns
from app.storage.spending import Days
from app.storage.tallies import SqlTallies
from app.storage.verifying import Verifier
from app.web.api.sight import Sight
from app.web.api.visitors import Identification, Visitor, visitor
from app.web.throttle import Throttle

_HASHED_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The parts of one process that the API's routes share."""

    installation: Installation
    registry: Registry
    mint: Mint
    estimator: Estimator
    held: SqlHeld
    identify: Identification = field(repr=False)
    sessions: SqlSessions
    sign_ins: SqlSignIns
    days: Days
    searches: SqlSavedSearches
    muted: SqlMuted
    exports: SqlBegunExports
    repeats: Repeats
    verifier: Verifier
    throttle: Throttle
    hashing: asyncio.Semaphore
    """Held while a password is hashed, which takes 64 MiB."""

    async def sight(self, who: Visitor) -> Sight:
        """The directory as it is now, as far as they may see it."""
        return Sight(state=await self.registry.state(), visitor=who)

    async def apply(self, who: Visitor, wish: Wish, registry: Registry) -> Difference:
        """Carry a wish out through that registry; members whom it does not name leave the projects that it names."""
        done = await apply_state(registry, self.mint, who.actor, wish, prune_members=True)
        self.forget()
        return done

    def forget(self) -> None:
        """Have this process forget the directory as it was; call after every change."""
        self.installation.directory.forget()


def open_desk(installation: Installation) -> Desk:
    """The desk of an installation; raises BadSetting when the master key cannot be read."""
    master = MasterKey.installed(installation.settings.master_key_path)
    registry = SqlRegistry(
        database=installation.database,
        boot=installation.boot,
        needs_second_person=installation.settings.two_person_control,
        seal_file=SealKeyFile(installation.settings.seal_key_path),
    )
    return Desk(
        installation=installation,
        registry=registry,
        mint=Mint.of(master),
        estimator=Estimator(
            registry=registry,
            places=installation.directory,
            pages=installation.pages,
            tallies=SqlTallies(installation.database),
            usual=UsualLifetimes.set_by(installation.settings),
            accept_url=installation.settings.public_url,
            fetches_full_pages=installation.settings.fetches_full_pages,
        ),
        held=SqlHeld(database=installation.database, boot=installation.boot, pages=installation.pages),
        identify=Identification(installation),
        sessions=SqlSessions(installation.database),
        sign_ins=SqlSignIns(installation.database),
        days=Days(),
        searches=SqlSavedSearches(installation.database),
        muted=SqlMuted(installation.database),
        exports=SqlBegunExports(installation.database),
        repeats=Repeats(database=installation.database, master=master),
        verifier=installation.verifier,
        throttle=Throttle(installation.clock),
        hashing=asyncio.Semaphore(_HASHED_AT_ONCE),
    )


def desk_of(request: Request) -> Desk:
    """The desk of the installation that serves this request, opened on its first."""
    state = request.app.state
    kept: Desk | None = getattr(state, "desk", None)
    if kept is None or kept.installation is not state.installation:
        kept = state.desk = open_desk(state.installation)
    return kept


AtDesk = Annotated[Desk, Depends(desk_of)]
Who = Annotated[Visitor, Depends(visitor)]
