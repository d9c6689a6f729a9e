"""What the processes of an installation share for a minute or less: in Redis, or in the one process."""

from dataclasses import dataclass
from typing import Final

from app.administration.doctor import Finding
from app.clock import Clock
from app.quota.pacing import Turns
from app.quota.windows import ShortWindows
from app.storage.redis_link import RedisLink
from app.storage.redis_windows import RedisWindows
from app.storage.short_windows import ProcessWindows
from app.storage.turns import ProcessTurns, RedisTurns

REDIS_AWAY: Final = Finding(
    severity="warning",
    code="redis_away",
    what="Redis (BURSAR_REDIS_URL) does not answer: each process holds calls to its share of the limits by the minute, "
    "of concurrent calls and of the platform's short-term rate; budgets are not affected",
    mend="start Redis, or mend BURSAR_REDIS_URL; the processes find it again by themselves",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Short limits and turns, and the link that they go over, where there is one."""

    windows: ShortWindows
    turns: Turns
    link: RedisLink | None = None
    shared: RedisWindows | None = None

    @property
    def is_alone(self) -> bool:
        """Whether Redis is asked for and away, so that each process counts its share by itself."""
        return self.link is not None and self.link.is_away

    @property
    def counted_alone(self) -> int:
        """How many calls were counted so since this process began."""
        return 0 if self.shared is None else self.shared.counted_alone

    async def start(self) -> None:
        """Find out whether Redis is there; it need not be."""
        if self.link is not None and self.shared is not None:
            await self.link.start()
            await self.shared.start()

    async def stop(self) -> None:
        """Give back what is to be given back."""
        if self.link is not None and self.shared is not None:
            await self.shared.stop()
            await self.link.stop()


def sharing(redis_url: str | None, *, clock: Clock, me: str, processes: int) -> Sharing:
    """Over Redis where a URL is given; `me` names this process, of `processes`. Raises BadSetting."""
    if redis_url is None:
        return Sharing(windows=ProcessWindows(clock=clock), turns=ProcessTurns(clock=clock))
    link = RedisLink(redis_url)
    windows = RedisWindows(link=link, clock=clock, me=me, processes=processes)
    turns = RedisTurns(link=link, windows=windows, clock=clock)
    return Sharing(windows=windows, turns=turns, link=link, shared=windows)


async def is_there(redis_url: str) -> bool:
    """Whether Redis answers now, and runs scripts; for the doctor. Raises BadSetting."""
    link = RedisLink(redis_url)
    await link.start()
    try:
        return await link.answers()
    finally:
        await link.stop()
