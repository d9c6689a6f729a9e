import pytest

from app.simulator.configuration import Knobs
from app.simulator.dataset import create_time
from tests.simulator.caller import ALL, OTHER, Caller, message

DE = {"field_name": "region_code", "operation": "EQ", "field_values": ["DE"]}


def walk(caller: Caller, count: int) -> list[int]:
    page = caller.page(max_count=count)
    found = [video["id"] for video in page["videos"]]
    while page["has_more"]:
        page = caller.page(max_count=count, cursor=page["cursor"], search_id=page["search_id"])
        found += [video["id"] for video in page["videos"]]
    return found


@pytest.mark.parametrize("count", [7, 100])
def test_pages_give_every_video_once_in_descending_order(caller: Caller, count: int) -> None:
    found = walk(caller, count)
    october = [v for v in caller.platform.dataset.ids if 1790812800 <= create_time(v) < 1793491200]
    assert found == october
    assert found == sorted(set(found), reverse=True)
    assert len(found) > 200


def test_the_cursor_advances_by_the_page_size_asked(caller: Caller) -> None:
    assert caller.page(max_count=33)["cursor"] == 33
    assert caller.page()["cursor"] == 20
    last = caller.page(start_date="20261031", max_count=100)
    assert (last["cursor"], last["has_more"]) == (100, False)
    assert len(last["videos"]) < 100


def test_a_search_id_is_a_string_of_digits_inside_int64(caller: Caller) -> None:
    search_id = caller.page()["search_id"]
    assert search_id.isdigit()
    assert int(search_id) < 2**63
    assert caller.page()["search_id"] != search_id


def test_a_search_without_hits_has_no_search_id(caller: Caller) -> None:
    nothing = {"field_name": "username", "operation": "EQ", "field_values": ["nobody"]}
    page = caller.page(query={"and": [nothing]})
    assert page == {"videos": [], "cursor": 20, "has_more": False}


@pytest.mark.parametrize(
    "changes",
    [
        {"query": {"and": [DE]}},
        {"query": {"or": [ALL]}},
        {"start_date": "20261002"},
        {"end_date": "20261030"},
        {"is_random": True},
    ],
)
def test_a_later_page_must_ask_the_same(caller: Caller, changes: dict[str, object]) -> None:
    search_id = caller.page()["search_id"]
    answer = caller.videos(**{"cursor": 20, "search_id": search_id, **changes})
    assert message(answer) == f"Search Id {search_id} is invalid or expired"


def test_the_page_size_may_change_inside_a_search(caller: Caller) -> None:
    first = caller.page(max_count=10)
    assert len(caller.page(max_count=50, cursor=10, search_id=first["search_id"])["videos"]) == 50


def test_an_unknown_search_id_is_refused(caller: Caller) -> None:
    assert message(caller.videos(search_id="123", cursor=20)) == "Search Id 123 is invalid or expired"


def test_a_search_expires_after_a_day(caller: Caller) -> None:
    search_id = caller.page()["search_id"]
    caller.control("clock", shift_s=86_401)
    caller.log_in()
    assert "is invalid or expired" in message(caller.videos(search_id=search_id, cursor=20))


def test_a_search_goes_on_under_another_token_of_its_client_alone(caller: Caller) -> None:
    search_id = caller.page()["search_id"]
    caller.log_in()
    assert caller.videos(search_id=search_id, cursor=20).status_code == 200
    caller.log_in(OTHER)
    assert "is invalid or expired" in message(caller.videos(search_id=search_id, cursor=20))


def test_a_cursor_beyond_the_result_is_refused(caller: Caller) -> None:
    first = caller.page()
    answer = caller.videos(cursor=100_000, search_id=first["search_id"])
    assert message(answer) == "Invalid count or cursor"
    assert message(caller.videos(cursor=100_000)) == "Invalid count or cursor"


def test_deleted_videos_leave_holes_in_a_frozen_search_and_are_gone_from_a_new_one(caller: Caller) -> None:
    before = walk(caller, 100)
    first = caller.page(max_count=10)
    caller.control("delete", videos=before[10:13])
    second = caller.page(max_count=10, cursor=10, search_id=first["search_id"])
    assert [v["id"] for v in second["videos"]] == before[13:20]
    assert (second["cursor"], second["has_more"]) == (20, True)
    assert walk(caller, 100) == before[:10] + before[13:]


def test_the_videos_of_a_deleted_user_vanish_with_the_user(caller: Caller) -> None:
    name = caller.page(fields="username", max_count=1)["videos"][0]["username"]
    theirs = {"and": [{"field_name": "username", "operation": "EQ", "field_values": [name]}]}
    assert caller.page(query=theirs)["videos"]
    caller.control("delete", users=[name])
    assert caller.page(query=theirs)["videos"] == []
    answer = caller.call("user/info", {"username": name}, fields="display_name")
    assert "is invalid: cannot find the user" in message(answer)


def test_a_random_search_is_a_sample_fixed_by_the_seed(caller: Caller) -> None:
    sample = [v["id"] for v in caller.page(is_random=True, max_count=50)["videos"]]
    assert len(set(sample)) == 50
    assert sample != sorted(sample, reverse=True)
    assert set(sample) <= set(walk(caller, 100))
    again = Caller().page(is_random="TRUE", max_count=50)
    assert [v["id"] for v in again["videos"]] == sample


def test_a_fresh_search_id_needs_to_warm_up_where_the_knob_says_so() -> None:
    caller = Caller(knobs=Knobs(search_id_warmup_s=5))
    search_id = caller.page()["search_id"]
    assert "is invalid or expired" in message(caller.videos(search_id=search_id, cursor=20))
    caller.control("clock", shift_s=6)
    assert caller.videos(search_id=search_id, cursor=20).status_code == 200
