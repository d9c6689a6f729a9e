"""One connection to Redis that answers quickly or not at all.

Calls queue; one task sends all that is queued in one round trip, so a script costs what its share of a round
trip costs. The task outlives the calls that wait for it: a call that is cancelled never leaves an answer
behind for the next one to read. A connection on which anything went wrong is thrown away.
"""

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.errors import BadSetting

_CONNECT_WITHIN_S: Final = 0.1
_ANSWER_WITHIN_S: Final = 0.15
"""Both together: whoever asks knows within a quarter of a second that Redis is away."""
_MOST_IN_BATCH: Final = 256

_log = structlog.get_logger()

Argument = str | int


class RedisAway(Exception):
    """Redis did not answer in time, or refused; whether the script ran is unknown."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, which Redis runs in one step."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        # Redis names scripts so; nothing rests on its strength.
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


_ANYTHING: Final = Script("return 1")


@dataclass(slots=True, eq=False)
class _Asked:
    script: Script
    arguments: tuple[Argument, ...]
    abandoned: Callable[[Any], None] = lambda _: None
    lost: Callable[[], None] = lambda: None
    done: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def command(self) -> tuple[Argument, ...]:
        return ("EVALSHA", self.script.sha, *self.arguments)

    def fail(self) -> None:
        if not self.done.done():
            self.done.set_exception(RedisAway())
            self.done.exception()  # seen here, since nobody may wait for it
        self.lost()


class RedisLink:
    """Runs scripts on the server that `url` names. `start` before use, `stop` at the end.

    `is_away` is set by the first failure and unset by the first success; whoever has another way asks it
    first, so that nobody waits for a server that is known to be away.
    """

    def __init__(self, url: str) -> None:
        self._pool = _pool(url)
        self._connection: AbstractConnection | None = None
        self._queue: deque[_Asked] = deque()
        self._arrived = asyncio.Event()
        self._stopping = False
        self._sending: asyncio.Task[None] | None = None
        self.is_away = False

    async def start(self) -> None:
        """Begin to send."""
        self._sending = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send what is queued, then end."""
        self._stopping = True
        self._arrived.set()
        if self._sending is not None:
            await self._sending
        await self._discard()

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Argument] = (),
        *,
        abandoned: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        """What the script returns; `abandoned` is told it when the caller has gone by then. Raises RedisAway."""
        if self._stopping:
            raise RedisAway
        asked = _Asked(script, (len(keys), *keys, *arguments), abandoned=abandoned)
        self._queue.append(asked)
        self._arrived.set()
        try:
            return await asked.done
        except asyncio.CancelledError:
            # The answer may have come at the very moment at which the caller was told to go.
            if asked.done.done() and not asked.done.cancelled() and asked.done.exception() is None:
                abandoned(asked.done.result())
            raise

    async def answers(self) -> bool:
        """Whether the server is there and runs scripts."""
        try:
            return bool(await self.run(_ANYTHING, ()) == 1)
        except RedisAway:
            return False

    def post(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Argument] = (),
        *,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the script some time soon, without waiting; `lost` is called where it may not have been run."""
        if self.is_away or self._stopping:
            lost()
            return
        self._queue.append(_Asked(script, (len(keys), *keys, *arguments), lost=lost))
        self._arrived.set()

    async def _send(self) -> None:
        while not (self._stopping and not self._queue):
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _MOST_IN_BATCH))]
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S + (0 if self._connection else _CONNECT_WITHIN_S)):
                    answers = await self._ask(batch)
            except (RedisError, OSError, TimeoutError) as error:
                await self._lose(batch, error)
            except Exception as error:  # noqa: BLE001 - the one task that sends must not end
                _log.exception("a round trip to Redis failed")
                await self._lose(batch, error)
            else:
                self._back()
                for asked, answer in zip(batch, answers, strict=True):
                    self._acknowledge(asked, answer)

    async def _ask(self, batch: Sequence[_Asked]) -> list[Any]:
        connection = await self._connected()
        answers = await _round_trip(connection, [asked.command for asked in batch])
        unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # A server that was restarted knows no script any more.
            texts = {batch[place].script.text for place in unknown}
            await _round_trip(connection, [("SCRIPT", "LOAD", text) for text in texts])
            again = await _round_trip(connection, [batch[place].command for place in unknown])
            for place, answer in zip(unknown, again, strict=True):
                answers[place] = answer
        return answers

    async def _connected(self) -> AbstractConnection:
        if self._connection is None:
            connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            self._connection = connection
        return self._connection

    def _acknowledge(self, asked: _Asked, answer: Any) -> None:
        if isinstance(answer, ResponseError):
            # A replica that may not write, no memory left: as good as away.
            self._gone(answer)
            asked.fail()
        elif not asked.done.done():
            asked.done.set_result(answer)
        else:
            asked.abandoned(answer)

    async def _lose(self, batch: Sequence[_Asked], error: Exception) -> None:
        """Fail everybody who waits: what was sent may or may not have happened."""
        self._gone(error)
        await self._discard()
        for asked in [*batch, *self._queue]:
            asked.fail()
        self._queue.clear()

    async def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await connection.disconnect(nowait=True)

    def _gone(self, error: Exception) -> None:
        if not self.is_away:
            self.is_away = True
            _log.warning(
                "Redis is away; short limits are counted in each process", error=type(error).__name__
            )

    def _back(self) -> None:
        if self.is_away:
            self.is_away = False
            _log.info("Redis is back; short limits are shared again")


async def _round_trip(connection: AbstractConnection, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The answers in the order of the commands; a refusal of one of them stands in its place."""
    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as refused:
            answers.append(refused)
    return answers


def _pool(url: str) -> ConnectionPool:
    """Makes connections, and keeps none; raises BadSetting for a URL that is none of Redis'."""
    try:
        return ConnectionPool.from_url(
            url,
            socket_connect_timeout=_CONNECT_WITHIN_S,
            socket_timeout=None,  # the whole round trip has one, which is cheaper than one for each answer
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=False,
        )
    except ValueError as error:
        raise BadSetting(
            "BURSAR_REDIS_URL is no address of Redis, such as redis://127.0.0.1:6379/0"
        ) from error
