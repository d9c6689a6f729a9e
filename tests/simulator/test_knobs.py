"""The quirks of the real platform, turned one by one (facts 3.4)."""

from typing import Any

import pytest

from app.simulator.comments import COMMENT_FIELDS
from app.simulator.configuration import REALISTIC, Knobs, PoisonRange
from app.simulator.dataset import REFERENCE_S, create_time
from app.simulator.users import USER_FIELDS
from app.simulator.vocabulary import COMMENT_TEXTS
from tests.simulator.caller import ALL, Caller, message, query

TAGGED = {"field_name": "hashtag_name", "operation": "EQ", "field_values": ["election"]}
WORDED = {"field_name": "keyword", "operation": "EQ", "field_values": ["election"]}
CANADIAN = {"field_name": "region_code", "operation": "EQ", "field_values": ["CA"]}


def turn(caller: Caller, **knobs: Any) -> None:
    answer = caller.control("knobs", **knobs)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in knobs} == knobs


def known(caller: Caller, kind: str) -> Any:
    return caller.send("GET", "/_sim/accounts").json()[kind][0]


def data_of(caller: Caller, endpoint: str, *, fields: str | None = "id", **body: Any) -> dict[str, Any]:
    answer = caller.call(endpoint, body, fields=fields)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_knobs_are_shown_turned_and_as_at_the_start_after_a_reset() -> None:
    caller = Caller(knobs=Knobs(short_page_p=0.25))
    before = caller.send("GET", "/_sim/knobs").json()
    assert (before["short_page_p"], before["nul_p"], before["poison_ranges"]) == (0.25, 0.0, [])
    turn(caller, short_page_p=1.0, nul_p=0.5)
    assert caller.send("GET", "/_sim/knobs").json() == {**before, "short_page_p": 1.0, "nul_p": 0.5}
    assert "\x00" in str(caller.page(max_count=100, fields="video_description")).replace("\\x00", "\x00")
    caller.control("reset")
    assert caller.send("GET", "/_sim/knobs").json() == before
    caller.log_in()
    assert "\\x00" not in str(caller.page(max_count=100, fields="video_description"))


@pytest.mark.parametrize(
    "order",
    [
        {"short_pages": 0.5},
        {"short_page_p": 1.5},
        {"short_page_p": -0.5},
        {"short_page_p": "often"},
        {"short_page_p": None},
        {"short_page_p": True},
        {"playlist_500": 1},
        {"follower_cap": 2.5},
        {"max_count_default": 0},
        {"max_count_default": 101},
        {"decay_per_week": 2},
        {"poison_ranges": "all"},
        {"poison_ranges": [{"start_date": "20261001"}]},
        {"poison_ranges": [{"start_date": "20261001", "end_date": "20260901"}]},
        {"poison_ranges": [{"start_date": "20261001", "end_date": "soon"}]},
        {"poison_ranges": [{"start_date": "20261001", "end_date": "20261002", "filed_name": "x"}]},
        {"extra_keys": True, "nul_p": 2},
    ],
)
def test_a_knob_that_cannot_be_turned_so_leaves_all_as_they_are(
    caller: Caller, order: dict[str, Any]
) -> None:
    answer = caller.control("knobs", **order)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert caller.platform.knobs == Knobs()


def test_the_realistic_mode_has_the_defaults_of_the_catalogue() -> None:
    expected = {
        "search_id_warmup_s": 5, "short_page_p": 0.7, "empty_page_p": 0.02, "error_500_p": 0.02,
        "html_error_p": 0.1, "burst_limit_qps": 10, "nul_p": 0.001, "missing_p": 0.12, "index_delay_h": 48,
        "decay_per_week": 0.06, "stats_lag_days": 10, "playlist_500": True, "comment_cap": 1_000,
        "follower_cap": 5_000, "charge_on_500": True, "search_id_ttl_s": 86_400,
    }  # fmt: skip
    assert {name: getattr(REALISTIC, name) for name in expected} == expected


