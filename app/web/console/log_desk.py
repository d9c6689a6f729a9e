"""Beside the log: searches that are kept under a name, verifying the whole of it now, and receipts that are presented."""

from typing import Final

from starlette.responses import Response

from app.administration.reading import reading
from app.errors import NotFound
from app.identity.roles import Act
from app.storage.presented import MOST_CHARS, Presented, check_receipt
from app.web.api.access import LOG_ACTS, READ_LOG
from app.web.api.searches import kept
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.log_pages import show_log
from app.web.console.told import Names

_VERIFY: Final = frozenset({Act.VERIFY_LOG})
_HERE: Final = f"{PATH}/audit/verification"


async def save_search(turn: Turn) -> Response:
    """Keep the search under a name."""
    name = turn.given.text("name", "The name", most=100)
    query = kept(turn.given.get("query"))
    await turn.desk.searches.save(turn.who.person, name=name, query=query)
    return turn.go(f"{PATH}/audit?{query}", "search-saved")


async def forget_search(turn: Turn) -> Response:
    """Drop a search of one's own."""
    if not await turn.desk.searches.forget(turn.who.person, turn.in_path("id")):
        raise NotFound("There is no such search of yours.", rule="sight")
    return turn.go(f"{PATH}/audit", "search-forgotten")


async def show_verification(turn: Turn) -> Response:
    """How far the newest verification is, or what it came to."""
    return await _verification(turn, None)


async def check_presented(turn: Turn) -> Response:
    """Whether a receipt that was pasted is of this log, and its entry still there."""
    text = turn.given.text("receipt", "The receipt", most=MOST_CHARS)
    installation = turn.desk.installation
    known = installation.signer.known
    found = await installation.database.read(lambda conn: check_receipt(conn, text, known))
    turn.reads_log(presented=found.finding, index=found.index)
    return await _verification(turn, found)


async def _verification(turn: Turn, presented: Presented | None) -> Response:
    newest = await turn.desk.verifier.newest()
    names = Names(await turn.desk.registry.state())
    return turn.render(
        "verification.html",
        newest=newest,
        by="" if newest is None else names.person(newest.started_by),
        presented=presented,
    )


async def verify_now(turn: Turn) -> Response:
    """Begin to verify the whole log; that it is read is an entry first."""
    installation = turn.desk.installation
    about = {"export": False, "receipts": False, "anchors": 0}
    await installation.gateway.note(reading(turn.who.actor, "audit.verify", about, act=Act.VERIFY_LOG))
    await turn.desk.verifier.start(turn.who.person)
    return turn.go(_HERE)


PAGES: Final = (
    Page(method="POST", path="/audit/searches", answer=save_search, acts=READ_LOG, back=show_log),
    Page(method="POST", path="/audit/searches/{id}/end", answer=forget_search, acts=READ_LOG, back=show_log),
    Page(method="GET", path="/audit/verification", answer=show_verification, acts=LOG_ACTS),
    Page(method="POST", path="/audit/verification", answer=verify_now, acts=_VERIFY, back=show_verification),
    Page(method="POST", path="/audit/receipts", answer=check_presented, acts=_VERIFY, back=show_verification),
)
