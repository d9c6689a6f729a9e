"""Which videos a look-up by ids tells to be gone: those alone whose day was searched for sure."""

import json
from datetime import UTC, datetime

import pytest

from app.cache.vanished import vanished
from app.provider.answers import Success
from app.provider.endpoints import ENDPOINTS
from app.provider.naming import record
from app.provider.normalise import read_request
from app.query import ResearchQuery

VIDEOS = ENDPOINTS["video/query"]


def video(moment: str) -> str:
    """The id of a video that was begun at that moment."""
    return str(int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) << 32)


def look_up(video_id: str) -> ResearchQuery:
    condition = {"field_name": "video_id", "operation": "EQ", "field_values": [video_id]}
    body = {"query": {"and": [condition]}, "start_date": "20261003", "end_date": "20261005"}
    return read_request(VIDEOS, "fields=id", json.dumps(body).encode())


LATER_S = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp())
NOTHING = Success(
    data={"videos": [], "cursor": 20, "has_more": False},
    records=0,
    cursor=20,
    has_more=False,
    search_id=None,
    status=200,
    message="",
    log_id="",
)


@pytest.mark.parametrize(
    ("moment", "without", "with_last_day"),
    [
        ("2026-10-02T23:59:59", False, False),
        ("2026-10-03T00:00:00", True, True),
        ("2026-10-04T23:57:59", True, True),
        # Created up to two minutes later, so perhaps on the next day.
        ("2026-10-04T23:58:30", False, True),
        ("2026-10-05T12:00:00", False, True),
        ("2026-10-05T23:57:59", False, True),
        ("2026-10-05T23:58:00", False, False),
        ("2026-10-06T00:00:00", False, False),
    ],
)
def test_the_last_day_counts_only_where_it_is_seen_to_be_searched(
    moment: str, *, without: bool, with_last_day: bool
) -> None:
    for counts, is_gone in ((False, without), (True, with_last_day)):
        found = vanished(VIDEOS, look_up(video(moment)), NOTHING, now_s=LATER_S, counts_last_day=counts)
        assert found == ({record(video(moment))} if is_gone else set())


@pytest.mark.parametrize(("now", "is_gone"), [("2026-10-06T12:01:59", False), ("2026-10-06T12:02:01", True)])
def test_what_is_so_young_that_it_may_not_be_searched_yet_is_not_taken_for_gone(
    now: str, *, is_gone: bool
) -> None:
    young = video("2026-10-04T12:00:00")
    now_s = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp())
    found = vanished(VIDEOS, look_up(young), NOTHING, now_s=now_s, counts_last_day=False)
    assert found == ({record(young)} if is_gone else set())
