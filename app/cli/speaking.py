"""How commands answer: one JSON document, or text and tables that no name can break out of."""

import asyncio
import datetime as dt
import json
import os
import sys
import textwrap
import unicodedata
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from app.administration.changes import Actor
    from app.storage.administering import Administration

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def a_day(text: str) -> dt.datetime:
    """The day that an option names. Good: `2027-06-30`. Bad: `yesterday`. Raises BadParameter."""
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day such as 2027-06-30.") from None


Day = Annotated[dt.datetime | None, typer.Option(parser=a_day, metavar="DATE")]

_PIPE_COLUMNS = 240
_ANY_COLUMNS = 10_000
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def run(work: Coroutine[Any, Any, T]) -> T:
    """What a use-case gives."""
    return asyncio.run(work)


@asynccontextmanager
async def office() -> AsyncIterator["Administration"]:
    """The directory of the installation that the settings name."""
    from app.settings import load_settings  # noqa: PLC0415
    from app.storage.administering import open_administration  # noqa: PLC0415

    async with open_administration(load_settings()) as administration:
        yield administration


def operator() -> "Actor":
    """Whoever runs this command."""
    from app.administration.changes import local_operator  # noqa: PLC0415

    return local_operator(os.getuid())


def day_of(moment: dt.datetime | None) -> dt.date | None:
    """The day that an option names."""
    return None if moment is None else moment.date()


def say_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, default=_spelled) + "\n")


def say(*lines: str) -> None:
    """Print lines for people."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")


def note(line: str) -> None:
    """Print a remark for people where it does not disturb programs."""
    sys.stderr.write(printable(line) + "\n")


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()
) -> None:
    """Print a table, or that it is empty.

    Cells of the columns in `whole` are never broken. Where a terminal is too narrow for the table as it is, each row
    begins with them, and the rest follows below with the columns' names.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.measure import Measurement  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column in whole)
    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    for row in cells:
        drawn.add_row(*row)
    # A pipe has no width of its own, and whoever reads it wants whole names.
    is_pipe = not sys.stdout.isatty()
    console = Console(markup=False, emoji=False, highlight=False, width=_PIPE_COLUMNS if is_pipe else None)
    wanted = Measurement.get(console, console.options.update(max_width=_ANY_COLUMNS), drawn).maximum
    if whole and cells and not is_pipe and wanted > console.width:
        say(title)
        for row in cells:
            say(*_in_lines(columns, row, whole, console.width))
        return
    console.print(drawn if cells else f"{title}: none")


def _in_lines(
    columns: Sequence[str], row: Sequence[str], whole: Collection[str], width: int
) -> Iterator[str]:
    """One row below each other: what is never broken, then the rest with names, where there is any."""
    yield "  ".join(cell for column, cell in zip(columns, row, strict=True) if column in whole)
    rest = [
        f"{column}: {cell}" for column, cell in zip(columns, row, strict=True) if cell and column not in whole
    ]
    yield from textwrap.wrap(
        "; ".join(rest), width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how far a long piece of work is, on a terminal's standard error; tell it how much of how much."""
    if not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005 - nobody looks
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def printable(text: str) -> str:
    """The text with control and direction characters spelled out, since names come from outside."""
    if text.isprintable():
        return text
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSAFE else char for char in text)


def _spelled(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"no JSON for a {type(value).__name__}")
