"""The simulator, with every answer marked: nothing that two calls brought can be taken for one another.

Run as a program. Each answer carries a number of its own in its counts, its free texts, its error and its `log_id`,
and every canary that stood in the question, so that whoever holds an answer shows whose call brought it.
"""

import argparse
import itertools
import re
from collections.abc import Iterator
from typing import Any

import orjson
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.simulator.app import create_app
from app.simulator.configuration import Client, SimulatorConfig

STAMP = re.compile(rb"(?<![0-9])77([0-9]{8})77(?![0-9])")
"""As it stands in an answer: in a text as well as for a count."""
WORD = re.compile(rb"([a-z]+)-canary-[0-9]+")
"""A canary that a project writes into its questions, led by the project's name."""

_COUNTS = re.compile(
    "(like|share|view|favorites|reply|follower|following|likes|video|shop_review|item_sold|product_sold"
    "|product_review|review_like)_count|count"
)
_TEXTS = re.compile(
    "video_description|text|display_name|bio_description|(shop|product|business|playlist)_name"
    "|product_description|review_text|paid_for_by|label|title|message"
)
_PLENTY = 100_000_000


def stamp(serial: int) -> int:
    """The number that an answer carries; too short for an id, too long for a moment."""
    return int(f"77{serial:08}77")


class Stamped:
    """The platform, marked: an ASGI application around another."""

    def __init__(self, platform: ASGIApp) -> None:
        self._platform = platform
        self._serials = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/v2/research/"):
            await self._platform(scope, receive, send)
            return
        asked, told = bytearray(), bytearray()
        start: Message = {}

        async def hear() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            told.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await self._answer(start, bytes(asked), bytes(told), send)

        await self._platform(scope, hear, collect)

    async def _answer(self, start: Message, asked: bytes, told: bytes, send: Send) -> None:
        number = stamp(next(self._serials))
        words = " ".join(sorted({each[0].decode() for each in WORD.finditer(asked)}))
        body = orjson.loads(told)
        _mark(body, number, f"{number} {words}".strip())
        if "error" in body:
            body["error"]["log_id"] = str(number)
        marked = orjson.dumps(body)
        headers = [
            (name, str(len(marked)).encode() if name == b"content-length" else value)
            for name, value in start["headers"]
        ]
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": marked})


def _mark(value: Any, number: int, text: str) -> None:
    """Put the number for every count and the text before every free text, wherever they are."""
    for member in _members(value):
        for name, given in member.items():
            if _COUNTS.fullmatch(name) and isinstance(given, int):
                member[name] = number
            elif _TEXTS.fullmatch(name) and isinstance(given, str):
                member[name] = f"{text} {given}".strip()


def _members(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _members(each)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-key", required=True)
    parser.add_argument("--client-secret", required=True)
    told = parser.parse_args()
    config = SimulatorConfig(
        videos=20_000,
        clients=(Client(key=told.client_key, secret=told.client_secret),),
        requests_per_day=_PLENTY,
        records_per_day=_PLENTY,
        follower_calls_per_day=_PLENTY,
        follower_records_per_day=_PLENTY,
        ad_requests_per_day=_PLENTY,
        ad_records_per_day=_PLENTY,
    )
    uvicorn.run(
        Stamped(create_app(config)),
        host="127.0.0.1",
        port=told.port,
        lifespan="off",
        access_log=False,
        log_level="critical",
    )


if __name__ == "__main__":
    main()