def test_q1_a_new_search_fails_until_it_is_warm(caller: Caller) -> None:
    turn(caller, cold_search_failures=2)
    for _ in range(2):
        assert message(caller.videos()) == "Invalid count or cursor"
    assert caller.videos().status_code == caller.videos().status_code == 200
    assert message(caller.videos(start_date="20261002")) == "Invalid count or cursor"
    assert caller.stats()["requests"] == 5


def test_q2_and_q3_warm_up_and_life_of_a_search_id_can_be_turned_while_it_lives(caller: Caller) -> None:
    first = caller.page()
    later = {"cursor": 20, "search_id": first["search_id"]}
    turn(caller, search_id_warmup_s=60.0)
    assert "is invalid or expired" in message(caller.videos(**later))
    turn(caller, search_id_warmup_s=0.0)
    assert caller.videos(**later).status_code == 200
    turn(caller, search_id_ttl_s=0.0)
    assert "is invalid or expired" in message(caller.videos(**later))


def test_q4_a_search_id_changes_between_pages_and_the_old_one_stays_good(caller: Caller) -> None:
    turn(caller, search_id_rotate_p=1.0)
    whole = [v["id"] for v in caller.page(max_count=60)["videos"]]
    first = caller.page()
    second = caller.page(cursor=20, search_id=first["search_id"])
    third = caller.page(cursor=40, search_id=second["search_id"])
    assert len({first["search_id"], second["search_id"], third["search_id"]}) == 3
    assert [v["id"] for got in (first, second, third) for v in got["videos"]] == whole
    assert caller.page(cursor=20, search_id=first["search_id"])["videos"] == second["videos"]


def test_q6_a_condition_that_meets_poisoned_days_fails_whatever_the_rest(caller: Caller) -> None:
    poison = {"start_date": "20261010", "end_date": "20261012", "field_name": "hashtag_name"}
    turn(caller, poison_ranges=[poison])
    tagged: dict[str, Any] = {"query": {"and": [TAGGED]}}
    message(caller.videos(**tagged), status=500, code="internal_error")
    message(caller.videos(query={"and": [ALL], "not": [TAGGED]}), status=500, code="internal_error")
    for start, end, status in (("01", "09", 200), ("01", "10", 500), ("12", "20", 500), ("13", "20", 200)):
        answer = caller.videos(**tagged, start_date=f"202610{start}", end_date=f"202610{end}")
        assert answer.status_code == status
    assert caller.videos().status_code == 200
    turn(caller, poison_ranges=[{**poison, "field_name": None}])
    assert caller.videos().status_code == 500
    assert PoisonRange(start_date="20261010", end_date="20261010").field_name == "hashtag_name"


def test_q7_a_heavy_search_fails_and_narrower_ones_do_not(caller: Caller) -> None:
    turn(caller, heavy_query_500=100)
    message(caller.videos(), status=500, code="internal_error")
    assert caller.videos(start_date="20261029").status_code == 200
    stats = caller.stats()
    assert (stats["requests"], stats["records"]) == (2, 20)


def test_q13_counts_lag_behind_and_catch_up_while_profiles_are_live(caller: Caller) -> None:
    fields = "id,like_count,share_count,view_count,comment_count,favorites_count,video_duration"
    live = {v["id"]: v for v in caller.page(max_count=100, fields=fields)["videos"]}
    name = {"username": "sim_user_1"}
    profile = data_of(caller, "user/info", fields="follower_count,likes_count", **name)
    turn(caller, stats_lag_days=10.0)
    stale = {v["id"]: v for v in caller.page(max_count=100, fields=fields)["videos"]}
    assert set(stale) == set(live)
    assert all(stale[v]["video_duration"] == live[v]["video_duration"] for v in live)
    assert all(stale[v][c] <= live[v][c] for v in live for c in live[v] if c.endswith("_count"))
    assert sum(stale[v]["view_count"] < live[v]["view_count"] for v in live) > 90
    fresh = [v for v in live if create_time(v) > REFERENCE_S - 86_400 and live[v]["view_count"]]
    assert any(stale[v]["view_count"] == 0 for v in fresh)
    assert data_of(caller, "user/info", fields="follower_count,likes_count", **name) == profile
    caller.control("clock", shift_s=300 * 86_400)
    caller.log_in()
    caught_up = {v["id"]: v for v in caller.page(max_count=100, fields=fields)["videos"]}
    assert sum(caught_up[v]["view_count"] > 0.9 * live[v]["view_count"] for v in live) > 90


