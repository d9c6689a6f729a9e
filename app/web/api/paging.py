"""Lists in parts: the next part begins after the last object shown, so nothing is skipped or shown twice."""

from collections.abc import Callable, Iterable
from typing import Annotated, Final, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

T = TypeVar("T")

MOST_AT_ONCE: Final = 200
Limit = Annotated[int, Query(ge=1, le=MOST_AT_ONCE, description="Objects in one answer.")]
After = Annotated[
    str, Query(max_length=500, description="Begin after this object; `Link: rel=next` carries it.")
]


class Paging:
    """Which part of a list is asked for, and where to say how to go on."""

    def __init__(self, request: Request, response: Response, after: After = "", limit: Limit = 50) -> None:
        self._request = request
        self._response = response
        self._after = after
        self._limit = limit

    def cut(self, items: Iterable[T], key: Callable[[T], str]) -> list[T]:
        """The part of `items` that is asked for, in the order of `key`; says in `Link` where it goes on."""
        beyond = sorted((each for each in items if key(each) > self._after), key=key)
        page = beyond[: self._limit]
        if len(beyond) > len(page):
            link_next(self._request, self._response, after=key(page[-1]))
        return page


InParts = Annotated[Paging, Depends(Paging)]


def link_next(request: Request, response: Response, **parameters: str) -> None:
    """Point at the next part: this very request with `parameters` put in the place of its own."""
    query = urlencode({**dict(request.query_params.multi_items()), **parameters})
    response.headers["link"] = f'<{request.url.path}?{query}>; rel="next"'
