"""Playlists: some of an author's videos in order, found by the `playlist_id` of any of them (facts 2.9)."""

from app.simulator import parsing
from app.simulator.answers import invalid_params
from app.simulator.calls import Call, Reply
from app.simulator.dataset import Dataset, create_time
from app.simulator.platform import Platform
from app.simulator.videos import PLAYLISTS_EACH, playlist_author, playlist_of


def show_playlist(platform: Platform, call: Call) -> Reply:
    """A playlist with a page of its videos; a sample sends `fields`, which changes nothing.

    The default page size and that of at most 100 are guesses: the documents name none.
    """
    body = parsing.json_object(call.body)
    playlist_id = parsing.identifier(body, "playlist_id")
    if playlist_id is None:
        raise invalid_params("The playlist_id is required")
    count, cursor = parsing.max_count(body, default=20), parsing.cursor(body)
    start = 0 if platform.knobs.playlist_ignores_cursor else cursor
    members = members_of(platform.dataset, playlist_id)
    left = [p for p in members if not platform.is_gone(p)]
    if not left:
        raise invalid_params(f"Playlist {playlist_id} is invalid: cannot find the playlist")
    page = [p for p in platform.thinned(members[start : start + count]) if not platform.is_gone(p)]
    data = {
        "playlist_id": playlist_id,
        "playlist_name": f"Sim playlist {playlist_id % 100_000} [sim]",
        "playlist_item_total": len(left),
        "playlist_last_updated": create_time(platform.dataset.ids[left[-1]]),
        "playlist_video_ids": [platform.dataset.ids[p] for p in page],
        "cursor": cursor + count,
        "has_more": cursor + count < len(members),
    }
    return Reply(data=data, records=len(page), status=500 if platform.knobs.playlist_500 else 200)


def members_of(dataset: Dataset, playlist_id: int) -> list[int]:
    """Positions of a playlist's videos, the oldest first; empty for an id that no playlist has."""
    own = dataset.positions_by_author.get(playlist_author(playlist_id), ())
    return [p for p in reversed(own) if playlist_of(dataset, p) == playlist_id]


def playlists_of(dataset: Dataset, author: int) -> list[int]:
    """The ids of an author's playlists, the one with the newest video first."""
    found: dict[int, None] = {}
    for position in dataset.positions_by_author.get(author, ()):
        playlist_id = playlist_of(dataset, position)
        if playlist_id is not None:
            found[playlist_id] = None
        if len(found) == PLAYLISTS_EACH:
            break
    return list(found)
