"""Refused requests of unknown senders: each has an entry, until one source sends too many of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from app.audit.entries import Draft, Receipt
from app.audit.floods import MOST_KINDS, Kind, batch_entry, kind_of
from app.clock import Clock
from app.errors import AuditUnavailable, BursarError
from app.ids import EntryId, new_entry_id

_CLOSES_AFTER_S: Final = 0.5
"""So that an answer waits for less than a second, the commit included."""
_MOST_COUNTED: Final = 4_096
_MOST_WAITING: Final = 8_192
"""Of all batches that are not written yet; a log that stands still must not fill the memory."""
_MOST_SOURCES: Final = 10_000
"""Sources told apart within a second; whoever comes after so many counts as one that sends too much."""


@dataclass(slots=True, eq=False)
class _Batch:
    since_s: float
    id: EntryId = field(default_factory=new_entry_id)
    counts: Counter[Kind] = field(default_factory=Counter)
    counted: int = 0
    is_full: asyncio.Event = field(default_factory=asyncio.Event)
    done: "asyncio.Future[Receipt]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Floods:
    """Gives receipts for refusals: those of one source above `per_second` share the entry of a batch.

    0 gives each its own. `note` makes an entry durable, and raises what keeps it from that.
    """

    def __init__(self, *, clock: Clock, per_second: int, note: Callable[[Draft], Awaitable[Receipt]]) -> None:
        self._clock = clock
        self._per_second = per_second
        self._note = note
        self._second = -1
        self._sources: dict[str, int] = {}
        self._open: _Batch | None = None
        self._waiting = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def turn_away(self, draft: Draft, source: str) -> Receipt:
        """The receipt of a refusal of `source`, once its entry, or the one that counts it, is durable."""
        if not self._is_flood(source):
            return await self._note(draft)
        if self._waiting >= _MOST_WAITING:
            raise AuditUnavailable(
                "audit_unavailable: too many requests wait for the log. Try again in a few seconds."
            )
        batch = self._batch_with(kind_of(draft))
        # Whoever leaves must not take the others' receipt along; the request is counted all the same.
        return await asyncio.shield(batch.done)

    async def flush(self) -> None:
        """Return once every batch has been written, or could not be."""
        if self._open is not None:
            self._open.is_full.set()
        while self._closing:
            await asyncio.wait(set(self._closing))

    def _is_flood(self, source: str) -> bool:
        if self._per_second == 0:
            return False
        second = int(self._clock.monotonic_s())
        if second != self._second:
            self._second = second
            self._sources.clear()
        if source not in self._sources and len(self._sources) >= _MOST_SOURCES:
            return True
        self._sources[source] = self._sources.get(source, 0) + 1
        return self._sources[source] > self._per_second

    def _batch_with(self, kind: Kind) -> _Batch:
        """The batch that counts one more of a kind."""
        batch = self._open
        if batch is None:
            batch = self._open = _Batch(self._clock.monotonic_s())
            closing = asyncio.create_task(self._close(batch))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        batch.counts[kind] += 1
        batch.counted += 1
        self._waiting += 1
        if len(batch.counts) >= MOST_KINDS or batch.counted >= _MOST_COUNTED:
            self._open = None
            batch.is_full.set()
        return batch

    async def _close(self, batch: _Batch) -> None:
        try:
            async with asyncio.timeout(_CLOSES_AFTER_S):
                await batch.is_full.wait()
        except TimeoutError:
            pass
        if self._open is batch:
            self._open = None
        # From here on nobody is counted in it any more.
        ms = int((self._clock.monotonic_s() - batch.since_s) * 1_000)
        try:
            receipt = await self._note(batch_entry(batch.id, batch.counts, ms=ms))
        except BursarError as error:
            batch.done.set_exception(error)
            batch.done.exception()  # everybody may have left
        else:
            batch.done.set_result(receipt)
        finally:
            self._waiting -= batch.counted
