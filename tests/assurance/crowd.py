"""People of several projects who ask alike things at once over the same connections, and often do not wait."""

import asyncio
import contextlib
import itertools
import json
import random
import re
import socket
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.journey.questions import LIST_KEYS, Question, about_nothing, varied
from tests.servers.stamped import STAMP, WORD

LEFT_SHARE = 0.2
"""Of the requests, whose client is gone before the answer is complete."""
_LONGEST_STAY_S = 0.1
_CURRENT_FOR = 24
"""So many requests long there is one question that is on many minds at once."""
_OWN_EACH = 3
_VARIANTS = 24
_WIDE = {"start_date": "20261001", "end_date": "20261028"}
_STEERING = ("no-cache", "no-store", "only-if-cached", "max-age=1")
_RESET = struct.pack("ii", 1, 0)
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_CACHE = re.compile(rb"(?i)cache-status: ([^\r]*)")
_CARRIES = {
    "video/comment/list": "like_count",
    "user/info": "display_name",
    "tts/shop": "shop_name",
    "tts/product": "shop_name",
    "tts/review": "review_text",
    "adlib/ad/query": "advertiser.business_name",
    "adlib/ad/detail": "advertiser.business_name",
    "adlib/ad/report": "count_time_series_by_country",
    "adlib/advertiser/query": "business_name",
    "adlib/commercial_content/query": "label",
    **dict.fromkeys(
        ("video/query", "user/liked_videos", "user/pinned_videos", "user/reposted_videos"), "like_count"
    ),
}
"""A field of each endpoint that shows whose call brought it."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who asks, and what the canaries in their own questions begin with."""

    project: str
    bearer: str


@dataclass(slots=True)
class Seen:
    """What came to the members of each project."""

    stamps: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    statuses: Counter[int] = field(default_factory=Counter)
    how: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)
    """Answers that show whose call brought them, by endpoint."""
    given_up: Counter[str] = field(default_factory=Counter)
    """What those were told who were to try again later, as a crowded machine makes some."""
    left: int = 0

    def look(self, project: str, content: bytes) -> bool:
        """Take down every canary in what a member was sent; whether there was any."""
        stamps = {int(each[1]) for each in STAMP.finditer(content)}
        self.stamps[project] |= stamps
        self.words[project] |= {each[1].decode() for each in WORD.finditer(content)}
        return bool(stamps)


