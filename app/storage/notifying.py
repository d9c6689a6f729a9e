"""The job that sends notices: log lines always, and whatever channels there are.

Every process has one, and the holder of a lease works, so each notice is sent once; after a crash the next holder
sends again what nobody knows to have arrived. Nothing waits for it: notices were written in the transactions in
which things happened, and a channel that is down keeps only itself waiting.
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from sqlalchemy.engine import Connection

from app.administration.notices import LONGEST_SEND_S, Channel, Message, Undelivered, wait_s
from app.administration.state import State
from app.administration.telling import message_of
from app.clock import Clock
from app.errors import Unavailable
from app.storage.engines import Database
from app.storage.leases import hold, release
from app.storage.log import Boot
from app.storage.muted import who_mutes
from app.storage.notices import OUTCOMES, Due, due, has_work, settle, take_up
from app.storage.registry import SqlRegistry

LOG: Final = "log"
"""The channel that is always there."""

_DUTY: Final = "notices"
_LEASE_S: Final = 90.0
_RENEW_BELOW_S: Final = _LEASE_S - 2 * LONGEST_SEND_S
"""Whoever begins to send has the duty for as long as the longest sending takes, twice over."""
_STOP_WITHIN_S: Final = 10.0
_MOST_AT_ONCE: Final = 100
_LONGEST_REST_S: Final = 60

_log = structlog.get_logger()


class LogLines:
    """The channel that writes one line for each notice, naming nobody."""

    is_personal = False

    async def send(self, message: Message, to: str) -> None:  # noqa: ARG002 - a line is for nobody in particular
        """Write the line."""
        at, data = message.at.isoformat(), dict(message.data)
        _log.warning("notice", notice=message.id, about=message.event, at=at, data=data)

    async def close(self) -> None:
        """Nothing is held."""


class Notifier:
    """Sends what is due every few seconds. `stop` lets what is being sent arrive.

    `console` is where people reach the console, for links; empty where nobody has said.
    """

    def __init__(
        self,
        *,
        database: Database,
        boot: Boot,
        clock: Clock,
        channels: Mapping[str, Channel],
        console: str = "",
        every_s: float = 2.0,
    ) -> None:
        self._database = database
        self._registry = SqlRegistry(database=database, boot=boot)
        self._clock = clock
        self._channels: dict[str, Channel] = {LOG: LogLines(), **channels}
        self._console = console
        self._every_s = every_s
        self._owner = f"{boot.id}:{secrets.token_hex(4)}"
        self._held_until_s = 0.0
        self._rests_until_s: dict[str, float] = {}
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # From the start, since an increase is only seen of what was told as none before.
        self.outcomes = Counter({(name, outcome): 0 for name in self._channels for outcome in OUTCOMES})
        """How many tries ended how, by channel and outcome."""

    def start(self) -> None:
        """Begin, after a first wait."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End once what is being sent has arrived or failed, and let another process go on."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_WITHIN_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._held_until_s > self._clock.monotonic_s():
            with contextlib.suppress(Unavailable):  # else the lease ends by itself
                await self._database.write(lambda conn: release(conn, _DUTY, self._owner))
        for channel in self._channels.values():
            await channel.close()

    async def work_off(self) -> int:
        """How many deliveries were tried; none where there is nothing to send, or another process sends."""
        if not await self._database.read(lambda conn: has_work(conn, self._database.now_us(conn))):
            return 0
        if not await self._has_duty():
            return 0
        state = await self._registry.state()
        await self._take_up(state)
        tried = await asyncio.gather(*(self._work_off(name, state) for name in self._channels))
        return sum(tried)

    async def _run(self) -> None:
        while not await self._waited():
            try:
                await self.work_off()
            except Unavailable:
                pass  # what is due stays due
            except Exception:  # noqa: BLE001 - one bad notice must not keep all the others for ever
                _log.exception("notices could not be sent")

    async def _waited(self) -> bool:
        """Whether to stop, after the usual wait."""
        try:
            async with asyncio.timeout(self._every_s):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _has_duty(self) -> bool:
        """Whether this process may go on sending, for as long as the longest sending takes."""
        async with self._turn:
            if self._held_until_s - self._clock.monotonic_s() > _LEASE_S - _RENEW_BELOW_S:
                return True
            asked_s = self._clock.monotonic_s()

            def take(conn: Connection) -> bool:
                now_us = self._database.now_us(conn)
                return hold(conn, self._database.dialect, _DUTY, self._owner, now_us=now_us, for_s=_LEASE_S)

            has_it = await self._database.write(take)
            # Counted from before the question, so this process lets go earlier than the database does.
            self._held_until_s = asked_s + _LEASE_S if has_it else 0.0
            return has_it

    async def _take_up(self, state: State) -> None:
        def decide(conn: Connection, notice: Due) -> Sequence[tuple[str, str]]:
            recipients = sorted(set(self._message(state, notice).recipients) - who_mutes(conn, notice.kind))
            return [
                (name, target)
                for name, channel in self._channels.items()
                for target in (recipients if channel.is_personal else ("",))
            ]

        def work(conn: Connection) -> int:
            now_us = self._database.now_us(conn)
            return take_up(
                conn, self._database.dialect, partial(decide, conn), now_us=now_us, most=_MOST_AT_ONCE
            )

        await self._database.write(work)

    async def _work_off(self, name: str, state: State) -> int:
        """How many deliveries on one channel were tried, until it is found to be down."""
        if self._rests_until_s.get(name, 0.0) > self._clock.monotonic_s():
            return 0
        waiting = await self._database.read(
            lambda conn: due(conn, name, now_us=self._database.now_us(conn), most=_MOST_AT_ONCE)
        )
        tried = 0
        for each in waiting:
            if self._stopping.is_set() or not await self._has_duty():
                break
            failure = await self._try(name, each, state)
            tried += 1
            outcome = await self._database.write(partial(self._settle, each=each, failure=failure))
            self.outcomes[name, outcome] += 1
            if failure is None:
                continue
            _log.warning(
                "a notice was not delivered",
                channel=name,
                notice=each.notice,
                why=failure.reason,
                outcome=outcome,
            )
            if failure.is_of_channel:
                rest_s = min(wait_s(each.tries + 1, asked_s=failure.retry_after_s), _LONGEST_REST_S)
                self._rests_until_s[name] = self._clock.monotonic_s() + rest_s
                break
        return tried

    async def _try(self, name: str, each: Due, state: State) -> Undelivered | None:
        message = self._message(state, each)
        to = message.recipients.get(each.target, "")
        if self._channels[name].is_personal and not to:
            return Undelivered("the recipient has left", is_final=True, is_of_channel=False)
        try:
            async with asyncio.timeout(LONGEST_SEND_S):
                await self._channels[name].send(message, to)
        except TimeoutError:
            return Undelivered("no answer in time")
        except Undelivered as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - one message that a channel cannot take must not stop all others
            _log.exception("a channel failed", channel=name)
            return Undelivered(f"unexpected: {type(error).__name__}", is_of_channel=False)
        return None

    def _settle(self, conn: Connection, *, each: Due, failure: Undelivered | None) -> str:
        return settle(conn, each, failure, now_us=self._database.now_us(conn))

    def _message(self, state: State, notice: Due) -> Message:
        return message_of(
            state,
            notice=notice.notice,
            kind=notice.kind,
            about=notice.about,
            created_us=notice.created_us,
            console=self._console,
        )
