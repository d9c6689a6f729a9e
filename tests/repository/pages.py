"""The documentation's pages, and the blocks in them that a comment marks to be run."""

import re
from dataclasses import dataclass
from functools import cache
from textwrap import dedent

from tests.repository.committed import ROOT

GATEWAY = "https://bursar.example.edu"
PLATFORM = "https://open.tiktokapis.com"
_BLOCK = re.compile(
    r"^<!-- (?P<use>\w+): (?P<name>[^>]+?) -->\n+^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_FENCE = re.compile(
    r"(?:^<!-- (?P<use>\w+): [^>]+ -->\n)?^(?P<margin> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Any block of a page: its language, and what it is marked for; both may be empty."""

    use: str
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of code: what it is for, its name there, its language, and what it says."""

    use: str
    name: str
    language: str
    text: str

    def __str__(self) -> str:
        return self.name


@cache
def page(path: str) -> str:
    """A page's text."""
    return (ROOT / path).read_text()


@cache
def blocks(path: str, use: str) -> tuple[Block, ...]:
    """The blocks of a page that are marked for this use, in their order."""
    return tuple(
        Block(use=use, name=found["name"], language=found["language"], text=found["text"])
        for found in _BLOCK.finditer(page(path))
        if found["use"] == use
    )


@cache
def fences(path: str) -> tuple[Fence, ...]:
    """All blocks of a page, in their order, without the margin that they have in a list."""
    return tuple(
        Fence(use=found["use"] or "", language=found["language"], text=dedent(found["text"]))
        for found in _FENCE.finditer(page(path))
    )