class Crowd:
    """Members of all projects, each connection used by any of them in turn, as behind a front server."""

    def __init__(
        self, port: int, members: Sequence[Member], shared: Mapping[str, Question], rng: random.Random
    ) -> None:
        self.seen = Seen()
        self._port = port
        self._members: dict[str, list[Member]] = defaultdict(list)
        for each in members:
            self._members[each.project].append(each)
        self._shared = [_carrying(each) for name, each in sorted(shared.items())]
        self._videos = _carrying(shared["video/query"])
        self._rng = rng
        self._asked = itertools.count()
        self._current: list[Question] = []
        self._onward: dict[str, deque[Question]] = {each.project: deque(maxlen=32) for each in members}

    async def ask(self, requests: int, *, in_flight: int) -> Seen:
        """Have the members ask so often altogether; what they were sent."""
        turns = itertools.islice(self._turns(), requests)
        await asyncio.gather(*(self._work(turns) for _ in range(in_flight)))
        return self.seen

    def _turns(self) -> Iterator[tuple[Member, Question, bool]]:
        """Who asks what, and may leave: first each project each of the shared questions, all at once, then questions
        of its own, whose answers it waits for, and then whatever it may be."""
        for question in self._shared:
            for members in self._members.values():
                yield self._rng.choice(members), question, True
        for members in [*self._members.values()] * _OWN_EACH:
            yield members[0], self._own(members[0]), False
        while True:
            member = self._rng.choice(self._members[self._rng.choice([*self._members])])
            yield member, self._question_of(member), True

    async def _work(self, turns: Iterator[tuple[Member, Question, bool]]) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for member, question, may_leave in turns:
            streams = streams or await asyncio.open_connection("127.0.0.1", self._port)
            streams[1].write(self._request(member, question))
            if may_leave and self._rng.random() < LEFT_SHARE:
                await self._leave(member, *streams)
                streams = None
            elif not await self._read(member, question, streams[0]):
                streams[1].close()
                streams = None
        if streams is not None:
            streams[1].close()

    def _question_of(self, member: Member) -> Question:
        if next(self._asked) % _CURRENT_FOR == 0:
            # New to everybody: most who ask it ask while the first call for it is under way.
            fresh = self._rng.choice(self._shared)
            self._current = [about_nothing(fresh, self._rng.randrange(10**6)), self._narrow(widest=True)]
            self._current += [varied(fresh, self._rng.randrange(10**6))] * 4
        kind = self._rng.random()
        if kind < 0.25:
            return _carrying(self._rng.choice(self._current))
        if kind < 0.40:
            return self._own(member)
        if kind < 0.60 and (onward := self._onward[member.project]):
            return onward.popleft()
        if kind < 0.63:
            # The next page of what somebody else was given the first one of.
            others = [each for project, each in self._onward.items() if each and project != member.project]
            if others:
                return self._rng.choice(others)[0]
        if kind < 0.75:
            return self._narrow(widest=self._rng.random() < 0.5)
        return _carrying(varied(self._rng.choice(self._shared), self._rng.randrange(_VARIANTS)))

    def _own(self, member: Member) -> Question:
        """A question that no other project asks, and that marks its answer as this project's."""
        word = f"{member.project}-canary-{self._rng.randrange(_VARIANTS)}"
        condition = {"field_name": "keyword", "operation": "EQ", "field_values": [word]}
        region = {"field_name": "region_code", "operation": "EQ", "field_values": ["DE"]}
        return self._videos.but(
            query={"and": [region], "not": [condition]}, max_count=self._rng.choice((10, 20, 50))
        )

    def _narrow(self, *, widest: bool) -> Question:
        """A search of few videos, that one page holds in full, or a part of it."""
        conditions = [{"field_name": "region_code", "operation": "EQ", "field_values": ["IE"]}]
        dates = _WIDE
        if not widest:
            first = self._rng.randrange(1, 15)
            dates = {"start_date": f"202610{first:02}", "end_date": f"202610{first + 10:02}"}
        return self._videos.but(query={"and": conditions}, max_count=100, **dates)

    def _request(self, member: Member, question: Question) -> bytes:
        steering = ""
        if self._rng.random() < 0.08:
            steering = f"Cache-Control: {self._rng.choice(_STEERING)}\r\n"
        body = question.encoded
        head = (
            f"POST {question.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Bearer {member.bearer}\r\n{steering}"
            f"Content-Type: {question.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def _read(self, member: Member, question: Question, reader: asyncio.StreamReader) -> bool:
        """Take the answer; whether the connection may be used again."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        status = int(head[9:12])
        self.seen.statuses[status] += 1
        if status == 503:
            self.seen.given_up[json.loads(body)["error"]["message"]] += 1
        cache = _CACHE.search(head)
        self.seen.how[cache[1].decode() if cache else ""] += 1
        is_marked = self.seen.look(member.project, head + body)
        if head[9:12] == b"200":
            self.seen.marked[question.endpoint] += is_marked
            self._go_on(member, question, body, is_marked=is_marked)
        return b"connection: close" not in head.lower()

    def _go_on(self, member: Member, question: Question, body: bytes, *, is_marked: bool) -> None:
        data = json.loads(body)["data"]
        records = data.get(LIST_KEYS.get(question.endpoint, ""))
        assert is_marked or not records, "an answer does not show whose call brought it"
        asked = [each["field_values"][0] for each in question.body.get("query", {}).get("not", ())]
        if records and asked[:1] and "-canary-" in asked[0]:
            assert asked[0].encode() in body, "an answer to another question"
        if data.get("has_more") is True:
            onward = {name: data[name] for name in ("cursor", "search_id") if name in data}
            self._onward[member.project].append(question.but(**onward))

    async def _leave(
        self, member: Member, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Be gone after a moment, having read no more than a part of the answer."""
        with contextlib.suppress(OSError, TimeoutError):
            await writer.drain()
            async with asyncio.timeout(self._rng.choice((0.0, 1.0)) * self._rng.random() * _LONGEST_STAY_S):
                self.seen.look(member.project, await reader.read(self._rng.randrange(1, 4_096)))
        plain: socket.socket = writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
        self.seen.left += 1


def _carrying(question: Question) -> Question:
    """The question with a field that shows whose call brought the answer."""
    name = _CARRIES.get(question.endpoint)
    if name is None or name in question.fields.split(","):
        return question
    return replace(question, fields=f"{question.fields},{name}".strip(","))
