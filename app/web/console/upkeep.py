"""Looking after the log at the console: what would go is seen first, then proposed, and another person confirms."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.responses import Response

from app.administration.state import Person, State
from app.administration.upkeep import (
    PRUNE,
    RETENTION,
    about,
    anybody,
    propose_erasure,
    propose_pruning,
    propose_retention,
    pruning_day,
    require_month,
    require_months,
    retention_months,
    waiting,
)
from app.errors import InvalidParams, NotFound
from app.identity.roles import Act
from app.ids import new_object_id
from app.storage.upkeep import erasable_months, prunable_entries
from app.web.console.compliance import show_compliance
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.forms import FieldRefused
from app.web.console.hints import at_the_console
from app.web.console.previewing import counted, is_saving, preview
from app.web.console.rendering import day

KEEP: Final = frozenset({Act.KEEP_LOG})
_BACK: Final = f"{PATH}/compliance"
_PROPOSE: Final = "Propose it"
_TWO: Final = (
    "Nothing happens yet. Your proposal waits under Quotas until somebody else who administers or checks the log "
    "confirms it; you cannot."
)
_ERASED: Final = (
    "Once confirmed, it cannot be undone: the keys of these questions are destroyed, and nobody reads them again. "
    "Their entries stay in the log, with who asked, when, and what was decided, and so do receipts."
)
_COPIES: Final = (
    "Then tell whoever runs the machine: copies of seal.key from before, in backups too, open what was erased in older "
    "copies of the database until they are destroyed."
)
_PRUNED: Final = (
    "Once confirmed, it cannot be undone: what these entries say is deleted, and with it the questions of the months that "
    "are gone. Their hashes stay, so the log and every receipt go on to verify."
)
_SHORTER: Final = "What is older than that may be pruned from then on. Nothing is pruned by itself."


async def ask_for_erasure(turn: Turn) -> Response:
    """Propose that what somebody asked is erased, after a look at the months of which there is something."""
    state = await turn.desk.registry.state()
    person, month = _whose(turn, state), _month(turn)
    there = await turn.desk.installation.database.read(lambda conn: erasable_months(conn, person.id))
    found = [each for each in there if month in {None, each}]
    if not found:
        field, when = ("person", "") if month is None else ("month", f" in {month}")
        raise FieldRefused(
            f"Nothing that {person.email} asked{when} can be erased: nothing was asked then, or it is erased already.",
            field=field,
        )
    if is_saving(turn):
        await propose_erasure(
            turn.desk.registry, turn.who.actor, email=person.id, month=month, new_id=new_object_id
        )
        return turn.go(_BACK, "proposed")
    return preview(
        turn,
        back=_BACK,
        title=f"Propose to erase what {person.email} asked",
        changes=[
            {
                "object": f"{person.name}, {person.email}",
                "what": "what was asked",
                "before": f"{counted(len(found), 'month', 'months')}: {', '.join(found)}",
                "after": "erased for good",
            }
        ],
        warnings=[_TWO, _ERASED, _COPIES],
        button=_PROPOSE,
    )


async def ask_for_pruning(turn: Turn) -> Response:
    """Propose that the content of old entries is deleted, after a look at how many these are."""
    state = await turn.desk.registry.state()
    asked = turn.given.day_or_none("before", "The day")
    with _at("before"):
        before = pruning_day(state, asked)
    moment_us = int(dt.datetime.combine(before, dt.time(), dt.UTC).timestamp()) * 1_000_000
    count = await turn.desk.installation.database.read(lambda conn: prunable_entries(conn, moment_us))
    if not count:
        raise FieldRefused(f"No entry from before {day(before)} has content any more.", field="before")
    if is_saving(turn):
        await propose_pruning(turn.desk.registry, turn.who.actor, before=before, new_id=new_object_id)
        return turn.go(_BACK, "proposed")
    return preview(
        turn,
        back=_BACK,
        title=f"Propose to prune the log before {day(before)}",
        changes=[
            {
                "object": "The log",
                "what": f"content of entries before {day(before)}",
                "before": counted(count, "entry", "entries"),
                "after": "deleted for good; the hashes stay",
            }
        ],
        warnings=[_TWO, _PRUNED, *_in_the_place_of(state, PRUNE)],
        button=_PROPOSE,
    )


async def ask_for_retention(turn: Turn) -> Response:
    """Propose for how many months content is kept, after a look at what that changes."""
    state = await turn.desk.registry.state()
    months, now = turn.given.number("months", "The number of months"), retention_months(state)
    with _at("months"):
        require_months(months)
    if months == now:
        raise FieldRefused(f"Content is kept for {now} months already.", field="months")
    if is_saving(turn):
        await propose_retention(turn.desk.registry, turn.who.actor, months=months, new_id=new_object_id)
        return turn.go(_BACK, "proposed")
    return preview(
        turn,
        back=_BACK,
        title=f"Propose to keep content for {months} months",
        changes=[
            {
                "object": "The log",
                "what": "how long content is kept",
                "before": f"{now} months",
                "after": f"{months} months",
            }
        ],
        warnings=[_TWO, *([_SHORTER] if months < now else []), *_in_the_place_of(state, RETENTION)],
        button=_PROPOSE,
    )


def _whose(turn: Turn, state: State) -> Person:
    email = turn.given.text("person", "Whose questions")
    with _at("person"):
        return anybody(state, email)


def _month(turn: Turn) -> str | None:
    month = turn.given.get("month").strip() or None
    with _at("month"):
        if month is not None:
            require_month(month)
    return month


def _in_the_place_of(state: State, what: str) -> list[str]:
    """That what waits already would not be waited for any more."""
    return [
        f"It takes the place of what waits already: {about(state, each) if each.after is None else f'{each.after} months'}."
        for each in waiting(state, what)
    ]


@contextmanager
def _at(field: str) -> Iterator[None]:
    """Have a refusal point at the field that it is about."""
    try:
        yield
    except (InvalidParams, NotFound) as error:
        raise FieldRefused(at_the_console(error.message), field=field) from error


PAGES: Final = (
    Page(
        method="POST",
        path="/compliance/erasures",
        answer=ask_for_erasure,
        acts=KEEP,
        back=show_compliance,
        guarded="propose to erase what somebody asked",
    ),
    Page(
        method="POST",
        path="/compliance/prunings",
        answer=ask_for_pruning,
        acts=KEEP,
        back=show_compliance,
        guarded="propose to prune the log",
    ),
    Page(
        method="POST",
        path="/compliance/retention",
        answer=ask_for_retention,
        acts=KEEP,
        back=show_compliance,
        guarded="propose how long the log is kept",
    ),
)
