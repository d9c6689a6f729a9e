"""audit search and audit show."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.speaking import AsJson, note, office, operator, run, say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.administration.state import State
    from app.audit.entries import Value
    from app.storage.searching import FoundEntry

Named = Annotated[str | None, typer.Option(metavar="TEXT", help="That the question names.")]
Least = Annotated[int | None, typer.Option(min=0, metavar="N", help="Charged at least this many.")]
Most = Annotated[int | None, typer.Option(min=0, metavar="N", help="Charged at most this many.")]


def register(group: typer.Typer) -> None:
    """Add `search` and `show` to the commands."""
    group.command("search")(search)
    group.command("show")(show)


def search(
    *,
    entry_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="intent, outcome, decision, auth, admin, ...")
    ] = None,
    person: Annotated[str | None, typer.Option(metavar="EMAIL", help="Who did it: e-mail or id.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="With which key.")] = None,
    credential: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="OP", help="Such as video/query.")] = None,
    verdict: Annotated[str | None, typer.Option(metavar="VERDICT", help="allowed or refused.")] = None,
    rule: Annotated[str | None, typer.Option(metavar="RULE", help="That decided, such as date-span.")] = None,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Of the refusal or answer.")] = None,
    cache: Annotated[str | None, typer.Option(metavar="STATE", help="hit, stale or collapsed.")] = None,
    log_id: Annotated[str | None, typer.Option(metavar="ID", help="The platform's own log id.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="UTC day or moment, included.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="UTC day or moment, left out.")] = None,
    least_requests: Least = None,
    most_requests: Most = None,
    least_records: Least = None,
    most_records: Most = None,
    username: Named = None,
    user_id: Named = None,
    video_id: Named = None,
    comment_id: Named = None,
    playlist_id: Named = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries to show.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=0, metavar="INDEX", help="Only entries before this one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find entries, the newest first; an entry has to meet every option. Looking is logged."""
    from app.administration.looking import Sought, filter_with_tags  # noqa: PLC0415
    from app.administration.reading import reading  # noqa: PLC0415
    from app.storage.log import append  # noqa: PLC0415
    from app.storage.searching import find_entries  # noqa: PLC0415

    named = {
        "username": username,
        "user_id": user_id,
        "video_id": video_id,
        "comment_id": comment_id,
        "playlist_id": playlist_id,
    }
    sought = Sought(
        type=entry_type,
        person=person,
        project=project,
        key=key,
        credential=credential,
        endpoint=endpoint,
        verdict=verdict,
        rule=rule,
        code=code,
        cache=cache,
        log_id=log_id,
        since=since,
        until=until,
        least_requests=least_requests,
        most_requests=most_requests,
        least_records=least_records,
        most_records=most_records,
        named=[(kind, value) for kind, value in named.items() if value is not None],
    )

    async def work() -> "tuple[Sequence[FoundEntry], State]":
        async with office() as here:
            state = await here.registry.state()
            wanted = await filter_with_tags(state, sought, here.seals)
            reads = {**wanted.said(), "before": before, "limit": limit}
            await append(here.database, here.boot, [reading(operator(), "audit.search", reads)])
            found = await here.database.read(
                lambda conn: find_entries(conn, wanted, before=before, limit=limit + 1)
            )
            return found, state

    found, state = run(work())
    shown, goes_on = found[:limit], len(found) > limit
    following = shown[-1].index if goes_on else None
    if as_json:
        say_json({"items": [_document(each) for each in shown], "before": following})
        return
    names = {each.id: each.email for each in state.people} | {each.id: each.name for each in state.projects}
    columns = ("index", "time (UTC)", "type", "who", "project", "what", "decision", "cost", "entry")
    whole = ("index", "time (UTC)", "type", "entry")
    table("Entries", columns, [_line(each, names) for each in shown], whole=whole)
    if goes_on:
        note(f"There are more: --before {following}")


def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="An entry's id, such as an answer's log_id.")],
    opened: Annotated[
        bool, typer.Option("--open", help="With its question in the clear, which is logged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one entry. Looking is logged."""
    from app import exact_json  # noqa: PLC0415
    from app.administration.reading import reading  # noqa: PLC0415
    from app.errors import NotFound  # noqa: PLC0415
    from app.storage.log import append  # noqa: PLC0415
    from app.storage.searching import find_entry  # noqa: PLC0415

    reads: dict[str, Value] = {"id": entry[:32]}
    if opened:
        reads["question"] = True

    async def work() -> "tuple[FoundEntry, str | None]":
        async with office() as here:
            await append(here.database, here.boot, [reading(operator(), "audit.show", reads)])
            if opened:
                return await here.seals.question(entry)
            found = await here.database.read(lambda conn: find_entry(conn, entry))
            if found is None:
                raise NotFound(f"There is no entry {entry[:64]!a}.")
            return found, None

    found, question = run(work())
    asked = {} if question is None else {"question": exact_json.loads(question.encode())}
    if as_json:
        say_json({**_document(found), **asked})
        return
    say(f"Entry {found.index}, leaf hash {found.leaf_hash.hex()}")
    for name, value in {**found.entry, **asked}.items():
        say(f"  {name}: {value if isinstance(value, str) else exact_json.dumps(value).decode()}")


def _document(found: "FoundEntry") -> dict[str, Any]:
    return {"index": found.index, "leaf_hash": found.leaf_hash.hex(), "entry": found.entry}


def _line(found: "FoundEntry", names: "Mapping[str, str]") -> tuple[object, ...]:
    from app.audit.facts import facts_of  # noqa: PLC0415

    entry = found.entry
    facts = facts_of(entry)
    decided = " ".join(each for each in (facts.verdict, facts.rule, facts.code) if each is not None)
    cost = f"{facts.requests} / {facts.records}" if facts.requests is not None else facts.cache
    return (
        found.index,
        _moment(int(entry["ts_us"])),
        entry["type"],
        names.get(facts.person or "", facts.person),
        names.get(facts.project or "", facts.project),
        facts.op or entry.get("http", {}).get("route"),
        decided,
        cost,
        found.id,
    )


def _moment(ts_us: int) -> str:
    return f"{dt.datetime.fromtimestamp(ts_us / 1_000_000, dt.UTC):%Y-%m-%d %H:%M:%S}"