def test_q15_queries_with_a_keyword_find_nothing_and_others_do(caller: Caller) -> None:
    turn(caller, silent_empty=True)
    assert caller.page(query={"and": [WORDED]}) == {"videos": [], "cursor": 20, "has_more": False}
    assert caller.page(query={"and": [TAGGED]})["videos"]


def test_q17_canada_can_be_excluded(caller: Caller) -> None:
    asked = {"query": {"and": [CANADIAN]}}
    assert caller.page(**asked)["videos"]
    turn(caller, excludes_canada=True)
    assert caller.page(**asked)["videos"] == []


def test_q18_playlists_come_with_500_and_a_good_body(caller: Caller) -> None:
    playlist_id = known(caller, "playlists")
    good = data_of(caller, "playlist/info", playlist_id=playlist_id)
    turn(caller, playlist_500=True)
    answer = caller.call("playlist/info", {"playlist_id": playlist_id})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "ok")
    assert answer.json()["data"] == good
    counted = caller.stats()["endpoints"]["playlist/info"]
    assert counted == {"requests": 2, "records": 2 * len(good["playlist_video_ids"])}


def test_the_cursor_of_playlists_can_be_without_effect(caller: Caller) -> None:
    body = {"playlist_id": known(caller, "playlists"), "max_count": 5}
    turn(caller, playlist_ignores_cursor=True)
    first, second = (data_of(caller, "playlist/info", **body, cursor=cursor) for cursor in (0, 5))
    assert first["playlist_video_ids"] == second["playlist_video_ids"]


def test_q19_and_q20_caps_can_be_turned(caller: Caller) -> None:
    name = known(caller, "with_followers")
    turn(caller, follower_cap=30, comment_cap=5)
    got = data_of(caller, "user/followers", fields=None, username=name, max_count=100)
    assert (len(got["user_followers"]), got["has_more"]) == (30, False)
    assert message(caller.call("video/comment/list", {"video_id": 1})) == "Invalid count or cursor"


def test_q23_videos_can_have_video_id_for_id(caller: Caller) -> None:
    ids = [v["id"] for v in caller.page()["videos"]]
    turn(caller, video_id_for_id=True)
    assert [v["video_id"] for v in caller.page()["videos"]] == ids
    listed = data_of(caller, "user/liked_videos", username=known(caller, "likes_public"))
    assert all(set(video) == {"video_id"} for video in listed["user_liked_videos"])


def test_q25_a_search_restarted_after_its_end_repeats_videos(caller: Caller) -> None:
    first = caller.page()
    turn(caller, search_id_ttl_s=60.0)
    caller.control("clock", shift_s=61)
    assert "is invalid or expired" in message(caller.videos(cursor=20, search_id=first["search_id"]))
    again = caller.page()
    assert again["search_id"] != first["search_id"]
    assert again["videos"] == first["videos"]


def test_q26_a_later_page_of_a_random_search_is_another_sample(caller: Caller) -> None:
    first = caller.page(is_random=True, max_count=100)
    later = {"is_random": True, "max_count": 100, "search_id": first["search_id"], "cursor": 100}
    second = caller.page(**later)
    one, other = ({v["id"] for v in got["videos"]} for got in (first, second))
    assert one & other
    assert caller.page(**later)["videos"] != second["videos"]


