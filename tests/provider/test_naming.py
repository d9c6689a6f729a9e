"""Which accounts, videos and so on a question names, in one spelling each."""

from typing import Any

import pytest

from app.provider.naming import named_in, plain


def conditions(**named: list[str]) -> list[dict[str, Any]]:
    return [{"field_name": name, "operation": "IN", "field_values": values} for name, values in named.items()]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"username": " @Alice_B "}, {("username", "alice_b")}),
        ({"video_id": 7612345678901234567}, {("video_id", "7612345678901234567")}),
        ({"comment_id": "0042"}, {("comment_id", "42")}),
        ({"playlist_id": 5, "shop_id": 6, "product_id": "7", "ad_id": 8}, 4),
        (
            {
                "query": {
                    "and": conditions(username=["Bob", "carol"], region_code=["US"]),
                    "or": conditions(video_id=["12"]),
                    "not": conditions(username=["dan"], keyword=["erin"]),
                }
            },
            {("username", "bob"), ("username", "carol"), ("username", "dan"), ("video_id", "12")},
        ),
        ({"filters": {"creator_usernames": ["Fay"], "country_code": "FR"}}, {("username", "fay")}),
        ({"category": "video", "file_data": "11\n\n12\n"}, {("video_id", "11"), ("video_id", "12")}),
        ({"category": "user", "file_data": "@Gil"}, {("username", "gil")}),
        ({"category": "other", "file_data": "11"}, set()),
        ({"username": "", "video_id": None, "user_id": True, "query": "x", "filters": []}, set()),
    ],
)
def test_what_a_question_names(asked: dict[str, Any], named: set[tuple[str, str]] | int) -> None:
    found = named_in(asked)
    assert (len(found) if isinstance(named, int) else found) == named


def test_however_an_identifier_is_written_it_is_the_same() -> None:
    assert {plain("username", text) for text in ("alice", "@Alice", " ALICE ", "\uff41lice")} == {"alice"}
    assert {plain("video_id", text) for text in ("12", "012", "\uff11\uff12")} == {"12"}
    assert plain("video_id", "1" * 50) == "1" * 50
