"""A research query as the platform reads it: written from the canonical form, never copied from a client."""

from dataclasses import dataclass
from typing import assert_never

from app import exact_json
from app.provider.endpoint import BodyForm, Endpoint
from app.provider.uploads import write_upload
from app.query import ResearchQuery


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request body and the content type that it goes out with."""

    content: bytes
    content_type: str = "application/json"


def outgoing(endpoint: Endpoint, query: ResearchQuery, *, search_id: str | None = None) -> Outgoing:
    """The body to send; `search_id` is the platform's own."""
    match endpoint.sends:
        case BodyForm.JSON:
            return Outgoing(_json(endpoint, query, search_id))
        case BodyForm.UPLOAD:
            return Outgoing(*write_upload(query.asked()))
        case never:
            assert_never(never)


def _json(endpoint: Endpoint, query: ResearchQuery, search_id: str | None) -> bytes:
    """The question with this page's keys; a page size is always sent, since the documents disagree on it."""
    more: dict[str, object] = {}
    if endpoint.paging is not None:
        if endpoint.paging.cursor_key is not None and query.page.cursor > 0:
            more[endpoint.paging.cursor_key] = query.page.cursor
        if query.page.size is not None:
            more[endpoint.paging.size_key] = query.page.size
    if search_id is not None:
        more["search_id"] = search_id
    if endpoint.fields_in_body:
        more["fields"] = ",".join(query.fields)
    question = query.question.encode()
    if not more:
        return question
    joint = b"" if question == b"{}" else b","
    return question[:-1] + joint + exact_json.dumps(more)[1:]
