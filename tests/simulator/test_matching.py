"""The indexed evaluation against one that reads whole records, one by one."""

import operator
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulator.dataset import Dataset
from app.simulator.matching import find
from app.simulator.parsing import Condition, VideoQuery, video_page
from app.simulator.videos import VIDEO_FIELDS, VideoRecords

DATA = Dataset(seed=5, videos=3_000)
RECORDS = VideoRecords(DATA, nul_p=0)
ALL = [RECORDS.shown(position, sorted(VIDEO_FIELDS)) for position in range(len(DATA))]
COMPARE = {"GT": operator.gt, "GTE": operator.ge, "LT": operator.lt, "LTE": operator.le}


def values_of(video: dict[str, Any], field: str) -> list[Any]:
    match field:
        case "create_date":
            return [datetime.fromtimestamp(video["create_time"], UTC).strftime("%Y%m%d")]
        case "hashtag_name":
            return list(video["hashtag_names"])
        case "keyword":
            return re.findall(r"\w+", video["video_description"].casefold())
        case "effect_id":
            return [int(effect) for effect in video.get("effect_ids", [])]
        case "video_id":
            return [video["id"]]
        case "video_length":
            seconds = video["video_duration"]
            return [0 if seconds < 15 else 1 if seconds <= 60 else 2 if seconds <= 300 else 3]
        case _:
            return [video[field]]


def is_met(video: dict[str, Any], condition: Condition) -> bool:
    found = values_of(video, condition.field_name)
    wanted: list[Any] = list(condition.values)
    if isinstance(found[0] if found else None, int) or condition.field_name == "effect_id":
        names = ["SHORT", "MID", "LONG", "EXTRA_LONG"]
        wanted = [names.index(w) if w in names else int(w) for w in wanted]
    if condition.operation in COMPARE:
        return any(COMPARE[condition.operation](value, wanted[0]) for value in found)
    if condition.field_name == "keyword":
        return any(all(word in found for word in text.casefold().split()) for text in wanted)
    return any(value in wanted for value in found)


def is_hit(video: dict[str, Any], query: VideoQuery) -> bool:
    return (
        query.start_s <= video["create_time"] < query.end_s
        and all(is_met(video, c) for c in query.all_of)
        and (not query.any_of or any(is_met(video, c) for c in query.any_of))
        and not any(is_met(video, c) for c in query.none_of)
    )


SAMPLES = st.sampled_from(ALL)
WORDS = ["election", "vote", "climate explained", "réforme", "שלום", "sim", "of the", "nothing", "東京の朝"]
VALUES: dict[str, st.SearchStrategy[str]] = {
    "create_date": st.integers(1, 31).map(lambda day: f"202610{day:02}"),
    "username": SAMPLES.map(lambda video: str(video["username"])),
    "region_code": st.sampled_from(["US", "DE", "FR", "GB", "JP"]),
    "video_id": SAMPLES.map(lambda video: str(video["id"])),
    "hashtag_name": st.sampled_from(["election", "climate", "wahl", "انتخابات", "none"]),
    "keyword": st.sampled_from(WORDS),
    "music_id": SAMPLES.map(lambda video: str(video["music_id"])),
    "effect_id": st.sampled_from(["0", "6900000131", "5"]),
    "video_length": st.sampled_from(["SHORT", "MID", "LONG", "EXTRA_LONG"]),
    "view_count": st.integers(0, 20_000).map(str),
    "comment_count": st.integers(0, 30).map(str),
}


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(sorted(VALUES)))
    operation = draw(st.sampled_from(["EQ", "IN", "IN", *COMPARE]))
    size = 4 if operation == "IN" else 1
    return {
        "field_name": field,
        "operation": operation,
        "field_values": draw(st.lists(VALUES[field], min_size=1, max_size=size)),
    }


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    first = draw(st.integers(1, 20))
    groups = {name: draw(st.lists(conditions(), max_size=3)) for name in ("and", "or", "not")}
    if not any(groups.values()):
        groups["and"] = [draw(conditions())]
    last = first + draw(st.integers(0, 11))
    return {"query": groups, "start_date": f"202610{first:02}", "end_date": f"202610{last:02}"}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(bodies())
def test_columns_and_whole_records_find_the_same(body: dict[str, Any]) -> None:
    query = video_page(body).query
    assert find(DATA, query) == [p for p, video in enumerate(ALL) if is_hit(video, query)]


TYPICAL = {
    "create_date": "20260401",
    "username": ALL[1500]["username"],
    "region_code": "DE",
    "video_id": str(ALL[1500]["id"]),
    "hashtag_name": "climate",
    "keyword": "election",
    "music_id": str(ALL[1500]["music_id"]),
    "effect_id": "6900000131",
    "video_length": "MID",
    "view_count": str(ALL[1500]["view_count"]),
    "comment_count": "2",
}


@pytest.mark.parametrize("field", sorted(TYPICAL))
@pytest.mark.parametrize("operation", ["EQ", "IN", *COMPARE])
def test_every_field_takes_every_operation(field: str, operation: str) -> None:
    condition = Condition(field_name=field, operation=operation, values=(TYPICAL[field],))
    times = [video["create_time"] for video in ALL]
    query = VideoQuery(all_of=(condition,), any_of=(), none_of=(), start_s=min(times), end_s=max(times) + 1)
    found = find(DATA, query)
    assert found == [p for p, video in enumerate(ALL) if is_hit(video, query)]
    assert 0 < len(found) <= len(ALL)
