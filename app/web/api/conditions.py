"""Conditional requests (RFC 9110, section 13): the tag of what is shown, and changes that hold only for what was seen.

A tag is made of the very answer, as whoever asks sees it, so it is another one as soon as anything that they see is. It
is compared again inside of the transaction that changes: of two people who saw the same, one changes it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from app.administration.conditional import Conditional, version_of
from app.administration.registry import Registry
from app.administration.state import State
from app.errors import ChangedMeanwhile, InvalidParams

Shape = TypeVar("Shape", bound=BaseModel)

EXAMPLE: Final = '"5f0c1e9a7b3d2486ac905f0c1e9a7b3d"'
_TAG: Final = re.compile(r'((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)')
_WEAK: Final = "W/"
_MOST_CHARS: Final = 4_000
CHANGED: Final = (
    "This is not what you have seen any more, so nothing was changed. Read it again, look at what is different, and send "
    "your change with the new ETag."
)
_IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` that you read: the change is made only if nothing was changed since, otherwise the answer "
        "is 412. Several, or `*` for whatever there is, may stand there; a weak tag (`W/`) matches nothing.",
        examples=[EXAMPLE],
    ),
]
_IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="The `ETag` that you have: where it is still good, the answer is 304 without a body.",
        examples=[EXAMPLE],
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a condition names: some tags, or with `is_any` whatever there is."""

    tags: tuple[str, ...] = ()
    is_any: bool = False

    def has(self, tag: str | None) -> bool:
        """Whether it names that strong tag, compared strongly; None stands for nothing there."""
        return tag is not None and (self.is_any or tag in self.tags)

    def has_weakly(self, tag: str | None) -> bool:
        """Whether it names that tag, be it as a weak one."""
        return tag is not None and (self.is_any or tag in {each.removeprefix(_WEAK) for each in self.tags})


def tag_of(shape: BaseModel) -> str:
    """The strong tag of an answer."""
    return f'"{version_of(shape.model_dump(mode="json", by_alias=True))}"'


def tagged(response: Response, shape: Shape) -> Shape:
    """The shape, with its tag on the answer."""
    response.headers["etag"] = tag_of(shape)
    return shape


def parse_tags(name: str, lines: Sequence[str]) -> Tags | None:
    """What the lines of a header name, or None without one. Good: `"a", W/"b"` and `*`. Bad: `a`.

    Raises InvalidParams.
    """
    if not lines:
        return None
    text = ", ".join(lines).strip(" \t,")
    if text == "*":
        return Tags(is_any=True)
    found, at = [], 0
    while at < len(text) <= _MOST_CHARS:
        match = _TAG.match(text, at)
        if match is None:
            break
        found.append(match[1])
        at = match.end()
    if not found or at != len(text):
        raise InvalidParams(
            f"{name} holds the ETag that you read, quotes included, or several with commas between, or *.",
            rule="request",
        )
    return Tags(tags=tuple(found))


class Tagging:
    """Gives an answer the tag that a change can be made to depend on."""

    def __init__(
        self,
        response: Response,
        if_none_match: _IfNoneMatch = None,  # noqa: ARG002 - told to the document; `selected` reads it
    ) -> None:
        self._response = response

    def shown(self, shape: Shape) -> Shape:
        """The shape, with its tag on the answer."""
        return tagged(self._response, shape)


class Changing:
    """On what condition a change is to be made."""

    def __init__(self, request: Request, response: Response, if_match: _IfMatch = None) -> None:
        self._response = response
        lines = () if if_match is None else request.headers.getlist("if-match")
        self._match = parse_tags("If-Match", lines)
        self._none_match = parse_tags("If-None-Match", request.headers.getlist("if-none-match"))

    def on(self, registry: Registry, shown: Callable[[State], BaseModel | None]) -> Registry:
        """The registry, which now changes something only while the condition holds for what `shown` shows of it."""
        if self._match is None and self._none_match is None:
            return registry

        def check(state: State) -> None:
            shape = shown(state)
            tag = None if shape is None else tag_of(shape)
            is_seen = self._match is None or self._match.has(tag)
            if not is_seen or (self._none_match is not None and self._none_match.has_weakly(tag)):
                raise ChangedMeanwhile(CHANGED, rule="if-match")

        return Conditional(registry, check)

    def shown(self, shape: Shape) -> Shape:
        """What it has become, with its new tag on the answer."""
        return tagged(self._response, shape)


def selected(request: Request, response: Response) -> Response:
    """The answer to a reading request, or 304 for whoever has it already.

    Raises ChangedMeanwhile where the request wants another one than there is, InvalidParams.
    """
    tag = response.headers.get("etag")
    if request.method not in {"GET", "HEAD"} or tag is None:
        return response
    match = parse_tags("If-Match", request.headers.getlist("if-match"))
    if match is not None and not match.has(tag):
        raise ChangedMeanwhile("This is not what you have seen any more. Read it again.", rule="if-match")
    none_match = parse_tags("If-None-Match", request.headers.getlist("if-none-match"))
    if none_match is None or not none_match.has_weakly(tag):
        return response
    return Response(status_code=304, headers={"etag": tag})


WithTag = Annotated[Tagging, Depends(Tagging)]
OnlyIf = Annotated[Changing, Depends(Changing)]