def test_q27_personal_data_in_comments_is_masked_unless_turned_off(caller: Caller) -> None:
    data = caller.platform.dataset
    video = next(v for p, v in enumerate(data.ids) if data.comments[p] > 100)

    def texts() -> list[str]:
        got = data_of(caller, "video/comment/list", fields="text", video_id=video, max_count=100)
        return [comment["text"] for comment in got["comments"]]

    masked = texts()
    assert sum("*" in text for text in masked) > 5
    assert set(masked) <= set(COMMENT_TEXTS)
    turn(caller, masks_comments=False)
    assert texts() == [text.replace("*", "0") for text in masked]


def test_the_default_page_of_a_search_can_be_ten(caller: Caller) -> None:
    turn(caller, max_count_default=10)
    got = caller.page()
    assert (len(got["videos"]), got["cursor"]) == (10, 10)


def test_the_british_spelling_can_be_the_known_one(caller: Caller) -> None:
    american = [v["favorites_count"] for v in caller.page(fields="favorites_count")["videos"]]
    turn(caller, favourites_count=True)
    assert "favorites_count" in message(caller.videos(fields="favorites_count"))
    british = caller.page(fields="favourites_count")["videos"]
    assert british == [{"favourites_count": count} for count in american]
    name = known(caller, "reposts_public")
    got = data_of(caller, "user/reposted_videos", fields="favourites_count", username=name)
    assert all(set(video) == {"favourites_count"} for video in got["reposted_videos"])


def test_the_list_of_reposts_can_have_the_key_of_the_table(caller: Caller) -> None:
    body = {"username": known(caller, "reposts_public")}
    sample = data_of(caller, "user/reposted_videos", **body)
    turn(caller, user_reposted_videos=True)
    table = data_of(caller, "user/reposted_videos", **body)
    assert table["user_reposted_videos"] == sample["reposted_videos"]
    assert "reposted_videos" not in table


def test_the_cursor_of_likes_can_be_in_seconds_and_still_leads_through_the_list(caller: Caller) -> None:
    name = known(caller, "likes_public")

    def walk() -> tuple[list[int], set[int]]:
        found: list[int] = []
        cursors: set[int] = set()
        got: dict[str, Any] = {"cursor": 0, "has_more": True}
        while got["has_more"]:
            got = data_of(caller, "user/liked_videos", username=name, max_count=40, cursor=got["cursor"])
            found += [video["id"] for video in got["user_liked_videos"]]
            cursors.add(len(str(got["cursor"])))
        return found, cursors

    in_ms, digits = walk()
    assert digits == {13}
    turn(caller, liked_cursor_in_seconds=True)
    assert walk() == (in_ms, {10})


def test_errors_can_lack_data(caller: Caller) -> None:
    turn(caller, errors_without_data=True)
    assert set(caller.videos(max_count=0).json()) == {"error"}
    caller.token = "clt.unknown"
    assert set(caller.videos().json()) == {"error"}


def test_records_can_have_a_key_that_nobody_knows(caller: Caller) -> None:
    data = caller.platform.dataset
    video = next(v for p, v in enumerate(data.ids) if data.comments[p] > 10)
    name, playlist_id = known(caller, "following_public"), known(caller, "playlists")
    asks: list[tuple[str, str | None, dict[str, Any]]] = [
        ("video/query", "id", query()),
        ("video/comment/list", ",".join(COMMENT_FIELDS), {"video_id": video}),
        ("user/info", ",".join(USER_FIELDS), {"username": name}),
        ("user/pinned_videos", "id", {"username": known(caller, "with_pins")}),
        ("user/followers", None, {"username": name}),
        ("playlist/info", None, {"playlist_id": playlist_id}),
    ]
    plain = [data_of(caller, endpoint, fields=fields, **body) for endpoint, fields, body in asks]
    turn(caller, extra_keys=True)
    extended = [data_of(caller, endpoint, fields=fields, **body) for endpoint, fields, body in asks]
    assert all("sim_unknown_key" in str(got) for got in extended)
    for got in extended:
        got.pop("sim_unknown_key", None)
        for record in (r for value in got.values() if isinstance(value, list) for r in value):
            if isinstance(record, dict):
                del record["sim_unknown_key"]
    for got in (plain[0], extended[0]):
        del got["search_id"]
    assert extended == plain
