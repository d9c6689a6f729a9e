"""Entries as rows of CSV (RFC 4180) that no spreadsheet takes for anything but text and small numbers.

A cell that a spreadsheet would compute or turn into a number of its own gets a leading apostrophe; control
and direction characters are spelled out, so that a cell is one line and reads as it is.
"""

import datetime as dt
import re
import unicodedata
from typing import Final

from app.audit.facts import FACT_NAMES
from app.audit.offline import Row

HEADER: Final = ("ix", "time", "ts_us", "type", "id", *FACT_NAMES, "about", "leaf_hash", "entry")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\0", "\r")
"""A cell that begins so may be run as a formula (OWASP, CSV injection)."""
_NUMBER_LIKE: Final = re.compile(r"\s*[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*", re.ASCII)
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_EXACT: Final = 2**53
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def header_line() -> bytes:
    """The first row, which names the columns."""
    return _line(HEADER)


def entry_row(row: Row) -> bytes:
    """One entry's row; nothing but its place and hash where its content was pruned."""
    columns = row.columns
    if columns is None:
        raise ValueError(f"entry {row.ix} was read without its columns")
    ts_us = columns.ts_us if isinstance(columns.ts_us, int) else 0
    moment = (_EPOCH + dt.timedelta(microseconds=ts_us)).isoformat().replace("+00:00", "Z")
    return _line(
        (
            row.ix,
            moment,
            ts_us,
            columns.type,
            columns.id,
            *(columns.facts or (None,) * len(FACT_NAMES)),
            " ".join(map(str, columns.tags)),
            row.leaf_hash.hex(),
            (row.leaf or b"").decode("utf-8", "backslashreplace"),
        )
    )


def cell(value: object) -> str:
    """The value as one cell, quotes included where it is text."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and -_EXACT <= value <= _EXACT:
        return str(value)
    text = str(value)
    # Looked at before anything is spelled out: a tab at the front is a sign, its spelling none.
    is_risky = text.startswith(_FORMULA) or _NUMBER_LIKE.fullmatch(text) is not None
    shown = _plain(text).replace('"', '""')
    return f'"\'{shown}"' if is_risky or shown.startswith(_FORMULA) else f'"{shown}"'


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if unicodedata.category(each) in _UNSAFE else each for each in text)


def _line(values: tuple[object, ...]) -> bytes:
    return (",".join(map(cell, values)) + "\r\n").encode("utf-8", "backslashreplace")
