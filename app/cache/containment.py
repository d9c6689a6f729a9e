"""Whether what a search has brought in full answers a narrower one, and which of its records do: pure.

A narrower search has days inside those of the wider one, and beyond its conditions only such as are exact on the
records: account, region, video and music, by EQ or IN. Everything else has to be the same. A *look-up* is a search for
videos by their ids with such conditions alone: whichever search its records came from, they answer it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from app import exact_json
from app.provider import spelling
from app.provider.naming import plain
from app.query import ResearchQuery, digest

ENDPOINT = "video/query"

FIELD_OF = {"username": "username", "region_code": "region_code", "video_id": "id", "music_id": "music_id"}
"""Conditions that the platform compares as they are (it speaks of approximate matching for others), and the field of a
record that they are about."""


@dataclass(frozen=True, slots=True)
class Search:
    """A video query's question, taken apart: what is exact, and the `rest` that has to be the same."""

    first: dt.date
    last: dt.date
    exact: tuple[tuple[str, frozenset[str]], ...]
    rest: str


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What the records of a wider search have to meet.

    The documents disagree on whether the last day is searched. So where records lie on the last day of a search that
    ends earlier, there has to be one on `proof_day`, the wider search's last, which shows that last days are.
    """

    first: dt.date | None
    last: dt.date | None
    exact: tuple[tuple[str, frozenset[str]], ...]
    proof_day: dt.date | None

    @property
    def fields(self) -> frozenset[str]:
        """Fields that have to be held to tell."""
        needed = {FIELD_OF[name] for name, _ in self.exact}
        return frozenset(needed | ({"create_time"} if self.first or self.last else set()))


def search_of(question: str) -> Search | None:
    """The question taken apart; None for one that cannot be, such as a random sample."""
    asked = cast("dict[str, object]", exact_json.loads(question.encode()))
    groups = asked.pop("query", None)
    first, last = asked.pop("start_date", None), asked.pop("end_date", None)
    if not isinstance(groups, dict) or not isinstance(first, str) or not isinstance(last, str):
        return None
    exact: list[tuple[str, frozenset[str]]] = []
    others: list[object] = []
    for condition in groups.get("and", ()):
        if _is_exact(condition):
            exact.append((condition["field_name"], frozenset(condition["field_values"])))
        else:
            others.append(condition)
    rest = {**asked, "query": {**groups, "and": others}}
    return Search(
        spelling.day(first, "start_date"),
        spelling.day(last, "end_date"),
        tuple(exact),
        exact_json.dumps(rest, sort_keys=True).decode(),
    )


def _is_exact(condition: Mapping[str, object]) -> bool:
    name = str(condition["field_name"])
    if name not in FIELD_OF or condition["operation"] not in {"EQ", "IN"}:
        return False
    # Nobody says whether the platform takes a name in capitals, or with an @, for the same.
    values = cast("list[str]", condition["field_values"])
    return name != "username" or all(plain(name, value) == value for value in values)


@dataclass(frozen=True, slots=True)
class LookUp:
    """Videos asked for by `ids`, on days, by conditions that are exact on their records, and by nothing else."""

    ids: frozenset[str]
    first: dt.date
    last: dt.date
    exact: tuple[tuple[str, frozenset[str]], ...]

    @property
    def fields(self) -> frozenset[str]:
        """Fields that have to be held to tell."""
        return frozenset({"create_time", *(FIELD_OF[name] for name, _ in self.exact)})

    def meets(self, record: Mapping[str, object], *, counts_last_day: bool) -> bool | None:
        """Whether the platform would deliver the record; None where that cannot be told.

        `counts_last_day` says whether it has been seen to search last days, on which the documents disagree.
        """
        days = set[dt.date]()
        by = Narrowing(first=self.first, last=self.last, exact=self.exact, proof_day=None)
        found = _meets(record, by, days)
        return None if found and self.last in days and not counts_last_day else found


def look_up_of(query: ResearchQuery) -> LookUp | None:
    """The look-up that the question is; None where it is none, or asks for anything that records do not tell."""
    search = search_of(query.question) if query.endpoint == ENDPOINT else None
    if search is None or search.rest != _NOTHING_ELSE:
        return None
    ids = [values for name, values in search.exact if name == "video_id"]
    return LookUp(min(ids, key=len), search.first, search.last, search.exact) if ids else None


_NOTHING_ELSE = exact_json.dumps({"query": {"and": []}}, sort_keys=True).decode()


def family_key(query: ResearchQuery, scope: str) -> bytes | None:
    """The key under which searches are named that may contain each other; None where none can."""
    search = search_of(query.question) if query.endpoint == ENDPOINT else None
    return None if search is None else digest("family", scope, search.rest)


def narrowing(wider: str, question: str) -> Narrowing | None:
    """What the records of `wider` have to meet to be those of `question`; None where it does not contain them."""
    parent, child = search_of(wider), search_of(question)
    if parent is None or child is None or parent.rest != child.rest:
        return None
    if not parent.first <= child.first <= child.last <= parent.last:
        return None
    for name, values in parent.exact:
        if not any(other == name and wanted <= values for other, wanted in child.exact):
            return None
    ends_earlier = child.last < parent.last
    return Narrowing(
        first=child.first if child.first > parent.first else None,
        last=child.last if ends_earlier else None,
        exact=tuple(each for each in child.exact if each not in parent.exact),
        proof_day=parent.last if ends_earlier else None,
    )


def narrowed(records: Sequence[Mapping[str, object]], by: Narrowing) -> list[Mapping[str, object]] | None:
    """The records that meet it, in their order; None where that cannot be told of each."""
    found: list[Mapping[str, object]] = []
    days = set[dt.date]()
    for record in records:
        meets = _meets(record, by, days)
        if meets is None:
            return None
        if meets:
            found.append(record)
    is_clear = by.last is None or by.last not in days or by.proof_day in days
    return found if is_clear else None


def _meets(record: Mapping[str, object], by: Narrowing, days: set[dt.date]) -> bool | None:
    is_within = True
    if by.first is not None or by.last is not None:
        created_s = record.get("create_time")
        if not isinstance(created_s, int) or not 0 < created_s < 2**32:
            return None
        day = dt.datetime.fromtimestamp(created_s, dt.UTC).date()
        days.add(day)
        is_within = (by.first is None or by.first <= day) and (by.last is None or day <= by.last)
    for name, values in by.exact:
        value = record.get(FIELD_OF[name])
        if value is None and name == "video_id":
            value = record.get("video_id")  # some answers have it for id (facts 3.4, Q23)
        if not isinstance(value, (int, str)):
            return None
        is_within = is_within and str(value) in values
    return is_within
