"""Many calls at once, each with what its caller was told."""

import asyncio
import contextlib
import itertools
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.servers.bursar import VIDEO_QUERY

_PLACE = re.compile(rb"(?i)audit-entry: [^\r]*index=(\d+);size=\d+")
_CACHE = re.compile(rb"(?i)cache-status: ([^\r]*)")
_RETRY_AFTER = re.compile(rb"retry-after: (\d+)")
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_REGIONS = ("US", "DE", "FR", "GB", "BR", "JP")
USER_INFO = "/v2/research/user/info/?fields=display_name,follower_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer that a caller holds: complete, with its entry's id and place."""

    status: int
    code: str
    log_id: str
    index: int
    cache: str
    body: bytes
    retry_after_s: int | None = None


def told(head: bytes, body: bytes) -> Told:
    """What an answer says."""
    wait = _RETRY_AFTER.search(head)
    place, cache = _PLACE.search(head), _CACHE.search(head)
    error = json.loads(body)["error"]
    return Told(
        status=int(head[9:12]),
        code=error["code"],
        log_id=error["log_id"],
        index=int(place[1]) if place else -1,
        cache=cache[1].decode() if cache else "",
        body=body,
        retry_after_s=int(wait[1]) if wait else None,
    )


async def ask_all(
    base_url: str,
    keys: str | Sequence[str],
    requests: Iterable[tuple[str, bytes]],
    *,
    in_flight: int,
    per_second: float | None = None,
    into: list[Told] | None = None,
) -> list[Told]:
    """Every complete answer; calls that get none, since the server is gone, are left out.

    Each of the `in_flight` callers keeps one connection and one of the keys or tokens;
    `into` is the list that they are added to while they come in; together they ask so many times `per_second`, where that is set and they can. Plain streams, since the load must not cost more
    than what it is put on.
    """
    address = urlsplit(base_url)
    waiting = iter(requests)
    answers: list[Told] = [] if into is None else into
    turns = itertools.count()
    began_s = asyncio.get_running_loop().time()

    async def take_turn() -> None:
        if per_second is not None:
            due_s = began_s + next(turns) / per_second
            await asyncio.sleep(due_s - asyncio.get_running_loop().time())

    async def work(key: str) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                for path, body in waiting:
                    await take_turn()
                    head = (
                        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                    )
                    writer.write(head.encode() + body)
                    answer = await reader.readuntil(b"\r\n\r\n")
                    length = _LENGTH.search(answer)
                    assert length is not None
                    answers.append(told(answer, await reader.readexactly(int(length[1]))))
            finally:
                writer.close()

    each_key = itertools.cycle([keys] if isinstance(keys, str) else keys)
    await asyncio.gather(*(work(key) for key in itertools.islice(each_key, in_flight)))
    return answers


def lookups(first: int, last: int) -> list[tuple[str, bytes]]:
    """Questions that are all different: a profile each."""
    return [(USER_INFO, b'{"username":"sim_user_%d"}' % number) for number in range(first, last)]


def samples(rng: random.Random, calls: int, *, sizes: range = range(1, 101)) -> Iterator[tuple[str, bytes]]:
    """Random samples of videos, of which each is fetched anew; some have fewer hits than they ask for."""
    for _ in range(calls):
        first, last = sorted(rng.choices(range(1, 24), k=2))
        yield sample(
            rng.choice(sizes), first=first, last=last, regions=rng.sample(_REGIONS, rng.randint(1, 3))
        )


def sample(
    size: int, *, first: int = 1, last: int = 23, regions: Sequence[str] = ("US", "DE")
) -> tuple[str, bytes]:
    """A random sample of `size` videos."""
    asked = {
        "query": {"and": [{"field_name": "region_code", "operation": "IN", "field_values": list(regions)}]},
        "start_date": f"202610{first:02}",
        "end_date": f"202610{last:02}",
        "max_count": size,
        "is_random": True,
    }
    return VIDEO_QUERY, json.dumps(asked).encode()
