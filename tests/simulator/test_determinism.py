"""Two simulators of one seed cannot be told apart by their records."""

from typing import Any

from app.simulator.comments import COMMENT_FIELDS
from app.simulator.configuration import REALISTIC, Knobs
from app.simulator.user_lists import LISTED_FIELDS
from app.simulator.users import USER_FIELDS
from app.simulator.videos import VIDEO_FIELDS
from tests.simulator.caller import Caller


def data_of(caller: Caller, endpoint: str, fields: frozenset[str], **body: Any) -> dict[str, Any]:
    answer = caller.call(endpoint, body, fields=",".join(sorted(fields)))
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def everything(seed: int) -> list[Any]:
    caller = Caller(
        seed=seed, videos=2_000, knobs=Knobs(nul_p=REALISTIC.nul_p, missing_p=REALISTIC.missing_p)
    )
    videos = caller.page(max_count=100, fields=",".join(sorted(VIDEO_FIELDS)))["videos"]
    most = max(videos, key=lambda video: int(video["comment_count"]))
    comments = data_of(caller, "video/comment/list", COMMENT_FIELDS, video_id=most["id"], max_count=100)
    user = data_of(caller, "user/info", USER_FIELDS, username=videos[0]["username"])
    return [videos, comments, user, *lists(caller)]


def lists(caller: Caller) -> list[Any]:
    known = caller.send("GET", "/_sim/accounts").json()
    likes = data_of(caller, "user/liked_videos", LISTED_FIELDS, username=known["likes_public"][0])
    pins = data_of(caller, "user/pinned_videos", LISTED_FIELDS, username=known["with_pins"][0])
    reposts = data_of(caller, "user/reposted_videos", LISTED_FIELDS, username=known["reposts_public"][0])
    followers = data_of(caller, "user/followers", frozenset(), username=known["with_followers"][0])
    following = data_of(caller, "user/following", frozenset(), username=known["following_public"][0])
    playlist = data_of(caller, "playlist/info", frozenset(), playlist_id=known["playlists"][0])
    return [known, likes, pins, reposts, followers, following, playlist]


def test_one_seed_gives_the_same_videos_comments_users_and_lists_in_two_simulators() -> None:
    assert everything(7) == everything(7)


def test_another_seed_gives_other_records() -> None:
    assert all(one != other for one, other in zip(everything(7), everything(8), strict=True))
