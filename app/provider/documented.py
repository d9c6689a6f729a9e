"""The table of endpoints as Markdown, for people: `python -m app.provider.documented` prints it."""

import sys
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from app.provider.endpoint import AnswerForm, BodyForm, CursorKind, Endpoint, QuotaFamily
from app.provider.endpoints import ENDPOINTS

_NOTHING: Final = "-"


def endpoints_in_markdown() -> str:
    """Two tables, of how to ask and of what it costs, and the fields of every endpoint that has any."""
    return "\n\n".join(
        (
            "### How to ask",
            _table(
                ("path", "what", "body", "records a page", "next page", "list in `data`"),
                (_asked(each) for each in ENDPOINTS.values()),
            ),
            "### What it costs, and whether it is kept",
            _table(
                ("endpoint", "records counted", "quota", "scope of the credential", "kept", "waited for"),
                (_spent(each) for each in ENDPOINTS.values()),
            ),
            "### Fields",
            "\n".join(_fields(each) for each in ENDPOINTS.values()),
        )
    )


def _asked(endpoint: Endpoint) -> Iterator[str]:
    paging = endpoint.paging
    yield f"`{endpoint.path}`"
    yield endpoint.about
    yield _body(endpoint)
    yield f"{paging.default}, at most {paging.most}" if paging is not None else _NOTHING
    yield _next_page(endpoint.cursor)
    yield f"`{endpoint.list_key}`" if endpoint.list_key is not None else _NOTHING


def _spent(endpoint: Endpoint) -> Iterator[str]:
    yield f"`{endpoint.name}`"
    yield _counted(endpoint)
    yield _quota(endpoint.family)
    yield f"`{endpoint.scope}`"
    yield "yes" if endpoint.may_be_held else "no"
    yield f"{endpoint.read_timeout_s:.0f} s"


def _body(endpoint: Endpoint) -> str:
    keys = [f"`{key.name}`" if key.is_required else f"[`{key.name}`]" for key in endpoint.keys]
    if endpoint.paging is not None:
        keys.append(f"[`{endpoint.paging.size_key}`]")
        if endpoint.paging.cursor_key is not None:
            keys.append(f"[`{endpoint.paging.cursor_key}`]")
    if endpoint.has_search_id:
        keys.append("[`search_id`]")
    match endpoint.sends:
        case BodyForm.JSON:
            return ", ".join(keys)
        case BodyForm.UPLOAD:
            return f"{', '.join(keys)}, as `{endpoint.sends}`"
        case never:
            assert_never(never)


def _next_page(cursor: CursorKind) -> str:
    match cursor:
        case CursorKind.NONE:
            return "none"
        case CursorKind.INDEX:
            return "`cursor`, a number of records"
        case CursorKind.TIME:
            return "`cursor`, a moment"
        case CursorKind.NUMBER:
            return "`page_start` + 1, until a short page"
        case CursorKind.TOKEN:
            return "`search_id` alone"
        case never:
            assert_never(never)


def _counted(endpoint: Endpoint) -> str:
    if not endpoint.counts_records:
        return "none"
    return "1" if endpoint.list_key is None else "those in the list"


def _quota(family: QuotaFamily) -> str:
    match family:
        case QuotaFamily.MAIN:
            return "requests, records"
        case QuotaFamily.GRAPH:
            return "follower calls, follower records"
        case QuotaFamily.ADS:
            return "ad calls, ad records"
        case never:
            assert_never(never)


def _fields(endpoint: Endpoint) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(endpoint.fields))
    where = " (in the query string, or in the body)" if endpoint.fields_in_body else ""
    if endpoint.answers is AnswerForm.FILE:
        return f"- `{endpoint.name}`: none; the answer is a text file."
    return f"- `{endpoint.name}`{where}: {names or 'none'}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    sys.stdout.write(endpoints_in_markdown() + "\n")
